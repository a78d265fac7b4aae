//! The hybrid clock that stamps this node's writes.
//!
//! It follows the wall clock when that goes forward and counts by itself when that goes back.

use crate::model::node::NodeName;
use crate::model::stamp::Stamp;

/// Stamps writes so that each is later than all that this node has made or seen.
#[derive(Clone, Debug)]
pub struct Clock {
    node: NodeName,
    last_ms: u64,
}

impl Clock {
    /// The clock of `node`, which has seen stamps up to `last_ms`.
    pub fn new(node: NodeName, last_ms: u64) -> Self {
        Self { node, last_ms }
    }

    /// The stamp of a write made now: `max(now, last + 1)`.
    pub fn stamp(&mut self, now_unix_ms: u64) -> Stamp {
        self.last_ms = now_unix_ms.max(self.last_ms.saturating_add(1));
        Stamp {
            time_ms: self.last_ms,
            node: self.node.clone(),
        }
    }

    /// Takes in a stamp from elsewhere: every later one of ours will be greater.
    pub fn observe(&mut self, stamp: &Stamp) {
        self.last_ms = self.last_ms.max(stamp.time_ms);
    }

    /// Goes back to this time, because what was later was no time at all.
    pub fn set_back(&mut self, last_ms: u64) {
        self.last_ms = self.last_ms.min(last_ms);
    }

    /// The greatest time stamped or seen, hybrid unix milliseconds.
    pub fn last_ms(&self) -> u64 {
        self.last_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock() -> Clock {
        Clock::new(NodeName::try_from("a").unwrap(), 0)
    }

    #[test]
    fn a_clock_follows_the_wall_and_what_it_has_seen() {
        let mut clock = clock();
        assert_eq!(clock.stamp(100).time_ms, 100);
        assert_eq!(clock.stamp(100).time_ms, 101);
        assert_eq!(clock.stamp(5).time_ms, 102);
        let node = NodeName::try_from("b").unwrap();
        clock.observe(&Stamp { time_ms: 500, node });
        assert_eq!(clock.stamp(200).time_ms, 501);
        assert_eq!(clock.stamp(600).time_ms, 600);
    }

    proptest! {
        #[test]
        fn stamps_rise_whatever_the_wall_clock_does(walls in prop::collection::vec(0..u64::MAX / 2, 1..50)) {
            let mut clock = clock();
            let stamps: Vec<Stamp> = walls.into_iter().map(|now| clock.stamp(now)).collect();
            prop_assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
