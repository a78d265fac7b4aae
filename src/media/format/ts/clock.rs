//! The time of a programme by its clock, or by the times of its pictures as long as it has none.

use std::time::Duration;

use super::packet::clock_step;

/// The clock counts 90,000 in a second.
const NANOS_IN_NINE_TICKS: u64 = 100_000;

/// A greater step, or one back, is no time: the source has begun anew. It is as long as a ring's window.
const MAX_STEP_TICKS: u64 = 30 * 90_000;

/// The time so far.
#[derive(Clone, Debug)]
pub(super) struct TsClock {
    /// How much was before.
    since: Duration,
    /// How much the clock went on since then.
    ticks: u64,
    /// The value that it showed last.
    last: Option<u64>,
    /// Whether that was a reference, and not the time of a picture.
    has_reference: bool,
}

impl TsClock {
    /// A clock that has shown nothing since this time.
    pub(super) fn new(since: Duration) -> Self {
        Self {
            since,
            ticks: 0,
            last: None,
            has_reference: false,
        }
    }

    /// Takes a reference: from now on they count alone.
    pub(super) fn take_reference(&mut self, shown: u64) {
        if !self.has_reference {
            self.restart();
            self.has_reference = true;
        }
        self.take(shown);
    }

    /// Takes the time of a picture, or of sound.
    pub(super) fn take_timestamp(&mut self, shown: u64) {
        if !self.has_reference {
            self.take(shown);
        }
    }

    /// Goes on with a clock that shows something else.
    pub(super) fn restart(&mut self) {
        self.last = None;
        self.has_reference = false;
    }

    /// The time so far.
    pub(super) fn time(&self) -> Duration {
        self.since + Duration::from_nanos(self.ticks.saturating_mul(NANOS_IN_NINE_TICKS) / 9)
    }

    fn take(&mut self, shown: u64) {
        let step = self.last.map_or(0, |last| clock_step(last, shown));
        self.last = Some(shown);
        if step <= MAX_STEP_TICKS {
            self.ticks = self.ticks.saturating_add(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_steps_forward_are_time() {
        let mut clock = TsClock::new(Duration::from_secs(7));
        for (shown, ms) in [
            ((1 << 33) - 90_000, 7_000),
            ((1 << 33) - 45_000, 7_500),
            (45_000, 8_500), // It begins anew after 33 bits.
            (0, 8_500),
            (90_000, 9_500),
            (90_000 * 40, 9_500),
            (90_000 * 70, 39_500),
        ] {
            clock.take_timestamp(shown);
            assert_eq!(clock.time().as_millis(), ms);
        }
    }

    #[test]
    fn references_count_alone_once_there_are_any() {
        let mut clock = TsClock::new(Duration::ZERO);
        clock.take_timestamp(0);
        clock.take_timestamp(9_000);
        clock.take_reference(4_500);
        clock.take_timestamp(18_000);
        assert_eq!(clock.time(), Duration::from_millis(100));
        clock.take_reference(9_000);
        assert_eq!(clock.time(), Duration::from_millis(150));
        clock.restart();
        clock.take_timestamp(0);
        clock.take_timestamp(900);
        assert_eq!(clock.time(), Duration::from_millis(160));
    }
}
