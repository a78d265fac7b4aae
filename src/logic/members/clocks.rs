//! How far the clocks of the peers are from this node's, and whether this node's clock is right.
//!
//! A peer gossips its time each second. What arrives is late by the time it took, never early, so the greatest of
//! several differences is the nearest to the truth.

use std::collections::{BTreeMap, VecDeque};

use crate::logic::document::MAX_AHEAD;
use crate::model::node::NodeName;

/// How many differences of a peer are kept: at one a second, one of them has come without delay; and a clock that
/// is corrected is believed after as many seconds.
const SAMPLES: usize = 8;
/// The peers that are compared with: enough for a median in a mesh of any size.
const MAX_PEERS: usize = 512;

/// The verdict of the peers' clocks on this node's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockVerdict {
    /// No peer can be compared with.
    #[default]
    NoPeers,
    /// The clock is within [`MAX_AHEAD`] of the median.
    Right,
    /// The clock is not.
    Wrong {
        /// How far the clock is ahead of the median, milliseconds; behind, if negative.
        ahead_ms: i64,
        /// How many peers were compared with.
        peers: usize,
    },
}

/// The stamps heard of one peer's clock.
#[derive(Clone, Debug, Default)]
struct PeerClock {
    said_unix_ms: u64,
    ahead_ms: VecDeque<i64>,
}

/// The clocks of the peers, against this node's.
#[derive(Clone, Debug, Default)]
pub struct Clocks(BTreeMap<NodeName, PeerClock>);

impl Clocks {
    /// Notes the time that a peer tells, if it is new. `now_unix_ms` is this node's.
    pub fn hear(&mut self, peer: &NodeName, said_unix_ms: u64, now_unix_ms: u64) {
        if !self.0.contains_key(peer) && self.0.len() >= MAX_PEERS {
            return;
        }
        let heard = self.0.entry(peer.clone()).or_default();
        if heard.said_unix_ms == said_unix_ms {
            return;
        }
        heard.said_unix_ms = said_unix_ms;
        if heard.ahead_ms.len() == SAMPLES {
            heard.ahead_ms.pop_front();
        }
        heard
            .ahead_ms
            .push_back(difference(said_unix_ms, now_unix_ms));
    }

    /// Forgets all peers but these.
    pub fn keep_only(&mut self, is_there: impl Fn(&NodeName) -> bool) {
        self.0.retain(|peer, _| is_there(peer));
    }

    /// Forgets what was heard, because this node's own clock was set: each peer counts again when it next tells its
    /// time.
    pub fn reset(&mut self) {
        for heard in self.0.values_mut() {
            heard.ahead_ms.clear();
        }
    }

    /// How far each peer's clock is ahead of this node's, milliseconds.
    pub fn offsets(&self) -> BTreeMap<NodeName, i64> {
        let offset = |(peer, heard): (&NodeName, &PeerClock)| {
            let nearest = heard.ahead_ms.iter().max()?;
            Some((peer.clone(), *nearest))
        };
        self.0.iter().filter_map(offset).collect()
    }

    /// Judges this node's clock by the median of its peers'. Of an even number, the middle one that is nearer to
    /// this node's counts: two peers that differ prove nothing against the one that agrees with this node.
    pub fn verdict(&self) -> ClockVerdict {
        let mut offsets: Vec<i64> = self.offsets().into_values().collect();
        offsets.sort_unstable();
        let peers = offsets.len();
        let Some(upper) = offsets.get(peers / 2) else {
            return ClockVerdict::NoPeers;
        };
        let lower = offsets[(peers - 1) / 2];
        let median = if lower.unsigned_abs() < upper.unsigned_abs() {
            lower
        } else {
            *upper
        };
        if u128::from(median.unsigned_abs()) <= MAX_AHEAD.as_millis() {
            return ClockVerdict::Right;
        }
        ClockVerdict::Wrong {
            ahead_ms: -median,
            peers,
        }
    }
}

impl ClockVerdict {
    /// The time by which stamps of others are judged: that of the peers, where several of them agree that this node's
    /// is wrong. A single peer may be the one that is wrong, and then this node keeps its own.
    pub fn corrected(self, now_unix_ms: u64) -> u64 {
        match self {
            Self::Wrong { ahead_ms, peers } if peers > 1 => {
                now_unix_ms.saturating_add_signed(-ahead_ms)
            }
            _ => now_unix_ms,
        }
    }

    /// The time that is certain enough to say that a stamp is from the future; `None` if there is no such time.
    pub fn certain(self, now_unix_ms: u64) -> Option<u64> {
        let certain = match self {
            Self::Wrong { peers: 0 | 1, .. } => return None,
            verdict => verdict.corrected(now_unix_ms),
        };
        (certain >= FIRST_CREDIBLE_UNIX_MS).then_some(certain)
    }
}

/// The first of January 2025: a machine without a battery begins in 1970, and no antiphon ran before this.
const FIRST_CREDIBLE_UNIX_MS: u64 = 1_735_689_600_000;

fn difference(theirs_ms: u64, ours_ms: u64) -> i64 {
    // A peer may tell any number; half of the range is further off than any clock.
    let bounded = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX) / 2;
    if theirs_ms.abs_diff(ours_ms) > i64::MAX as u64 / 2 {
        return bounded(theirs_ms) - bounded(ours_ms);
    }
    (theirs_ms.wrapping_sub(ours_ms)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    fn clocks(ahead_ms: &[i64]) -> Clocks {
        let mut clocks = Clocks::default();
        for (index, ahead) in ahead_ms.iter().enumerate() {
            let said = NOW.saturating_add_signed(*ahead);
            clocks.hear(&name(&format!("n{index}")), said, NOW);
        }
        clocks
    }

    #[test]
    fn a_clock_is_judged_by_the_median_of_the_peers() {
        let wrong = |ahead_ms, peers| ClockVerdict::Wrong { ahead_ms, peers };
        for (offsets, verdict) in [
            (&[][..], ClockVerdict::NoPeers),
            (&[-60_000], ClockVerdict::Right),
            (&[-60_001], wrong(60_001, 1)),
            (&[0, HOUR], ClockVerdict::Right),
            (&[-HOUR, 0], ClockVerdict::Right),
            (&[-HOUR, -HOUR], wrong(HOUR, 2)),
            (&[HOUR, -1_000, 1_000], ClockVerdict::Right),
            (&[HOUR, HOUR, 0], wrong(-HOUR, 3)),
            (&[-27 * 8_766 * HOUR; 3], wrong(27 * 8_766 * HOUR, 3)),
        ] {
            assert_eq!(clocks(offsets).verdict(), verdict, "{offsets:?}");
        }
    }

    #[test]
    fn a_late_word_does_not_hide_a_timely_one() {
        let (mut clocks, peer) = (Clocks::default(), name("a"));
        for (said, now) in [
            (0, 90_000),
            (91_000, 91_010),
            (91_000, 99_000),
            (92_000, 94_000),
        ] {
            clocks.hear(&peer, NOW + said, NOW + now);
        }
        assert_eq!(clocks.offsets(), BTreeMap::from([(peer.clone(), -10)]));
        clocks.reset();
        assert_eq!(clocks.verdict(), ClockVerdict::NoPeers);
        clocks.hear(&peer, NOW + 93_000, NOW + 93_000);
        clocks.keep_only(|_| false);
        assert!(clocks.offsets().is_empty());
    }

    #[test]
    fn any_number_that_a_peer_says_is_taken() {
        for said in [0, 1, u64::MAX, u64::MAX / 2] {
            for now in [0, NOW, u64::MAX] {
                let mut clocks = Clocks::default();
                clocks.hear(&name("a"), said, now);
                let _judged = clocks.verdict();
            }
        }
    }

    #[test]
    fn only_a_certain_time_condemns_a_stamp() {
        let wrong = |peers| ClockVerdict::Wrong {
            ahead_ms: HOUR,
            peers,
        };
        assert_eq!(ClockVerdict::NoPeers.certain(NOW), Some(NOW));
        assert_eq!(ClockVerdict::Right.certain(NOW), Some(NOW));
        assert_eq!(wrong(1).certain(NOW), None);
        assert_eq!(wrong(2).certain(NOW), Some(NOW - 3_600_000));
        assert_eq!(ClockVerdict::NoPeers.certain(1_000), None, "it is not 1970");
    }
}
