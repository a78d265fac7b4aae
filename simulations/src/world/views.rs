//! The checkers' views of a world.

use antiphon::model::node::NodeName;
use antiphon::model::seat::Seat;
use antiphon::proto::view::MeshNode;

use super::{Judging, World};
use crate::checkers::document::Copy;
use crate::checkers::election::View;
use crate::checkers::members::{Observer, ShownNode};
use crate::checkers::seats::Sitter;
use crate::checkers::table::Ledger;
use crate::checkers::watched::{Reach, Station, WatchedMount};
use crate::encoder::{Encoder, Standing};
use crate::faults::Fault;
use crate::host::Host;
use crate::node::radio::RadioNews;

impl World {
    pub(crate) fn look(&mut self) {
        if self.judging == Judging::Always {
            if self.core.is_none() && self.net.is_foggy() {
                self.checkers.fog(self.now);
            }
            let views = self.views();
            self.checkers.look(&views);
        }
    }

    /// Every node as the election's rules see it.
    pub(crate) fn views(&self) -> Vec<View> {
        let runs = self.runs();
        let components = self.net.components(&runs);
        let view = |(number, host): (usize, &Host)| {
            let node = host.running().map(|process| &process.node);
            let seats = node.map(|node| node.seats());
            let others = self.hosts.iter().enumerate();
            let linked = others.filter(|(other, _)| self.net.is_up(number, *other, self.now));
            View {
                name: host.name.clone(),
                runs: runs[number],
                is_judged: self.is_judged(number),
                component: components[number],
                own: seats.and_then(|seats| seats.own_claim(&Seat::Master).cloned()),
                holder: seats.and_then(|seats| seats.holder(&Seat::Master).cloned()),
                eligible: host.may_claim(),
                is_young: host.is_young(self.now, self.plan.interval),
                obeyed: node.and_then(|node| node.obeyed().cloned()),
                links: linked.map(|(_, other)| other.name.clone()).collect(),
            }
        };
        self.hosts.iter().enumerate().map(view).collect()
    }

    /// Every node's listeners, and what it foresees, as the table's rules see it.
    pub(super) fn ledgers(&self) -> Vec<Ledger> {
        let components = self.net.components(&self.runs());
        let ledger = |(number, host): (usize, &Host)| {
            let crowd = host.running()?.node.crowd()?;
            let report = crowd.report();
            Some(Ledger {
                name: host.name.clone(),
                component: components[number],
                listeners: report.listeners,
                max_listeners: report.max_listeners,
                foreseen: crowd.foreseen(host.clock.at(self.now)),
            })
        };
        let hosts = self.hosts.iter().enumerate();
        let judged = hosts.filter(|(node, _)| self.is_judged(*node));
        judged.filter_map(ledger).collect()
    }

    fn runs(&self) -> Vec<bool> {
        let runs = self.hosts.iter().map(|host| host.running().is_some());
        runs.collect()
    }

    fn is_judged(&self, node: usize) -> bool {
        self.core.as_ref().is_none_or(|core| core.contains(&node))
    }

    /// Lets the checkers look at who feeds whom, and who hears nothing.
    pub(super) fn look_at_streams(&mut self) {
        let stations: Vec<Station> = (0..self.hosts.len())
            .map(|node| self.station(node))
            .collect();
        let components = self.net.components(&self.runs());
        for number in 0..self.mounts.len() {
            let watched = self.watched(number);
            let reach = Reach {
                components: &components,
                is_open: &|a, b| self.net.is_open(a, b),
            };
            self.checkers
                .streams
                .look(self.now, &watched, &stations, reach);
        }
        let waiting = self.talks.waiting();
        self.checkers
            .streams
            .look_at_size(self.now, &stations, waiting);
    }

    /// A mount by its number, and its fallback.
    fn watched(&self, number: usize) -> WatchedMount {
        let mount = self.mounts[number].clone();
        let sends = |encoder: &&Encoder| matches!(encoder.standing, Standing::Sending(..));
        let wanted = self.encoders.iter();
        let wanted = wanted.filter(|encoder| encoder.mount == mount);
        let mut nodes = wanted.clone().map(Encoder::node);
        let is_stopped = |node: usize| self.hosts[node].running().is_none();
        let falls_back = number == 0 && self.plan.streams.is_some_and(|it| it.falls_back);
        WatchedMount {
            number,
            is_free: nodes.any(|node| !node.is_some_and(is_stopped)),
            senders: wanted.clone().filter(sends).map(Encoder::id).collect(),
            encoders: wanted.map(|encoder| encoder.id().encoder).collect(),
            fallback: falls_back.then(|| Box::new(self.watched(1))),
            mount,
        }
    }

    fn station(&self, node: usize) -> Station {
        let host = &self.hosts[node];
        let running = host.running().map(|process| &process.node);
        let radio = running.map(|node| node.radio());
        let mounts = self.mounts.iter();
        Station {
            life: host.life,
            runs: radio.is_some(),
            is_judged: self.is_judged(node),
            is_slow: !host.slow_by.is_zero(),
            is_draining: host.has_resigned,
            upstreams: mounts
                .clone()
                .map(|mount| {
                    let (name, _) = radio?.upstream(mount)?;
                    Some(self.number(name))
                })
                .collect(),
            positions: mounts.clone().map(|mount| radio?.position(mount)).collect(),
            on_air: mounts.map(|mount| radio?.on_air(mount)).collect(),
            // A claim to each seat beside the master's comes on top of what every node may say.
            keys: host.running().map_or(0, |it| {
                let other_seats = self.plan.other_seats();
                it.gossip.most_keys().saturating_sub(other_seats)
            }),
            size: running.map(|node| node.size()).unwrap_or_default(),
        }
    }

    /// Lets the checkers look at who holds the other seats. Of a core they promise nothing: what is outside of it,
    /// and broken, may hold one of them.
    pub(super) fn look_at_seats(&mut self) {
        if self.plan.other_seats() == 0 || self.core.is_some() {
            return;
        }
        let components = self.net.components(&self.runs());
        let sitter = |(number, host): (usize, &Host)| {
            let node = &host.running()?.node;
            let held = node.seats().others_held();
            let follows = held.into_iter().map(|(seat, claim)| (seat, claim.node));
            let transcoded = self.plan.transcoded().into_keys().map(Seat::Transcoder);
            let seats = self.plan.outside_seats().into_iter().chain(transcoded);
            Some(Sitter {
                name: host.name.clone(),
                component: components[number],
                is_draining: node.is_draining(),
                is_young: host.is_young(self.now, self.plan.interval),
                tools: host.tools.clone(),
                follows: follows.collect(),
                holds: seats
                    .filter(|seat| node.seats().own_claim(seat).is_some())
                    .collect(),
            })
        };
        let hosts = self.hosts.iter().enumerate();
        let sitters: Vec<Sitter> = hosts.filter_map(sitter).collect();
        self.checkers.seats.look(self.now, &sitters);
        self.checkers.transcoders.look(self.now, &sitters);
    }

    /// Lets the checkers look at which nodes are shown, in a world whose operators forget some.
    pub(super) fn look_at_members(&mut self) {
        let forgets = |(_, fault): &(_, Fault)| *fault == Fault::Forget;
        if !self.plan.steps.iter().any(forgets) {
            return;
        }
        let components = self.net.components(&self.runs());
        let shown = |(name, node): (&NodeName, &MeshNode)| {
            let shown = ShownNode {
                life: node.generation,
                is_up: node.is_up(),
            };
            (name.clone(), shown)
        };
        let observer = |(number, host): (usize, &Host)| {
            let node = &host.running()?.node;
            Some(Observer {
                name: host.name.clone(),
                component: components[number],
                shown: node.view().nodes.iter().map(shown).collect(),
                forgotten: node.replica().forgotten().clone(),
            })
        };
        let hosts = self.hosts.iter().enumerate();
        let observers: Vec<Observer> = hosts.filter_map(observer).collect();
        self.checkers.members.look(self.now, &observers);
    }

    /// Lets the checkers compare the documents.
    pub(super) fn look_at_documents(&mut self) {
        let components = self.net.components(&self.runs());
        for (node, host) in self.hosts.iter().enumerate() {
            let Some(process) = host.running().filter(|_| self.is_judged(node)) else {
                continue;
            };
            self.checkers.document.see(Copy {
                node,
                life: host.life,
                component: components[node],
                document: process.node.replica().document(),
            });
        }
        let runs = self.hosts.iter().map(Host::running);
        let everybody: Option<Vec<_>> = runs.collect();
        let sample = everybody.filter(|_| self.core.is_none());
        let sample = sample.map(|nodes| nodes[0].node.replica().document());
        self.checkers.document.compare(self.now, sample);
    }

    pub(super) fn judge_news(&mut self, node: usize, news: RadioNews) {
        if self.judging == Judging::Always {
            let life = self.hosts[node].life;
            self.checkers.streams.hear((node, life), news, self.now);
        }
    }
}
