//! The logs that a node writes for operators' tools: `access.log` and `playlist.log`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::access_log::{AddressPrivacy, LogFormat};

/// The folder in the data directory for the logs, if none is set.
const LOGS_FOLDER: &str = "logs";

/// The usual size at which a log is begun anew, MiB: some 250,000 requests.
const DEFAULT_MAX_MIB: u32 = 32;
/// The greatest one: what a tool still reads in a minute.
const MAX_MAX_MIB: u32 = 4_096;

/// The usual number of old logs that are kept: with the usual size 160 MiB of each log, which a small disk has.
const DEFAULT_KEEP: u32 = 4;
/// The greatest one, so that renaming them stays quick.
const MAX_KEEP: u32 = 100;

/// The table `[logs]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogsTable {
    /// The folder; `None`: `logs` in the data directory.
    pub folder: Option<PathBuf>,
    /// Whether requests are written to `access.log`; they are unless this is false.
    pub access: Option<bool>,
    /// Whether titles are written to `playlist.log`; they are unless this is false.
    pub playlist: Option<bool>,
    /// How lines are written.
    pub format: LogFormat,
    /// How much of the addresses of clients is written.
    pub address_privacy: AddressPrivacy,
    /// The size at which a log is begun anew, MiB.
    pub max_mib: Option<u32>,
    /// How many old logs of each kind are kept.
    pub keep: Option<u32>,
}

/// The logs of a node, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogsSettings {
    /// The folder.
    pub folder: PathBuf,
    /// Whether requests are written to `access.log`.
    pub access: bool,
    /// Whether titles are written to `playlist.log`.
    pub playlist: bool,
    /// How lines are written.
    pub format: LogFormat,
    /// How much of the addresses of clients is written.
    pub address_privacy: AddressPrivacy,
    /// The size at which a log is begun anew, bytes.
    pub max_bytes: u64,
    /// How many old logs of each kind are kept.
    pub keep: u32,
}

/// Why the table `[logs]` does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLogs {
    /// A log that could hold next to nothing, or too much to be read.
    #[error(
        "max_mib = {0} in [logs]: write 1 to {MAX_MAX_MIB}, the size in MiB at which a log is begun anew"
    )]
    MaxMib(u32),
    /// More old logs than can be renamed quickly.
    #[error(
        "keep = {0} in [logs]: write 0 to {MAX_KEEP}, the number of old logs that are kept of each kind"
    )]
    Keep(u32),
}

impl LogsSettings {
    /// The words of the table, for a node with this data directory.
    pub fn of(table: LogsTable, data_dir: &Path) -> Result<Self, BadLogs> {
        let max_mib = table.max_mib.unwrap_or(DEFAULT_MAX_MIB);
        let keep = table.keep.unwrap_or(DEFAULT_KEEP);
        match (max_mib, keep) {
            (1..=MAX_MAX_MIB, 0..=MAX_KEEP) => Ok(Self {
                folder: table.folder.unwrap_or_else(|| data_dir.join(LOGS_FOLDER)),
                access: table.access.unwrap_or(true),
                playlist: table.playlist.unwrap_or(true),
                format: table.format,
                address_privacy: table.address_privacy,
                max_bytes: u64::from(max_mib) << 20,
                keep,
            }),
            (1..=MAX_MAX_MIB, _) => Err(BadLogs::Keep(keep)),
            _ => Err(BadLogs::MaxMib(max_mib)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_logs_are_written_to_the_data_directory_unless_it_is_set() {
        let data_dir = Path::new("/d");
        let usual = LogsSettings::of(LogsTable::default(), data_dir).unwrap();
        assert_eq!(usual.folder, Path::new("/d/logs"));
        assert!(usual.access && usual.playlist);
        assert_eq!(usual.address_privacy, AddressPrivacy::Truncated);
        assert_eq!((usual.max_bytes, usual.keep), (32 << 20, 4));
        let table = LogsTable {
            folder: Some("/l".into()),
            access: Some(false),
            max_mib: Some(1),
            keep: Some(0),
            ..LogsTable::default()
        };
        let set = LogsSettings::of(table, data_dir).unwrap();
        assert_eq!(set.folder, Path::new("/l"));
        assert!(!set.access && set.playlist);
        assert_eq!((set.max_bytes, set.keep), (1 << 20, 0));
    }

    #[test]
    fn sizes_and_numbers_have_their_bounds() {
        let of = |max_mib, keep| {
            let table = LogsTable {
                max_mib: Some(max_mib),
                keep: Some(keep),
                ..LogsTable::default()
            };
            LogsSettings::of(table, Path::new("/d")).map(|it| it.keep)
        };
        assert_eq!(of(4_096, 100), Ok(100));
        assert_eq!(of(0, 1), Err(BadLogs::MaxMib(0)));
        assert_eq!(of(4_097, 1), Err(BadLogs::MaxMib(4_097)));
        assert_eq!(of(1, 101), Err(BadLogs::Keep(101)));
    }
}
