//! Many times, and what to say of them.

use std::fmt;
use std::time::Duration;

/// Times, the shortest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Gathers the times.
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    /// The time that this share of all is not longer than; `None` if there are none.
    pub(crate) fn at(&self, share: f64) -> Option<Duration> {
        let last = self.0.len().checked_sub(1)?;
        Some(self.0[(last as f64 * share).ceil() as usize])
    }

    /// The time that 99 of 100 are not longer than.
    pub(crate) fn p99(&self) -> Option<Duration> {
        self.at(0.99)
    }

    /// The longest.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.0.last().copied()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at(0.5), self.p99()) {
            (Some(median), Some(p99)) => {
                write!(f, "{} / {} ms", median.as_millis(), p99.as_millis())
            }
            _ => f.write_str("–"),
        }
    }
}
