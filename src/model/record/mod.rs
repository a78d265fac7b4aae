//! A record of the document: named fields, each of them a last-writer-wins register.
//!
//! A tombstone does not remove a record; it hides the fields that are not newer. A write after the
//! delete brings the record back, with the new fields only.

pub mod key;
pub mod summary;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::stamp::Stamp;

/// The most fields of a record; a mount of today has six.
pub const MAX_FIELDS: usize = 64;
/// The longest name of a field.
pub const MAX_FIELD_NAME_BYTES: usize = 64;
/// The longest text of a field; the longest that a mount uses is 1 KiB.
pub const MAX_VALUE_BYTES: usize = 8 * 1024;
/// The most bytes of a record: half a frame of a link (256 KiB), so that each can travel.
pub const MAX_RECORD_BYTES: usize = 128 * 1024;

/// The value of a field. The kinds are part of the link's format; a new one needs a new version of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// The field has been cleared.
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Text, at most [`MAX_VALUE_BYTES`].
    Text(String),
}

/// A value and when it was written. The derived order is the merge rule: the greater of two stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Register {
    /// When and by which node it was written; first, so that it decides.
    pub stamp: Stamp,
    /// The value that was written.
    pub value: Value,
}

/// Why a record is refused, whichever node sends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// More fields than [`MAX_FIELDS`], perhaps only together with the fields that are already there.
    #[error("{0} fields, at most {MAX_FIELDS}")]
    TooManyFields(usize),
    /// The name of a field is empty, too long or has control characters; this is its beginning.
    #[error(
        "the field name {0:?} is not 1 to {MAX_FIELD_NAME_BYTES} bytes without control characters"
    )]
    FieldName(String),
    /// The text of this field is too long.
    #[error("the field {field} has {bytes} bytes, at most {MAX_VALUE_BYTES}")]
    LongValue {
        /// The name of the field.
        field: String,
        /// The length of the text.
        bytes: usize,
    },
    /// The record as a whole is larger than [`MAX_RECORD_BYTES`].
    #[error("{0} bytes, at most {MAX_RECORD_BYTES}")]
    TooLarge(usize),
}

/// The fields of a record and its tombstone. Merging is a maximum, so order and repetition do not matter.
///
/// The types hold no `flatten`, `untagged` or skipped field: a link's encoding does not describe itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    fields: BTreeMap<String, Register>,
    deleted: Option<Stamp>,
}

impl Record {
    /// A record with these fields, all written at `stamp`.
    pub fn written(fields: BTreeMap<String, Value>, stamp: &Stamp) -> Self {
        let register = |value| Register {
            stamp: stamp.clone(),
            value,
        };
        let fields = fields.into_iter();
        Self {
            fields: fields
                .map(|(name, value)| (name, register(value)))
                .collect(),
            deleted: None,
        }
    }

    /// A tombstone: hides all fields that are not newer than `stamp`.
    pub fn tombstone(stamp: Stamp) -> Self {
        Self {
            fields: BTreeMap::new(),
            deleted: Some(stamp),
        }
    }

    /// The fields by name, unknown ones included.
    pub fn fields(&self) -> &BTreeMap<String, Register> {
        &self.fields
    }

    /// When the record was last deleted; it may have been written again since.
    pub fn deleted(&self) -> Option<&Stamp> {
        self.deleted.as_ref()
    }

    /// The value of a field; `None` if it was never written or has been cleared.
    pub fn value(&self, field: &str) -> Option<&Value> {
        let value = &self.fields.get(field)?.value;
        (*value != Value::Nothing).then_some(value)
    }

    /// Whether some field is newer than the tombstone.
    pub fn is_live(&self) -> bool {
        let mut registers = self.fields.values();
        registers.any(|register| Some(&register.stamp) > self.deleted.as_ref())
    }

    /// Takes over all that is newer in `other`, and drops the fields that are deleted by then.
    pub fn merge(&mut self, other: Self) {
        for (name, theirs) in other.fields {
            match self.fields.get(&name) {
                Some(ours) if *ours >= theirs => {}
                _ => drop(self.fields.insert(name, theirs)),
            }
        }
        self.deleted = self.deleted.take().max(other.deleted);
        let deleted = self.deleted.as_ref();
        self.fields
            .retain(|_, register| Some(&register.stamp) > deleted);
    }

    /// Removes what is stamped after `latest_ms`, and returns the greatest such stamp.
    pub fn quarantine(&mut self, latest_ms: u64) -> Option<Stamp> {
        let is_ahead = |stamp: &Stamp| stamp.time_ms > latest_ms;
        let mut worst = self.deleted.take_if(|stamp| is_ahead(stamp));
        self.fields.retain(|_, register| {
            let ahead = is_ahead(&register.stamp);
            if ahead {
                worst = worst.take().max(Some(register.stamp.clone()));
            }
            !ahead
        });
        worst
    }

    /// Replaces the stamps that are in `renewed`.
    pub fn restamp(&mut self, renewed: &BTreeMap<Stamp, Stamp>) {
        let registers = self.fields.values_mut();
        let stamps = registers.map(|register| &mut register.stamp);
        for stamp in stamps.chain(&mut self.deleted) {
            if let Some(new) = renewed.get(stamp) {
                stamp.clone_from(new);
            }
        }
    }

    /// The stamps of all fields and of the tombstone.
    pub fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        let fields = self.fields.values().map(|register| &register.stamp);
        fields.chain(&self.deleted)
    }

    /// Checks the bounds that keep a peer from filling memory and links.
    pub fn check(&self) -> Result<(), Flaw> {
        if self.fields.len() > MAX_FIELDS {
            return Err(Flaw::TooManyFields(self.fields.len()));
        }
        for (name, register) in &self.fields {
            let named = (1..=MAX_FIELD_NAME_BYTES).contains(&name.len());
            if !named || name.chars().any(char::is_control) {
                let beginning = name.chars().take(16).collect();
                return Err(Flaw::FieldName(beginning));
            }
            match &register.value {
                Value::Text(text) if text.len() > MAX_VALUE_BYTES => {
                    let (field, bytes) = (name.clone(), text.len());
                    return Err(Flaw::LongValue { field, bytes });
                }
                _ => {}
            }
        }
        let bytes = self.canonical_bytes().len();
        if bytes > MAX_RECORD_BYTES {
            return Err(Flaw::TooLarge(bytes));
        }
        Ok(())
    }

    /// The encoding of the record that all nodes hash, independent of how they store and send it.
    ///
    /// Every number in it is 8 bytes and every text has its length before it, so it is unambiguous,
    /// and at least as long as the record is on a link.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.fields.len() as u64);
        for (name, register) in &self.fields {
            put_text(&mut bytes, name);
            put_stamp(&mut bytes, &register.stamp);
            put_value(&mut bytes, &register.value);
        }
        put_number(&mut bytes, u64::from(self.deleted.is_some()));
        if let Some(stamp) = &self.deleted {
            put_stamp(&mut bytes, stamp);
        }
        bytes
    }
}

/// 128 bits of the SHA-256 of a record: two nodes hold the same record if theirs are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHash(pub [u8; 16]);

impl RecordHash {
    /// The hash of [`Record::canonical_bytes`].
    pub fn of(canonical_bytes: &[u8]) -> Self {
        let whole: [u8; 32] = Sha256::digest(canonical_bytes).into();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Self(half)
    }
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn put_stamp(bytes: &mut Vec<u8>, stamp: &Stamp) {
    put_number(bytes, stamp.time_ms);
    put_text(bytes, stamp.node.as_str());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nothing => put_number(bytes, 0),
        Value::Flag(flag) => {
            put_number(bytes, 1);
            put_number(bytes, u64::from(*flag));
        }
        Value::Number(number) => {
            put_number(bytes, 2);
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Value::Text(text) => {
            put_number(bytes, 3);
            put_text(bytes, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    fn at(time_ms: u64) -> Stamp {
        let node = NodeName::try_from("a").unwrap();
        Stamp { time_ms, node }
    }

    fn text(name: &str, value: &str, time_ms: u64) -> Record {
        let fields = BTreeMap::from([(name.to_owned(), Value::Text(value.to_owned()))]);
        Record::written(fields, &at(time_ms))
    }

    #[test]
    fn a_write_later_than_a_deletion_restores_the_record() {
        let mut record = text("name", "one", 1);
        record.merge(text("genre", "jazz", 2));
        record.merge(Record::tombstone(at(2)));
        assert!(!record.is_live() && record.fields().is_empty());
        record.merge(text("name", "old", 2));
        assert!(!record.is_live());
        record.merge(text("name", "new", 3));
        assert!(record.is_live());
        assert_eq!(record.value("name"), Some(&Value::Text("new".to_owned())));
        assert_eq!(record.value("genre"), None);
    }

    #[test]
    fn a_cleared_field_has_no_value_but_keeps_its_stamp() {
        let mut record = text("url", "http://a", 1);
        let cleared = BTreeMap::from([("url".to_owned(), Value::Nothing)]);
        record.merge(Record::written(cleared, &at(2)));
        assert_eq!(record.value("url"), None);
        assert!(record.is_live());
    }

    #[test]
    fn quarantine_takes_out_the_future_and_leaves_the_rest() {
        let mut record = text("name", "one", 10);
        record.merge(text("genre", "jazz", 20));
        assert_eq!(record.quarantine(15), Some(at(20)));
        assert_eq!(record, text("name", "one", 10));
        assert_eq!(record.quarantine(15), None);
        let mut tombstone = Record::tombstone(at(30));
        assert_eq!(tombstone.quarantine(15), Some(at(30)));
        assert_eq!(tombstone, Record::default());
    }

    #[test]
    fn a_record_over_a_bound_says_which() {
        let many = (0..65).map(|i| (format!("f{i}"), Value::Flag(true)));
        let many = Record::written(many.collect(), &at(1));
        assert_eq!(many.check(), Err(Flaw::TooManyFields(65)));
        for name in ["", "a\nb", &"x".repeat(65)] {
            assert!(matches!(text(name, "", 1).check(), Err(Flaw::FieldName(_))));
        }
        let (field, bytes) = ("name".to_owned(), MAX_VALUE_BYTES + 1);
        let long = text("name", &"x".repeat(bytes), 1);
        assert_eq!(long.check(), Err(Flaw::LongValue { field, bytes }));
        let large = (0..17).map(|i| (format!("f{i}"), Value::Text("x".repeat(MAX_VALUE_BYTES))));
        let large = Record::written(large.collect(), &at(1));
        assert!(matches!(large.check(), Err(Flaw::TooLarge(_))));
    }

    #[test]
    fn equal_records_have_equal_hashes_and_others_do_not() {
        let hash = |record: &Record| RecordHash::of(&record.canonical_bytes());
        let record = text("name", "one", 1);
        assert_eq!(hash(&record), hash(&record.clone()));
        for other in [
            text("name", "two", 1),
            text("name", "one", 2),
            text("nam", "eone", 1),
            Record::tombstone(at(1)),
            Record::default(),
        ] {
            assert_ne!(hash(&record), hash(&other), "{other:?}");
        }
    }
}
