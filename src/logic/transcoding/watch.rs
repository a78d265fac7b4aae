//! Whether a transcoder hangs: it gets audio, and makes nothing of it.

use std::time::{Duration, Instant};

/// How long a program may take from its first audio to what it makes of it: Liquidsoap takes a second to load itself, on a
/// small machine that is busy many of them.
pub const START_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take later. What a program buffers comes out some hundred milliseconds later; a machine that stands
/// still for so long is no place for a transcoder.
pub const STALL_LIMIT: Duration = Duration::from_secs(5);

/// The watch over one run of a program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// When the audio was there of which nothing has come out yet.
    waits_since: Option<Instant>,
    has_begun: bool,
}

impl Watch {
    /// Audio was there for the program, whether it has taken it or not.
    pub fn note_input(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    /// The program has made something.
    pub fn note_output(&mut self) {
        *self = Self {
            waits_since: None,
            has_begun: true,
        };
    }

    /// When it hangs, if nothing comes out until then.
    pub fn deadline(&self) -> Option<Instant> {
        let limit = match self.has_begun {
            true => STALL_LIMIT,
            false => START_LIMIT,
        };
        Some(self.waits_since? + limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_audio_may_wait_for_ever() {
        let mut watch = Watch::default();
        assert_eq!(watch.deadline(), None);
        watch.note_input(Instant::now());
        watch.note_output();
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_program_that_makes_nothing_of_its_audio_hangs() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        let second = Duration::from_secs(1);
        watch.note_input(now);
        watch.note_input(now + second);
        assert_eq!(watch.deadline(), Some(now + START_LIMIT));
        watch.note_output();
        watch.note_input(now + 2 * second);
        watch.note_input(now + 3 * second);
        assert_eq!(watch.deadline(), Some(now + 2 * second + STALL_LIMIT));
    }
}
