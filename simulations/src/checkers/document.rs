//! The promises of the document: all nodes soon have the same one, nothing that was deleted comes back, nothing that
//! was written is lost, and nothing appears that was never written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon::logic::document::Document;
use antiphon::logic::document::saved::Saved;
use antiphon::logic::document::settle::Digest;
use antiphon::model::record::key::RecordKey;
use antiphon::model::record::{Record, Register};
use antiphon::model::stamp::Stamp;

use super::Violations;
use crate::faults::{DiskFate, Fault};
use crate::node::Written;

/// One node's document.
pub(crate) struct Copy<'a> {
    pub(crate) node: usize,
    pub(crate) life: u32,
    pub(crate) component: usize,
    pub(crate) document: &'a Document,
}

/// A change that an operator has made.
#[derive(Debug)]
struct Write {
    node: usize,
    at: Duration,
    what: Written,
    /// Whether the change must be everywhere in the end.
    is_safe: bool,
}

/// The state of a node's document when it was last looked at.
#[derive(Debug)]
struct Seen {
    life: u32,
    digest: Digest,
    /// The greatest tombstones that this life of the node has known.
    tombstones: BTreeMap<RecordKey, Stamp>,
}

/// The findings of one run about the document.
#[derive(Debug)]
pub(crate) struct DocumentFindings {
    pub(crate) differed: Duration,
    pub(crate) violations: Vec<String>,
}

/// The judge of a world's documents.
#[derive(Debug)]
pub struct DocumentRules {
    bound: Duration,
    now: Duration,
    calm_at: Duration,
    writes: Vec<Write>,
    written: BTreeSet<(RecordKey, String, Register)>,
    seen: BTreeMap<usize, Seen>,
    /// Component and digest of each node in this look.
    present: Vec<(usize, Digest)>,
    differ_since: Option<Duration>,
    proven: Option<Digest>,
    differed: Duration,
    violations: Violations,
}

impl DocumentRules {
    pub(crate) fn new(bound: Duration) -> Self {
        Self {
            bound,
            now: Duration::ZERO,
            calm_at: Duration::ZERO,
            writes: Vec::new(),
            written: BTreeSet::new(),
            seen: BTreeMap::new(),
            present: Vec::new(),
            differ_since: None,
            proven: None,
            differed: Duration::ZERO,
            violations: Violations::default(),
        }
    }

    /// Something happens to the world.
    pub(crate) fn fault(&mut self, now: Duration, fault: Fault) {
        self.disturb(now);
        match fault {
            // What is stamped ahead is refused until the others' clocks are there.
            Fault::Jump(_, by_ms) => {
                let by = Duration::from_millis(by_ms.unsigned_abs());
                self.calm_at = self.calm_at.max(now + by);
            }
            // A backup or an empty disk may hold fewer changes than were made.
            Fault::Restart(DiskFate::Lost | DiskFate::Stale) => self.proven = None,
            _ => {}
        }
    }

    /// Documents may differ for a while from now on.
    pub(crate) fn disturb(&mut self, now: Duration) {
        self.now = now;
        self.calm_at = self.calm_at.max(now);
        self.differ_since = None;
    }

    /// A node has only what is on its disk any more: what it wrote besides may be lost.
    pub(crate) fn remembers(&mut self, node: usize, on_disk: Option<&Saved>) {
        let nothing = BTreeMap::new();
        let records = on_disk.map_or(&nothing, |saved| &saved.records);
        for write in self.writes.iter_mut().filter(|write| write.node == node) {
            write.is_safe &= write.what.is_in(records);
        }
    }

    /// An operator's change was made at a node.
    pub(crate) fn edited(&mut self, (node, _): (usize, u32), at: Duration, what: Written) {
        for (name, register) in what.record.fields() {
            let entry = (what.key.clone(), name.clone(), register.clone());
            self.written.insert(entry);
        }
        self.writes.push(Write {
            node,
            at,
            what,
            is_safe: true,
        });
    }

    /// Looks at one node's document, if it has changed.
    pub(crate) fn see(&mut self, copy: Copy<'_>) {
        let digest = copy.document.digest();
        self.present.push((copy.component, digest));
        let seen = self.seen.get(&copy.node);
        let known = seen.filter(|seen| seen.life == copy.life);
        if known.is_some_and(|seen| seen.digest == digest) {
            return;
        }
        let mut tombstones = known.map_or_else(BTreeMap::new, |seen| seen.tombstones.clone());
        for (key, record) in copy.document.saved(0).records {
            self.examine((copy.node, &key), &record, &mut tombstones);
        }
        let (node, life) = (copy.node, copy.life);
        let seen = Seen {
            life,
            digest,
            tombstones,
        };
        self.seen.insert(node, seen);
    }

    fn examine(
        &mut self,
        (node, key): (usize, &RecordKey),
        record: &Record,
        tombstones: &mut BTreeMap<RecordKey, Stamp>,
    ) {
        let deleted = record.deleted().cloned();
        let deleted = deleted.max(tombstones.get(key).cloned());
        for (name, register) in record.fields() {
            if Some(&register.stamp) <= deleted.as_ref() {
                self.violations.note("D2", self.now, || {
                    format!("node {node}: {name} of {key} came back after {deleted:?}")
                });
            }
            let entry = (key.clone(), name.clone(), register.clone());
            if !self.written.contains(&entry) {
                self.violations.note("D4", self.now, || {
                    format!("node {node}: nobody wrote {entry:?}")
                });
            }
        }
        if let Some(deleted) = deleted {
            tombstones.insert(key.clone(), deleted);
        }
    }

    /// Compares all that was seen in this look. `sample` is the document of some node, if all nodes were seen.
    pub(crate) fn compare(&mut self, now: Duration, sample: Option<&Document>) {
        self.now = now;
        let mut present = std::mem::take(&mut self.present);
        present.sort_by_key(|(component, _)| *component);
        let differ = |pair: &[(usize, Digest)]| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1;
        if present.windows(2).any(differ) {
            let since = *self.differ_since.get_or_insert(now);
            if now >= self.calm_at {
                self.differed = self.differed.max(now - since.max(self.calm_at));
            }
            let bound = self.bound;
            if now > since.max(self.calm_at) + bound {
                self.violations.note("D1", now, || {
                    format!("documents differ for more than {bound:?}")
                });
            }
            return;
        }
        self.differ_since = None;
        let is_whole = present.windows(2).all(|pair| pair[0].0 == pair[1].0);
        let Some(sample) = sample.filter(|_| is_whole) else {
            return;
        };
        // Once for each state of the document, and not before its writers' last changes have arrived.
        if self.proven != Some(sample.digest()) {
            self.proven = Some(sample.digest());
            self.prove(sample);
        }
    }

    /// All nodes have this document: all that was written must be in it, or something newer.
    fn prove(&mut self, document: &Document) {
        let records = document.saved(0).records;
        for write in self.writes.iter().filter(|write| write.is_safe) {
            if !write.what.is_in(&records) {
                let (at, key) = (write.at.as_secs_f64(), &write.what.key);
                self.violations.note("D3", self.now, || {
                    format!(
                        "what node {} wrote to {key} at {at:.3} s is lost",
                        write.node
                    )
                });
            }
        }
    }

    pub(crate) fn finish(self) -> DocumentFindings {
        DocumentFindings {
            differed: self.differed,
            violations: self.violations.0,
        }
    }
}
