//! One pull: keeps the ring of one mount filled, from whoever holds its stream.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::{HEARTBEAT, Inner, LINGER, STALL};
use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::backoff::Backoff;
use crate::logic::route::{self, Failures, Holding, Role, Seeker};
use crate::media::ring::{Append, Ring};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::service::cluster::view::precedence;
use crate::wire::frame::Frame;
use crate::wire::gossip::{Origin, StreamCard};

/// How long the first answer of an upstream may take: a round trip of a bad line, and some.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a stream without any holder is waited for before it counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(5);
/// Waits between rounds in which nobody had it: short, because silence is heard.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What one upstream led to.
enum Outcome {
    /// The stream is over, by its source's side.
    Ended(EndReason),
    /// This upstream gives nothing, or nothing more: the next one may.
    Failed,
    /// Nobody here wants the stream any more.
    NotWanted,
}

/// Pulls until the stream ends, is lost, or nobody wants it any more.
pub(super) async fn run(inner: &Inner, mount: &MountName) {
    let mut pull = Pull {
        inner,
        mount,
        feed: None,
        failures: Failures::default(),
    };
    let reason = pull.run().await;
    if let Some(feed) = pull.feed {
        info!(?reason, next = feed.next(), "relay ended");
        feed.end(reason);
        inner.streams.release(mount, &feed);
    }
}

struct Pull<'a> {
    inner: &'a Inner,
    mount: &'a MountName,
    feed: Option<Feed>,
    failures: Failures,
}

impl Pull<'_> {
    async fn run(&mut self) -> EndReason {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut lost_since = Instant::now();
        loop {
            for upstream in self.candidates() {
                let before = self.next();
                let outcome = tokio::select! {
                    () = self.inner.cancel.cancelled() => return EndReason::NodeStops,
                    outcome = self.pull_from(&upstream) => outcome,
                };
                match outcome {
                    Outcome::Ended(reason) => return reason,
                    Outcome::NotWanted => return EndReason::Replaced,
                    Outcome::Failed => self.note_failure(&upstream),
                }
                if self.next() > before {
                    self.failures.note_success(&upstream);
                    backoff.succeed();
                    lost_since = Instant::now();
                    break; // who holds it may have changed meanwhile
                }
            }
            if self.inner.documents.mount(self.mount).is_none() {
                return EndReason::MountDeleted;
            }
            let patience = if self.feed.is_some() {
                LOST_AFTER
            } else {
                ANSWER_TIMEOUT
            };
            if lost_since.elapsed() > patience {
                return EndReason::Lost;
            }
            tokio::time::sleep(backoff.fail(clock::luck())).await;
        }
    }

    fn next(&self) -> u64 {
        self.feed.as_ref().map_or(0, Feed::next)
    }

    fn note_failure(&mut self, upstream: &NodeName) {
        self.failures
            .note_failure(upstream, Instant::now().into_std());
    }

    /// Whom to ask, best first.
    fn candidates(&self) -> Vec<NodeName> {
        let view = self.inner.cluster.view();
        let holdings: Vec<Holding> = view
            .nodes
            .iter()
            .filter_map(|(name, node)| {
                Some(holding(name, node.state, node.streams.get(self.mount)?))
            })
            .collect();
        let present = || route::present_stream(&holdings).map(|stream| stream.stream_id);
        let wanted = self.feed.as_ref().map(Feed::stream_id).or_else(present);
        let Some(wanted) = wanted else {
            return Vec::new();
        };
        let seeker = Seeker {
            own: &view.me,
            master: view.master.as_ref().map(|claim| &claim.node),
            failures: &self.failures,
        };
        let upstreams = route::upstreams(seeker, wanted, &holdings, Instant::now().into_std());
        let now = upstreams
            .into_iter()
            .filter(|upstream| upstream.not_before.is_none());
        now.map(|upstream| upstream.node).collect()
    }

    async fn pull_from(&mut self, upstream: &NodeName) -> Outcome {
        let resume = self
            .feed
            .as_ref()
            .map(|feed| (feed.stream_id(), feed.next()));
        let mount = self.mount.clone();
        let question = Frame::Subscribe { mount, resume };
        let opening = async {
            let mut exchange = self.inner.links.open(upstream, &question).await?;
            exchange.finish();
            let answer = exchange.receive().await?;
            Ok::<_, ExchangeError>((exchange, answer))
        };
        let (exchange, answer) = match timeout(ANSWER_TIMEOUT, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                debug!(%upstream, %error, "no answer");
                return Outcome::Failed;
            }
            Err(_) => return Outcome::Failed,
        };
        let Some(Frame::Opened {
            stream_id,
            head,
            offset,
        }) = answer
        else {
            debug!(%upstream, ?answer, "not to be had there");
            return Outcome::Failed;
        };
        let Some(feed) = self.open_feed(upstream, (stream_id, head, offset)) else {
            return Outcome::Failed;
        };
        info!(%upstream, %stream_id, from = feed.next(), "relaying");
        self.take(&feed, exchange).await
    }

    /// The ring to fill: the one there is, or a new one for a stream that is not known here yet.
    fn open_feed(
        &mut self,
        upstream: &NodeName,
        (stream_id, head, offset): (StreamId, StreamHead, u64),
    ) -> Option<Feed> {
        let origin = Origin::Relay(upstream.clone());
        if let Some(feed) = &self.feed {
            self.inner.streams.set_origin(self.mount, feed, origin);
            return (feed.stream_id() == stream_id).then(|| feed.clone());
        }
        let feed = Feed::new(Ring::new(
            stream_id,
            head,
            offset,
            Instant::now().into_std(),
        ));
        let held = self.inner.streams.hold(self.mount, feed.clone(), origin);
        if let Err(error) = held {
            debug!(%error, "not relayed");
            return None;
        }
        self.feed = Some(feed.clone());
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
                Frame::Title { offset, text } => drop(feed.set_title(offset, &text)),
                Frame::End { offset, reason } if offset == feed.next() => {
                    return Outcome::Ended(reason);
                }
                _ => return Outcome::Failed,
            }
            if self.is_unwanted(feed) {
                exchange.abort();
                return Outcome::NotWanted;
            }
        }
    }

    /// Nobody has wanted it for a while, or something else has taken its place.
    fn is_unwanted(&self, feed: &Feed) -> bool {
        let held = self.inner.streams.get(self.mount);
        held.is_none_or(|held| {
            let idle = held
                .idle_since()
                .is_some_and(|since| since.elapsed() > LINGER);
            idle || !held.feed.is_same(feed)
        })
    }
}

fn holding(node: &NodeName, state: NodeState, card: &StreamCard) -> Holding {
    Holding {
        node: node.clone(),
        state,
        stream: precedence(card),
        role: match &card.origin {
            Origin::Source => Role::Ingest,
            Origin::Relay(from) => Role::Relay(Some(from.clone())),
        },
        next_offset: card.offset,
    }
}

// An upstream that has nothing to send must be heard within the time in which it would count as stalled.
const _: () = assert!(HEARTBEAT.as_millis() * 2 < STALL.as_millis());
