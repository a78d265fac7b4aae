//! A file as pieces that each last some time, whatever its format.

use std::time::Duration;

use super::piece::Piece;
use super::{mpeg_walk, ogg_walk};

/// Shorter files are surely cut off, and to loop them would be noise.
const SHORTEST: Duration = Duration::from_millis(500);

/// A file that can be sent.
#[derive(Debug)]
pub(in crate::cli) struct Track {
    file: Vec<u8>,
    pieces: Vec<Piece>,
    duration: Duration,
    format: FileFormat,
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
    /// Its bytes are of another kind, or damaged beyond use.
    #[error("it is neither MP3 nor Ogg")]
    UnknownFormat,
    /// An Ogg file without a codec whose time we can tell.
    #[error("there is neither Vorbis nor Opus in this Ogg file")]
    UnknownCodec,
    /// There is next to nothing in it.
    #[error("it plays less than half a second")]
    TooShort,
}

impl Track {
    /// Finds the pieces of a file.
    pub(in crate::cli) fn parse(file: Vec<u8>) -> Result<Self, BadTrack> {
        let (format, pieces) = if file.starts_with(b"OggS") {
            (
                FileFormat::Ogg,
                ogg_walk::walk(&file).ok_or(BadTrack::UnknownCodec)?,
            )
        } else {
            (
                FileFormat::Mpeg,
                mpeg_walk::walk(&file).ok_or(BadTrack::UnknownFormat)?,
            )
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

    /// What to call it in `Content-Type`.
    pub(in crate::cli) fn content_type(&self) -> &'static str {
        match self.format {
            FileFormat::Mpeg => "audio/mpeg",
            FileFormat::Ogg => "audio/ogg",
        }
    }

    /// How long it plays.
    pub(super) fn duration(&self) -> Duration {
        self.duration
    }

    /// How many pieces it has; never none.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether a decoder that joins in the middle hears nothing.
    pub(super) fn needs_its_beginning(&self) -> bool {
        self.format == FileFormat::Ogg
    }

    /// Appends a piece as it is sent in the given round, and gives how long it plays.
    pub(super) fn copy_piece(&self, index: usize, round: u32, out: &mut Vec<u8>) -> Duration {
        let piece = &self.pieces[index];
        let start = out.len();
        out.extend_from_slice(&self.file[piece.bytes.clone()]);
        if self.format == FileFormat::Ogg {
            ogg_walk::renumber(&mut out[start..], round);
        }
        piece.duration
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::source::{mpeg_walk, ogg_walk};

    /// An MP3 of so many frames, 44.1 kHz and 128 kbit/s.
    pub(in crate::cli::source) fn mp3(frames: usize) -> Vec<u8> {
        (0..frames).flat_map(mpeg_walk::tests::frame).collect()
    }

    /// An Opus file with a page of sound that ends at each of the given seconds.
    pub(in crate::cli::source) fn ogg(ends_s: &[u64]) -> Vec<u8> {
        ogg_walk::tests::opus(7, ends_s)
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
    fn what_is_no_sound_is_refused() {
        for (file, why) in [
            (Vec::new(), BadTrack::UnknownFormat),
            (b"RIFF....WAVE".repeat(100), BadTrack::UnknownFormat),
            (vec![0xff; 10_000], BadTrack::UnknownFormat),
            (b"OggS".repeat(100), BadTrack::UnknownCodec),
            (mp3(10), BadTrack::TooShort),
            (ogg(&[]), BadTrack::TooShort),
        ] {
            assert_eq!(Track::parse(file).err(), Some(why));
        }
    }

    #[test]
    fn the_sample_radio_is_a_track() {
        let track = Track::parse(include_bytes!("../sample/sample.mp3").to_vec()).unwrap();
        assert_eq!(track.content_type(), "audio/mpeg");
        assert!(track.duration() > Duration::from_secs(5));
    }
}
