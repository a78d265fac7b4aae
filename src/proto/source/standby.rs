//! A source on standby: read, not heard, and in its turn when the mount has no other.

use std::time::{Duration, Instant};

use super::asking;
use super::priority::{Standing, is_outranked};
use super::{Output, Source, SourceContext, SourceState};
use crate::logic::source::rivals::CONFIRM;
use crate::model::fitness::SourceFitness;
use crate::model::stream::StreamId;

/// How long a free place is left to a better source that waits: it hears of it within two rounds of gossip, and listeners have
/// five seconds in store.
pub(super) const LEFT_TO_BETTER: Duration = Duration::from_secs(2);
/// How long a better source is passed over that has not taken a free place: its node may be cut off from the others.
pub(super) const PASSED_OVER: Duration = Duration::from_secs(60);

/// How a source waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standby {
    /// May ask from then on, once the mount has no source.
    NotBefore(Instant),
    /// Leaves the free place to a better one that waits until then.
    Leaves(Instant),
    /// Has asked, for this stream.
    Asked(StreamId),
}

impl Source {
    pub(super) fn stand_by(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) {
        self.state = SourceState::Standby(Standby::NotBefore(context.now));
        out.push(Output::StandBy);
        self.tick(context, out);
    }

    /// On standby: asks for the mount if it has no source, or leaves it to a better source that waits.
    ///
    /// One that could not be heard asks for it only if no other one waits that could. What sends no audio that is known lets
    /// listeners hear a fallback, too; another format, and silence, are what the mount's own source sends. One of another format
    /// also lets the stream linger that listeners have heard: while sources give way to each other the place is free for a
    /// moment, and not every node has heard for whom.
    pub(super) fn take_turn(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) {
        let is_free = context.view.source(&self.mount).is_none();
        let is_outranked = is_free && self.is_outranked(context);
        let is_fit = context.fitness.is_fit();
        let lets_others = match context.fitness {
            SourceFitness::Unknown => context.fallback_flows,
            SourceFitness::OtherFormat => context.view.holders(&self.mount).next().is_some(),
            _ => false,
        };
        self.state = SourceState::Standby(match is_outranked {
            true if is_fit => Standby::Leaves(context.now + LEFT_TO_BETTER),
            false if !lets_others => return self.ask_if_free(context, out),
            _ => Standby::NotBefore(context.now + CONFIRM),
        });
    }

    fn is_outranked(&self, context: SourceContext<'_>) -> bool {
        let standing = Standing {
            priority: self.priority,
            fitness: context.fitness,
        };
        is_outranked(&self.mount, standing, context.view)
    }

    /// Leaves a free place to a better source, but not for ever: one that cannot take it must not keep the mount off the air.
    pub(super) fn leave_place(
        &mut self,
        until: Instant,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let is_taken = context.view.source(&self.mount).is_some();
        let is_outranked = self.is_outranked(context);
        let is_over = context.now >= until;
        if is_taken || is_over || !is_outranked {
            self.state = SourceState::Standby(Standby::NotBefore(context.now));
        }
        if is_taken || !is_over && is_outranked {
            return;
        }
        if is_outranked {
            self.heeds_better_from = context.now + PASSED_OVER;
        }
        self.ask_if_free(context, out);
    }

    /// Whether it leaves a free place to a better source: a tick is due as soon as that has it, too.
    pub fn leaves_place(&self) -> bool {
        matches!(self.state, SourceState::Standby(Standby::Leaves(_)))
    }

    /// Asks for the mount if it has no source.
    fn ask_if_free(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) {
        if context.view.source(&self.mount).is_some() {
            return;
        }
        self.state = SourceState::Standby(
            match asking::receives_another_source(self.takeover, context) {
                true => Standby::NotBefore(context.now + CONFIRM),
                false => {
                    out.push(Output::Request(context.new_stream_id));
                    Standby::Asked(context.new_stream_id)
                }
            },
        );
    }
}
