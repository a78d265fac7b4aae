//! A pull and the ring that it fills: the part of it that does not wait.

use std::time::{Duration, Instant};

use tracing::{debug, info};

use crate::io::feed::Feed;
use crate::logic::relay::route::Precedence;
use crate::media::format::joining::StreamStart;
use crate::media::ring::{Append, Ring, RingLimits};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::EndReason;
use crate::model::title::TitleInfo;
use crate::proto::prologue::{PrologueParts, PrologueProgress};
use crate::proto::pull::{HeldRing, Input, Opened, Output, Pull, PullContext, UpstreamEvent};
use crate::service::streams::{NotHeld, Streams};
use crate::wire::frame::Frame;
use crate::wire::gossip::Origin;

/// Changes the streams of this node as a pull says. Its driver does the rest: it asks other nodes.
#[derive(Debug)]
pub struct Filling {
    mount: MountName,
    streams: Streams,
    pull: Pull,
    feed: Option<Feed>,
    /// Whether an upstream has begun to send bytes for the ring.
    is_open: bool,
    /// The long prologue that the upstream is sending.
    parts: Option<PrologueParts>,
    /// The limits of the next ring.
    limits: RingLimits,
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
            parts: None,
            limits: RingLimits::default(),
        }
    }

    /// Sets the limits of the next ring: those that the mount has by now.
    pub fn set_limits(&mut self, limits: RingLimits) {
        self.limits = limits;
    }

    /// The machine that decides.
    pub fn pull(&self) -> &Pull {
        &self.pull
    }

    /// The ring that is held; none after the end.
    pub fn feed(&self) -> Option<&Feed> {
        self.feed.as_ref()
    }

    /// Takes in one event. The ring is changed when this returns; the driver does the outputs that concern other nodes.
    pub fn handle(&mut self, input: Input, context: PullContext<'_>, out: &mut Vec<Output>) {
        let mut input = Some(input);
        while let Some(next) = input.take() {
            let held = self.feed.as_ref().map(|feed| self.look(feed));
            let begin = out.len();
            self.pull.handle(next, held, context, out);
            for output in &out[begin..] {
                if let Err(error) = self.act(output, context.now) {
                    debug!(%error, "not relayed");
                    let asked = self.pull.asked();
                    input = asked.map(|request| Input::Heard(request.id, UpstreamEvent::Lost));
                }
            }
        }
    }

    fn act(&mut self, output: &Output, now: Instant) -> Result<(), NotHeld> {
        match output {
            Output::Continue(upstream, opened) => self.resume(upstream, opened),
            Output::Open(upstream, opened) => self.open(upstream, opened, now)?,
            Output::HangUp(_) => self.leave(),
            Output::Over(reason) => self.end(*reason),
            Output::Request(_) => {}
        }
        Ok(())
    }

    /// The ring, as far as the pull has to know it.
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
            // What was sent ahead is heard to its end; only then the mount lingers.
            last_fed: feed.sounds_until().unwrap_or(feed.last_fed()),
            is_current: held.is_some(),
            idle_since: held.and_then(|held| held.idle_since()),
            left: left.unwrap_or_default(),
        }
    }

    /// Takes a frame of the node that was asked, and says what it means for the pull.
    pub fn take(&mut self, frame: Frame, now: Instant) -> UpstreamEvent {
        let feed = self.feed.clone().filter(|_| self.is_open);
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
                debug!(?denial, "the node does not send the stream");
                UpstreamEvent::Denied(denial)
            }
            (frame, Some(feed)) => self.fill(&feed, frame, now),
            (_, None) => UpstreamEvent::Lost,
        }
    }

    /// Lets this upstream fill the ring that is held.
    fn resume(&mut self, upstream: &NodeName, opened: &Opened) {
        let (stream_id, from) = (opened.stream_id, opened.offset);
        info!(%upstream, %stream_id, from, "relaying");
        self.begin_to_fill();
        if let Some(feed) = &self.feed {
            let origin = Origin::Relay(Some(upstream.clone()));
            self.streams.set_origin(&self.mount, feed, origin);
        }
    }

    /// Fills a new ring, which the mount's listeners hear from now on.
    fn open(&mut self, upstream: &NodeName, opened: &Opened, now: Instant) -> Result<(), NotHeld> {
        let (stream_id, from) = (opened.stream_id, opened.offset);
        let ring = Ring::new(stream_id, opened.head.clone(), from, now);
        let feed = Feed::new(ring.with_limits(self.limits));
        let origin = Origin::Relay(Some(upstream.clone()));
        let held = self.streams.hold(&self.mount, feed.clone(), origin)?;
        if let Some(old) = held {
            let old = old.feed.stream_id();
            info!(%old, new = %stream_id, "the mount goes on with another stream");
        }
        self.feed = Some(feed);
        info!(%upstream, %stream_id, from, "relaying");
        self.begin_to_fill();
        Ok(())
    }

    fn begin_to_fill(&mut self) {
        self.is_open = true;
        self.parts = None;
    }

    /// Takes a frame of the stream that fills the ring. Nothing else comes between the parts of a prologue.
    fn fill(&mut self, feed: &Feed, frame: Frame, now: Instant) -> UpstreamEvent {
        let progress = match (self.parts.take(), frame) {
            (Some(parts), Frame::ProloguePart(part)) => parts.take(&part),
            (Some(_), _) => None,
            (
                None,
                Frame::LongPrologue {
                    offset,
                    media_time_us,
                    total_bytes,
                },
            ) => {
                let begun = PrologueParts::begin(offset, media_time_us, total_bytes);
                begun.map(PrologueProgress::Open)
            }
            (None, frame) => return fill(feed, frame, now),
        };
        match progress {
            Some(PrologueProgress::Open(parts)) => self.parts = Some(parts),
            Some(PrologueProgress::Complete(start)) => feed.start(&start),
            None => {
                debug!("a prologue is too long, or not complete");
                return UpstreamEvent::Lost;
            }
        }
        UpstreamEvent::Stored
    }

    /// Notes that no node fills the ring now.
    fn leave(&mut self) {
        if let Some(feed) = self.feed.as_ref().filter(|_| self.is_open) {
            let origin = Origin::Relay(None);
            self.streams.set_origin(&self.mount, feed, origin);
        }
        self.is_open = false;
    }

    /// The reason as the log says it: a ring that had no reader ends for others as if another one had taken its place,
    /// because they may ask for it again.
    fn reason_word(&self, reason: EndReason, feed: &Feed) -> String {
        let held = self.look(feed);
        match reason {
            EndReason::Replaced if held.is_current && held.idle_since.is_some() => {
                "NoListener".to_owned()
            }
            reason => format!("{reason:?}"),
        }
    }

    /// Ends the stream, if there is one, and the mount is no longer held here.
    pub fn end(&mut self, reason: EndReason) {
        self.is_open = false;
        if let Some(feed) = self.feed.take() {
            let reason_word = self.reason_word(reason, &feed);
            info!(reason = reason_word, next = feed.next(), "relay ended");
            self.streams.release(&self.mount, &feed);
            feed.end(reason);
        }
    }
}

/// Takes a frame that is no part of a long prologue.
fn fill(feed: &Feed, frame: Frame, now: Instant) -> UpstreamEvent {
    match frame {
        Frame::Data { offset, bytes } => {
            if let Append::Gap { next } = feed.append(offset, &bytes, now) {
                debug!(offset, next, "bytes are missing: asked for again");
                return UpstreamEvent::Gap;
            }
        }
        Frame::Prologue {
            offset,
            media_time_us,
            bytes,
        } => feed.start(&StreamStart {
            offset,
            media_time: Duration::from_micros(media_time_us),
            prologue: bytes,
        }),
        Frame::Midway => feed.begin_midway(),
        Frame::Alive { beat_ms } => feed.note_beat(beat_ms, now),
        Frame::Title { offset, text } => _ = feed.set_title(offset, &TitleInfo::plain(&text)),
        Frame::Caption { offset, title } => _ = feed.set_title(offset, &title),
        Frame::End { offset, reason } if offset == feed.next() => {
            info!(?reason, offset, "the source has gone");
            feed.finish(reason);
            return UpstreamEvent::Ended;
        }
        _ => return UpstreamEvent::Lost,
    }
    UpstreamEvent::Stored
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::io::channel::ChannelReader;
    use crate::io::channel::samples::take_all;
    use crate::media::format::flac::samples as flac;
    use crate::media::format::mpeg::samples::frames;
    use crate::media::format::ogg::page::samples::opus;
    use crate::media::ring::Read;
    use crate::media::ring::samples::ring;
    use crate::model::stream::StreamId;
    use crate::service::streams::Reader;

    /// A mount that is being filled, and what its first upstream and another one open.
    struct Bench {
        filling: Filling,
        streams: Streams,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let (streams, now) = (Streams::default(), Instant::now());
            let mount = MountName::try_from("/a.mp3").unwrap();
            Self {
                filling: Filling::new(mount, streams.clone(), None, now),
                streams,
                now,
            }
        }

        fn open(&mut self, stream_id: u128, content_type: &str, offset: u64) -> Feed {
            let opened = Opened {
                stream_id: StreamId(stream_id),
                head: (**ring(content_type).head()).clone(),
                offset,
            };
            let upstream = NodeName::try_from("b").unwrap();
            self.filling.open(&upstream, &opened, self.now).unwrap();
            self.filling.feed().unwrap().clone()
        }

        fn append(&self, bytes: &[u8]) {
            let feed = self.filling.feed().unwrap();
            feed.append(feed.next(), bytes, self.now);
        }

        fn join(&self) -> ChannelReader {
            let held = self.streams.get(&self.filling.mount).unwrap();
            held.channel.join(Duration::from_secs(5))
        }

        fn left(&self) -> BTreeMap<StreamId, u64> {
            self.filling.look(self.filling.feed().unwrap()).left
        }
    }

    #[test]
    fn a_relay_lingers_when_what_was_sent_ahead_has_sounded() {
        let mut bench = Bench::new();
        let feed = bench.open(1, "audio/mpeg", 0);
        bench.append(&frames(100));
        let (offset, reason) = (feed.next(), EndReason::SourceLeft);
        assert_eq!(bench.filling.look(&feed).last_fed, bench.now);
        // The stream is younger than its audio is long.
        for frame in [Frame::Alive { beat_ms: 600 }, Frame::End { offset, reason }] {
            bench.filling.take(frame, bench.now);
        }
        let sounds_until = feed.sounds_until().unwrap();
        assert!(sounds_until > bench.now + Duration::from_secs(1));
        assert_eq!(bench.filling.look(&feed).last_fed, sounds_until);
    }

    #[test]
    fn listeners_return_to_a_stream_that_was_left() {
        let mut bench = Bench::new();
        let first = bench.open(1, "audio/mpeg", 0);
        bench.append(&frames(4));
        let mut reader = bench.join();
        first.finish(EndReason::SourceLeft);
        assert_eq!(take_all(&mut reader), frames(4));
        assert_eq!(reader.read(1), Read::Wait, "the mount lingers");

        let second = bench.open(2, "audio/mpeg", 0);
        bench.append(&frames(3));
        assert_eq!(first.ended(), Some(EndReason::Replaced));
        let left_at = first.next();
        assert_eq!(bench.left(), BTreeMap::from([(StreamId(1), left_at)]));
        assert_eq!(take_all(&mut reader), frames(3));

        // Another node still has the first stream: it is asked for what was not heard.
        bench.open(1, "audio/mpeg", left_at);
        bench.append(&frames(2));
        assert_eq!(second.ended(), Some(EndReason::Replaced));
        assert_eq!(take_all(&mut reader), frames(2));
        bench.filling.end(EndReason::SourceLeft);
        assert_eq!(reader.read(1), Read::Ended);
    }

    #[test]
    fn a_long_prologue_is_put_together_before_the_bytes() {
        let heads = flac::headers(&[flac::block(6, &vec![7; 300_000])]);
        let sound = flac::frames(0..3);
        let mut bench = Bench::new();
        let (offset, total) = (heads.len() as u64, heads.len());
        let take = |bench: &mut Bench, frame| bench.filling.take(frame, bench.now);
        let long = Frame::LongPrologue {
            offset,
            media_time_us: 5,
            total_bytes: total as u32,
        };
        let parts = || heads.chunks(64 << 10).map(Bytes::copy_from_slice);
        let data = Frame::Data {
            offset,
            bytes: sound.clone().into(),
        };
        bench.open(1, "audio/flac", offset);
        assert_eq!(take(&mut bench, long.clone()), UpstreamEvent::Stored);
        for part in parts() {
            let taken = take(&mut bench, Frame::ProloguePart(part));
            assert_eq!(taken, UpstreamEvent::Stored, "each is a sign of life");
        }
        assert_eq!(take(&mut bench, data.clone()), UpstreamEvent::Stored);
        let mut reader = bench.join();
        let taken = take_all(&mut reader);
        assert!(!taken.is_empty() && sound.starts_with(&taken));
        assert_eq!(reader.take_prologue(), heads);

        // The link breaks among the parts, and another one begins anew.
        let feed = bench.open(2, "audio/flac", offset);
        take(&mut bench, long.clone());
        take(&mut bench, Frame::ProloguePart(parts().next().unwrap()));
        assert_eq!(take(&mut bench, data.clone()), UpstreamEvent::Lost);
        assert_eq!(feed.next(), offset, "nothing was stored");
        bench.open(3, "audio/flac", offset);
        let stray = Frame::ProloguePart(parts().next().unwrap());
        assert_eq!(take(&mut bench, stray), UpstreamEvent::Lost);
        take(&mut bench, long);
        assert_eq!(take(&mut bench, data), UpstreamEvent::Lost);
    }

    #[test]
    fn the_next_ring_has_the_limits_that_the_mount_has_by_then() {
        let mut bench = Bench::new();
        let limits = RingLimits {
            max_bytes: 64 << 10,
            burst_bytes: 0,
            ..RingLimits::default()
        };
        let fill = |bench: &mut Bench, stream_id| {
            let feed = bench.open(stream_id, "audio/mpeg", 0);
            bench.append(&frames(1_000));
            feed.next() - feed.oldest()
        };
        assert!(fill(&mut bench, 1) > limits.max_bytes);
        bench.filling.set_limits(limits);
        assert!(fill(&mut bench, 2) <= limits.max_bytes);
    }

    #[test]
    fn a_stream_of_another_format_ends_listeners() {
        let mut bench = Bench::new();
        let first = bench.open(1, "audio/mpeg", 0);
        bench.append(&frames(2));
        let mut reader = bench.join();
        bench.open(2, "application/ogg", 0);
        bench.append(&opus(1, &[1]));
        assert_eq!(take_all(&mut reader), frames(2));
        assert_eq!(reader.read(1), Read::Ended);
        assert_eq!(first.ended(), Some(EndReason::Replaced));
        assert_eq!(take_all(&mut bench.join()), opus(1, &[1]));
    }

    #[test]
    fn a_ring_that_nobody_read_is_not_called_replaced() {
        let mut bench = Bench::new();
        let first = bench.open(1, "audio/mpeg", 0);
        let word = |bench: &Bench, reason| bench.filling.reason_word(reason, &first);
        let reading = bench.streams.get(&bench.filling.mount).unwrap();
        let reading = reading.read_by(Reader::Listener);
        assert_eq!(word(&bench, EndReason::Replaced), "Replaced");
        drop(reading);
        assert_eq!(word(&bench, EndReason::Replaced), "NoListener");
        assert_eq!(word(&bench, EndReason::SourceLeft), "SourceLeft");
        bench.open(2, "audio/mpeg", 0);
        assert_eq!(word(&bench, EndReason::Replaced), "Replaced");
    }

    #[test]
    fn a_source_here_is_not_replaced_by_a_pull() {
        let mut bench = Bench::new();
        bench.open(1, "audio/mpeg", 0);
        bench.append(&frames(2));
        let mut reader = bench.join();
        let head = ring("audio/mpeg").head().clone();
        let source = Feed::new(Ring::new(StreamId(2), head, 0, bench.now));
        let mount = bench.filling.mount.clone();
        let held = bench.streams.hold(&mount, source.clone(), Origin::Source);
        assert!(held.is_ok());
        let opened = Opened {
            stream_id: StreamId(3),
            head: (**source.head()).clone(),
            offset: 0,
        };
        let upstream = NodeName::try_from("b").unwrap();
        let refused = bench.filling.open(&upstream, &opened, bench.now);
        assert_eq!(refused, Err(NotHeld::Busy));
        bench.filling.end(EndReason::Replaced);
        source.append(0, &frames(3), bench.now);
        assert_eq!(take_all(&mut reader), [frames(2), frames(3)].concat());
    }
}
