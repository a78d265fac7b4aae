//! The name of a record of the document.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a record, such as `mount/radio.mp3` or `admin`: its kind, then which one.
///
/// 1 to [`RecordKey::MAX_BYTES`] bytes without control characters. Only `try_from` makes one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordKey(String);

/// The kind of the records that say which nodes are forgotten.
pub const FORGOTTEN_PREFIX: &str = "forgotten/";

/// Why a text is not a record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record key must have 1 to 300 bytes and no control characters")]
pub struct BadRecordKey;

impl RecordKey {
    /// The longest key: the longest mount is 260 bytes, and the kind before it needs a few.
    pub const MAX_BYTES: usize = 300;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether records of this kind expire as tombstones do: after that time they are of no use.
    pub fn is_passing(&self) -> bool {
        self.0.starts_with(FORGOTTEN_PREFIX)
    }
}

impl TryFrom<String> for RecordKey {
    type Error = BadRecordKey;

    fn try_from(text: String) -> Result<Self, BadRecordKey> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let plain = !text.chars().any(char::is_control);
        (fits && plain).then_some(Self(text)).ok_or(BadRecordKey)
    }
}

impl TryFrom<&str> for RecordKey {
    type Error = BadRecordKey;

    fn try_from(text: &str) -> Result<Self, BadRecordKey> {
        Self::try_from(text.to_owned())
    }
}

impl From<RecordKey> for String {
    fn from(key: RecordKey) -> Self {
        key.0
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_plain_text() {
        for good in ["admin", "mount/radio.mp3", "é", &"x".repeat(300)] {
            assert!(RecordKey::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "a\n", "a\0b", "\u{85}", &"x".repeat(301)] {
            assert_eq!(RecordKey::try_from(bad), Err(BadRecordKey), "{bad:?}");
        }
    }
}
