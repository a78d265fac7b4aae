//! The words of a node on what the listeners of a mount hear there, if that is not the mount's own stream.

use serde::{Deserialize, Serialize};

use crate::model::mount::MountName;
use crate::model::rung_name::RungName;

const RUNG_PREFIX: &str = "rung";

/// A fallback that the listeners of a mount hear at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungCard {
    /// The rung that they hear. Older nodes know mounts only, and take a card with a file as none.
    #[serde(rename = "mount")]
    pub rung: RungName,
    /// The listeners of the first mount that hear it at the node.
    pub listeners: u32,
}

/// The key of what the listeners of a mount hear.
pub fn rung_key(mount: &MountName) -> String {
    format!("{RUNG_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn rung_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(RUNG_PREFIX)?).ok()
}
