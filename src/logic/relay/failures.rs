//! Nodes that a relay does not ask for a while, because they failed.
//!
//! Failed nodes remain candidates, as the last ones: a node that failed is better than none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::logic::backoff::Backoff;
use crate::model::node::NodeName;
use crate::model::status::NodeState;

/// Nodes that failed to give a stream, and until when each rests.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    failed: BTreeMap<NodeName, LastFailure>,
}

/// The last failure of a node.
#[derive(Clone, Debug)]
struct LastFailure {
    until: Instant,
    backoff: Backoff,
    /// Whether the node was alive then. One that was not may have failed for that reason alone.
    was_alive: bool,
}

/// The rest of a node after its first failure: as long as an upstream may stall before it is given up, so that
/// every other holder gets its turn first.
pub const FIRST_REST: Duration = Duration::from_millis(300);

/// The longest rest: what a listener's burst covers, so that a node that is back is found before silence is heard.
pub const LONGEST_REST: Duration = Duration::from_secs(5);

/// The most failed nodes that are remembered. Far more than will hold one stream and fail at once.
const MAX_FAILED: usize = 64;

impl Failures {
    /// Counts a failure of a node in this state: it rests, twice as long with each one that follows.
    pub fn note_failure(&mut self, node: &NodeName, state: NodeState, now: Instant) {
        // A node that has been good for the longest rest since its last one ended begins anew.
        self.failed
            .retain(|_, failure| now.saturating_duration_since(failure.until) < LONGEST_REST);
        if self.failed.len() >= MAX_FAILED && !self.failed.contains_key(node) {
            let soonest = self.failed.iter().min_by_key(|(_, failure)| failure.until);
            let soonest = soonest.map(|(name, _)| name.clone());
            soonest.and_then(|name| self.failed.remove(&name));
        }
        let failure = self
            .failed
            .entry(node.clone())
            .or_insert_with(|| LastFailure {
                until: now,
                backoff: Backoff::new(FIRST_REST, LONGEST_REST),
                was_alive: false,
            });
        // The full wait: each relay has its own list of failures, so there is nothing to spread by chance.
        failure.until = now + failure.backoff.fail(1.0);
        failure.was_alive = state == NodeState::Alive;
    }

    /// Forgets the failures of a node that has given the stream.
    pub fn note_success(&mut self, node: &NodeName) {
        self.failed.remove(node);
    }

    /// Until when a node in this state rests, if it does. One that has come back is asked at once: after a partition the only
    /// node with more of a stream would be asked last.
    pub(super) fn rest(&self, node: &NodeName, state: NodeState, now: Instant) -> Option<Instant> {
        let failure = self.failed.get(node)?;
        let is_back = state == NodeState::Alive && !failure.was_alive;
        (failure.until > now && !is_back).then_some(failure.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: NodeState = NodeState::Alive;

    fn name(index: usize) -> NodeName {
        NodeName::try_from(format!("n{index}")).unwrap()
    }

    #[test]
    fn each_failure_doubles_the_rest_until_a_success() {
        let (mut failures, now, node) = (Failures::default(), Instant::now(), name(1));
        failures.note_failure(&node, ALIVE, now);
        assert_eq!(failures.rest(&node, ALIVE, now), Some(now + FIRST_REST));
        assert_eq!(failures.rest(&node, ALIVE, now + FIRST_REST), None);
        failures.note_failure(&node, ALIVE, now);
        assert_eq!(failures.rest(&node, ALIVE, now), Some(now + 2 * FIRST_REST));
        let much_later = now + 2 * FIRST_REST + LONGEST_REST;
        failures.note_failure(&node, ALIVE, much_later);
        assert_eq!(
            failures.rest(&node, ALIVE, much_later),
            Some(much_later + FIRST_REST)
        );
        failures.note_success(&node);
        assert_eq!(failures.rest(&node, ALIVE, much_later), None);
    }

    #[test]
    fn a_node_that_failed_while_it_was_away_does_not_rest_when_it_is_back() {
        let (mut failures, now, node) = (Failures::default(), Instant::now(), name(1));
        for away in [NodeState::Suspect, NodeState::Unlinked, NodeState::Dead] {
            failures.note_failure(&node, away, now);
            assert!(failures.rest(&node, away, now).is_some());
            assert_eq!(failures.rest(&node, ALIVE, now), None);
        }
        failures.note_failure(&node, ALIVE, now);
        assert!(failures.rest(&node, ALIVE, now).is_some());
    }

    #[test]
    fn failures_are_bounded() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        (0..1_000).for_each(|index| failures.note_failure(&name(index), ALIVE, now));
        assert_eq!(failures.failed.len(), MAX_FAILED);
        assert!(failures.rest(&name(999), ALIVE, now).is_some());
    }
}
