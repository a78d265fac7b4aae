//! The words of a node on the sources that wait there for their turn.

use serde::{Deserialize, Serialize};

use crate::model::fitness::SourceFitness;
use crate::model::mount::MountName;
use crate::model::source_priority::SourcePriority;

const STANDBY_PREFIX: &str = "standby";

/// The best source that waits for its turn at a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StandbyCard {
    /// The order of the source among those of its mount.
    pub priority: SourcePriority,
    /// Whether the source sends audio, so that it could be heard. An older version does not say it, and says it of audio that
    /// could not.
    pub sends: bool,
    /// Whether it could be heard, and why not.
    #[serde(skip_serializing_if = "SourceFitness::is_fit")]
    pub fitness: SourceFitness,
}

/// The key that says that a source waits for its turn.
pub fn standby_key(mount: &MountName) -> String {
    format!("{STANDBY_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn standby_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(STANDBY_PREFIX)?).ok()
}
