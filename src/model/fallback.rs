//! The streams that a mount plays when it has none of its own, as an operator lists them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mount_name::{BadMountName, MountName};

/// The most streams below a mount's own, those of its fallbacks among them: as many as Icecast follows.
pub const MAX_FALLBACKS: usize = 10;

/// The fallbacks of a mount, the best first: other mounts, none of them twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Fallbacks(Vec<MountName>);

/// Why a text is no list of fallbacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFallbacks {
    /// One of them is not a mount.
    #[error("{0:?} in the list: {1}")]
    Mount(String, BadMountName),
    /// One of them stands there twice.
    #[error("{0} stands twice in the list")]
    Twice(MountName),
    /// More than [`MAX_FALLBACKS`] are listed.
    #[error("more than {MAX_FALLBACKS} fallbacks: nobody waits for so many to fail")]
    TooMany,
}

impl Fallbacks {
    /// The mounts, the best first.
    pub fn mounts(&self) -> &[MountName] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fallbacks of a list that this version knows. Those that only a newer one knows are left out: they must not take
    /// the mount off the air.
    pub fn known(text: &str) -> Self {
        let mut known = Self::default();
        for mount in entries(text).filter_map(|entry| MountName::try_from(entry).ok()) {
            if known.0.len() < MAX_FALLBACKS && !known.0.contains(&mount) {
                known.0.push(mount);
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
            let mount = MountName::try_from(entry)
                .map_err(|why| BadFallbacks::Mount(entry.to_owned(), why))?;
            if fallbacks.0.contains(&mount) {
                return Err(BadFallbacks::Twice(mount));
            }
            if fallbacks.0.len() == MAX_FALLBACKS {
                return Err(BadFallbacks::TooMany);
            }
            fallbacks.0.push(mount);
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
        let names: Vec<&str> = self.0.iter().map(MountName::as_str).collect();
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
            Fallbacks::known(&many.join(",")).mounts().len(),
            MAX_FALLBACKS
        );
    }
}
