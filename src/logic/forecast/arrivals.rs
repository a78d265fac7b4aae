//! The listeners sent here that count as arrived: each tag once, and only a fresh one.
//!
//! A player that lost its connection asks for the same address again, perhaps hours later. It is served and not
//! counted, because no node waits for it.

use std::collections::BTreeSet;

use crate::model::node::NodeName;

/// How old a tag may be, or how far ahead of this node's clock, seconds: the difference of clocks, and the slowest
/// player.
const FRESH_S: u32 = 120;
/// The most tags remembered: 270 listeners a second for as long as a tag is fresh. Beyond, the oldest are forgotten,
/// and tags of their time no longer count.
const MAX_TAGS: usize = 65_536;

/// When a tag was made, and its number, by its redirector.
type TagStamp = (u32, u16);

/// The tags that have counted.
#[derive(Clone, Debug, Default)]
pub struct ArrivalTags {
    seen: BTreeSet<(TagStamp, NodeName)>,
    /// Tags up to this second do not count: which of them were seen is forgotten.
    forgotten_s: u32,
}

impl ArrivalTags {
    /// Whether a genuine tag counts; it is remembered, so that it counts once.
    pub fn count(&mut self, from: &NodeName, minted: TagStamp, now_unix_s: u32) -> bool {
        let oldest_s = now_unix_s.saturating_sub(FRESH_S).max(self.forgotten_s + 1);
        let fresh = (oldest_s..=now_unix_s.saturating_add(FRESH_S)).contains(&minted.0);
        while self.seen.first().is_some_and(|it| it.0.0 < oldest_s) {
            self.seen.pop_first();
        }
        if !fresh || !self.seen.insert((minted, from.clone())) {
            return false;
        }
        if self.seen.len() > MAX_TAGS
            && let Some(((unix_s, _), _)) = self.seen.pop_first()
        {
            self.forgotten_s = self.forgotten_s.max(unix_s);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    #[test]
    fn a_tag_counts_once_and_only_while_it_is_fresh() {
        let (mut arrivals, a, b) = (ArrivalTags::default(), name("a"), name("b"));
        assert!(arrivals.count(&a, (1_000, 1), 1_000));
        assert!(!arrivals.count(&a, (1_000, 1), 1_001), "a second time");
        assert!(
            arrivals.count(&b, (1_000, 1), 1_001),
            "another redirector's"
        );
        assert!(arrivals.count(&a, (1_000, 2), 1_001));
        assert!(arrivals.count(&a, (880, 3), 1_000), "just fresh");
        assert!(!arrivals.count(&a, (879, 4), 1_000), "too old");
        assert!(!arrivals.count(&a, (1_200, 5), 1_000), "from the future");
        assert!(!arrivals.count(&a, (1_000, 1), 2_000), "forgotten, and old");
        assert!(arrivals.seen.is_empty());
    }

    #[test]
    fn when_memory_is_full_what_was_forgotten_counts_no_more() {
        let (mut arrivals, a) = (ArrivalTags::default(), name("a"));
        for number in 0..u16::MAX {
            assert!(arrivals.count(&a, (1_000, number), 1_000));
        }
        assert!(arrivals.count(&a, (1_001, 0), 1_001));
        assert!(arrivals.count(&a, (1_001, 1), 1_001));
        assert!(!arrivals.count(&a, (1_000, 0), 1_001), "it had counted");
        assert!(!arrivals.count(&a, (1_000, u16::MAX), 1_001), "it may have");
        assert!(arrivals.seen.len() <= MAX_TAGS);
    }
}
