//! A seeded model of chitchat: which nodes gossip with each other, what they tell, and when one takes another for dead.
//!
//! The crate's own random source cannot be seeded and its digest grows with every node, so what is here
//! follows its rules for peers, heartbeats, versions and φ. `calibrate` compares it with what was measured
//! on the real crate. Keys and values are texts, as in the real one: a node that does not know a key
//! carries it on all the same.

mod known;
mod size;

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;

use self::known::Known;
pub use self::size::message_bytes;

/// How many live peers a round addresses; chitchat's `GOSSIP_COUNT`.
const GOSSIP_COUNT: usize = 3;
/// The φ above which a node counts as dead.
const PHI_THRESHOLD: f64 = 8.0;

/// A node's knowledge of each node: generation, heartbeat, greatest version.
pub type Digest = Arc<[Option<(u32, u64, u64)>]>;

/// A key with its value, `None` once it was taken back.
pub type Said = (Arc<str>, Option<Arc<str>>);

/// The values of one node that the other side does not know yet.
#[derive(Clone, Debug)]
pub struct NodeDelta {
    node: usize,
    generation: u32,
    /// The entries follow on this version.
    after: u64,
    /// Keys with their versions, the oldest first.
    entries: Vec<(u64, Said)>,
}

/// One of the three messages of an exchange.
#[derive(Clone, Debug)]
pub enum Gossiped {
    /// The first message: the digest of the sender.
    Syn(Digest),
    /// The answer: the digest of the second node, and the values that the first one lacks.
    SynAck(Digest, Arc<[NodeDelta]>),
    /// The last message: the values that the second node lacks.
    Ack(Arc<[NodeDelta]>),
}

/// The changes that gossip has just brought.
#[derive(Clone, Debug)]
pub enum News {
    /// A node has begun this new life: nothing that it said before counts.
    NewLife(usize, u32),
    /// A node has said something.
    Said(usize, Said),
}

/// One node's gossip.
#[derive(Debug)]
pub struct Gossip {
    me: usize,
    interval: Duration,
    seeds: Vec<usize>,
    nodes: Vec<Option<Known>>,
}

/// The belief of this node about another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Live,
    Dead,
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

    /// The life of a node that is known here.
    pub fn life(&self, node: usize) -> Option<u32> {
        self.nodes[node].as_ref().map(|known| known.generation)
    }

    /// For how long nothing new was heard of a node.
    pub fn silent_for(&self, node: usize, now: Duration) -> Duration {
        let known = self.nodes[node].as_ref();
        let heard_at = known.and_then(Known::heard_at);
        heard_at.map_or(now, |at| now - at)
    }

    /// The most keys that it keeps of one node.
    pub fn most_keys(&self) -> usize {
        let nodes = self.nodes.iter().flatten();
        nodes.map(Known::keys).max().unwrap_or_default()
    }

    /// The value of a node under a key, as far as it is known here.
    pub fn said(&self, node: usize, key: &str) -> Option<&str> {
        self.nodes[node].as_ref()?.said(key)
    }

    /// Sets a value, or removes it. To set the same value again is not news.
    pub fn set(&mut self, key: &str, value: Option<&str>) {
        self.own().set(key, value);
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
            if let Some(known) = known.as_mut().filter(|_| node != self.me) {
                known.judge(now, self.interval);
            }
        }
    }

    /// The digest of all that this node knows.
    pub fn digest(&self) -> Digest {
        let summary = |known: &Known| (known.generation, known.heartbeat, known.version);
        self.nodes
            .iter()
            .map(|known| known.as_ref().map(summary))
            .collect()
    }

    /// Takes a message; adds what is new, and returns the answer.
    pub fn hear(
        &mut self,
        message: Gossiped,
        now: Duration,
        news: &mut Vec<News>,
    ) -> Option<Gossiped> {
        self.own().heartbeat += 1;
        match message {
            Gossiped::Syn(digest) => {
                self.hear_digest(&digest, now, news);
                Some(Gossiped::SynAck(self.digest(), self.delta(&digest)))
            }
            Gossiped::SynAck(digest, delta) => {
                self.hear_digest(&digest, now, news);
                self.apply(&delta, news);
                Some(Gossiped::Ack(self.delta(&digest)))
            }
            Gossiped::Ack(delta) => {
                self.apply(&delta, news);
                None
            }
        }
    }

    fn own(&mut self) -> &mut Known {
        self.nodes[self.me]
            .as_mut()
            .expect("a node knows itself from its start")
    }

    fn hear_digest(&mut self, digest: &Digest, now: Duration, news: &mut Vec<News>) {
        let interval = self.interval;
        for (node, summary) in digest.iter().enumerate() {
            let Some((generation, heartbeat, _)) = *summary else {
                continue;
            };
            if let Some(known) = self.known(node, generation, news) {
                known.beat(heartbeat, now, interval);
            }
        }
    }

    fn apply(&mut self, delta: &[NodeDelta], news: &mut Vec<News>) {
        for about in delta {
            let Some(known) = self.known(about.node, about.generation, news) else {
                continue;
            };
            // An answer to an earlier life of this node: what it leaves out is no longer known here.
            if about.after > known.version {
                continue;
            }
            for (version, said) in &about.entries {
                if known.learn(*version, said) {
                    news.push(News::Said(about.node, said.clone()));
                }
            }
        }
    }

    /// The values known of another node's generation; a newer one replaces all that was known.
    fn known(&mut self, node: usize, generation: u32, news: &mut Vec<News>) -> Option<&mut Known> {
        if node == self.me {
            return None;
        }
        let slot = &mut self.nodes[node];
        let is_newer = slot.as_ref().is_none_or(|old| generation > old.generation);
        if is_newer && slot.replace(Known::new(generation)).is_some() {
            news.push(News::NewLife(node, generation));
        }
        slot.as_mut().filter(|known| known.generation == generation)
    }

    fn delta(&self, digest: &Digest) -> Arc<[NodeDelta]> {
        let entries = self.nodes.iter().zip(digest.iter()).enumerate();
        let missing = entries.filter_map(|(node, (known, theirs))| {
            let known = known.as_ref()?;
            let (generation, version) =
                theirs.map_or((0, 0), |(generation, _, version)| (generation, version));
            if (generation, version) >= (known.generation, known.version) {
                return None;
            }
            let same_life = generation == known.generation;
            let after = if same_life { version } else { 0 };
            Some(NodeDelta {
                node,
                generation: known.generation,
                after,
                entries: known.after(after),
            })
        });
        missing.collect()
    }
}
