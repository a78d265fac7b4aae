//! The document as it is saved on disk, with the time of saving.
//!
//! A document that was saved longer ago than tombstones live is stale: merged into the mesh's, it would
//! bring back what was deleted and forgotten meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::node::NodeName;
use crate::model::record::Record;
use crate::model::record::key::RecordKey;

use super::clock::Clock;
use super::{ApplyOutcome, Document, HeldRecord, TOMBSTONE_LIFE};

/// How often the document is saved even when nothing has changed.
///
/// The time of the last save tells how long the node was away, so a running node has to renew it;
/// a day is short compared with the life of a tombstone and costs a disk nothing.
pub const SAVE_AT_LEAST: Duration = Duration::from_hours(24);

/// How long to wait after a failed save: a full disk is not emptied sooner, and no edit waits for long once it is.
pub const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// The document as it is written to disk. Serde's own layout, so any of its formats will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// When the document was saved, unix milliseconds.
    pub saved_unix_ms: u64,
    /// The hybrid clock, so that a restarted node does not stamp before its own past.
    pub clock_ms: u64,
    /// The last stamps before the clock leapt, see [`Clock`]; none from a version that does not keep them.
    #[serde(default)]
    pub leaps_ms: Vec<u64>,
    /// All records, tombstones included.
    pub records: BTreeMap<RecordKey, Record>,
}

impl Saved {
    /// Whether the document was saved longer ago than tombstones live. If the mesh has a document, a node with a
    /// stale one begins with an empty one instead.
    pub fn is_stale(&self, now_unix_ms: u64) -> bool {
        let away_ms = now_unix_ms.saturating_sub(self.saved_unix_ms);
        u128::from(away_ms) > TOMBSTONE_LIFE.as_millis()
    }
}

impl Document {
    /// The document as it is to be written to disk.
    pub fn saved(&self, now_unix_ms: u64) -> Saved {
        let record = |(key, held): (&RecordKey, &HeldRecord)| (key.clone(), held.record.clone());
        Saved {
            saved_unix_ms: now_unix_ms,
            clock_ms: self.clock.last_ms(),
            leaps_ms: self.clock.leaps_ms(),
            records: self.records.iter().map(record).collect(),
        }
    }

    /// The document of `node` from its disk. Records that break a bound are left out and listed.
    ///
    /// Stamps are not compared with a clock: at boot the clock of a cheap machine is often years behind, and that
    /// must not take its mounts off the air.
    pub fn restore(node: NodeName, saved: Saved) -> (Self, ApplyOutcome) {
        let clock = Clock::new(node, saved.clock_ms).leapt(saved.leaps_ms);
        let mut document = Self::with_clock(clock);
        let mut outcome = ApplyOutcome::default();
        for (key, record) in saved.records {
            let whole = record.check().map_err(Into::into);
            match whole.and_then(|()| document.put(&key, record)) {
                Ok(_) => outcome.changed.push(key),
                Err(why) => outcome.refuse(key, why),
            }
        }
        (document, outcome)
    }
}
