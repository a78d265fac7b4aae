//! The names of files that mounts play: one that the mesh keeps, or a path on each node.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a file that the mesh keeps, such as `loop.mp3`. Only `try_from` makes one, so it needs no further check.
///
/// 1 to 64 letters of ASCII, digits and `._~-`, of which the first is no dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// The path of a file that each node has itself, such as `/srv/radio/loop.mp3`. Only `try_from` makes one.
///
/// Absolute, at most 255 bytes; without empty parts, `.`, `..`, commas, control characters and space at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

/// A file that a mount plays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PlayedFile {
    /// One that the mesh keeps: the same on all nodes.
    Kept(FileName),
    /// One that each node has at this path, or has not.
    Path(FilePath),
}

/// Why a text names no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFileName {
    /// A name with other characters, too many, or none.
    #[error(
        "a file must have a name of 1 to 64 letters of ASCII, digits or ._~-, such as loop.mp3"
    )]
    Name,
    /// A path that is not absolute and plain.
    #[error(
        "a path must be absolute, such as /srv/radio/loop.mp3, with at most {} bytes, and without commas, . and ..",
        FilePath::MAX_BYTES
    )]
    Path,
}

impl FileName {
    /// The longest name.
    pub const MAX_BYTES: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FilePath {
    /// The longest path.
    pub const MAX_BYTES: usize = 255;

    /// The path, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder and the name in it.
    pub fn folder_and_name(&self) -> (&str, &str) {
        match self.0.rsplit_once('/') {
            None | Some(("", _)) => ("/", self.0.trim_start_matches('/')),
            Some(parts) => parts,
        }
    }
}

impl PlayedFile {
    /// The name or the path.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Kept(name) => name.as_str(),
            Self::Path(path) => path.as_str(),
        }
    }
}

impl TryFrom<String> for FileName {
    type Error = BadFileName;

    fn try_from(name: String) -> Result<Self, BadFileName> {
        let fits = (1..=Self::MAX_BYTES).contains(&name.len()) && !name.starts_with('.');
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "._~-".contains(letter);
        (fits && name.chars().all(is_letter))
            .then_some(Self(name))
            .ok_or(BadFileName::Name)
    }
}

impl TryFrom<String> for FilePath {
    type Error = BadFileName;

    fn try_from(path: String) -> Result<Self, BadFileName> {
        let is_plain = !path.contains(|letter: char| letter == ',' || letter.is_control());
        let fits = path.len() <= Self::MAX_BYTES && path.trim_end() == path;
        let mut parts = path.split('/');
        let is_absolute = parts.next() == Some("");
        let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
        (is_plain && fits && is_absolute && parts.all(is_part))
            .then_some(Self(path))
            .ok_or(BadFileName::Path)
    }
}

impl TryFrom<String> for PlayedFile {
    type Error = BadFileName;

    fn try_from(text: String) -> Result<Self, BadFileName> {
        match text.starts_with('/') {
            true => FilePath::try_from(text).map(Self::Path),
            false => FileName::try_from(text).map(Self::Kept),
        }
    }
}

impl FromStr for FileName {
    type Err = BadFileName;

    fn from_str(name: &str) -> Result<Self, BadFileName> {
        Self::try_from(name.to_owned())
    }
}

impl FromStr for PlayedFile {
    type Err = BadFileName;

    fn from_str(text: &str) -> Result<Self, BadFileName> {
        Self::try_from(text.to_owned())
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

impl From<PlayedFile> for String {
    fn from(file: PlayedFile) -> Self {
        file.as_str().to_owned()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PlayedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_plainly() {
        for good in ["loop.mp3", "a", "A_b~1-2.ogg"] {
            let file: PlayedFile = good.parse().unwrap();
            assert_eq!(file, PlayedFile::Kept(good.parse().unwrap()), "{good}");
            assert_eq!(file.to_string(), good);
        }
        let long = "x".repeat(65);
        for bad in ["", ".hidden", "..", "a/b", "a b", "ü.mp3", "a,b", &long] {
            assert_eq!(bad.parse::<PlayedFile>(), Err(BadFileName::Name), "{bad}");
        }
    }

    #[test]
    fn a_path_is_absolute() {
        for (good, folder, name) in [
            ("/loop.mp3", "/", "loop.mp3"),
            ("/srv/my radio/ü.ogg", "/srv/my radio", "ü.ogg"),
        ] {
            let Ok(PlayedFile::Path(path)) = good.parse() else {
                panic!("{good} is a path");
            };
            assert_eq!(path.folder_and_name(), (folder, name));
            assert_eq!(path.as_str(), good);
        }
        let long = format!("/{}", "x".repeat(255));
        for bad in [
            "/", "//a", "/a/", "/a/../b", "/./a", "/a,b", "/a\0", "/a ", &long,
        ] {
            assert_eq!(bad.parse::<PlayedFile>(), Err(BadFileName::Path), "{bad}");
        }
    }
}
