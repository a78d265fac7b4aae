//! The intro that one listener hears before its stream, and how much of it is due.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};

use crate::media::intro::Intro;

/// How far an intro is sent ahead of the time at which it is heard.
///
/// More than the burst of a stream, so that no player stutters; not all at once, because a browser with some minutes in its
/// buffer stops reading for as long, and would be taken for one that is stuck.
const AHEAD: Duration = Duration::from_secs(10);

/// The rest of an intro. The bytes are shared by all who hear it.
#[derive(Debug)]
pub(super) struct IntroRest {
    left: Bytes,
    taken_bytes: u64,
    bytes_per_s: u64,
    began: Instant,
}

impl IntroRest {
    /// All of an intro, if there is one.
    pub(super) fn new(intro: Option<&Intro>, now: Instant) -> Self {
        Self {
            left: intro.map(|intro| intro.bytes().clone()).unwrap_or_default(),
            taken_bytes: 0,
            bytes_per_s: intro.map_or(0, Intro::bytes_per_s),
            began: now,
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// At most so many bytes of what is to be sent by now.
    pub(super) fn due(&self, now: Instant, at_most: usize) -> Bytes {
        let time = now.saturating_duration_since(self.began) + AHEAD;
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let due = self.bytes_per_s.saturating_mul(millis) / 1_000;
        let due = usize::try_from(due.saturating_sub(self.taken_bytes)).unwrap_or(usize::MAX);
        self.left.slice(..self.left.len().min(due).min(at_most))
    }

    /// Notes that so many of them were taken.
    pub(super) fn advance(&mut self, bytes: usize) {
        let taken = bytes.min(self.left.len());
        self.left.advance(taken);
        self.taken_bytes += taken as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::format::detect::Format;
    use crate::media::format::mpeg::samples;

    #[test]
    fn an_intro_is_due_some_seconds_ahead() {
        let now = Instant::now();
        let intro = Intro::read(&samples::frames(4_000), Format::Mpeg, 0).unwrap();
        let mut rest = IntroRest::new(Some(&intro), now);
        let ahead = rest.due(now, usize::MAX).len();
        assert!((158_000..162_000).contains(&ahead), "{ahead}");
        assert_eq!(rest.due(now, 100), intro.bytes().slice(..100));
        rest.advance(ahead);
        assert_eq!(rest.due(now, usize::MAX), Bytes::new());
        let later = rest.due(now + Duration::from_secs(1), usize::MAX).len();
        assert!((15_900..16_100).contains(&later), "{later}");
        rest.advance(usize::MAX);
        assert!(rest.is_over() && IntroRest::new(None, now).is_over());
    }
}
