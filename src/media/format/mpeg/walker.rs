//! MPEG audio as a walker: every frame is a mark.

use std::time::Duration;

use super::{FrameScanner, FrameStart};
use crate::media::format::joining::{Mark, Scanned, StreamStart};
use crate::media::format::opaque::Pieces;
use crate::media::format::walker::Walker;

/// After so many bytes without a single frame, the stream is no longer taken for MPEG.
///
/// Some sources send AAC or Ogg as `audio/mpeg`, and their listeners should hear something. The limit is
/// more than twenty of the longest frames: no real stream is so long without one.
const UNFRAMED_BYTES: u64 = 64 << 10;

/// Finds where a stream of MPEG audio may be joined.
#[derive(Clone, Debug)]
pub struct MpegScanner {
    frames: FrameScanner,
    /// How much audio was before the first frame.
    since: Duration,
}

impl MpegScanner {
    /// A scanner that begins in the middle of a stream, or at its beginning.
    pub(in crate::media::format) fn in_the_middle(start: &StreamStart) -> Self {
        Self {
            frames: FrameScanner::new(start.offset),
            since: start.media_time,
        }
    }
}

impl Walker for MpegScanner {
    fn feed(&mut self, bytes: &[u8], _arrived: Duration, found: &mut dyn FnMut(Scanned)) {
        self.frames.feed(bytes, |start: FrameStart| {
            found(Scanned::Mark(Mark {
                offset: start.offset,
                media_time: self.since + start.media_time,
            }));
        });
    }

    fn next(&self) -> u64 {
        self.frames.next()
    }

    fn media_time(&self) -> Option<Duration> {
        Some(self.since + self.frames.media_time())
    }

    fn has_short_frames(&self) -> bool {
        true
    }

    fn is_lost(&self) -> bool {
        self.frames.media_time().is_zero() && self.frames.junk_bytes() > UNFRAMED_BYTES
    }

    fn to_pieces(&self) -> Pieces {
        Pieces::new(self.next(), self.since)
    }
}
