//! How loud a stream is, noticed without decoding it.
//!
//! A codec's frame says in its first bytes by which factors its spectrum is multiplied, or that it has none. From that
//! [`LoudnessMeter`] estimates the loudness of each frame, mostly right within some ten decibels, and [`SilenceWatch`] says whether
//! the stream sounds. Digital silence is exact. Of Opus and Vorbis nothing else is known, and of many formats not even that:
//! docs/decisions/027-silence.md has what was measured.

mod aac;
mod flac;
mod framed;
mod level;
pub(in crate::media) mod mpeg;
mod ogg;
mod opus;
mod vorbis;
mod watch;

use self::framed::FramedLevels;
pub use self::level::{Heard, Level};
use self::ogg::OggLevels;
pub use self::watch::SilenceWatch;
use super::format::detect::Format;
use super::format::joining::StreamStart;

/// Measures the loudness of a stream that arrives in pieces of any size.
#[derive(Clone, Debug)]
pub struct LoudnessMeter {
    container: Measured,
}

/// The ways to find the frames of a stream.
#[derive(Clone, Debug)]
enum Measured {
    Framed(Box<FramedLevels>),
    Ogg(Box<OggLevels>),
}

impl LoudnessMeter {
    /// A meter for a stream of this media type that goes on so; `None` if the loudness of that format cannot be told.
    pub fn new(content_type: &str, start: &StreamStart) -> Option<Self> {
        let format = Format::of_media_type(content_type)?;
        let container = match format {
            Format::Ogg => {
                let levels = OggLevels::new(start.offset, &start.prologue);
                Measured::Ogg(Box::new(levels))
            }
            format => {
                let levels = FramedLevels::new(format, content_type, start)?;
                Measured::Framed(Box::new(levels))
            }
        };
        Some(Self { container })
    }

    /// Takes the next bytes, and calls `heard` for each piece whose loudness is known by now, in order.
    pub fn feed(&mut self, bytes: &[u8], mut heard: impl FnMut(Heard)) {
        match &mut self.container {
            Measured::Framed(levels) => levels.feed(bytes, &mut heard),
            Measured::Ogg(levels) => levels.feed(bytes, &mut heard),
        }
    }
}

#[cfg(test)]
mod tests;
