//! The path of a mount.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// The path of a stream, such as `/live.mp3`. Only `try_from` makes one, so it needs no further check.
///
/// One to four segments of letters, digits and `._~-`, each 1 to 64 bytes and none of them `.` or `..`;
/// not below a path that the node itself answers, and not with the ending of a playlist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MountName(String);

/// Why a path is not a mount name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMountName {
    /// The path does not begin with a slash, or is only a slash.
    #[error("a mount must begin with / and have a name after it, such as /radio.mp3")]
    NotAPath,
    /// A segment is empty, `.`, `..` or too long, or the path is no text.
    #[error("a mount must have 1 to 4 parts, each of 1 to 64 letters of ASCII, digits or ._~-")]
    Alphabet,
    /// The path holds this character, which no mount may have.
    #[error(
        "a mount cannot have {} in it: write it with letters of ASCII (a to z, A to Z), digits and ._~-",
        in_words(*.0)
    )]
    Letter(char),
    /// The node answers this path itself.
    #[error("{0} is a path that antiphon answers itself: choose another")]
    Reserved(String),
}

impl MountName {
    /// First segments that are never a mount, because the node answers below them.
    pub const RESERVED: [&str; 11] = [
        ".well-known",
        "7.html",
        "_stream",
        "admin",
        "admin.cgi",
        "api",
        "metrics",
        "livez",
        "readyz",
        "healthz",
        "favicon.ico",
    ];
    /// Endings that are never a mount's, because they name a view of a mount.
    pub const RESERVED_ENDINGS: [&str; 6] = [".m3u", ".pls", ".xspf", ".vclt", ".xsl", ".json"];
    /// The most segments of a mount.
    pub const MAX_SEGMENTS: usize = 4;
    /// The longest segment of a mount.
    pub const MAX_SEGMENT_BYTES: usize = 64;

    /// The path, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the name of a mount as encoders have it in their settings: its slash may be missing.
    pub fn with_or_without_slash(name: &str) -> Result<Self, BadMountName> {
        Self::try_from(format!("/{}", name.strip_prefix('/').unwrap_or(name)))
    }

    /// Reads the path of a request target: drops the query, decodes percent escapes once.
    pub fn from_request_path(target: &str) -> Result<Self, BadMountName> {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let decoded = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| BadMountName::Alphabet)?;
        Self::try_from(decoded.as_ref())
    }
}

/// A character that no mount may have, as an error names it: some cannot be seen.
fn in_words(letter: char) -> String {
    match letter {
        ' ' => "a space".to_owned(),
        letter if letter.is_ascii_graphic() => format!("`{letter}`"),
        letter if letter.is_alphabetic() => format!("`{letter}`"),
        letter => format!("the character U+{:04X}", u32::from(letter)),
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._~-".contains(letter)
}

fn is_segment(segment: &str) -> bool {
    let fits = (1..=MountName::MAX_SEGMENT_BYTES).contains(&segment.len());
    fits && segment != "." && segment != ".."
}

impl TryFrom<&str> for MountName {
    type Error = BadMountName;

    fn try_from(path: &str) -> Result<Self, BadMountName> {
        let rest = path.strip_prefix('/').ok_or(BadMountName::NotAPath)?;
        if rest.is_empty() {
            return Err(BadMountName::NotAPath);
        }
        let wrong = rest.chars().find(|it| *it != '/' && !is_letter(*it));
        if let Some(wrong) = wrong {
            return Err(BadMountName::Letter(wrong));
        }
        let segments: Vec<&str> = rest.split('/').collect();
        if segments.len() > Self::MAX_SEGMENTS || !segments.iter().all(|s| is_segment(s)) {
            return Err(BadMountName::Alphabet);
        }
        let ours = Self::RESERVED.contains(&segments[0])
            || Self::RESERVED_ENDINGS
                .iter()
                .any(|ending| rest.ends_with(ending));
        if ours {
            return Err(BadMountName::Reserved(path.to_owned()));
        }
        Ok(Self(path.to_owned()))
    }
}

impl TryFrom<String> for MountName {
    type Error = BadMountName;

    fn try_from(path: String) -> Result<Self, BadMountName> {
        Self::try_from(path.as_str())
    }
}

impl std::str::FromStr for MountName {
    type Err = BadMountName;

    fn from_str(path: &str) -> Result<Self, BadMountName> {
        Self::try_from(path)
    }
}

impl From<MountName> for String {
    fn from(name: MountName) -> Self {
        name.0
    }
}

impl fmt::Display for MountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_plain_path() {
        for good in ["/radio.mp3", "/a", "/a/b/c/d", "/~x_1-2", "/.hidden"] {
            assert!(MountName::try_from(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "radio",
            "//a",
            "/a//b",
            "/a/",
            "/..",
            "/a/../b",
            "/./a",
            "/a\0",
            "/a b",
            "/é",
            "/a/b/c/d/e",
            "/admin/x",
            "/api",
            "/_stream/n/a",
            "/a.m3u",
            "/status.json",
        ] {
            assert!(MountName::try_from(bad).is_err(), "{bad}");
        }
        assert!(MountName::try_from(format!("/{}", "x".repeat(65))).is_err());
    }

    #[test]
    fn a_character_that_no_mount_may_have_is_named() {
        for (bad, named) in [
            ("/my radio", "a space"),
            ("/grün.mp3", "`ü`"),
            ("/a,b", "`,`"),
            ("/a\u{202e}", "the character U+202E"),
            ("/a\n", "the character U+000A"),
        ] {
            let told = MountName::try_from(bad).unwrap_err().to_string();
            let begin = format!("a mount cannot have {named} in it: ");
            assert!(told.starts_with(&begin), "{told}");
        }
        let long = MountName::try_from("/a//b").unwrap_err();
        assert!(long.to_string().contains("1 to 4 parts"), "{long}");
    }

    #[test]
    fn a_request_path_is_decoded_once() {
        let read = MountName::from_request_path;
        assert_eq!(read("/%6d1?x=1").unwrap().as_str(), "/m1");
        for bad in ["/a%00", "/%2e%2e", "/a%2F%2Fb", "/%252e", "/%ff"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
