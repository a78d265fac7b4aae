//! The words of a node on itself as a transcoder.

use serde::{Deserialize, Serialize};

use crate::model::format::CodecName;
use crate::model::mount::MountName;

/// The key of a [`TranscodingCard`].
pub const TRANSCODING: &str = "transcoding";
const TRANSCODER_PREFIX: &str = "transcoder";
const WANTED_PREFIX: &str = "wanted";

/// The transcoders that a node can run. A node without one runs none.
///
/// How many it runs is not in here: its claims to their seats say that. How busy its processors are is in its load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscodingCard {
    /// The program that transcodes, such as `ffmpeg`.
    pub engine: String,
    /// The codecs that it can make. One of a newer version reads as unknown, and counts for nothing.
    pub codecs: Vec<CodecName>,
    /// The most transcoders at once.
    pub most: u32,
    /// Why it can run none now, while it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The key of the transcoder of a mount.
pub fn transcoder_key(mount: &MountName) -> String {
    format!("{TRANSCODER_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn transcoder_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(TRANSCODER_PREFIX)?).ok()
}

/// The key that says that somebody wants a mount's stream.
pub fn wanted_key(mount: &MountName) -> String {
    format!("{WANTED_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn wanted_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(WANTED_PREFIX)?).ok()
}
