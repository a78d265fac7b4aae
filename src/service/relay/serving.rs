//! Sends a stream to another node: the part of it that does not wait.

use std::time::Instant;

use crate::io::feed::Feed;
use crate::media::ring::Read;
use crate::model::mount::MountName;
use crate::model::stream::StreamId;
use crate::proto::pull::Opened;
use crate::proto::serve::{
    Available, FirstByte, Output, RELAY_BURST, Reads, RingView, Serve, Window,
};
use crate::service::streams::{Held, Reader, Reading, Streams};
use crate::wire::frame::{Denial, Frame};
use crate::wire::gossip::Origin;

/// The request of another node for a stream.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The mount.
    pub mount: MountName,
    /// The stream and the byte to go on from; `None`: the one that is on air.
    pub resume: Option<(StreamId, u64)>,
    /// The frames that the node reads.
    pub reads: Reads,
}

/// Reads the ring for a relay as [`Serve`] says; counts it among the readers.
#[derive(Debug)]
pub struct Serving {
    streams: Streams,
    mount: MountName,
    feed: Feed,
    serve: Serve,
    _reading: Reading,
}

/// The step that follows once the frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Look at the ring again.
    LookAgain,
    /// Look again when there is news of the stream, at the latest at this time.
    Wait(Instant),
    /// Close the conversation.
    Finish,
}

impl Serving {
    /// Answers a SUBSCRIBE; appends the first frames.
    ///
    /// A stream that is over and was heard is given to no node that has nothing of it: its listeners wait for the next one.
    pub fn begin(
        streams: &Streams,
        subscription: Subscription,
        now: Instant,
        out: &mut Vec<Frame>,
    ) -> Result<Self, Denial> {
        let Subscription {
            mount,
            resume,
            reads,
        } = subscription;
        let held = streams.get(&mount).ok_or(Denial::NotHere)?;
        let feed = &held.feed;
        if resume.is_none() && !feed.look().can_be_joined(now) {
            return Err(Denial::NotHere);
        }
        let join_point = feed.relay_point(RELAY_BURST.max(feed.unheard(now)));
        let window = Window {
            stream_id: feed.stream_id(),
            oldest: feed.oldest(),
            next: feed.next(),
            join_point: join_point.unwrap_or_else(|| feed.edge()),
        };
        let opened = Opened {
            stream_id: feed.stream_id(),
            head: (**feed.head()).clone(),
            offset: window.first_byte(resume)?,
        };
        let first = FirstByte {
            title: feed.title_at(opened.offset),
            start: feed.start_at(opened.offset),
            is_midway: resume.is_none() && join_point.is_none(),
            reads,
        };
        let mut outputs = Vec::new();
        let serve = Serve::begin(opened, first, &mut outputs);
        let frames = outputs.into_iter().filter_map(|output| match output {
            Output::SendFrame(frame) => Some(frame),
            _ => None,
        });
        out.extend(frames);
        Ok(Self {
            streams: streams.clone(),
            mount,
            serve,
            _reading: held.read_by(Reader::Link),
            feed: held.feed,
        })
    }

    /// The mount that is served.
    pub fn mount(&self) -> &MountName {
        &self.mount
    }

    /// The ring that is read.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The next byte to send.
    pub fn next(&self) -> u64 {
        self.serve.next()
    }

    /// Looks at the ring; appends the frames to send, with at most `max_bytes` of the stream.
    pub fn step(&mut self, max_bytes: usize, now: Instant, out: &mut Vec<Frame>) -> NextStep {
        // The titles first: a title that is set in between is sent with the next look, not after its byte.
        let titles = self.feed.title_changes_between(self.serve.from(), u64::MAX);
        // Also before the bytes: a stream that has finished by now has all its bytes in the ring.
        let finished = self.feed.finished();
        let (available, pieces) = match self.feed.read(self.serve.next(), max_bytes) {
            Read::Bytes(pieces) => {
                let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
                (Available::Bytes(bytes), pieces)
            }
            Read::Wait if finished.is_none() => (Available::Nothing, Vec::new()),
            Read::Wait => (Available::Ended(finished), Vec::new()),
            Read::Ended => (Available::Ended(self.feed.finished()), Vec::new()),
            Read::Overrun { .. } => (Available::Overrun, Vec::new()),
        };
        let ring = RingView {
            titles,
            available,
            beat_ms: self.beat_ms(now),
        };
        let (mut outputs, mut pieces) = (Vec::new(), pieces.into_iter());
        self.serve.handle(ring, now, &mut outputs);
        let mut next_step = NextStep::LookAgain;
        for output in outputs {
            match output {
                Output::SendFrame(frame) => out.push(frame),
                Output::SendBytes(mut offset) => out.extend(pieces.by_ref().map(|bytes| {
                    let begin = offset;
                    offset += bytes.len() as u64;
                    Frame::Data {
                        offset: begin,
                        bytes,
                    }
                })),
                Output::Wait(until) => next_step = NextStep::Wait(until),
                Output::Finish => next_step = NextStep::Finish,
            }
        }
        next_step
    }

    /// The latest beat of the node that the source is connected to; now if that is this node.
    fn beat_ms(&self, now: Instant) -> u64 {
        if self.feed.finished().is_some() {
            return self.feed.beat_after_end_ms(now);
        }
        let is_source = |held: Held| held.origin == Origin::Source && held.feed.is_same(&self.feed);
        match self.streams.get(&self.mount).is_some_and(is_source) {
            true => self.feed.own_beat_ms(now),
            false => self.feed.beat_ms(),
        }
    }
}
