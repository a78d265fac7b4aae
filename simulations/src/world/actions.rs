//! The actions of nodes, carried out in the world.

use std::time::Duration;

use antiphon::logic::document::saved::{SAVE_AGAIN, Saved};
use antiphon::model::node::NodeName;
use antiphon::model::seat::{Claim, Epoch, Seat};
use antiphon::proto::seats::Disk;
use rand::Rng;

use super::{Judging, World};
use crate::checkers::election::Publisher;
use crate::faults::{Fault, Who};
use crate::gossip::Gossiped;
use crate::happening::{Happening, Packet};
use crate::node::radio::RadioNews;
use crate::node::{Action, Event, TalkEvent};

/// How long a write to disk takes: an SSD's fsync to a busy hard disk's.
const WRITE_MS: std::ops::RangeInclusive<u64> = 1..=30;

impl World {
    /// Lets a node's logic take in one event, and does what it says.
    pub(crate) fn step(&mut self, node: usize, event: Event) {
        let moment = self.hosts[node].moment(self.now);
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let actions = process.node.step(event, moment);
        let epoch = process.node.seats().max_epoch();
        if self.judging == Judging::Always {
            self.checkers.epoch(&self.hosts[node].name, epoch);
        }
        for action in actions {
            self.perform(node, action);
        }
        self.schedule_wake(node);
    }

    fn perform(&mut self, node: usize, action: Action) {
        match action {
            Action::Send(to, message) => {
                let to = self.number(&to);
                self.send((node, to), Packet::Link(message));
            }
            Action::Broadcast(message) => {
                for to in 0..self.hosts.len() {
                    self.send((node, to), Packet::Link(message.clone()));
                }
            }
            Action::Open(talk, to, first) => {
                let to = self.number(&to);
                if self.net.is_up(node, to, self.now) {
                    let life = self.hosts[to].life;
                    self.talks.open(talk, (to, life), first);
                } else {
                    self.step(node, Event::Talk(talk, TalkEvent::Lost));
                }
            }
            Action::Say(talk, frame) => self.talks.say(talk, node, frame),
            Action::Finish(talk) => self.talks.finish(talk, node),
            Action::Abort(talk) => self.talks.abort(talk, node),
            Action::Write(epoch) => {
                if let Some(process) = self.hosts[node].process() {
                    process.writing = Some(epoch);
                }
                let at = self.now + self.write_time();
                self.schedule(at, Happening::Written(node, epoch));
            }
            Action::Save(document) => self.save(node, document),
            Action::Greet(to) => self.greet(node, &to),
            Action::Gossip(key, value) => self.publish(node, &key, value),
            Action::Claims(Seat::Master, claim) => self.claims(node, claim),
            Action::Changed(Seat::Master, claim) => {
                self.log
                    .tell(self.now, format_args!("{node} follows {claim:?}"));
                self.look();
            }
            Action::Claims(seat, claim) | Action::Changed(seat, claim) => {
                self.log
                    .tell(self.now, format_args!("{node} {seat} {claim:?}"));
            }
            Action::Applied(fence) => {
                let host = &self.hosts[node];
                self.checkers.applies((&host.name, host.life), &fence);
            }
            Action::Edited(written) => {
                self.log
                    .tell(self.now, format_args!("{node} writes {}", written.key));
                let life = self.hosts[node].life;
                self.checkers
                    .document
                    .edited((node, life), self.now, written);
            }
            Action::Received(id, reception) => self.received(node, (id, reception)),
            Action::Radio(news) => self.radio_news(node, news),
        }
    }

    fn greet(&mut self, node: usize, to: &NodeName) {
        let digest = self.hosts[node].running().map(|it| it.gossip.digest());
        if let Some(digest) = digest {
            let to = self.number(to);
            self.send((node, to), Packet::Gossip(Gossiped::Syn(digest)));
        }
    }

    /// The latest document is what every write under way writes in the end.
    fn save(&mut self, node: usize, document: Box<Saved>) {
        let process = self.hosts[node].process();
        let is_idle = process.is_some_and(|it| it.saving.replace(document).is_none());
        if is_idle {
            let at = self.now + self.write_time();
            self.schedule(at, Happening::Saved(node));
        }
    }

    fn write_time(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(WRITE_MS))
    }

    /// The number of a node, which its name says too.
    pub(crate) fn number(&self, name: &NodeName) -> usize {
        let number = name.as_str().trim_start_matches('n').parse();
        number.expect("nodes only know nodes of this world")
    }

    /// Gossips a value. A newer version says more in it than the others understand.
    fn publish(&mut self, node: usize, key: &str, value: Option<String>) {
        let host = &mut self.hosts[node];
        let is_newer = host.is_newer;
        let Some(process) = host.process() else {
            return;
        };
        let value = value.map(|text| match text.strip_prefix('{') {
            Some(rest) if is_newer => format!("{{\"colour\":{{\"hue\":[7]}},{rest}"),
            _ => text,
        });
        process.gossip.set(key, value.as_deref());
        let bytes = value.map_or(0, |text| text.len());
        self.checkers.table.says((node, key), bytes, self.now);
    }

    fn claims(&mut self, node: usize, claim: Option<Claim>) {
        self.log
            .tell(self.now, format_args!("{node} publishes {claim:?}"));
        let host = &self.hosts[node];
        let resumed_at = host.running().and_then(|process| process.resumed_at);
        let own_time = |at| {
            host.clock
                .at(self.now)
                .saturating_duration_since(host.clock.at(at))
        };
        let publisher = Publisher {
            on_disk: host.disk.memory.epoch,
            awake: resumed_at.map(own_time),
        };
        if let Some(claim) = claim {
            self.checkers.publishes(&claim, &publisher);
        }
        self.look();
    }

    pub(super) fn written(&mut self, node: usize, epoch: Epoch) {
        let host = &mut self.hosts[node];
        let broken = host.disk.is_broken;
        if let Some(process) = host.process() {
            process.writing = None;
        }
        if broken {
            self.notice_disk(node, Disk::Fails);
            self.step(node, Event::NotWritten(epoch));
        } else {
            host.disk.write_epoch(epoch);
            self.notice_disk(node, Disk::Works);
            self.step(node, Event::Written(epoch));
        }
    }

    /// A node has found out whether its disk works. One that fails is tried again, by a save of the document.
    pub(super) fn notice_disk(&mut self, node: usize, disk: Disk) {
        let wall_ms = self.hosts[node].moment(self.now).wall_ms;
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        if std::mem::replace(&mut process.disk, disk) == disk {
            return;
        }
        let is_idle = process.saving.is_none();
        if disk == Disk::Fails && is_idle {
            let document = process.node.replica().document().saved(wall_ms);
            process.saving = Some(Box::new(document));
            self.schedule(self.now + SAVE_AGAIN, Happening::Saved(node));
        }
        if self.core.is_none() && self.judging == Judging::Always {
            let master = self.master();
            // A master gives way only if its own disk fails, or to a disk that works again if it would rather leave.
            let stays = match disk {
                Disk::Fails => master != Some(node),
                Disk::Works => master.is_none_or(|master| self.hosts[master].may_claim()),
            };
            let who = match stays {
                true => Who::NotMaster,
                false => Who::Node(node),
            };
            let views = self.views();
            self.checkers
                .fault(self.now, Fault::NoticeDisk(who), &views);
        }
        self.log.tell(
            self.now,
            format_args!("{node} notices that its disk {disk:?}"),
        );
        self.step(node, Event::Disk(disk));
    }

    pub(super) fn saved(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        let is_broken = host.disk.is_broken;
        let Some(process) = host.process() else {
            return;
        };
        if is_broken {
            self.schedule(self.now + SAVE_AGAIN, Happening::Saved(node));
            self.notice_disk(node, Disk::Fails);
        } else if let Some(document) = process.saving.take() {
            host.disk.write_document(*document);
            self.notice_disk(node, Disk::Works);
        }
    }

    pub(crate) fn schedule_wake(&mut self, node: usize) {
        let (now, clock) = (self.now, self.hosts[node].clock);
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let wanted = clock.when(process.node.seats().wake_at()).max(now);
        // A few nanoseconds more or less are the rounding of clocks that drift, and no other wish.
        let is_new = process
            .wake_at
            .is_none_or(|at| at.abs_diff(wanted).as_micros() > 0);
        if is_new {
            process.wake_at = Some(wanted);
            self.schedule(wanted, Happening::Wake(node));
        }
    }

    /// Something happened to the streams of a node.
    fn radio_news(&mut self, node: usize, news: RadioNews) {
        let now = self.now;
        match &news {
            RadioNews::OnAir {
                encoder: id,
                mount,
                stream,
                begins_at,
            } => {
                self.log
                    .tell(now, format_args!("{node} on air {mount} {id:?} {stream:?}"));
                self.checkers.streams.on_air(*stream, (*id, *begins_at));
            }
            RadioNews::Accepted(id) | RadioNews::OnStandby(id) => {
                let what = match news {
                    RadioNews::Accepted(_) => "accepts",
                    _ => "on standby",
                };
                self.log.tell(now, format_args!("{node} {what} {id:?}"));
                let encoder = &mut self.encoders[id.encoder];
                if encoder.id() == *id {
                    encoder.accepted(now);
                }
            }
            RadioNews::Refused(id) | RadioNews::Closed(id, _) => {
                self.log.tell(now, format_args!("{node} {news:?}"));
                let encoder = &mut self.encoders[id.encoder];
                if encoder.id() == *id && matches!(news, RadioNews::Refused(_)) {
                    encoder.refused(now, &mut self.rng);
                } else if encoder.id() == *id {
                    encoder.lost(now, &mut self.rng);
                }
            }
            RadioNews::Dropped(..)
            | RadioNews::Overrun(_)
            | RadioNews::Switched(_)
            | RadioNews::Relaying(..)
            | RadioNews::Left(..) => {
                self.log.tell(now, format_args!("{node} {news:?}"));
            }
            RadioNews::Stored { .. } | RadioNews::Played { .. } => {}
        }
        self.judge_news(node, news);
    }
}
