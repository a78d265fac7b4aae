//! Mounts as messages name them.

use std::collections::BTreeMap;

use crate::model::mount::{MountName, MountSpec};
use crate::model::suggest::{listed, nearest};

/// The most mounts that a message names.
const MAX_NAMED: usize = 8;

/// The mounts of a chain with a word between each two. Of a long one the middle is left out.
pub fn in_a_row(chain: &[MountName], word: &str) -> String {
    let mut names: Vec<&str> = chain.iter().map(MountName::as_str).collect();
    if names.len() > MAX_NAMED {
        names.splice(MAX_NAMED - 1..names.len() - 1, ["…"]);
    }
    names.join(&format!(" {word} "))
}

/// The names of mounts in a list, of which a long one is cut.
pub fn named(mounts: &[MountName]) -> String {
    let names: Vec<&str> = mounts.iter().map(MountName::as_str).collect();
    listed(&names, MAX_NAMED)
}

/// The hint at the mount that is most like a name that there is not, or what to do if none is.
pub fn hint(missing: &MountName, mounts: &BTreeMap<MountName, MountSpec>) -> String {
    match most_like(missing, mounts.keys()) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => "; create it first".to_owned(),
    }
}

/// The words for a name of which there is no mount, with the mount that is most like it, or where all are listed.
pub fn no_mount<'a>(missing: &MountName, known: impl IntoIterator<Item = &'a MountName>) -> String {
    match most_like(missing, known) {
        Some(meant) => format!("there is no mount {missing}; did you mean {meant}?"),
        None => format!("there is no mount {missing}; antiphon mount list shows all of them"),
    }
}

fn most_like<'a>(
    missing: &MountName,
    known: impl IntoIterator<Item = &'a MountName>,
) -> Option<&'a str> {
    // No similar name differs more in length: so a long list takes no time.
    let length = missing.as_str().len();
    let known = known.into_iter().map(MountName::as_str);
    let known: Vec<&str> = known
        .filter(|name| name.len().abs_diff(length) <= length.div_ceil(2))
        .collect();
    nearest(missing.as_str(), &known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_no_mount_is_told_with_its_neighbour() {
        let [radio, other]: [MountName; 2] =
            ["/radio.mp3", "/quite-another"].map(|name| name.parse().unwrap());
        let missing: MountName = "/raido.mp3".parse().unwrap();
        let told = no_mount(&missing, [&radio, &other]);
        assert_eq!(
            told,
            "there is no mount /raido.mp3; did you mean /radio.mp3?"
        );
        let told = no_mount(&missing, [&other]);
        assert!(told.ends_with("antiphon mount list shows all of them"));
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<MountName> = (1..=10)
            .map(|number| MountName::try_from(format!("/{number}")).unwrap())
            .collect();
        assert_eq!(in_a_row(&many[..3], "from"), "/1 from /2 from /3");
        assert!(in_a_row(&many, "from").ends_with("/6 from /7 from … from /10"));
        assert_eq!(named(&many[..2]), "/1, /2");
        assert!(named(&many[..8]).ends_with("/7, /8"));
        assert!(named(&many).ends_with("/8 and 2 more"));
    }
}
