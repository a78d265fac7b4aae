//! The ladder of a mount: its own stream, and below it the streams and files that its listeners hear when that one does not flow.
//!
//! Every node chooses alone, by the same facts and this one rule; so all of them play the same. A fallback may have fallbacks
//! itself: they are rungs of the mount, too, right below that one.

mod faults;
mod formats;

use std::collections::{BTreeMap, BTreeSet};

pub use self::faults::{
    FALLBACK, FallbackFault, OtherFormat, SWITCHED_TO, circle, refusal, switch_refusal,
};
pub use self::formats::{may_follow, promised_format};
use crate::model::fallback::MAX_FALLBACKS;
use crate::model::file_name::{FileName, PlayedFile};
use crate::model::mount::{MountName, MountSpec};
use crate::model::rung_name::RungName;
use crate::model::status::rung::RungState;

/// The rungs that the listeners of a mount may hear, the best first: its own stream, then its fallbacks. Each is named once,
/// and a circle, which edits of two nodes may make together, ends where it began.
pub fn rungs(spec: &MountSpec, mounts: &BTreeMap<MountName, MountSpec>) -> Vec<RungName> {
    let mut rungs = Vec::new();
    add_rungs(spec, mounts, &mut rungs);
    rungs.truncate(1 + MAX_FALLBACKS);
    rungs
}

fn add_rungs(spec: &MountSpec, mounts: &BTreeMap<MountName, MountSpec>, rungs: &mut Vec<RungName>) {
    rungs.push(spec.path.clone().into());
    for rung in spec.fallback.rungs() {
        // One more than may be, so that it is noticed.
        if rungs.len() > 1 + MAX_FALLBACKS || rungs.contains(rung) {
            continue;
        }
        match rung.mount().and_then(|mount| mounts.get(mount)) {
            Some(fallback) => add_rungs(fallback, mounts, rungs),
            None => rungs.push(rung.clone()),
        }
    }
}

/// The rungs of a mount at a time: [`rungs`], and the one to which an operator has switched it, which may be none of them
/// and is the last then.
pub fn rungs_at(
    unix_s: u64,
    spec: &MountSpec,
    mounts: &BTreeMap<MountName, MountSpec>,
) -> Vec<RungName> {
    let mut rungs = rungs(spec, mounts);
    let switched = spec.ordered_rung(unix_s);
    rungs.extend(switched.filter(|rung| !rungs.contains(rung)).cloned());
    rungs
}

/// The facts, beside the states of the rungs, by which one is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// The rung that is heard now.
    pub playing: Option<usize>,
    /// Whether listeners return to a better rung. If not, a fallback is heard for as long as it flows.
    pub returns: bool,
    /// The rung to which an operator has switched the mount.
    pub switched_to: Option<usize>,
}

/// The rung that is to be heard; `None`: nothing flows. An operator's order beats silence.
pub fn choose(rungs: &[RungState], choice: Choice) -> Option<usize> {
    let flows = |rung: &usize| rungs.get(*rung) == Some(&RungState::Flows);
    let ordered = choice.switched_to.filter(|rung| {
        let state = rungs.get(*rung);
        state.is_some_and(|state| state.can_be_ordered())
    });
    let kept = choice.playing.filter(|rung| !choice.returns && *rung > 0);
    ordered.or_else(|| kept.into_iter().chain(0..rungs.len()).find(flows))
}

/// The mounts between whose streams listeners of one mount may be switched: itself, and those on a ladder with it, also by an
/// order of an operator that is over.
pub fn neighbours(mount: &MountName, mounts: &BTreeMap<MountName, MountSpec>) -> Vec<MountName> {
    let ladders = mounts.values().filter(|spec| spec.has_ladder());
    let ladders = ladders.map(|spec| rungs_at(0, spec, mounts));
    let shared = ladders.filter(|rungs| rungs.iter().any(|rung| rung.is_mount(mount)));
    let shared = shared.flatten().filter_map(|rung| rung.mount().cloned());
    let all: BTreeSet<MountName> = shared.chain([mount.clone()]).collect();
    all.into_iter().collect()
}

/// The mounts that fall back to this one.
pub fn dependents<'a>(
    fallback: &'a MountName,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> impl Iterator<Item = &'a MountName> {
    let to_it = mounts
        .values()
        .filter(move |mount| mount.fallback.mounts().any(|it| it == fallback));
    to_it.map(|mount| &mount.path)
}

/// The mounts whose listeners an operator's order has hear this one at this time.
pub fn switched_to<'a>(
    mount: &'a MountName,
    unix_s: u64,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> impl Iterator<Item = &'a MountName> {
    let others = mounts.values().filter(move |spec| spec.path != *mount);
    let switched = others.filter(move |spec| {
        let rung = spec.ordered_rung(unix_s);
        rung.is_some_and(|rung| rung.is_mount(mount))
    });
    switched.map(|spec| &spec.path)
}

/// The mounts that play a file that the mesh keeps.
pub fn players_of<'a>(
    file: &'a FileName,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> impl Iterator<Item = &'a MountName> {
    let is_it = move |played: &PlayedFile| matches!(played, PlayedFile::Kept(it) if it == file);
    let players = mounts
        .values()
        .filter(move |mount| mount.played_files().any(is_it));
    players.map(|mount| &mount.path)
}

/// Generated mounts for the tests of ladders.
#[cfg(test)]
mod samples {
    use super::*;

    pub(super) type Mounts = BTreeMap<MountName, MountSpec>;

    pub(super) fn path(name: &str) -> MountName {
        MountName::try_from(format!("/{name}")).unwrap()
    }

    pub(super) fn spec(name: &str, fallback: &str) -> MountSpec {
        MountSpec {
            fallback: fallback.parse().unwrap(),
            ..MountSpec::new(path(name))
        }
    }

    pub(super) fn mounts(specs: &[(&str, &str)]) -> Mounts {
        let specs = specs.iter().map(|(name, fallback)| spec(name, fallback));
        specs.map(|spec| (spec.path.clone(), spec)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::{Mounts, mounts, path};
    use super::*;
    use crate::model::kept_file::KeptFiles;
    use crate::model::switch::Switch;
    use RungState::{Flows, OffAir, OtherFormat};

    fn names<T: ToString>(rungs: &[T]) -> String {
        let names: Vec<String> = rungs.iter().map(T::to_string).collect();
        names.join(" ")
    }

    #[test]
    fn the_fallbacks_of_a_fallback_come_right_below_it() {
        let known = mounts(&[
            ("live", "/auto,/music"),
            ("auto", "/backup,file:loop,/music"),
            ("music", ""),
            ("backup", "/gone"),
        ]);
        let rungs = rungs(&known[&path("live")], &known);
        assert_eq!(names(&rungs), "/live /auto /backup /gone file:loop /music");
    }

    #[test]
    fn a_merged_circle_ends_where_it_began() {
        let known = mounts(&[("a", "/b"), ("b", "/c"), ("c", "/a")]);
        assert_eq!(names(&rungs(&known[&path("b")], &known)), "/b /c /a");
    }

    #[test]
    fn the_highest_rung_that_flows_is_heard() {
        for (rungs, chosen) in [
            (&[Flows, Flows][..], Some(0)),
            (&[OffAir, Flows, Flows], Some(1)),
            (&[OffAir, OtherFormat, Flows], Some(2)),
            (&[OffAir, RungState::Missing], None),
            (&[], None),
        ] {
            for (playing, returns) in [(None, true), (Some(0), false)] {
                let choice = Choice {
                    playing,
                    returns,
                    switched_to: None,
                };
                assert_eq!(choose(rungs, choice), chosen, "{rungs:?}");
            }
        }
    }

    #[test]
    fn a_mount_that_does_not_return_plays_on_what_flows() {
        let rungs = [Flows, Flows, Flows];
        let choice = |playing, returns| Choice {
            playing: Some(playing),
            returns,
            switched_to: None,
        };
        assert_eq!(choose(&rungs, choice(2, true)), Some(0));
        assert_eq!(choose(&rungs, choice(2, false)), Some(2));
        assert_eq!(choose(&[Flows, Flows, OffAir], choice(2, false)), Some(0));
        assert_eq!(choose(&rungs, choice(9, false)), Some(0), "no such rung");
    }

    #[test]
    fn an_operators_order_holds_while_its_rung_flows() {
        let choice = |switched_to| Choice {
            playing: Some(1),
            returns: false,
            switched_to: Some(switched_to),
        };
        let rungs = [Flows, Flows, Flows];
        assert_eq!(choose(&rungs, choice(2)), Some(2));
        assert_eq!(choose(&rungs, choice(0)), Some(0));
        assert_eq!(choose(&[Flows, Flows, OffAir], choice(2)), Some(1));
        let silent = [Flows, Flows, RungState::Silent];
        assert_eq!(
            choose(&silent, choice(2)),
            Some(2),
            "an order beats silence"
        );
        assert_eq!(choose(&rungs, choice(9)), Some(1), "no such rung");
    }

    #[test]
    fn the_rung_of_an_order_is_a_rung_until_the_order_ends() {
        let known = mounts(&[("live", "/auto"), ("auto", "")]);
        let mut live = known[&path("live")].clone();
        for (to, before, after) in [
            ("/news", "/live /auto /news", "/live /auto"),
            ("/auto", "/live /auto", "/live /auto"),
        ] {
            live.switched_to = Some(Switch {
                to: to.parse().unwrap(),
                until_unix_s: Some(100),
            });
            assert_eq!(names(&rungs_at(99, &live, &known)), before);
            assert_eq!(names(&rungs_at(100, &live, &known)), after);
            let known = Mounts::from([(live.path.clone(), live.clone())]);
            let to = path(to.trim_start_matches('/'));
            let by = |unix_s| switched_to(&to, unix_s, &known).count();
            assert_eq!((by(99), by(100)), (1, 0));
        }
    }

    #[test]
    fn the_mounts_that_fall_back_to_one_are_found() {
        let known = mounts(&[("a", "/c"), ("b", "/a,/c"), ("c", "")]);
        assert_eq!(names(&neighbours(&path("c"), &known)), "/a /b /c");
        let alone = mounts(&[("d", "")]);
        assert_eq!(neighbours(&path("d"), &alone), [path("d")]);
        let found: Vec<MountName> = dependents(&path("c"), &known).cloned().collect();
        assert_eq!(names(&found), "/a /b");
    }

    proptest! {
        /// Whatever edits are merged, a ladder is short, begins with its mount, and names none twice.
        #[test]
        fn ladders_are_bounded(lists: Vec<Vec<u8>>) {
            let known: Mounts = (0..12).map(|n| {
                let list = lists.get(n).map(|list| list.iter().map(|it| format!("/m{}", it % 14)));
                let list: Vec<String> = list.into_iter().flatten().take(40).collect();
                let spec = MountSpec {
                    fallback: crate::model::fallback::Fallbacks::known(&list.join(",")),
                    ..MountSpec::new(path(&format!("m{n}")))
                };
                (spec.path.clone(), spec)
            }).collect();
            for spec in known.values() {
                let rungs = rungs(spec, &known);
                prop_assert!(rungs.len() <= 1 + MAX_FALLBACKS);
                prop_assert!(rungs[0].is_mount(&spec.path));
                let mut once = rungs.clone();
                once.sort();
                once.dedup();
                prop_assert_eq!(once.len(), rungs.len());
                let _answer = refusal(spec, &known, &KeptFiles::new());
            }
        }
    }
}
