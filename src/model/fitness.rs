//! Whether a source could be heard now, by what it sends.

use serde::{Deserialize, Serialize};

/// Whether a source could be heard now. A word of a newer version reads as one that it could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFitness {
    /// Nothing speaks against it. An older version says no other.
    #[default]
    Fit,
    /// No audio has come in the last moments.
    Idle,
    /// The audio that its media type promises was not found in what it sends.
    Unknown,
    /// The players of those who listen could not go on with its format.
    OtherFormat,
    /// The source sends silence, and its mount does not play that.
    Silent,
    /// The source is not to be heard, for a reason of a newer version.
    #[serde(other)]
    Unfit,
}

impl SourceFitness {
    /// Whether nothing speaks against it.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub fn is_fit(&self) -> bool {
        *self == Self::Fit
    }

    /// The doings of a source that is connected and waits, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Fit => "waits",
            Self::Idle => "waits, and sends nothing",
            Self::Unknown => "waits, and sends no audio that is known",
            Self::OtherFormat => "waits, because listeners could not go on with its format",
            Self::Silent => "waits, and is silent",
            Self::Unfit => "waits, and is not to be heard",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_newer_version_stands_for_no_good() {
        for (word, fitness) in [
            (r#""fit""#, SourceFitness::Fit),
            (r#""other_format""#, SourceFitness::OtherFormat),
            (r#""out_of_tune""#, SourceFitness::Unfit),
        ] {
            assert_eq!(
                serde_json::from_str::<SourceFitness>(word).unwrap(),
                fitness
            );
        }
    }
}
