//! One pull: keeps the ring of one mount filled, from whoever holds its stream.
//!
//! It outlives the stream: when the source has gone, listeners are kept for as long as the mount lingers, and
//! the next stream of the mount takes the old one's place without their noticing.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::{Inner, LINGER};
use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::backoff::Backoff;
use crate::logic::relay::follow;
use crate::logic::relay::follow::{
    ANSWER_TIMEOUT, FIND_TIMEOUT, FIRST_WAIT, LONGEST_WAIT, Own, OwnState, STALL, Step,
};
use crate::logic::relay::route::{Failures, Holding, Role, Seeker};
use crate::media::ring::{Append, Ring};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::proto::view::precedence;
use crate::service::streams::card_of;
use crate::wire::frame::{Denial, Frame};
use crate::wire::gossip::{Origin, StreamCard};

/// What one upstream led to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The stream is over: its source has gone, or another one has precedence.
    Finished,
    /// This upstream gives nothing, or nothing more: the next one may.
    Failed,
    /// This upstream has the stream, and no longer the byte that follows on ours.
    Overrun,
    /// Nobody here wants the stream any more, or a source here has taken its place.
    NotWanted,
}

/// What an upstream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// What follows on what is held; whatever is on air, if nothing is.
    Next,
    /// This stream, in the place of the one that is held.
    Other(StreamId),
    /// Whatever is on air, though bytes before it are missing.
    OnAir,
}

/// What an upstream begins to send: which stream, and from which byte on.
type Opened = (StreamId, StreamHead, u64);

/// Pulls until the stream ends, is lost, or nobody wants it any more. Begins with a stream that has finished,
/// if its source was connected here.
pub(super) async fn run(inner: &Inner, mount: &MountName, finished: Option<Feed>) {
    let mut pull = Pull {
        inner,
        mount,
        feed: finished,
        failures: Failures::default(),
        began: Instant::now(),
    };
    let reason = pull.run().await;
    if let Some(feed) = pull.feed {
        info!(?reason, next = feed.next(), "relay ended");
        inner.streams.release(mount, &feed);
        feed.end(reason);
    }
}

struct Pull<'a> {
    inner: &'a Inner,
    mount: &'a MountName,
    feed: Option<Feed>,
    failures: Failures,
    began: Instant,
}

impl Pull<'_> {
    async fn run(&mut self) -> EndReason {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut view = self.inner.cluster.watch();
        loop {
            view.mark_unchanged();
            let before = self.position();
            if let Some(reason) = self.ask_all().await {
                return reason;
            }
            if self.position() != before {
                backoff.succeed();
            }
            if let Some(reason) = self.given_up() {
                return reason;
            }
            tokio::select! {
                () = self.inner.cancel.cancelled() => return EndReason::NodeStops,
                () = tokio::time::sleep(backoff.fail(clock::luck())) => {}
                // Somebody may have it now who had not before.
                Ok(()) = view.changed() => {}
            }
        }
    }

    /// Asks all who may have it, the best first, until one has given something. A reason if the pull is over.
    async fn ask_all(&mut self) -> Option<EndReason> {
        let before = self.position();
        let (stream, upstreams) = self.next_step();
        let wanted = stream.map_or(Wanted::Next, Wanted::Other);
        let mut overrun = None;
        for upstream in upstreams {
            // Whoever fell behind with us cannot help, and would be waited for.
            if overrun.is_some() && !self.is_further(&upstream) {
                continue;
            }
            match self.ask(&upstream, wanted).await {
                Err(reason) => return Some(reason),
                Ok(Outcome::Finished) => return None,
                Ok(Outcome::Overrun) => overrun = overrun.or(Some(upstream)),
                Ok(_) => {}
            }
            if self.position() != before {
                return None; // who holds it may have changed meanwhile
            }
        }
        let upstream = overrun?;
        info!(%upstream, "what follows is held by nobody any more, going on with what is on air");
        self.ask(&upstream, Wanted::OnAir).await.err()
    }

    /// Asks one; an error is the reason why the pull is over.
    async fn ask(&mut self, upstream: &NodeName, wanted: Wanted) -> Result<Outcome, EndReason> {
        let (before, cancel) = (self.position(), self.inner.cancel.clone());
        let pulled = cancel.run_until_cancelled(self.pull_from(upstream, wanted));
        let outcome = pulled.await.ok_or(EndReason::NodeStops)?;
        if self.position() != before {
            self.failures.note_success(upstream);
        }
        match outcome {
            Outcome::NotWanted => return Err(EndReason::Replaced),
            // Also one that has served well for hours: it has just stopped, the others go first.
            Outcome::Failed => self.note_failure(upstream),
            Outcome::Finished | Outcome::Overrun => {}
        }
        Ok(outcome)
    }

    /// Whether a node gossips that it has bytes of our stream which we lack.
    fn is_further(&self, node: &NodeName) -> bool {
        let view = self.inner.cluster.view();
        let card = view
            .nodes
            .get(node)
            .and_then(|it| it.streams.get(self.mount));
        let further = |(stream_id, next)| {
            card.is_some_and(|card| card.stream_id == stream_id && card.offset > next)
        };
        self.position().is_some_and(further)
    }

    /// How far the pull has come: which stream, and which byte of it.
    fn position(&self) -> Option<(StreamId, u64)> {
        self.feed
            .as_ref()
            .map(|feed| (feed.stream_id(), feed.next()))
    }

    /// Whether to stop, and why.
    fn given_up(&self) -> Option<EndReason> {
        let Some(spec) = self.inner.documents.mount(self.mount) else {
            return Some(EndReason::MountDeleted);
        };
        let Some(feed) = &self.feed else {
            let too_long = self.began.elapsed() > FIND_TIMEOUT;
            return too_long.then_some(EndReason::Lost);
        };
        if self.is_unwanted(feed) {
            return Some(EndReason::Replaced);
        }
        let linger = Duration::from_secs(spec.linger_s.into());
        let silent = Instant::now()
            .into_std()
            .saturating_duration_since(feed.last_fed());
        (silent > linger).then(|| feed.finished().unwrap_or(EndReason::Lost))
    }

    fn note_failure(&mut self, upstream: &NodeName) {
        self.failures
            .note_failure(upstream, Instant::now().into_std());
    }

    /// Which stream to ask for, if it is another than the one that is held, and whom, best first.
    fn next_step(&self) -> (Option<StreamId>, Vec<NodeName>) {
        let view = self.inner.cluster.view();
        let nodes = view.nodes.iter().filter(|(name, _)| **name != view.me);
        let holdings = nodes.filter_map(|(name, node)| {
            let card = node.streams.get(self.mount)?;
            Some(holding(name, node.state, card))
        });
        let holdings: Vec<Holding> = holdings.collect();
        let own = self.feed.as_ref().map(|feed| Own {
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
            failures: &self.failures,
        };
        match follow::next_step(seeker, own, &holdings, Instant::now().into_std()) {
            Step::Continue(upstreams) => (None, upstreams),
            Step::TakeUp(stream, upstreams) => (Some(stream), upstreams),
            Step::Wait => (None, Vec::new()),
        }
    }

    async fn pull_from(&mut self, upstream: &NodeName, wanted: Wanted) -> Outcome {
        let resume = match wanted {
            Wanted::Next => self.position(),
            // What follows on a stream that is heard is heard from its first byte, if that is still there; one
            // that was heard before goes on where it was left.
            Wanted::Other(stream) => self
                .feed
                .as_ref()
                .map(|feed| (stream, feed.left_at(stream).unwrap_or(0))),
            Wanted::OnAir => None,
        };
        let mut opened = self.subscribe(upstream, resume).await;
        let from_anywhere = wanted != Wanted::Next || resume.is_some_and(|(_, from)| from == 0);
        if opened.is_err() && resume.is_some() && from_anywhere {
            opened = self.subscribe(upstream, None).await;
        }
        let (exchange, stream) = match opened {
            Ok(opened) => opened,
            Err(outcome) => return outcome,
        };
        let (stream_id, from) = (stream.0, stream.2);
        if matches!(wanted, Wanted::Other(other) if other != stream_id) {
            return Outcome::Failed; // it has another one, that is over perhaps; somebody else has what is wanted
        }
        let left_at = self.feed.as_ref().and_then(|feed| feed.left_at(stream_id));
        if left_at.is_some_and(|left_at| from < left_at) {
            return Outcome::Failed; // it would be heard a second time
        }
        let Some(feed) = self.open_feed(upstream, stream) else {
            return Outcome::Failed;
        };
        info!(%upstream, %stream_id, from, "relaying");
        let outcome = self.take(&feed, exchange).await;
        self.inner
            .streams
            .set_origin(self.mount, &feed, Origin::Relay(None));
        outcome
    }

    /// Asks for a stream; if it is not to be had there, whether that is for its byte alone.
    async fn subscribe(
        &self,
        upstream: &NodeName,
        resume: Option<(StreamId, u64)>,
    ) -> Result<(Exchange, Opened), Outcome> {
        let mount = self.mount.clone();
        let question = Frame::Subscribe { mount, resume };
        let opening = async {
            let mut exchange = self.inner.links.open(upstream, &question).await?;
            exchange.finish();
            let answer = exchange.receive().await?;
            Ok::<_, ExchangeError>((exchange, answer))
        };
        match timeout(ANSWER_TIMEOUT, opening).await {
            Ok(Ok((
                exchange,
                Some(Frame::Opened {
                    stream_id,
                    head,
                    offset,
                }),
            ))) => return Ok((exchange, (stream_id, head, offset))),
            Ok(Ok((_, Some(Frame::Denied(Denial::Overrun))))) => return Err(Outcome::Overrun),
            Ok(Ok((_, answer))) => debug!(%upstream, ?answer, "not to be had there"),
            Ok(Err(error)) => debug!(%upstream, %error, "no answer"),
            Err(_) => debug!(%upstream, "no answer in time"),
        }
        Err(Outcome::Failed)
    }

    /// The ring to fill: the one there is, or a new one, into which the old one's listeners go on.
    fn open_feed(
        &mut self,
        upstream: &NodeName,
        (stream_id, head, offset): Opened,
    ) -> Option<Feed> {
        let origin = Origin::Relay(Some(upstream.clone()));
        if let Some(feed) = self
            .feed
            .as_ref()
            .filter(|feed| feed.stream_id() == stream_id && offset <= feed.next())
        {
            self.inner.streams.set_origin(self.mount, feed, origin);
            return Some(feed.clone());
        }
        let now = Instant::now().into_std();
        let feed = Feed::new(Ring::new(stream_id, head, offset, now));
        let held = self.inner.streams.hold(self.mount, feed.clone(), origin);
        let held = held
            .inspect_err(|error| debug!(%error, "not relayed"))
            .ok()?;
        let pulled = self.feed.replace(feed.clone());
        // What was held is what was pulled, or a source's stream that has ended here meanwhile: whoever
        // listens to either goes on, and to be told so twice is no harm.
        for old in pulled.into_iter().chain(held.map(|held| held.feed)) {
            info!(old = %old.stream_id(), new = %stream_id, "the mount goes on with another stream");
            old.go_on_with(&feed);
        }
        Some(feed)
    }

    /// Takes what the upstream sends for as long as it sends it in order and somebody wants it.
    async fn take(&self, feed: &Feed, mut exchange: Exchange) -> Outcome {
        loop {
            let frame = match timeout(STALL, exchange.receive()).await {
                Ok(Ok(Some(frame))) => frame,
                Ok(Ok(None)) => return Outcome::Failed,
                Ok(Err(error)) => {
                    debug!(%error, "upstream lost");
                    return Outcome::Failed;
                }
                Err(_) => {
                    info!(next = feed.next(), "upstream stalls");
                    return Outcome::Failed;
                }
            };
            match frame {
                Frame::Data { offset, bytes } => {
                    let appended = feed.append(offset, &bytes, Instant::now().into_std());
                    if let Append::Gap { next } = appended {
                        debug!(offset, next, "a hole: asked for again");
                        return Outcome::Failed;
                    }
                }
                Frame::Alive { beat_ms } => feed.note_beat(beat_ms, Instant::now().into_std()),
                Frame::Title { offset, text } => drop(feed.set_title(offset, &text)),
                Frame::End { offset, reason } if offset == feed.next() => {
                    info!(?reason, offset, "the source has gone");
                    self.inner.ended.note(feed.stream_id(), clock::now());
                    feed.finish(reason);
                    return Outcome::Finished;
                }
                _ => return Outcome::Failed,
            }
            if self.is_unwanted(feed) {
                exchange.abort();
                return Outcome::NotWanted;
            }
            if self.has_lost(feed) {
                exchange.abort();
                return Outcome::Finished;
            }
        }
    }

    /// Nobody has wanted it for a while, or something else has taken its place.
    fn is_unwanted(&self, feed: &Feed) -> bool {
        let held = self.inner.streams.get(self.mount);
        held.is_none_or(|held| {
            let idle = held
                .idle_since()
                .is_some_and(|since| clock::now().saturating_duration_since(since) > LINGER);
            idle || !held.feed.is_same(feed)
        })
    }

    /// Another stream of the mount has precedence: two sources have met after a partition.
    fn has_lost(&self, feed: &Feed) -> bool {
        let view = self.inner.cluster.view();
        let source = view.source(self.mount).map(|(_, card)| precedence(card));
        source.is_some_and(|other| other < precedence(&card_of(feed, Origin::Relay(None))))
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
