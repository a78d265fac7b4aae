//! How a fault is done to a world.

use std::collections::BTreeSet;
use std::mem;
use std::time::Duration;

use antiphon::model::node::NodeName;
use antiphon::model::seat::Seat;
use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom, SliceRandom};

use crate::faults::{DiskFate, Fault, Who};
use crate::happening::Happening;
use crate::host::{Host, State};
use crate::net::{Net, Spells};
use crate::node::Event;
use crate::world::{Judging, World};

/// A pause of so many gossip intervals is noticed by the node itself: a round may be late by two, and one had
/// yet to pass.
const NOTICED_INTERVALS: u32 = 4;

impl World {
    /// Lets a fault happen; one that finds nobody to hit does nothing.
    pub(crate) fn strike(&mut self, fault: Fault) {
        // What happens to the rest, once a core must work, excuses nothing.
        if self.core.is_none() && self.judging == Judging::Always {
            let views = self.views();
            self.checkers.fault(self.now, fault, &views);
        }
        self.log.tell(self.now, format_args!("== {fault:?}"));
        match fault {
            Fault::Crash(who) => self.each(who, Self::crash),
            Fault::Restart(fate) => self.restart(fate),
            Fault::Pause(who) => self.each(who, Self::pause),
            Fault::Resume => (0..self.hosts.len()).for_each(|node| self.resume(node)),
            Fault::Resign(who) => self.each(who, |world, node| world.retire(node, Event::Resign)),
            Fault::Drain(who) => self.each(who, |world, node| world.retire(node, Event::Drain)),
            Fault::Unresign => self.unresign(),
            Fault::BreakDisk(who) => {
                self.each(who, |world, node| world.hosts[node].disk.is_broken = true);
            }
            Fault::Forget => self.forget_dead(),
            Fault::FixDisks => self.each_host(|host| host.disk.is_broken = false),
            Fault::Jump(who, by_ms) => {
                self.each(who, |world, node| world.hosts[node].clock.jump(by_ms));
            }
            Fault::FixClocks => self.each_host(|host| host.clock.set_right()),
            Fault::Slow(who, by) => {
                self.each(who, |world, node| world.hosts[node].slow_by = by);
            }
            Fault::Hasten => self.each_host(|host| host.slow_by = Duration::ZERO),
            Fault::Unplug => {
                let encoders = (0..self.encoders.len()).choose(&mut self.rng);
                encoders
                    .into_iter()
                    .for_each(|number| self.disconnect(number));
            }
            Fault::LoseTools(who) => self.each(who, |world, node| {
                world.hosts[node].tools.fail();
                world.show_tools(node);
            }),
            Fault::MendTools => self.mend_tools(),
            Fault::HealCore(nodes) => self.heal_core(nodes),
            on_the_way => self.disturb(on_the_way),
        }
        self.look();
    }

    /// Strikes the network between nodes.
    fn disturb(&mut self, fault: Fault) {
        match fault {
            Fault::Split(nodes) => self.split(nodes),
            Fault::Isolate(who) => self.each(who, |world, node| {
                world.cut_all(node, |net, other| {
                    net.cut(node, other);
                    net.cut(other, node);
                });
            }),
            Fault::Mute(who) => self.each(who, |world, node| {
                world.cut_all(node, |net, other| net.cut(node, other));
            }),
            Fault::Deafen(who) => self.each(who, |world, node| {
                world.cut_all(node, |net, other| net.cut(other, node));
            }),
            Fault::Bridge => self.bridge(),
            Fault::Flap(who, period) => self.each(who, |world, node| {
                world.flapping.insert(node);
                world.flip(node, period);
            }),
            Fault::Flip(node, period) => self.flip(node, period),
            Fault::Heal => {
                self.net.heal();
                self.flapping.clear();
            }
            Fault::Loss(loss) => {
                self.net.weather.loss = loss;
                self.net.weather.spells = None;
            }
            Fault::Bursts(good, bad) => self.net.weather.spells = Some(Spells { good, bad }),
            Fault::Delay(least, most) => self.net.weather.delay = (least, most),
            Fault::Duplicates(share) => self.net.weather.duplicated = share,
            _ => {}
        }
    }

    fn each(&mut self, who: Who, act: impl FnOnce(&mut Self, usize)) {
        if let Some(node) = self.find(who) {
            self.log.tell(self.now, format_args!("   hits {node}"));
            act(self, node);
        }
    }

    fn each_host(&mut self, act: impl FnMut(&mut Host)) {
        self.hosts.iter_mut().for_each(act);
    }

    /// The number of the master, or of the greatest of those who claim to be it.
    pub(crate) fn master(&self) -> Option<usize> {
        let claim = |host: &Host| {
            host.running()?
                .node
                .seats()
                .own_claim(&Seat::Master)
                .cloned()
        };
        let claims = self.hosts.iter().filter_map(claim);
        claims.max().map(|claim| self.number(&claim.node))
    }

    fn is_ingest(&self, node: usize) -> bool {
        let process = self.hosts[node].running();
        let mut mounts = self.mounts.iter();
        process
            .is_some_and(|process| mounts.any(|mount| process.node.radio().on_air(mount).is_some()))
    }

    fn find(&mut self, who: Who) -> Option<usize> {
        let master = self.master();
        let is_master = |node: &usize| Some(*node) == master;
        let running: Vec<usize> = (0..self.hosts.len())
            .filter(|node| self.hosts[*node].running().is_some())
            .collect();
        let fits = |node: &usize| match who {
            Who::Node(number) => *node == number,
            Who::Master => is_master(node),
            Who::NotMaster => !is_master(node),
            Who::Ingest => self.is_ingest(*node),
            Who::Relay => !is_master(node) && !self.is_ingest(*node),
            Who::Anyone => true,
        };
        let fitting: Vec<usize> = running.into_iter().filter(fits).collect();
        let others = fitting.iter().filter(|node| !is_master(node));
        let chosen = match who {
            Who::Ingest => others.choose(&mut self.rng).or(fitting.first()),
            _ => fitting.choose(&mut self.rng),
        };
        chosen.copied()
    }

    fn crash(&mut self, node: usize) {
        let reached_disk = self.rng.random::<bool>();
        let host = &mut self.hosts[node];
        let process = host.process();
        let (writing, saving) = process.map_or((None, None), |process| {
            (process.writing, process.saving.take())
        });
        if reached_disk && !host.disk.is_broken {
            if let Some(epoch) = writing {
                host.disk.write_epoch(epoch);
            }
            if let Some(document) = saving {
                host.disk.write_document(*document);
            }
        }
        host.state = State::Down;
        self.net.forget(node);
        self.talks.forget(node);
        self.checkers
            .document
            .remembers(node, host.disk.memory.document.as_ref());
    }

    fn restart(&mut self, fate: DiskFate) {
        for node in 0..self.hosts.len() {
            let host = &mut self.hosts[node];
            if !matches!(host.state, State::Down) {
                continue;
            }
            match fate {
                DiskFate::Same => {}
                DiskFate::Lost => host.disk.lose(),
                DiskFate::Stale => host.disk.go_back(),
            }
            if fate != DiskFate::Same {
                self.checkers.forgets(&host.name);
                let on_disk = host.disk.memory.document.as_ref();
                self.checkers.document.remembers(node, on_disk);
            }
            self.start(node);
        }
    }

    fn retire(&mut self, node: usize, event: Event) {
        self.hosts[node].has_resigned = true;
        self.step(node, event);
    }

    fn unresign(&mut self) {
        for node in 0..self.hosts.len() {
            // A stopped process cannot be asked.
            if self.hosts[node].running().is_some() {
                self.hosts[node].has_resigned = false;
                self.step(node, Event::Undrain);
            }
        }
    }

    fn mend_tools(&mut self) {
        for node in 0..self.hosts.len() {
            // A stopped process would not notice.
            if self.hosts[node].running().is_some() {
                self.hosts[node].tools.mend();
                self.show_tools(node);
            }
        }
    }

    /// At some node, an operator forgets all nodes that are dead there.
    fn forget_dead(&mut self) {
        let Some(node) = self.find(Who::Anyone) else {
            return;
        };
        let view = self.hosts[node]
            .running()
            .map(|process| process.node.view());
        let dead = view.into_iter().flat_map(|view| &view.nodes);
        let dead = dead.filter(|(_, seen)| !seen.is_up());
        let dead: Vec<NodeName> = dead.map(|(name, _)| name.clone()).collect();
        for name in dead {
            self.log
                .tell(self.now, format_args!("   {node} forgets {name}"));
            self.step(node, Event::Forget(name));
        }
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
        if self.now - since > self.plan.interval * NOTICED_INTERVALS {
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

    fn cut_all(&mut self, node: usize, cut: impl Fn(&mut Net, usize)) {
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

    /// Pulls a cable or plugs it in, and does so again after a while.
    fn flip(&mut self, node: usize, period: Duration) {
        if self.flapping.contains(&node) {
            self.net.toggle_cable(node);
            let again = Happening::Fault(Fault::Flip(node, period));
            self.schedule(self.now + period, again);
        }
    }

    /// So many random nodes, and all between them, are well from now on; the rest stays as it is.
    fn heal_core(&mut self, nodes: usize) {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.shuffle(&mut self.rng);
        let core: BTreeSet<usize> = order.into_iter().take(nodes).collect();
        self.log.tell(self.now, format_args!("   core {core:?}"));
        self.net.heal_among(&core);
        for node in &core {
            self.flapping.remove(node);
            let host = &mut self.hosts[*node];
            host.disk.is_broken = false;
            host.slow_by = Duration::ZERO;
            host.clock.set_right();
            host.has_resigned = false;
            self.resume(*node);
            self.start(*node);
            self.step(*node, Event::Undrain);
        }
        for number in 0..self.encoders.len() {
            let at = self.encoders[number].node();
            if at.is_some_and(|node| !core.contains(&node)) {
                self.disconnect(number);
            }
        }
        self.core = Some(core);
        self.checkers.focus(self.now);
    }
}
