//! The places where a stream of any format may be joined.
//!
//! [`Scanner`] is the place to add formats: each turns bytes into [`Mark`]s. An unknown format is
//! [`Scanner::Opaque`]: it is joined where a piece of it arrived, and its time is the time of arrival.

use std::time::Duration;

use super::detect::Format;
use super::mpeg::FrameScanner;

/// A place where a listener may begin, and the time of the audio there.
///
/// Times are counted from where the scanner began, so two nodes that began at different offsets give
/// the same byte different times: only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first byte to send.
    pub offset: u64,
    /// How much audio is before it.
    pub media_time: Duration,
}

/// Finds the marks of a stream that arrives in pieces.
#[derive(Clone, Debug)]
pub enum Scanner {
    /// MPEG audio: every frame is a mark. The marks do not depend on how the bytes are cut.
    Mpeg(FrameScanner),
    /// Any other format: pieces are marks.
    Opaque(Pieces),
}

/// After so many bytes without a single frame, the stream is no longer taken for MPEG.
///
/// Some sources send AAC or Ogg as `audio/mpeg`, and their listeners should hear something. The limit is
/// more than twenty of the longest frames: no real stream is so long without one.
const UNFRAMED_BYTES: u64 = 64 << 10;

impl Scanner {
    /// The scanner for a media type (parameters and case do not matter) whose first byte is at `start`.
    pub fn for_content_type(content_type: &str, start: u64) -> Self {
        if Format::of_media_type(content_type) == Some(Format::Mpeg) {
            Self::Mpeg(FrameScanner::new(start))
        } else {
            Self::Opaque(Pieces::new(start))
        }
    }

    /// Takes the next bytes, which arrived so long after the start, and calls `found` for their marks.
    pub fn feed(&mut self, bytes: &[u8], arrived: Duration, mut found: impl FnMut(Mark)) {
        match self {
            Self::Opaque(pieces) => pieces.feed(bytes, arrived, found),
            Self::Mpeg(frames) => {
                frames.feed(bytes, |start| {
                    found(Mark {
                        offset: start.offset,
                        media_time: start.media_time,
                    });
                });
                let never_framed = frames.media_time().is_zero();
                if never_framed && frames.junk_bytes() > UNFRAMED_BYTES {
                    *self = Self::Opaque(Pieces::new(frames.next()));
                }
            }
        }
    }

    /// Whether marks tell the time of the audio itself, and not that of its arrival.
    pub fn knows_media_time(&self) -> bool {
        matches!(self, Self::Mpeg(_))
    }
}

/// The scanner of unknown formats.
#[derive(Clone, Debug)]
pub struct Pieces {
    next: u64,
    last_mark: Option<Duration>,
}

/// The least time between two marks of pieces: finer than any listener's burst needs, and it bounds the
/// marks of 30 s to 1,500 even when a source sends byte by byte.
const PIECE_SPACING: Duration = Duration::from_millis(20);

impl Pieces {
    fn new(start: u64) -> Self {
        Self {
            next: start,
            last_mark: None,
        }
    }

    fn feed(&mut self, bytes: &[u8], arrived: Duration, mut found: impl FnMut(Mark)) {
        let due = |last: Duration| arrived >= last + PIECE_SPACING;
        if !bytes.is_empty() && self.last_mark.is_none_or(due) {
            self.last_mark = Some(arrived);
            found(Mark {
                offset: self.next,
                media_time: arrived,
            });
        }
        self.next += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::mpeg::samples;
    use super::*;

    fn feed(scanner: &mut Scanner, bytes: &[u8], arrived_ms: u64) -> Vec<(u64, u64)> {
        let mut marks = Vec::new();
        scanner.feed(bytes, Duration::from_millis(arrived_ms), |mark| {
            marks.push((mark.offset, mark.media_time.as_millis() as u64));
        });
        marks
    }

    #[test]
    fn the_media_type_chooses() {
        for mpeg in [
            "audio/mpeg",
            "Audio/MPEG; codecs=mp3",
            "audio/mp3",
            " audio/x-mpeg ",
        ] {
            let scanner = Scanner::for_content_type(mpeg, 0);
            assert!(scanner.knows_media_time(), "{mpeg}");
        }
        for other in [
            "audio/aac",
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
    fn the_unknown_has_marks_where_pieces_arrived() {
        let mut scanner = Scanner::for_content_type("application/ogg", 50);
        assert_eq!(feed(&mut scanner, b"abc", 3), [(50, 3)]);
        assert_eq!(feed(&mut scanner, b"d", 10), []);
        assert_eq!(feed(&mut scanner, b"", 40), []);
        assert_eq!(feed(&mut scanner, b"ef", 40), [(54, 40)]);
    }

    #[test]
    fn what_is_called_mpeg_and_is_not_can_be_joined_all_the_same() {
        let mut scanner = Scanner::for_content_type("audio/mpeg", 0);
        let noise = vec![0xA5; 70_000];
        assert_eq!(feed(&mut scanner, &noise, 5), []);
        assert_eq!(feed(&mut scanner, b"more", 30), [(70_000, 30)]);
    }
}
