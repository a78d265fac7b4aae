//! One round of a pull: whoever may have what is wanted is asked in turn, until one of them gives some of it.

use std::collections::VecDeque;
use std::time::Duration;

use antiphon::io::feed::Feed;
use antiphon::logic::relay::follow;
use antiphon::logic::relay::follow::{FIND_TIMEOUT, Own, OwnState, Step};
use antiphon::logic::relay::route::{Holding, Role, Seeker};
use antiphon::model::node::NodeName;
use antiphon::model::stream::{EndReason, StreamId};
use antiphon::proto::view::precedence;
use antiphon::service::streams::card_of;
use antiphon::wire::gossip::Origin;

use super::conversation::{Conversation, Outcome};
use super::{Phase, Wanted, Work};

/// One round.
#[derive(Debug)]
pub(super) struct Round {
    before: Option<(StreamId, u64)>,
    /// The view when it began.
    seen: u64,
    pub(super) wanted: Wanted,
    left: VecDeque<NodeName>,
    /// The first that had what was wanted, and no longer the byte.
    overrun_at: Option<NodeName>,
    pub(super) conversation: Option<Conversation>,
}

impl Work<'_, '_> {
    pub(super) fn begin_round(&mut self) -> Option<EndReason> {
        let (wanted, left) = self.next_step();
        self.pull.phase = Phase::Round(Box::new(Round {
            before: self.position(),
            seen: self.desk.mesh.version(),
            wanted,
            left: left.into(),
            overrun_at: None,
            conversation: None,
        }));
        self.ask_next()
    }

    pub(super) fn round(&mut self) -> Option<&mut Round> {
        match &mut self.pull.phase {
            Phase::Round(round) => Some(round.as_mut()),
            Phase::Resting(..) => None,
        }
    }

    fn next_step(&self) -> (Wanted, Vec<NodeName>) {
        let view = self.desk.mesh.view();
        let nodes = view.nodes.iter().filter(|(name, _)| **name != view.me);
        let holdings = nodes.filter_map(|(name, node)| {
            let card = node.streams.get(self.mount)?;
            Some(Holding {
                node: name.clone(),
                state: node.state,
                stream: precedence(card),
                role: match &card.origin {
                    Origin::Source => Role::Ingest,
                    Origin::Relay(from) => Role::Relay(from.clone()),
                },
                next_offset: card.offset,
            })
        });
        let holdings: Vec<Holding> = holdings.collect();
        let own = self.pull.feed.as_ref().map(|feed| Own {
            stream: precedence(&card_of(feed, Origin::Relay(None))),
            next_offset: feed.next(),
            state: match feed.finished() {
                Some(_) => OwnState::Finished,
                None => OwnState::Open,
            },
        });
        let seeker = Seeker {
            own: &view.me,
            master: view.master.as_ref().map(|claim| &claim.node),
            failures: &self.pull.failures,
        };
        match follow::next_step(seeker, own, &holdings, self.now()) {
            Step::Continue(upstreams) => (Wanted::Next, upstreams),
            Step::TakeUp(stream, upstreams) => (Wanted::Other(stream), upstreams),
            Step::Wait => (Wanted::Next, Vec::new()),
        }
    }

    /// Asks the next upstream of the round, or ends the round.
    fn ask_next(&mut self) -> Option<EndReason> {
        while let Some(upstream) = self.round()?.left.pop_front() {
            // Whoever fell behind with us cannot help, and would be waited for.
            if self.round()?.overrun_at.is_none() || self.is_further(&upstream) {
                self.ask_for_wanted(upstream);
                return None;
            }
        }
        let round = self.round()?;
        let Some(upstream) = round.overrun_at.take() else {
            return self.end_round();
        };
        round.wanted = Wanted::OnAir;
        self.ask_for_wanted(upstream);
        None
    }

    fn ask_for_wanted(&mut self, upstream: NodeName) {
        let wanted = self.round().map_or(Wanted::Next, |round| round.wanted);
        let resume = match wanted {
            Wanted::Next => self.position(),
            // What follows on a stream that is heard is heard from its first byte, if that is still there; one
            // that was heard before goes on where it was left.
            Wanted::Other(stream) => {
                let left_at = |feed: &Feed| feed.left_at(stream).unwrap_or(0);
                self.pull.feed.as_ref().map(|feed| (stream, left_at(feed)))
            }
            Wanted::OnAir => None,
        };
        self.ask(upstream, resume);
    }

    /// Whether a node says that it holds more of our stream than we do.
    fn is_further(&self, node: &NodeName) -> bool {
        let view = self.desk.mesh.view();
        let holder = view.nodes.get(node);
        let card = holder.and_then(|it| it.streams.get(self.mount));
        let further = |(stream_id, next)| {
            card.is_some_and(|card| card.stream_id == stream_id && card.offset > next)
        };
        self.position().is_some_and(further)
    }

    /// One upstream was asked; what that led to decides whether another one is.
    pub(super) fn go_on_after(
        &mut self,
        outcome: Outcome,
        upstream: NodeName,
    ) -> Option<EndReason> {
        let moved_on = self.position() != self.round()?.before;
        if moved_on {
            self.pull.failures.note_success(&upstream);
        }
        match outcome {
            Outcome::Finished => return self.end_round(),
            Outcome::NotWanted => return Some(EndReason::Replaced),
            Outcome::Overrun => _ = self.round()?.overrun_at.get_or_insert(upstream),
            Outcome::Failed => {
                let now = self.now();
                self.pull.failures.note_failure(&upstream, now);
            }
        }
        // What is on air was the last resort, and who holds what may have changed meanwhile.
        if moved_on || self.round()?.wanted == Wanted::OnAir {
            return self.end_round();
        }
        self.ask_next()
    }

    fn end_round(&mut self) -> Option<EndReason> {
        let (before, seen) = self.round().map(|round| (round.before, round.seen))?;
        if self.position() != before {
            self.pull.backoff.succeed();
        }
        if let Some(reason) = self.given_up() {
            return Some(reason);
        }
        let luck = self.desk.luck();
        let rest = self.pull.backoff.fail(luck);
        self.pull.phase = Phase::Resting(self.now() + rest, seen);
        None
    }

    fn given_up(&self) -> Option<EndReason> {
        let Some(spec) = self.desk.replica.mount(self.mount) else {
            return Some(EndReason::MountDeleted);
        };
        let Some(feed) = &self.pull.feed else {
            let too_long = self.now().duration_since(self.pull.began) > FIND_TIMEOUT;
            return too_long.then_some(EndReason::Lost);
        };
        if self.is_unwanted(feed) {
            return Some(EndReason::Replaced);
        }
        let linger = Duration::from_secs(spec.linger_s.into());
        let silent = self.now().saturating_duration_since(feed.last_fed());
        (silent > linger).then(|| feed.finished().unwrap_or(EndReason::Lost))
    }
}
