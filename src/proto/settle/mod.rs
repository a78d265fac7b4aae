//! How two nodes bring their documents into agreement: which peer is next, what to ask and answer, in which pieces.
//!
//! The node that asks sends the hashes of its records, a range of keys at a time. The other node sends what differs and
//! asks for what it lacks. Both hold the same after the last range, unless there was an edit meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::logic::document::Document;
use crate::logic::document::differing::{Differing, OwnDocument};
use crate::model::node::NodeName;
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::model::record::summary::Summary;
use crate::proto::view::MeshView;
use crate::wire::frame::{Frame, MAX_BODY_BYTES};

/// How often the digests are compared.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long settling with one peer may take, so that a stuck peer does not delay the others.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a node with peers waits for one of them before it uses its own old document.
pub const ALONE_AFTER: Duration = Duration::from_secs(30);
/// The most bytes of records in one frame; the rest is for its framing.
const BUNDLE_BYTES: usize = MAX_BODY_BYTES - 64;

/// An event of a settling.
#[derive(Clone, Debug)]
pub enum Input {
    /// The next frame of the peer.
    Received(Frame),
    /// The peer has sent its last frame.
    Finished,
    /// The conversation was cut short, took too long, or never began.
    Lost,
}

/// A task of the driver; several are done in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a conversation with this node by this frame.
    Open(NodeName, Frame),
    /// Send the next frame.
    Send(Frame),
    /// Apply the peer's records to the document.
    Apply(BTreeMap<RecordKey, Record>),
    /// Tell the peer that no more frames will follow.
    Finish,
    /// The conversation is complete.
    Over,
    /// Abort it: the peer breaks the protocol, or is too slow.
    HangUp,
    /// No peer has a document for this node: use its own old one.
    Restore(Box<Document>),
}

/// The side that asks, one peer after the other.
#[derive(Debug)]
pub struct Settling {
    began: Instant,
    differing: Differing,
    asked: Option<AskedPeer>,
    /// The document of this node, which is too old to be merged, until a peer has sent another.
    set_aside: Option<Document>,
}

/// A peer that is being asked.
#[derive(Debug)]
struct AskedPeer {
    peer: NodeName,
    since: Instant,
    /// The ranges that are still to be compared.
    summaries: std::vec::IntoIter<Summary>,
    /// The digest of our document when the last frame was sent.
    final_digest: Option<String>,
}

impl Settling {
    /// A node that has asked no peer yet.
    pub fn new(set_aside: Option<Document>, now: Instant) -> Self {
        Self {
            began: now,
            differing: Differing::default(),
            asked: None,
            set_aside,
        }
    }

    /// Compares the digests; to be called each [`LOOK_INTERVAL`]. One peer is asked at a time.
    pub fn compare(
        &mut self,
        ours: &Document,
        view: &MeshView,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let is_late = |it: &AskedPeer| now.saturating_duration_since(it.since) > SETTLE_TIMEOUT;
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
            return out.push(Output::Restore(Box::new(old)));
        }
        let Some(peer) = self.next(ours, view, now) else {
            return;
        };
        let mut summaries = ours.summaries().into_iter();
        let first = summaries.next();
        let first = first.expect("even an empty document has one summary");
        self.asked = Some(AskedPeer {
            peer: peer.clone(),
            since: now,
            summaries,
            final_digest: None,
        });
        out.push(Output::Open(peer, Frame::Summary(first)));
    }

    /// A live peer whose document has differed from ours for a while; at once if ours is still empty.
    fn next(&mut self, ours: &Document, view: &MeshView, now: Instant) -> Option<NodeName> {
        let own = match ours.is_empty() {
            true => OwnDocument::Empty,
            false => OwnDocument::Filled,
        };
        let ours = ours.digest().to_string();
        let peers = view.nodes.iter();
        let peers = peers.filter(|(name, node)| **name != view.me && node.is_up());
        let theirs = peers.filter_map(|(name, node)| Some((name.clone(), node.document.clone()?)));
        let theirs = theirs.filter(|(_, digest)| *digest != ours).collect();
        self.differing.next(&ours, own, theirs, now)
    }

    /// Handles an event of the conversation that [`compare`](Self::compare) has opened. An event without a conversation
    /// is late and ignored.
    pub fn handle(&mut self, input: Input, ours: &Document, now: Instant, out: &mut Vec<Output>) {
        let Some(asked) = &mut self.asked else {
            return;
        };
        match (input, &asked.final_digest) {
            (Input::Received(Frame::Records(records)), None) => out.push(Output::Apply(records)),
            (Input::Received(Frame::Ask(keys)), None) => {
                send_records(ours, &keys, out);
                out.push(Output::Send(Frame::Done));
                match asked.summaries.next() {
                    Some(summary) => out.push(Output::Send(Frame::Summary(summary))),
                    None => {
                        out.push(Output::Finish);
                        asked.final_digest = Some(ours.digest().to_string());
                    }
                }
            }
            // The peer has received the last frame, and so all frames before it.
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

/// The side that answers, in one conversation. It ends with [`Output::Over`] or [`Output::HangUp`].
#[derive(Debug)]
pub struct AnsweringSide {
    since: Instant,
    next: NextFrame,
}

/// The next frame that the asking side may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextFrame {
    /// The summary of the next range, or the end.
    Summary,
    /// The records that it was asked for, until Done.
    Records,
}

impl AnsweringSide {
    /// A conversation that a peer has opened.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            next: NextFrame::Summary,
        }
    }

    /// Whether the peer has taken too long.
    pub fn is_late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > SETTLE_TIMEOUT
    }

    /// Handles an event of the conversation.
    pub fn handle(&mut self, input: Input, ours: &Document, out: &mut Vec<Output>) {
        match (self.next, input) {
            (NextFrame::Summary, Input::Received(Frame::Summary(summary))) => {
                let difference = ours.difference(&summary);
                send_records(ours, &difference.send, out);
                out.push(Output::Send(Frame::Ask(difference.ask)));
                self.next = NextFrame::Records;
            }
            (NextFrame::Summary, Input::Finished) => out.extend([Output::Finish, Output::Over]),
            (NextFrame::Records, Input::Received(Frame::Records(records))) => {
                out.push(Output::Apply(records));
            }
            (NextFrame::Records, Input::Received(Frame::Done)) => self.next = NextFrame::Summary,
            _ => out.push(Output::HangUp),
        }
    }
}

/// Sends the records of these keys, as many in a frame as fit.
fn send_records(ours: &Document, keys: &[RecordKey], out: &mut Vec<Output>) {
    let bundles = ours.bundles(keys, BUNDLE_BYTES).into_iter();
    out.extend(bundles.map(|bundle| Output::Send(Frame::Records(bundle))));
}

#[cfg(test)]
mod tests;
