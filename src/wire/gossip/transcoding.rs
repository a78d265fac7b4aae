//! The words of a node on itself as a transcoder.

use serde::{Deserialize, Serialize};

use crate::model::format::CodecName;
use crate::model::mount::MountName;
use crate::model::transcoding::TranscoderStage;

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

/// A transcoder that a node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscoderCard {
    /// The program that does the work, such as `ffmpeg`.
    pub engine: String,
    /// How far it is.
    pub stage: TranscoderStage,
    /// Why there is no stream, while there is a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How often the program was started again after a failure.
    #[serde(default)]
    pub restarts: u32,
    /// How much audio it has and has not made into its own stream yet, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// How much of one processor the program uses, thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_permille: Option<u32>,
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
