//! The node's own sense of time: its rounds, and whether it has slept through some.
//!
//! A process that was stopped wakes up with a view in which all peers have died. It cannot see that
//! in the view, only in its own lateness; so every input looks at the clock, not only a tick, since
//! the first input after a pause may be anything that was in the queue.

use std::time::{Duration, Instant};

/// How many intervals a round may be late before the node distrusts its view. A loaded machine is
/// late by one now and then; after three, peers begin to take the node for dead.
const LATE_INTERVALS: u32 = 2;

/// How many rounds the node then stays passive: one to hear of its peers again, one for their claims
/// to arrive, one in reserve for a lost message.
pub(super) const FROZEN_ROUNDS: u32 = 3;

/// Counts rounds of one gossip interval.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    interval: Duration,
    started_at: Instant,
    next_at: Instant,
    frozen: u32,
}

/// The verdict of the clock at an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// The same round as before.
    Same,
    /// A new round has begun.
    Next,
    /// The node was away: its verdicts are frozen from now on.
    Woke,
}

impl Rounds {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            started_at: now,
            next_at: now + interval,
            frozen: 0,
        }
    }

    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        if now < self.next_at {
            return Beat::Same;
        }
        let late = now.duration_since(self.next_at);
        self.next_at = now + self.interval;
        if late > self.interval * LATE_INTERVALS {
            self.frozen = FROZEN_ROUNDS;
            return Beat::Woke;
        }
        self.frozen = self.frozen.saturating_sub(1);
        Beat::Next
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen > 0
    }

    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(250);

    #[test]
    fn only_a_late_round_freezes_the_node_for_three_rounds() {
        let start = Instant::now();
        let mut rounds = Rounds::new(INTERVAL, start);
        let slow = start + INTERVAL * 3;
        assert_eq!(rounds.beat(slow), Beat::Next);
        assert!(!rounds.is_frozen());
        let woken = slow + INTERVAL * 3 + Duration::from_millis(1);
        assert_eq!(rounds.beat(woken), Beat::Woke);
        for round in 1..=FROZEN_ROUNDS {
            assert!(rounds.is_frozen());
            let just_before = woken + INTERVAL * round - Duration::from_millis(1);
            assert_eq!(rounds.beat(just_before), Beat::Same);
            assert_eq!(rounds.beat(woken + INTERVAL * round), Beat::Next);
        }
        assert!(!rounds.is_frozen());
    }
}
