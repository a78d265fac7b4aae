//! The join points of a ring, and what they tell of its bitrate.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::format::joining::Mark;

/// The marks of the bytes that a ring holds, in order of both offset and time.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>);

/// Twice what 30 s can have: an MPEG frame lasts 8 ms or more, so there are at most 3,750.
/// Beyond it the oldest are forgotten: a listener may then join a little later than it could.
const MAX_MARKS: usize = 8_192;

impl Marks {
    /// Takes a mark. One that lies before the last is ignored: the look-ups count on the order.
    pub(super) fn push(&mut self, mark: Mark) {
        let is_earlier =
            |last: &Mark| mark.offset < last.offset || mark.media_time < last.media_time;
        if self.0.back().is_some_and(is_earlier) {
            return;
        }
        if self.0.len() == MAX_MARKS {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    pub(super) fn forget_before(&mut self, offset: u64) {
        while self.0.front().is_some_and(|mark| mark.offset < offset) {
            self.0.pop_front();
        }
    }

    /// The stream's time at the last mark.
    pub(super) fn last_time(&self) -> Option<Duration> {
        self.0.back().map(|mark| mark.media_time)
    }

    /// The first mark at or after `offset`.
    pub(super) fn first_from(&self, offset: u64) -> Option<Mark> {
        let first = self.0.partition_point(|mark| mark.offset < offset);
        self.0.get(first).copied()
    }

    /// How much time there is from the first mark at or after `offset` to the last one. The offset is near the oldest
    /// mark: from there the search goes, as it is made for each piece that comes.
    pub(super) fn time_since(&self, offset: u64) -> Duration {
        let mut marks = self.0.iter();
        match (marks.find(|mark| mark.offset >= offset), self.0.back()) {
            (Some(first), Some(last)) => last.media_time.saturating_sub(first.media_time),
            _ => Duration::ZERO,
        }
    }

    /// The mark nearest to `burst` before the last one; of two equally near ones the younger.
    pub(super) fn nearest(&self, burst: Duration) -> Option<Mark> {
        let target = self.0.back()?.media_time.saturating_sub(burst);
        let after = self.0.partition_point(|mark| mark.media_time < target);
        let younger = self.0.get(after).copied();
        let older = after.checked_sub(1).and_then(|before| self.0.get(before));
        match (older, younger) {
            (Some(older), Some(younger)) => {
                let before = target.saturating_sub(older.media_time);
                let is_older_nearer = before < younger.media_time.saturating_sub(target);
                Some(if is_older_nearer { *older } else { younger })
            }
            (_, younger) => younger,
        }
    }

    /// Bits per second of media time, measured over all marks from `since` on.
    /// `None` until they span more than `at_least`.
    pub(super) fn bitrate_bps(&self, since: Duration, at_least: Duration) -> Option<u64> {
        let first = self.0.partition_point(|mark| mark.media_time < since);
        let (first, last) = (self.0.get(first)?, self.0.back()?);
        let span = last.media_time.saturating_sub(first.media_time);
        let bits = last.offset.saturating_sub(first.offset) as f64 * 8.0;
        (span > at_least).then(|| (bits / span.as_secs_f64()).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(times_s: impl IntoIterator<Item = u64>) -> Marks {
        let mut marks = Marks::default();
        for time_s in times_s {
            marks.push(Mark {
                offset: time_s * 1_000,
                media_time: Duration::from_secs(time_s),
            });
        }
        marks
    }

    #[test]
    fn the_nearest_mark_may_be_older_or_younger() {
        let marks = marks([0, 10, 14, 20]);
        let nearest = |burst_s| {
            let mark = marks.nearest(Duration::from_secs(burst_s));
            mark.map(|mark| mark.offset / 1_000)
        };
        assert_eq!(nearest(0), Some(20));
        assert_eq!(nearest(4), Some(14));
        assert_eq!(nearest(5), Some(14));
        assert_eq!(nearest(8), Some(14));
        assert_eq!(nearest(9), Some(10));
        assert_eq!(nearest(500), Some(0));
        assert_eq!(Marks::default().nearest(Duration::ZERO), None);
    }

    #[test]
    fn the_bitrate_is_bytes_over_time() {
        let marks = marks([0, 1, 2, 5]);
        let none = Duration::ZERO;
        assert_eq!(marks.bitrate_bps(none, none), Some(8_000));
        assert_eq!(marks.bitrate_bps(none, Duration::from_secs(5)), None);
        assert_eq!(marks.bitrate_bps(Duration::from_secs(5), none), None);
    }

    #[test]
    fn a_mark_out_of_order_is_not_taken() {
        let mut marks = marks([0, 10]);
        for (offset, time_s) in [(20_000, 9), (9_999, 11)] {
            marks.push(Mark {
                offset,
                media_time: Duration::from_secs(time_s),
            });
        }
        assert_eq!(marks.last_time(), Some(Duration::from_secs(10)));
        assert_eq!(marks.time_since(0), Duration::from_secs(10));
        assert_eq!(marks.first_from(10_001), None);
        let none = Duration::ZERO;
        assert_eq!(marks.bitrate_bps(none, none), Some(8_000));
    }

    #[test]
    fn marks_are_bounded() {
        let marks = marks(0..10_000);
        assert_eq!(marks.0.len(), MAX_MARKS);
    }
}
