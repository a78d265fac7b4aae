//! One round of a pull: the possible upstreams are asked in turn, until one of them has sent something.

use std::collections::VecDeque;
use std::time::Instant;

use super::{
    Opened, Output, Pull, PullContext, PullState, PullTarget, RequestId, StreamRequest,
    UpstreamEvent, UpstreamTimeout,
};
pub(super) use crate::logic::relay::follow::FIND_TIMEOUT;
use crate::logic::relay::follow::{self, ANSWER_TIMEOUT, FollowStep, OwnState, OwnStream, STALL};
use crate::logic::relay::route::{Holding, Role, Seeker};
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::stream::{EndReason, StreamId};
use crate::proto::view::precedence;
use crate::wire::frame::Denial;
use crate::wire::gossip::{Origin, StreamCard};

/// The result with one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttemptOutcome {
    /// The stream is over: its source has gone, or another stream has precedence.
    Finished,
    /// The upstream sends nothing, or nothing more: the next one may.
    Failed,
    /// The upstream has the stream, but no longer the byte that is needed next.
    Overrun,
}

/// One round.
#[derive(Debug)]
struct PullRound {
    /// The pull's position when the round began.
    before: Option<(StreamId, u64)>,
    target: PullTarget,
    /// The upstreams to ask next, the best first.
    left: VecDeque<NodeName>,
    /// The first upstream that had the stream, but no longer the byte.
    overrun_at: Option<NodeName>,
}

/// The request to one upstream, as part of a round.
#[derive(Debug)]
pub(super) struct UpstreamAttempt {
    pub(super) ask: StreamRequest,
    round: PullRound,
    state: AttemptState,
    /// When the request was sent, or the upstream last sent a frame.
    heard_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttemptState {
    Asked,
    Open,
}

impl UpstreamAttempt {
    pub(super) fn is_open(&self) -> bool {
        self.state == AttemptState::Open
    }

    /// When the upstream will have been silent for too long.
    pub(super) fn deadline(&self) -> Instant {
        self.heard_at
            + match self.state {
                AttemptState::Asked => ANSWER_TIMEOUT,
                AttemptState::Open => STALL,
            }
    }
}

impl Pull {
    pub(super) fn begin_round(&mut self, context: PullContext<'_>, out: &mut Vec<Output>) {
        self.has_news = false;
        let (target, left) = self.next_step(context);
        let round = PullRound {
            before: self.position(),
            target,
            left: left.into(),
            overrun_at: None,
        };
        self.ask_next(round, context, out);
    }

    /// The bytes to ask for, and the upstreams, best first.
    fn next_step(&self, context: PullContext<'_>) -> (PullTarget, Vec<NodeName>) {
        let others = context.mesh.nodes.iter();
        let others = others.filter(|(name, _)| **name != context.mesh.me);
        let holdings = others.filter_map(|(name, node)| {
            let card = node.streams.get(&self.mount)?;
            Some(holding(name, node.state, card))
        });
        let holdings: Vec<Holding> = holdings.collect();
        let own = self.held.as_ref().map(|held| OwnStream {
            stream: held.stream,
            next_offset: held.next_offset,
            state: match held.finished {
                Some(_) => OwnState::Finished,
                None => OwnState::Open,
            },
        });
        let seeker = Seeker {
            own: &context.mesh.me,
            master: context.mesh.master.as_ref().map(|claim| &claim.node),
            failures: &self.failures,
        };
        match follow::next_step(seeker, own, &holdings, context.now) {
            FollowStep::Continue(upstreams) => (PullTarget::Next, upstreams),
            FollowStep::TakeUp(stream, upstreams) => (PullTarget::Other(stream), upstreams),
            FollowStep::Wait => (PullTarget::Next, Vec::new()),
        }
    }

    /// Asks the next upstream of the round, or ends the round.
    fn ask_next(&mut self, mut round: PullRound, context: PullContext<'_>, out: &mut Vec<Output>) {
        while let Some(upstream) = round.left.pop_front() {
            // After an overrun only a node with later bytes can help.
            if round.overrun_at.is_none() || self.is_ahead(&upstream, context) {
                return self.ask_for_target(round, upstream, context, out);
            }
        }
        let Some(upstream) = round.overrun_at.take() else {
            return self.end_round(round, context, out);
        };
        round.target = PullTarget::OnAir;
        self.ask_for_target(round, upstream, context, out);
    }

    /// Whether a node's gossip shows bytes of this stream beyond this node's.
    fn is_ahead(&self, node: &NodeName, context: PullContext<'_>) -> bool {
        let node = context.mesh.nodes.get(node);
        let card = node.and_then(|it| it.streams.get(&self.mount));
        let further = |(stream_id, next)| {
            card.is_some_and(|card| card.stream_id == stream_id && card.offset > next)
        };
        self.position().is_some_and(further)
    }

    fn ask_for_target(
        &mut self,
        round: PullRound,
        upstream: NodeName,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let held = self.held.as_ref();
        let resume = match round.target {
            PullTarget::Next => self.position(),
            // The next stream is played from its first byte, if that is still there; a stream that was left before
            // continues where it was left.
            PullTarget::Other(stream) => held.map(|held| {
                let left_at = held.left.get(&stream).copied();
                (stream, left_at.unwrap_or(0))
            }),
            PullTarget::OnAir => None,
        };
        let target = round.target;
        let ask = StreamRequest {
            id: self.next_id(),
            upstream,
            resume,
            target,
        };
        self.ask(round, ask, context.now, out);
    }

    fn next_id(&mut self) -> RequestId {
        self.last_id.0 += 1;
        self.last_id
    }

    fn ask(&mut self, round: PullRound, ask: StreamRequest, now: Instant, out: &mut Vec<Output>) {
        out.push(Output::Request(ask.clone()));
        let attempt = UpstreamAttempt {
            ask,
            round,
            state: AttemptState::Asked,
            heard_at: now,
        };
        self.state = PullState::Asking(Box::new(attempt));
    }

    /// Leaves an upstream that did not answer in time, or stalled.
    pub(super) fn handle_timeout(&mut self, context: PullContext<'_>, out: &mut Vec<Output>) {
        let Some(attempt) = self.take_attempt() else {
            return;
        };
        match attempt.state {
            AttemptState::Asked => {
                out.push(Output::HangUp(Some(UpstreamTimeout::NoAnswer)));
                self.handle_refusal(attempt, AttemptOutcome::Failed, context, out);
            }
            AttemptState::Open => {
                out.push(Output::HangUp(Some(UpstreamTimeout::Stalled)));
                self.continue_after(attempt, AttemptOutcome::Failed, context, out);
            }
        }
    }

    /// Handles what the upstream has sent.
    pub(super) fn handle_event(
        &mut self,
        answer: UpstreamEvent,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some(mut attempt) = self.take_attempt() else {
            return;
        };
        attempt.heard_at = context.now;
        match (attempt.state, answer) {
            (AttemptState::Asked, UpstreamEvent::Opened(opened)) => {
                self.handle_opened(attempt, opened, context, out)
            }
            (AttemptState::Asked, answer) => {
                out.push(Output::HangUp(None));
                let outcome = match answer {
                    UpstreamEvent::Denied(Denial::Overrun) => AttemptOutcome::Overrun,
                    _ => AttemptOutcome::Failed,
                };
                self.handle_refusal(attempt, outcome, context, out);
            }
            (AttemptState::Open, UpstreamEvent::Stored) => {
                self.handle_stored(attempt, context, out)
            }
            (AttemptState::Open, answer) => {
                out.push(Output::HangUp(None));
                let outcome = match answer {
                    UpstreamEvent::Ended => AttemptOutcome::Finished,
                    _ => AttemptOutcome::Failed,
                };
                self.continue_after(attempt, outcome, context, out);
            }
        }
    }

    fn take_attempt(&mut self) -> Option<UpstreamAttempt> {
        match std::mem::replace(&mut self.state, PullState::Over) {
            PullState::Asking(attempt) => Some(*attempt),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn handle_opened(
        &mut self,
        mut attempt: UpstreamAttempt,
        opened: Opened,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let held = self.held.as_ref();
        let left_at = held.and_then(|held| held.left.get(&opened.stream_id));
        // This node has another stream, which may be over; another upstream has the wanted one.
        let is_another =
            matches!(attempt.ask.target, PullTarget::Other(it) if it != opened.stream_id);
        let is_played_already = left_at.is_some_and(|left_at| opened.offset < *left_at);
        if is_another || is_played_already {
            out.push(Output::HangUp(None));
            return self.continue_after(attempt, AttemptOutcome::Failed, context, out);
        }
        let follows = self.position().is_some_and(|(stream_id, next)| {
            (stream_id == opened.stream_id) && (opened.offset <= next)
        });
        let upstream = attempt.ask.upstream.clone();
        out.push(match follows {
            true => Output::Continue(upstream, opened),
            false => Output::Open(upstream, opened),
        });
        attempt.state = AttemptState::Open;
        self.state = PullState::Asking(Box::new(attempt));
    }

    /// The upstream does not have the byte that was asked for: where a later one will do, asks for what it has.
    fn handle_refusal(
        &mut self,
        attempt: UpstreamAttempt,
        outcome: AttemptOutcome,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let is_next = attempt.ask.target == PullTarget::Next;
        let may_be_later = |(_, from)| !is_next || from == 0;
        if attempt.ask.resume.is_some_and(may_be_later) {
            let ask = StreamRequest {
                id: self.next_id(),
                resume: None,
                ..attempt.ask
            };
            return self.ask(attempt.round, ask, context.now, out);
        }
        self.continue_after(attempt, outcome, context, out);
    }

    /// A frame was stored: goes on, unless the stream is not wanted any more.
    fn handle_stored(
        &mut self,
        attempt: UpstreamAttempt,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        if self
            .held
            .as_ref()
            .is_none_or(|it| it.is_unwanted(context.now))
        {
            out.push(Output::HangUp(None));
            return self.end(EndReason::Replaced, out);
        }
        if self.lost_precedence(context) {
            out.push(Output::HangUp(None));
            return self.continue_after(attempt, AttemptOutcome::Finished, context, out);
        }
        self.state = PullState::Asking(Box::new(attempt));
    }

    /// Whether another stream of the mount has precedence: two sources have met after a partition.
    fn lost_precedence(&self, context: PullContext<'_>) -> bool {
        let source = context.mesh.source(&self.mount).map(|(_, card)| card);
        let held = self.held.as_ref().map(|held| held.stream);
        source.is_some_and(|card| held.is_some_and(|held| precedence(card) < held))
    }

    /// Decides by the result with one upstream whether the next one is asked.
    fn continue_after(
        &mut self,
        attempt: UpstreamAttempt,
        outcome: AttemptOutcome,
        context: PullContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let (mut round, upstream) = (attempt.round, attempt.ask.upstream);
        let has_moved = self.position() != round.before;
        if has_moved {
            self.failures.note_success(&upstream);
        }
        match outcome {
            AttemptOutcome::Finished => return self.end_round(round, context, out),
            // Also one that has served well for hours: it has just stopped, so the others are asked first.
            AttemptOutcome::Failed => {
                let node = context.mesh.nodes.get(&upstream);
                let state = node.map_or(NodeState::Dead, |node| node.state);
                self.failures.note_failure(&upstream, state, context.now);
            }
            AttemptOutcome::Overrun => _ = round.overrun_at.get_or_insert(upstream),
        }
        // The holders may have changed meanwhile; and what is on air was the last resort.
        if has_moved || round.target == PullTarget::OnAir {
            return self.end_round(round, context, out);
        }
        self.ask_next(round, context, out);
    }

    fn end_round(&mut self, round: PullRound, context: PullContext<'_>, out: &mut Vec<Output>) {
        if self.position() != round.before {
            self.backoff.succeed();
        }
        if let Some(reason) = self.end_reason(context) {
            return self.end(reason, out);
        }
        self.wait_for_next_round(context);
        if self.has_news {
            self.begin_round(context, out);
        }
    }
}

fn holding(node: &NodeName, state: NodeState, card: &StreamCard) -> Holding {
    Holding {
        node: node.clone(),
        state,
        stream: precedence(card),
        role: match &card.origin {
            Origin::Source => Role::Ingest,
            Origin::Relay(from) => Role::Relay(from.clone()),
        },
        next_offset: card.offset,
    }
}
