//! A source asks for its mount. If the mount is in use, the other source's presence is checked before the refusal.

use std::time::{Duration, Instant};

use super::{OtherSource, Output, SourceContext};
use crate::logic::source::place::HEARD;
use crate::model::mount::{MountName, Takeover};
use crate::model::seat::Epoch;
use crate::model::stream::StreamId;
use crate::wire::frame::Denial;

/// How long the answer is held back while the other source does not answer. A node that was killed is known to be dead
/// within 1.3 s; encoders wait for 4 s and more, and many give up after one refusal.
pub(super) const HOLD_BACK: Duration = Duration::from_secs(2);
/// How long to wait before asking again.
const RETRY_DELAY: Duration = Duration::from_millis(50);
/// How long a node may take to say whether a source is still connected: the time of its own check, and a round trip.
const PRESENCE_TIMEOUT: Duration = Duration::from_millis(1_300);

/// The request of one source for one stream.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    mount: MountName,
    takeover: Takeover,
    pub(super) stream_id: StreamId,
    /// Whether the source was accepted before, and has sent audio.
    pub(super) has_sent: bool,
    /// Until when the answer is held back.
    until: Instant,
    step: AskStep,
}

#[derive(Clone, Copy, Debug)]
enum AskStep {
    /// The place is asked for.
    Requested,
    /// The other source's presence is checked until then.
    Checking(AskOrder, Instant),
    /// The other source did not answer: the next try is then.
    Paused(AskOrder, Instant),
}

/// Whether the other source is checked before the place is asked for, or after it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskOrder {
    First,
    AfterRefusal,
}

/// An event of the request.
#[derive(Clone, Debug)]
pub(super) enum AskingEvent {
    Begin,
    Verdict(Result<Epoch, Denial>),
    Presence(bool),
    Tick,
}

/// The result of the request; `None`: it is not over yet.
type End = Option<Result<Epoch, Denial>>;

impl Asking {
    /// The request of a source that has sent nothing yet.
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
            step: AskStep::Paused(AskOrder::First, now),
        }
    }

    /// The stream for which a place may be given at any moment.
    pub(super) fn asked(&self) -> Option<StreamId> {
        matches!(self.step, AskStep::Requested).then_some(self.stream_id)
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.step {
            AskStep::Requested => None,
            AskStep::Checking(_, at) | AskStep::Paused(_, at) => Some(at),
        }
    }

    /// Handles one event.
    pub(super) fn handle(
        &mut self,
        event: AskingEvent,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) -> End {
        match (self.step, event) {
            (AskStep::Paused(order, at), AskingEvent::Begin | AskingEvent::Tick)
                if context.now >= at =>
            {
                self.proceed(order, context, out)
            }
            (AskStep::Requested, AskingEvent::Verdict(verdict)) => {
                self.take_verdict(verdict, context, out)
            }
            (AskStep::Checking(order, _), AskingEvent::Presence(true)) => match order {
                AskOrder::First => self.request(context, out),
                // The other one has just got the place, and cannot be told to give way before gossip shows it.
                AskOrder::AfterRefusal if self.takeover == Takeover::Takeover => {
                    self.pause(order, context.now)
                }
                AskOrder::AfterRefusal => Some(Err(Denial::MountInUse)),
            },
            (AskStep::Checking(order, _), AskingEvent::Presence(false)) => {
                self.pause(order, context.now)
            }
            (AskStep::Checking(order, until), AskingEvent::Tick) if context.now >= until => {
                self.pause(order, context.now)
            }
            _ => None,
        }
    }

    /// Asks for the place, or checks the other source first where this one may take over: a dead node cannot be told
    /// to give way, and its source would have precedence until the death is known.
    fn proceed(
        &mut self,
        order: AskOrder,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) -> End {
        let view = context.view;
        let on_air = view.source(&self.mount);
        let is_elsewhere = on_air.is_some_and(|(node, _)| *node != view.me);
        let checks_first = order == AskOrder::First && self.takeover == Takeover::Takeover;
        if checks_first && is_elsewhere && context.now < self.until {
            return self.check(order, context, out);
        }
        self.request(context, out)
    }

    /// Asks for the mount, unless this node receives another source of it: after a partition a relay can begin before
    /// gossip shows the source, and before the master can be reached.
    fn request(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) -> End {
        if receives_another_source(self.takeover, context) {
            return self.take_verdict(Err(Denial::MountInUse), context, out);
        }
        self.step = AskStep::Requested;
        out.push(Output::Request(self.stream_id));
        None
    }

    fn take_verdict(
        &mut self,
        verdict: Result<Epoch, Denial>,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) -> End {
        match verdict {
            Err(Denial::MountInUse) if context.now < self.until => {
                self.check(AskOrder::AfterRefusal, context, out)
            }
            decided => Some(decided),
        }
    }

    /// Has the presence of the source on air checked. If none is known, it has just got the place, or just left it.
    fn check(&mut self, order: AskOrder, context: SourceContext<'_>, out: &mut Vec<Output>) -> End {
        let local = context.local.filter(|local| local.is_source);
        let local = local.map(|local| OtherSource::Local(local.stream_id));
        let elsewhere = || {
            let (node, card) = context.view.source(&self.mount)?;
            (*node != context.view.me).then(|| OtherSource::Remote(node.clone(), card.stream_id))
        };
        let Some(other) = local.or_else(elsewhere) else {
            return self.pause(order, context.now);
        };
        let until = context.now + PRESENCE_TIMEOUT;
        self.step = AskStep::Checking(order, until);
        out.push(Output::CheckPresence(other, until));
        None
    }

    fn pause(&mut self, order: AskOrder, now: Instant) -> End {
        self.step = AskStep::Paused(order, now + RETRY_DELAY);
        None
    }
}

/// Whether this node receives a source of the mount that is connected elsewhere, and that may not be replaced.
pub(super) fn receives_another_source(takeover: Takeover, context: SourceContext<'_>) -> bool {
    let received = context.local.filter(|local| {
        let silent_for = context.now.saturating_duration_since(local.fed_at);
        !local.is_source && !local.is_finished && silent_for < HEARD
    });
    takeover == Takeover::Refuse && received.is_some()
}
