//! From which mount each transcoded mount is made, and which of them cannot be made at all.
//!
//! An edit that makes such a mount is refused. Two edits at two nodes, each of them right, can still make a circle
//! together: so every node looks at the mounts as they are, and all come to the same result.

use std::collections::BTreeMap;

use super::order::{BadOrder, order};
use crate::logic::mount_names::{hint, in_a_row};
use crate::model::mount::{MountName, MountSpec};

/// How many times in a row a stream may be transcoded. Each time costs a second or more of delay, and quality; two are
/// of use, and nobody has named a reason for five.
pub const MAX_DEPTH: usize = 4;

/// The most mounts that may be transcoded: each has a seat, which every node looks at several times in a second, and far more
/// than a small mesh has processors for.
pub const MAX_TRANSCODED: usize = 256;

/// How far a chain is followed, in case that merged edits have made one without an end in sight: far beyond
/// [`MAX_DEPTH`], so that a circle of any size that people make is called one.
const MAX_FOLLOWED: usize = 64;

/// Why a mount cannot be transcoded. Each text begins with the setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscodeFault {
    /// The settings make no order.
    #[error(transparent)]
    Order(#[from] BadOrder),
    /// The mount from which it is to be made is not there.
    #[error("transcode_from: there is no mount {from}{hint}")]
    NoSource {
        /// The mount that is missing.
        from: MountName,
        /// The mount that may have been meant.
        hint: String,
    },
    /// The mount would be made from itself, perhaps by way of others. With all of them, itself at both ends.
    #[error("transcode_from: a circle, {}: no stream would ever begin; choose another mount", in_a_row(.0, "from"))]
    Circle(Vec<MountName>),
    /// More transcoders in a row than are of use. With all mounts, the ordinary one last.
    #[error("transcode_from: more than {MAX_DEPTH} times transcoded, {}: choose a mount nearer to the encoder", in_a_row(.0, "from"))]
    TooDeep(Vec<MountName>),
    /// More transcoded mounts than a mesh looks after.
    #[error(
        "transcode_from: {MAX_TRANSCODED} mounts are transcoded already, which is the most: delete one first"
    )]
    TooMany,
}

/// Why a mount cannot be transcoded; `None` if it can, or is an ordinary one.
///
/// A mount whose source cannot be transcoded either is no worse for that: it waits for a stream, as for any encoder.
pub fn fault(mount: &MountSpec, mounts: &BTreeMap<MountName, MountSpec>) -> Option<TranscodeFault> {
    let order = match order(&mount.transcode) {
        Ok(order) => order?,
        Err(bad) => return Some(bad.into()),
    };
    if order.from != mount.path && !mounts.contains_key(&order.from) {
        let (from, hint) = (order.from, String::new());
        return Some(TranscodeFault::NoSource { from, hint });
    }
    let mut chain = vec![mount.path.clone()];
    let mut next = Some(order.from);
    while let Some(from) = next.filter(|_| chain.len() < MAX_FOLLOWED) {
        let is_again = chain.contains(&from);
        next = mounts
            .get(&from)
            .and_then(|it| it.transcode.transcode_from.clone());
        chain.push(from);
        match is_again {
            true if chain.first() == chain.last() => return Some(TranscodeFault::Circle(chain)),
            // Its source is in a circle, and is told so.
            true => return None,
            false => {}
        }
    }
    // One mount more than transcoders: the one of the encoder.
    let is_too_deep = chain.len() - 1 > MAX_DEPTH;
    is_too_deep.then_some(TranscodeFault::TooDeep(chain))
}

/// The mount whose encoder is heard in the end of a row of transcoders, without a fault in it; the mount itself, if it is an
/// ordinary one.
pub fn origin<'a>(
    mount: &'a MountSpec,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> &'a MountName {
    let mut spec = mount;
    for _ in 0..MAX_DEPTH {
        let from = spec.transcode.transcode_from.as_ref();
        match from.and_then(|from| mounts.get(from)) {
            Some(next) => spec = next,
            None => break,
        }
    }
    &spec.path
}

/// The mounts that cannot be transcoded, and why.
pub fn faults(mounts: &BTreeMap<MountName, MountSpec>) -> BTreeMap<MountName, TranscodeFault> {
    let found = mounts.values();
    let found = found.filter_map(|mount| Some((mount.path.clone(), fault(mount, mounts)?)));
    found.collect()
}

/// Why a mount cannot get these settings: because it could not be transcoded then, or others could not any more.
pub fn refusal(
    changed: &MountSpec,
    mounts: &BTreeMap<MountName, MountSpec>,
) -> Option<TranscodeFault> {
    let mut after = mounts.clone();
    after.insert(changed.path.clone(), changed.clone());
    if let Some(own) = fault(changed, &after) {
        return Some(with_hint(own, mounts));
    }
    if count(&after) > MAX_TRANSCODED && count(&after) > count(mounts) {
        return Some(TranscodeFault::TooMany);
    }
    let was_sound = |mount: &&MountSpec| {
        let before = mounts.get(&mount.path);
        before.is_some_and(|before| fault(before, mounts).is_none())
    };
    let sound = after.values().filter(was_sound);
    let mut broken = sound.filter_map(|mount| fault(mount, &after));
    broken.next()
}

fn count(mounts: &BTreeMap<MountName, MountSpec>) -> usize {
    let is_transcoded = |mount: &&MountSpec| mount.transcode.transcode_from.is_some();
    mounts.values().filter(is_transcoded).count()
}

/// The mounts that are transcoded from this one.
pub fn transcoded_from<'a>(
    source: &'a MountName,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> impl Iterator<Item = &'a MountName> {
    let from_it = mounts
        .values()
        .filter(move |mount| mount.transcode.transcode_from.as_ref() == Some(source));
    from_it.map(|mount| &mount.path)
}

fn with_hint(fault: TranscodeFault, mounts: &BTreeMap<MountName, MountSpec>) -> TranscodeFault {
    match fault {
        TranscodeFault::NoSource { from, .. } => {
            let hint = hint(&from, mounts);
            TranscodeFault::NoSource { from, hint }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::transcoding::TargetCodec;

    type Mounts = BTreeMap<MountName, MountSpec>;

    fn path(name: &str) -> MountName {
        MountName::try_from(format!("/{name}")).unwrap()
    }

    /// A mount that is made from another one; from none, if that has no name.
    fn mount(name: &str, from: &str) -> MountSpec {
        let mut spec = MountSpec::new(path(name));
        spec.transcode.transcode_from = MountName::try_from(format!("/{from}")).ok();
        spec.transcode.codec = Some(TargetCodec::Mp3);
        spec
    }

    fn mounts(pairs: &[(&str, &str)]) -> Mounts {
        let specs = pairs.iter().map(|(name, from)| mount(name, from));
        specs.map(|spec| (spec.path.clone(), spec)).collect()
    }

    fn said(fault: Option<TranscodeFault>) -> String {
        fault.map_or_else(|| "sound".to_owned(), |fault| fault.to_string())
    }

    #[test]
    fn a_family_is_sound() {
        let family = mounts(&[("r", ""), ("a", "r"), ("b", "r"), ("c", "b")]);
        assert_eq!(faults(&family), BTreeMap::new());
        let (radio, small) = (path("r"), path("c"));
        let from = |source| {
            transcoded_from(source, &family)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(from(&radio), [path("a"), path("b")]);
        assert_eq!(from(&small), []);
    }

    #[test]
    fn a_circle_that_two_edits_make_together_is_found_by_all_in_it() {
        let merged = mounts(&[("r", ""), ("a", "b"), ("b", "a"), ("c", "a"), ("d", "d")]);
        let found = faults(&merged);
        let names: Vec<&str> = found.keys().map(MountName::as_str).collect();
        assert_eq!(names, ["/a", "/b", "/d"], "/c only waits");
        assert!(found[&path("a")].to_string().contains("/a from /b from /a"));
        assert!(found[&path("d")].to_string().contains("/d from /d"));
    }

    #[test]
    fn an_edit_that_closes_a_circle_is_refused() {
        let before = mounts(&[("r", ""), ("a", "r"), ("b", "a")]);
        let refused = said(refusal(&mount("a", "b"), &before));
        let expected = "transcode_from: a circle, /a from /b from /a: no stream would ever begin; choose another mount";
        assert_eq!(refused, expected);
        let refused = said(refusal(&mount("r", "b"), &before));
        assert!(refused.contains("/r from /b from /a from /r"), "{refused}");
        let refused = said(refusal(&mount("x", "x"), &before));
        assert!(refused.contains("a circle, /x from /x"), "{refused}");
        assert_eq!(said(refusal(&mount("a", ""), &before)), "sound");
    }

    #[test]
    fn an_unknown_source_is_answered_with_the_nearest() {
        let before = mounts(&[("radio.mp3", "")]);
        let refused = said(refusal(&mount("x", "radoi.mp3"), &before));
        let expected = "transcode_from: there is no mount /radoi.mp3; did you mean /radio.mp3?";
        assert_eq!(refused, expected);
        let refused = said(refusal(&mount("x", "news"), &before));
        assert!(
            refused.ends_with("no mount /news; create it first"),
            "{refused}"
        );
    }

    #[test]
    fn a_chain_has_an_end_also_where_it_grows_in_the_middle() {
        let chain = [("r", ""), ("a", "r"), ("b", "a"), ("c", "b"), ("d", "c")];
        let before = mounts(&chain);
        assert_eq!(faults(&before), BTreeMap::new());
        let refused = said(refusal(&mount("e", "d"), &before));
        let expected = "transcode_from: more than 4 times transcoded, /e from /d from /c from /b from /a from /r: \
                        choose a mount nearer to the encoder";
        assert_eq!(refused, expected);
        // The chain gets a new head.
        let longer = [&chain[..], &[("s", "")]].concat();
        let refused = said(refusal(&mount("r", "s"), &mounts(&longer)));
        assert!(refused.contains("/d from /c"), "{refused}");
    }

    #[test]
    fn what_was_broken_before_keeps_no_other_edit_from_being_made() {
        let mut before = mounts(&[("r", ""), ("a", "gone"), ("b", "c"), ("c", "b")]);
        before.get_mut(&path("a")).unwrap().transcode.codec = None;
        assert_eq!(faults(&before).len(), 3);
        assert_eq!(said(refusal(&mount("x", "r"), &before)), "sound");
        assert_eq!(said(refusal(&mount("b", "r"), &before)), "sound");
        // A mount that is missing comes back, without any say of those that wait for it.
        assert_eq!(said(refusal(&mount("gone", ""), &before)), "sound");
    }

    #[test]
    fn the_number_of_transcoded_mounts_is_bounded() {
        let many: Vec<String> = (0..MAX_TRANSCODED).map(|it| format!("m{it}")).collect();
        let mut all = vec![("r", "")];
        all.extend(many.iter().map(|name| (name.as_str(), "r")));
        let full = mounts(&all);
        let refused = said(refusal(&mount("x", "r"), &full));
        assert!(
            refused.contains("256 mounts are transcoded already"),
            "{refused}"
        );
        assert_eq!(
            said(refusal(&mount("m1", "m2"), &full)),
            "sound",
            "no more of them"
        );
        assert_eq!(said(refusal(&mount("x", ""), &full)), "sound");
    }
}
