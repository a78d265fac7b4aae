//! The measurements: how full each node is, how full it had to be, and how many listeners were turned away.

use std::time::Duration;

use antiphon::logic::forecast::SLOW_START;

use crate::scenario::{Scenario, Size};

/// From this share of the crowd on it is measured how evenly the nodes are filled: a node with three listeners more
/// than its share is not uneven when it has five.
const SETTLED: f64 = 0.2;

/// Below this share of the whole mesh's capacity no listener may be turned away.
const AMPLE: f64 = 0.95;

/// The result of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// The greatest utilisation of any node.
    pub(crate) peak: f64,
    /// The greatest utilisation if all nodes had always been filled evenly.
    pub(crate) ideal: f64,
    /// The greatest max / mean of utilisation once a fifth of the crowd was sent somewhere; those on their way count,
    /// because it is them whom a choice can place.
    pub(crate) unevenness: f64,
    /// The same for only those that have begun to listen.
    pub(crate) seated_unevenness: f64,
    /// Max / mean of utilisation when the last one was sent somewhere.
    pub(crate) unevenness_at_end: f64,
    /// Listeners that found no room though the mesh had some: refused, or sent to a node that was full.
    pub(crate) wronged: u32,
    /// Listeners that were told that all is full.
    pub(crate) refused: u32,
    /// Listeners that came to a node without a place for them.
    pub(crate) overfilled: u32,
    /// Redirects.
    pub(crate) redirected: u32,
}

/// Listeners and what is sent to them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// How many.
    pub(crate) listeners: u32,
    /// The sum of their bitrates, bits per second.
    pub(crate) bps: u64,
}

/// The listeners of all nodes.
pub(crate) struct Gauge {
    capacities: Vec<Held>,
    bitrates: Vec<u64>,
    /// Since when each node is there; `None` while it is not.
    open: Vec<Option<Duration>>,
    /// Whether it was there long before.
    warm: Vec<bool>,
    now: Duration,
    /// Listeners of each node by mount.
    seated: Vec<Vec<u32>>,
    held: Vec<Held>,
    promised: Vec<Held>,
    crowd: u32,
    come: u32,
    outcome: Outcome,
}

impl Held {
    fn plus(self, other: Self) -> Self {
        Self {
            listeners: self.listeners + other.listeners,
            bps: self.bps + other.bps,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            listeners: self.listeners - other.listeners,
            bps: self.bps - other.bps,
        }
    }

    fn share(self, capacity: Self) -> f64 {
        let listeners = f64::from(self.listeners) / f64::from(capacity.listeners);
        listeners.max(self.bps as f64 / capacity.bps as f64)
    }
}

impl Gauge {
    /// An empty mesh.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let count = scenario.nodes.len();
        let capacity = |size: &Size| Held {
            listeners: size.listeners,
            bps: size.bps,
        };
        let old = |node: usize| !scenario.newcomers.iter().any(|(it, _)| *it == node);
        Self {
            capacities: scenario.nodes.iter().map(capacity).collect(),
            bitrates: scenario.mounts.iter().map(|(bps, _)| *bps).collect(),
            open: (0..count)
                .map(|node| old(node).then_some(Duration::ZERO))
                .collect(),
            warm: (0..count).map(old).collect(),
            now: Duration::ZERO,
            seated: vec![vec![0; scenario.mounts.len()]; count],
            held: vec![Held::default(); count],
            promised: vec![Held::default(); count],
            crowd: scenario.arrivals,
            come: 0,
            outcome: Outcome::default(),
        }
    }

    /// The listeners that were there before do not count as the crowd.
    pub(crate) fn begin(&mut self) {
        self.outcome = Outcome::default();
        self.come = 0;
    }

    /// The load of a node.
    pub(crate) fn load(&self, node: usize) -> Held {
        self.held[node]
    }

    /// Time goes on.
    pub(crate) fn is(&mut self, now: Duration) {
        self.now = now;
    }

    /// A node joins.
    pub(crate) fn open(&mut self, node: usize) {
        self.open[node] = Some(self.now);
    }

    /// A node dies; its listeners by mount.
    pub(crate) fn close(&mut self, node: usize) -> Vec<u32> {
        self.open[node] = None;
        self.held[node] = Held::default();
        let mounts = self.bitrates.len();
        std::mem::replace(&mut self.seated[node], vec![0; mounts])
    }

    /// A listener is sent to a node.
    pub(crate) fn promise(&mut self, node: usize, mount: usize) {
        self.promised[node] = self.promised[node].plus(self.one(mount));
        self.come += 1;
        if f64::from(self.come) >= SETTLED * f64::from(self.crowd) {
            let on_the_way = self.uneven(|node| self.held[node].plus(self.promised[node]));
            let seated = self.uneven(|node| self.held[node]);
            self.outcome.unevenness = self.outcome.unevenness.max(on_the_way);
            self.outcome.seated_unevenness = self.outcome.seated_unevenness.max(seated);
            self.outcome.unevenness_at_end = on_the_way;
        }
    }

    /// A listener is sent to another node.
    pub(crate) fn redirect(&mut self, node: usize, mount: usize) {
        self.outcome.redirected += 1;
        self.promise(node, mount);
    }

    /// The listener has come, or never will.
    pub(crate) fn keep_promise(&mut self, node: usize, mount: usize) {
        self.promised[node] = self.promised[node].minus(self.one(mount));
    }

    /// A listener begins to listen.
    pub(crate) fn seat(&mut self, node: usize, mount: usize) {
        self.held[node] = self.held[node].plus(self.one(mount));
        self.seated[node][mount] += 1;
        let full = self.held[node].share(self.capacities[node]);
        self.outcome.peak = self.outcome.peak.max(full);
        self.outcome.ideal = self.outcome.ideal.max(self.level());
        if full > 1.0 {
            self.outcome.overfilled += 1;
            self.outcome.wronged += u32::from(self.level() < AMPLE);
        }
    }

    /// A listener leaves.
    pub(crate) fn leave(&mut self, node: usize, mount: usize) {
        if self.seated[node][mount] > 0 {
            self.seated[node][mount] -= 1;
            self.held[node] = self.held[node].minus(self.one(mount));
        }
    }

    /// A listener is told that all is full.
    pub(crate) fn refuse(&mut self) {
        self.outcome.refused += 1;
        self.outcome.wronged += u32::from(self.level() < AMPLE);
    }

    /// The result so far.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn one(&self, mount: usize) -> Held {
        Held {
            listeners: 1,
            bps: self.bitrates[mount],
        }
    }

    fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.open.len()).filter(|node| self.open[*node].is_some())
    }

    /// How full all nodes would be if they were filled evenly, each with the same mixture, and a new one as far as its
    /// slow start allows.
    fn level(&self) -> f64 {
        let total = self
            .nodes()
            .fold(Held::default(), |sum, node| sum.plus(self.held[node]));
        if total.listeners == 0 {
            return 0.0;
        }
        let listeners = f64::from(total.listeners);
        let cost_bps = total.bps as f64 / listeners;
        let places = |node: usize| {
            let capacity = self.capacities[node];
            let places = f64::from(capacity.listeners).min(capacity.bps as f64 / cost_bps);
            places * self.warmth(node)
        };
        listeners / self.nodes().map(places).sum::<f64>()
    }

    fn warmth(&self, node: usize) -> f64 {
        match self.open[node] {
            Some(since) if !self.warm[node] => {
                let age = self.now.saturating_sub(since);
                (age.as_secs_f64() / SLOW_START.as_secs_f64()).min(1.0)
            }
            _ => 1.0,
        }
    }

    /// Max / mean of the nodes' utilisation.
    fn uneven(&self, held: impl Fn(usize) -> Held) -> f64 {
        let used = || {
            self.nodes()
                .map(|node| held(node).share(self.capacities[node]))
        };
        let (sum, count) = used().fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
        used().fold(0.0, f64::max) * count / sum
    }
}
