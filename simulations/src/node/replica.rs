//! The replicated document of one node: production's [`Document`], pushed after each edit, settled by summaries.
//!
//! A push may be lost; then two digests in gossip differ, and the two nodes exchange what they have.

use std::collections::BTreeMap;
use std::time::Instant;

use antiphon::logic::document::Document;
use antiphon::logic::document::saved::Saved;
use antiphon::logic::members::forgotten::{self, Forgotten};
use antiphon::logic::records::mounts;
use antiphon::model::mount::{MountName, MountSpec};
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::record::key::RecordKey;
use antiphon::model::record::{Record, Register, Value};
use antiphon::proto::settle::{AnsweringSide, Input, LOOK_INTERVAL, Output, Settling};
use antiphon::wire::frame::Frame;
use antiphon::wire::gossip;

use super::mesh::Mesh;
use super::{Action, LinkMessage, Moment, TalkEvent, TalkId, Talks};

/// An operator's edit of the document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Writes fields of a record.
    Set(RecordKey, BTreeMap<String, Value>),
    /// Deletes a record.
    Delete(RecordKey),
}

/// An edit that was made, with its stamps.
#[derive(Clone, Debug)]
pub struct Written {
    /// The record.
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

/// The document of a node, and its conversations with peers.
#[derive(Debug)]
pub struct Replica {
    document: Document,
    mounts: BTreeMap<MountName, MountSpec>,
    forgotten: Forgotten,
    settling: Settling,
    /// The conversation that this node has begun.
    asking: Option<TalkId>,
    /// The conversations that peers have begun.
    answering: BTreeMap<TalkId, AnsweringSide>,
    compare_at: Option<Instant>,
    /// Whether the document is neither gossiped nor saved yet.
    is_unpublished: bool,
}

impl Replica {
    pub(super) fn new(me: NodeName, saved: Option<Saved>, now: Instant) -> Self {
        let document = match saved {
            Some(saved) => Document::restore(me, saved).0,
            None => Document::new(me),
        };
        let mounts = mounts::list(&document).mounts;
        Self {
            forgotten: forgotten::list(&document),
            document,
            mounts,
            settling: Settling::new(None, now),
            asking: None,
            answering: BTreeMap::new(),
            compare_at: None,
            is_unpublished: true,
        }
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The nodes that operators have forgotten.
    pub fn forgotten(&self) -> &Forgotten {
        &self.forgotten
    }

    /// Forgets a node up to the life that was seen.
    pub(super) fn forget(
        &mut self,
        node: &NodeName,
        seen: Option<Generation>,
        moment: Moment,
        out: &mut Vec<Action>,
    ) {
        if let Some(fields) = forgotten::edit(&self.document, node, seen, moment.wall_ms) {
            let edit = Edit::Set(forgotten::key(node), fields);
            self.edit(edit, moment, out);
        }
    }

    /// All mounts.
    pub(super) fn mounts(&self) -> &BTreeMap<MountName, MountSpec> {
        &self.mounts
    }

    pub(super) fn mount(&self, path: &MountName) -> Option<&MountSpec> {
        self.mounts.get(path)
    }

    /// Whether a conversation is about the document.
    pub(super) fn is_in(&self, talk: TalkId) -> bool {
        self.asking == Some(talk) || self.answering.contains_key(&talk)
    }

    /// Makes an operator's edit, and pushes it to all peers.
    pub(super) fn edit(&mut self, edit: Edit, moment: Moment, out: &mut Vec<Action>) {
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
        out.push(Action::Edited(Written { key, record }));
        out.push(Action::Broadcast(LinkMessage::Frame(push)));
        self.publish(moment, out);
    }

    /// Applies records from a peer.
    pub(super) fn apply(
        &mut self,
        records: BTreeMap<RecordKey, Record>,
        moment: Moment,
        out: &mut Vec<Action>,
    ) {
        let outcome = self.document.apply(records, moment.wall_ms);
        if !outcome.changed.is_empty() {
            self.publish(moment, out);
        }
    }

    fn publish(&mut self, moment: Moment, out: &mut Vec<Action>) {
        self.is_unpublished = false;
        self.mounts = mounts::list(&self.document).mounts;
        self.forgotten = forgotten::list(&self.document);
        let digest = self.document.digest().to_string();
        out.push(Action::Gossip(gossip::DOCUMENT.into(), Some(digest)));
        out.push(Action::Save(Box::new(self.document.saved(moment.wall_ms))));
    }

    /// Compares digests when it is time, and settles with one peer at a time.
    pub(super) fn beat(
        &mut self,
        mesh: &Mesh,
        talks: &mut Talks,
        moment: Moment,
        out: &mut Vec<Action>,
    ) {
        let now = moment.now;
        if self.compare_at.is_some_and(|at| now < at) {
            return;
        }
        self.compare_at = Some(now + LOOK_INTERVAL);
        if self.is_unpublished {
            self.publish(moment, out);
        }
        let late = self.answering.extract_if(.., |_, it| it.is_late(now));
        out.extend(late.map(|(talk, _)| Action::Abort(talk)));
        let mut outputs = Vec::new();
        self.settling
            .compare(&self.document, mesh.view(), now, &mut outputs);
        for output in outputs {
            match (output, self.asking) {
                (Output::Open(peer, first), _) => {
                    let talk = talks.next();
                    self.asking = Some(talk);
                    out.push(Action::Open(talk, peer, first));
                }
                (output, Some(talk)) => self.carry_out(talk, output, moment, out),
                (_, None) => {}
            }
        }
    }

    /// Handles an event of a conversation.
    pub(super) fn talk(
        &mut self,
        talk: TalkId,
        heard: TalkEvent,
        moment: Moment,
        out: &mut Vec<Action>,
    ) {
        let input = match heard {
            TalkEvent::Began(_, frame) => {
                self.answering.insert(talk, AnsweringSide::new(moment.now));
                Input::Received(frame)
            }
            TalkEvent::Frame(frame) => Input::Received(frame),
            TalkEvent::Finished => Input::Finished,
            TalkEvent::Lost => Input::Lost,
        };
        let mut outputs = Vec::new();
        match self.answering.get_mut(&talk) {
            Some(answering) => answering.handle(input, &self.document, &mut outputs),
            None => self
                .settling
                .handle(input, &self.document, moment.now, &mut outputs),
        }
        for output in outputs {
            self.carry_out(talk, output, moment, out);
        }
    }

    fn carry_out(&mut self, talk: TalkId, output: Output, moment: Moment, out: &mut Vec<Action>) {
        match output {
            Output::Send(frame) => out.push(Action::Say(talk, frame)),
            Output::Apply(records) => self.apply(records, moment, out),
            Output::Finish => out.push(Action::Finish(talk)),
            Output::Over => self.drop_talk(talk),
            Output::HangUp => {
                out.push(Action::Abort(talk));
                self.drop_talk(talk);
            }
            // A comparison handles the one itself, and no document of a world is set aside.
            Output::Open(..) | Output::Restore(_) => {}
        }
    }

    fn drop_talk(&mut self, talk: TalkId) {
        self.answering.remove(&talk);
        self.asking.take_if(|asking| *asking == talk);
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
