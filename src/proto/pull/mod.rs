//! One pull: which node is asked for which bytes of a mount's stream, and when the pull is over.
//!
//! A pull outlives its stream: when the source has gone, listeners are kept for as long as the mount lingers, and the
//! next stream of the mount takes the old one's place without their noticing. No byte goes through [`Pull`]: the
//! driver appends what it is told to, says what became of it, and calls again at [`Pull::wake_at`].

mod round;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::round::Attempt;
use crate::logic::backoff::Backoff;
use crate::logic::relay::follow::{FIRST_WAIT, LONGEST_WAIT};
use crate::logic::relay::route::{Failures, Precedence};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::proto::view::MeshView;
use crate::wire::frame::Denial;

/// How long a stream is kept though nobody here wants it: a listener who comes back at once finds it still running.
pub const LINGER: Duration = Duration::from_secs(30);

/// Names a question within one pull, so that a late answer is not taken for that to another question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(u64);

/// What happens to a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The mesh is not as it was: somebody may hold now what nobody held before.
    ViewChanged,
    /// The node that was asked this has answered, or sent more.
    Heard(AskId, Answer),
}

/// What became of a question, and of the frames that follow on its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A stream begins.
    Opened(Opened),
    /// What was asked for is not to be had there.
    Denied(Denial),
    /// A frame of the stream is taken: bytes that may be known already, a title, a sign of life.
    Took,
    /// Bytes are missing before those that came; nothing was taken.
    Gap,
    /// The source has gone, and our ring has its last byte.
    Ended,
    /// Nothing more comes, or what comes makes no sense, or there is no ring to take it.
    Lost,
}

/// What an upstream begins to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which stream.
    pub stream_id: StreamId,
    /// What its source says of it.
    pub head: StreamHead,
    /// From which byte on.
    pub offset: u64,
}

/// What an upstream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What follows on what is held; whatever is on air, if nothing is.
    Next,
    /// This stream, in the place of the one that is held.
    Other(StreamId),
    /// Whatever is on air, though bytes before it are missing.
    OnAir,
}

/// A question to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which question this is.
    pub id: AskId,
    /// The node.
    pub upstream: NodeName,
    /// The stream and its first byte; `None`: whatever is on air, from a join point.
    pub resume: Option<(StreamId, u64)>,
    /// What is wanted of it.
    pub wanted: Wanted,
}

/// Why an upstream is left that has not said that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The question was not answered in time.
    Unanswered,
    /// The stream was silent for too long.
    Stalled,
}

/// What to do. Of two upstreams one is left before the other is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask a node.
    Ask(Ask),
    /// Take what this node sends into the ring that is held.
    Continue(NodeName, Opened),
    /// Take it into a new ring, in which the listeners of the one that is held go on.
    Open(NodeName, Opened),
    /// Hear the node that was asked no more.
    HangUp(Option<Silence>),
    /// The pull is over, and the stream that is held ends with it.
    Over(EndReason),
}

/// The ring that is held, as far as a pull has to know it.
#[derive(Clone, Debug)]
pub struct Ours {
    /// Which stream it holds.
    pub stream: Precedence,
    /// The number of its next byte.
    pub next_offset: u64,
    /// Why no byte will follow, if none will.
    pub finished: Option<EndReason>,
    /// When its source, or the node that the source is connected to, was heard last.
    pub last_fed: Instant,
    /// Whether it is what its mount is filled with.
    pub is_held: bool,
    /// Since when nobody here wants it.
    pub idle_since: Option<Instant>,
    /// Where its listeners left the streams before it.
    pub left: BTreeMap<StreamId, u64>,
}

/// What a pull decides by, beside the ring that is held.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who holds what.
    pub mesh: &'a MeshView,
    /// How long the mount keeps its listeners without a source; `None`: there is no such mount any more.
    pub linger: Option<Duration>,
    /// A random number from 0 to 1.
    pub luck: f64,
    /// The time.
    pub now: Instant,
}

/// What a pull does at the moment.
#[derive(Debug)]
enum Phase {
    /// Everybody who may have it was asked: again at this time, or when the mesh has changed.
    Resting(Instant),
    /// Somebody is asked, or gives.
    Asking(Box<Attempt>),
    /// Nothing any more.
    Over,
}

/// What fills the ring of one mount.
#[derive(Debug)]
pub struct Pull {
    mount: MountName,
    began: Instant,
    failures: Failures,
    backoff: Backoff,
    last_id: AskId,
    /// Whether the mesh has changed since the last round began.
    has_news: bool,
    /// The ring that is held, as it was seen last.
    ours: Option<Ours>,
    phase: Phase,
}

impl Pull {
    /// A pull that begins with its first input.
    pub fn new(mount: MountName, now: Instant) -> Self {
        Self {
            mount,
            began: now,
            failures: Failures::default(),
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            last_id: AskId::default(),
            has_news: false,
            ours: None,
            phase: Phase::Resting(now),
        }
    }

    /// When it wants its next tick, if nothing happens before; `None` once it is over.
    pub fn wake_at(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Resting(until) => Some(*until),
            Phase::Asking(attempt) => Some(attempt.deadline()),
            Phase::Over => None,
        }
    }

    /// The question to which answers are heard.
    pub fn asked(&self) -> Option<&Ask> {
        match &self.phase {
            Phase::Asking(attempt) => Some(&attempt.ask),
            _ => None,
        }
    }

    /// The node that gives the stream now.
    pub fn upstream(&self) -> Option<&NodeName> {
        match &self.phase {
            Phase::Asking(attempt) if attempt.is_open() => Some(&attempt.ask.upstream),
            _ => None,
        }
    }

    /// Takes in one event. An answer to an earlier question changes nothing.
    pub fn handle(
        &mut self,
        input: Input,
        ours: Option<Ours>,
        seen: Seen<'_>,
        out: &mut Vec<Output>,
    ) {
        self.ours = ours;
        match (input, &self.phase) {
            (Input::ViewChanged, Phase::Resting(_)) => self.begin_round(seen, out),
            (Input::ViewChanged, _) => self.has_news = true,
            (Input::Tick, Phase::Resting(until)) if seen.now >= *until => {
                self.begin_round(seen, out);
            }
            (Input::Tick, Phase::Asking(attempt)) if seen.now >= attempt.deadline() => {
                self.lose_patience(seen, out);
            }
            (Input::Heard(id, answer), Phase::Asking(attempt)) if id == attempt.ask.id => {
                self.hear(answer, seen, out);
            }
            (Input::Tick | Input::Heard(..), _) => {}
        }
    }

    /// How far it has come: which stream, and which byte of it.
    fn position(&self) -> Option<(StreamId, u64)> {
        let ours = self.ours.as_ref();
        ours.map(|ours| (ours.stream.stream_id, ours.next_offset))
    }

    fn rest(&mut self, seen: Seen<'_>) {
        let rest = self.backoff.fail(seen.luck);
        self.phase = Phase::Resting(seen.now + rest);
    }

    fn end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        self.phase = Phase::Over;
        out.push(Output::Over(reason));
    }

    /// Whether to stop, and why.
    fn given_up(&self, seen: Seen<'_>) -> Option<EndReason> {
        let Some(linger) = seen.linger else {
            return Some(EndReason::MountDeleted);
        };
        let Some(ours) = &self.ours else {
            let looked_for = seen.now.saturating_duration_since(self.began);
            return (looked_for > round::FIND_TIMEOUT).then_some(EndReason::Lost);
        };
        if ours.is_unwanted(seen.now) {
            return Some(EndReason::Replaced);
        }
        let silent = seen.now.saturating_duration_since(ours.last_fed);
        (silent > linger).then(|| ours.finished.unwrap_or(EndReason::Lost))
    }
}

impl Ours {
    /// Nobody has wanted it for a while, or something else has taken its place.
    fn is_unwanted(&self, now: Instant) -> bool {
        let idle = self.idle_since;
        let is_idle = idle.is_some_and(|since| now.saturating_duration_since(since) > LINGER);
        is_idle || !self.is_held
    }
}
