//! Stamps from the future, made while a clock was wrong, are renewed. Otherwise no peer would ever accept them, and no
//! later write would ever win against them.
//!
//! The real time of such a write is not known. Its new stamp comes right after the latest right one that this node has
//! seen: it wins over what this node knew, in the order of the old stamps, and loses against what peers have written
//! since.

use std::collections::{BTreeMap, BTreeSet};

use super::{Document, MAX_AHEAD};
use crate::model::record::RecordHash;
use crate::model::stamp::Stamp;

impl Document {
    /// Renews the stamps that are more than [`MAX_AHEAD`] after this time, which must be certain; returns how many
    /// records that were.
    pub fn renew(&mut self, now_unix_ms: u64) -> usize {
        let latest_ms = now_unix_ms.saturating_add(MAX_AHEAD.as_millis() as u64);
        if self.ahead(now_unix_ms) <= MAX_AHEAD {
            return 0;
        }
        let (mut wrong, mut right_ms) = (BTreeSet::new(), self.clock.leapt_from(latest_ms));
        for stamp in self.records.values().flat_map(|held| held.record.stamps()) {
            if stamp.time_ms > latest_ms {
                wrong.insert(stamp.clone());
            } else {
                right_ms = right_ms.max(stamp.time_ms);
            }
        }
        let renewed: BTreeMap<Stamp, Stamp> = wrong
            .into_iter()
            .zip(1..)
            .map(|(old, place)| {
                let time_ms = latest_ms.min(right_ms + place);
                let node = old.node.clone();
                (old, Stamp { time_ms, node })
            })
            .collect();
        self.clock
            .set_back(latest_ms.min(right_ms + renewed.len() as u64));
        let mut records = 0;
        for (key, held) in &mut self.records {
            if !held
                .record
                .stamps()
                .any(|stamp| renewed.contains_key(stamp))
            {
                continue;
            }
            held.record.restamp(&renewed);
            let canonical = held.record.canonical_bytes();
            held.hash = RecordHash::of(&canonical);
            held.bytes = key.as_str().len() + canonical.len();
            records += 1;
        }
        self.digest.take();
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;
    use crate::model::record::Value;
    use crate::model::record::key::RecordKey;

    const NOW: u64 = 1_800_000_000_000;
    const HOUR: u64 = 3_600_000;
    const YEARS_27: u64 = 27 * 8_766 * HOUR;

    fn document(name: &str) -> Document {
        Document::new(NodeName::try_from(name).unwrap())
    }

    fn key() -> RecordKey {
        RecordKey::try_from("mount/a.mp3").unwrap()
    }

    fn write(document: &mut Document, field: &str, text: &str, now_ms: u64) {
        let fields = BTreeMap::from([(field.to_owned(), Value::Text(text.to_owned()))]);
        document.edit(&key(), fields, now_ms).unwrap();
    }

    fn text(document: &Document, field: &str) -> Option<String> {
        match document.get(&key())?.value(field)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// Gives all of one document to another at a time at which all of it is accepted.
    fn give(from: &Document, to: &mut Document, now_ms: u64) {
        let outcome = to.apply(from.saved(now_ms).records, now_ms);
        assert_eq!(outcome.refused, []);
    }

    #[test]
    fn renewed_writes_reach_the_peers_and_lose_to_later_ones() {
        for ahead in [HOUR, YEARS_27] {
            let (mut poisoned, mut peer) = (document("a"), document("b"));
            write(&mut peer, "name", "old", NOW - HOUR);
            write(&mut peer, "genre", "old", NOW - HOUR);
            give(&peer, &mut poisoned, NOW - HOUR);
            write(&mut poisoned, "name", "ahead", NOW + ahead);
            write(&mut poisoned, "genre", "ahead", NOW + ahead + 5);
            let before = poisoned.digest();
            assert_eq!(poisoned.renew(NOW), 1);
            assert_ne!(poisoned.digest(), before);
            assert!(poisoned.ahead(NOW).is_zero());
            write(&mut peer, "genre", "meanwhile", NOW - 10);
            give(&poisoned, &mut peer, NOW);
            give(&peer, &mut poisoned, NOW);
            assert_eq!(poisoned.digest(), peer.digest());
            assert_eq!(text(&peer, "name").as_deref(), Some("ahead"));
            assert_eq!(text(&peer, "genre").as_deref(), Some("meanwhile"));
            write(&mut peer, "name", "later", NOW + 1);
            give(&peer, &mut poisoned, NOW + 1);
            assert_eq!(text(&poisoned, "name").as_deref(), Some("later"));
            write(&mut poisoned, "name", "last", NOW + 2);
            give(&poisoned, &mut peer, NOW + 2);
            assert_eq!(text(&peer, "name").as_deref(), Some("last"));
        }
    }

    #[test]
    fn a_renewed_deletion_survives_a_restart_and_deletes() {
        let (mut poisoned, mut peer) = (document("a"), document("b"));
        write(&mut peer, "name", "old", NOW - HOUR);
        give(&peer, &mut poisoned, NOW - HOUR);
        poisoned.delete(&key(), NOW + YEARS_27).unwrap();
        let (saved, node) = (poisoned.saved(NOW), NodeName::try_from("a").unwrap());
        let mut restarted = Document::restore(node, saved).0;
        assert_eq!(restarted.renew(NOW), 1);
        give(&restarted, &mut peer, NOW);
        assert!(peer.get(&key()).is_none());
    }

    #[test]
    fn stamps_within_the_bound_are_left_alone() {
        let mut document = document("a");
        write(&mut document, "name", "x", NOW + 60_000);
        let before = document.digest();
        assert_eq!(document.renew(NOW), 0);
        assert_eq!(document.digest(), before);
    }

    #[test]
    fn a_document_from_the_future_is_renewed_in_order() {
        let mut poisoned = document("a");
        for (place, letter) in ["x", "y", "z"].into_iter().enumerate() {
            write(&mut poisoned, letter, letter, NOW + YEARS_27 + place as u64);
        }
        poisoned.renew(NOW);
        let record = poisoned.get(&key()).unwrap();
        let times: Vec<u64> = record.stamps().map(|stamp| stamp.time_ms).collect();
        assert_eq!(times, [1, 2, 3]);
        let (saved, node) = (poisoned.saved(NOW), NodeName::try_from("a").unwrap());
        let mut restored = Document::restore(node, saved).0;
        assert_eq!(restored.digest(), poisoned.digest());
        write(&mut restored, "x", "now", NOW);
        let record = restored.get(&key()).unwrap();
        assert_eq!(record.fields()["x"].stamp.time_ms, NOW, "no more ahead");
    }
}
