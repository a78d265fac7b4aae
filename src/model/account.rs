//! The name of a listener's account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name: more than any address of mail that people log in with.
const MAX_NAME_BYTES: usize = 64;

/// The name of a listener's account of a mount. Only `parse` makes one.
///
/// A colon would end it in every login, a line end would begin another line of a file of accounts, and a slash begins the
/// path of its mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

/// Why a text is not the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccountName {
    /// The text is empty, too long, or holds a letter that a login cannot have.
    #[error(
        "a username has 1 to {MAX_NAME_BYTES} bytes and no colon, slash, line end or other control character"
    )]
    Text,
    /// The name belongs to a login of the whole mesh.
    #[error("`admin` and `relay` log in with passwords of the whole mesh: choose another username")]
    OfTheMesh,
}

impl AccountName {
    /// The users whose passwords are those of the whole mesh.
    const OF_THE_MESH: [&str; 2] = ["admin", "relay"];

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = BadAccountName;

    fn from_str(text: &str) -> Result<Self, BadAccountName> {
        let wrong = |letter: char| letter.is_control() || matches!(letter, ':' | '/');
        if Self::OF_THE_MESH.contains(&text) {
            return Err(BadAccountName::OfTheMesh);
        }
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains(wrong);
        fits.then(|| Self(text.to_owned()))
            .ok_or(BadAccountName::Text)
    }
}

impl TryFrom<String> for AccountName {
    type Error = BadAccountName;

    fn try_from(text: String) -> Result<Self, BadAccountName> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_no_line_and_ends_no_login() {
        for good in ["alice", "a b", "é@x.example", &"x".repeat(64)] {
            assert_eq!(good.parse::<AccountName>().unwrap().as_str(), good);
        }
        for bad in ["", "a:b", "a/b", "a\nroot", "a\r", "\0", &"x".repeat(65)] {
            assert_eq!(bad.parse::<AccountName>(), Err(BadAccountName::Text));
        }
        for taken in ["admin", "relay"] {
            assert_eq!(taken.parse::<AccountName>(), Err(BadAccountName::OfTheMesh));
        }
    }
}
