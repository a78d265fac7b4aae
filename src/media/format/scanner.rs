//! The places where a stream of any format may be joined, and what has to be sent first there.
//!
//! [`Scanner`] is the place to add formats: each turns bytes into [`Mark`](super::joining::Mark)s and [`Prologue`]s. An
//! unknown format is [`Scanner::Opaque`]: it is joined where a piece of it arrived, and its time is the time of arrival.

use std::time::Duration;

use bytes::Bytes;

use super::adts::{AdtsHead, named_codec};
use super::detect::Format;
use super::ebml::EbmlScanner;
use super::flac::FlacScanner;
use super::frames::Frames;
use super::joining::{MAX_PROLOGUE_BYTES, Prologue, Scanned, StreamStart, Trouble};
use super::layout::Layout;
use super::loas::LoasHead;
use super::mpeg::MpegHead;
use super::ogg::OggScanner;
use super::opaque::Pieces;
use super::ts::TsScanner;
use super::walker::Walker;
use crate::model::format::{CodecName, StreamFormat};

/// Finds the marks and prologues of a stream that arrives in pieces.
#[derive(Clone, Debug)]
pub enum Scanner {
    /// MPEG audio: every frame is a mark.
    Mpeg(Frames<MpegHead>),
    /// AAC with ADTS headers: every frame is a mark.
    Adts(Frames<AdtsHead>),
    /// AAC in LOAS: every frame is a mark.
    Loas(Frames<LoasHead>),
    /// Ogg: every page that begins a packet is a mark.
    Ogg(Box<OggScanner>),
    /// FLAC: every frame is a mark.
    Flac(Box<FlacScanner>),
    /// MPEG-TS: every picture that needs no other is a mark, and sound if there are no pictures.
    Ts(Box<TsScanner>),
    /// Matroska and WebM: every cluster that begins with a keyframe is a mark, and some keyframes within clusters.
    Ebml(Box<EbmlScanner>),
    /// Any other format: pieces are marks.
    Opaque(Pieces),
}

impl Scanner {
    /// The scanner for a media type (parameters and case do not matter) whose first byte is at `start`.
    pub fn for_content_type(content_type: &str, start: u64) -> Self {
        Self::in_the_middle(
            content_type,
            &StreamStart {
                offset: start,
                media_time: Duration::ZERO,
                prologue: Bytes::new(),
            },
        )
        .unwrap_or_else(|| Self::Opaque(Pieces::new(start, Duration::ZERO)))
    }

    /// The scanner for the rest of a stream that is known to begin so; `None` if its prologue is not one.
    pub fn in_the_middle(content_type: &str, start: &StreamStart) -> Option<Self> {
        if start.prologue.len() > MAX_PROLOGUE_BYTES {
            return None;
        }
        match Format::of_media_type(content_type) {
            Some(Format::Mpeg) => Some(Self::Mpeg(Frames::in_the_middle(start, CodecName::Mp3))),
            Some(Format::Adts) => {
                let named = named_codec(content_type);
                Some(Self::Adts(Frames::in_the_middle(start, named)))
            }
            Some(Format::Loas) => Some(Self::Loas(Frames::in_the_middle(start, CodecName::Aac))),
            Some(Format::Ogg) => {
                let scanner = OggScanner::in_the_middle(start)?;
                Some(Self::Ogg(Box::new(scanner)))
            }
            Some(Format::Flac) => {
                let scanner = FlacScanner::in_the_middle(start)?;
                Some(Self::Flac(Box::new(scanner)))
            }
            Some(Format::Ts) => {
                let scanner = TsScanner::in_the_middle(start)?;
                Some(Self::Ts(Box::new(scanner)))
            }
            Some(Format::Ebml) => {
                let scanner = EbmlScanner::in_the_middle(start)?;
                Some(Self::Ebml(Box::new(scanner)))
            }
            _ => Some(Self::Opaque(Pieces::new(start.offset, start.media_time))),
        }
    }

    /// Takes the next bytes, which arrived so long after the start, and calls `found` for what is in them.
    pub fn feed(&mut self, bytes: &[u8], arrived: Duration, mut found: impl FnMut(Scanned)) {
        self.walker_mut().feed(bytes, arrived, &mut found);
        let walker = self.walker();
        if walker.is_lost() {
            found(Scanned::Prologue(Prologue {
                offset: walker.next(),
                bytes: Bytes::new(),
            }));
            *self = Self::Opaque(walker.to_pieces());
        }
    }

    /// Whether marks tell the time of the audio itself, and not that of its arrival.
    pub fn knows_media_time(&self) -> bool {
        self.media_time().is_some()
    }

    /// Whether the format's frames are so short that a source which sends audio sends several in a second.
    pub fn has_short_frames(&self) -> bool {
        self.walker().has_short_frames()
    }

    /// Whether a decoder can begin at marks only, and these may be seconds apart.
    pub fn needs_mark(&self) -> bool {
        matches!(self, Self::Ogg(_) | Self::Ts(_) | Self::Ebml(_))
    }

    /// The time of the audio that has been recognised so far; `None` if marks tell that of its arrival.
    pub fn media_time(&self) -> Option<Duration> {
        self.walker().media_time()
    }

    /// The end of the last whole frame, page or block: a decoder that gets no byte beyond it meets nothing cut. It never
    /// falls.
    pub fn edge(&self) -> u64 {
        self.walker().edge()
    }

    /// The byte up to which [`Self::media_time`] counts.
    pub fn timed(&self) -> u64 {
        self.walker().timed()
    }

    /// How many of the bytes beyond the edge are whole too, if nothing follows them.
    pub fn whole_at_end(&self, beyond: &[u8]) -> usize {
        self.walker().whole_at_end(beyond).min(beyond.len())
    }

    /// The format as far as the bytes tell it, `bitrate_bps` always 0; `None` if they tell nothing.
    pub fn format(&self) -> Option<StreamFormat> {
        self.walker().format()
    }

    /// The layout for which a decoder of the stream is set up; its source calls it by this media type. `None` until it is known.
    pub fn layout(&self, media_type: &str) -> Option<Layout> {
        match self {
            Self::Opaque(_) => Some(Layout::Opaque(media_type.to_owned())),
            _ => self.walker().layout(),
        }
    }

    /// Why listeners that come late may not decode the stream as it is now.
    pub fn trouble(&self) -> Option<Trouble> {
        self.walker().trouble()
    }

    /// Whether so much of the stream was not of its format that it may be of another one.
    pub fn has_lost_format(&self) -> bool {
        match self {
            Self::Mpeg(_) | Self::Adts(_) | Self::Loas(_) => self.trouble().is_some(),
            Self::Opaque(pieces) => pieces.trouble().is_some(),
            Self::Ogg(ogg) => ogg.has_lost_pages(),
            Self::Ebml(ebml) => ebml.is_strange(),
            Self::Flac(_) | Self::Ts(_) => false,
        }
    }

    fn walker(&self) -> &dyn Walker {
        match self {
            Self::Mpeg(mpeg) => mpeg,
            Self::Adts(adts) => adts,
            Self::Loas(loas) => loas,
            Self::Ogg(ogg) => &**ogg,
            Self::Flac(flac) => &**flac,
            Self::Ts(ts) => &**ts,
            Self::Ebml(ebml) => &**ebml,
            Self::Opaque(pieces) => pieces,
        }
    }

    fn walker_mut(&mut self) -> &mut dyn Walker {
        match self {
            Self::Mpeg(mpeg) => mpeg,
            Self::Adts(adts) => adts,
            Self::Loas(loas) => loas,
            Self::Ogg(ogg) => &mut **ogg,
            Self::Flac(flac) => &mut **flac,
            Self::Ts(ts) => &mut **ts,
            Self::Ebml(ebml) => &mut **ebml,
            Self::Opaque(pieces) => pieces,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ebml::samples as webm;
    use super::super::mpeg::samples;
    use super::super::{adts, loas};
    use super::*;
    use crate::model::format::Container;

    fn feed(scanner: &mut Scanner, bytes: &[u8], arrived_ms: u64) -> Vec<(u64, u64)> {
        let mut marks = Vec::new();
        scanner.feed(bytes, Duration::from_millis(arrived_ms), |scanned| {
            if let Scanned::Mark(mark) = scanned {
                marks.push((mark.offset, mark.media_time.as_millis() as u64));
            }
        });
        marks
    }

    #[test]
    fn the_media_type_chooses() {
        for framed in [
            "audio/mpeg",
            "Audio/MPEG; codecs=mp3",
            "audio/mp3",
            " audio/x-mpeg ",
            "audio/aac",
            "audio/aacp",
        ] {
            let scanner = Scanner::for_content_type(framed, 0);
            assert!(scanner.knows_media_time(), "{framed}");
        }
        for other in [
            "audio/mp4a-latm",
            "application/ogg",
            "audio/mpegurl",
            "",
            ";audio/mpeg",
        ] {
            let scanner = Scanner::for_content_type(other, 0);
            assert!(!scanner.knows_media_time(), "{other}");
        }
    }

    #[test]
    fn mpeg_has_a_mark_at_each_frame() {
        let mut scanner = Scanner::for_content_type("audio/mpeg", 1_000);
        let marks = feed(&mut scanner, &samples::frames(3), 7_000);
        assert_eq!(marks, [(1_000, 0), (1_417, 26), (1_834, 52)]);
    }

    #[test]
    fn adts_and_loas_have_a_mark_at_each_frame() {
        let mut scanner = Scanner::for_content_type("audio/aacp", 1_000);
        let marks = feed(&mut scanner, &adts::samples::frames(3), 7_000);
        assert_eq!(marks, [(1_000, 0), (1_300, 23), (1_601, 46)]);
        let format = scanner.format().map(|it| it.container);
        assert_eq!(format, Some(Container::Adts));
        let mut scanner = Scanner::for_content_type("audio/MP4A-LATM", 1_000);
        assert!(scanner.has_short_frames());
        let marks = feed(&mut scanner, &loas::samples::frames(3), 0);
        assert_eq!(marks, [(1_000, 0), (1_203, 23), (1_407, 46)]);
    }

    #[test]
    fn matroska_has_a_mark_at_each_cluster() {
        let mut scanner = Scanner::for_content_type("audio/webm", 1_000);
        let heads = webm::heads(&[webm::audio_track(1)]);
        let sound = |time_ms| webm::cluster(time_ms, &[webm::block(1, 0, true)]);
        let stream = [heads.clone(), sound(0), sound(40)].concat();
        let first = 1_000 + heads.len() as u64;
        let second = first + sound(0).len() as u64;
        let marks = feed(&mut scanner, &stream, 7_000);
        assert_eq!(marks, [(1_000, 0), (first, 0), (second, 40)]);
        assert_eq!(scanner.edge(), 1_000 + stream.len() as u64);
    }

    #[test]
    fn the_unknown_has_marks_where_pieces_arrived() {
        let mut scanner = Scanner::for_content_type("application/ogg", 50);
        assert_eq!(feed(&mut scanner, b"abc", 3), [(50, 3)]);
        assert_eq!(feed(&mut scanner, b"d", 10), []);
        assert_eq!(feed(&mut scanner, b"", 40), []);
        assert_eq!(feed(&mut scanner, b"ef", 40), [(54, 40)]);
    }

    #[test]
    fn a_stream_falsely_called_mpeg_can_still_be_joined() {
        let mut scanner = Scanner::for_content_type("audio/mpeg", 0);
        let noise = vec![0xA5; 70_000];
        assert_eq!(feed(&mut scanner, &noise, 5), []);
        assert_eq!(feed(&mut scanner, b"more", 30), [(70_000, 30)]);
    }
}
