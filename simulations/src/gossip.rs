//! A seeded model of chitchat: who gossips with whom, what they tell, and when they take whom for dead.
//!
//! The crate's own random source cannot be seeded and its digest grows with every node, so what is
//! here follows its rules for peers, heartbeats, versions and φ, for one value per node. The
//! `calibrate` scenarios compare it with what was measured on the real crate.

use std::collections::VecDeque;
use std::time::Duration;

use antiphon::model::seat::Claim;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;

/// How many live peers a round addresses; chitchat's `GOSSIP_COUNT`.
const GOSSIP_COUNT: usize = 3;
/// The φ above which a node counts as dead.
const PHI_THRESHOLD: f64 = 8.0;
/// How many intervals between heartbeats are remembered.
const SAMPLING_WINDOW: usize = 100;
/// Gaps of more gossip intervals are no sample; chitchat's `max_interval`, whose default is 10 s.
///
/// After a gap that is a sample the window holds little else: a node that was away for 4 s and then
/// dies is missed only 7 s later. Four is beyond what a tenth of loss does to a node that is there.
const MAX_INTERVALS: u32 = 4;
/// The weight of the prior, which is one gossip interval; chitchat's `prior_weight`.
const PRIOR_WEIGHT: f64 = 5.0;

/// What a node says it knows of each node: generation, heartbeat, version of the value.
pub type Digest = Vec<Option<(u32, u64, u64)>>;

/// What the other one does not know yet: node, generation, version, value.
pub type Delta = Vec<(usize, u32, u64, Option<Claim>)>;

/// One of the three messages of an exchange.
#[derive(Clone, Debug)]
pub enum Gossiped {
    /// "This is what I know."
    Syn(Digest),
    /// "This is what I know, and this you don't."
    SynAck(Digest, Delta),
    /// "This you don't know either."
    Ack(Delta),
}

/// A node's value as gossip has just brought it.
pub type News = Vec<(usize, Option<Claim>)>;

/// One node's gossip.
#[derive(Debug)]
pub struct Gossip {
    me: usize,
    interval: Duration,
    seeds: Vec<usize>,
    nodes: Vec<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    generation: u32,
    heartbeat: u64,
    version: u64,
    claim: Option<Claim>,
    window: Window,
    is_live: bool,
}

/// What this node takes another one for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Live,
    Dead,
}

#[derive(Debug, Default)]
struct Window {
    intervals_s: VecDeque<f64>,
    last_at: Option<Duration>,
}

impl Window {
    fn beat(&mut self, now: Duration, interval: Duration) {
        if let Some(last_at) = self.last_at.replace(now)
            && now - last_at <= interval * MAX_INTERVALS
        {
            if self.intervals_s.len() == SAMPLING_WINDOW {
                self.intervals_s.pop_front();
            }
            self.intervals_s.push_back((now - last_at).as_secs_f64());
        }
    }

    fn phi(&self, now: Duration, prior: Duration) -> Option<f64> {
        let last_at = self.last_at.filter(|_| !self.intervals_s.is_empty())?;
        let sum_s: f64 = self.intervals_s.iter().sum();
        let weight = self.intervals_s.len() as f64 + PRIOR_WEIGHT;
        let mean_s = (sum_s + PRIOR_WEIGHT * prior.as_secs_f64()) / weight;
        Some((now - last_at).as_secs_f64() / mean_s)
    }
}

impl Known {
    fn new(generation: u32) -> Self {
        Self {
            generation,
            heartbeat: 0,
            version: 0,
            claim: None,
            window: Window::default(),
            is_live: false,
        }
    }
}

impl Gossip {
    /// The gossip of a node that has just started. The first time it knows two seeds; later its
    /// operator, or its disk, knows them all, or two nodes would wait for a third to come back.
    pub fn new(me: usize, generation: u32, nodes: usize, interval: Duration) -> Self {
        let seeds = if generation == 1 { nodes.min(2) } else { nodes };
        let mut gossip = Self {
            me,
            interval,
            seeds: (0..seeds).filter(|seed| *seed != me).collect(),
            nodes: (0..nodes).map(|_| None).collect(),
        };
        gossip.nodes[me] = Some(Known::new(generation));
        gossip
    }

    /// The nodes that it keeps a link to: all that it knows, and its seeds.
    pub fn contacts(&self) -> Vec<usize> {
        let is_known = |node: &usize| self.nodes[*node].is_some() || self.seeds.contains(node);
        (0..self.nodes.len())
            .filter(|node| *node != self.me && is_known(node))
            .collect()
    }

    /// Whether a node is known, and if so whether it is taken for alive.
    pub fn is_live(&self, node: usize) -> Option<bool> {
        self.nodes[node].as_ref().map(|known| known.is_live)
    }

    /// Sets this node's value.
    pub fn set(&mut self, claim: Option<Claim>) {
        let me = self.own();
        me.version += 1;
        me.claim = claim;
    }

    /// Begins a round: those to send a [`Gossiped::Syn`] to.
    pub fn round(&mut self, rng: &mut SmallRng) -> Vec<usize> {
        self.own().heartbeat += 1;
        let (live, dead) = (self.others(Liveness::Live), self.others(Liveness::Dead));
        let candidates = if live.is_empty() { &dead } else { &live };
        let mut targets = candidates
            .iter()
            .copied()
            .choose_multiple(rng, GOSSIP_COUNT);
        let met_seed = targets.iter().any(|node| self.seeds.contains(node));
        if dead.len() as f64 / (live.len() + 1) as f64 > rng.random::<f64>() {
            targets.extend(dead.iter().choose(rng));
        }
        if !met_seed || live.len() < self.seeds.len() {
            let chance = self.seeds.len() as f64 / (live.len() + dead.len()) as f64;
            if live.is_empty() || rng.random::<f64>() <= chance {
                targets.extend(self.seeds.iter().copied().choose(rng));
            }
        }
        targets
    }

    fn others(&self, liveness: Liveness) -> Vec<usize> {
        let wanted = |node: &usize| {
            let known = self.nodes[*node].as_ref().filter(|_| *node != self.me);
            known.is_some_and(|known| known.is_live == (liveness == Liveness::Live))
        };
        (0..self.nodes.len()).filter(wanted).collect()
    }

    /// Ends a round: judges who is alive.
    pub fn judge(&mut self, now: Duration) {
        for (node, known) in self.nodes.iter_mut().enumerate() {
            let Some(known) = known.as_mut().filter(|_| node != self.me) else {
                continue;
            };
            let phi = known.window.phi(now, self.interval);
            known.is_live = phi.is_some_and(|phi| phi <= PHI_THRESHOLD);
            if !known.is_live {
                known.window.intervals_s.clear();
            }
        }
    }

    /// What this node knows.
    pub fn digest(&self) -> Digest {
        let summary = |known: &Known| (known.generation, known.heartbeat, known.version);
        self.nodes
            .iter()
            .map(|known| known.as_ref().map(summary))
            .collect()
    }

    /// Takes a message; adds what is new, and returns the answer.
    pub fn hear(&mut self, message: Gossiped, now: Duration, news: &mut News) -> Option<Gossiped> {
        self.own().heartbeat += 1;
        match message {
            Gossiped::Syn(digest) => {
                self.hear_digest(&digest, now, news);
                Some(Gossiped::SynAck(self.digest(), self.delta(&digest)))
            }
            Gossiped::SynAck(digest, delta) => {
                self.hear_digest(&digest, now, news);
                self.apply(delta, news);
                Some(Gossiped::Ack(self.delta(&digest)))
            }
            Gossiped::Ack(delta) => {
                self.apply(delta, news);
                None
            }
        }
    }

    fn own(&mut self) -> &mut Known {
        self.nodes[self.me]
            .as_mut()
            .expect("a node knows itself from its start")
    }

    fn hear_digest(&mut self, digest: &Digest, now: Duration, news: &mut News) {
        let interval = self.interval;
        for (node, summary) in digest.iter().enumerate() {
            let Some((generation, heartbeat, _)) = *summary else {
                continue;
            };
            if let Some(known) = self.known(node, generation, news)
                && heartbeat > known.heartbeat
            {
                known.heartbeat = heartbeat;
                known.window.beat(now, interval);
            }
        }
    }

    fn apply(&mut self, delta: Delta, news: &mut News) {
        for (node, generation, version, claim) in delta {
            if let Some(known) = self.known(node, generation, news)
                && version > known.version
            {
                known.version = version;
                known.claim.clone_from(&claim);
                news.push((node, claim));
            }
        }
    }

    /// What is known of another node's generation; a newer one replaces all that was known.
    fn known(&mut self, node: usize, generation: u32, news: &mut News) -> Option<&mut Known> {
        if node == self.me {
            return None;
        }
        let slot = &mut self.nodes[node];
        let is_newer = slot.as_ref().is_none_or(|old| generation > old.generation);
        if is_newer && slot.replace(Known::new(generation)).is_some() {
            news.push((node, None));
        }
        slot.as_mut().filter(|known| known.generation == generation)
    }

    fn delta(&self, digest: &Digest) -> Delta {
        let entries = self.nodes.iter().zip(digest).enumerate();
        let missing = entries.filter_map(|(node, (known, theirs))| {
            let known = known.as_ref()?;
            let theirs = theirs.map(|(generation, _, version)| (generation, version));
            let is_new = theirs < Some((known.generation, known.version));
            is_new.then(|| (node, known.generation, known.version, known.claim.clone()))
        });
        missing.collect()
    }
}
