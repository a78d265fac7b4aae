//! How much audio the listeners of a channel are owed, because streams come in pieces, and stop before others are heard.
//!
//! A stream of Ogg may come in pages of a second. A listener that goes over to another one has then heard less than was sent by
//! then, or more; over many switches that must not add up.

use std::time::{Duration, Instant};

/// The most that listeners may have got too much: it cannot be taken back, only given less of later.
const MOST_TOO_MUCH: i64 = 2_000;

/// Milliseconds of audio that listeners lack; less than zero: they have got too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owed(i64);

impl Owed {
    /// The debt when one stream whose last frame came at one time is left for another, whose last frame came at another time.
    pub(super) fn add(self, left: Instant, next: Instant, most: Duration) -> Self {
        let lacks = match next.checked_duration_since(left) {
            Some(later) => milliseconds(later),
            None => -milliseconds(left.saturating_duration_since(next)),
        };
        let owed = self.0.saturating_add(lacks);
        Self(owed.clamp(-MOST_TOO_MUCH, milliseconds(most)))
    }

    /// The debt when so much of it was given.
    pub(super) fn less(self, given: Duration) -> Self {
        Self((self.0 - milliseconds(given)).max(-MOST_TOO_MUCH))
    }

    /// How far behind the live edge listeners should begin.
    pub(super) fn behind(self) -> Duration {
        Duration::from_millis(self.0.max(0).unsigned_abs())
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(5);

    #[test]
    fn what_is_given_is_no_longer_owed() {
        let now = Instant::now();
        let ms = Duration::from_millis;
        let owed = Owed::default().add(now, now + ms(700), MOST);
        assert_eq!(owed.behind(), ms(700));
        let owed = owed.less(ms(1_000));
        assert_eq!(owed.behind(), ms(0));
        assert_eq!(owed.add(now, now + ms(700), MOST).behind(), ms(400));
        assert_eq!(owed.add(now + ms(700), now, MOST).behind(), ms(0));
        assert_eq!(owed.add(now, now + ms(60_000), MOST).behind(), MOST);
    }

    #[test]
    fn a_surplus_is_bounded() {
        let now = Instant::now();
        let rich = Owed::default().less(Duration::from_secs(60));
        let next = rich.add(now, now + Duration::from_secs(3), MOST);
        assert_eq!(next.behind(), Duration::from_secs(1));
    }
}
