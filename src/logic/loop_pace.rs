//! The place of an endless loop: by the wall clock, so that all nodes play the same second, and at a steady pace, whatever is done to
//! that clock.
//!
//! A clock that is off by little is followed a little faster or slower than time goes, which nobody hears. One that is off by
//! more is followed at once, by a jump.

use std::time::{Duration, Instant};

/// The loop jumps if the wall clock says that it is off by more: a listener would hear two nodes a second apart.
const MOST_OFF: Duration = Duration::from_secs(1);
/// The loop jumps over what it has missed if it was not looked at for so long: the machine slept. Listeners have as much in
/// store.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// By which part of the time that passes the loop may be faster or slower.
const GENTLY: u32 = 50;

/// The pace of one loop.
#[derive(Clone, Copy, Debug)]
pub struct LoopPace {
    /// How far it has been played, as a time since the Unix epoch.
    position: Duration,
    /// When that was.
    at: Instant,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopStep {
    /// Play on up to this time since the Unix epoch.
    Play(Duration),
    /// Begin anew at this time since the Unix epoch: the clock was set, or the machine slept.
    Jump(Duration),
}

impl LoopPace {
    /// A loop that begins now, which is this time since the Unix epoch.
    pub fn new(now: Instant, wall: Duration) -> Self {
        Self {
            position: wall,
            at: now,
        }
    }

    /// The next step. The position never goes back but by a jump.
    pub fn step(&mut self, now: Instant, wall: Duration) -> LoopStep {
        let passed = now.saturating_duration_since(self.at);
        let steady = self.position + passed;
        let (ahead, behind) = (steady.saturating_sub(wall), wall.saturating_sub(steady));
        self.at = now;
        if ahead > MOST_OFF || behind > MOST_OFF || passed > LONGEST_PAUSE {
            self.position = wall;
            return LoopStep::Jump(wall);
        }
        let most = passed / GENTLY;
        self.position = steady - ahead.min(most) + behind.min(most);
        LoopStep::Play(self.position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WALL: Duration = Duration::from_secs(1_800_000_000);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_that_was_set_is_followed_by_one_jump() {
        let begun = Instant::now();
        for wall in [WALL + ms(90_000), WALL - ms(90_000)] {
            let mut pace = LoopPace::new(begun, WALL);
            let step = pace.step(begun + ms(250), wall);
            assert_eq!(step, LoopStep::Jump(wall));
            let next = pace.step(begun + ms(500), wall + ms(250));
            assert_eq!(next, LoopStep::Play(wall + ms(250)));
        }
    }

    #[test]
    fn a_machine_that_slept_does_not_play_what_it_missed() {
        let begun = Instant::now();
        let mut pace = LoopPace::new(begun, WALL);
        let woken = pace.step(begun + ms(60_000), WALL + ms(60_000));
        assert_eq!(woken, LoopStep::Jump(WALL + ms(60_000)));
    }

    #[test]
    fn a_clock_that_is_off_by_little_is_followed_gently() {
        let begun = Instant::now();
        let mut pace = LoopPace::new(begun, WALL);
        let off = ms(100);
        let mut position = WALL;
        for beat in 1..=20 {
            let passed = ms(250) * beat;
            let LoopStep::Play(to) = pace.step(begun + passed, WALL + passed + off) else {
                panic!("no jump");
            };
            assert!(to - position <= ms(255), "{beat}");
            position = to;
        }
        assert_eq!(position, WALL + ms(5_000) + off, "all of it by now");
    }

    proptest! {
        /// Whatever is done to the clock, the loop neither stands still nor runs away.
        #[test]
        fn the_pace_is_steady(steps in prop::collection::vec((1_u64..2_000, -3_000_i64..3_000), 1..60)) {
            let (mut now, mut wall) = (Instant::now(), WALL);
            let mut pace = LoopPace::new(now, wall);
            let mut position = wall;
            for (passed_ms, set_ms) in steps {
                now += ms(passed_ms);
                wall += ms(passed_ms);
                wall = if set_ms < 0 { wall - ms(set_ms.unsigned_abs()) } else { wall + ms(set_ms.unsigned_abs()) };
                match pace.step(now, wall) {
                    LoopStep::Jump(to) => {
                        prop_assert_eq!(to, wall);
                        position = to;
                    }
                    LoopStep::Play(to) => {
                        let played = (to - position).as_nanos();
                        prop_assert!(played >= (ms(passed_ms) * 49 / 50).as_nanos() - 1);
                        prop_assert!(played <= (ms(passed_ms) * 51 / 50).as_nanos() + 1);
                        position = to;
                    }
                }
            }
        }
    }
}
