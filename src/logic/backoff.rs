//! How long to wait before the next try.
//!
//! The random number is an argument. Without one, all nodes that lost the same peer would come back at the same moment,
//! again and again.

use std::time::Duration;

/// Waiting times that double with each failure, between two bounds, and are spread by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

/// The wait after the first failure to dial a peer.
///
/// About the slowest round trip accepted between two nodes (250 ms): if it were shorter, the second try would meet the
/// same fault; if it were longer, a node that restarts would be missed for longer than gossip takes to notice.
pub const FIRST_DIAL_WAIT: Duration = Duration::from_millis(250);

/// The longest wait between two tries to dial a peer.
///
/// After a partition it decides when the two sides meet: a try that is under way fails within the second of a link's
/// idle timeout, and the next one is made within this second. Thirty nodes that look for one node send it fifteen
/// packets a second together.
pub const LONGEST_DIAL_WAIT: Duration = Duration::from_secs(1);

/// More doublings than this change nothing: 2^16 times the shortest sensible wait is longer than the longest one.
const MAX_DOUBLINGS: u32 = 16;

impl Backoff {
    /// Waits from `first` up to `most`, both before the random part.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failures: 0,
        }
    }

    /// The waits between tries to dial a peer.
    pub fn for_dialling() -> Self {
        Self::new(FIRST_DIAL_WAIT, LONGEST_DIAL_WAIT)
    }

    /// The same waits after so many failures.
    pub fn having_failed(self, failures: u32) -> Self {
        Self { failures, ..self }
    }

    /// Counts a failure and says how long to wait: half of the full wait, and up to as much again by `random`,
    /// a number from 0 to 1 (others are taken as the nearer of the two).
    pub fn fail(&mut self, random: f64) -> Duration {
        let full = self.full_wait(self.failures);
        self.failures = self.failures.saturating_add(1);
        let random = if random.is_nan() {
            0.5
        } else {
            random.clamp(0.0, 1.0)
        };
        full.mul_f64(0.5 + random / 2.0)
    }

    /// Forgets the failures: a try has succeeded.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait after so many earlier failures, without the random part.
    fn full_wait(&self, earlier_failures: u32) -> Duration {
        let doublings = earlier_failures.min(MAX_DOUBLINGS);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_longest() {
        let mut backoff = Backoff::for_dialling();
        let waits_ms: Vec<_> = (0..7).map(|_| backoff.fail(1.0).as_millis()).collect();
        assert_eq!(waits_ms, [250, 500, 1_000, 1_000, 1_000, 1_000, 1_000]);
        assert_eq!(backoff.failures(), 7);
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::for_dialling();
        backoff.fail(1.0);
        backoff.fail(1.0);
        backoff.succeed();
        assert_eq!(backoff.fail(1.0), FIRST_DIAL_WAIT);
    }

    #[test]
    fn chance_takes_away_at_most_half() {
        let wait = |random| Backoff::for_dialling().fail(random).as_millis();
        assert_eq!([wait(0.0), wait(0.5), wait(1.0)], [125, 187, 250]);
    }

    proptest! {
        #[test]
        fn every_wait_is_within_the_bounds(
            failures in 0u32..100_000, random: f64
        ) {
            let mut backoff = Backoff { failures, ..Backoff::for_dialling() };
            let wait = backoff.fail(random);
            prop_assert!(wait >= FIRST_DIAL_WAIT / 2 && wait <= LONGEST_DIAL_WAIT);
        }
    }
}
