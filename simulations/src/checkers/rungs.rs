//! Listeners at nodes that hear each other are on the same rung of a ladder.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long nodes may take to find each other again once the net has changed. Peers are dialled again within a second; by then no
/// node knows what the others play.
const REUNION: Duration = Duration::from_millis(1_000);

/// The history of that rule.
#[derive(Debug, Default)]
pub(super) struct RungCourses {
    /// Since when the listeners of a mount are on different rungs of its ladder, by the number of the mount.
    apart_since: BTreeMap<usize, Duration>,
    /// The nodes that hear each other, and since when it is these.
    components: Vec<usize>,
    changed_at: Duration,
}

impl RungCourses {
    /// Notes which nodes hear each other.
    pub(super) fn note_net(&mut self, now: Duration, components: &[usize]) {
        if self.components != components {
            self.components = components.to_vec();
            self.changed_at = now;
        }
    }

    /// How long listeners of a mount have been on different rungs among nodes that have long heard each other. Each of those who
    /// hear something is named by its component, and whether it hears the mount's own stream.
    pub(super) fn apart(
        &mut self,
        now: Duration,
        mount: usize,
        heard: &BTreeSet<(usize, bool)>,
    ) -> Duration {
        let is_apart = heard
            .iter()
            .any(|(at, is_own)| heard.contains(&(*at, !is_own)));
        if !is_apart {
            self.apart_since.remove(&mount);
            return Duration::ZERO;
        }
        let since = *self.apart_since.entry(mount).or_insert(now);
        now.saturating_sub(since.max(self.changed_at + REUNION))
    }
}
