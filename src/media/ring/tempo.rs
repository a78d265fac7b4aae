//! How fast a stream goes: its time at some of the bytes that a ring holds.
//!
//! Marks alone do not tell it: a film may have a keyframe each ten seconds only.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::format::joining::Mark;

/// The stream's time at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    offset: u64,
    time: Duration,
}

/// Samples of a stream's time, in order of both offset and time.
#[derive(Debug, Default)]
pub(super) struct Tempo(VecDeque<Sample>);

/// The least time between two samples: as fine as a ring is dropped in blocks at 128 kbit/s.
const SPACING: Duration = Duration::from_millis(250);
/// The same where no mark is: a scanner's edge may be some frames before or behind the byte at which its time is. Where
/// frames are marks, there is always one sooner, so that it does not matter in which pieces a stream comes.
const UNMARKED_SPACING: Duration = Duration::from_millis(500);
/// More than twice the longest window, 120 s. Beyond it the oldest are forgotten: a ring may then keep more than it has to.
const MAX_SAMPLES: usize = 1_024;

impl Tempo {
    /// Takes in a mark, which tells the time at its byte exactly.
    pub(super) fn note_mark(&mut self, mark: Mark) {
        self.note(mark.offset, mark.media_time, SPACING);
    }

    /// Takes in how far a scanner has come, and the time there.
    pub(super) fn note_edge(&mut self, offset: u64, time: Duration) {
        self.note(offset, time, UNMARKED_SPACING);
    }

    /// Headers are no part of the tempo: they take no time, so the first sample moves behind them.
    fn note(&mut self, offset: u64, time: Duration, spacing: Duration) {
        let sample = Sample { offset, time };
        let is_alone = self.0.len() == 1;
        match self.0.back_mut() {
            Some(last) if offset < last.offset => return,
            Some(first) if is_alone && time == first.time => {
                *first = sample;
                return;
            }
            Some(last) if time < last.time.saturating_add(spacing) => return,
            _ => {}
        }
        if self.0.len() == MAX_SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// Forgets the samples before this byte.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while self.0.front().is_some_and(|it| it.offset < offset) {
            self.0.pop_front();
        }
    }

    /// The time at the first sample from this byte on. The offset is near the oldest one: from there the search goes, as it
    /// is made for each piece that comes.
    pub(super) fn time_from(&self, offset: u64) -> Option<Duration> {
        let first = self.0.iter().find(|it| it.offset >= offset);
        first.map(|sample| sample.time)
    }

    /// Bits per second of the stream's time, measured over all samples from `since` on.
    /// `None` until they span more than `at_least`.
    pub(super) fn bitrate_bps(&self, since: Duration, at_least: Duration) -> Option<u64> {
        let first = self.0.partition_point(|it| it.time < since);
        let (first, last) = (self.0.get(first)?, self.0.back()?);
        let span = last.time.saturating_sub(first.time);
        let bits = last.offset.saturating_sub(first.offset) as f64 * 8.0;
        (span > at_least).then(|| (bits / span.as_secs_f64()).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64, ms: u64) -> Mark {
        Mark {
            offset,
            media_time: Duration::from_millis(ms),
        }
    }

    fn marked(marks: impl IntoIterator<Item = (u64, u64)>) -> Tempo {
        let mut tempo = Tempo::default();
        for (offset, ms) in marks {
            tempo.note_mark(mark(offset, ms));
        }
        tempo
    }

    #[test]
    fn the_bitrate_is_bytes_over_time() {
        let tempo = marked([(0, 0), (1_000, 1_000), (2_000, 2_000), (5_000, 5_000)]);
        let none = Duration::ZERO;
        assert_eq!(tempo.bitrate_bps(none, none), Some(8_000));
        assert_eq!(tempo.bitrate_bps(none, Duration::from_secs(5)), None);
        assert_eq!(tempo.bitrate_bps(Duration::from_secs(5), none), None);
    }

    #[test]
    fn samples_lie_apart_and_in_order() {
        let mut tempo = marked((0..100).map(|n| (n * 10, n * 10)));
        let offsets: Vec<u64> = tempo.0.iter().map(|it| it.offset).collect();
        assert_eq!(offsets, [0, 250, 500, 750]);
        for (offset, ms) in [(749, 2_000), (2_000, 700), (990, 990)] {
            tempo.note_mark(mark(offset, ms));
        }
        tempo.note_edge(1_100, Duration::from_millis(1_200));
        assert_eq!(tempo.0.len(), 4);
        tempo.note_edge(1_250, Duration::from_millis(1_250));
        assert_eq!(tempo.0.len(), 5);
    }

    #[test]
    fn a_film_without_keyframes_has_a_tempo() {
        let mut tempo = marked([(0, 0)]);
        for n in 1..=80 {
            tempo.note_edge(n * 12_500, Duration::from_millis(n * 100));
        }
        let none = Duration::ZERO;
        assert_eq!(tempo.bitrate_bps(none, none), Some(1_000_000));
        assert_eq!(tempo.time_from(1), Some(Duration::from_millis(500)));
        tempo.forget_before(62_500);
        assert_eq!(tempo.time_from(0), Some(Duration::from_millis(500)));
        assert_eq!(tempo.time_from(1_000_001), None);
    }

    #[test]
    fn headers_are_no_part_of_the_bitrate() {
        let tempo = marked([(0, 7_000), (3 << 20, 7_000), ((3 << 20) + 1_000, 8_000)]);
        let none = Duration::ZERO;
        assert_eq!(tempo.bitrate_bps(none, none), Some(8_000));
        assert_eq!(tempo.time_from(0), Some(Duration::from_secs(7)));
    }

    #[test]
    fn samples_are_bounded() {
        let tempo = marked((0..10_000).map(|n| (n, n * 1_000)));
        assert_eq!(tempo.0.len(), MAX_SAMPLES);
    }
}
