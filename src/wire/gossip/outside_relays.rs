//! The words of a node on the outside relays of its mounts.

use crate::model::mount::MountName;

const REPORT_PREFIX: &str = "outside-relay";
const YIELDING_PREFIX: &str = "yielding";

/// The key of the report of a mount's outside relay.
pub fn outside_relay_key(mount: &MountName) -> String {
    format!("{REPORT_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn outside_relay_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(REPORT_PREFIX)?).ok()
}

/// The key of the stream of a mount that yields its place to any encoder.
pub fn yielding_key(mount: &MountName) -> String {
    format!("{YIELDING_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn yielding_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(YIELDING_PREFIX)?).ok()
}
