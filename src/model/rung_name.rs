//! The name of a rung of a mount's ladder, as operators write and read it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::file_name::{BadFileName, FileName, PlayedFile};
use super::mount_name::{BadMountName, MountName};

/// The word in front of a file.
const FILE_PREFIX: &str = "file:";

/// A rung: the stream of a mount, `/auto.mp3`, or a file, `file:loop.mp3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RungName {
    /// The stream of this mount.
    Mount(MountName),
    /// A file that is played again and again.
    File(PlayedFile),
}

/// Why a text names no rung.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRungName {
    /// The text is no mount, and could be the name of a file that the mesh keeps.
    #[error("{0}; a file that the mesh keeps is named {FILE_PREFIX}{1}")]
    NoPrefix(BadMountName, FileName),
    /// The text is no mount.
    #[error(transparent)]
    Mount(#[from] BadMountName),
    /// The text after `file:` is no file.
    #[error(transparent)]
    File(#[from] BadFileName),
}

impl RungName {
    /// The mount, if the rung is one.
    pub fn mount(&self) -> Option<&MountName> {
        match self {
            Self::Mount(mount) => Some(mount),
            Self::File(_) => None,
        }
    }

    /// The file, if the rung is one.
    pub fn file(&self) -> Option<&PlayedFile> {
        match self {
            Self::Mount(_) => None,
            Self::File(file) => Some(file),
        }
    }

    /// Whether the rung is the stream of this mount.
    pub fn is_mount(&self, mount: &MountName) -> bool {
        self.mount() == Some(mount)
    }
}

impl From<MountName> for RungName {
    fn from(mount: MountName) -> Self {
        Self::Mount(mount)
    }
}

impl FromStr for RungName {
    type Err = BadRungName;

    fn from_str(text: &str) -> Result<Self, BadRungName> {
        Ok(match text.strip_prefix(FILE_PREFIX) {
            Some(file) => Self::File(file.parse()?),
            None => Self::Mount(text.parse().map_err(|why| no_mount(why, text))?),
        })
    }
}

/// Why a text without the word in front of a file is no rung.
fn no_mount(why: BadMountName, text: &str) -> BadRungName {
    match text.parse() {
        Ok(file) => BadRungName::NoPrefix(why, file),
        Err(_) => BadRungName::Mount(why),
    }
}

impl TryFrom<String> for RungName {
    type Error = BadRungName;

    fn try_from(text: String) -> Result<Self, BadRungName> {
        text.parse()
    }
}

impl From<RungName> for String {
    fn from(rung: RungName) -> Self {
        rung.to_string()
    }
}

impl fmt::Display for RungName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(mount) => write!(f, "{mount}"),
            Self::File(file) => write!(f, "{FILE_PREFIX}{file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_is_read_as_it_is_shown() {
        for text in ["/auto.mp3", "file:loop.mp3", "file:/srv/loop.mp3"] {
            let rung: RungName = text.parse().unwrap();
            assert_eq!(rung.to_string(), text);
            assert_eq!(rung.file().is_some(), text.starts_with(FILE_PREFIX));
        }
        for (bad, words) in [
            (
                "loop.mp3",
                "such as /radio.mp3; a file that the mesh keeps is named file:loop.mp3",
            ),
            ("", "a mount must"),
            ("file:", "a file must have a name"),
            ("file:/a/../b", "a path must be absolute"),
        ] {
            let told = bad.parse::<RungName>().unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}
