//! The records that a node holds in a range of keys, as hashes: two nodes compare these.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RecordHash;
use super::key::RecordKey;

/// The most records in one summary: with the longest keys 165 kB, so it fits a frame of 256 KiB.
pub const SUMMARY_RECORDS: usize = 500;

/// The hashes of all records of one node in a range of keys, tombstones included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The range begins after this key; `None`: with the first.
    pub after: Option<RecordKey>,
    /// The range ends with this key; `None`: with the last.
    pub up_to: Option<RecordKey>,
    /// The hashes of the records that the sender holds there.
    pub hashes: BTreeMap<RecordKey, RecordHash>,
}

impl Summary {
    /// Whether a key lies in the range.
    pub fn covers(&self, key: &RecordKey) -> bool {
        let begun = self.after.as_ref().is_none_or(|after| key > after);
        begun && self.up_to.as_ref().is_none_or(|last| key <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_covers_its_range_without_the_first_key() {
        let key = |text: &str| RecordKey::try_from(text).unwrap();
        let mut summary = Summary {
            after: Some(key("b")),
            up_to: Some(key("d")),
            hashes: BTreeMap::new(),
        };
        let covered = |summary: &Summary| {
            let keys = ["a", "b", "c", "d", "e"].map(key);
            keys.iter().filter(|key| summary.covers(key)).count()
        };
        assert_eq!(covered(&summary), 2);
        summary.after = None;
        assert_eq!(covered(&summary), 4);
        summary.up_to = None;
        assert_eq!(covered(&summary), 5);
    }
}
