//! The places of addresses, by a database in MaxMind's format.
//!
//! The whole file is read into memory: a node that looks up a listener never waits for a disk, and a file that is
//! being replaced cannot change under its reader. If it cannot be used, no place is known, and nothing else fails.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use maxminddb::{PathElement, Reader, WithinOptions, path};
use serde::Deserialize;
use tracing::debug;

use crate::model::geo::{Country, Position, Whereabouts};

#[cfg(test)]
#[path = "../../tests/whole/support/mmdb.rs"]
pub(crate) mod mmdb;

/// The largest file that is read into memory. Databases of cities have 60 to 130 MB, those that are sold up to 400.
const MAX_FILE_BYTES: u64 = 512 * 1_024 * 1_024;
/// The networks that are looked at to find out whether a database has places at all: networks without one are rare in a
/// database of places, and each look costs a microsecond.
const SAMPLE: usize = 1_000;

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The path is a folder, or a device.
    #[error("is not a file")]
    NoFile,
    /// The file is larger than any database of places.
    #[error("has more than {} MiB", MAX_FILE_BYTES >> 20)]
    TooLarge,
    /// The file is something else, or only a part of a database.
    #[error("is not a complete database in MaxMind's format: {0}")]
    Broken(#[source] maxminddb::MaxMindDbError),
    /// The file is a database of something else, such as providers.
    #[error("is a database ({0}) that knows neither countries nor positions")]
    OtherKind(String),
}

/// The marks that distinguish a file from the one that had its name before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imprint {
    /// The time of the last change, of its permissions too: a file that could not be read before is worth another try.
    changed_s_ns: (i64, i64),
    bytes: u64,
    device_and_inode: (u64, u64),
}

impl Imprint {
    /// The imprint of a file; `None` if it is not there.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            changed_s_ns: (found.ctime(), found.ctime_nsec()),
            bytes: found.len(),
            device_and_inode: (found.dev(), found.ino()),
        })
    }
}

/// A database in memory.
pub struct GeoDatabase(Reader<Vec<u8>>);

impl std::fmt::Debug for GeoDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GeoDatabase").field(&self.kind()).finish()
    }
}

impl GeoDatabase {
    /// Reads a file into memory. Blocks for as long as the disk needs.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        // To open a pipe would mean to wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(GeoError::NoFile);
        }
        let mut bytes = Vec::new();
        let mut file = File::open(path)?.take(MAX_FILE_BYTES + 1);
        if file.read_to_end(&mut bytes)? as u64 > MAX_FILE_BYTES {
            return Err(GeoError::TooLarge);
        }
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, GeoError> {
        let database = Self(Reader::from_source(bytes).map_err(GeoError::Broken)?);
        if !database.knows_any_place().map_err(GeoError::Broken)? {
            return Err(GeoError::OtherKind(database.kind().to_owned()));
        }
        Ok(database)
    }

    /// The name of the database, such as `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.0.metadata().database_type
    }

    /// When the database was made, seconds since 1970.
    pub fn built_unix_s(&self) -> u64 {
        self.0.metadata().build_epoch
    }

    /// The place of an address, as far as the database knows; nothing for one of a private network.
    ///
    /// The country is the one that the address is used in, or else the one that it is registered in.
    pub fn whereabouts(&self, ip: IpAddr) -> Whereabouts {
        let found = self.0.lookup(ip.to_canonical());
        let found = found.inspect_err(|error| debug!(%ip, %error, "not looked up"));
        found.map_or_else(|_| Whereabouts::default(), |found| read(&found))
    }

    fn knows_any_place(&self) -> Result<bool, maxminddb::MaxMindDbError> {
        for found in self.0.networks(WithinOptions::default())?.take(SAMPLE) {
            if read(&found?) != Whereabouts::default() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

type GeoLookup<'a> = maxminddb::LookupResult<'a, Vec<u8>>;

fn read(found: &GeoLookup<'_>) -> Whereabouts {
    let country = |key| -> Option<Country> {
        let code: &str = value(found, &path![key, "iso_code"])?;
        code.parse().ok()
    };
    let degrees = |key| value::<f64>(found, &path!["location", key]);
    let position = || Position::new(degrees("latitude")?, degrees("longitude")?).ok();
    Whereabouts {
        country: country("country").or_else(|| country("registered_country")),
        position: position(),
    }
}

/// One value of a record; `None` if the record is damaged, or of another kind.
fn value<'a, T: Deserialize<'a>>(found: &GeoLookup<'a>, path: &[PathElement<'_>]) -> Option<T> {
    let read = found.decode_path(path);
    let read = read.inspect_err(|error| debug!(%error, "not read"));
    read.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::mmdb::{Value, database, place};
    use super::*;

    const BERLIN: (f64, f64) = (52.5, 13.4);
    const SYDNEY: (f64, f64) = (-33.9, 151.2);

    fn iso(code: &str) -> Value {
        Value::Map(vec![("iso_code", Value::text(code))])
    }

    fn example() -> Vec<u8> {
        let registered = Value::Map(vec![("registered_country", iso("FR"))]);
        let both = Value::Map(vec![
            ("country", iso("CH")),
            ("registered_country", iso("FR")),
        ]);
        let odd = Value::Map(vec![
            ("country", Value::text("DE")),
            ("location", iso("DE")),
        ]);
        database(
            "Test-City",
            &[
                (("192.0.2.0", 24), place("DE", BERLIN)),
                (("192.0.2.128", 25), both),
                (("198.51.100.0", 24), registered),
                (("203.0.113.0", 24), odd),
                (("203.0.113.9", 32), place("XX1", (91.0, 0.0))),
                (("2001:db8::", 32), place("AU", SYDNEY)),
            ],
        )
    }

    fn at(country: &str, position: Option<(f64, f64)>) -> Whereabouts {
        Whereabouts {
            country: country.parse().ok(),
            position: position.and_then(|(north, east)| Position::new(north, east).ok()),
        }
    }

    #[test]
    fn an_address_is_where_the_database_says() {
        let database = GeoDatabase::from_bytes(example()).unwrap();
        for (ip, expected) in [
            ("192.0.2.7", at("de", Some(BERLIN))),
            ("::ffff:192.0.2.7", at("de", Some(BERLIN))),
            ("192.0.2.200", at("ch", None)),
            ("198.51.100.1", at("fr", None)),
            ("2001:db8::1", at("au", Some(SYDNEY))),
            ("2001:db9::1", Whereabouts::default()),
            ("10.0.0.1", Whereabouts::default()),
            ("::1", Whereabouts::default()),
            // Records that say it in a way of their own, or nonsense.
            ("203.0.113.1", Whereabouts::default()),
            ("203.0.113.9", Whereabouts::default()),
        ] {
            assert_eq!(database.whereabouts(ip.parse().unwrap()), expected, "{ip}");
        }
        assert_eq!(database.kind(), "Test-City");
    }

    #[test]
    fn another_kind_of_file_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| GeoDatabase::open(path).unwrap_err().to_string();
        let said = refused(&folder.path().join("none"));
        assert!(said.contains("No such file"), "{said}");
        assert_eq!(refused(folder.path()), "is not a file");
        let file = folder.path().join("file");
        let whole = example();
        for part in [
            &whole[..0],
            b"some text",
            &whole[..whole.len() / 2],
            &whole[..whole.len() - 1],
        ] {
            fs::write(&file, part).unwrap();
            let said = refused(&file);
            assert!(
                said.starts_with("is not a complete database in MaxMind's format"),
                "{said}"
            );
        }
        let number = Value::Map(vec![("autonomous_system_number", Value::Number(7))]);
        fs::write(&file, database("Test-ASN", &[(("192.0.2.0", 24), number)])).unwrap();
        assert!(refused(&file).contains("(Test-ASN) that knows neither"));
        fs::write(&file, &whole).unwrap();
        assert!(GeoDatabase::open(&file).is_ok());
    }

    #[test]
    fn a_file_that_is_replaced_leaves_another_imprint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(Imprint::of(&file), None);
        fs::write(&file, "a").unwrap();
        let before = Imprint::of(&file);
        assert_eq!(Imprint::of(&file), before);
        let next = folder.path().join("next");
        fs::write(&next, "b").unwrap();
        fs::rename(&next, &file).unwrap();
        assert_ne!(Imprint::of(&file), before);
    }

    #[test]
    fn a_replaced_file_of_equal_age_and_size_is_noticed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a").unwrap();
        let before = Imprint::of(file.path());
        let written = fs::metadata(file.path()).unwrap().modified().unwrap();
        let write_again = |_: &u32| {
            fs::write(file.path(), "b").unwrap();
            file.as_file().set_modified(written).unwrap();
            Imprint::of(file.path()) != before
        };
        // The clock of files ticks each few milliseconds only.
        let noticed = (0..100_000).find(write_again);
        assert!(noticed.is_some());
    }

    #[test]
    fn a_file_leaves_another_imprint_when_others_may_read_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = Imprint::of(file.path());
        let allow = |mode: &u32| {
            let permissions = fs::Permissions::from_mode(0o600 | (mode % 0o100));
            fs::set_permissions(file.path(), permissions).unwrap();
            Imprint::of(file.path()) != before
        };
        let noticed = (0..100_000).find(allow);
        assert!(noticed.is_some());
    }

    proptest! {
        #[test]
        fn a_damaged_file_harms_nobody(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            addresses: [u128; 4],
        ) {
            let mut bytes = example();
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            let Ok(database) = GeoDatabase::from_bytes(bytes) else {
                return Ok(());
            };
            for address in addresses {
                database.whereabouts(IpAddr::V6(address.into()));
                database.whereabouts(IpAddr::V4((address as u32).into()));
            }
            database.whereabouts(IpAddr::from([192, 0, 2, 7]));
        }
    }
}
