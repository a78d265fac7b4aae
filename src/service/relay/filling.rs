//! A pull and the ring that it fills: all of it that does not wait.

use std::time::Instant;

use tracing::{debug, info};

use crate::io::feed::Feed;
use crate::logic::relay::route::Precedence;
use crate::media::ring::{Append, Ring};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::EndReason;
use crate::proto::pull::{HeldRing, Input, Opened, Output, Pull, PullContext, UpstreamEvent};
use crate::service::streams::{NotHeld, Streams};
use crate::wire::frame::Frame;
use crate::wire::gossip::Origin;

/// Does to the streams of this node what a pull says; asking others is left to whoever drives it.
#[derive(Debug)]
pub struct Filling {
    mount: MountName,
    streams: Streams,
    pull: Pull,
    feed: Option<Feed>,
    /// Whether an upstream has begun to send what is taken into the ring.
    is_open: bool,
}

impl Filling {
    /// Begins with a stream that has finished, if its source was connected here.
    pub fn new(mount: MountName, streams: Streams, finished: Option<Feed>, now: Instant) -> Self {
        Self {
            pull: Pull::new(mount.clone(), now),
            mount,
            streams,
            feed: finished,
            is_open: false,
        }
    }

    /// What is decided.
    pub fn pull(&self) -> &Pull {
        &self.pull
    }

    /// The ring that is held; none after the end.
    pub fn feed(&self) -> Option<&Feed> {
        self.feed.as_ref()
    }

    /// Takes in one event. What concerns the ring is done when this returns.
    pub fn handle(&mut self, input: Input, seen: PullContext<'_>, out: &mut Vec<Output>) {
        let mut input = Some(input);
        while let Some(next) = input.take() {
            let ours = self.feed.as_ref().map(|feed| self.look(feed));
            let begin = out.len();
            self.pull.handle(next, ours, seen, out);
            for output in &out[begin..] {
                if let Err(error) = self.act(output, seen.now) {
                    debug!(%error, "not relayed");
                    let asked = self.pull.asked();
                    input = asked.map(|ask| Input::Heard(ask.id, UpstreamEvent::Lost));
                }
            }
        }
    }

    fn act(&mut self, output: &Output, now: Instant) -> Result<(), NotHeld> {
        match output {
            Output::Continue(upstream, opened) => self.go_on(upstream, opened),
            Output::Open(upstream, opened) => self.open(upstream, opened, now)?,
            Output::HangUp(_) => self.leave(),
            Output::Over(reason) => self.end(*reason),
            Output::Request(_) => {}
        }
        Ok(())
    }

    /// What the pull has to know of the ring.
    fn look(&self, feed: &Feed) -> HeldRing {
        let head = feed.head();
        let held = self.streams.get(&self.mount);
        let left = held.as_ref().map(|held| held.channel.left());
        let held = held.filter(|held| held.feed.is_same(feed));
        HeldRing {
            stream: Precedence {
                accept_epoch: head.accept_epoch,
                started_unix_ms: head.started_unix_ms,
                stream_id: feed.stream_id(),
            },
            next_offset: feed.next(),
            finished: feed.finished(),
            last_fed: feed.last_fed(),
            is_current: held.is_some(),
            idle_since: held.and_then(|held| held.idle_since()),
            left: left.unwrap_or_default(),
        }
    }

    /// Takes a frame of the node that was asked, and says what has become of it.
    pub fn take(&mut self, frame: Frame, now: Instant) -> UpstreamEvent {
        let feed = self.feed.as_ref().filter(|_| self.is_open);
        match (frame, feed) {
            (
                Frame::Opened {
                    stream_id,
                    head,
                    offset,
                },
                None,
            ) => UpstreamEvent::Opened(Opened {
                stream_id,
                head,
                offset,
            }),
            (Frame::Denied(denial), None) => {
                debug!(?denial, "not to be had there");
                UpstreamEvent::Denied(denial)
            }
            (frame, Some(feed)) => fill(feed, frame, now),
            (_, None) => UpstreamEvent::Lost,
        }
    }

    /// The ring that is held is filled by this node now.
    fn go_on(&mut self, upstream: &NodeName, opened: &Opened) {
        let (stream_id, from) = (opened.stream_id, opened.offset);
        info!(%upstream, %stream_id, from, "relaying");
        self.is_open = true;
        if let Some(feed) = &self.feed {
            let origin = Origin::Relay(Some(upstream.clone()));
            self.streams.set_origin(&self.mount, feed, origin);
        }
    }

    /// Fills a new ring, which the listeners of the old one hear from now on.
    fn open(&mut self, upstream: &NodeName, opened: &Opened, now: Instant) -> Result<(), NotHeld> {
        let (stream_id, from) = (opened.stream_id, opened.offset);
        let feed = Feed::new(Ring::new(stream_id, opened.head.clone(), from, now));
        let origin = Origin::Relay(Some(upstream.clone()));
        let held = self.streams.hold(&self.mount, feed.clone(), origin)?;
        if let Some(old) = held {
            let old = old.feed.stream_id();
            info!(%old, new = %stream_id, "the mount goes on with another stream");
        }
        self.feed = Some(feed);
        info!(%upstream, %stream_id, from, "relaying");
        self.is_open = true;
        Ok(())
    }

    /// Nobody fills the ring now.
    fn leave(&mut self) {
        if let Some(feed) = self.feed.as_ref().filter(|_| self.is_open) {
            let origin = Origin::Relay(None);
            self.streams.set_origin(&self.mount, feed, origin);
        }
        self.is_open = false;
    }

    /// Ends the stream, if there is one: its mount is held no more.
    pub fn end(&mut self, reason: EndReason) {
        self.is_open = false;
        if let Some(feed) = self.feed.take() {
            info!(?reason, next = feed.next(), "relay ended");
            self.streams.release(&self.mount, &feed);
            feed.end(reason);
        }
    }
}

/// Takes a frame of the stream that fills a ring.
fn fill(feed: &Feed, frame: Frame, now: Instant) -> UpstreamEvent {
    match frame {
        Frame::Data { offset, bytes } => {
            if let Append::Gap { next } = feed.append(offset, &bytes, now) {
                debug!(offset, next, "a hole: asked for again");
                return UpstreamEvent::Gap;
            }
        }
        Frame::Alive { beat_ms } => feed.note_beat(beat_ms, now),
        Frame::Title { offset, text } => _ = feed.set_title(offset, &text),
        Frame::End { offset, reason } if offset == feed.next() => {
            info!(?reason, offset, "the source has gone");
            feed.finish(reason);
            return UpstreamEvent::Ended;
        }
        _ => return UpstreamEvent::Lost,
    }
    UpstreamEvent::Stored
}
