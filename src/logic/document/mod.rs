//! The replicated document: a map of records that merges the same way in every order.
//!
//! Every node has all of it. A change is made on any node and pushed to its peers; a change that a push
//! misses is found by comparing digests and settled with [`Document::summaries`].
//!
//! A record that was deleted while another node wrote to it comes back with the newly written
//! fields only: every reader must be ready for half a record.

pub mod clock;
pub mod differing;
mod renewal;
pub mod saved;
pub mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;
use crate::model::record::summary::{SUMMARY_RECORDS, Summary};
use crate::model::record::{Flaw, Record, RecordHash, Value};
use crate::model::stamp::Stamp;

use clock::Clock;
use settle::{Difference, Digest};

/// The most records, tombstones included: far beyond the mounts of any radio, and 1 ms of hashing.
pub const MAX_RECORDS: usize = 10_000;
/// The most bytes of all records together: 10,000 mounts with all their texts, on any machine.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;
/// How far ahead of this node's clock a stamp may be.
///
/// Clocks kept by NTP differ by less than a second; one that is a minute ahead is wrong. To believe it would
/// let it overrule every other node until the other clocks get there.
pub const MAX_AHEAD: Duration = Duration::from_secs(60);
/// How long a tombstone is kept: longer than a machine is usually switched off.
pub const TOMBSTONE_LIFE: Duration = Duration::from_hours(30 * 24);
/// The most refusals that are listed; a peer with a wrong clock has one for each record.
pub const MAX_REFUSALS: usize = 64;

/// The replicated configuration as this node knows it.
#[derive(Clone, Debug)]
pub struct Document {
    clock: Clock,
    records: BTreeMap<RecordKey, HeldRecord>,
    bytes: usize,
    digest: OnceLock<Digest>,
}

/// A record with what was computed when it last changed.
#[derive(Clone, Debug)]
struct HeldRecord {
    record: Record,
    hash: RecordHash,
    bytes: usize,
}

/// The result of applying records from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// The records that have changed.
    pub changed: Vec<RecordKey>,
    /// The records that were refused, the first [`MAX_REFUSALS`] of them.
    pub refused: Vec<RejectedRecord>,
    /// How many more refusals there were.
    pub refused_beyond: usize,
}

/// A record, or a part of it, that was refused. Its other parts and the other records were applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {key}: {why}")]
pub struct RejectedRecord {
    /// The record.
    pub key: RecordKey,
    /// The reason.
    pub why: Why,
}

/// Why a record, or a part of it, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The record breaks a bound; nothing of it was applied.
    #[error(transparent)]
    Flawed(#[from] Flaw),
    /// Parts of the record are from the future and were left out; the peer offers them again, and they are
    /// applied when this node's clock gets there. One clock is wrong: the writer's or this node's.
    #[error("written by {} {ahead_ms} ms ahead of this node's clock: one of the two is wrong", stamp.node)]
    Ahead {
        /// The greatest stamp among the parts.
        stamp: Stamp,
        /// How far it is ahead, milliseconds.
        ahead_ms: u64,
    },
    /// The document has no room for the record.
    #[error("the document is full: {MAX_RECORDS} records or {MAX_DOCUMENT_BYTES} bytes")]
    Full,
}

/// Why a record was not edited or deleted here. The document is as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No field is given.
    #[error("no field is given")]
    NoFields,
    /// The record does not exist, or is deleted.
    #[error("there is no record {0}")]
    NotThere(RecordKey),
    /// The record would break a bound.
    #[error("record {0}: {1}")]
    Refused(RecordKey, #[source] Why),
}

/// Whether a record changed the document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Changed,
    Same,
}

impl Document {
    /// An empty document of this node.
    pub fn new(node: NodeName) -> Self {
        Self::with_clock(Clock::new(node, 0))
    }

    fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            records: BTreeMap::new(),
            bytes: 0,
            digest: OnceLock::new(),
        }
    }

    /// A live record.
    pub fn get(&self, key: &RecordKey) -> Option<&Record> {
        let record = &self.records.get(key)?.record;
        record.is_live().then_some(record)
    }

    /// All live records, by key.
    pub fn live(&self) -> impl Iterator<Item = (&RecordKey, &Record)> {
        let records = self.records.iter().map(|(key, held)| (key, &held.record));
        records.filter(|(_, record)| record.is_live())
    }

    /// Whether the document holds nothing at all, not even a tombstone.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How far the stamps are ahead of the wall clock. More than [`MAX_AHEAD`] means that this node's clock was
    /// or is wrong, and peers accept no edit of it until their clocks get there, see [`Document::renew`].
    pub fn ahead(&self, now_unix_ms: u64) -> Duration {
        Duration::from_millis(self.clock.last_ms().saturating_sub(now_unix_ms))
    }

    /// Writes fields of a record, which need not exist, and returns the whole record for the peers.
    pub fn edit(
        &mut self,
        key: &RecordKey,
        fields: BTreeMap<String, Value>,
        now_unix_ms: u64,
    ) -> Result<Record, EditError> {
        if fields.is_empty() {
            return Err(EditError::NoFields);
        }
        let stamp = self.clock.stamp(now_unix_ms);
        self.write(key, Record::written(fields, &stamp))
    }

    /// Writes fields that no node has written yet, and returns the record for the peers. If another node has founded
    /// the same record, the older founding stays; every later edit wins over both.
    pub fn found(
        &mut self,
        key: &RecordKey,
        fields: BTreeMap<String, Value>,
        now_unix_ms: u64,
    ) -> Result<Record, EditError> {
        let stamp = self.clock.founding_stamp(now_unix_ms);
        self.write(key, Record::written(fields, &stamp))
    }

    /// Deletes a live record and returns its tombstone for the peers.
    pub fn delete(&mut self, key: &RecordKey, now_unix_ms: u64) -> Result<Record, EditError> {
        if self.get(key).is_none() {
            return Err(EditError::NotThere(key.clone()));
        }
        let stamp = self.clock.stamp(now_unix_ms);
        self.write(key, Record::tombstone(stamp))
    }

    fn write(&mut self, key: &RecordKey, record: Record) -> Result<Record, EditError> {
        let refused = |why| EditError::Refused(key.clone(), why);
        self.put(key, record).map_err(refused)?;
        let written = self.records.get(key);
        Ok(written.expect("it has just been put in").record.clone())
    }

    /// Applies records from a peer. Unknown fields are kept and passed on.
    pub fn apply(
        &mut self,
        records: BTreeMap<RecordKey, Record>,
        now_unix_ms: u64,
    ) -> ApplyOutcome {
        let mut outcome = ApplyOutcome::default();
        for (key, record) in records {
            self.take_in(key, record, now_unix_ms, &mut outcome);
        }
        outcome
    }

    /// Applies what was written on a copy of this document, whatever its stamps.
    pub fn adopt(&mut self, records: BTreeMap<RecordKey, Record>) -> ApplyOutcome {
        let mut outcome = ApplyOutcome::default();
        for (key, record) in records {
            match self.put(&key, record) {
                Ok(Effect::Changed) => outcome.changed.push(key),
                Ok(Effect::Same) => {}
                Err(why) => outcome.refuse(key, why),
            }
        }
        outcome
    }

    fn take_in(
        &mut self,
        key: RecordKey,
        mut record: Record,
        now_ms: u64,
        outcome: &mut ApplyOutcome,
    ) {
        if let Err(flaw) = record.check() {
            return outcome.refuse(key, Why::Flawed(flaw));
        }
        let latest_ms = now_ms.saturating_add(MAX_AHEAD.as_millis() as u64);
        if let Some(stamp) = record.quarantine(latest_ms) {
            let ahead_ms = stamp.time_ms.saturating_sub(now_ms);
            outcome.refuse(key.clone(), Why::Ahead { stamp, ahead_ms });
        }
        let holds_nothing = record.stamps().next().is_none();
        // A peer that has not pruned yet must not bring back what is pruned here.
        let pruned = is_expired(&key, &record, now_ms) && !self.records.contains_key(&key);
        if holds_nothing || pruned {
            return;
        }
        match self.put(&key, record) {
            Ok(Effect::Changed) => outcome.changed.push(key),
            Ok(Effect::Same) => {}
            Err(why) => outcome.refuse(key, why),
        }
    }

    /// Merges a record into the one that is held, if the result keeps the bounds.
    fn put(&mut self, key: &RecordKey, record: Record) -> Result<Effect, Why> {
        let held = self.records.get(key);
        let mut merged = held.map_or_else(Record::default, |held| held.record.clone());
        let stamps: Vec<Stamp> = record.stamps().cloned().collect();
        merged.merge(record);
        if held.is_some_and(|held| held.record == merged) {
            return Ok(Effect::Same);
        }
        merged.check()?;
        let canonical = merged.canonical_bytes();
        let bytes = key.as_str().len() + canonical.len();
        let total = self.bytes - held.map_or(0, |held| held.bytes) + bytes;
        let records = self.records.len() + usize::from(held.is_none());
        if total > MAX_DOCUMENT_BYTES || records > MAX_RECORDS {
            return Err(Why::Full);
        }
        for stamp in &stamps {
            self.clock.observe(stamp);
        }
        let held = HeldRecord {
            record: merged,
            hash: RecordHash::of(&canonical),
            bytes,
        };
        self.records.insert(key.clone(), held);
        self.bytes = total;
        self.digest.take();
        Ok(Effect::Changed)
    }

    /// Forgets tombstones and expiring records that are older than [`TOMBSTONE_LIFE`], and returns how many
    /// they were.
    ///
    /// To be called each minute: until all nodes have forgotten a record their digests differ.
    pub fn prune(&mut self, now_unix_ms: u64) -> usize {
        let before = self.records.len();
        self.records
            .retain(|key, held| !is_expired(key, &held.record, now_unix_ms));
        let pruned = before - self.records.len();
        if pruned > 0 {
            self.bytes = self.records.values().map(|held| held.bytes).sum();
            self.digest.take();
        }
        pruned
    }

    /// The SHA-256 of all keys and records. Computed once after each change.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = Sha256::new();
            for (key, held) in &self.records {
                hasher.update((key.as_str().len() as u64).to_be_bytes());
                hasher.update(key.as_str());
                hasher.update(held.hash.0);
            }
            Digest(hasher.finalize().into())
        })
    }

    /// The hashes of all records in ranges of at most [`SUMMARY_RECORDS`], for a peer whose digest differs.
    pub fn summaries(&self) -> Vec<Summary> {
        let ends = self.records.keys().skip(SUMMARY_RECORDS - 1);
        let ends = ends.step_by(SUMMARY_RECORDS).cloned().map(Some);
        let mut after = None;
        let mut summaries = Vec::new();
        for up_to in ends.chain([None]) {
            let range = (
                after.clone().map_or(Bound::Unbounded, Bound::Excluded),
                up_to.clone().map_or(Bound::Unbounded, Bound::Included),
            );
            let records = self.records.range::<RecordKey, _>(range);
            let hashes = records.map(|(key, held)| (key.clone(), held.hash));
            summaries.push(Summary {
                after,
                up_to: up_to.clone(),
                hashes: hashes.collect(),
            });
            after = up_to;
        }
        summaries
    }

    /// The steps after which the sender of `theirs` and this node hold the same in its range.
    pub fn difference(&self, theirs: &Summary) -> Difference {
        let mut difference = Difference::default();
        for (key, held) in &self.records {
            if theirs.covers(key) && theirs.hashes.get(key) != Some(&held.hash) {
                difference.send.push(key.clone());
            }
        }
        for (key, hash) in &theirs.hashes {
            let ours = self.records.get(key).map(|held| &held.hash);
            if theirs.covers(key) && ours != Some(hash) {
                difference.ask.push(key.clone());
            }
        }
        difference
    }

    /// The records of these keys as far as they are here, tombstones included, in bundles that take at
    /// most `max_bytes` each on a link. A record is never split, so a larger one is a bundle by itself.
    pub fn bundles(
        &self,
        keys: &[RecordKey],
        max_bytes: usize,
    ) -> Vec<BTreeMap<RecordKey, Record>> {
        let mut bundles: Vec<BTreeMap<RecordKey, Record>> = Vec::new();
        let mut room = 0;
        for key in keys {
            let Some(held) = self.records.get(key) else {
                continue;
            };
            let bytes = held.bytes + size_of::<u64>(); // the length before the key
            if bytes > room || bundles.is_empty() {
                bundles.push(BTreeMap::new());
                room = max_bytes.saturating_sub(size_of::<u64>()); // the number of records
            }
            room = room.saturating_sub(bytes);
            let bundle = bundles.last_mut().expect("one has just been pushed");
            bundle.insert(key.clone(), held.record.clone());
        }
        bundles
    }
}

impl ApplyOutcome {
    fn refuse(&mut self, key: RecordKey, why: Why) {
        if self.refused.len() < MAX_REFUSALS {
            self.refused.push(RejectedRecord { key, why });
        } else {
            self.refused_beyond += 1;
        }
    }
}

/// Whether only an old tombstone is left of a record, or it is old and of a kind that expires.
fn is_expired(key: &RecordKey, record: &Record, now_unix_ms: u64) -> bool {
    let life_ms = TOMBSTONE_LIFE.as_millis() as u64;
    let old = |stamp: &Stamp| stamp.time_ms.saturating_add(life_ms) < now_unix_ms;
    if key.is_passing() {
        return record.stamps().all(old);
    }
    !record.is_live() && record.deleted().is_some_and(old)
}
