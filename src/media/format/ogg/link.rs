//! One link of an Ogg chain: the streams that began together, their header pages, and the clock by which they play.

use std::time::Duration;

use super::codec::{Codec, HeaderRule, Medium};
use super::comments;
use super::granule::OggClock;
use super::page::{PageHead, is_whole};
use super::pages::FoundPage;
use crate::media::format::joining::{MAX_PROLOGUE_BYTES, Trouble};
use crate::media::format::layout::OggTrack;
use crate::model::format::{CodecName, Container, StreamFormat, VideoFormat};
use crate::model::title::TitleInfo;

/// The most streams that play together: sound, picture, subtitles, and a skeleton that describes them. A late listener
/// gets the headers of the first ones only.
pub(super) const MAX_STREAMS: usize = 8;

/// The most bytes from the beginning of a link in which its headers are looked for, those of other streams included.
/// Headers may have so many, and what does not belong to the link is no more than a few late pages.
const MAX_HEADER_SPAN: u64 = 2 * MAX_PROLOGUE_BYTES as u64;

/// For so long a link with pictures is joined at keyframes only. As long as a ring holds: without a keyframe for longer,
/// as when the picture is the cover of a record, a late listener has to do with the sound.
const MAX_WITHOUT_KEYFRAME: Duration = Duration::from_secs(30);

/// How many pages may have been lost behind the headers. With more, a server has given the headers first, and then what was on air:
/// what was before that is no sound.
const MOST_LOST_PAGES: u32 = 4;

/// A link.
#[derive(Clone, Debug)]
pub(super) struct OggLink {
    /// The offset at which the link begins.
    begins: u64,
    streams: Vec<LogicalStream>,
    /// The clock of the first stream with sound, otherwise that of the first one with pictures.
    clock: Option<OggClock>,
    /// All header pages so far, in the order in which they came.
    heads: Vec<u8>,
    /// Whether only first pages have come so far.
    is_beginning: bool,
    /// The time since the last keyframe.
    without_keyframe: Duration,
}

#[derive(Clone, Debug)]
struct LogicalStream {
    serial: u32,
    codec: Codec,
    /// The number of the last header page.
    sequence: u32,
}

/// A page of a link whose headers are not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    /// The page holds headers, and is kept.
    Headers,
    /// The page holds sound or pictures: all headers have come.
    Content,
    /// The page belongs to no stream of the link.
    Stray,
    /// The headers are of no use to a late listener.
    Broken(Trouble),
}

impl LogicalStream {
    /// Whether a page holds headers.
    fn takes_as_header(&mut self, page: &FoundPage<'_>) -> bool {
        let head = &page.head;
        match &mut self.codec.headers {
            HeaderRule::Packets(0) => false,
            HeaderRule::Packets(left) => {
                *left = left.saturating_sub(head.packets_ended);
                true
            }
            // A page on which no packet begins goes on with a header.
            HeaderRule::Beginning(magic) => head.begins_at.is_none_or(|at| {
                let packet = page.bytes.get(at..);
                packet.is_some_and(|packet| packet.starts_with(magic))
            }),
            HeaderRule::AtPositionZero => head.position.is_none_or(|position| position == 0),
            HeaderRule::BeforeOthers => true,
        }
    }

    /// How many pages were lost before this one. A number that does not go on is that of an encoder which does not count.
    fn lost_before(&mut self, head: &PageHead) -> u32 {
        let before = std::mem::replace(&mut self.sequence, head.sequence);
        let step = head.sequence.wrapping_sub(before);
        match (2..1 << 31).contains(&step) {
            true => step - 1,
            false => 0,
        }
    }

    fn lacks_headers(&self) -> bool {
        matches!(self.codec.headers, HeaderRule::Packets(1..))
    }
}

impl OggLink {
    /// A link without streams yet, whose first page is the one at `begins`.
    pub(super) fn new(begins: u64) -> Self {
        Self {
            begins,
            streams: Vec::new(),
            clock: None,
            heads: Vec::new(),
            is_beginning: true,
            without_keyframe: Duration::ZERO,
        }
    }

    /// The offset at which the link begins.
    pub(super) fn begins(&self) -> u64 {
        self.begins
    }

    /// Whether a stream is one of the link.
    pub(super) fn has(&self, serial: u32) -> bool {
        self.streams.iter().any(|stream| stream.serial == serial)
    }

    /// Whether the first page of a stream belongs to the link. If not, the next link begins with it.
    pub(super) fn expects(&self, page: &FoundPage<'_>) -> bool {
        self.is_beginning && !self.has(page.head.serial)
    }

    /// Ends the first pages of the link: the others stand behind them, and so does what does not belong to it.
    pub(super) fn end_beginning(&mut self) {
        self.is_beginning = false;
    }

    /// Adds a stream by its first page, and otherwise says why the link is of no use to a late listener.
    pub(super) fn add(&mut self, page: &FoundPage<'_>) -> Result<(), Trouble> {
        if self.streams.len() == MAX_STREAMS {
            return Ok(());
        }
        self.keep(page)?;
        let PageHead {
            serial, sequence, ..
        } = page.head;
        let packet = page.bytes.get(page.head.head_bytes..).unwrap_or_default();
        let codec = Codec::of(packet);
        let has_sound = self.streams.iter().any(|stream| stream.codec.is_sound());
        let may_replace = codec.is_sound() && !has_sound;
        let mut stream = LogicalStream {
            serial,
            codec,
            sequence,
        };
        stream.takes_as_header(page);
        self.streams.push(stream);
        if let Some(granule) = codec.clock
            && (self.clock.is_none() || may_replace)
        {
            self.clock = Some(OggClock::new(serial, granule));
        }
        Ok(())
    }

    /// Whether a page holds sound or pictures of a stream whose headers have not all come: headers take no time.
    pub(super) fn lacks_headers_before(&self, head: &PageHead) -> bool {
        let mut streams = self.streams.iter();
        let of_page = streams.find(|stream| stream.serial == head.serial);
        let is_content = head.position.is_some_and(|position| position > 0);
        is_content && of_page.is_some_and(LogicalStream::lacks_headers)
    }

    /// Judges a page that is no first page, while the headers are gathered.
    pub(super) fn take(&mut self, page: &FoundPage<'_>) -> PageKind {
        self.end_beginning();
        let behind = page.offset + page.head.page_bytes as u64;
        if behind.saturating_sub(self.begins) > MAX_HEADER_SPAN {
            return PageKind::Broken(Trouble::NoHeaders);
        }
        let Some(stream) = self.stream(page.head.serial) else {
            return PageKind::Stray;
        };
        let lost_pages = stream.lost_before(&page.head);
        if !stream.takes_as_header(page) {
            if lost_pages > MOST_LOST_PAGES && self.has_clock_of(page) {
                self.skip_ahead();
            }
            return match self.missing() {
                None => PageKind::Content,
                Some(trouble) => PageKind::Broken(trouble),
            };
        }
        if lost_pages > 0 {
            return PageKind::Broken(Trouble::Damaged);
        }
        match self.keep(page) {
            Ok(()) => PageKind::Headers,
            Err(trouble) => PageKind::Broken(trouble),
        }
    }

    /// Why the headers so far are not all that a late listener needs; `None` if no header is known to be missing, and
    /// the time can be told.
    pub(super) fn missing(&self) -> Option<Trouble> {
        if self.clock.is_none() {
            Some(Trouble::UnknownCodec)
        } else if self.streams.iter().any(LogicalStream::lacks_headers) {
            Some(Trouble::NoHeaders)
        } else {
            None
        }
    }

    /// The title in the headers: that of the sound before that of anything else.
    pub(super) fn title(&self) -> Option<TitleInfo> {
        let of_sound = |is_sound: bool| {
            let streams = self.streams.iter();
            streams.filter(move |stream| stream.codec.is_sound() == is_sound)
        };
        let mut streams = of_sound(true).chain(of_sound(false));
        streams.find_map(|stream| comments::title(&self.heads, stream.serial, stream.codec.name))
    }

    /// The header pages; they are not kept here any longer.
    pub(super) fn take_heads(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heads)
    }

    /// Whether the link may be joined at a page: where a keyframe begins if there are pictures, otherwise where a packet
    /// begins of the stream whose clock counts.
    pub(super) fn may_join_at(&mut self, page: &FoundPage<'_>) -> bool {
        let mut streams = self.streams.iter();
        let pictures = streams.find(|stream| stream.codec.has_pictures());
        if let Some(stream) = pictures {
            let first_byte = page
                .first_byte
                .filter(|_| stream.serial == page.head.serial);
            if first_byte.is_some_and(|first_byte| stream.codec.is_keyframe(first_byte)) {
                self.without_keyframe = Duration::ZERO;
                return true;
            }
        }
        let is_waiting = pictures.is_some() && self.without_keyframe < MAX_WITHOUT_KEYFRAME;
        let begins = !page.head.continues && page.head.begins_at.is_some();
        !is_waiting && begins && self.has_clock_of(page)
    }

    /// Whether a page is one of the stream whose clock counts.
    fn has_clock_of(&self, page: &FoundPage<'_>) -> bool {
        let clock = self.clock.as_ref();
        clock.is_some_and(|clock| clock.is_of(&page.head))
    }

    /// Goes on in the middle of the link: the length of the page that comes next is not known, and counts as no time.
    pub(super) fn skip_ahead(&mut self) {
        if let Some(clock) = &mut self.clock {
            clock.skip_ahead();
        }
    }

    /// How long a page plays.
    pub(super) fn advance(&mut self, head: &PageHead) -> Duration {
        let clock = self.clock.as_mut();
        let played = clock.map_or(Duration::ZERO, |clock| clock.advance(head));
        self.without_keyframe = self.without_keyframe.saturating_add(played);
        played
    }

    /// The format by the first stream with sound and the first one with pictures.
    pub(super) fn format(&self) -> StreamFormat {
        let mut format = StreamFormat {
            container: Container::Ogg,
            ..StreamFormat::default()
        };
        // The first ones last, so that they count.
        for Codec { name, medium, .. } in self.streams.iter().rev().map(|stream| stream.codec) {
            match medium {
                Medium::Sound {
                    sample_rate_hz,
                    channels,
                } => {
                    format.codec = name;
                    format.sample_rate_hz = sample_rate_hz;
                    format.channels = channels;
                }
                Medium::Pictures { width, height } => {
                    format.video = Some(VideoFormat {
                        codec: name,
                        width,
                        height,
                    });
                }
                Medium::Other => {}
            }
        }
        format
    }

    /// The first sound and the first pictures, as decoders are set up for them.
    pub(super) fn tracks(&self) -> Vec<OggTrack> {
        let codecs = || self.streams.iter().map(|stream| stream.codec);
        let sound = codecs().find(Codec::is_sound);
        let pictures = codecs().find(Codec::has_pictures);
        let known = sound.into_iter().chain(pictures);
        let known = known.filter(|codec| codec.name != CodecName::Unknown);
        let track = |Codec { name, setup, .. }| OggTrack { codec: name, setup };
        known.map(track).collect()
    }

    fn stream(&mut self, serial: u32) -> Option<&mut LogicalStream> {
        let mut streams = self.streams.iter_mut();
        streams.find(|stream| stream.serial == serial)
    }

    /// Keeps a header page.
    fn keep(&mut self, page: &FoundPage<'_>) -> Result<(), Trouble> {
        if page.bytes.len() != page.head.page_bytes || !is_whole(page.bytes) {
            return Err(Trouble::Damaged);
        }
        if self.heads.len() + page.bytes.len() > MAX_PROLOGUE_BYTES {
            return Err(Trouble::HeadersTooLong);
        }
        self.heads.extend_from_slice(page.bytes);
        Ok(())
    }
}
