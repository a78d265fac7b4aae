//! FLAC without Ogg: headers, then frames.
//!
//! A frame does not tell its length, and its sync has 15 bits: a head is believed if its checksum is right, its values are
//! those of STREAMINFO, and its number is the next one. After a loss two such heads are wanted. Bodies have a checksum too,
//! but it would cost a look at each byte.

mod frame;
mod headers;
#[cfg(test)]
pub(crate) mod samples;

use std::time::Duration;

use bytes::Bytes;

pub(super) use self::frame::is_whole as is_whole_frame;
pub(in crate::media) use self::frame::{FlacHead, FlacHeadRead};
use self::frame::{MAX_HEAD_BYTES, SYNC, whole_frame_bytes};
pub(super) use self::headers::{Beginning, BlockHead, MAGIC_BYTES, beginning};
use self::headers::{FlacHeaders, HeadersState, StreamInfo};
use super::joining::{Comment, Mark, Prologue, Scanned, StreamStart, Trouble};
use super::layout::{FlacLayout, Layout};
use super::opaque::Pieces;
use super::walker::Walker;
use crate::model::format::{CodecName, Container, StreamFormat};

/// After so many bytes without a frame, and more than two of the longest, the stream is no longer taken for FLAC. Frames of
/// stereo have some 15 kB.
const UNFRAMED_BYTES: u64 = 256 << 10;

/// After so many bytes without headers they are missed.
const UNHEADED_BYTES: u64 = 4 << 10;

/// A larger step of the numbers than this is not a loss: the source has begun to count anew.
const MAX_LOSS: Duration = Duration::from_secs(30);

/// The bytes that are looked at together after a cut: each head that begins in the held ones ends in them.
const WINDOW_BYTES: usize = 2 * MAX_HEAD_BYTES;

/// Finds where a FLAC stream may be joined, and its prologue.
#[derive(Clone, Debug)]
pub struct FlacScanner {
    /// The beginning of a head.
    held: Vec<u8>,
    /// The offset of the first byte that is not judged.
    offset: u64,
    stage: FlacStage,
    /// The offset at which the last frame or header began, or the scanner.
    last_found: u64,
    /// How much audio was before the last frame.
    time: Duration,
    edge: u64,
    is_damaged: bool,
    /// Whether the last prologue lacks a block.
    leaves_out: bool,
    /// Whether the last headers had a title.
    has_title: bool,
    /// When a piece arrived last.
    arrived: Duration,
}

/// The part of a stream that comes now.
#[derive(Clone, Debug)]
enum FlacStage {
    /// No headers are known.
    Unknown,
    /// The headers.
    Headers(FlacHeaders),
    /// The frames.
    Frames(FlacFrames),
}

/// The frames of a stream whose headers are known.
#[derive(Clone, Debug)]
struct FlacFrames {
    info: StreamInfo,
    /// A frame begins here: a head that is found here is believed.
    due: u64,
    /// The last frame.
    last: Option<FlacHead>,
    /// A head whose number is not the next one. It is believed if the one after it is.
    doubted: Option<FoundHead>,
}

/// A head and the offset at which it begins.
#[derive(Clone, Copy, Debug)]
struct FoundHead {
    offset: u64,
    head: FlacHead,
}

/// The finding at a byte.
enum FlacVerdict {
    /// The headers of a stream begin.
    Beginning,
    /// A head begins, and may be that of a frame.
    Head(FlacHead),
    /// Nothing begins.
    Not,
    /// More bytes decide.
    Open,
}

impl FlacScanner {
    /// A scanner that begins in the middle of a stream, or at its beginning; `None` if its prologue is not one.
    pub(super) fn in_the_middle(start: &StreamStart) -> Option<Self> {
        let stage = match start.prologue.is_empty() {
            true => FlacStage::Unknown,
            false => FlacStage::Frames(FlacFrames::behind(&start.prologue, start.offset)?),
        };
        Some(Self {
            held: Vec::with_capacity(WINDOW_BYTES),
            offset: start.offset,
            stage,
            last_found: start.offset,
            time: start.media_time,
            edge: start.offset,
            is_damaged: false,
            leaves_out: false,
            has_title: false,
            arrived: Duration::ZERO,
        })
    }

    /// Judges bytes, and returns how many: all but the beginning of a head.
    fn walk(&mut self, bytes: &[u8], found: &mut dyn FnMut(Scanned)) -> usize {
        let mut walked = 0;
        while let Some(rest @ [_, ..]) = bytes.get(walked..) {
            let taken = match &mut self.stage {
                FlacStage::Headers(headers) => {
                    let (taken, state) = headers.take(rest);
                    self.offset += taken as u64;
                    self.end_block(state, found);
                    taken
                }
                FlacStage::Unknown | FlacStage::Frames(_) => self.search(rest, found),
            };
            walked += taken;
            if taken == 0 && !matches!(self.stage, FlacStage::Headers(_)) {
                break;
            }
        }
        walked
    }

    /// Searches for what may begin in these bytes, and returns how many are judged; it ends where headers begin.
    fn search(&mut self, bytes: &[u8], found: &mut dyn FnMut(Scanned)) -> usize {
        let may_begin = |byte: &u8| matches!(*byte, SYNC | b'f');
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(junk) = rest.iter().position(may_begin)
        {
            let rest = &rest[junk..];
            (at, self.offset) = (at + junk, self.offset + junk as u64);
            let judged = match self.verdict(rest) {
                FlacVerdict::Open => return at,
                FlacVerdict::Beginning => {
                    self.begin(found);
                    return at;
                }
                FlacVerdict::Head(head) => {
                    self.take_head(head, found);
                    1
                }
                FlacVerdict::Not => 1,
            };
            (at, self.offset) = (at + judged, self.offset + judged as u64);
        }
        self.offset += (bytes.len() - at) as u64;
        bytes.len()
    }

    fn verdict(&self, bytes: &[u8]) -> FlacVerdict {
        match beginning(bytes) {
            Beginning::Is => return FlacVerdict::Beginning,
            Beginning::Open => return FlacVerdict::Open,
            Beginning::Not => {}
        }
        let FlacStage::Frames(frames) = &self.stage else {
            return FlacVerdict::Not;
        };
        match FlacHead::read(bytes) {
            FlacHeadRead::Is(head) if head.fits(&frames.info) => FlacVerdict::Head(head),
            FlacHeadRead::Is(_) | FlacHeadRead::Not => FlacVerdict::Not,
            FlacHeadRead::Open => FlacVerdict::Open,
        }
    }

    /// Begins headers at the offset. The stream can be joined there, with nothing in front.
    fn begin(&mut self, found: &mut dyn FnMut(Scanned)) {
        self.time = self.played();
        self.stage = FlacStage::Headers(FlacHeaders::new());
        self.last_found = self.offset;
        self.raise_edge(self.offset);
        self.is_damaged = false;
        found(Scanned::Prologue(Prologue {
            offset: self.offset,
            bytes: Bytes::new(),
        }));
        self.mark(self.offset, found);
    }

    /// Goes on after bytes of the headers, which end at the offset.
    fn end_block(&mut self, state: HeadersState, found: &mut dyn FnMut(Scanned)) {
        let FlacStage::Headers(headers) = &mut self.stage else {
            return;
        };
        match state {
            HeadersState::Open if headers.is_between_blocks() => self.raise_edge(self.offset),
            HeadersState::Open => {}
            HeadersState::Damaged => {
                self.is_damaged = true;
                self.stage = FlacStage::Unknown;
            }
            HeadersState::Complete(info) => {
                let (title, offset) = (headers.title(), self.last_found);
                // One without a title ends that of a stream before it.
                let had_title = std::mem::replace(&mut self.has_title, title.is_some());
                if had_title || title.is_some() {
                    let title = title.unwrap_or_default();
                    found(Scanned::Comment(Comment { offset, title }));
                }
                self.leaves_out = headers.leaves_out();
                let bytes = headers.take_prologue();
                found(Scanned::Prologue(Prologue {
                    offset: self.offset,
                    bytes: Bytes::from(bytes),
                }));
                self.stage = FlacStage::Frames(FlacFrames::new(info, self.offset));
                self.last_found = self.offset;
                self.raise_edge(self.offset);
            }
        }
    }

    /// Takes a head that begins at the offset.
    fn take_head(&mut self, head: FlacHead, found: &mut dyn FnMut(Scanned)) {
        let FlacStage::Frames(frames) = &mut self.stage else {
            return;
        };
        let offset = self.offset;
        let this = FoundHead { offset, head };
        let is_next = |before: FlacHead| head.follows(&before);
        if offset == frames.due || frames.last.is_some_and(is_next) {
            self.believe(this, found);
        } else if let Some(doubted) = frames.doubted.filter(|it| is_next(it.head)) {
            self.believe(doubted, found);
            self.believe(this, found);
        } else {
            frames.doubted = Some(this);
        }
    }

    fn believe(&mut self, frame: FoundHead, found: &mut dyn FnMut(Scanned)) {
        let FlacStage::Frames(frames) = &mut self.stage else {
            return;
        };
        self.time += frames.pass_to(frame.head);
        self.last_found = frame.offset;
        self.raise_edge(frame.offset);
        self.mark(frame.offset, found);
    }

    fn mark(&self, offset: u64, found: &mut dyn FnMut(Scanned)) {
        found(Scanned::Mark(Mark {
            offset,
            media_time: self.time,
        }));
    }

    /// How much audio was in all frames, the last one included.
    fn played(&self) -> Duration {
        match &self.stage {
            FlacStage::Frames(frames) => self.time + frames.last_duration(),
            FlacStage::Unknown | FlacStage::Headers(_) => self.time,
        }
    }

    fn raise_edge(&mut self, offset: u64) {
        self.edge = self.edge.max(offset);
    }

    /// How many bytes came since something was found.
    fn junk_bytes(&self) -> u64 {
        self.offset.saturating_sub(self.last_found)
    }
}

impl FlacFrames {
    fn new(info: StreamInfo, due: u64) -> Self {
        Self {
            info,
            due,
            last: None,
            doubted: None,
        }
    }

    /// The frames behind a prologue; `None` if it is not one.
    fn behind(prologue: &[u8], due: u64) -> Option<Self> {
        if beginning(prologue) != Beginning::Is {
            return None;
        }
        let (mut headers, mut rest) = (FlacHeaders::new(), prologue);
        loop {
            let (taken, state) = headers.take(rest);
            rest = rest.get(taken..)?;
            match state {
                HeadersState::Complete(info) => {
                    return rest.is_empty().then(|| Self::new(info, due));
                }
                HeadersState::Open if !rest.is_empty() => {}
                HeadersState::Open | HeadersState::Damaged => return None,
            }
        }
    }

    /// Goes on to a frame, and returns how much audio is between its beginning and that of the last one.
    fn pass_to(&mut self, head: FlacHead) -> Duration {
        self.doubted = None;
        let Some(before) = self.last.replace(head) else {
            return Duration::ZERO;
        };
        let played = self.duration(head.samples_since(&before));
        match played > MAX_LOSS {
            true => self.duration(before.samples.into()),
            false => played,
        }
    }

    fn last_duration(&self) -> Duration {
        let samples = self.last.map_or(0, |last| last.samples);
        self.duration(samples.into())
    }

    /// How long so many samples play; very long ones are not told apart.
    fn duration(&self, samples: u64) -> Duration {
        let nanos = samples.saturating_mul(1_000_000_000) / u64::from(self.info.rate_hz);
        Duration::from_nanos(nanos)
    }
}

impl Walker for FlacScanner {
    fn feed(&mut self, mut bytes: &[u8], arrived: Duration, found: &mut dyn FnMut(Scanned)) {
        self.arrived = self.arrived.max(arrived);
        while !self.held.is_empty() && !bytes.is_empty() {
            let held_bytes = self.held.len();
            let added = bytes.len().min(WINDOW_BYTES - held_bytes);
            let mut window = std::mem::take(&mut self.held);
            window.extend_from_slice(&bytes[..added]);
            let walked = self.walk(&window, found);
            match walked.checked_sub(held_bytes) {
                Some(beyond) => {
                    bytes = &bytes[beyond..];
                    window.clear();
                }
                None => {
                    bytes = &bytes[added..];
                    window.drain(..walked);
                }
            }
            self.held = window;
        }
        let walked = self.walk(bytes, found);
        self.held.extend_from_slice(&bytes[walked..]);
        if matches!(self.stage, FlacStage::Unknown) {
            self.raise_edge(self.offset); // headers may have begun there
        }
    }

    fn next(&self) -> u64 {
        self.offset + self.held.len() as u64
    }

    fn edge(&self) -> u64 {
        self.edge
    }

    fn whole_at_end(&self, beyond: &[u8]) -> usize {
        match self.stage {
            FlacStage::Frames(_) => whole_frame_bytes(beyond),
            FlacStage::Unknown | FlacStage::Headers(_) => 0,
        }
    }

    fn media_time(&self) -> Option<Duration> {
        Some(self.played())
    }

    fn format(&self) -> Option<StreamFormat> {
        let FlacStage::Frames(FlacFrames { info, .. }) = &self.stage else {
            return None;
        };
        Some(StreamFormat {
            container: Container::Flac,
            codec: CodecName::Flac,
            sample_rate_hz: info.rate_hz,
            channels: info.channels,
            ..StreamFormat::default()
        })
    }

    fn layout(&self) -> Option<Layout> {
        let FlacStage::Frames(FlacFrames { info, .. }) = &self.stage else {
            return None;
        };
        Some(Layout::Flac(FlacLayout {
            max_samples: info.max_samples,
            rate_hz: info.rate_hz,
            channels: info.channels,
            bits: info.bits,
        }))
    }

    fn trouble(&self) -> Option<Trouble> {
        match &self.stage {
            _ if self.is_damaged => Some(Trouble::Damaged),
            FlacStage::Unknown if self.junk_bytes() > UNHEADED_BYTES => Some(Trouble::NoHeaders),
            FlacStage::Headers(headers) if headers.is_endless() => Some(Trouble::HeadersTooLong),
            FlacStage::Frames(_) if self.leaves_out => Some(Trouble::LeftOut),
            _ => None,
        }
    }

    fn has_short_frames(&self) -> bool {
        const FRAMES_PER_S: u64 = 4;
        match &self.stage {
            FlacStage::Frames(FlacFrames { info, .. }) => {
                u64::from(info.max_samples) * FRAMES_PER_S <= u64::from(info.rate_hz)
            }
            FlacStage::Unknown | FlacStage::Headers(_) => false,
        }
    }

    fn is_lost(&self) -> bool {
        match &self.stage {
            FlacStage::Unknown => self.junk_bytes() > UNFRAMED_BYTES,
            FlacStage::Headers(headers) => headers.is_endless(),
            FlacStage::Frames(FlacFrames { info, .. }) => {
                self.junk_bytes() > UNFRAMED_BYTES.max(2 * info.max_frame_bytes())
            }
        }
    }

    fn to_pieces(&self) -> Pieces {
        let trouble = self.trouble().filter(|it| *it != Trouble::LeftOut);
        let trouble = trouble.or(Some(Trouble::NoHeaders));
        let mut pieces = Pieces::new(self.next(), self.played()).with_trouble(trouble);
        pieces.pass(&[], self.arrived, self.played());
        pieces
    }
}

#[cfg(test)]
mod tests;
