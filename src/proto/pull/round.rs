//! One round of a pull: whoever may have what is wanted is asked in turn, until one of them has given some of it.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Answer, Ask, AskId, Opened, Output, Phase, Pull, Seen, Silence, Wanted};
pub(super) use crate::logic::relay::follow::FIND_TIMEOUT;
use crate::logic::relay::follow::{self, ANSWER_TIMEOUT, Own, OwnState, STALL, Step};
use crate::logic::relay::route::{Holding, Role, Seeker};
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::stream::{EndReason, StreamId};
use crate::proto::view::precedence;
use crate::wire::frame::Denial;
use crate::wire::gossip::{Origin, StreamCard};

/// What one upstream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The stream is over: its source has gone, or another one has precedence.
    Finished,
    /// This upstream gives nothing, or nothing more: the next one may.
    Failed,
    /// This upstream has the stream, and no longer the byte that follows on ours.
    Overrun,
}

/// One round.
#[derive(Debug)]
struct PullRound {
    /// How far the pull had come when it began.
    before: Option<(StreamId, u64)>,
    wanted: Wanted,
    /// Whom to ask next, the best first.
    left: VecDeque<NodeName>,
    /// The first that had what was wanted, and no longer the byte.
    overrun_at: Option<NodeName>,
}

/// What one upstream is asked, as part of a round.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) ask: Ask,
    round: PullRound,
    stage: Stage,
    /// When the question was asked, or the upstream was heard last.
    heard_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Open,
}

impl Attempt {
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// When the upstream will have been silent for too long.
    pub(super) fn deadline(&self) -> Instant {
        self.heard_at
            + match self.stage {
                Stage::Asked => ANSWER_TIMEOUT,
                Stage::Open => STALL,
            }
    }
}

impl Pull {
    pub(super) fn begin_round(&mut self, seen: Seen<'_>, out: &mut Vec<Output>) {
        self.has_news = false;
        let (wanted, left) = self.next_step(seen);
        let round = PullRound {
            before: self.position(),
            wanted,
            left: left.into(),
            overrun_at: None,
        };
        self.ask_next(round, seen, out);
    }

    /// Which stream to ask for, and whom, best first.
    fn next_step(&self, seen: Seen<'_>) -> (Wanted, Vec<NodeName>) {
        let others = seen.mesh.nodes.iter();
        let others = others.filter(|(name, _)| **name != seen.mesh.me);
        let holdings = others.filter_map(|(name, node)| {
            let card = node.streams.get(&self.mount)?;
            Some(holding(name, node.state, card))
        });
        let holdings: Vec<Holding> = holdings.collect();
        let own = self.ours.as_ref().map(|ours| Own {
            stream: ours.stream,
            next_offset: ours.next_offset,
            state: match ours.finished {
                Some(_) => OwnState::Finished,
                None => OwnState::Open,
            },
        });
        let seeker = Seeker {
            own: &seen.mesh.me,
            master: seen.mesh.master.as_ref().map(|claim| &claim.node),
            failures: &self.failures,
        };
        match follow::next_step(seeker, own, &holdings, seen.now) {
            Step::Continue(upstreams) => (Wanted::Next, upstreams),
            Step::TakeUp(stream, upstreams) => (Wanted::Other(stream), upstreams),
            Step::Wait => (Wanted::Next, Vec::new()),
        }
    }

    /// Asks the next upstream of the round, or ends the round.
    fn ask_next(&mut self, mut round: PullRound, seen: Seen<'_>, out: &mut Vec<Output>) {
        while let Some(upstream) = round.left.pop_front() {
            // Whoever fell behind with us cannot help, and would be waited for.
            if round.overrun_at.is_none() || self.is_further(&upstream, seen) {
                return self.ask_for_wanted(round, upstream, seen, out);
            }
        }
        let Some(upstream) = round.overrun_at.take() else {
            return self.end_round(round, seen, out);
        };
        round.wanted = Wanted::OnAir;
        self.ask_for_wanted(round, upstream, seen, out);
    }

    /// Whether a node gossips that it has bytes of our stream which we lack.
    fn is_further(&self, node: &NodeName, seen: Seen<'_>) -> bool {
        let node = seen.mesh.nodes.get(node);
        let card = node.and_then(|it| it.streams.get(&self.mount));
        let further = |(stream_id, next)| {
            card.is_some_and(|card| card.stream_id == stream_id && card.offset > next)
        };
        self.position().is_some_and(further)
    }

    fn ask_for_wanted(
        &mut self,
        round: PullRound,
        upstream: NodeName,
        seen: Seen<'_>,
        out: &mut Vec<Output>,
    ) {
        let ours = self.ours.as_ref();
        let resume = match round.wanted {
            Wanted::Next => self.position(),
            // What follows on a stream that is heard is heard from its first byte, if that is still there; one
            // that was heard before goes on where it was left.
            Wanted::Other(stream) => ours.map(|ours| {
                let left_at = ours.left.get(&stream).copied();
                (stream, left_at.unwrap_or(0))
            }),
            Wanted::OnAir => None,
        };
        let wanted = round.wanted;
        let ask = Ask {
            id: self.next_id(),
            upstream,
            resume,
            wanted,
        };
        self.ask(round, ask, seen.now, out);
    }

    fn next_id(&mut self) -> AskId {
        self.last_id.0 += 1;
        self.last_id
    }

    fn ask(&mut self, round: PullRound, ask: Ask, now: Instant, out: &mut Vec<Output>) {
        out.push(Output::Ask(ask.clone()));
        let attempt = Attempt {
            ask,
            round,
            stage: Stage::Asked,
            heard_at: now,
        };
        self.phase = Phase::Asking(Box::new(attempt));
    }

    /// Leaves an upstream that was silent for too long.
    pub(super) fn lose_patience(&mut self, seen: Seen<'_>, out: &mut Vec<Output>) {
        let Some(attempt) = self.take_attempt() else {
            return;
        };
        match attempt.stage {
            Stage::Asked => {
                out.push(Output::HangUp(Some(Silence::Unanswered)));
                self.not_to_be_had(attempt, Outcome::Failed, seen, out);
            }
            Stage::Open => {
                out.push(Output::HangUp(Some(Silence::Stalled)));
                self.go_on_after(attempt, Outcome::Failed, seen, out);
            }
        }
    }

    /// Takes what the upstream has said.
    pub(super) fn hear(&mut self, answer: Answer, seen: Seen<'_>, out: &mut Vec<Output>) {
        let Some(mut attempt) = self.take_attempt() else {
            return;
        };
        attempt.heard_at = seen.now;
        match (attempt.stage, answer) {
            (Stage::Asked, Answer::Opened(opened)) => self.opened(attempt, opened, seen, out),
            (Stage::Asked, answer) => {
                out.push(Output::HangUp(None));
                let outcome = match answer {
                    Answer::Denied(Denial::Overrun) => Outcome::Overrun,
                    _ => Outcome::Failed,
                };
                self.not_to_be_had(attempt, outcome, seen, out);
            }
            (Stage::Open, Answer::Took) => self.took(attempt, seen, out),
            (Stage::Open, answer) => {
                out.push(Output::HangUp(None));
                let outcome = match answer {
                    Answer::Ended => Outcome::Finished,
                    _ => Outcome::Failed,
                };
                self.go_on_after(attempt, outcome, seen, out);
            }
        }
    }

    fn take_attempt(&mut self) -> Option<Attempt> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Asking(attempt) => Some(*attempt),
            other => {
                self.phase = other;
                None
            }
        }
    }

    fn opened(
        &mut self,
        mut attempt: Attempt,
        opened: Opened,
        seen: Seen<'_>,
        out: &mut Vec<Output>,
    ) {
        let ours = self.ours.as_ref();
        let left_at = ours.and_then(|ours| ours.left.get(&opened.stream_id));
        // It has another one, that is over perhaps; somebody else has what is wanted.
        let is_another = matches!(attempt.ask.wanted, Wanted::Other(it) if it != opened.stream_id);
        let is_heard_already = left_at.is_some_and(|left_at| opened.offset < *left_at);
        if is_another || is_heard_already {
            out.push(Output::HangUp(None));
            return self.go_on_after(attempt, Outcome::Failed, seen, out);
        }
        let follows = self.position().is_some_and(|(stream_id, next)| {
            (stream_id == opened.stream_id) && (opened.offset <= next)
        });
        let upstream = attempt.ask.upstream.clone();
        out.push(match follows {
            true => Output::Continue(upstream, opened),
            false => Output::Open(upstream, opened),
        });
        attempt.stage = Stage::Open;
        self.phase = Phase::Asking(Box::new(attempt));
    }

    /// The upstream has not what it was asked for; from wherever it can give it may do as well.
    fn not_to_be_had(
        &mut self,
        attempt: Attempt,
        outcome: Outcome,
        seen: Seen<'_>,
        out: &mut Vec<Output>,
    ) {
        let is_next = attempt.ask.wanted == Wanted::Next;
        let may_be_later = |(_, from)| !is_next || from == 0;
        if attempt.ask.resume.is_some_and(may_be_later) {
            let ask = Ask {
                id: self.next_id(),
                resume: None,
                ..attempt.ask
            };
            return self.ask(attempt.round, ask, seen.now, out);
        }
        self.go_on_after(attempt, outcome, seen, out);
    }

    /// Bytes, a title or a sign of life have come: whether more are wanted.
    fn took(&mut self, attempt: Attempt, seen: Seen<'_>, out: &mut Vec<Output>) {
        if self.ours.as_ref().is_none_or(|it| it.is_unwanted(seen.now)) {
            out.push(Output::HangUp(None));
            return self.end(EndReason::Replaced, out);
        }
        if self.has_lost(seen) {
            out.push(Output::HangUp(None));
            return self.go_on_after(attempt, Outcome::Finished, seen, out);
        }
        self.phase = Phase::Asking(Box::new(attempt));
    }

    /// Another stream of the mount has precedence: two sources have met after a partition.
    fn has_lost(&self, seen: Seen<'_>) -> bool {
        let source = seen.mesh.source(&self.mount).map(|(_, card)| card);
        let ours = self.ours.as_ref().map(|ours| ours.stream);
        source.is_some_and(|card| ours.is_some_and(|ours| precedence(card) < ours))
    }

    /// One upstream was asked; what that led to decides whether another one is.
    fn go_on_after(
        &mut self,
        attempt: Attempt,
        outcome: Outcome,
        seen: Seen<'_>,
        out: &mut Vec<Output>,
    ) {
        let (mut round, upstream) = (attempt.round, attempt.ask.upstream);
        let has_moved = self.position() != round.before;
        if has_moved {
            self.failures.note_success(&upstream);
        }
        match outcome {
            Outcome::Finished => return self.end_round(round, seen, out),
            // Also one that has served well for hours: it has just stopped, the others go first.
            Outcome::Failed => self.failures.note_failure(&upstream, seen.now),
            Outcome::Overrun => _ = round.overrun_at.get_or_insert(upstream),
        }
        // Who holds it may have changed meanwhile; and what is on air was the last resort.
        if has_moved || round.wanted == Wanted::OnAir {
            return self.end_round(round, seen, out);
        }
        self.ask_next(round, seen, out);
    }

    fn end_round(&mut self, round: PullRound, seen: Seen<'_>, out: &mut Vec<Output>) {
        if self.position() != round.before {
            self.backoff.succeed();
        }
        if let Some(reason) = self.given_up(seen) {
            return self.end(reason, out);
        }
        self.rest(seen);
        if self.has_news {
            self.begin_round(seen, out);
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
