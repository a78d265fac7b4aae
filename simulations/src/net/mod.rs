//! The network between the nodes: cuts, loss, delay, and the links' own liveness.
//!
//! A link needs both directions: its idle timer runs out when nothing comes back, so a cut of one
//! direction ends it on both sides, and with it the gossip that travels over it.

mod links;
mod weather;

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

use self::links::Links;
pub use self::weather::{Spells, Weather};

/// The transport of the gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Links, as in a real mesh: nothing arrives where the link is down.
    Links,
    /// Datagrams, as in the measurements that the model is calibrated with.
    Datagrams,
}

/// The fate of a packet on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The packet is lost.
    Lost,
    /// The packet arrives after this time.
    Arrives(Duration),
}

/// The network of one world.
#[derive(Debug)]
pub struct Net {
    nodes: usize,
    /// The transport of the gossip.
    pub carrier: Carrier,
    /// Loss, delay and repetition.
    pub weather: Weather,
    cut: Vec<bool>,
    /// Nodes whose cable is out at this moment.
    unplugged: BTreeSet<usize>,
    links: Links,
}

impl Net {
    /// A whole network of this many nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            nodes,
            carrier: Carrier::Links,
            weather: Weather::fair(nodes),
            cut: vec![false; nodes * nodes],
            unplugged: BTreeSet::new(),
            links: Links::new(nodes),
        }
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut[from * self.nodes + to] = true;
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        self.cut.fill(false);
        self.unplugged.clear();
    }

    /// Ends the cuts between these nodes; all others stay.
    pub fn heal_among(&mut self, core: &BTreeSet<usize>) {
        for (a, b) in core.iter().flat_map(|a| core.iter().map(move |b| (*a, *b))) {
            self.cut[a * self.nodes + b] = false;
        }
        self.unplugged.retain(|node| !core.contains(node));
        self.weather.clear_among(core);
    }

    /// Pulls a node's cable, or plugs it in again.
    pub fn toggle_cable(&mut self, node: usize) {
        if !self.unplugged.remove(&node) {
            self.unplugged.insert(node);
        }
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from * self.nodes + to]
            || self.unplugged.contains(&from)
            || self.unplugged.contains(&to)
    }

    /// Whether two nodes can hear each other.
    pub fn is_open(&self, a: usize, b: usize) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    /// Whether packets are lost in bursts while some nodes do not hear each other directly.
    pub fn is_foggy(&self) -> bool {
        let some_cut = self.cut.contains(&true) || !self.unplugged.is_empty();
        some_cut && self.weather.spells.is_some()
    }

    /// Exchanges keep-alives between two nodes that both run, or lets `a` dial `b`.
    pub fn keep_alive(&mut self, (a, b): (usize, usize), now: Duration, rng: &mut SmallRng) {
        let is_up = self.is_up(a, b, now) && self.is_up(b, a, now);
        if !is_up && !self.links.may_dial((a, b), now, rng) {
            return;
        }
        let chance = self.weather.round_trip_chance((a, b), now, rng);
        if self.is_open(a, b) && rng.random::<f64>() < chance {
            self.links.answered((a, b), now);
        }
    }

    /// Lets `a` dial a node that does not run.
    pub fn dial_in_vain(&mut self, (a, b): (usize, usize), now: Duration, rng: &mut SmallRng) {
        self.links.may_dial((a, b), now, rng);
    }

    /// Whether `a` has a link to `b`, as far as `a` knows.
    pub fn is_up(&self, a: usize, b: usize, now: Duration) -> bool {
        self.links.is_up((a, b), now)
    }

    /// A process has ended or begun: it has no links, and has dialled nobody.
    pub fn forget(&mut self, node: usize) {
        self.links.forget(node);
    }

    /// Decides the fate of one packet.
    pub fn way(&mut self, (from, to): (usize, usize), now: Duration, rng: &mut SmallRng) -> Fate {
        if self.is_cut(from, to) || self.weather.takes((from, to), now, rng) {
            return Fate::Lost;
        }
        Fate::Arrives(self.weather.delay(rng))
    }

    /// The ways of one message: an arrival after each of these delays, or none if it is lost.
    pub fn ways(
        &mut self,
        between: (usize, usize),
        now: Duration,
        rng: &mut SmallRng,
    ) -> Vec<Duration> {
        let Fate::Arrives(delay) = self.way(between, now, rng) else {
            return Vec::new();
        };
        let mut copies = vec![delay];
        copies.extend(self.weather.second_copy(rng));
        copies
    }

    /// For each node its component: those who hear each other, over others too, while they run.
    pub fn components(&self, runs: &[bool]) -> Vec<usize> {
        let mut component: Vec<usize> = (0..self.nodes).collect();
        for first in 0..self.nodes {
            let mut open = vec![first];
            while let Some(a) = open.pop() {
                for b in 0..self.nodes {
                    let joined = runs[a] && runs[b] && self.is_open(a, b);
                    if joined && component[b] > first {
                        component[b] = first;
                        open.push(b);
                    }
                }
            }
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_bridge_joins_halves_and_one_way_cuts_part_them() {
        let mut net = Net::new(4);
        net.cut(0, 1);
        assert_eq!(net.components(&[true; 4]), [0, 0, 0, 0]);
        assert_eq!(net.components(&[true, true, false, false]), [0, 1, 2, 3]);
        net.heal();
        assert_eq!(net.components(&[true, true, true, false]), [0, 0, 0, 3]);
    }

    #[test]
    fn an_unplugged_node_hears_nobody_until_it_is_plugged_in() {
        let mut net = Net::new(2);
        net.toggle_cable(1);
        assert!(!net.is_open(0, 1));
        net.toggle_cable(1);
        assert!(net.is_open(0, 1));
    }

    #[test]
    fn healing_a_core_leaves_the_rest_broken() {
        let mut net = Net::new(3);
        (0..3).for_each(|other| net.cut(0, other));
        net.cut(1, 2);
        net.heal_among(&BTreeSet::from([0, 1]));
        assert!(net.is_open(0, 1) && !net.is_open(0, 2) && !net.is_open(1, 2));
    }

    #[test]
    fn a_link_is_dialled_soon_after_a_long_cut() {
        let (mut net, mut rng) = (Net::new(2), SmallRng::seed_from_u64(1));
        net.weather.duplicated = 0.0;
        net.cut(0, 1);
        let round = Duration::from_millis(250);
        let rounds = |net: &mut Net, range: std::ops::Range<u32>, rng: &mut SmallRng| {
            range.map(|n| round * n).find(|now| {
                net.keep_alive((0, 1), *now, rng);
                net.is_up(0, 1, *now)
            })
        };
        assert_eq!(rounds(&mut net, 0..100, &mut rng), None);
        net.heal();
        let up_at = rounds(&mut net, 100..200, &mut rng).unwrap();
        assert!(up_at - round * 100 <= Duration::from_secs(5), "{up_at:?}");
    }
}
