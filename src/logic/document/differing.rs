//! The choice of the peer whose document is settled next.
//!
//! Two documents may rightly differ for a long time: a record from a clock that is far ahead is not accepted until its
//! time has come. To settle it again and again would only fill the log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::node::NodeName;

/// How long a digest must differ before it is settled: after every change a push is under way for a moment, and gossip
/// tells of it two rounds later.
const PATIENCE: Duration = Duration::from_millis(750);
/// How long two documents that have been settled and still differ are left alone: a stamp may be at most a minute
/// ahead, so it is accepted at most half a minute late.
const REST: Duration = Duration::from_secs(30);

/// A peer whose digest differs from this node's.
#[derive(Clone, Debug)]
struct OtherPeer {
    digest: String,
    since: Instant,
    /// Our digest when the two were settled last, and when that was.
    settled: Option<(String, Instant)>,
}

/// The peers whose digests are not ours.
#[derive(Clone, Debug, Default)]
pub struct Differing(BTreeMap<NodeName, OtherPeer>);

/// Whether our document has anything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnDocument {
    /// Our document is empty: that of any peer will do, at once.
    Empty,
    /// Our document has records, so there is no hurry.
    Filled,
}

impl Differing {
    /// The peer to settle with now, given this node's digest and those of the peers that differ.
    pub fn next(
        &mut self,
        ours: &str,
        own: OwnDocument,
        theirs: BTreeMap<NodeName, String>,
        now: Instant,
    ) -> Option<NodeName> {
        self.0
            .retain(|name, it| theirs.get(name) == Some(&it.digest));
        for (name, digest) in theirs {
            self.0.entry(name).or_insert(OtherPeer {
                digest,
                since: now,
                settled: None,
            });
        }
        let wait = match own {
            OwnDocument::Empty => Duration::ZERO,
            OwnDocument::Filled => PATIENCE,
        };
        let rests = |it: &OtherPeer| {
            let same = it.settled.as_ref().filter(|(digest, _)| digest == ours);
            same.is_some_and(|(_, at)| now.saturating_duration_since(*at) < REST)
        };
        let due = self
            .0
            .iter()
            .filter(|(_, it)| now.saturating_duration_since(it.since) >= wait && !rests(it));
        due.min_by_key(|(_, it)| it.since)
            .map(|(name, _)| name.clone())
    }

    /// A try with a peer has failed: other peers come first.
    pub fn note_failure(&mut self, peer: &NodeName, now: Instant) {
        if let Some(it) = self.0.get_mut(peer) {
            it.since = now;
        }
    }

    /// The document has been settled with a peer, and now has this digest.
    pub fn note_settled(&mut self, peer: &NodeName, ours: String, now: Instant) {
        if let Some(it) = self.0.get_mut(peer) {
            it.since = now;
            it.settled = Some((ours, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    fn theirs(digests: &[(&str, &str)]) -> BTreeMap<NodeName, String> {
        let digests = digests.iter();
        digests
            .map(|(node, digest)| (name(node), (*digest).to_owned()))
            .collect()
    }

    #[test]
    fn a_digest_that_differs_for_a_while_is_settled() {
        let (mut differing, now) = (Differing::default(), Instant::now());
        let peers = || theirs(&[("a", "1")]);
        assert_eq!(differing.next("0", OwnDocument::Filled, peers(), now), None);
        let later = now + PATIENCE;
        assert_eq!(
            differing.next("0", OwnDocument::Filled, theirs(&[("a", "2")]), later),
            None,
            "it has just become another one"
        );
        let next = differing.next(
            "0",
            OwnDocument::Filled,
            theirs(&[("a", "2")]),
            later + PATIENCE,
        );
        assert_eq!(next, Some(name("a")));
        let mut newborn = Differing::default();
        assert_eq!(
            newborn.next("", OwnDocument::Empty, peers(), now),
            Some(name("a"))
        );
    }

    #[test]
    fn a_difference_that_was_settled_rests_until_something_changes() {
        let (mut differing, now) = (Differing::default(), Instant::now());
        let peers = || theirs(&[("a", "1")]);
        let mut next = |ours, peers, s| {
            let now = now + Duration::from_secs(s);
            let next = differing.next(ours, OwnDocument::Filled, peers, now);
            if let Some(peer) = &next {
                differing.note_settled(peer, ours.to_owned(), now);
            }
            next.is_some()
        };
        assert!(!next("0", peers(), 0));
        assert!(next("0", peers(), 1), "the first time");
        assert!(!next("0", peers(), 10) && !next("0", peers(), 30));
        assert!(next("0", peers(), 31), "time may have changed it");
        assert!(next("2", peers(), 40), "ours has changed");
        assert!(!next("2", theirs(&[("a", "3")]), 41));
        assert!(next("2", theirs(&[("a", "3")]), 42), "theirs has changed");
    }

    #[test]
    fn a_peer_that_fails_does_not_keep_the_others_waiting() {
        let (mut differing, now) = (Differing::default(), Instant::now());
        let peers = || theirs(&[("a", "1"), ("b", "2")]);
        let mut next = |ms| {
            let now = now + Duration::from_millis(ms);
            let next = differing.next("0", OwnDocument::Filled, peers(), now);
            next.inspect(|peer| differing.note_failure(peer, now))
        };
        assert_eq!(next(0), None);
        assert_eq!(next(800), Some(name("a")));
        assert_eq!(next(900), Some(name("b")));
        assert_eq!(next(1_000), None);
        assert_eq!(next(1_600), Some(name("a")));
    }
}
