//! The join points of a ring.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::format::joining::Mark;

/// The marks of the bytes that a ring holds, in order of both offset and time.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>);

/// The most that the longest window of 120 s can have: an MPEG frame lasts 8 ms or more, so there are at most 15,000.
/// Beyond it the oldest are forgotten: a listener may then join a little later than it could.
const MAX_MARKS: usize = 16_384;

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

    /// The first mark of all.
    pub(super) fn first(&self) -> Option<Mark> {
        self.0.front().copied()
    }

    /// The first mark at or after `offset`.
    pub(super) fn first_from(&self, offset: u64) -> Option<Mark> {
        let first = self.0.partition_point(|mark| mark.offset < offset);
        self.0.get(first).copied()
    }

    /// The mark that is nearest to a time.
    pub(super) fn nearest(&self, time: Duration) -> Option<Mark> {
        let after = self.0.partition_point(|mark| mark.media_time <= time);
        let younger = self.0.get(after).copied();
        let older = after.checked_sub(1).and_then(|at| self.0.get(at)).copied();
        let both = [older, younger].into_iter().flatten();
        both.min_by_key(|mark| mark.media_time.abs_diff(time))
    }

    /// The mark for a listener that is to be `burst` behind `now`, the stream's time.
    ///
    /// The last one until then, so that it gets all of its burst; the next one if that is older by more than twice the
    /// burst, as between the keyframes of some films: it would be sent too much at once.
    pub(super) fn behind(&self, now: Duration, burst: Duration) -> Option<Mark> {
        let target = now.saturating_sub(burst);
        let after = self.0.partition_point(|mark| mark.media_time <= target);
        let younger = self.0.get(after).copied();
        let older = after.checked_sub(1).and_then(|at| self.0.get(at)).copied();
        let is_near = |older: &Mark| target - older.media_time <= burst.saturating_mul(2);
        older.filter(is_near).or(younger).or(older)
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

    /// The time in seconds of the mark for a listener.
    fn behind(marks: &Marks, now_s: u64, burst_s: u64) -> Option<u64> {
        let (now, burst) = (Duration::from_secs(now_s), Duration::from_secs(burst_s));
        let mark = marks.behind(now, burst);
        mark.map(|mark| mark.offset / 1_000)
    }

    #[test]
    fn a_listener_gets_at_least_its_burst() {
        let marks = marks([0, 10, 14, 20]);
        for (burst_s, time_s) in [(0, 20), (1, 20), (3, 14), (7, 14), (8, 10), (500, 0)] {
            assert_eq!(behind(&marks, 21, burst_s), Some(time_s), "{burst_s}");
        }
        assert_eq!(behind(&marks, 20, 0), Some(20));
        assert_eq!(behind(&Marks::default(), 9, 0), None);
    }

    #[test]
    fn a_listener_of_a_film_begins_at_the_keyframe_before_its_burst() {
        let film = marks((0..).step_by(10).take(4));
        assert_eq!(behind(&film, 34, 5), Some(20));
        assert_eq!(behind(&film, 39, 5), Some(30));
        let rare = marks([0, 30]);
        assert_eq!(behind(&rare, 15, 5), Some(0), "older by twice the burst");
        assert_eq!(behind(&rare, 31, 5), Some(30), "older by more");
        assert_eq!(behind(&rare, 25 + 30, 5), Some(30), "there is no other");
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
        assert_eq!(marks.first().map(|mark| mark.offset), Some(0));
        assert_eq!(marks.first_from(10_001), None);
    }

    #[test]
    fn marks_are_bounded() {
        let marks = marks(0..20_000);
        assert_eq!(marks.0.len(), MAX_MARKS);
    }
}
