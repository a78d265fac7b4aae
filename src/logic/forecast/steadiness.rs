//! Whether a node that was in doubt has been heard for long enough to be chosen again.
//!
//! A node that falls silent and comes back again and again would be chosen each time, and the listeners that are sent
//! there would then hear nothing. So each doubt costs it a time in which it must be heard without another one.

use std::time::{Duration, Instant};

/// How long a node must be heard after the first doubt. Doubts of one fault (first the link, then gossip) come within
/// two seconds.
const PROBATION: Duration = Duration::from_secs(3);
/// The longest such time: a node that has recovered is not kept out for longer than a person needs to notice.
const MAX_PROBATION: Duration = Duration::from_secs(60);
/// How long a node must have been free of doubt until its doubts are forgotten.
const CALM: Duration = Duration::from_secs(300);

/// One observer's memory of a node's doubts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steadiness {
    /// Since when the node is heard without a doubt.
    heard_since: Option<Instant>,
    /// Doubts in a row, without a calm between them.
    doubts: u32,
}

impl Steadiness {
    /// The node is heard, and there is no doubt about it.
    pub fn hear(&mut self, now: Instant) {
        self.heard_since.get_or_insert(now);
    }

    /// The node is in doubt. That counts once until it is heard again, and never before it was heard at all.
    pub fn doubt(&mut self, now: Instant) {
        let Some(steady_at) = self.steady_at() else {
            return;
        };
        if now.saturating_duration_since(steady_at) >= CALM {
            self.doubts = 0;
        }
        self.doubts = self.doubts.saturating_add(1);
        self.heard_since = None;
    }

    /// The node leaves on purpose: its silence from now on is not a doubt.
    pub fn excuse(&mut self) {
        self.heard_since = None;
    }

    /// From when on the node may be chosen if nothing happens; `None` while it is not heard.
    pub fn steady_at(&self) -> Option<Instant> {
        Some(self.heard_since? + self.probation())
    }

    fn probation(&self) -> Duration {
        match self.doubts.checked_sub(1) {
            None => Duration::ZERO,
            // Five doublings are more than the longest time.
            Some(more) => (PROBATION * (1 << more.min(5))).min(MAX_PROBATION),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_node_never_in_doubt_is_steady_at_once() {
        let (mut node, now) = (Steadiness::default(), Instant::now());
        assert_eq!(node.steady_at(), None, "not heard yet");
        node.doubt(now);
        node.hear(now);
        node.hear(now + SECOND);
        assert_eq!(
            node.steady_at(),
            Some(now),
            "a newcomer is doubted at first"
        );
    }

    #[test]
    fn each_doubt_lasts_twice_as_long_until_calm_forgets_them() {
        let (mut node, mut now) = (Steadiness::default(), Instant::now());
        node.hear(now);
        for wanted_s in [3, 6, 12, 24, 48, 60, 60] {
            now += SECOND;
            node.doubt(now);
            node.doubt(now + SECOND);
            assert_eq!(node.steady_at(), None);
            now += 2 * SECOND;
            node.hear(now);
            assert_eq!(node.steady_at(), Some(now + wanted_s * SECOND));
        }
        let steady_at = node.steady_at().unwrap();
        node.doubt(steady_at + CALM);
        node.hear(now);
        assert_eq!(node.steady_at(), Some(now + PROBATION));
    }

    #[test]
    fn a_node_that_leaves_on_purpose_is_not_doubted() {
        let (mut node, now) = (Steadiness::default(), Instant::now());
        node.hear(now);
        node.excuse();
        node.doubt(now + SECOND);
        node.hear(now + 2 * SECOND);
        assert_eq!(node.steady_at(), Some(now + 2 * SECOND));
    }
}
