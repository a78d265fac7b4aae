//! Whether anything is to be heard in a stream, and what counts as silence.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a stream that is watched for silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundState {
    /// The stream does not tell, or not yet.
    Unknown,
    /// Something is to be heard, or was a moment ago.
    Sounding,
    /// Nothing is to be heard, and it does not count as silence yet.
    Quiet,
    /// Nothing has been heard for as long as the mount says.
    Silent,
}

impl SoundState {
    const ALL: [Self; 4] = [Self::Unknown, Self::Sounding, Self::Quiet, Self::Silent];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Sounding => "sounding",
            Self::Quiet => "quiet",
            Self::Silent => "silent",
        }
    }

    /// The state that this word stands for; `None` for one that only newer versions know.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }
}

/// The sound of a stream now, by the node of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSound {
    /// The state.
    pub state: SoundState,
    /// Since when nothing is to be heard, unix milliseconds by the clock of that node, while the stream is silent.
    pub silent_since_unix_ms: Option<u64>,
}

/// The settings of a mount that say what silence is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SilenceSpec {
    /// After so many seconds without sound a stream is silent; 0: nobody looks.
    pub silence_s: u32,
    /// The level below which nothing is to be heard.
    pub silence_level: SoundLevel,
}

/// A level of sound, whole decibels below full scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SoundLevel(i16);

impl SoundLevel {
    /// The lowest level: the noise of 16 bits, below which there is nothing.
    const LOWEST_DB: i16 = -90;
    /// The highest one: music is that loud.
    const HIGHEST_DB: i16 = -20;
    /// Usual for programmes that look for silence: the hiss of a studio is some 10 dB lower, and what is played softly some
    /// 10 dB higher.
    const DEFAULT_DB: i16 = -50;

    /// The decibels: a negative number.
    pub fn db(self) -> i16 {
        self.0
    }
}

impl Default for SoundLevel {
    fn default() -> Self {
        Self(Self::DEFAULT_DB)
    }
}

/// Why a text is no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a number of decibels, such as -50, from {} to {}",
    SoundLevel::LOWEST_DB,
    SoundLevel::HIGHEST_DB
)]
pub struct BadSoundLevel;

impl FromStr for SoundLevel {
    type Err = BadSoundLevel;

    fn from_str(text: &str) -> Result<Self, BadSoundLevel> {
        let digits = text.strip_prefix('-').ok_or(BadSoundLevel)?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let db = digits.parse::<i16>().ok().filter(|_| is_plain);
        let db = db.map(|db| -db).ok_or(BadSoundLevel)?;
        match (Self::LOWEST_DB..=Self::HIGHEST_DB).contains(&db) {
            true => Ok(Self(db)),
            false => Err(BadSoundLevel),
        }
    }
}

impl TryFrom<String> for SoundLevel {
    type Error = BadSoundLevel;

    fn try_from(text: String) -> Result<Self, BadSoundLevel> {
        text.parse()
    }
}

impl From<SoundLevel> for String {
    fn from(level: SoundLevel) -> Self {
        level.to_string()
    }
}

impl fmt::Display for SoundLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_negative_number_within_bounds() {
        for good in ["-50", "-20", "-90"] {
            let level: SoundLevel = good.parse().unwrap();
            assert_eq!(level.to_string(), good);
        }
        for bad in ["", "50", "-19", "-91", "--50", "-+50", "-5O", "- 50", "-"] {
            assert_eq!(bad.parse::<SoundLevel>(), Err(BadSoundLevel), "{bad}");
        }
        let why = BadSoundLevel.to_string();
        assert!(why.ends_with("such as -50, from -90 to -20"), "{why}");
    }

    #[test]
    fn a_word_of_a_newer_version_is_no_state() {
        for state in SoundState::ALL {
            assert_eq!(SoundState::of_word(state.word()), Some(state));
        }
        assert_eq!(SoundState::of_word("clipped"), None);
    }
}
