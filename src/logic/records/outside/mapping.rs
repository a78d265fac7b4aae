//! The names of the mesh's mounts at an outside server: `/ours=/theirs`, or `/same` where the names are equal.

use std::collections::BTreeMap;

use crate::model::mount::{BadMountName, MountName};

/// The most mounts of one server: with the numbers of each, a report of them fits into one gossiped value.
const MAX_MOUNTS: usize = 32;
/// The most bytes of all names of a server together, for the same reason.
pub(super) const MAX_MAPPING_BYTES: usize = 1_600;

/// Why a text is not a list of mounts and their names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMapping {
    /// The list is empty.
    #[error("at least one is needed, such as /radio.mp3=/stream")]
    Nothing,
    /// A name is invalid.
    #[error("{name:?}: {why}")]
    Name {
        /// The beginning of the name.
        name: String,
        /// The error of the name.
        why: BadMountName,
    },
    /// One mount of the mesh is given two names.
    #[error("{0} is there twice")]
    Twice(MountName),
    /// The list is too long.
    #[error("too many: at most {MAX_MOUNTS}, with {MAX_MAPPING_BYTES} bytes of names")]
    TooMany,
}

/// Reads pairs that are separated by commas, spaces or line breaks.
pub(super) fn mounts(text: &str) -> Result<BTreeMap<MountName, MountName>, BadMapping> {
    let mut mounts = BTreeMap::new();
    let pairs = text.split([',', ' ', '\n']).filter(|pair| !pair.is_empty());
    for pair in pairs {
        let (ours, theirs) = pair.split_once('=').unwrap_or((pair, pair));
        let (ours, theirs) = (name(ours)?, name(theirs)?);
        if mounts.contains_key(&ours) {
            return Err(BadMapping::Twice(ours));
        }
        if mounts.len() == MAX_MOUNTS {
            return Err(BadMapping::TooMany);
        }
        mounts.insert(ours, theirs);
    }
    if mounts.is_empty() {
        return Err(BadMapping::Nothing);
    }
    if written(&mounts).len() > MAX_MAPPING_BYTES {
        return Err(BadMapping::TooMany);
    }
    Ok(mounts)
}

/// The mapping as text, one pair in each line.
pub(super) fn written(mounts: &BTreeMap<MountName, MountName>) -> String {
    let pairs = mounts.iter();
    let lines: Vec<String> = pairs
        .map(|(ours, theirs)| format!("{ours}={theirs}"))
        .collect();
    lines.join("\n")
}

fn name(text: &str) -> Result<MountName, BadMapping> {
    MountName::try_from(text).map_err(|why| BadMapping::Name {
        name: text.chars().take(80).collect(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_survive_their_text() {
        let read = mounts("/radio.mp3=/stream, /b\n/c=/d/e.ogg").unwrap();
        assert_eq!(written(&read), "/b=/b\n/c=/d/e.ogg\n/radio.mp3=/stream");
        assert_eq!(mounts(&written(&read)), Ok(read));
    }

    #[test]
    fn a_bad_mapping_is_refused_with_the_reason() {
        assert_eq!(mounts(" ,"), Err(BadMapping::Nothing));
        let bad = mounts("/a=/b,/c=stream").unwrap_err().to_string();
        assert!(
            bad.starts_with("\"stream\": a mount must begin with /"),
            "{bad}"
        );
        let twice = MountName::try_from("/a").unwrap();
        assert_eq!(mounts("/a=/b,/a=/c"), Err(BadMapping::Twice(twice)));
        let many: Vec<String> = (0..=MAX_MOUNTS).map(|it| format!("/m{it}")).collect();
        assert_eq!(mounts(&many.join(",")), Err(BadMapping::TooMany));
        let long: Vec<String> = (0..30)
            .map(|it| format!("/{it}{}", "x".repeat(60)))
            .collect();
        assert_eq!(mounts(&long.join(",")), Err(BadMapping::TooMany));
    }
}
