//! What lies between the nodes: cuts, loss, delay, and the links' own liveness.
//!
//! A link needs both directions: its idle timer runs out when nothing comes back, so a cut of one
//! direction ends it on both sides, and with it the gossip that travels over it.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

/// After how long without an answer a link is down; the mesh's QUIC idle timeout.
const LINK_IDLE: Duration = Duration::from_secs(1);

/// How often a keep-alive is sent within one interval, counting QUIC's probes after a loss.
const KEEP_ALIVE_TRIES: i32 = 3;

/// What gossip travels over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Links, as in a real mesh: nothing arrives where the link is down.
    Links,
    /// Datagrams, as in the measurements that the model is calibrated with.
    Datagrams,
}

/// The network of one world.
#[derive(Debug)]
pub struct Net {
    nodes: usize,
    /// What gossip travels over.
    pub carrier: Carrier,
    /// The chance that a message is lost.
    pub loss: f64,
    /// The chance that a message arrives twice.
    pub duplicated: f64,
    /// The least and the greatest one-way delay; reordering follows from the spread.
    pub delay: (Duration, Duration),
    cut: Vec<bool>,
    answered_at: Vec<Option<Duration>>,
}

impl Net {
    /// A whole network of this many nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            nodes,
            carrier: Carrier::Links,
            loss: 0.0,
            duplicated: 0.01,
            delay: (Duration::from_millis(10), Duration::from_millis(50)),
            cut: vec![false; nodes * nodes],
            answered_at: vec![None; nodes * nodes],
        }
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut[from * self.nodes + to] = true;
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        self.cut.fill(false);
    }

    /// Whether two nodes can hear each other.
    pub fn is_open(&self, a: usize, b: usize) -> bool {
        !self.cut[a * self.nodes + b] && !self.cut[b * self.nodes + a]
    }

    /// Exchanges keep-alives between two nodes that both run.
    pub fn keep_alive(&mut self, (a, b): (usize, usize), now: Duration, rng: &mut SmallRng) {
        let both_ways = (1.0 - self.loss) * (1.0 - self.loss);
        let chance = 1.0 - (1.0 - both_ways).powi(KEEP_ALIVE_TRIES);
        if self.is_open(a, b) && rng.random::<f64>() < chance {
            self.answered_at[a * self.nodes + b] = Some(now);
            self.answered_at[b * self.nodes + a] = Some(now);
        }
    }

    /// Whether `a` has a link to `b`, as far as `a` knows.
    pub fn is_up(&self, a: usize, b: usize, now: Duration) -> bool {
        let answered_at = self.answered_at[a * self.nodes + b];
        answered_at.is_some_and(|at| now - at <= LINK_IDLE)
    }

    /// A process has ended or begun: it has no links.
    pub fn forget(&mut self, node: usize) {
        for other in 0..self.nodes {
            self.answered_at[node * self.nodes + other] = None;
        }
    }

    /// The ways of one message: an arrival after each of these delays, or none if it is lost.
    pub fn ways(&self, from: usize, to: usize, rng: &mut SmallRng) -> Vec<Duration> {
        let mut copies = Vec::new();
        if self.cut[from * self.nodes + to] || rng.random::<f64>() < self.loss {
            return copies;
        }
        copies.push(rng.random_range(self.delay.0..=self.delay.1));
        if rng.random::<f64>() < self.duplicated {
            copies.push(rng.random_range(self.delay.0..=self.delay.1 * 4));
        }
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
    use super::*;

    #[test]
    fn a_bridge_joins_two_halves_and_a_cut_of_one_direction_parts_them() {
        let mut net = Net::new(4);
        net.cut(0, 1);
        assert_eq!(net.components(&[true; 4]), [0, 0, 0, 0]);
        assert_eq!(net.components(&[true, true, false, false]), [0, 1, 2, 3]);
        net.heal();
        assert_eq!(net.components(&[true, true, true, false]), [0, 0, 0, 3]);
    }
}
