//! The clocks and the dice of the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the machine's clock; 0 if it stands before that.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_millis() as u64
}

/// Now, by the clock that never goes back; the one that a paused test moves.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A random number from 0 to 1, to spread what would otherwise happen everywhere at once.
pub fn luck() -> f64 {
    rand::random()
}
