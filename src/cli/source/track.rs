//! A file as pieces that each last some time, whatever its format.

use std::ops::Range;
use std::time::Duration;

use crate::media::format::frames::{FrameHead as _, Frames};
use crate::media::format::mpeg::MpegHead;
use crate::media::format::ogg::{Chain, FoundPage, Keep, PageScanner, page};

/// Shorter files are surely cut off, and to loop them would be noise.
const SHORTEST: Duration = Duration::from_millis(500);

/// A file that can be sent.
#[derive(Debug)]
pub(in crate::cli) struct Track {
    file: Vec<u8>,
    pieces: Vec<TrackPiece>,
    duration: Duration,
    format: FileFormat,
}

/// A part of a file that a decoder wants whole: a frame or a page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TrackPiece {
    /// The bytes of the file.
    bytes: Range<usize>,
    /// How long the piece plays.
    duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    /// Each frame stands for itself.
    Mpeg,
    /// Nothing can be decoded without the pages at the beginning.
    Ogg,
}

/// Why a file cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum BadTrack {
    /// The bytes are of another kind, or damaged beyond use.
    #[error(
        "it is neither MP3 nor Ogg; ffmpeg sends other files: ffmpeg -re -i FILE -c:a libmp3lame -f mp3 \
         -content_type audio/mpeg icecast://source:PASSWORD@HOST:PORT/MOUNT"
    )]
    UnknownFormat,
    /// An Ogg file without a codec whose time is known.
    #[error("there is neither Vorbis, Opus, FLAC nor Speex in this Ogg file")]
    UnknownCodec,
    /// Next to nothing is in the file.
    #[error("it plays less than half a second")]
    TooShort,
}

impl Track {
    /// Finds the pieces of a file.
    pub(in crate::cli) fn parse(file: Vec<u8>) -> Result<Self, BadTrack> {
        let (format, pieces) = if file.starts_with(b"OggS") {
            (FileFormat::Ogg, pages(&file)?)
        } else {
            (FileFormat::Mpeg, frames(&file)?)
        };
        let duration = pieces.iter().map(|piece| piece.duration).sum();
        if duration < SHORTEST {
            return Err(BadTrack::TooShort);
        }
        Ok(Self {
            file,
            pieces,
            duration,
            format,
        })
    }

    /// The media type of the file.
    pub(in crate::cli) fn content_type(&self) -> &'static str {
        match self.format {
            FileFormat::Mpeg => "audio/mpeg",
            FileFormat::Ogg => "audio/ogg",
        }
    }

    /// How long the file plays.
    pub(super) fn duration(&self) -> Duration {
        self.duration
    }

    /// How many pieces there are, at least one.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether a decoder that joins in the middle hears nothing.
    pub(super) fn needs_its_beginning(&self) -> bool {
        self.format == FileFormat::Ogg
    }

    /// Appends a piece as it is sent in the given round, and gives how long it plays.
    ///
    /// An Ogg stream that begins again must have another serial number than before, or decoders take its pages for
    /// late ones of the old stream.
    pub(super) fn copy_piece(&self, index: usize, round: u32, out: &mut Vec<u8>) -> Duration {
        let piece = &self.pieces[index];
        let start = out.len();
        out.extend_from_slice(&self.file[piece.bytes.clone()]);
        if self.format == FileFormat::Ogg {
            page::renumber(&mut out[start..], round);
        }
        piece.duration
    }
}

/// The audio frames of an MP3 file.
///
/// Tags, and the frame that tells a player how long the file is, are left out: in a stream they would be heard as a
/// click, or believed. A file that is mostly something else behind its first frame is none.
fn frames(file: &[u8]) -> Result<Vec<TrackPiece>, BadTrack> {
    let mut pieces: Vec<TrackPiece> = Vec::new();
    Frames::<MpegHead>::new(0).scan(file, Duration::ZERO, |start| {
        let begin = start.offset as usize;
        pieces.push(TrackPiece {
            bytes: begin..begin + start.frame_bytes,
            duration: start.head.duration().unwrap_or_default(),
        });
    });
    // Only the last one can be cut off.
    pieces.pop_if(|last| last.bytes.end > file.len());
    let first = pieces.first().ok_or(BadTrack::UnknownFormat)?;
    let sound_bytes: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    let other_bytes = file.len() - first.bytes.start - sound_bytes;
    match sound_bytes > other_bytes {
        true => Ok(pieces),
        false => Err(BadTrack::UnknownFormat),
    }
}

/// The whole pages of an Ogg file.
fn pages(file: &[u8]) -> Result<Vec<TrackPiece>, BadTrack> {
    let mut scanner = PageScanner::new(0, Keep::All);
    let (mut chain, mut pieces) = (Chain::new(), Vec::new());
    let mut take = |page: FoundPage<'_>| {
        if page::is_whole(page.bytes) {
            let before = chain.media_time();
            chain.take(&page, Duration::ZERO, &mut |_| {});
            let begin = page.offset as usize;
            pieces.push(TrackPiece {
                bytes: begin..begin + page.bytes.len(),
                duration: chain.media_time() - before,
            });
        }
        Keep::All
    };
    scanner.feed(file, &mut take);
    scanner.finish().map(&mut take);
    let is_known = chain.is_known() || !chain.media_time().is_zero();
    is_known.then_some(pieces).ok_or(BadTrack::UnknownCodec)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::format::ogg::page::samples;

    /// The frame with this number of a file of 44.1 kHz and 128 kbit/s, padded as an encoder would.
    fn frame(number: usize) -> Vec<u8> {
        let padded = (number + 1) * 144 * 128_000 / 44_100 - number * 144 * 128_000 / 44_100 > 417;
        let mut frame = vec![0xff, 0xfb, if padded { 0x92 } else { 0x90 }, 0x00];
        // Never a sync, and different from frame to frame.
        frame.resize(if padded { 418 } else { 417 }, (number % 200) as u8);
        frame
    }

    /// An MP3 of so many frames, 44.1 kHz and 128 kbit/s.
    pub(in crate::cli::source) fn mp3(frames: usize) -> Vec<u8> {
        (0..frames).flat_map(frame).collect()
    }

    /// An Opus file with a page of sound that ends at each of the given seconds.
    pub(in crate::cli::source) fn ogg(ends_s: &[u64]) -> Vec<u8> {
        samples::opus(7, ends_s)
    }

    fn times_ms(file: &[u8]) -> Vec<u128> {
        let pieces = pages(file).unwrap();
        pieces.iter().map(|it| it.duration.as_millis()).collect()
    }

    #[test]
    fn a_file_is_known_by_its_bytes() {
        let track = Track::parse(mp3(100)).unwrap();
        assert_eq!(track.content_type(), "audio/mpeg");
        assert_eq!(track.pieces(), 100);
        assert_eq!(track.duration().as_millis(), 2_612);
        let track = Track::parse(ogg(&[1, 2])).unwrap();
        assert_eq!(track.content_type(), "audio/ogg");
        assert_eq!(track.duration(), Duration::from_secs(2));
    }

    #[test]
    fn a_file_without_sound_is_refused() {
        let theora = samples::page(1, 2, 0, b"\x80theora");
        for (file, why) in [
            (Vec::new(), BadTrack::UnknownFormat),
            (b"RIFF....WAVE".repeat(100), BadTrack::UnknownFormat),
            (vec![0xff; 10_000], BadTrack::UnknownFormat),
            ([mp3(3), vec![0; 5_000]].concat(), BadTrack::UnknownFormat),
            (b"OggS".repeat(100), BadTrack::UnknownCodec),
            (
                [theora, samples::page(1, 0, 9, b"picture").repeat(3)].concat(),
                BadTrack::UnknownCodec,
            ),
            (mp3(10), BadTrack::TooShort),
            (ogg(&[]), BadTrack::TooShort),
        ] {
            assert_eq!(Track::parse(file).err(), Some(why));
        }
    }

    #[test]
    fn tags_and_a_cut_frame_are_left_out() {
        let id3 = [b"ID3\x04\0\0\0\0\x01\x02".as_slice(), &[0xff; 130]].concat();
        let old = [b"TAG".as_slice(), &[0xff; 125]].concat();
        let file = [id3, mp3(3), old].concat();
        let starts = |file: &[u8]| -> Vec<usize> {
            let pieces = frames(file).unwrap();
            pieces.iter().map(|piece| piece.bytes.start).collect()
        };
        assert_eq!(starts(&file), [140, 557, 975]);
        let cut = mp3(3);
        assert_eq!(starts(&cut[..cut.len() - 1]), [0, 417]);
    }

    #[test]
    fn pages_play_as_long_as_their_positions_say() {
        let chain = [ogg(&[1, 3, 4]), samples::opus(8, &[1, 2])].concat();
        assert_eq!(
            times_ms(&chain),
            [0, 0, 1_000, 2_000, 1_000, 0, 0, 1_000, 1_000]
        );
        // As a recording of a live stream begins.
        let hole = ogg(&[5_000, 5_001, 2, 3]);
        assert_eq!(times_ms(&hole), [0, 0, 0, 1_000, 0, 1_000]);
    }

    #[test]
    fn damaged_pages_and_garbage_are_left_out() {
        let mut file = ogg(&[1, 2, 3]);
        let last = file.len() - 1;
        file[last] ^= 1;
        file.splice(0..0, *b"OggS garbage");
        assert_eq!(times_ms(&file), [0, 0, 1_000, 1_000]);
        let tagged = [ogg(&[1, 2]), b"TAG".to_vec()].concat();
        assert_eq!(times_ms(&tagged), [0, 0, 1_000, 1_000]);
    }

    #[test]
    fn every_round_of_an_ogg_file_is_another_stream() {
        let track = Track::parse(ogg(&[1, 2])).unwrap();
        let round = |round| {
            let mut sent = Vec::new();
            for index in 0..track.pieces() {
                track.copy_piece(index, round, &mut sent);
            }
            sent
        };
        assert_eq!(round(0), ogg(&[1, 2]));
        assert_eq!(round(2), samples::opus(9, &[1, 2]));
    }

    #[test]
    fn the_sample_radio_is_a_track() {
        let track = Track::parse(include_bytes!("../sample/sample.mp3").to_vec()).unwrap();
        assert_eq!(track.content_type(), "audio/mpeg");
        assert!(track.duration() > Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn pieces_of_any_bytes_lie_in_order_within_them(
            cut in 0_usize..900,
            junk in proptest::collection::vec(prop_oneof![Just(0xff), Just(0xfb), any::<u8>()], 0..900),
            is_ogg in any::<bool>(),
        ) {
            let whole = if is_ogg { ogg(&[1, 2]) } else { mp3(4) };
            let file = [&whole[..cut.min(whole.len())], &junk, &whole].concat();
            let pieces = if is_ogg { pages(&file) } else { frames(&file) };
            let mut end = 0;
            for piece in pieces.unwrap_or_default() {
                prop_assert!(piece.bytes.start >= end && piece.bytes.end <= file.len());
                end = piece.bytes.end;
            }
        }
    }
}
