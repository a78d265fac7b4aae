//! Waiting for a condition: until it holds, or until there is no hope left.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at: often enough to measure a bound of a second, seldom enough to leave the
/// two cores of a small machine to the nodes.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// The time that anything that has no bound of its own may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds what it looks for, and returns it with the time that took.
///
/// Panics after `limit`, saying what was awaited and what was seen last. The nodes of the test then show their
/// logs as they are dropped.
pub(crate) fn eventually<T, E: Display>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return (found, begun.elapsed()),
            Err(seen) if begun.elapsed() > limit => {
                panic!("not within {limit:?}: {what}; last seen: {seen}")
            }
            Err(_) => thread::sleep(LOOK_PERIOD),
        }
    }
}

/// `Ok` if it is so, else what was seen instead.
pub(crate) fn so(it_is: bool, seen: impl Display) -> Result<(), String> {
    if it_is { Ok(()) } else { Err(seen.to_string()) }
}
