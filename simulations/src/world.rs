//! A whole cluster on one thread, in virtual time, from a seed.
//!
//! Nothing in here reads a clock: `base` is only the zero that the elections' `Instant`s count from.
//! Two runs of a seed do the same things at the same times, which [`World::finish`] proves by a hash.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use antiphon::logic::election::{Health, Member};
use antiphon::model::seat::{Epoch, Rank};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::checkers::{Checkers, Findings, View};
use crate::faults::Fault;
use crate::gossip::{Gossiped, News};
use crate::host::{Host, INTERVAL, State};
use crate::log::{Log, Trace};
use crate::net::{Carrier, Net};
use crate::node::{Deed, Event, LinkMessage};
use crate::scenario::Plan;

/// How long a write to disk takes: an SSD's fsync to a busy hard disk's.
const WRITE_MS: std::ops::RangeInclusive<u64> = 1..=30;

/// What travels between two machines.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Gossip's own.
    Gossip(Gossiped),
    /// A message over a link.
    Link(LinkMessage),
}

/// What can happen at some time.
#[derive(Debug)]
pub enum Happening {
    /// A node's gossip interval is over.
    Round(usize),
    /// A node wanted to be woken now.
    Wake(usize),
    /// A packet arrives.
    Arrive(usize, usize, Packet),
    /// A disk has done what it could.
    Written(usize, Epoch),
    /// The story goes on.
    Fault(Fault),
    /// A machine is switched on.
    Start(usize),
}

/// A cluster and all that surrounds it.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Duration,
    base: Instant,
    pub(crate) rng: SmallRng,
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Net,
    /// What will happen, in order; for a node, also in which of its lives.
    agenda: BTreeMap<(Duration, u64), (u32, Happening)>,
    serial: u64,
    plan: Plan,
    pub(crate) checkers: Checkers,
    pub(crate) log: Log,
    end: Duration,
}

impl World {
    /// A world of switched-off machines that come up within the first second.
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant has no other beginning; only distances from it are used"
    )]
    pub fn new(plan: Plan, seed: u64, trace: Trace) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut net = Net::new(plan.nodes);
        net.loss = plan.loss;
        // Few ranks for many nodes: order by rank, by name, and both against each other.
        let rank = |_| Rank(rng.random_range(0..3));
        let ranks: Vec<_> = (0..plan.nodes).map(rank).collect();
        let hosts = ranks.into_iter().enumerate();
        let size = (plan.nodes, plan.quorum);
        let mut world = Self {
            now: Duration::ZERO,
            base: Instant::now(),
            hosts: hosts
                .map(|(number, rank)| Host::new(number, rank))
                .collect(),
            checkers: Checkers::new(INTERVAL, net.delay.1, size),
            net,
            agenda: BTreeMap::new(),
            serial: 0,
            end: plan.end,
            log: Log::new(trace),
            rng,
            plan,
        };
        for number in 0..world.plan.nodes {
            let at = Duration::from_millis(world.rng.random_range(0..1_000));
            world.schedule(at, Happening::Start(number));
        }
        for (at, fault) in world.plan.steps.clone() {
            world.schedule(at, Happening::Fault(fault));
        }
        world
    }

    /// Lets gossip travel over datagrams, to compare it with measurements.
    pub fn over_datagrams(mut self) -> Self {
        self.net.carrier = Carrier::Datagrams;
        self
    }

    /// Runs to the end of its plan.
    pub fn run(mut self) -> (Findings, u64) {
        self.run_until(self.end);
        self.finish()
    }

    /// Runs until this time.
    pub fn run_until(&mut self, end: Duration) {
        while let Some(next) = self.agenda.first_entry().filter(|next| next.key().0 <= end) {
            let ((at, _), (life, happening)) = next.remove_entry();
            self.advance(at);
            self.happen(life, happening);
        }
        self.advance(end);
    }

    /// What the checkers say, and a hash of all that has happened.
    pub fn finish(self) -> (Findings, u64) {
        let views = self.views();
        (self.checkers.finish(&views), self.log.hash())
    }

    /// Whether a node's gossip takes another one for alive; `None` if it does not know it.
    pub fn is_live(&self, observer: usize, node: usize) -> Option<bool> {
        self.hosts[observer].running()?.gossip.is_live(node)
    }

    fn advance(&mut self, at: Duration) {
        self.now = at;
        self.checkers.elapse(at);
    }

    pub(crate) fn schedule(&mut self, at: Duration, happening: Happening) {
        let life = match &happening {
            Happening::Round(node) | Happening::Wake(node) | Happening::Written(node, _) => {
                self.hosts[*node].life
            }
            Happening::Arrive(_, to, _) => self.hosts[*to].life,
            Happening::Fault(_) | Happening::Start(_) => 0,
        };
        self.serial += 1;
        self.agenda.insert((at, self.serial), (life, happening));
    }

    fn happen(&mut self, life: u32, happening: Happening) {
        let node = match &happening {
            Happening::Round(node) | Happening::Wake(node) | Happening::Written(node, _) => *node,
            Happening::Arrive(_, to, _) => *to,
            Happening::Fault(fault) => return self.strike(*fault),
            Happening::Start(node) => return self.start(*node),
        };
        if life != self.hosts[node].life {
            return;
        }
        let Some(happening) = self.hosts[node].stash(happening) else {
            return;
        };
        self.log.count(self.now, node);
        self.wake_up_to(node, happening);
    }

    /// Lets a running process handle an event.
    pub(crate) fn wake_up_to(&mut self, node: usize, happening: Happening) {
        let now = self.now;
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        match happening {
            Happening::Round(_) => self.round(node),
            Happening::Wake(_) if process.wake_at.is_some_and(|at| at <= now) => {
                process.wake_at = None;
                self.step(node, Event::Wake);
            }
            Happening::Arrive(from, _, Packet::Gossip(message)) => {
                self.gossip(node, from, message);
            }
            Happening::Arrive(from, _, Packet::Link(message)) => {
                let from = self.hosts[from].name.clone();
                self.step(node, Event::Link(from, message));
            }
            Happening::Written(_, epoch) => self.written(node, epoch),
            Happening::Wake(_) | Happening::Fault(_) | Happening::Start(_) => {}
        }
    }

    pub(crate) fn start(&mut self, node: usize) {
        if !matches!(self.hosts[node].state, State::Down) {
            return;
        }
        let (times, size) = ((self.now, self.base + self.now), (node, self.hosts.len()));
        self.net.forget(node);
        self.hosts[node].start(size, self.plan.quorum, times);
        self.log.tell(self.now, format_args!("{node} starts"));
        self.schedule(self.now, Happening::Round(node));
        self.schedule_wake(node);
    }

    fn round(&mut self, node: usize) {
        let now = self.now;
        self.schedule(now + INTERVAL, Happening::Round(node));
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let contacts = process.gossip.contacts();
        let targets = process.gossip.round(&mut self.rng);
        let digest = process.gossip.digest();
        for other in contacts {
            if self.hosts[other].running().is_some() {
                self.net.keep_alive((node, other), now, &mut self.rng);
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
    fn tell_members(&mut self, node: usize) {
        let Some(process) = self.hosts[node].running() else {
            return;
        };
        let health = |other: usize| {
            let heard = process.gossip.is_live(other).filter(|_| other != node)?;
            let linked = self.net.is_up(node, other, self.now);
            Some(match (heard, linked) {
                (true, true) => Health::Alive,
                (false, false) => Health::Dead,
                _ => Health::Doubtful,
            })
        };
        let view: Vec<_> = (0..self.hosts.len()).map(health).collect();
        if view == process.told {
            return;
        }
        self.log
            .tell(self.now, format_args!("{node} sees {view:?}"));
        let known = view.iter().zip(&self.hosts);
        let members = known.filter_map(|(health, host)| {
            let rank = host.rank;
            health.map(|health| (host.name.clone(), Member { rank, health }))
        });
        let members = members.collect();
        if let Some(process) = self.hosts[node].process() {
            process.told = view;
        }
        self.step(node, Event::Members(members));
    }

    fn gossip(&mut self, node: usize, from: usize, message: Gossiped) {
        let mut news = News::new();
        let now = self.now;
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let answer = process.gossip.hear(message, now, &mut news);
        if let Some(answer) = answer {
            self.send((node, from), Packet::Gossip(answer));
        }
        for (about, claim) in news {
            let about = self.hosts[about].name.clone();
            self.step(node, Event::Value(about, claim));
        }
    }

    fn written(&mut self, node: usize, epoch: Epoch) {
        let host = &mut self.hosts[node];
        let broken = host.disk_is_broken;
        if let Some(process) = host.process() {
            process.writing = None;
        }
        if broken {
            self.step(node, Event::NotWritten(epoch));
        } else {
            host.on_disk = host.on_disk.max(epoch);
            self.step(node, Event::Written(epoch));
        }
    }

    fn send(&mut self, (from, to): (usize, usize), packet: Packet) {
        let needs_link = matches!(packet, Packet::Link(_)) || self.net.carrier == Carrier::Links;
        if from == to || (needs_link && !self.net.is_up(from, to, self.now)) {
            return;
        }
        for delay in self.net.ways(from, to, &mut self.rng) {
            let packet = packet.clone();
            self.schedule(self.now + delay, Happening::Arrive(from, to, packet));
        }
    }

    /// Lets a node's logic take in one event, and does what it says.
    pub(crate) fn step(&mut self, node: usize, event: Event) {
        let at = self.base + self.now;
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let deeds = process.node.step(event, at);
        let epoch = process.node.election().max_epoch();
        self.checkers.epoch(&self.hosts[node].name, epoch);
        for deed in deeds {
            self.perform(node, deed);
        }
        self.schedule_wake(node);
    }

    fn perform(&mut self, node: usize, deed: Deed) {
        match deed {
            Deed::Send(to, message) => {
                let to = self.hosts.iter().position(|host| host.name == to);
                let to = to.expect("nodes only know nodes of this world");
                self.send((node, to), Packet::Link(message));
            }
            Deed::Broadcast(message) => {
                for to in 0..self.hosts.len() {
                    self.send((node, to), Packet::Link(message.clone()));
                }
            }
            Deed::Write(epoch) => {
                if let Some(process) = self.hosts[node].process() {
                    process.writing = Some(epoch);
                }
                let delay = Duration::from_millis(self.rng.random_range(WRITE_MS));
                self.schedule(self.now + delay, Happening::Written(node, epoch));
            }
            Deed::Gossip(claim) => self.publish(node, claim),
            Deed::Changed(claim) => {
                self.log
                    .tell(self.now, format_args!("{node} follows {claim:?}"));
                self.look();
            }
            Deed::Applied(fence) => {
                let host = &self.hosts[node];
                self.checkers.applies((&host.name, host.life), &fence);
            }
        }
    }

    fn publish(&mut self, node: usize, claim: Option<antiphon::model::seat::Claim>) {
        self.log
            .tell(self.now, format_args!("{node} publishes {claim:?}"));
        let host = &mut self.hosts[node];
        let on_disk = host.on_disk;
        let Some(process) = host.process() else {
            return;
        };
        process.gossip.set(claim.clone());
        let state = (on_disk, process.resumed_at);
        if let Some(claim) = &claim {
            self.checkers.publishes(claim, state);
        }
        self.look();
    }

    pub(crate) fn schedule_wake(&mut self, node: usize) {
        let (now, base) = (self.now, self.base);
        let Some(process) = self.hosts[node].process() else {
            return;
        };
        let wanted = process
            .node
            .election()
            .wake_at()
            .duration_since(base)
            .max(now);
        if process.wake_at != Some(wanted) {
            process.wake_at = Some(wanted);
            self.schedule(wanted, Happening::Wake(node));
        }
    }

    pub(crate) fn look(&mut self) {
        let views = self.views();
        self.checkers.look(&views);
    }

    pub(crate) fn views(&self) -> Vec<View> {
        let runs: Vec<_> = self
            .hosts
            .iter()
            .map(|host| host.running().is_some())
            .collect();
        let components = self.net.components(&runs);
        let view = |(number, host): (usize, &Host)| {
            let node = host.running().map(|process| &process.node);
            let election = node.map(|node| node.election());
            let others = self.hosts.iter().enumerate();
            let linked = others.filter(|(other, _)| self.net.is_up(number, *other, self.now));
            View {
                name: host.name.clone(),
                runs: runs[number],
                component: components[number],
                own: election.and_then(|election| election.own_claim().cloned()),
                holder: election.and_then(|election| election.holder().cloned()),
                eligible: !host.has_resigned && !host.disk_is_broken,
                is_young: host.is_young(self.now),
                obeyed: node.and_then(|node| node.obeyed().cloned()),
                links: linked.map(|(_, other)| other.name.clone()).collect(),
            }
        };
        self.hosts.iter().enumerate().map(view).collect()
    }

    /// The order in which a process that goes on finds what has waited for it.
    pub(crate) fn shuffle(&mut self, happenings: &mut [Happening]) {
        happenings.shuffle(&mut self.rng);
    }
}
