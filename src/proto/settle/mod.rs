//! How two nodes settle a difference of their documents: whom to ask next, what to ask and to answer, in which pieces.
//!
//! The node that asks tells what it holds by hash, a range of keys at a time. The other one sends what differs and asks
//! for what it lacks itself. Both sides hold the same once all ranges are through, unless somebody has edited meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::logic::document::Document;
use crate::logic::document::differing::{Differing, Own};
use crate::model::node::NodeName;
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::model::record::summary::Summary;
use crate::proto::view::MeshView;
use crate::wire::frame::{Frame, MAX_BODY_BYTES};

/// How often the digests are compared.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long settling with one peer may take, so that a stuck one does not keep the others waiting.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a node that was told of peers waits for one of them before it believes its own old document.
pub const ALONE_AFTER: Duration = Duration::from_secs(30);
/// A bundle of records leaves this much of a frame to its framing.
const BUNDLE_BYTES: usize = MAX_BODY_BYTES - 64;

/// What is heard of a settling.
#[derive(Clone, Debug)]
pub enum Input {
    /// The next frame of the peer.
    Said(Frame),
    /// The peer has said all.
    Finished,
    /// The conversation was cut short, took too long, or never began.
    Lost,
}

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Begin a conversation with this node by a frame.
    Open(NodeName, Frame),
    /// Say the next thing in it.
    Say(Frame),
    /// Take in what the peer has told.
    Take(BTreeMap<RecordKey, Record>),
    /// Tell the peer that there is no more to say.
    Finish,
    /// The conversation has come to its good end.
    Over,
    /// Cut it short: the peer does not keep to the rules, or is too slow.
    HangUp,
    /// Nobody has a document for this node: take in its own old one, which is better than none.
    GoBackTo(Box<Document>),
}

/// The side that asks: one peer after the other.
#[derive(Debug)]
pub struct Settling {
    began: Instant,
    differing: Differing,
    asked: Option<Asked>,
    /// A document that is too old to be merged, as long as no peer has given this node another.
    set_aside: Option<Document>,
}

/// A peer that is being asked.
#[derive(Debug)]
struct Asked {
    peer: NodeName,
    since: Instant,
    /// What is still to be compared.
    summaries: std::vec::IntoIter<Summary>,
    /// The digest of our document when everything had been said.
    said_all: Option<String>,
}

impl Settling {
    /// Nobody has been asked yet.
    pub fn new(set_aside: Option<Document>, now: Instant) -> Self {
        Self {
            began: now,
            differing: Differing::default(),
            asked: None,
            set_aside,
        }
    }

    /// Compares the digests; to be called each [`LOOK_INTERVAL`]. While a peer is being asked nobody else is.
    pub fn look(&mut self, ours: &Document, view: &MeshView, now: Instant, out: &mut Vec<Output>) {
        let is_late = |it: &Asked| now.saturating_duration_since(it.since) > SETTLE_TIMEOUT;
        if self.asked.as_ref().is_some_and(is_late) {
            out.push(Output::HangUp);
            self.fail(now);
        }
        if self.asked.is_some() {
            return;
        }
        if now.saturating_duration_since(self.began) > ALONE_AFTER
            && let Some(old) = self.set_aside.take()
            && ours.is_empty()
        {
            return out.push(Output::GoBackTo(Box::new(old)));
        }
        let Some(peer) = self.next(ours, view, now) else {
            return;
        };
        let mut summaries = ours.summaries().into_iter();
        let first = summaries.next();
        let first = first.expect("even an empty document has one summary");
        self.asked = Some(Asked {
            peer: peer.clone(),
            since: now,
            summaries,
            said_all: None,
        });
        out.push(Output::Open(peer, Frame::Summary(first)));
    }

    /// A live peer whose document has differed from ours for a while; at once if ours is still empty.
    fn next(&mut self, ours: &Document, view: &MeshView, now: Instant) -> Option<NodeName> {
        let own = match ours.is_empty() {
            true => Own::Empty,
            false => Own::Filled,
        };
        let ours = ours.digest().to_string();
        let peers = view.nodes.iter();
        let peers = peers.filter(|(name, node)| **name != view.me && node.is_up());
        let theirs = peers.filter_map(|(name, node)| Some((name.clone(), node.document.clone()?)));
        let theirs = theirs.filter(|(_, digest)| *digest != ours).collect();
        self.differing.next(&ours, own, theirs, now)
    }

    /// Takes in what becomes of the conversation that [`look`](Self::look) has begun. What comes when nobody is asked
    /// is late, and nothing follows from it.
    pub fn hear(&mut self, input: Input, ours: &Document, now: Instant, out: &mut Vec<Output>) {
        let Some(asked) = &mut self.asked else {
            return;
        };
        match (input, &asked.said_all) {
            (Input::Said(Frame::Records(records)), None) => out.push(Output::Take(records)),
            (Input::Said(Frame::Ask(keys)), None) => {
                give(ours, &keys, out);
                out.push(Output::Say(Frame::Done));
                match asked.summaries.next() {
                    Some(summary) => out.push(Output::Say(Frame::Summary(summary))),
                    None => {
                        out.push(Output::Finish);
                        asked.said_all = Some(ours.digest().to_string());
                    }
                }
            }
            // The peer has heard that there is no more, and so all that was said before.
            (Input::Finished, Some(digest)) => {
                self.differing
                    .note_settled(&asked.peer, digest.clone(), now);
                self.set_aside = None;
                self.asked = None;
                out.push(Output::Over);
            }
            _ => {
                out.push(Output::HangUp);
                self.fail(now);
            }
        }
    }

    fn fail(&mut self, now: Instant) {
        if let Some(failed) = self.asked.take() {
            self.differing.note_failure(&failed.peer, now);
        }
    }
}

/// The side that was asked, in one conversation. Over with [`Output::Over`] or [`Output::HangUp`].
#[derive(Debug)]
pub struct Answering {
    since: Instant,
    awaits: Awaits,
}

/// What the asking side says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// What it holds in the next range; or nothing more.
    Summary,
    /// What it was asked for, until it says that this is all.
    Records,
}

impl Answering {
    /// A peer is about to say its first frame.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            awaits: Awaits::Summary,
        }
    }

    /// Whether the peer has taken too long.
    pub fn is_late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > SETTLE_TIMEOUT
    }

    /// Takes in what the peer says.
    pub fn hear(&mut self, input: Input, ours: &Document, out: &mut Vec<Output>) {
        match (self.awaits, input) {
            (Awaits::Summary, Input::Said(Frame::Summary(summary))) => {
                let difference = ours.difference(&summary);
                give(ours, &difference.send, out);
                out.push(Output::Say(Frame::Ask(difference.ask)));
                self.awaits = Awaits::Records;
            }
            (Awaits::Summary, Input::Finished) => out.extend([Output::Finish, Output::Over]),
            (Awaits::Records, Input::Said(Frame::Records(records))) => {
                out.push(Output::Take(records));
            }
            (Awaits::Records, Input::Said(Frame::Done)) => self.awaits = Awaits::Summary,
            _ => out.push(Output::HangUp),
        }
    }
}

/// Says the records of these keys, as many in a frame as it takes.
fn give(ours: &Document, keys: &[RecordKey], out: &mut Vec<Output>) {
    let bundles = ours.bundles(keys, BUNDLE_BYTES).into_iter();
    out.extend(bundles.map(|bundle| Output::Say(Frame::Records(bundle))));
}

#[cfg(test)]
mod tests;
