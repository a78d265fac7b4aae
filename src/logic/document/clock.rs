//! The hybrid clock that stamps this node's writes.
//!
//! The hybrid clock follows the wall clock when that goes forward, and counts by itself when that goes back.

use std::collections::VecDeque;

use super::MAX_AHEAD;
use crate::model::node::NodeName;
use crate::model::stamp::Stamp;

/// How many leaps of the stamps are remembered: a clock that is ahead makes one, and each minute without a write
/// another, so an operator has some hours of edits to notice the fault.
const LEAPS: usize = 64;

/// Foundings are stamped backwards from here, the year 2100.
const LAST_FOUNDING_MS: u64 = 4_102_444_800_000;
/// Foundings count slower than the clock by this factor, so that even a clock that stands at 1970 stamps a founding
/// before 2003, and no write of today is as early.
const FOUNDING_SLOWNESS: u64 = 4;

/// Stamps writes so that each is later than all that this node has made or seen.
#[derive(Clone, Debug)]
pub struct Clock {
    node: NodeName,
    last_ms: u64,
    /// The last stamp before each of the latest leaps by more than [`MAX_AHEAD`]: the latest right one before a clock
    /// was ahead, even if its write has been replaced since.
    leaps_ms: VecDeque<u64>,
}

impl Clock {
    /// The clock of `node`, which has seen stamps up to `last_ms`.
    pub fn new(node: NodeName, last_ms: u64) -> Self {
        Self {
            node,
            last_ms,
            leaps_ms: VecDeque::new(),
        }
    }

    /// The same clock with the stamps that it has leapt from.
    pub fn leapt(mut self, from_ms: Vec<u64>) -> Self {
        self.leaps_ms = from_ms.into_iter().take(LEAPS).collect();
        self
    }

    fn go_on_to(&mut self, time_ms: u64) {
        if time_ms <= self.last_ms {
            return;
        }
        if u128::from(time_ms - self.last_ms) > MAX_AHEAD.as_millis() {
            if self.leaps_ms.len() == LEAPS {
                self.leaps_ms.pop_front();
            }
            self.leaps_ms.push_back(self.last_ms);
        }
        self.last_ms = time_ms;
    }

    /// The stamp of a write made now: `max(now, last + 1)`.
    pub fn stamp(&mut self, now_unix_ms: u64) -> Stamp {
        self.go_on_to(now_unix_ms.max(self.last_ms.saturating_add(1)));
        Stamp {
            time_ms: self.last_ms,
            node: self.node.clone(),
        }
    }

    /// The stamp of what a node makes because there is none yet: before that of any write, and of two foundings the
    /// earlier has the greater stamp. So when two meshes become one, the older one's stays.
    pub fn founding_stamp(&self, now_unix_ms: u64) -> Stamp {
        Stamp {
            time_ms: LAST_FOUNDING_MS.saturating_sub(now_unix_ms) / FOUNDING_SLOWNESS,
            node: self.node.clone(),
        }
    }

    /// Takes in a stamp from elsewhere: every later one of ours will be greater.
    pub fn observe(&mut self, stamp: &Stamp) {
        self.go_on_to(stamp.time_ms);
    }

    /// Goes back to this time, because all later stamps were wrong.
    pub fn set_back(&mut self, last_ms: u64) {
        self.last_ms = self.last_ms.min(last_ms);
        self.leaps_ms.retain(|leap_ms| *leap_ms < last_ms);
    }

    /// The greatest time up to `latest_ms` from which the clock is known to have leapt; 0 if there is none.
    pub fn leapt_from(&self, latest_ms: u64) -> u64 {
        let leaps = self.leaps_ms.iter().copied();
        leaps.filter(|it| *it <= latest_ms).max().unwrap_or(0)
    }

    /// The last stamps before the latest leaps, for the disk.
    pub fn leaps_ms(&self) -> Vec<u64> {
        self.leaps_ms.iter().copied().collect()
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
    fn an_earlier_founding_is_greater_and_any_write_greater_still() {
        const TODAY_MS: u64 = 1_750_000_000_000;
        let mut clock = clock();
        let (older, younger) = (
            clock.founding_stamp(TODAY_MS),
            clock.founding_stamp(TODAY_MS + 5),
        );
        assert!(older > younger);
        assert!(clock.stamp(TODAY_MS) > older);
        assert!(clock.stamp(TODAY_MS) > clock.founding_stamp(0));
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
