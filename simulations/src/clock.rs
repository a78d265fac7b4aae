//! The clocks of one machine: one that only goes forward, and one on the wall that may be wrong.
//!
//! The first may run too fast or too slow, the second may jump; nothing that a node decides may depend on
//! either being right.

use std::time::{Duration, Instant};

/// The time on every wall clock when a world begins, unix milliseconds; any number far from 0 would do.
const BEGINNING_UNIX_MS: u64 = 1_700_000_000_000;

/// The clocks of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Instant,
    /// How many of its seconds pass in one of the world's.
    rate: f64,
    /// How far its wall clock is ahead, milliseconds.
    ahead_ms: i64,
}

impl Clock {
    /// Clocks that run at `rate`, in a world whose time is counted from `base`.
    pub fn new(base: Instant, rate: f64) -> Self {
        Self {
            base,
            rate,
            ahead_ms: 0,
        }
    }

    /// Moves the wall clock, forward or back.
    pub fn jump(&mut self, by_ms: i64) {
        self.ahead_ms += by_ms;
    }

    /// Sets the wall clock right.
    pub fn set_right(&mut self) {
        self.ahead_ms = 0;
    }

    /// The monotonic clock at a time of the world.
    pub fn at(&self, now: Duration) -> Instant {
        self.base + now.mul_f64(self.rate)
    }

    /// The world's time at which its monotonic clock shows at least this.
    pub fn when(&self, shown: Instant) -> Duration {
        let own = shown.duration_since(self.base);
        // Rounding must not lead to a time before the one that was asked for.
        own.div_f64(self.rate) + Duration::from_nanos(2)
    }

    /// How long the world takes while its monotonic clock goes on by this.
    pub fn world_time(&self, own: Duration) -> Duration {
        own.div_f64(self.rate)
    }

    /// The wall clock at a time of the world, unix milliseconds.
    pub fn wall_ms(&self, now: Duration) -> u64 {
        let own_ms = now.mul_f64(self.rate).as_millis() as u64;
        (BEGINNING_UNIX_MS + own_ms).saturating_add_signed(self.ahead_ms)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for distances")]
mod tests {
    use super::*;

    #[test]
    fn a_requested_time_has_come_when_it_comes() {
        for rate in [0.95, 1.0, 1.000_01, 1.05] {
            let clock = Clock::new(Instant::now(), rate);
            for ms in (1..600_000).step_by(977) {
                let shown = clock.at(Duration::ZERO) + Duration::from_millis(ms);
                assert!(clock.at(clock.when(shown)) >= shown, "{rate} {ms}");
            }
        }
    }

    #[test]
    fn a_jump_moves_the_wall_clock_and_nothing_else() {
        let mut clock = Clock::new(Instant::now(), 1.0);
        let (now, before) = (Duration::from_secs(9), clock);
        clock.jump(-300_000);
        assert_eq!(clock.wall_ms(now), before.wall_ms(now) - 300_000);
        assert_eq!(clock.at(now), before.at(now));
    }
}
