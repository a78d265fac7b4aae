//! A whole cluster on one thread, in virtual time, from a seed.
//!
//! Nothing in here reads a clock: `base` is only the zero that the nodes' `Instant`s count from. Two runs of a
//! seed do the same things at the same times, which [`World::finish`] proves by a hash.

mod actions;
mod beats;
mod operator;
mod players;
mod rounds;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use antiphon::model::mount::MountName;
use antiphon::model::seat::Rank;
use antiphon::proto::seats::Disk;
use rand::rngs::SmallRng;
use rand::seq::{SliceRandom, index};
use rand::{Rng, SeedableRng};

use crate::checkers::{Checkers, Findings};
use crate::clock::Clock;
use crate::encoder::{Encoder, EncoderId};
use crate::happening::{Happening, Packet};
use crate::host::{Host, Surroundings};
use crate::log::{Log, Trace};
use crate::net::{Carrier, Net};
use crate::node::Event;
use crate::plan::Plan;
use crate::talk::Talks;
use crate::tools::Tools;

/// How often streams have their turn in a node: shorter than every wait in production's code for them.
const BEAT: Duration = Duration::from_millis(20);
/// How often encoders look after their connections, and the checkers after the streams.
const TICK: Duration = Duration::from_millis(50);
/// When the first encoders connect: when the mesh has a master, and everybody the mounts.
const ON_AIR_AT: Duration = Duration::from_secs(4);

/// Whether the rules are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judging {
    /// At every step.
    Always,
    /// Not at all: a measurement of a mesh so large that a look at all of it takes long.
    Never,
}

/// A cluster and all that surrounds it.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Duration,
    pub(crate) rng: SmallRng,
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Net,
    pub(crate) talks: Talks,
    pub(crate) encoders: Vec<Encoder>,
    /// Connections whose end their nodes have yet to notice.
    orphans: Vec<(usize, EncoderId)>,
    /// The coming happenings, in order; for a node, also in which of its lives.
    agenda: BTreeMap<(Duration, u64), (u32, Happening)>,
    serial: u64,
    pub(crate) plan: Plan,
    pub(crate) mounts: Vec<MountName>,
    /// How many players have come until now.
    players: u64,
    /// The nodes that must work while the rest stays broken, once that is decided.
    pub(crate) core: Option<BTreeSet<usize>>,
    /// Nodes whose cable is pulled and plugged in again.
    pub(crate) flapping: BTreeSet<usize>,
    pub(crate) judging: Judging,
    pub(crate) checkers: Checkers,
    pub(crate) log: Log,
    /// The gossip that each node has sent, bytes.
    gossip_bytes: Vec<u64>,
}

impl World {
    /// A world of switched-off machines that come up within the first second.
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant has no other beginning; only distances from it are used"
    )]
    pub fn new(plan: Plan, seed: u64, trace: Trace) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let base = Instant::now();
        let mut net = Net::new(plan.nodes);
        net.weather.loss = plan.loss;
        let mounts = (0..plan.streams.map_or(0, |streams| streams.mounts))
            .map(|number| MountName::try_from(format!("/m{number}")).expect("a plain path"));
        let mut world = Self {
            now: Duration::ZERO,

            hosts: hosts(&plan, base, &mut rng),
            checkers: Checkers::new(&plan, net.weather.delay.1),
            net,
            talks: Talks::default(),
            encoders: Vec::new(),
            orphans: Vec::new(),
            agenda: BTreeMap::new(),
            serial: 0,
            mounts: mounts.collect(),
            players: 0,
            core: None,
            flapping: BTreeSet::new(),
            judging: Judging::Always,
            log: Log::new(trace),
            gossip_bytes: vec![0; plan.nodes],
            rng,
            plan,
        };
        world.populate();
        world
    }

    /// Puts all that will happen by itself on the agenda.
    fn populate(&mut self) {
        for number in 0..self.plan.nodes {
            let at = Duration::from_millis(self.rng.random_range(0..1_000));
            self.schedule(at, Happening::Start(number));
        }
        for (at, fault) in self.plan.steps.clone() {
            self.schedule(at, Happening::Fault(fault));
        }
        if let Some(streams) = self.plan.streams {
            for mount in self.mounts.clone() {
                for _ in 0..streams.encoders {
                    let late = Duration::from_millis(self.rng.random_range(0..1_500));
                    let number = self.encoders.len();
                    let encoder = Encoder::new(number, mount.clone(), ON_AIR_AT + late);
                    self.encoders.push(encoder);
                }
                self.seat_listeners(&mount, streams.listeners);
            }
        }
        if self.has_tasks() {
            self.schedule(TICK, Happening::Tick);
        }
        self.schedule_edit();
        self.invite_players();
    }

    /// Whether nodes do more than to gossip and to elect.
    fn has_tasks(&self) -> bool {
        let plan = &self.plan;
        plan.streams.is_some() || plan.edits_per_minute > 0.0 || plan.other_seats() > 0
    }

    fn seat_listeners(&mut self, mount: &MountName, share: f64) {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.shuffle(&mut self.rng);
        let seats = ((order.len() as f64 * share).round() as usize).max(1);
        for node in order.into_iter().take(seats) {
            self.hosts[node].audience.push(mount.clone());
        }
    }

    /// Lets gossip travel over datagrams, to compare it with measurements.
    pub fn over_datagrams(mut self) -> Self {
        self.net.carrier = Carrier::Datagrams;
        self
    }

    /// Does not judge, to measure large meshes.
    pub fn unjudged(mut self) -> Self {
        self.judging = Judging::Never;
        self
    }

    /// Runs to the end of its plan.
    pub fn run(mut self) -> (Findings, u64) {
        self.run_until(self.plan.end);
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

    /// The findings of the checkers, and a hash of all that has happened.
    pub fn finish(mut self) -> (Findings, u64) {
        self.look();
        self.look_at_streams();
        let (views, ledgers) = (self.views(), self.ledgers());
        let findings = self.checkers.finish((&views, &ledgers), self.now);
        (findings, self.log.hash())
    }

    fn advance(&mut self, at: Duration) {
        self.now = at;
        if self.judging == Judging::Always {
            self.checkers.elapse(at);
        }
    }

    pub(crate) fn schedule(&mut self, mut at: Duration, happening: Happening) {
        let life = happening.node().map_or(0, |node| {
            let host = &self.hosts[node];
            if !host.slow_by.is_zero() {
                at += self.rng.random_range(Duration::ZERO..=host.slow_by);
            }
            host.life
        });
        self.serial += 1;
        self.agenda.insert((at, self.serial), (life, happening));
    }

    fn happen(&mut self, life: u32, happening: Happening) {
        let Some(node) = happening.node() else {
            return match happening {
                Happening::Fault(fault) => self.strike(fault),
                Happening::Start(node) => self.start(node),
                Happening::Tick => self.tick(),
                Happening::Player => self.player(),
                _ => self.edit(),
            };
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
            Happening::Look(_) => self.tell_members(node),
            Happening::Wake(_) if process.wake_at.is_some_and(|at| at <= now) => {
                process.wake_at = None;
                self.step(node, Event::Wake);
            }
            Happening::Beat(_) => self.beat(node),
            Happening::Arrive(from, _, Packet::Gossip(message)) => {
                self.gossip(node, from, message);
            }
            Happening::Arrive(from, _, Packet::Link(message)) => {
                let from = self.hosts[from].name.clone();
                self.step(node, Event::Link(from, message));
            }
            Happening::Written(_, epoch) => self.written(node, epoch),
            Happening::Saved(_) => self.saved(node),
            Happening::Visit(_, id, visit) => self.step(node, Event::Player(id, visit)),
            _ => {}
        }
    }

    pub(crate) fn start(&mut self, node: usize) {
        if !matches!(self.hosts[node].state, crate::host::State::Down) {
            return;
        }
        let surroundings = Surroundings {
            number: node,
            of: self.hosts.len(),
            quorum: self.plan.quorum,
            interval: self.plan.interval,
            dice: self.rng.random(),
        };
        self.net.forget(node);
        self.talks.forget(node);
        self.hosts[node].start(surroundings, self.now);
        self.log.tell(self.now, format_args!("{node} starts"));
        self.schedule(self.now, Happening::Round(node));
        if self.has_tasks() {
            self.schedule(self.now, Happening::Beat(node));
        }
        self.schedule_wake(node);
        if self.hosts[node].disk.is_broken {
            self.notice_disk(node, Disk::Fails);
        }
        self.open_for_business(node);
    }

    /// The order in which a process that goes on finds what has waited for it.
    pub(crate) fn shuffle(&mut self, happenings: &mut [Happening]) {
        happenings.shuffle(&mut self.rng);
    }
}

fn hosts(plan: &Plan, base: Instant, rng: &mut SmallRng) -> Vec<Host> {
    // Few ranks for many nodes: order by rank, by name, and both against each other.
    let mut hosts: Vec<Host> = (0..plan.nodes)
        .map(|number| {
            let rank = Rank(rng.random_range(0..3));
            let rate = 1.0 + rng.random_range(-plan.drift..=plan.drift);
            Host::new(number, rank, Clock::new(base, rate))
        })
        .collect();
    for newer in index::sample(rng, plan.nodes, plan.newer) {
        hosts[newer].is_newer = true;
    }
    if let Some(transcoders) = plan.transcoders {
        for capable in index::sample(rng, plan.nodes, transcoders.capable) {
            hosts[capable].tools = Tools::draw(transcoders.room, rng);
        }
    }
    hosts
}
