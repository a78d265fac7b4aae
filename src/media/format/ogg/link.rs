//! One link of an Ogg chain: the streams that began together, their header pages, and the clock by which they play.

use std::time::Duration;

use super::codec::{Codec, HeaderRule};
use super::page::PageHead;
use super::pages::FoundPage;
use crate::media::format::joining::MAX_PROLOGUE_BYTES;

/// The most streams that play together: sound, picture, subtitles, and a skeleton that describes them.
const MAX_STREAMS: usize = 8;

/// A page holds at most 255 packets of at most 120 ms; a larger step of its clock is a hole, not sound.
const MAX_PAGE: Duration = Duration::from_secs(31);

/// A link.
#[derive(Clone, Debug)]
pub(super) struct OggLink {
    streams: Vec<LogicalStream>,
    clock: Option<SampleClock>,
    /// All header pages so far, in the order in which they came.
    heads: Vec<u8>,
    /// Whether only first pages have come so far.
    is_beginning: bool,
}

#[derive(Clone, Debug)]
struct LogicalStream {
    serial: u32,
    headers: HeaderRule,
}

/// A page of a link whose headers are not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    /// The page holds headers, and is kept.
    Headers,
    /// The page holds sound: all headers have come.
    Sound,
    /// The page belongs nowhere, or the headers are too long.
    Broken,
}

impl OggLink {
    /// A link that begins with this first page.
    pub(super) fn begin(page: &FoundPage<'_>) -> Self {
        let mut link = Self {
            streams: Vec::new(),
            clock: None,
            heads: Vec::new(),
            is_beginning: true,
        };
        link.add(page);
        link
    }

    /// Adds a stream by its first page. False if it begins the next link, or is one too many.
    pub(super) fn add(&mut self, page: &FoundPage<'_>) -> bool {
        let PageHead { serial, .. } = page.head;
        if !self.is_beginning || self.stream(serial).is_some() || self.streams.len() == MAX_STREAMS
        {
            return false;
        }
        let packet = page.bytes.get(page.head.head_bytes..).unwrap_or_default();
        let codec = Codec::of(packet);
        let headers = match codec.headers {
            HeaderRule::Packets(packets) => {
                HeaderRule::Packets(packets.saturating_sub(page.head.packets_ended))
            }
            rule @ HeaderRule::AtPositionZero => rule,
        };
        self.streams.push(LogicalStream { serial, headers });
        if let (None, Some(rate_hz)) = (&self.clock, codec.rate_hz) {
            self.clock = Some(SampleClock::new(serial, rate_hz));
        }
        self.keep(page)
    }

    /// Judges a page that is no first page.
    pub(super) fn take(&mut self, page: &FoundPage<'_>) -> PageKind {
        self.is_beginning = false;
        let Some(stream) = self.stream(page.head.serial) else {
            return PageKind::Broken;
        };
        let is_header = match &mut stream.headers {
            HeaderRule::Packets(0) => false,
            HeaderRule::Packets(left) => {
                *left = left.saturating_sub(page.head.packets_ended);
                true
            }
            HeaderRule::AtPositionZero => page.head.position.is_none_or(|position| position == 0),
        };
        match is_header {
            true if self.keep(page) => PageKind::Headers,
            false if self.is_complete() => PageKind::Sound,
            true | false => PageKind::Broken,
        }
    }

    /// Whether no header is known to be missing, and the time can be told.
    pub(super) fn is_complete(&self) -> bool {
        let is_missing =
            |it: &LogicalStream| matches!(it.headers, HeaderRule::Packets(left) if left > 0);
        self.clock.is_some() && !self.streams.iter().any(is_missing)
    }

    /// The header pages; they are not kept here any longer.
    pub(super) fn take_heads(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heads)
    }

    /// Whether the link may be joined at a page of sound: by one of the stream whose clock counts, where a packet begins.
    pub(super) fn may_join_at(&self, head: &PageHead) -> bool {
        let is_clock = |clock: &SampleClock| clock.serial == head.serial;
        self.clock.as_ref().is_some_and(is_clock) && !head.continues
    }

    /// Goes on in the middle of the link: the length of the page that comes next is not known, and counts as no time.
    pub(super) fn skip_ahead(&mut self) {
        if let Some(clock) = &mut self.clock {
            clock.samples = None;
        }
    }

    /// How long a page plays.
    pub(super) fn advance(&mut self, head: &PageHead) -> Duration {
        let clock = self.clock.as_mut();
        clock.map_or(Duration::ZERO, |clock| clock.advance(head))
    }

    fn stream(&mut self, serial: u32) -> Option<&mut LogicalStream> {
        let mut streams = self.streams.iter_mut();
        streams.find(|stream| stream.serial == serial)
    }

    /// Keeps a header page. False if the headers are too long.
    fn keep(&mut self, page: &FoundPage<'_>) -> bool {
        self.heads.extend_from_slice(page.bytes);
        self.heads.len() <= MAX_PROLOGUE_BYTES && page.bytes.len() == page.head.page_bytes
    }
}

/// The clock of one stream: its pages say how many samples have been heard when they end.
#[derive(Clone, Debug)]
struct SampleClock {
    serial: u32,
    rate_hz: u32,
    /// The last position; `None` in the middle of a stream, where the one before is not known.
    samples: Option<u64>,
}

impl SampleClock {
    fn new(serial: u32, rate_hz: u32) -> Self {
        Self {
            serial,
            rate_hz,
            samples: Some(0),
        }
    }

    /// How long a page plays; nothing for the pages of other streams and those without a position.
    fn advance(&mut self, head: &PageHead) -> Duration {
        let Some(position) = head.position.filter(|_| head.serial == self.serial) else {
            return Duration::ZERO;
        };
        let before = self.samples.replace(position).unwrap_or(position);
        let samples = position.saturating_sub(before);
        let nanos = u128::from(samples) * 1_000_000_000 / u128::from(self.rate_hz);
        let played = u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos);
        if played > MAX_PAGE {
            Duration::ZERO
        } else {
            played
        }
    }
}
