//! How loud a short piece of a stream is, as far as its coded bytes tell it.

use std::time::Duration;

/// The loudness of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing at all: every sample is the same, or the encoder has sent none.
    Nothing,
    /// About so many decibels below full scale (a negative number), as the mean of the samples' squares.
    About(i16),
    /// Something is there, and the bytes do not tell how loud.
    Something,
    /// The bytes do not even tell whether anything is there.
    Unknown,
}

/// A piece of a stream: how loud it is, and how long it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The loudness.
    pub level: Level,
    /// The time that it plays.
    pub lasts: Duration,
}

impl Level {
    /// The level of a piece whose energy has been estimated, where so many decibels of energy are full scale.
    pub(super) fn of_energy(energy: f64, full_scale_db: f64) -> Self {
        match energy > 0.0 {
            true => Self::About((10.0 * energy.log10() - full_scale_db).round() as i16),
            false => Self::Nothing,
        }
    }

    /// The louder one of two. What is not known hides what is quiet, and not what is loud.
    pub(super) fn or_louder(self, other: Self) -> Self {
        let rank = |level: Self| match level {
            Self::Nothing => (0, 0),
            Self::About(db) => (1, db),
            Self::Unknown => (2, 0),
            Self::Something => (3, 0),
        };
        match rank(other) > rank(self) {
            true => other,
            false => self,
        }
    }
}
