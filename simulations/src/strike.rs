//! How a fault is done to a world.

use std::mem;

use antiphon::model::node::NodeName;
use rand::Rng;
use rand::seq::{IteratorRandom, SliceRandom};

use crate::faults::{Fault, Who};
use crate::host::{Host, INTERVAL, State};
use crate::node::Event;
use crate::world::World;

impl World {
    /// Lets a fault happen; one that finds nobody to hit does nothing.
    pub(crate) fn strike(&mut self, fault: Fault) {
        let views = self.views();
        self.checkers.fault(fault, &views);
        self.log.tell(self.now, format_args!("== {fault:?}"));
        match fault {
            Fault::Crash(who) => self.each(who, Self::crash),
            Fault::Restart => {
                for node in 0..self.hosts.len() {
                    self.start(node);
                }
            }
            Fault::Pause(who) => self.each(who, Self::pause),
            Fault::Resume => {
                for node in 0..self.hosts.len() {
                    self.resume(node);
                }
            }
            Fault::Split(nodes) => self.split(nodes),
            Fault::Mute(who) => self.each(who, |world, node| {
                world.cut_all(node, |net, other| net.cut(node, other));
            }),
            Fault::Deafen(who) => self.each(who, |world, node| {
                world.cut_all(node, |net, other| net.cut(other, node));
            }),
            Fault::Bridge => self.bridge(),
            Fault::Heal => self.net.heal(),
            Fault::Loss(loss) => self.net.loss = loss,
            Fault::Resign(who) => self.each(who, |world, node| {
                world.hosts[node].has_resigned = true;
                world.step(node, Event::Resign);
            }),
            Fault::Unresign => {
                // A stopped process cannot be asked.
                let runs = |node: &usize| self.hosts[*node].running().is_some();
                let running: Vec<_> = (0..self.hosts.len()).filter(runs).collect();
                for node in running {
                    self.hosts[node].has_resigned = false;
                    self.step(node, Event::Unresign);
                }
            }
            Fault::BreakDisk(who) => {
                self.each(who, |world, node| world.hosts[node].disk_is_broken = true);
            }
            Fault::FixDisks => {
                for host in &mut self.hosts {
                    host.disk_is_broken = false;
                }
            }
        }
        self.look();
    }

    fn each(&mut self, who: Who, act: impl FnOnce(&mut Self, usize)) {
        if let Some(node) = self.find(who) {
            self.log.tell(self.now, format_args!("   hits {node}"));
            act(self, node);
        }
    }

    fn find(&mut self, who: Who) -> Option<usize> {
        let claim = |host: &Host| host.running()?.node.election().own_claim().cloned();
        let claims = self.hosts.iter().filter_map(claim);
        let master: Option<NodeName> = claims.max().map(|claim| claim.node);
        let hosts = self.hosts.iter().enumerate();
        let mut running = hosts.filter(|(_, host)| host.running().is_some());
        match who {
            Who::Node(node) => running.find(|(number, _)| *number == node),
            Who::Master => running.find(|(_, host)| Some(&host.name) == master.as_ref()),
            Who::NotMaster => running
                .filter(|(_, host)| Some(&host.name) != master.as_ref())
                .choose(&mut self.rng),
        }
        .map(|(number, _)| number)
    }

    fn crash(&mut self, node: usize) {
        let reached_disk = self.rng.random::<bool>();
        let host = &mut self.hosts[node];
        let writing = host.process().and_then(|process| process.writing);
        if let Some(epoch) = writing.filter(|_| reached_disk && !host.disk_is_broken) {
            host.on_disk = host.on_disk.max(epoch);
        }
        host.state = State::Down;
        self.net.forget(node);
    }

    fn pause(&mut self, node: usize) {
        let state = &mut self.hosts[node].state;
        *state = match mem::replace(state, State::Down) {
            State::Running(process) => State::Paused(process, self.now, Vec::new()),
            other => other,
        };
    }

    fn resume(&mut self, node: usize) {
        let state = &mut self.hosts[node].state;
        let (mut process, since, mut waiting) = match mem::replace(state, State::Down) {
            State::Paused(process, since, waiting) => (process, since, waiting),
            other => {
                *state = other;
                return;
            }
        };
        // A round may be late by two intervals, and one had yet to pass.
        if self.now - since > INTERVAL * 4 {
            process.resumed_at = Some(self.now);
        }
        *state = State::Running(process);
        self.shuffle(&mut waiting);
        for happening in waiting {
            self.wake_up_to(node, happening);
        }
    }

    fn split(&mut self, nodes: usize) {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.shuffle(&mut self.rng);
        let (few, rest) = order.split_at(nodes.min(order.len()));
        for (a, b) in few.iter().flat_map(|a| rest.iter().map(move |b| (*a, *b))) {
            self.net.cut(a, b);
            self.net.cut(b, a);
        }
    }

    fn cut_all(&mut self, node: usize, cut: impl Fn(&mut crate::net::Net, usize)) {
        for other in (0..self.hosts.len()).filter(|other| *other != node) {
            cut(&mut self.net, other);
        }
    }

    fn bridge(&mut self) {
        if let (Some(master), Some(other)) = (self.find(Who::Master), self.find(Who::NotMaster)) {
            self.net.cut(master, other);
            self.net.cut(other, master);
        }
    }
}
