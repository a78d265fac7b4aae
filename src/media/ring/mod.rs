//! The last bytes of a stream in memory: one writer, many readers.
//!
//! Bytes are numbered from the stream's beginning, in the same way on every node: `(stream id, offset)` always names
//! the same byte. A reader therefore asks by offset, and continues elsewhere with the same number.
//!
//! The ring never waits for a reader: one that is too slow finds that its bytes are gone.

mod anew;
mod blocks;
mod edge;
mod findings;
mod joining;
mod limits;
mod marks;
mod prologues;
mod tempo;
mod titles;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::anew::RingAnew;
use self::blocks::Blocks;
pub use self::edge::RingEdge;
use self::joining::JoinWatch;
#[cfg(test)]
pub(crate) use self::joining::samples as film_samples;
pub use self::limits::RingLimits;
use self::marks::Marks;
use self::prologues::RingPrologues;
use self::tempo::Tempo;
use self::titles::RingTitles;
pub use self::titles::{Title, TitleSet};
use super::format::joining::Scanned;
use super::format::layout::Layout;
use super::format::said;
use super::format::scanner::Scanner;
use crate::model::format::StreamFormat;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::model::title::TitleInfo;

/// The result of offering bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// All bytes were appended.
    Appended,
    /// The bytes at the beginning were known; the rest was appended.
    Trimmed,
    /// All bytes were known, or there were none. Nothing has changed.
    Duplicate,
    /// Bytes before them are missing. Nothing has changed; `next` is the one to send.
    Gap {
        /// The first byte that the ring does not have.
        next: u64,
    },
    /// The stream has ended. Nothing has changed.
    Ended,
}

/// The result of reading at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The bytes from there on, at least one.
    Bytes(Vec<Bytes>),
    /// No newer bytes have come yet.
    Wait,
    /// The bytes there are gone; the reader continues from here, or leaves.
    Overrun {
        /// The oldest byte that the ring still has.
        oldest: u64,
    },
    /// The stream has ended, and all of it was read.
    Ended,
}

/// The window of one stream that a node keeps.
#[derive(Debug)]
pub struct Ring {
    stream_id: StreamId,
    head: Arc<StreamHead>,
    limits: RingLimits,
    start: u64,
    /// How much audio was before the first byte.
    since: Duration,
    began: Instant,
    /// When the edge moved last, since it began.
    grown: Duration,
    blocks: Blocks,
    scanner: Scanner,
    /// The scanner's, kept here because every visit of a listener asks for it.
    edge: u64,
    marks: Marks,
    joining: JoinWatch,
    tempo: Tempo,
    prologues: RingPrologues,
    anew: RingAnew,
    titles: RingTitles,
    /// Whether titles in the stream itself count.
    hears_titles: bool,
    /// The first byte that may be joined: the oldest one whose prologue is known.
    first_joined: u64,
    ended: Option<EndReason>,
}

impl Ring {
    /// An empty ring whose first byte will be the one at `start`: 0 at the source, later at a relay.
    pub fn new(
        stream_id: StreamId,
        head: impl Into<Arc<StreamHead>>,
        start: u64,
        now: Instant,
    ) -> Self {
        let head = head.into();
        Self {
            stream_id,
            limits: RingLimits::default(),
            start,
            since: Duration::ZERO,
            began: now,
            grown: Duration::ZERO,
            blocks: Blocks::new(start),
            scanner: Scanner::for_content_type(&head.content_type, start),
            edge: start,
            marks: Marks::default(),
            joining: JoinWatch::default(),
            tempo: Tempo::default(),
            prologues: RingPrologues::default(),
            anew: RingAnew::default(),
            titles: RingTitles::default(),
            hears_titles: false,
            first_joined: start,
            ended: None,
            head,
        }
    }

    /// The same ring with other limits.
    pub fn with_limits(self, limits: RingLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same ring for a source here: the titles in the stream itself count. A relay is told them, and where they begin.
    #[must_use]
    pub fn hears_titles(self) -> Self {
        Self {
            hears_titles: true,
            ..self
        }
    }

    /// The id of the stream.
    pub fn stream_id(&self) -> StreamId {
        self.stream_id
    }

    /// How much more of the stream's time the ring has received than has passed since it began: more than zero for a
    /// source that sends faster than real time. Zero for formats that do not tell the time.
    pub fn ahead(&self, now: Instant) -> Duration {
        let Some(taken) = self.scanner.media_time() else {
            return Duration::ZERO;
        };
        let passed = now.saturating_duration_since(self.began);
        taken.saturating_sub(self.since + passed)
    }

    /// How much audio the stream has had since its beginning, if its format tells the time.
    pub fn media_time(&self) -> Option<Duration> {
        self.scanner.media_time()
    }

    /// How much audio the stream had before a byte that the ring holds, up to half a second more; `None` if its format does
    /// not tell the time.
    pub fn time_at(&self, offset: u64) -> Option<Duration> {
        self.tempo.time_from(offset).or(self.scanner.media_time())
    }

    /// How much audio time was received, if the format's frames are so short that silence shows in it, and one of them
    /// has been recognised.
    pub fn framed_time(&self) -> Option<Duration> {
        let is_framed = self.scanner.has_short_frames() && self.marks.last_time().is_some();
        let taken = self.scanner.media_time().filter(|_| is_framed)?;
        Some(taken.saturating_sub(self.since))
    }

    /// When this node began to hold the stream.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// When the last whole frame came.
    pub fn grown_at(&self) -> Instant {
        self.began + self.grown
    }

    /// The words of the source when it connected.
    pub fn head(&self) -> &Arc<StreamHead> {
        &self.head
    }

    /// The offset of the next byte to come: the live edge.
    pub fn next(&self) -> u64 {
        self.blocks.next()
    }

    /// The end of the last whole frame, page or block. Listeners get no byte beyond it, as the stream may end or be left
    /// there, and a decoder takes half a frame for damage. The next byte to come if the format is not known.
    pub fn edge(&self) -> u64 {
        self.edge
    }

    /// The offset of the oldest byte held.
    pub fn oldest(&self) -> u64 {
        self.blocks.oldest()
    }

    /// Appends the bytes that begin at `offset`, and drops the oldest ones beyond the limits.
    pub fn append(&mut self, offset: u64, bytes: &[u8], now: Instant) -> Append {
        let next = self.next();
        let Some(known) = next.checked_sub(offset) else {
            return Append::Gap { next };
        };
        let fresh = usize::try_from(known).ok().and_then(|n| bytes.get(n..));
        let Some(fresh @ [_, ..]) = fresh else {
            return Append::Duplicate;
        };
        if self.ended.is_some() || next.checked_add(fresh.len() as u64).is_none() {
            return Append::Ended;
        }
        let arrived = now.saturating_duration_since(self.began);
        let (marks, tempo) = (&mut self.marks, &mut self.tempo);
        let (prologues, anew, start) = (&mut self.prologues, &mut self.anew, self.start);
        let joining = &mut self.joining;
        joining.note_bytes(arrived);
        let mut titles = self.hears_titles.then_some(&mut self.titles);
        let first_joined = self.first_joined;
        self.scanner.feed(fresh, arrived, |scanned| match scanned {
            // Such as the beginning of a link of Ogg, which is known when its headers have all come.
            Scanned::Mark(mark) if mark.offset < first_joined => {}
            Scanned::Mark(mark) => {
                marks.push(mark);
                tempo.note_mark(mark);
                joining.note_mark();
            }
            Scanned::Prologue(prologue) => prologues.push(prologue),
            Scanned::Comment(comment) => {
                if let Some(titles) = &mut titles {
                    titles.hear(&comment);
                }
            }
            Scanned::Anew(found) if found.begins > start => anew.push(found),
            Scanned::Anew(_) => {}
        });
        if self.scanner.edge() > self.edge {
            self.grown = arrived;
        }
        self.edge = self.edge.max(self.scanner.edge());
        if let Some(time) = self.scanner.media_time() {
            self.tempo.note_edge(self.scanner.edge(), time);
        }
        self.blocks.push(fresh, arrived);
        self.forget(arrived);
        if known == 0 {
            Append::Appended
        } else {
            Append::Trimmed
        }
    }

    /// At most `max_bytes` (and at least one) from `from` on, without copying.
    pub fn read(&self, from: u64, max_bytes: usize) -> Read {
        self.read_between(from, self.next(), max_bytes)
    }

    /// The same for a listener that `began` at this byte: nothing beyond [`Self::edge`], and nothing of a new stream that has
    /// begun since.
    pub fn read_whole(&self, began: u64, from: u64, max_bytes: usize) -> Read {
        match self.anew.end_for(began) {
            Some(end) if from >= end => Read::Ended,
            Some(end) => self.read_between(from, end, max_bytes),
            None => self.read_between(from, self.edge, max_bytes),
        }
    }

    fn read_between(&self, from: u64, to: u64, max_bytes: usize) -> Read {
        let oldest = self.oldest();
        if from < oldest {
            Read::Overrun { oldest }
        } else if from < to {
            let left = usize::try_from(to - from).unwrap_or(usize::MAX);
            Read::Bytes(self.blocks.read(from, max_bytes.clamp(1, left)))
        } else if self.ended.is_some() {
            Read::Ended
        } else {
            Read::Wait
        }
    }

    /// The first byte of the last new stream that has begun in the middle of this one; 0 if none has.
    pub fn begun_anew_at(&self) -> u64 {
        self.anew.first_joined()
    }

    /// The layout for which a decoder of the stream is set up; `None` until enough of it has come.
    pub fn layout(&self) -> Option<Layout> {
        self.scanner.layout(&self.head.content_type)
    }

    /// The bitrate in bits per second, tags included: measured over the window from frames or, if the
    /// format is unknown, from arrival. Until it can be measured, what the source claims, otherwise 0.
    pub fn bitrate_bps(&self) -> u64 {
        let (since, at_least) = if self.scanner.knows_media_time() {
            (Duration::ZERO, Duration::ZERO)
        } else {
            (self.since + ARRIVAL_SETTLES, ARRIVAL_SPAN)
        };
        let measured = self.tempo.bitrate_bps(since, at_least);
        measured.unwrap_or_else(|| claimed_bps(&self.head))
    }

    /// The format by the bytes so far, and by what the source has said where they do not tell; with the measured bitrate.
    /// What a source says of a stream in which nothing of that was found does not count.
    pub fn format(&self) -> StreamFormat {
        let said = said::of_head(&self.head);
        let format = match self.scanner.format() {
            Some(seen) => seen.filled_from(said),
            None if self.scanner.trouble().is_some() => StreamFormat::default(),
            None => said,
        };
        StreamFormat {
            bitrate_bps: self.bitrate_bps(),
            ..format
        }
    }

    /// Sets the title on air from the byte at `offset` on, which may still be to come.
    pub fn set_title(&mut self, offset: u64, title: &TitleInfo) -> TitleSet {
        let set = self.titles.set(offset, title);
        self.titles.forget_before(self.oldest());
        set
    }

    /// The title on air at this byte; `None` if none is known.
    pub fn title_at(&self, offset: u64) -> Option<Arc<TitleInfo>> {
        self.titles.at(offset)
    }

    /// The title on air at the live edge, with the byte that it begins at; `None` if none is known.
    pub fn title(&self) -> Option<Title> {
        self.titles.get(self.next()).cloned()
    }

    /// How often the title has changed.
    pub fn title_changes(&self) -> u64 {
        self.titles.changes()
    }

    /// The titles that begin at `from` or later and before `to`, in order.
    pub fn title_changes_between(&self, from: u64, to: u64) -> Vec<Title> {
        self.titles.between(from, to)
    }

    /// Ends the stream; readers still get the bytes that it has. The first reason stays.
    pub fn end(&mut self, reason: EndReason) {
        self.close_edge();
        self.ended.get_or_insert(reason);
    }

    /// Why the stream has ended, if it has.
    pub fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// The stream's time at the live edge; that of arrival if the format does not tell it.
    fn time(&self) -> Duration {
        let arrived = || self.marks.last_time();
        self.scanner
            .media_time()
            .or_else(arrived)
            .unwrap_or_default()
    }

    fn forget(&mut self, now: Duration) {
        let time = self.time();
        while let Some(second) = self.blocks.second_start() {
            let since = self.tempo.time_from(second).unwrap_or(time);
            let is_in_window = time.saturating_sub(since) < self.limits.window;
            let arrived = self.blocks.second_arrived().unwrap_or_default();
            let is_new = now.saturating_sub(arrived) < self.limits.settle;
            let is_too_much = self.blocks.held_bytes() > self.limits.most_bytes(is_new);
            if !is_too_much && (is_in_window || is_new) {
                break;
            }
            self.blocks.drop_oldest();
        }
        let oldest = self.blocks.oldest();
        let first_joined = oldest.max(self.prologues.oldest());
        if first_joined > self.first_joined {
            self.first_joined = first_joined;
            self.titles.forget_before(oldest);
            self.prologues.forget_before(oldest);
            self.anew.forget_before(oldest);
            self.marks.forget_before(first_joined);
            self.tempo.forget_before(oldest);
        }
        if self.lacks_mark() {
            self.joining.note_lack();
        }
    }
}

/// Bytes that arrive so soon after the beginning do not tell the bitrate: encoders send a burst,
/// and a relay gets the window of another node at once.
const ARRIVAL_SETTLES: Duration = Duration::from_secs(2);

/// The shortest time over which arrival is measured: a piece may hold a second of a slow stream.
const ARRIVAL_SPAN: Duration = Duration::from_secs(2);

/// The bitrate that the source claims, kbit/s in `icy-br`. No audio has more than 100 Mbit/s: more is a mistake.
fn claimed_bps(head: &StreamHead) -> u64 {
    u64::from(head.declared_kbps()) * 1_000
}

/// Empty rings for the tests of all code that is built on them.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A ring for a media type, starting at 0.
    pub(crate) fn ring(content_type: &str) -> Ring {
        let head = StreamHead {
            content_type: content_type.to_owned(),
            icy: vec![("br".to_owned(), "96".to_owned())],
            user_agent: String::new(),
            started_unix_ms: 0,
            accept_epoch: crate::model::seat::Epoch(0),
        };
        Ring::new(StreamId(1), head, 0, Instant::now())
    }
}

#[cfg(test)]
mod tests;
