//! Nodes that a relay does not ask for a while, because they failed.
//!
//! Failed nodes remain candidates, as the last ones: a node that failed is better than none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::logic::backoff::Backoff;
use crate::model::node::NodeName;

/// Nodes that failed to give a stream, and until when each rests.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    failed: BTreeMap<NodeName, (Instant, Backoff)>,
}

/// The rest of a node after its first failure: as long as an upstream may stall before it is given up, so that
/// every other holder gets its turn first.
pub const FIRST_REST: Duration = Duration::from_millis(300);

/// The longest rest: what a listener's burst covers, so that a node that is back is found before silence is heard.
pub const LONGEST_REST: Duration = Duration::from_secs(5);

/// The most failed nodes that are remembered. Far more than will hold one stream and fail at once.
const MAX_FAILED: usize = 64;

impl Failures {
    /// Counts a failure: the node rests, twice as long with each one that follows.
    pub fn note_failure(&mut self, node: &NodeName, now: Instant) {
        // A node that has been good for the longest rest since its last one ended begins anew.
        self.failed
            .retain(|_, (until, _)| now.saturating_duration_since(*until) < LONGEST_REST);
        if self.failed.len() >= MAX_FAILED && !self.failed.contains_key(node) {
            let soonest = self.failed.iter().min_by_key(|(_, (until, _))| *until);
            let soonest = soonest.map(|(name, _)| name.clone());
            soonest.and_then(|name| self.failed.remove(&name));
        }
        let fresh = (now, Backoff::new(FIRST_REST, LONGEST_REST));
        let (until, backoff) = self.failed.entry(node.clone()).or_insert(fresh);
        // The full wait: each relay has its own list of failures, so there is nothing to spread by chance.
        *until = now + backoff.fail(1.0);
    }

    /// Forgets the failures of a node that has given the stream.
    pub fn note_success(&mut self, node: &NodeName) {
        self.failed.remove(node);
    }

    /// Until when a node rests, if it does.
    pub(super) fn rest(&self, node: &NodeName, now: Instant) -> Option<Instant> {
        let until = self.failed.get(node).map(|(until, _)| *until);
        until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(index: usize) -> NodeName {
        NodeName::try_from(format!("n{index}")).unwrap()
    }

    #[test]
    fn each_failure_doubles_the_rest_until_a_success() {
        let (mut failures, now, node) = (Failures::default(), Instant::now(), name(1));
        failures.note_failure(&node, now);
        assert_eq!(failures.rest(&node, now), Some(now + FIRST_REST));
        assert_eq!(failures.rest(&node, now + FIRST_REST), None);
        failures.note_failure(&node, now);
        assert_eq!(failures.rest(&node, now), Some(now + 2 * FIRST_REST));
        let much_later = now + 2 * FIRST_REST + LONGEST_REST;
        failures.note_failure(&node, much_later);
        assert_eq!(
            failures.rest(&node, much_later),
            Some(much_later + FIRST_REST)
        );
        failures.note_success(&node);
        assert_eq!(failures.rest(&node, much_later), None);
    }

    #[test]
    fn failures_are_bounded() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        (0..1_000).for_each(|index| failures.note_failure(&name(index), now));
        assert_eq!(failures.failed.len(), MAX_FAILED);
        assert!(failures.rest(&name(999), now).is_some());
    }
}
