//! Why a mount cannot have its fallbacks, or be switched: each reason is found when it is set.

use std::collections::BTreeMap;

use super::add_rungs;
use crate::logic::mount_names::{hint, in_a_row};
use crate::model::fallback::MAX_FALLBACKS;
use crate::model::file_name::{FileName, PlayedFile};
use crate::model::kept_file::KeptFiles;
use crate::model::mount::{MountName, MountSpec};
use crate::model::rung_name::RungName;
use crate::model::suggest::nearest;

/// The setting of a mount that lists its fallbacks.
pub const FALLBACK: &str = "fallback";
/// The setting of a mount that holds an operator's order which stream is heard.
pub const SWITCHED_TO: &str = "switched_to";

/// Why a mount cannot have its fallbacks. Each text begins with the setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FallbackFault {
    /// A fallback is not there.
    #[error("{setting}: there is no mount {mount}{hint}")]
    NoMount {
        /// The setting that names it.
        setting: &'static str,
        /// The mount that is missing.
        mount: MountName,
        /// The mount that may have been meant, or what to do.
        hint: String,
    },
    /// A file is not there.
    #[error("{setting}: there is no file {file}{hint}")]
    NoFile {
        /// The setting that names it.
        setting: &'static str,
        /// The file that is missing.
        file: FileName,
        /// The file that may have been meant, or what to do.
        hint: String,
    },
    /// The mount would fall back to itself, perhaps by way of others. With all of them, itself at both ends.
    #[error("fallback: a circle, {}: leave one of them out", in_a_row(.0, "to"))]
    Circle(Vec<MountName>),
    /// Players could not go on with the stream of a fallback.
    #[error(transparent)]
    OtherFormat(Box<OtherFormat>),
    /// The mount would have more fallbacks than are followed, with those of its fallbacks.
    #[error(
        "fallback: more than {MAX_FALLBACKS}, with those that the fallbacks have themselves: leave some out"
    )]
    TooMany,
}

/// A rung with which the players of another one could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{setting}: {rung} is {theirs}, and {before} {heard}: players cannot go on with another format; {}",
    cure(.rung, .setting)
)]
pub struct OtherFormat {
    /// The setting that names it.
    pub setting: &'static str,
    /// The fallback.
    pub rung: RungName,
    /// The format of that, in words.
    pub theirs: String,
    /// The mount that would have it, or a fallback before it.
    pub before: RungName,
    /// The format of that one, in words.
    pub heard: String,
}

/// The advice for a rung of another format.
fn cure(rung: &RungName, setting: &str) -> String {
    let cure = match rung {
        RungName::Mount(mount) => format!(
            "choose a mount of the same, or transcode one (antiphon mount create --transcode-from {mount})"
        ),
        RungName::File(_) => "choose a file of the same, or encode it anew".to_owned(),
    };
    let verb = match setting {
        SWITCHED_TO => "switch",
        _ => "set it",
    };
    format!("{cure}, or {verb} all the same by --force (in the API by ?force=true)")
}

/// Why a mount cannot get these settings. A mount that was there with a fault before may keep it.
pub fn refusal(
    changed: &MountSpec,
    mounts: &BTreeMap<MountName, MountSpec>,
    files: &KeptFiles,
) -> Option<FallbackFault> {
    let mut after = mounts.clone();
    after.insert(changed.path.clone(), changed.clone());
    for mount in changed.fallback.mounts() {
        if !after.contains_key(mount) {
            let (hint, mount) = (hint(mount, mounts), mount.clone());
            return Some(FallbackFault::NoMount {
                setting: FALLBACK,
                mount,
                hint,
            });
        }
    }
    let mut played = changed.fallback.files();
    if let Some(fault) = played.find_map(|file| missing_file(FALLBACK, file, files)) {
        return Some(fault);
    }
    if let Some(chain) = circle(&changed.path, &after) {
        return Some(FallbackFault::Circle(chain));
    }
    let is_too_long = |spec: &MountSpec| {
        let mut rungs = Vec::new();
        add_rungs(spec, &after, &mut rungs);
        rungs.len() > 1 + MAX_FALLBACKS
    };
    // Those that fall back to this mount get longer with it.
    let mut ladders = after.values().filter(|spec| !spec.fallback.is_empty());
    let is_worse = |spec: &&MountSpec| {
        let concerned = spec.path == changed.path || leads_to(&spec.path, &changed.path, &after);
        concerned && is_too_long(spec)
    };
    ladders
        .any(|spec| is_worse(&spec))
        .then_some(FallbackFault::TooMany)
}

/// Why the listeners of a mount cannot be switched as these settings say.
pub fn switch_refusal(
    changed: &MountSpec,
    mounts: &BTreeMap<MountName, MountSpec>,
    files: &KeptFiles,
) -> Option<FallbackFault> {
    match &changed.switched_to.as_ref()?.to {
        RungName::Mount(mount) => {
            let is_there = *mount == changed.path || mounts.contains_key(mount);
            (!is_there).then(|| FallbackFault::NoMount {
                setting: SWITCHED_TO,
                mount: mount.clone(),
                hint: hint(mount, mounts),
            })
        }
        RungName::File(file) => missing_file(SWITCHED_TO, file, files),
    }
}

/// Why a file cannot be played that this setting names: the mesh keeps none of that name.
fn missing_file(
    setting: &'static str,
    played: &PlayedFile,
    files: &KeptFiles,
) -> Option<FallbackFault> {
    let PlayedFile::Kept(file) = played else {
        return None;
    };
    (!files.contains_key(file)).then(|| FallbackFault::NoFile {
        setting,
        file: file.clone(),
        hint: file_hint(file, files),
    })
}

/// The hint at the file that is most like a name that there is not, or what to do if none is.
fn file_hint(missing: &FileName, files: &KeptFiles) -> String {
    let known: Vec<&str> = files.keys().map(FileName::as_str).collect();
    match nearest(missing.as_str(), &known) {
        Some(meant) => format!("; did you mean file:{meant}?"),
        None => format!("; put it first (antiphon file put {missing})"),
    }
}

/// Whether one mount falls back to another, perhaps by way of others.
fn leads_to(from: &MountName, to: &MountName, mounts: &BTreeMap<MountName, MountSpec>) -> bool {
    way(from, to, mounts).is_some()
}

/// The circle in which a mount falls back to itself, with the mount at both ends. None is set, but edits of several nodes may make one
/// together.
pub fn circle(
    mount: &MountName,
    mounts: &BTreeMap<MountName, MountSpec>,
) -> Option<Vec<MountName>> {
    way(mount, mount, mounts)
}

/// The mounts on a way from one mount down to another, both at its ends; each mount is looked at once.
fn way(
    from: &MountName,
    to: &MountName,
    mounts: &BTreeMap<MountName, MountSpec>,
) -> Option<Vec<MountName>> {
    let mut came_from: BTreeMap<&MountName, &MountName> = BTreeMap::new();
    let mut open = vec![from];
    while let Some(mount) = open.pop() {
        let below = mounts.get(mount).map(|spec| spec.fallback.mounts());
        for next in below.into_iter().flatten() {
            if came_from.contains_key(next) {
                continue;
            }
            came_from.insert(next, mount);
            if next == to {
                return Some(spell_way(from, to, &came_from));
            }
            open.push(next);
        }
    }
    None
}

fn spell_way(
    from: &MountName,
    to: &MountName,
    came_from: &BTreeMap<&MountName, &MountName>,
) -> Vec<MountName> {
    let mut way = vec![to.clone()];
    let mut at = to;
    while let Some(before) = came_from.get(at) {
        way.push((*before).clone());
        at = before;
        if at == from {
            break;
        }
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::super::rungs;
    use super::super::samples::{mounts, path, spec};
    use super::*;

    #[test]
    fn a_circle_is_spelled() {
        let known = mounts(&[("a", "/b"), ("b", "/x,/c"), ("c", ""), ("x", "")]);
        for (changed, told) in [
            (
                spec("c", "/a"),
                "fallback: a circle, /c to /a to /b to /c: leave one of them out",
            ),
            (
                spec("c", "/c"),
                "fallback: a circle, /c to /c: leave one of them out",
            ),
        ] {
            assert_eq!(
                refusal(&changed, &known, &KeptFiles::new())
                    .unwrap()
                    .to_string(),
                told
            );
        }
        assert_eq!(refusal(&spec("c", "/x"), &known, &KeptFiles::new()), None);
    }

    #[test]
    fn a_missing_mount_is_named_with_its_neighbour() {
        let known = mounts(&[("auto.mp3", ""), ("live.mp3", "")]);
        let told = |fallback| {
            refusal(&spec("live.mp3", fallback), &known, &KeptFiles::new())
                .unwrap()
                .to_string()
        };
        let meant = "fallback: there is no mount /autos.mp3; did you mean /auto.mp3?";
        assert_eq!(told("/autos.mp3"), meant);
        let unlike = "fallback: there is no mount /quite-another; create it first";
        assert_eq!(told("/quite-another"), unlike);
    }

    #[test]
    fn a_ladder_has_ten_fallbacks_at_most() {
        let mut specs: Vec<(String, String)> = (0..10)
            .map(|n| (format!("m{n}"), format!("/m{}", n + 1)))
            .collect();
        specs.push(("m10".to_owned(), String::new()));
        specs.push(("m11".to_owned(), String::new()));
        let specs: Vec<(&str, &str)> = specs.iter().map(|it| (&*it.0, &*it.1)).collect();
        let known = mounts(&specs);
        assert_eq!(rungs(&known[&path("m0")], &known).len(), 11);
        // The ladder of /m0 grows too long by an edit of the mount at its end.
        let refused = refusal(&spec("m10", "/m11"), &known, &KeptFiles::new());
        assert_eq!(refused, Some(FallbackFault::TooMany));
        assert_eq!(
            refusal(&spec("m11", "/m5"), &known, &KeptFiles::new()),
            None
        );
    }
}
