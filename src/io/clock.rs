//! The clocks and the dice of the machine.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The clock of whoever has to look at one when nobody hands it the time, such as what is dropped.
#[derive(Clone, Debug, Default)]
pub enum RuntimeClock {
    /// The machine's; see [`now`].
    #[default]
    Machine,
    /// A simulation's: stands still until it is set.
    Set(Arc<Mutex<Instant>>),
}

impl RuntimeClock {
    /// A clock that stands at this time.
    pub fn standing_at(now: Instant) -> Self {
        Self::Set(Arc::new(Mutex::new(now)))
    }

    /// Sets one that stands still; the machine's goes by itself.
    pub fn set(&self, now: Instant) {
        if let Self::Set(hands) = self {
            *hands.lock() = now;
        }
    }

    /// The time on the clock.
    pub fn now(&self) -> Instant {
        match self {
            Self::Machine => now(),
            Self::Set(hands) => *hands.lock(),
        }
    }
}

/// Milliseconds since 1970 by the machine's clock; 0 if it stands before that.
pub fn unix_ms() -> u64 {
    since_epoch().as_millis() as u64
}

/// The time of the machine's clock, unix seconds; 0 if it stands before 1970.
pub fn unix_s() -> u64 {
    since_epoch().as_secs()
}

/// The time since 1970 by the machine's clock; nothing if it stands before that.
pub fn since_epoch() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO)
}

/// Now, by the clock that never goes back; the one that a paused test moves.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The first beat of this node.
static FIRST_BEAT: LazyLock<Instant> = LazyLock::new(now);

/// The next beat of the node with this period, never now. Tasks that have to do something now and then, and not at a
/// certain moment, wake by it: to wake for several of them at once costs little more than for one.
pub fn next_beat(period: Duration) -> Instant {
    let now = now();
    let since = now.saturating_duration_since(*FIRST_BEAT);
    let passed = since.as_nanos() % period.as_nanos().max(1);
    // The rest is less than the period.
    now + period.saturating_sub(Duration::from_nanos(passed as u64))
}

/// A random number from 0 to 1, to spread what would otherwise happen everywhere at once.
pub fn random_share() -> f64 {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn beats_of_one_period_meet() {
        let period = Duration::from_millis(250);
        tokio::time::sleep_until(next_beat(period).into()).await;
        assert_eq!(next_beat(period), now() + period);
        tokio::time::sleep(Duration::from_millis(90)).await;
        assert_eq!(next_beat(period), now() + Duration::from_millis(160));
        assert_eq!(
            next_beat(2 * period).max(next_beat(period)),
            next_beat(2 * period)
        );
        assert!(next_beat(Duration::ZERO) >= now());
    }
}
