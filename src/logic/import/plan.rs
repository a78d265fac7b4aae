//! Decides what a list of streams changes among the mounts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::listing::Listing;
use crate::model::mount::{MountName, MountSpec};

/// One change of the mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportStep {
    /// Make this mount, with this `relay`.
    Create(MountName, String),
    /// Give this mount another `relay`.
    Relay(MountName, String),
    /// Delete this mount.
    Delete(MountName),
}

/// The mounts of each list that it has not named any more since some time. Kept by the node that reads the lists.
#[derive(Clone, Debug, Default)]
pub struct Missing(BTreeMap<MountName, Instant>);

/// The changes of a list that was read, in order. `place` names the list, as [`MountSpec::imported_from`] does; what is left out
/// beside odd lines is added to those.
pub fn plan(
    listing: &mut Listing,
    place: &str,
    mounts: &BTreeMap<MountName, MountSpec>,
) -> Vec<ImportStep> {
    let mut steps = Vec::new();
    for (mount, address) in &listing.streams {
        match mounts.get(mount) {
            None => steps.push(ImportStep::Create(mount.clone(), address.kept())),
            Some(spec) if spec.imported_from != place => {
                let owner = match spec.imported_from.as_str() {
                    "" => "is not imported, and stays as it is: rename it, or set import_prefix"
                        .to_owned(),
                    other => format!("is imported from {other}"),
                };
                listing.left_out.push(format!(
                    "{mount}: a mount of that name is here already, which {owner}"
                ));
            }
            Some(spec) => {
                // An operator may have given it a login, or other servers behind this one.
                let known = spec.relay.as_slice().iter();
                if !known.map(|it| it.url()).any(|url| url == address.url()) {
                    steps.push(ImportStep::Relay(mount.clone(), address.kept()));
                }
            }
        }
    }
    steps
}

impl Missing {
    /// The mounts that have not been listed for `keep`: those that belong to `place`, and are not in its listing.
    pub fn overdue(
        &mut self,
        listing: &Listing,
        place: &str,
        mounts: &BTreeMap<MountName, MountSpec>,
        keep: Duration,
        now: Instant,
    ) -> Vec<ImportStep> {
        let listed = |mount: &MountName| listing.streams.contains_key(mount);
        self.0.retain(|mount, _| {
            let spec = mounts.get(mount);
            spec.is_some_and(|spec| spec.imported_from != place || !listed(mount))
        });
        let gone = mounts.values().filter(|spec| spec.imported_from == place);
        let gone = gone.filter(|spec| !listed(&spec.path));
        let mut steps = Vec::new();
        for spec in gone {
            let since = *self.0.entry(spec.path.clone()).or_insert(now);
            if now.saturating_duration_since(since) >= keep {
                steps.push(ImportStep::Delete(spec.path.clone()));
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::import::listing::read;

    const PLACE: &str = "http://a/admin/streamlist.txt";
    const KEEP: Duration = Duration::from_secs(600);

    fn listing(text: &str) -> Listing {
        read(text.as_bytes(), &PLACE.parse().unwrap(), "").unwrap()
    }

    fn mounts(specs: &[(&str, &str, &str)]) -> BTreeMap<MountName, MountSpec> {
        let specs = specs.iter().map(|(path, from, relay)| {
            let path = MountName::try_from(*path).unwrap();
            let spec = MountSpec {
                imported_from: (*from).to_owned(),
                relay: relay.parse().unwrap(),
                ..MountSpec::new(path.clone())
            };
            (path, spec)
        });
        specs.collect()
    }

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    #[test]
    fn new_streams_are_made_and_own_mounts_stay() {
        let known = mounts(&[
            ("/own", "", ""),
            ("/other", "http://b/list", "http://b/other"),
            ("/same", PLACE, "http://u:p@a/same,http://spare/x"),
            ("/moved", PLACE, "http://old/moved"),
        ]);
        let mut listing = listing("/own\n/other\n/same\n/moved\n/new\n");
        let steps = plan(&mut listing, PLACE, &known);
        let relay = |path: &str| format!("http://a{path}");
        let expected = [
            ImportStep::Relay(mount("/moved"), relay("/moved")),
            ImportStep::Create(mount("/new"), relay("/new")),
        ];
        assert_eq!(steps, expected);
        assert_eq!(listing.left_out.len(), 2, "{:?}", listing.left_out);
        assert!(listing.left_out[1].contains("stays as it is"));
    }

    #[test]
    fn what_is_not_listed_any_more_goes_after_a_while() {
        let known = mounts(&[
            ("/own", "", ""),
            ("/other", "http://b/list", ""),
            ("/gone", PLACE, "http://a/gone"),
        ]);
        let (mut missing, start) = (Missing::default(), Instant::now());
        let (empty, back) = (listing(""), listing("/gone"));
        let mut look = |listing: &Listing, at_s: u64| {
            let now = start + Duration::from_secs(at_s);
            missing.overdue(listing, PLACE, &known, KEEP, now)
        };
        assert_eq!(look(&empty, 0), []);
        assert_eq!(look(&empty, 599), []);
        assert_eq!(look(&back, 599), []);
        assert_eq!(look(&empty, 600), []);
        let gone = [ImportStep::Delete(mount("/gone"))];
        assert_eq!(look(&empty, 1_200), gone);
    }
}
