//! Whether a stream sounds, is quiet for a moment, or has been silent for long, by the loudness of its pieces.

use std::time::Duration;

use super::level::{Heard, Level};
use crate::model::sound::{SilenceSpec, SoundState};

/// For so long something has to sound in a row to end a silence: less than the shortest pip of a time signal (100 ms), and
/// more than one frame of MP3 or AAC, whose loudness may be judged far too high where its blocks are short.
const SOUND: Duration = Duration::from_millis(50);

/// After so much of it in a row quiet is told: longer than pauses between words, so that speech does not change it all the
/// time.
const QUIET: Duration = Duration::from_secs(2);

/// After so much in a row of which nothing is known, nothing is known of the stream either.
const UNKNOWN: Duration = Duration::from_secs(1);

/// Follows the loudness of one stream.
#[derive(Clone, Debug)]
pub struct SilenceWatch {
    settings: SilenceSpec,
    /// How long the stream has been quiet.
    quiet: Duration,
    /// How long it has sounded in a row.
    loud: Duration,
    /// How long nothing has been known of it in a row.
    unknown: Duration,
    /// Whether anything was heard so far: what was silent from the beginning never sounded a moment ago.
    has_sounded: bool,
}

/// How loud a piece is in the terms of a mount.
enum Verdict {
    Quiet,
    Loud,
    Unknown,
}

impl SilenceWatch {
    /// A watch of a stream of which nothing has been heard.
    pub fn new(settings: SilenceSpec) -> Self {
        Self {
            settings,
            quiet: Duration::ZERO,
            loud: Duration::ZERO,
            unknown: UNKNOWN,
            has_sounded: false,
        }
    }

    /// The settings by which it judges.
    pub fn settings(&self) -> SilenceSpec {
        self.settings
    }

    /// Takes in the next piece.
    pub fn hear(&mut self, heard: Heard) {
        let before = self.quiet;
        self.quiet = self.quiet.saturating_add(heard.lasts);
        match self.verdict(heard.level) {
            Verdict::Quiet => (self.loud, self.unknown) = (Duration::ZERO, Duration::ZERO),
            Verdict::Loud => {
                self.loud = self.loud.saturating_add(heard.lasts);
                if before.is_zero() || self.loud >= SOUND {
                    (self.quiet, self.unknown) = (Duration::ZERO, Duration::ZERO);
                    self.has_sounded = true;
                }
            }
            Verdict::Unknown => {
                self.unknown = self.unknown.saturating_add(heard.lasts);
                if before.is_zero() || self.unknown >= UNKNOWN {
                    self.quiet = Duration::ZERO;
                }
            }
        }
    }

    /// The state of the stream now.
    pub fn state(&self) -> SoundState {
        let silence = Duration::from_secs(self.settings.silence_s.into());
        if self.unknown >= UNKNOWN {
            SoundState::Unknown
        } else if self.quiet >= silence {
            SoundState::Silent
        } else if self.quiet >= QUIET || !self.has_sounded {
            SoundState::Quiet
        } else {
            SoundState::Sounding
        }
    }

    /// How long the stream has been quiet.
    pub fn quiet_for(&self) -> Duration {
        self.quiet
    }

    fn verdict(&self, level: Level) -> Verdict {
        match level {
            Level::Nothing => Verdict::Quiet,
            Level::About(db) if db < self.settings.silence_level.db() => Verdict::Quiet,
            Level::About(_) | Level::Something => Verdict::Loud,
            Level::Unknown => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(silence_s: u32) -> SilenceWatch {
        SilenceWatch::new(SilenceSpec {
            silence_s,
            ..SilenceSpec::default()
        })
    }

    /// So many pieces of 25 ms each.
    fn hear(watch: &mut SilenceWatch, level: Level, pieces: u32) -> SoundState {
        for _ in 0..pieces {
            watch.hear(Heard {
                level,
                lasts: Duration::from_millis(25),
            });
        }
        watch.state()
    }

    #[test]
    fn what_was_never_heard_to_sound_does_not() {
        let mut watch = watch(5);
        assert_eq!(hear(&mut watch, Level::Nothing, 1), SoundState::Quiet);
        assert_eq!(hear(&mut watch, Level::Something, 40), SoundState::Sounding);
        assert_eq!(hear(&mut watch, Level::Nothing, 1), SoundState::Sounding);
    }

    #[test]
    fn silence_begins_after_its_time_and_ends_with_sound() {
        let mut watch = watch(5);
        assert_eq!(watch.state(), SoundState::Unknown);
        let music = Level::About(-20);
        assert_eq!(hear(&mut watch, music, 1), SoundState::Sounding);
        let hiss = Level::About(-51);
        assert_eq!(hear(&mut watch, hiss, 79), SoundState::Sounding);
        assert_eq!(hear(&mut watch, hiss, 1), SoundState::Quiet);
        assert_eq!(hear(&mut watch, Level::Nothing, 119), SoundState::Quiet);
        assert_eq!(hear(&mut watch, Level::Nothing, 1), SoundState::Silent);
        assert_eq!(watch.quiet_for(), Duration::from_secs(5));
        assert_eq!(hear(&mut watch, music, 1), SoundState::Silent, "a click");
        assert_eq!(hear(&mut watch, hiss, 1), SoundState::Silent);
        assert_eq!(hear(&mut watch, Level::About(-50), 2), SoundState::Sounding);
        assert_eq!(watch.quiet_for(), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_told_is_said_to_be_unknown() {
        let mut watch = watch(5);
        assert_eq!(hear(&mut watch, Level::Something, 1), SoundState::Sounding);
        assert_eq!(hear(&mut watch, Level::Nothing, 200), SoundState::Silent);
        assert_eq!(hear(&mut watch, Level::Unknown, 39), SoundState::Silent);
        assert_eq!(hear(&mut watch, Level::Unknown, 1), SoundState::Unknown);
        assert_eq!(watch.quiet_for(), Duration::ZERO);
        assert_eq!(hear(&mut watch, Level::Unknown, 900), SoundState::Unknown);
        assert_eq!(hear(&mut watch, Level::Nothing, 1), SoundState::Sounding);
    }

    #[test]
    fn a_pause_shorter_than_quiet_is_told_if_it_is_silence() {
        let mut watch = watch(1);
        assert_eq!(hear(&mut watch, Level::Nothing, 40), SoundState::Silent);
    }
}
