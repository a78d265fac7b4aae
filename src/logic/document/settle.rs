//! How two nodes find out which records differ: a digest of the whole, then hashes of ranges.
//!
//! A summary says what its sender holds in a range of keys, and thereby also what it does not hold:
//! that is why the range is part of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::key::RecordKey;
use super::record::RecordHash;

/// The most records in one summary: with the longest keys 165 kB, so it fits a frame of 256 KiB.
pub const SUMMARY_RECORDS: usize = 500;

/// The SHA-256 of a whole document: two nodes hold the same one if theirs are equal.
///
/// Shown as 64 hexadecimal digits, which is how gossip carries it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hashes of all records of one node in a range of keys, tombstones included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The range begins after this key; `None`: with the first.
    pub after: Option<RecordKey>,
    /// The range ends with this key; `None`: with the last.
    pub up_to: Option<RecordKey>,
    /// What its sender holds there.
    pub hashes: BTreeMap<RecordKey, RecordHash>,
}

impl Summary {
    /// Whether a key lies in the range.
    pub fn covers(&self, key: &RecordKey) -> bool {
        let begun = self.after.as_ref().is_none_or(|after| key > after);
        begun && self.up_to.as_ref().is_none_or(|last| key <= last)
    }
}

/// What the receiver of a [`Summary`] has to do so that both sides hold the same.
///
/// A record that both have and that differs stands in both lists: each may have the newer half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Records to send to the summary's sender.
    pub send: Vec<RecordKey>,
    /// Records to ask the summary's sender for.
    pub ask: Vec<RecordKey>,
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

    #[test]
    fn a_digest_is_shown_in_hexadecimal() {
        assert_eq!(Digest([0xab; 32]).to_string(), "ab".repeat(32));
    }
}
