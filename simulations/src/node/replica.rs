//! The replicated document of one node: production's [`Document`], pushed after each edit, settled by summaries.
//!
//! A push may be lost; then two digests in gossip differ, and the two nodes exchange what they have.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use antiphon::logic::document::Document;
use antiphon::logic::document::differing::{Differing, Own};
use antiphon::logic::document::saved::Saved;
use antiphon::logic::records::mounts;
use antiphon::model::mount::{MountName, MountSpec};
use antiphon::model::node::NodeName;
use antiphon::model::record::key::RecordKey;
use antiphon::model::record::summary::Summary;
use antiphon::model::record::{Record, Register, Value};
use antiphon::wire::frame::{Frame, MAX_BODY_BYTES};
use antiphon::wire::gossip;

use super::mesh::Mesh;
use super::{Deed, Heard, LinkMessage, Moment, TalkId, Talks};

/// How often the digests are compared; as in production.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long settling with one peer may take; as in production.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

/// What an operator does to the document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Writes fields of a record.
    Set(RecordKey, BTreeMap<String, Value>),
    /// Deletes a record.
    Delete(RecordKey),
}

/// A change that was made: what it wrote, with its stamps.
#[derive(Clone, Debug)]
pub struct Written {
    /// Of which record.
    pub key: RecordKey,
    /// The fields that were written, or the tombstone.
    pub record: Record,
}

impl Written {
    /// Whether records hold what was written, or something newer.
    pub fn is_in(&self, records: &BTreeMap<RecordKey, Record>) -> bool {
        let nothing = Record::default();
        let record = records.get(&self.key).unwrap_or(&nothing);
        let is_there = |(name, written): (&String, &Register)| {
            let field = record.fields().get(name).map(|register| &register.stamp);
            field.max(record.deleted()) >= Some(&written.stamp)
        };
        record.deleted() >= self.record.deleted() && self.record.fields().iter().all(is_there)
    }
}

/// A settling that this node has begun.
#[derive(Debug)]
struct Settling {
    talk: TalkId,
    peer: NodeName,
    began: Instant,
    /// What is still to be compared.
    summaries: std::vec::IntoIter<Summary>,
}

/// The document's part in a node.
#[derive(Debug)]
pub struct Replica {
    document: Document,
    mounts: BTreeMap<MountName, MountSpec>,
    differing: Differing,
    settling: Option<Settling>,
    /// Settlings that peers have begun.
    answering: Vec<TalkId>,
    look_at: Option<Instant>,
    /// Whether gossip and disk have yet to be told of the document.
    is_untold: bool,
}

impl Replica {
    pub(super) fn new(me: NodeName, saved: Option<Saved>) -> Self {
        let document = match saved {
            Some(saved) => Document::restore(me, saved).0,
            None => Document::new(me),
        };
        let mounts = mounts::list(&document).mounts;
        Self {
            document,
            mounts,
            differing: Differing::default(),
            settling: None,
            answering: Vec::new(),
            look_at: None,
            is_untold: true,
        }
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    pub(super) fn mount(&self, path: &MountName) -> Option<&MountSpec> {
        self.mounts.get(path)
    }

    /// Whether a conversation is about the document.
    pub(super) fn is_in(&self, talk: TalkId) -> bool {
        let settling = self.settling.as_ref().map(|settling| settling.talk);
        settling == Some(talk) || self.answering.contains(&talk)
    }

    /// Makes an operator's change, and tells everybody.
    pub(super) fn edit(&mut self, edit: Edit, moment: Moment, out: &mut Vec<Deed>) {
        let (key, written) = match edit {
            Edit::Set(key, fields) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                let edited = self.document.edit(&key, fields, moment.wall_ms);
                let only = |record: Record| only_fields(&record, &names);
                (key, edited.map(|whole| (only(whole.clone()), whole)))
            }
            Edit::Delete(key) => {
                let deleted = self.document.delete(&key, moment.wall_ms);
                (key, deleted.map(|whole| (whole.clone(), whole)))
            }
        };
        // A record that is not there cannot be deleted, and no other edit of a world is refused.
        let Ok((record, whole)) = written else { return };
        let push = Frame::Records(BTreeMap::from([(key.clone(), whole)]));
        out.push(Deed::Edited(Written { key, record }));
        out.push(Deed::Broadcast(LinkMessage::Frame(push)));
        self.announce(moment, out);
    }

    /// Takes in what a peer has pushed or settles.
    pub(super) fn take(
        &mut self,
        records: BTreeMap<RecordKey, Record>,
        moment: Moment,
        out: &mut Vec<Deed>,
    ) {
        let outcome = self.document.apply(records, moment.wall_ms);
        if !outcome.changed.is_empty() {
            self.announce(moment, out);
        }
    }

    fn announce(&mut self, moment: Moment, out: &mut Vec<Deed>) {
        self.is_untold = false;
        self.mounts = mounts::list(&self.document).mounts;
        let digest = self.document.digest().to_string();
        out.push(Deed::Gossip(gossip::DOCUMENT.into(), Some(digest)));
        out.push(Deed::Save(Box::new(self.document.saved(moment.wall_ms))));
    }

    /// Compares digests when it is time, and begins to settle with one peer at a time.
    pub(super) fn beat(
        &mut self,
        mesh: &Mesh,
        talks: &mut Talks,
        moment: Moment,
        out: &mut Vec<Deed>,
    ) {
        let now = moment.now;
        if self.look_at.is_some_and(|at| now < at) {
            return;
        }
        self.look_at = Some(now + LOOK_INTERVAL);
        if self.is_untold {
            self.announce(moment, out);
        }
        let too_long = |settling: &mut Settling| now - settling.began > SETTLE_TIMEOUT;
        if let Some(stuck) = self.settling.take_if(too_long) {
            self.differing.note_failure(&stuck.peer, now);
            out.push(Deed::Abort(stuck.talk));
        }
        if self.settling.is_some() {
            return; // one after the other, and nobody looks meanwhile
        }
        let Some(peer) = self.next_to_settle(mesh, now) else {
            return;
        };
        let mut summaries = self.document.summaries().into_iter();
        let first = summaries.next();
        let first = first.expect("even an empty document has one summary");
        let talk = talks.next();
        self.settling = Some(Settling {
            talk,
            peer: peer.clone(),
            began: now,
            summaries,
        });
        out.push(Deed::Open(talk, peer, Frame::Summary(first)));
    }

    fn next_to_settle(&mut self, mesh: &Mesh, now: Instant) -> Option<NodeName> {
        let (view, ours) = (mesh.view(), self.document.digest().to_string());
        let peers = view.nodes.iter();
        let peers = peers.filter(|(name, node)| **name != view.me && node.is_up());
        let theirs = peers.filter_map(|(name, node)| Some((name.clone(), node.document.clone()?)));
        let theirs = theirs.filter(|(_, digest)| *digest != ours).collect();
        let own = match self.document.is_empty() {
            true => Own::Empty,
            false => Own::Filled,
        };
        self.differing.next((&ours, own), theirs, now)
    }

    /// Goes on with a settling.
    pub(super) fn talk(&mut self, talk: TalkId, heard: Heard, moment: Moment, out: &mut Vec<Deed>) {
        let asked = self.settling.as_ref().is_some_and(|it| it.talk == talk);
        match heard {
            Heard::Began(_, frame) => {
                self.answering.push(talk);
                self.answer(talk, frame, moment, out);
            }
            Heard::Frame(frame) if asked => self.go_on(talk, frame, moment, out),
            Heard::Frame(frame) => self.answer(talk, frame, moment, out),
            Heard::Finished | Heard::Lost => {
                out.push(Deed::Finish(talk));
                if let Some(failed) = self.settling.take_if(|settling| settling.talk == talk) {
                    self.differing.note_failure(&failed.peer, moment.now);
                }
                self.answering.retain(|other| *other != talk);
            }
        }
    }

    /// The side that has begun.
    fn go_on(&mut self, talk: TalkId, frame: Frame, moment: Moment, out: &mut Vec<Deed>) {
        match frame {
            Frame::Records(records) => self.take(records, moment, out),
            Frame::Ask(keys) => {
                self.give(talk, &keys, out);
                out.push(Deed::Say(talk, Frame::Done));
                let settling = self.settling.as_mut();
                match settling.and_then(|settling| settling.summaries.next()) {
                    Some(summary) => out.push(Deed::Say(talk, Frame::Summary(summary))),
                    None => {
                        out.push(Deed::Finish(talk));
                        let ours = self.document.digest().to_string();
                        if let Some(settled) = self.settling.take() {
                            self.differing.note_settled(&settled.peer, ours, moment.now);
                        }
                    }
                }
            }
            _ => out.push(Deed::Abort(talk)),
        }
    }

    /// The side that was asked.
    fn answer(&mut self, talk: TalkId, frame: Frame, moment: Moment, out: &mut Vec<Deed>) {
        match frame {
            Frame::Summary(summary) => {
                let difference = self.document.difference(&summary);
                self.give(talk, &difference.send, out);
                out.push(Deed::Say(talk, Frame::Ask(difference.ask)));
            }
            Frame::Records(records) => self.take(records, moment, out),
            Frame::Done => {}
            _ => out.push(Deed::Abort(talk)),
        }
    }

    fn give(&self, talk: TalkId, keys: &[RecordKey], out: &mut Vec<Deed>) {
        let bundles = self.document.bundles(keys, MAX_BODY_BYTES - 64);
        let say = |bundle| Deed::Say(talk, Frame::Records(bundle));
        out.extend(bundles.into_iter().map(say));
    }
}

/// A record with these of its fields, and without its tombstone.
fn only_fields(record: &Record, names: &[String]) -> Record {
    let mut only = Record::default();
    for (name, register) in record.fields() {
        if names.contains(name) {
            let field = BTreeMap::from([(name.clone(), register.value.clone())]);
            only.merge(Record::written(field, &register.stamp));
        }
    }
    only
}
