//! The loudness of streams whose units a scanner finds one by one: MP3, AAC in ADTS, FLAC by itself.

use std::time::Duration;

use super::aac;
use super::flac::FlacLevels;
use super::level::{Heard, Level};
use super::mpeg::Mp3Levels;
use crate::media::format::adts::AdtsHead;
use crate::media::format::detect::Format;
use crate::media::format::frames::FrameHead;
use crate::media::format::joining::{Scanned, StreamStart};
use crate::media::format::mpeg::MpegHead;
use crate::media::format::scanner::Scanner;

/// The most bytes that are kept of a frame that has no end yet. The longest of FLAC in use have 50 KiB.
const MAX_HELD_BYTES: usize = 128 << 10;

/// How long the loudness counts as unknown where so many bytes have no frame: long enough to be noticed at once.
const LOST: Duration = Duration::from_secs(1);

/// The bytes before STREAMINFO in FLAC.
const MAGIC: &[u8] = b"fLaC";

/// Measures each frame once the next one has begun. No more is held than a frame, and what is not judged yet.
#[derive(Clone, Debug)]
pub(super) struct FramedLevels {
    scanner: Scanner,
    codec: FramedCodec,
    /// The last bytes: from the frame that has begun last.
    held: Vec<u8>,
    /// The offset of the first of them.
    from: u64,
    /// The offset of the last frame.
    frame: Option<u64>,
}

#[derive(Clone, Debug)]
enum FramedCodec {
    Mp3(Mp3Levels),
    Aac,
    Flac(Option<FlacLevels>),
}

impl FramedLevels {
    /// The loudness of a stream of this format that goes on so; `None` if there is no telling.
    pub(super) fn new(format: Format, content_type: &str, start: &StreamStart) -> Option<Self> {
        let codec = match format {
            Format::Mpeg => FramedCodec::Mp3(Mp3Levels::default()),
            Format::Adts => FramedCodec::Aac,
            Format::Flac => FramedCodec::Flac(stream_info(&start.prologue)),
            _ => return None,
        };
        Some(Self {
            scanner: Scanner::in_the_middle(content_type, start)?,
            codec,
            held: Vec::new(),
            from: start.offset,
            frame: None,
        })
    }

    /// Takes the next bytes, and calls `heard` for each frame that is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], heard: &mut dyn FnMut(Heard)) {
        let mut begun = Vec::new();
        self.scanner.feed(bytes, Duration::ZERO, |scanned| {
            if let Scanned::Mark(mark) = scanned {
                begun.push(mark.offset);
            }
        });
        self.held.extend_from_slice(bytes);
        for next in begun {
            let before = self.frame.replace(next);
            let places = before
                .and_then(|begin| self.place(begin))
                .zip(self.place(next));
            let frame = places.and_then(|places| self.held.get(places.0..places.1));
            if let Some(frame) = frame
                && let Some(found) = self.codec.measure(frame)
            {
                heard(found);
            }
        }
        let kept_from = self.frame.and_then(|frame| self.place(frame));
        self.forget(kept_from.unwrap_or(0));
        if self.held.len() > MAX_HELD_BYTES {
            self.forget(self.held.len());
            heard(Heard {
                level: Level::Unknown,
                lasts: LOST,
            });
        }
    }

    /// The place of a byte of the stream in what is held.
    fn place(&self, offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.from)?).ok()
    }

    fn forget(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held.len());
        self.held.drain(..bytes);
        self.from += bytes as u64;
    }
}

impl FramedCodec {
    /// The loudness of a frame; `None` if the bytes are none.
    fn measure(&mut self, frame: &[u8]) -> Option<Heard> {
        match self {
            Self::Mp3(levels) => {
                let head = MpegHead::parse(frame)?;
                Some(Heard {
                    level: levels.measure(frame, &head),
                    lasts: head.duration()?,
                })
            }
            Self::Aac => {
                let head = AdtsHead::parse(frame)?;
                let own_bytes = head.frame_bytes()?.min(frame.len());
                Some(Heard {
                    level: aac::measure(&frame[..own_bytes]),
                    lasts: head.duration()?,
                })
            }
            Self::Flac(levels) => {
                if levels.is_none() {
                    *levels = stream_info(frame);
                }
                levels.as_ref()?.measure(frame)
            }
        }
    }
}

/// The facts in the headers of FLAC, if these are its headers.
fn stream_info(headers: &[u8]) -> Option<FlacLevels> {
    FlacLevels::new(headers.strip_prefix(MAGIC)?)
}
