//! The user name that the sources of a mount log in as.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest user name: far longer than any encoder's field for it.
const MAX_USER_BYTES: usize = 64;

/// The user name of a mount's sources. Only `parse` makes another one than the usual `source`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUser(String);

/// Why a text is not the user name of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSourceUser {
    /// The text is empty, too long, or holds a byte that a login cannot have.
    #[error(
        "must be 1 to {MAX_USER_BYTES} bytes without colons, slashes, spaces and control characters"
    )]
    Text,
    /// The name belongs to the cluster's operators.
    #[error("`admin` is the user of the cluster's admin password: choose another")]
    Admin,
}

impl SourceUser {
    /// The user name of the cluster's admin password, which is no source's.
    pub const ADMIN: &str = "admin";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SourceUser {
    /// The name that nearly all encoders send without being told.
    fn default() -> Self {
        Self("source".to_owned())
    }
}

impl FromStr for SourceUser {
    type Err = BadSourceUser;

    fn from_str(text: &str) -> Result<Self, BadSourceUser> {
        // A colon ends the user in every login; a slash would make it the mount in one of Shoutcast.
        let wrong = |letter: char| {
            letter.is_control() || letter.is_whitespace() || matches!(letter, ':' | '/')
        };
        match text {
            Self::ADMIN => Err(BadSourceUser::Admin),
            text if (1..=MAX_USER_BYTES).contains(&text.len()) && !text.contains(wrong) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(BadSourceUser::Text),
        }
    }
}

impl TryFrom<String> for SourceUser {
    type Error = BadSourceUser;

    fn try_from(text: String) -> Result<Self, BadSourceUser> {
        text.parse()
    }
}

impl From<SourceUser> for String {
    fn from(user: SourceUser) -> Self {
        user.0
    }
}

impl fmt::Display for SourceUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_word_that_every_login_can_carry() {
        for good in ["source", "dj-anna", "é", "Source", "a@b.example"] {
            assert_eq!(good.parse::<SourceUser>().unwrap().as_str(), good);
        }
        let long = "x".repeat(MAX_USER_BYTES + 1);
        for bad in ["", "a:b", "/a", "a b", "a\n", "\u{85}", &long] {
            assert_eq!(bad.parse::<SourceUser>(), Err(BadSourceUser::Text), "{bad}");
        }
        assert_eq!("admin".parse::<SourceUser>(), Err(BadSourceUser::Admin));
    }
}
