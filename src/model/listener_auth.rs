//! The rule that says who may listen to a mount.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The listeners whom a mount lets in. Whoever manages the mesh, an Icecast that relays from it, and whoever has a signed token may
/// always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerAuth {
    /// Anybody.
    #[default]
    None,
    /// Whoever has an account of the mount.
    Htpasswd,
    /// Nobody else.
    Token,
}

impl ListenerAuth {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::None, Self::Htpasswd, Self::Token];

    /// The word for it in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Htpasswd => "htpasswd",
            Self::Token => "token",
        }
    }

    /// Whether anybody may listen.
    pub fn is_open(&self) -> bool {
        *self == Self::None
    }
}

/// Why a word is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `none`, `htpasswd` or `token`")]
pub struct BadListenerAuth;

impl FromStr for ListenerAuth {
    type Err = BadListenerAuth;

    fn from_str(word: &str) -> Result<Self, BadListenerAuth> {
        let known = Self::ALL.into_iter().find(|known| known.word() == word);
        known.ok_or(BadListenerAuth)
    }
}
