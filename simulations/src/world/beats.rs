//! The streams' turns: what encoders send, what conversations bring, and what the nodes make of it.

use antiphon::model::mount::MountName;
use rand::seq::IteratorRandom;

use super::{BEAT, Judging, TICK, World};
use crate::encoder::{Spoken, Standing};
use crate::happening::Happening;
use crate::host::State;
use crate::node::{Event, TalkEvent};
use crate::talk::Arrival;

impl World {
    /// One node's turn.
    pub(super) fn beat(&mut self, node: usize) {
        self.schedule(self.now + BEAT, Happening::Beat(node));
        self.encoders_speak(node);
        let lives: Vec<u32> = self.hosts.iter().map(|host| host.life).collect();
        for (talk, arrival) in self.talks.hear(node, &lives, (&self.net, self.now)) {
            let heard = match arrival {
                Arrival::Began(frame) => {
                    TalkEvent::Began(self.hosts[talk.opener].name.clone(), frame)
                }
                Arrival::Frame(frame) => TalkEvent::Frame(frame),
                Arrival::Finished => TalkEvent::Finished,
                Arrival::Lost => TalkEvent::Lost,
            };
            self.step(node, Event::Talk(talk, heard));
        }
        self.step(node, Event::Beat);
        self.talks
            .transmit(node, &mut self.net, self.now, &mut self.rng);
    }

    /// Hands a node what its encoders have sent, and tells it of those that have gone.
    fn encoders_speak(&mut self, node: usize) {
        let (mine, others) = self.orphans.drain(..).partition(|(at, _)| *at == node);
        self.orphans = others;
        let mine: Vec<(usize, _)> = mine;
        for (_, encoder) in mine {
            self.step(node, Event::Encoder(encoder, Spoken::Leaves));
        }
        for number in 0..self.encoders.len() {
            let (life, encoder) = (self.hosts[node].life, &mut self.encoders[number]);
            let is_here = matches!(encoder.standing, Standing::Sending(at, in_life, _) if (at, in_life) == (node, life));
            let bytes = if is_here {
                encoder.take(self.now)
            } else {
                Vec::new()
            };
            if !bytes.is_empty() {
                let id = encoder.id();
                self.step(node, Event::Encoder(id, Spoken::Bytes(bytes)));
            }
        }
    }

    /// Encoders look after their connections, and the checkers after the streams.
    pub(super) fn tick(&mut self) {
        self.schedule(self.now + TICK, Happening::Tick);
        for number in 0..self.encoders.len() {
            self.look_after(number);
        }
        if self.judging == Judging::Always {
            self.look_at_streams();
            self.look_at_documents();
            self.look_at_seats();
            self.look_at_members();
            if self.plan.players.is_some() {
                let ledgers = self.ledgers();
                self.checkers.table.look(&ledgers, self.now);
            }
        }
    }

    fn look_after(&mut self, number: usize) {
        let now = self.now;
        let encoder = &mut self.encoders[number];
        match encoder.standing {
            Standing::Away(until) if now >= until => self.connect(number),
            Standing::Away(_) => {}
            Standing::Asking(node, life) | Standing::Sending(node, life, _) => {
                let host = &self.hosts[node];
                if host.life != life || matches!(host.state, State::Down) {
                    encoder.lost(now, &mut self.rng);
                } else if encoder.gives_up(now) {
                    self.disconnect(number);
                }
            }
        }
    }

    /// An encoder's connection breaks; its node learns of it when it has its turn.
    pub(crate) fn disconnect(&mut self, number: usize) {
        let encoder = &mut self.encoders[number];
        if let Some(node) = encoder.node() {
            self.orphans.push((node, encoder.id()));
            encoder.lost(self.now, &mut self.rng);
        }
    }

    fn connect(&mut self, number: usize) {
        let is_fit = |node: &usize| {
            let of_core = self.core.as_ref().is_none_or(|core| core.contains(node));
            of_core && self.hosts[*node].running().is_some()
        };
        let nodes = (0..self.hosts.len()).filter(is_fit);
        let Some(node) = nodes.choose(&mut self.rng) else {
            return;
        };
        let life = self.hosts[node].life;
        let encoder = &mut self.encoders[number];
        encoder.connect((node, life), self.now);
        let (id, mount): (_, MountName) = (encoder.id(), encoder.mount.clone());
        self.log.tell(self.now, format_args!("{id:?} asks {node}"));
        self.step(node, Event::Encoder(id, Spoken::Connects(mount)));
    }
}
