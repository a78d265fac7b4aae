//! Streams of which nothing is known: they are joined where a piece of them arrived, and their time is that of arrival.

use std::time::Duration;

use super::joining::{Mark, Trouble};

/// The least time between two marks of pieces: finer than any listener's burst needs, and it bounds the
/// marks of 30 s to 1,500 even when a source sends byte by byte.
const PIECE_SPACING: Duration = Duration::from_millis(20);

/// Marks pieces as they arrive.
#[derive(Clone, Debug)]
pub struct Pieces {
    next: u64,
    /// When a piece was marked last.
    marked: Option<Duration>,
    /// When a piece arrived last.
    arrived: Duration,
    /// The time of the stream then.
    time: Duration,
    /// Why nothing is known of a stream that was taken for one of a known format.
    trouble: Option<Trouble>,
}

impl Pieces {
    /// The next byte is the one at `start`, before which there was so much of the stream.
    pub(super) fn new(start: u64, time: Duration) -> Self {
        Self {
            next: start,
            marked: None,
            arrived: Duration::ZERO,
            time,
            trouble: None,
        }
    }

    /// The same for a stream that was taken for one of a known format until this came about.
    pub(super) fn with_trouble(self, trouble: Option<Trouble>) -> Self {
        Self { trouble, ..self }
    }

    /// Takes a piece, and marks it unless there is a mark just before it.
    pub(super) fn take(&mut self, bytes: &[u8], arrived: Duration) -> Option<Mark> {
        let offset = self.next;
        let time = self.time + arrived.saturating_sub(self.arrived);
        self.pass(bytes, arrived, time);
        let due = |last: Duration| arrived >= last + PIECE_SPACING;
        if bytes.is_empty() || !self.marked.is_none_or(due) {
            return None;
        }
        self.marked = Some(arrived);
        Some(Mark {
            offset,
            media_time: self.time,
        })
    }

    /// Passes over a piece in which something is known, up to this time of the stream.
    pub(super) fn pass(&mut self, bytes: &[u8], arrived: Duration, time: Duration) {
        self.next += bytes.len() as u64;
        self.arrived = self.arrived.max(arrived);
        self.time = self.time.max(time);
    }

    /// The offset of the next byte to be taken.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Why nothing is known of the stream.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// The time of the stream when the last piece arrived.
    pub(super) fn time(&self) -> Duration {
        self.time
    }
}
