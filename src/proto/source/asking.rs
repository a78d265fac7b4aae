//! A source asks for its mount. One that finds it taken is not refused before the other source was looked for.

use std::time::{Duration, Instant};

use super::{Around, Other, Output};
use crate::logic::source::place::HEARD;
use crate::model::mount::{MountName, Takeover};
use crate::model::seat::Epoch;
use crate::model::stream::StreamId;
use crate::wire::frame::Denial;

/// How long the answer is held back while the other source is not found. A node that was killed is known to be dead
/// within 1.3 s; encoders wait for 4 s and more, and many take a refusal for final.
const HOLD_BACK: Duration = Duration::from_secs(2);
/// How long to wait then before asking again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a node may take to say whether a source is still there: the time in which it finds out, and a round trip.
const PRESENCE_TIMEOUT: Duration = Duration::from_millis(1_300);

/// The asking of one source for one stream.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    mount: MountName,
    takeover: Takeover,
    pub(super) stream_id: StreamId,
    /// Whether it has had its answer, and sent audio.
    pub(super) has_sent: bool,
    /// Until when its answer is held back.
    until: Instant,
    step: AskStep,
}

#[derive(Clone, Copy, Debug)]
enum AskStep {
    /// The place is asked for.
    Asks,
    /// The other source is looked for until then, before the place is asked for or after it was refused.
    Looks(AskOrder, Instant),
    /// It was not found; then it goes on.
    Pauses(AskOrder, Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskOrder {
    First,
    AfterRefusal,
}

/// What happens to it.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Begin,
    Verdict(Result<Epoch, Denial>),
    Found(bool),
    Tick,
}

/// What came of the asking; `None`: it goes on.
type End = Option<Result<Epoch, Denial>>;

impl Asking {
    /// For a source that has sent nothing yet.
    pub(super) fn new(
        mount: MountName,
        takeover: Takeover,
        stream_id: StreamId,
        now: Instant,
    ) -> Self {
        Self {
            mount,
            takeover,
            stream_id,
            has_sent: false,
            until: now + HOLD_BACK,
            step: AskStep::Pauses(AskOrder::First, now),
        }
    }

    /// The stream for which a place may be given at any moment.
    pub(super) fn asked(&self) -> Option<StreamId> {
        matches!(self.step, AskStep::Asks).then_some(self.stream_id)
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.step {
            AskStep::Asks => None,
            AskStep::Looks(_, at) | AskStep::Pauses(_, at) => Some(at),
        }
    }

    /// Takes in what happens.
    pub(super) fn handle(
        &mut self,
        asked: Asked,
        around: Around<'_>,
        out: &mut Vec<Output>,
    ) -> End {
        match (self.step, asked) {
            (AskStep::Pauses(order, at), Asked::Begin | Asked::Tick) if around.now >= at => {
                self.go_on(order, around, out)
            }
            (AskStep::Asks, Asked::Verdict(verdict)) => self.judged(verdict, around, out),
            (AskStep::Looks(order, _), Asked::Found(true)) => match order {
                AskOrder::First => self.request(around, out),
                AskOrder::AfterRefusal => Some(Err(Denial::MountInUse)),
            },
            (AskStep::Looks(order, _), Asked::Found(false)) => self.pause(order, around.now),
            (AskStep::Looks(order, until), Asked::Tick) if around.now >= until => {
                self.pause(order, around.now)
            }
            _ => None,
        }
    }

    /// Where the newcomer takes over, the other source is looked for first: a dead node could not be told to give
    /// way, and its source would have precedence until the death is known.
    fn go_on(&mut self, order: AskOrder, around: Around<'_>, out: &mut Vec<Output>) -> End {
        let view = around.view;
        let on_air = view.source(&self.mount);
        let is_elsewhere = on_air.is_some_and(|(node, _)| *node != view.me);
        let looks_first = order == AskOrder::First && self.takeover == Takeover::Takeover;
        if looks_first && is_elsewhere && around.now < self.until {
            return self.look(order, around, out);
        }
        self.request(around, out)
    }

    /// Asks for the mount, unless this very node hears another source of it: after a partition that can be known
    /// before gossip says so, and before the master can be asked.
    fn request(&mut self, around: Around<'_>, out: &mut Vec<Output>) -> End {
        if hears_another(self.takeover, around) {
            return self.judged(Err(Denial::MountInUse), around, out);
        }
        self.step = AskStep::Asks;
        out.push(Output::Request(self.stream_id));
        None
    }

    fn judged(
        &mut self,
        verdict: Result<Epoch, Denial>,
        around: Around<'_>,
        out: &mut Vec<Output>,
    ) -> End {
        match verdict {
            Err(Denial::MountInUse) if around.now < self.until => {
                self.look(AskOrder::AfterRefusal, around, out)
            }
            decided => Some(decided),
        }
    }

    /// Has the source looked for that is on air. If none is seen, it has been given the place a moment ago, or has
    /// just left it.
    fn look(&mut self, order: AskOrder, around: Around<'_>, out: &mut Vec<Output>) -> End {
        let here = around.here.filter(|here| here.is_source);
        let here = here.map(|here| Other::Here(here.stream_id));
        let elsewhere = || {
            let (node, card) = around.view.source(&self.mount)?;
            (*node != around.view.me).then(|| Other::At(node.clone(), card.stream_id))
        };
        let Some(other) = here.or_else(elsewhere) else {
            return self.pause(order, around.now);
        };
        let until = around.now + PRESENCE_TIMEOUT;
        self.step = AskStep::Looks(order, until);
        out.push(Output::Look(other, until));
        None
    }

    fn pause(&mut self, order: AskOrder, now: Instant) -> End {
        self.step = AskStep::Pauses(order, now + AGAIN);
        None
    }
}

/// Whether this node hears a source of the mount that is connected elsewhere, and that keeps its place.
pub(super) fn hears_another(takeover: Takeover, around: Around<'_>) -> bool {
    let heard = around.here.filter(|here| {
        let silent_for = around.now.saturating_duration_since(here.fed_at);
        !here.is_source && !here.is_finished && silent_for < HEARD
    });
    takeover == Takeover::Refuse && heard.is_some()
}
