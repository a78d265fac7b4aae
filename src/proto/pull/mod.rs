//! One pull: which node is asked for which bytes of a mount's stream, and when the pull is over.
//!
//! A pull outlives its stream: when the source has gone, listeners are kept for as long as the mount lingers, and then
//! continue with the mount's next stream. No byte goes through [`Pull`]: the driver appends the bytes, reports the
//! result, and calls again at [`Pull::wake_at`].

mod round;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::round::UpstreamAttempt;
use crate::logic::backoff::Backoff;
use crate::logic::relay::follow::{FIRST_WAIT, LONGEST_WAIT};
use crate::logic::relay::route::{Failures, Precedence};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::proto::view::MeshView;
use crate::wire::frame::Denial;
use crate::wire::gossip::{Origin, StreamCard};

/// How long a stream without listeners is kept: a listener that comes back soon finds it still running.
pub const LINGER: Duration = Duration::from_secs(30);
/// How long a stream that no node sends is waited for at least while the mount has a source: only the ways to it are
/// cut, or its node is; or the source is a new one that gossip does not show yet. Players give up after such a silence
/// anyway.
const REPAIR: Duration = Duration::from_secs(10);
/// The same for a stream whose end was not seen, while the mount has no source: a node that hangs for a second is taken for
/// dead for a moment, and nobody hears a silence of this length.
const DOUBT: Duration = Duration::from_secs(3);

/// Numbers the requests of one pull, so that a late answer is not taken for the answer to a later request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(u64);

/// An event for a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The view of the mesh has changed: another node may hold the stream now.
    ViewChanged,
    /// The upstream of this request has answered, or sent a frame.
    Heard(RequestId, UpstreamEvent),
}

/// The result of a request, or of a frame that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamEvent {
    /// A stream begins.
    Opened(Opened),
    /// The upstream does not have what was asked for.
    Denied(Denial),
    /// A frame of the stream was stored: bytes, a title or a heartbeat.
    Stored,
    /// Bytes are missing before those that came; nothing was stored.
    Gap,
    /// The source has gone, and the ring has its last byte.
    Ended,
    /// The link is lost, a frame is invalid, or there is no room for a ring.
    Lost,
}

/// The stream that an upstream begins to send, and its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The number of the stream.
    pub stream_id: StreamId,
    /// The stream's head, from its source.
    pub head: StreamHead,
    /// The first byte.
    pub offset: u64,
}

/// The part of a mount's streams that an upstream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullTarget {
    /// The bytes after those in the ring; the stream on air, if no ring is held.
    Next,
    /// Another stream, which replaces the one that is held.
    Other(StreamId),
    /// The stream on air, although bytes before it are missing.
    OnAir,
}

/// A request to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRequest {
    /// The number of this request.
    pub id: RequestId,
    /// The node.
    pub upstream: NodeName,
    /// The stream and its first byte; `None`: what is on air, from a join point.
    pub resume: Option<(StreamId, u64)>,
    /// The bytes that it is asked for.
    pub target: PullTarget,
}

/// Why an upstream is left although it has not ended the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamTimeout {
    /// The request was not answered in time.
    NoAnswer,
    /// The stream stalled.
    Stalled,
}

/// A task of the driver. One upstream is left before the next is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a request.
    Request(StreamRequest),
    /// Append what this node sends to the ring that is held.
    Continue(NodeName, Opened),
    /// Append it to a new ring, to which the listeners of the old one move.
    Open(NodeName, Opened),
    /// Close the exchange with the upstream.
    HangUp(Option<UpstreamTimeout>),
    /// The pull is over, and the stream that is held ends with it.
    Over(EndReason),
}

/// The ring that the pull fills, as far as decisions need it.
#[derive(Clone, Debug)]
pub struct HeldRing {
    /// The stream that it holds.
    pub stream: Precedence,
    /// The number of its next byte.
    pub next_offset: u64,
    /// Why no byte will follow, if the stream is over.
    pub finished: Option<EndReason>,
    /// When its source, or the node that the source is connected to, was heard last; of a stream that is over, when its
    /// last audio sounds.
    pub last_fed: Instant,
    /// Whether it is its mount's current ring.
    pub is_current: bool,
    /// Since when it has no reader.
    pub idle_since: Option<Instant>,
    /// The byte at which its listeners left each stream before it.
    pub left: BTreeMap<StreamId, u64>,
}

/// The facts that a pull's decisions depend on, besides the ring.
#[derive(Clone, Copy, Debug)]
pub struct PullContext<'a> {
    /// The mesh, and which node holds which stream.
    pub mesh: &'a MeshView,
    /// How long the mount keeps its listeners without a source; `None`: the mount was deleted.
    pub linger: Option<Duration>,
    /// A random number from 0 to 1.
    pub chance: f64,
    /// The time.
    pub now: Instant,
}

/// The state of a pull.
#[derive(Debug)]
enum PullState {
    /// Every possible upstream was asked: the next round begins at this time, or when the mesh changes.
    Waiting(Instant),
    /// An upstream is asked, or sends.
    Asking(Box<UpstreamAttempt>),
    /// The end.
    Over,
}

/// The machine that keeps the ring of one mount filled.
#[derive(Debug)]
pub struct Pull {
    mount: MountName,
    began: Instant,
    failures: Failures,
    backoff: Backoff,
    last_id: RequestId,
    /// Whether the mesh has changed since the last round began.
    has_news: bool,
    /// The ring, as of the last event.
    held: Option<HeldRing>,
    state: PullState,
}

impl Pull {
    /// A pull that begins with its first event.
    pub fn new(mount: MountName, now: Instant) -> Self {
        Self {
            mount,
            began: now,
            failures: Failures::default(),
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            last_id: RequestId::default(),
            has_news: false,
            held: None,
            state: PullState::Waiting(now),
        }
    }

    /// When it wants its next tick, if there is no event before; `None` once it is over.
    pub fn wake_at(&self) -> Option<Instant> {
        match &self.state {
            PullState::Waiting(until) => Some(*until),
            PullState::Asking(attempt) => Some(attempt.deadline()),
            PullState::Over => None,
        }
    }

    /// The request that is open.
    pub fn asked(&self) -> Option<&StreamRequest> {
        match &self.state {
            PullState::Asking(attempt) => Some(&attempt.ask),
            _ => None,
        }
    }

    /// The node that sends the stream now.
    pub fn upstream(&self) -> Option<&NodeName> {
        match &self.state {
            PullState::Asking(attempt) if attempt.is_open() => Some(&attempt.ask.upstream),
            _ => None,
        }
    }

    /// Handles one event. An answer to an earlier request changes nothing.
    pub fn handle(
        &mut self,
        input: Input,
        held: Option<HeldRing>,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        self.held = held;
        let is_replaced = self.held.as_ref().is_some_and(|held| !held.is_current);
        match (input, &self.state) {
            // Another ring has its mount. That one has a pull of its own, or a source: what this one has asked for is not wanted.
            (_, PullState::Asking(_)) if is_replaced => {
                out.push(Output::HangUp(None));
                self.end(EndReason::Replaced, out);
            }
            (Input::ViewChanged, PullState::Waiting(_)) => self.begin_round(context, out),
            (Input::ViewChanged, _) => self.has_news = true,
            (Input::Tick, PullState::Waiting(until)) if context.now >= *until => {
                self.begin_round(context, out);
            }
            (Input::Tick, PullState::Asking(attempt)) if context.now >= attempt.deadline() => {
                self.handle_timeout(context, out);
            }
            (Input::Heard(id, answer), PullState::Asking(attempt)) if id == attempt.ask.id => {
                self.handle_event(answer, context, out);
            }
            (Input::Tick | Input::Heard(..), _) => {}
        }
    }

    /// The stream and its next byte.
    fn position(&self) -> Option<(StreamId, u64)> {
        let held = self.held.as_ref();
        held.map(|held| (held.stream.stream_id, held.next_offset))
    }

    fn wait_for_next_round(&mut self, context: PullContext<'_>) {
        let wait = self.backoff.fail(context.chance);
        self.state = PullState::Waiting(context.now + wait);
    }

    fn end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        self.state = PullState::Over;
        out.push(Output::Over(reason));
    }

    /// Why the pull is over, if it is.
    fn end_reason(&self, context: PullContext<'_>) -> Option<EndReason> {
        let Some(linger) = context.linger else {
            return Some(EndReason::MountDeleted);
        };
        let Some(held) = &self.held else {
            let looked_for = context.now.saturating_duration_since(self.began);
            return (looked_for > round::FIND_TIMEOUT).then_some(EndReason::Lost);
        };
        if held.is_unwanted(context.now) {
            return Some(EndReason::Replaced);
        }
        let patience = match held.finished {
            Some(EndReason::Replaced) => linger.max(REPAIR),
            Some(_) => linger,
            None if self.has_source(held, context) => linger.max(REPAIR),
            None => linger.max(DOUBT),
        };
        let silent = context.now.saturating_duration_since(held.last_fed);
        (silent > patience).then(|| held.finished.unwrap_or(EndReason::Lost))
    }

    /// Whether the source of the stream that is held is connected somewhere, as far as this node knows.
    fn has_source(&self, held: &HeldRing, context: PullContext<'_>) -> bool {
        let mut holders = context.mesh.holders(&self.mount);
        let is_its_source = |card: &StreamCard| {
            card.origin == Origin::Source && card.stream_id == held.stream.stream_id
        };
        holders.any(|(_, card)| is_its_source(card))
    }
}

impl HeldRing {
    /// Whether it has had no reader for a while, or is not its mount's ring any more.
    fn is_unwanted(&self, now: Instant) -> bool {
        let idle = self.idle_since;
        let is_idle = idle.is_some_and(|since| now.saturating_duration_since(since) > LINGER);
        is_idle || !self.is_current
    }
}
