//! Whether a transcoder hangs: it gets audio, and makes nothing of it.

use std::time::{Duration, Instant};

/// How long a program may take from its first audio to what it makes of it: Liquidsoap takes a second to load itself, on a
/// small machine that is busy many of them.
pub const START_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take later. What a program buffers comes out some hundred milliseconds later; a machine that stands
/// still for so long is no place for a transcoder.
pub const STALL_LIMIT: Duration = Duration::from_secs(5);

/// How long audio has to go in before something has to come out: what goes in last before a pause may stay in the program.
pub const ENOUGH: Duration = Duration::from_secs(3);

/// The watch over one run of a program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// The audio of which nothing has come out yet.
    waits: Option<Waiting>,
    /// Whether the program leaves audio in its full pipe.
    is_full: bool,
    has_begun: bool,
}

/// When the first and the last of some audio was there.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    first: Instant,
    last: Instant,
}

impl Watch {
    /// Audio is there for the program, and has not been taken yet.
    pub fn note_input(&mut self, now: Instant) {
        let first = self.waits.map_or(now, |waits| waits.first);
        self.waits = Some(Waiting { first, last: now });
        self.is_full = true;
    }

    /// The program has taken the audio.
    pub fn note_taken(&mut self) {
        self.is_full = false;
    }

    /// The program has made something.
    pub fn note_output(&mut self) {
        self.waits = None;
        self.has_begun = true;
    }

    /// Whether the program leaves audio in its full pipe.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// When it hangs, if nothing comes out until then.
    pub fn deadline(&self) -> Option<Instant> {
        let limit = match self.has_begun {
            true => STALL_LIMIT,
            false => START_LIMIT,
        };
        let Waiting { first, last } = self.waits?;
        let is_enough = self.is_full || last.saturating_duration_since(first) >= ENOUGH;
        is_enough.then(|| first + limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A watch, of which one piece of audio was taken.
    fn fed(mut watch: Watch, now: Instant) -> Watch {
        watch.note_input(now);
        watch.note_taken();
        watch
    }

    #[test]
    fn a_program_without_audio_may_wait_for_ever() {
        let (watch, now) = (Watch::default(), Instant::now());
        assert_eq!(watch.deadline(), None);
        let mut watch = fed(watch, now);
        assert_eq!(watch.deadline(), None, "a little may stay in it");
        watch.note_output();
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_program_that_makes_nothing_of_its_audio_hangs() {
        let now = Instant::now();
        let mut watch = fed(Watch::default(), now);
        watch = fed(watch, now + ENOUGH);
        assert_eq!(watch.deadline(), Some(now + START_LIMIT));
        watch.note_output();
        let later = now + 10 * SECOND;
        watch = fed(fed(watch, later), later + SECOND);
        assert_eq!(watch.deadline(), None);
        watch = fed(watch, later + ENOUGH);
        assert_eq!(watch.deadline(), Some(later + STALL_LIMIT));
    }

    #[test]
    fn a_program_that_takes_no_audio_hangs() {
        let now = Instant::now();
        let mut watch = fed(Watch::default(), now);
        watch.note_output();
        watch.note_input(now + SECOND);
        assert_eq!(watch.deadline(), Some(now + SECOND + STALL_LIMIT));
    }
}
