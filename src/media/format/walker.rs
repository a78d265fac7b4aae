//! The common face of all scanners: each walks through the bytes of one format, unit by unit.

use std::time::Duration;

use super::joining::{Scanned, Trouble};
use super::layout::Layout;
use super::opaque::Pieces;
use crate::model::format::StreamFormat;

/// A scanner of one format. It copies no audio, allocates nothing per unit, and what it holds is bounded.
pub(super) trait Walker {
    /// Takes the next bytes, which arrived so long after the start, and calls `found` for what is certain by now, in
    /// order of offsets. However the bytes are cut, the findings are the same.
    fn feed(&mut self, bytes: &[u8], arrived: Duration, found: &mut dyn FnMut(Scanned));

    /// The offset of the next byte to be fed.
    fn next(&self) -> u64;

    /// The end of the last whole unit (frame, page, block): a decoder that is given no byte beyond it meets nothing that
    /// is cut. While nothing of the format is recognised it is [`Self::next`], or where a unit may just have begun. It never
    /// falls.
    fn edge(&self) -> u64 {
        self.next()
    }

    /// How many of the bytes beyond the edge are whole units too, if nothing follows them; they are all that have come.
    fn whole_at_end(&self, _beyond: &[u8]) -> usize {
        0
    }

    /// The time of the audio up to the last unit; `None` while only the time of arrival is known.
    fn media_time(&self) -> Option<Duration>;

    /// The end of the unit up to which [`Self::media_time`] counts: it may be beyond the edge, where a unit has begun, or before
    /// it, where one is whole and not believed yet.
    fn timed(&self) -> u64 {
        self.edge()
    }

    /// The format as far as the bytes tell it, `bitrate_bps` always 0; `None` if they tell nothing.
    fn format(&self) -> Option<StreamFormat> {
        None
    }

    /// The layout for which a decoder of the stream is set up; `None` until it is known, and if no format is recognised.
    fn layout(&self) -> Option<Layout> {
        None
    }

    /// Why listeners that come late may not decode the stream as it is now.
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// Whether units are so short that a source which sends audio sends several in a second. A page of Ogg may hold many
    /// seconds, and its clock may stand still.
    fn has_short_frames(&self) -> bool {
        false
    }

    /// Whether so many bytes came of which nothing is of the format that the stream is no longer taken for it.
    fn is_lost(&self) -> bool;

    /// The rest of the stream as one of which nothing is known.
    fn to_pieces(&self) -> Pieces;
}

impl Walker for Pieces {
    fn feed(&mut self, bytes: &[u8], arrived: Duration, found: &mut dyn FnMut(Scanned)) {
        if let Some(mark) = self.take(bytes, arrived) {
            found(Scanned::Mark(mark));
        }
    }

    fn next(&self) -> u64 {
        Pieces::next(self)
    }

    fn media_time(&self) -> Option<Duration> {
        None
    }

    fn trouble(&self) -> Option<Trouble> {
        Pieces::trouble(self)
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn to_pieces(&self) -> Pieces {
        self.clone()
    }
}
