//! The live edge of a ring: where it is, in bytes and in the stream's time, and when it came there.

use std::time::{Duration, Instant};

use super::Ring;

/// A last unit that is longer is not looked for: as long as the longest picture that is waited for.
const MAX_BEYOND_BYTES: usize = 1 << 20;

/// The live edge at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingEdge {
    /// The first byte behind the last whole frame.
    pub offset: u64,
    /// The stream's time there.
    pub time: Duration,
    /// When the last whole frame came.
    pub at: Instant,
}

impl Ring {
    /// The edge now.
    pub fn edge_now(&self) -> RingEdge {
        RingEdge {
            offset: self.edge,
            time: self.time_at_edge(),
            at: self.grown_at(),
        }
    }

    /// Moves the edge behind what the end of the stream proves to be whole, and says where it is then. It may be asked for of
    /// a stream that goes on elsewhere: the edge is then between two units, too.
    pub fn close_edge(&mut self) -> RingEdge {
        let beyond = usize::try_from(self.next() - self.edge).unwrap_or(usize::MAX);
        if (1..=MAX_BEYOND_BYTES).contains(&beyond) && self.edge >= self.oldest() {
            let bytes = self.blocks.read(self.edge, beyond).concat();
            self.edge += self.scanner.whole_at_end(&bytes) as u64;
        }
        self.edge_now()
    }

    /// The stream's time at the edge. The scanner's own is that of another unit, one before or behind it: units are taken to
    /// last as their bytes do at the stream's bitrate.
    fn time_at_edge(&self) -> Duration {
        let (time, timed) = (self.time(), self.scanner.timed());
        if timed == self.edge || !self.scanner.knows_media_time() {
            return time;
        }
        let bitrate_bps = self.bitrate_bps();
        if bitrate_bps == 0 {
            return time;
        }
        let lasting = |bytes: u64| Duration::from_secs_f64(bytes as f64 * 8.0 / bitrate_bps as f64);
        match self.edge.checked_sub(timed) {
            Some(beyond) => time + lasting(beyond),
            None => time.saturating_sub(lasting(timed - self.edge)),
        }
    }

    /// The place nearest to a time before an edge that has been seen, at which others may begin: a mark, or that edge, where
    /// the next one is. `None` without any mark.
    pub fn place_near(&self, wanted: Duration, edge: RingEdge) -> Option<u64> {
        let mark = self.marks.nearest(wanted)?;
        let behind = edge.time.saturating_sub(wanted);
        if mark.media_time >= edge.time || mark.media_time.abs_diff(wanted) > behind {
            return Some(edge.offset);
        }
        Some(mark.offset.max(self.anew.first_joined()))
    }

    /// The stream's time for those who begin at a byte: that of the first mark from there on, or at the edge.
    pub fn time_from(&self, offset: u64) -> Duration {
        let mark = self.marks.first_from(offset);
        mark.map_or_else(|| self.edge_now().time, |mark| mark.media_time)
    }
}
