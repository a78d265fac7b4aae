//! The streams that a mount plays when it has none of its own, as an operator lists them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::file_name::PlayedFile;
use super::mount_name::MountName;
use super::rung_name::{BadRungName, RungName};

/// The most streams below a mount's own, those of its fallbacks among them: as many as Icecast follows.
pub const MAX_FALLBACKS: usize = 10;

/// The fallbacks of a mount, the best first: other mounts, and files; none of them twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Fallbacks(Vec<RungName>);

/// Why a text is no list of fallbacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFallbacks {
    /// One of them is neither a mount nor a file.
    #[error("{0:?} in the list: {1}")]
    Rung(String, BadRungName),
    /// One of them stands there twice.
    #[error("{0} stands twice in the list")]
    Twice(RungName),
    /// More than [`MAX_FALLBACKS`] are listed.
    #[error("more than {MAX_FALLBACKS} fallbacks: nobody waits for so many to fail")]
    TooMany,
}

impl Fallbacks {
    /// All of them, the best first.
    pub fn rungs(&self) -> &[RungName] {
        &self.0
    }

    /// The mounts, the best first.
    pub fn mounts(&self) -> impl Iterator<Item = &MountName> {
        self.0.iter().filter_map(RungName::mount)
    }

    /// The files, the best first.
    pub fn files(&self) -> impl Iterator<Item = &PlayedFile> {
        self.0.iter().filter_map(RungName::file)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fallbacks of a list that this version knows. Those that only a newer one knows are left out: they must not take
    /// the mount off the air.
    pub fn known(text: &str) -> Self {
        let mut known = Self::default();
        for rung in entries(text).filter_map(|entry| entry.parse().ok()) {
            if known.0.len() < MAX_FALLBACKS && !known.0.contains(&rung) {
                known.0.push(rung);
            }
        }
        known
    }
}

/// The entries of a list: empty ones are none.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    let entries = text.split(',').map(str::trim);
    entries.filter(|entry| !entry.is_empty())
}

impl FromStr for Fallbacks {
    type Err = BadFallbacks;

    fn from_str(text: &str) -> Result<Self, BadFallbacks> {
        let mut fallbacks = Self::default();
        for entry in entries(text) {
            let rung = entry
                .parse()
                .map_err(|why| BadFallbacks::Rung(entry.to_owned(), why))?;
            if fallbacks.0.contains(&rung) {
                return Err(BadFallbacks::Twice(rung));
            }
            if fallbacks.0.len() == MAX_FALLBACKS {
                return Err(BadFallbacks::TooMany);
            }
            fallbacks.0.push(rung);
        }
        Ok(fallbacks)
    }
}

impl From<String> for Fallbacks {
    fn from(text: String) -> Self {
        Self::known(&text)
    }
}

impl From<Fallbacks> for String {
    fn from(fallbacks: Fallbacks) -> Self {
        fallbacks.to_string()
    }
}

impl fmt::Display for Fallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(RungName::to_string).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_shown() {
        for (text, shown) in [
            ("", ""),
            ("/auto.mp3", "/auto.mp3"),
            (" /auto.mp3 , /jazz/b.mp3,", "/auto.mp3,/jazz/b.mp3"),
            ("/auto.mp3, file:loop.mp3", "/auto.mp3,file:loop.mp3"),
            ("file:/srv/a b.mp3", "file:/srv/a b.mp3"),
        ] {
            let fallbacks: Fallbacks = text.parse().unwrap();
            assert_eq!(fallbacks.to_string(), shown);
            assert_eq!(fallbacks.is_empty(), shown.is_empty());
            assert_eq!(Fallbacks::known(text), fallbacks);
        }
    }

    #[test]
    fn a_bad_entry_is_named() {
        let eleven: Vec<String> = (0..11).map(|n| format!("/{n}")).collect();
        for (text, words) in [
            (
                "/a.mp3,auto.mp3",
                "\"auto.mp3\" in the list: a mount must begin with /",
            ),
            ("/a,/b,/a", "/a stands twice"),
            ("file:a,file:a", "file:a stands twice"),
            (
                "/a,file:../b",
                "\"file:../b\" in the list: a file must have a name",
            ),
            (&eleven.join(","), "more than 10"),
            ("/a b", "cannot have a space"),
        ] {
            let refused = text.parse::<Fallbacks>().unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn what_a_newer_version_lists_is_left_out() {
        let known = Fallbacks::known("/a,song:7,/b,/a");
        assert_eq!(known.to_string(), "/a,/b");
        let many: Vec<String> = (0..20).map(|n| format!("/{n}")).collect();
        assert_eq!(
            Fallbacks::known(&many.join(",")).rungs().len(),
            MAX_FALLBACKS
        );
    }
}
