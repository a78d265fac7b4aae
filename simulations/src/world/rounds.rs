//! Gossip's rounds: who is asked, who is believed to live, and what travels.

use std::time::Duration;

use antiphon::logic::members::health;
use antiphon::logic::members::health::{SelfReport, Sign, Witnesses};
use antiphon::model::seat::Seat;
use antiphon::model::status::NodeState;
use antiphon::wire::gossip;

use super::{Judging, World};
use crate::gossip::{Gossiped, News, message_bytes};
use crate::happening::{Happening, Packet};
use crate::host::Host;
use crate::net::Carrier;
use crate::node::{Event, Heartbeat, Member};

/// How often in each interval a node looks at its peers. Production looks twice, and at every change of a link.
const LOOKS: u32 = 4;

impl World {
    pub(super) fn round(&mut self, node: usize) {
        let (now, interval) = (self.now, self.plan.interval);
        let own_interval = self.hosts[node].clock.world_time(interval);
        self.schedule(now + own_interval, Happening::Round(node));
        for quarter in 1..LOOKS {
            let at = now + own_interval * quarter / LOOKS;
            self.schedule(at, Happening::Look(node));
        }
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let contacts = process.gossip.contacts();
        let targets = process.gossip.round(&mut self.rng);
        let digest = process.gossip.digest();
        for other in contacts {
            if self.hosts[other].running().is_some() {
                self.net.keep_alive((node, other), now, &mut self.rng);
            } else {
                self.net.dial_in_vain((node, other), now, &mut self.rng);
            }
        }
        for to in targets {
            let syn = Gossiped::Syn(digest.clone());
            self.send((node, to), Packet::Gossip(syn));
        }
        if let Some(process) = self.hosts[node].process() {
            process.gossip.judge(now);
        }
        self.tell_members(node);
        self.step(node, Event::Round);
        self.look();
    }

    /// Tells a node who is there, if that has changed.
    pub(super) fn tell_members(&mut self, node: usize) {
        let Some(process) = self.hosts[node].running() else {
            return;
        };
        let sign = |heard: bool| if heard { Sign::Alive } else { Sign::Silent };
        let state = |other: usize| {
            let heard = process.gossip.is_live(other).filter(|_| other != node)?;
            let witnesses = Witnesses {
                gossip: sign(heard),
                silent_for: process.gossip.silent_for(other, self.now),
                link: sign(self.net.is_up(node, other, self.now)),
                // What is no doubt to listeners is one to all that is tried here.
                unlinked_for: Duration::ZERO,
                report: match process.gossip.said(other, gossip::DRAINING) {
                    Some(_) => SelfReport::Draining,
                    None => SelfReport::Serving,
                },
            };
            Some(health::verdict(witnesses, self.plan.interval))
        };
        let view: Vec<_> = (0..self.hosts.len()).map(state).collect();
        if self.plan.players.is_some() {
            self.tell_heartbeats(node);
        }
        let Some(process) = self.hosts[node].running() else {
            return;
        };
        if view == process.told {
            if self.plan.other_seats() > 0 {
                self.step(node, Event::Look);
            }
            return;
        }
        if self.judging == Judging::Always {
            self.log
                .tell(self.now, format_args!("{node} sees {view:?}"));
        }
        let known = view.iter().zip(&self.hosts);
        let members = known.enumerate().filter_map(|(number, (state, host))| {
            let member = Member {
                rank: host.rank,
                life: process.gossip.life(number)?,
                state: (*state)?,
            };
            Some((host.name.clone(), member))
        });
        let members = members.collect();
        if let Some(process) = self.hosts[node].process() {
            process.told = view;
        }
        self.step(node, Event::Members(members));
    }

    /// Tells a node when it has heard everybody, where that decides who gets listeners.
    fn tell_heartbeats(&mut self, node: usize) {
        let Some(process) = self.hosts[node].running() else {
            return;
        };
        let gossip = &process.gossip;
        let heartbeat = |(other, host): (usize, &Host)| {
            Some(Heartbeat {
                node: host.name.clone(),
                life: gossip.life(other)?,
                silent_for: match other == node {
                    true => Duration::ZERO,
                    false => gossip.silent_for(other, self.now),
                },
            })
        };
        let heard = self.hosts.iter().enumerate().filter_map(heartbeat);
        let heard = heard.collect();
        self.step(node, Event::Heartbeats(heard));
    }

    pub(super) fn gossip(&mut self, node: usize, from: usize, message: Gossiped) {
        let mut news = Vec::new();
        let now = self.now;
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let answer = process.gossip.hear(message, now, &mut news);
        if let Some(answer) = answer {
            self.send((node, from), Packet::Gossip(answer));
        }
        for item in news {
            let event = match item {
                News::NewLife(about, life) => Event::NewLife(self.hosts[about].name.clone(), life),
                News::Said(about, (key, value)) => {
                    Event::Said(self.hosts[about].name.clone(), key, value)
                }
            };
            self.step(node, event);
        }
    }

    pub(super) fn send(&mut self, (from, to): (usize, usize), packet: Packet) {
        let needs_link = matches!(packet, Packet::Link(_)) || self.net.carrier == Carrier::Links;
        if from == to || (needs_link && !self.net.is_up(from, to, self.now)) {
            return;
        }
        if let Packet::Gossip(message) = &packet {
            self.gossip_bytes[from] += message_bytes(message) as u64;
        }
        for delay in self.net.ways((from, to), self.now, &mut self.rng) {
            let packet = packet.clone();
            self.schedule(self.now + delay, Happening::Arrive(from, to, packet));
        }
    }

    /// Whether a node's gossip takes another one for alive; `None` if it does not know it.
    pub fn is_live(&self, observer: usize, node: usize) -> Option<bool> {
        self.hosts[observer].running()?.gossip.is_live(node)
    }

    /// A node's verdict on another one, by both witnesses; `None` if it does not know it.
    pub fn verdict(&self, observer: usize, node: usize) -> Option<NodeState> {
        self.hosts[observer].running()?.told[node]
    }

    /// The node that another one follows as its master.
    pub fn followed(&self, observer: usize) -> Option<usize> {
        let seats = self.hosts[observer].running()?.node.seats();
        let holder = seats.holder(&Seat::Master)?;
        Some(self.number(&holder.node))
    }

    /// A node's knowledge of the value that another one has under a key.
    pub fn said(&self, observer: usize, node: usize, key: &str) -> Option<&str> {
        self.hosts[observer].running()?.gossip.said(node, key)
    }

    /// Lets a node say something.
    pub fn say(&mut self, node: usize, key: &str, value: &str) {
        if let Some(process) = self.hosts[node].process() {
            process.gossip.set(key, Some(value));
        }
    }

    /// The bytes of gossip that all nodes have sent until now, before any compression.
    pub fn gossip_bytes(&self) -> u64 {
        self.gossip_bytes.iter().sum()
    }
}
