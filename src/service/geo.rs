//! The places of listeners and of this node: the database in use, which is read again when its file changes.
//!
//! A database that cannot be used does not stop the node: it starts without one, or keeps the one that it has. It says so
//! once in its log, and for as long as that lasts in its status.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::own_card::OwnCard;
use crate::io::geo::{GeoDatabase, Imprint};
use crate::io::tasks::Tasks;
use crate::model::geo::{CountryRule, Whereabouts};
use crate::model::mount::MountSpec;
use crate::model::status::GeoStatus;

/// How often the file is looked at. It changes once a week, but an operator who has just replaced it waits for this.
const LOOK_PERIOD: Duration = Duration::from_secs(30);

/// The places known without a database, and the path of one.
#[derive(Clone, Debug)]
pub struct GeoConfig {
    /// The database's file; without one no place is looked up.
    pub file: Option<PathBuf>,
    /// The place of this node by its settings.
    pub own_place: Whereabouts,
    /// The address of this node by which its place is looked up.
    pub own_ip: IpAddr,
}

#[derive(Debug, Default)]
struct GeoState {
    database: Option<GeoDatabase>,
    /// Why the file as it is now could not be used.
    trouble: Option<String>,
    /// The file as it was looked at last; `Some(None)`: it was not there.
    seen: Option<Option<Imprint>>,
}

#[derive(Debug)]
struct GeoInner {
    config: GeoConfig,
    state: RwLock<GeoState>,
    /// An operator wants the file read again.
    wanted: Notify,
    /// The log says already that a rule on countries keeps nobody out here.
    has_warned: AtomicBool,
}

/// A cheap, cloneable way to look up places.
#[derive(Clone, Debug)]
pub struct Geo(Arc<GeoInner>);

impl Geo {
    /// Reads the database, if there is one.
    pub async fn start(config: GeoConfig) -> Self {
        let geo = Self(Arc::new(GeoInner {
            config,
            state: RwLock::default(),
            wanted: Notify::new(),
            has_warned: AtomicBool::new(false),
        }));
        geo.look().await;
        geo
    }

    /// The place of an address, as far as it is known. Takes a microsecond or two, and never waits for a disk.
    pub fn whereabouts(&self, ip: IpAddr) -> Whereabouts {
        let state = self.0.state.read();
        let database = state.database.as_ref();
        database.map_or_else(Whereabouts::default, |it| it.whereabouts(ip))
    }

    /// Warns once when a mount for some countries is served here and no place is known: every listener is admitted then.
    /// Returns whether it has warned.
    pub fn warn_if_blind(&self, spec: &MountSpec) -> bool {
        let has_rule = spec.steering.countries != CountryRule::Everywhere;
        let is_blind = has_rule && self.0.state.read().database.is_none();
        let warns = is_blind && !self.0.has_warned.swap(true, Ordering::Relaxed);
        if warns {
            warn!(mount = %spec.path, "no place is known: every listener of a mount for some countries is admitted; set geo_database");
        }
        warns
    }

    /// The place of this node: what its settings say, and for the rest what the database says of its address.
    pub fn own_place(&self) -> Whereabouts {
        let config = &self.0.config;
        completed(config.own_place, self.whereabouts(config.own_ip))
    }

    /// The database in the status; nothing if there is to be none.
    pub fn status(&self) -> Option<GeoStatus> {
        self.0.config.file.as_ref()?;
        let state = self.0.state.read();
        Some(GeoStatus {
            database: state.database.as_ref().map(|it| it.kind().to_owned()),
            built_unix_s: state.database.as_ref().map(GeoDatabase::built_unix_s),
            trouble: state.trouble.clone(),
        })
    }

    /// Has the file read again soon, whether it has changed or not.
    pub fn read_again(&self) {
        self.0.wanted.notify_one();
    }

    /// Reads the file again when it changes, and tells the mesh when this node has another place by it. Runs until the node
    /// stops; ends at once if there is to be no database.
    pub async fn run(self, card: OwnCard, tasks: Tasks) {
        if self.0.config.file.is_none() {
            return;
        }
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = tasks.asked_to_end() => return,
                _ = looks.tick() => {}
                () = self.0.wanted.notified() => self.0.state.write().seen = None,
            }
            self.look().await;
            let place = self.own_place();
            card.change(|card| card.place = place).await;
        }
    }

    /// Reads the file again if it is not the one that was looked at last.
    async fn look(&self) {
        let Some(file) = self.0.config.file.clone() else {
            return;
        };
        let seen = self.0.state.read().seen;
        let read = move || {
            // First the imprint: what is written after it is another change, and is looked at again.
            let imprint = Imprint::of(&file);
            let opened = (seen != Some(imprint)).then(|| GeoDatabase::open(&file));
            opened.map(|opened| (imprint, opened))
        };
        match spawn_blocking(read).await {
            Ok(Some((imprint, opened))) => {
                let opened = opened.map_err(|error| error.to_string());
                self.take(imprint, opened);
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "the geo database was not looked at"),
        }
    }

    fn take(&self, imprint: Option<Imprint>, opened: Result<GeoDatabase, String>) {
        let file = self.0.config.file.as_deref().unwrap_or("".as_ref());
        let file = file.display();
        let mut state = self.0.state.write();
        state.seen = Some(imprint);
        match opened {
            Ok(database) => {
                let (kind, built_unix_s) = (database.kind(), database.built_unix_s());
                info!(%file, kind, built_unix_s, "geo database read");
                state.trouble = None;
                let before = state.database.replace(database);
                // Many megabytes are freed after the lock, so that no look-up waits for it.
                drop(state);
                drop(before);
            }
            Err(why) => {
                match &state.database {
                    Some(_) => warn!(%file, why, "geo database not read, the one before is kept"),
                    None => warn!(%file, why, "geo database not read, no place is known"),
                }
                state.trouble = Some(why);
            }
        }
    }
}

/// A place as the settings say it; what they leave out is taken from what was found.
///
/// A position that was found in another country than the one in the settings is wrong, and is not taken.
fn completed(said: Whereabouts, found: Whereabouts) -> Whereabouts {
    let agreed = said.country.is_none() || found.country.is_none() || said.country == found.country;
    Whereabouts {
        country: said.country.or(found.country),
        position: said.position.or(found.position.filter(|_| agreed)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::io::geo::mmdb::{database, place};

    const OWN_IP: &str = "192.0.2.7";

    fn berlin() -> Vec<u8> {
        database("Test-1", &[(("192.0.2.0", 24), place("DE", (52.5, 13.4)))])
    }

    fn vienna() -> Vec<u8> {
        database("Test-2", &[(("192.0.2.0", 24), place("AT", (48.2, 16.4)))])
    }

    fn at(country: &str, position: &str) -> Whereabouts {
        Whereabouts {
            country: country.parse().ok(),
            position: position.parse().ok(),
        }
    }

    async fn start(file: &Path) -> Geo {
        Geo::start(GeoConfig {
            file: Some(file.to_owned()),
            own_place: Whereabouts::default(),
            own_ip: OWN_IP.parse().unwrap(),
        })
        .await
    }

    /// Replaces a file as it is done well: with a whole one.
    fn replace(file: &Path, bytes: &[u8]) {
        let next = file.with_extension("next");
        fs::write(&next, bytes).unwrap();
        fs::rename(&next, file).unwrap();
    }

    #[tokio::test]
    async fn a_rule_on_countries_without_places_is_warned_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("geo.mmdb");
        let geo = start(&file).await;
        let mut spec = MountSpec::new("/radio.mp3".parse().unwrap());
        assert!(!geo.warn_if_blind(&spec), "it has no rule");
        spec.steering.countries = "de".parse().unwrap();
        assert!(geo.warn_if_blind(&spec));
        assert!(!geo.warn_if_blind(&spec), "once");
        replace(&file, &berlin());
        assert!(!start(&file).await.warn_if_blind(&spec), "places are known");
    }

    #[tokio::test]
    async fn a_changed_file_is_read_and_a_broken_one_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("geo.mmdb");
        let geo = start(&file).await;
        assert_eq!(geo.own_place(), Whereabouts::default());
        let status = geo.status().unwrap();
        assert!(status.database.is_none() && status.trouble.is_some());

        replace(&file, &berlin());
        geo.look().await;
        assert_eq!(geo.own_place(), at("de", "52.5,13.4"));
        assert_eq!(geo.status().unwrap().trouble, None);

        replace(&file, &vienna()[..100]);
        geo.look().await;
        assert_eq!(geo.own_place(), at("de", "52.5,13.4"));
        let status = geo.status().unwrap();
        assert_eq!(status.database.as_deref(), Some("Test-1"));
        assert!(status.trouble.is_some());

        fs::remove_file(&file).unwrap();
        geo.look().await;
        assert_eq!(geo.own_place(), at("de", "52.5,13.4"));

        replace(&file, &vienna());
        geo.look().await;
        assert_eq!(geo.own_place(), at("at", "48.2,16.4"));
        assert_eq!(geo.status().unwrap().trouble, None);
    }

    #[tokio::test]
    async fn a_file_that_stays_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("geo.mmdb");
        replace(&file, &berlin());
        let geo = start(&file).await;
        geo.0.state.write().trouble = Some("not looked at again".to_owned());
        geo.look().await;
        assert!(geo.0.state.read().trouble.is_some());
    }

    #[tokio::test]
    async fn without_a_database_nothing_is_known_and_nothing_is_amiss() {
        let geo = Geo::start(GeoConfig {
            file: None,
            own_place: at("de", ""),
            own_ip: OWN_IP.parse().unwrap(),
        })
        .await;
        assert_eq!(geo.status(), None);
        assert_eq!(geo.own_place(), at("de", ""));
        assert_eq!(
            geo.whereabouts(OWN_IP.parse().unwrap()),
            Whereabouts::default()
        );
    }

    #[test]
    fn the_operator_goes_before_the_database() {
        let found = at("de", "52.5,13.4");
        for (said, expected) in [
            (at("", ""), found),
            (at("de", ""), found),
            (at("at", ""), at("at", "")),
            (at("", "48.2,16.4"), at("de", "48.2,16.4")),
            (at("at", "48.2,16.4"), at("at", "48.2,16.4")),
        ] {
            assert_eq!(completed(said, found), expected, "{said:?}");
        }
        assert_eq!(completed(at("de", ""), at("", "52.5,13.4")), found);
    }
}
