//! Finds the frames of a stream in which each says how long it is: MPEG audio, AAC in ADTS or in LOAS.
//!
//! A header is believed only when the frame that it announces is followed by another of its kind. Once one is
//! found, the scanner goes from frame to frame and skips what is in between.

mod head;
mod step;

use std::ops::Range;
use std::time::Duration;

pub use self::head::FrameHead;
pub(in crate::media) use self::head::playing_time;
pub(super) use self::head::{Proof, prove};
pub(super) use self::step::{FrameVerdict, Stepper};
use super::joining::{Mark, Scanned, StreamStart, Trouble};
use super::layout::Layout;
use super::opaque::Pieces;
use super::walker::Walker;
use crate::model::format::{CodecName, StreamFormat};

/// After so many bytes without a single frame, the stream is no longer taken for one of frames.
///
/// Some sources state a wrong type, and their listeners should hear something. The limit is eight of the longest
/// frames: no real stream is so long without one.
const UNFRAMED_BYTES: u64 = 64 << 10;
/// The same once there have been frames: a source may send something else for a while, such as damaged files, and to
/// take it for another format is for ever.
const LOST_BYTES: u64 = 256 << 10;
/// How much more than is needed is judged at once where frames are torn apart by the pieces in which they come.
const HELD_MORE_BYTES: usize = 1_024;

/// A frame has begun: the scanner's finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStart<H> {
    /// The offset in the stream at which its header begins.
    pub offset: u64,
    /// How much audio was before it.
    pub media_time: Duration,
    /// The header.
    pub head: H,
    /// The length of the frame, header included.
    pub frame_bytes: usize,
}

/// Finds the frames of a stream that arrives in pieces of any size. Every frame is a mark.
///
/// Tables of contents (Xing, Info, VBRI), tags and garbage are skipped and count as no time. No more is copied than the
/// bytes that are not judged yet: none while pieces hold whole frames, and never more than two of the longest frames.
#[derive(Clone, Debug)]
pub struct Frames<H> {
    stepper: Stepper<H>,
    /// The last bytes that were fed and are not judged yet.
    held: Vec<u8>,
    /// How many of them are needed to judge on.
    wanted: usize,
    /// The offset of the first byte that is not judged yet.
    judged: u64,
    /// How many of the bytes to come belong to a frame or tag that has been judged already.
    skip_bytes: u64,
    /// The last frame, of audio or not.
    frame: Range<u64>,
    /// How much audio was before the first byte.
    since: Duration,
    /// How much audio there is up to the last frame; while frames do not tell it, the time that has passed.
    time: Duration,
    /// When a piece arrived last.
    arrived: Duration,
    /// Bytes since the last frame, or since the start, that belong to no frame or tag.
    junk_bytes: u64,
    /// The codec that the media type names.
    named: CodecName,
}

impl<H: FrameHead> Frames<H> {
    /// A scanner whose first byte will be the one at `start`.
    pub fn new(start: u64) -> Self {
        Self {
            stepper: Stepper::new(),
            held: Vec::new(),
            wanted: 0,
            judged: start,
            skip_bytes: 0,
            frame: start..start,
            since: Duration::ZERO,
            time: Duration::ZERO,
            arrived: Duration::ZERO,
            junk_bytes: 0,
            named: CodecName::Unknown,
        }
    }

    /// A scanner that begins in the middle of a stream, or at its beginning. Its media type names this codec.
    pub(super) fn in_the_middle(start: &StreamStart, named: CodecName) -> Self {
        Self {
            since: start.media_time,
            time: start.media_time,
            named,
            ..Self::new(start.offset)
        }
    }

    /// Takes the next bytes, which arrived so long after the start, and calls `found` for every frame that is certain by
    /// now, in order.
    pub fn scan(
        &mut self,
        mut bytes: &[u8],
        arrived: Duration,
        mut found: impl FnMut(FrameStart<H>),
    ) {
        self.note_arrival(arrived);
        while !bytes.is_empty() {
            bytes = self.skip(bytes);
            if bytes.len() + self.held.len() < self.wanted {
                self.held.extend_from_slice(bytes);
                return;
            }
            if self.held.is_empty() {
                let judged_bytes = self.judge(bytes, &mut found);
                bytes = bytes.get(judged_bytes..).unwrap_or_default();
                self.held.extend_from_slice(bytes);
                return;
            }
            let missing = self.wanted.saturating_sub(self.held.len());
            let (taken, later) = bytes.split_at(bytes.len().min(missing.max(HELD_MORE_BYTES)));
            bytes = later;
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(taken);
            let judged_bytes = self.judge(&held, &mut found);
            held.drain(..judged_bytes);
            self.held = held;
        }
    }

    /// Passes over what has been judged already.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let skip_bytes = usize::try_from(self.skip_bytes).unwrap_or(usize::MAX);
        let (skipped, rest) = bytes.split_at(bytes.len().min(skip_bytes));
        self.skip_bytes -= skipped.len() as u64;
        self.judged += skipped.len() as u64;
        rest
    }

    /// Judges as many of these bytes as it can, and gives their number.
    fn judge(&mut self, bytes: &[u8], found: &mut impl FnMut(FrameStart<H>)) -> usize {
        let mut rest = bytes;
        self.wanted = 0;
        while !rest.is_empty() {
            let span_bytes = match self.stepper.step(rest) {
                FrameVerdict::Open(wanted) => {
                    self.wanted = wanted;
                    break;
                }
                FrameVerdict::Audio { head, frame_bytes } => {
                    found(FrameStart {
                        offset: self.judged,
                        media_time: self.time,
                        head,
                        frame_bytes,
                    });
                    self.time += head.duration().unwrap_or_default();
                    self.believe(frame_bytes)
                }
                FrameVerdict::Info(frame_bytes) => self.believe(frame_bytes),
                FrameVerdict::Tag(tag_bytes) => tag_bytes,
                FrameVerdict::Junk(junk_bytes) => {
                    self.junk_bytes += junk_bytes as u64;
                    junk_bytes as u64
                }
            };
            self.skip_bytes = span_bytes;
            rest = self.skip(rest);
        }
        bytes.len() - rest.len()
    }

    fn believe(&mut self, frame_bytes: usize) -> u64 {
        self.junk_bytes = 0;
        self.frame = self.judged..self.judged + frame_bytes as u64;
        frame_bytes as u64
    }

    fn has_frames(&self) -> bool {
        self.stepper.last().is_some()
    }

    /// Whether the frames tell how long they play.
    fn tells_time(&self) -> bool {
        let last = self.stepper.last();
        last.map_or(H::TELLS_TIME, |last| last.duration().is_some())
    }

    fn note_arrival(&mut self, arrived: Duration) {
        let passed = arrived.saturating_sub(self.arrived);
        self.arrived += passed;
        if !self.tells_time() {
            self.time += passed;
        }
    }
}

impl<H: FrameHead> Walker for Frames<H> {
    fn feed(&mut self, bytes: &[u8], arrived: Duration, found: &mut dyn FnMut(Scanned)) {
        self.scan(bytes, arrived, |start| {
            found(Scanned::Mark(Mark {
                offset: start.offset,
                media_time: start.media_time,
            }));
        });
    }

    fn next(&self) -> u64 {
        self.judged + self.held.len() as u64
    }

    /// Bytes of which it is not known yet whether they are a frame are beyond the edge. The bytes of a tag are not: a
    /// listener would wait for the end of a false one for minutes.
    fn edge(&self) -> u64 {
        if self.next() < self.frame.end {
            self.frame.start
        } else {
            self.judged
        }
    }

    fn timed(&self) -> u64 {
        self.judged.max(self.frame.end)
    }

    fn media_time(&self) -> Option<Duration> {
        self.tells_time().then_some(self.time)
    }

    fn format(&self) -> Option<StreamFormat> {
        let last = self.stepper.last()?;
        Some(last.facts(self.named))
    }

    fn layout(&self) -> Option<Layout> {
        self.stepper.last().map(FrameHead::layout)
    }

    fn trouble(&self) -> Option<Trouble> {
        (self.junk_bytes > UNFRAMED_BYTES).then_some(Trouble::NoHeaders)
    }

    fn has_short_frames(&self) -> bool {
        true
    }

    fn is_lost(&self) -> bool {
        let most_bytes = match self.has_frames() {
            true => LOST_BYTES,
            false => UNFRAMED_BYTES,
        };
        self.junk_bytes > most_bytes
    }

    fn to_pieces(&self) -> Pieces {
        let mut pieces = Pieces::new(self.next(), self.since).with_trouble(self.trouble());
        if self.has_frames() {
            pieces.pass(&[], self.arrived, self.time);
        }
        pieces
    }
}

#[cfg(test)]
mod tests;
