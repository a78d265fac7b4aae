//! The words of a node on the files that mounts play.

use serde::{Deserialize, Serialize};

use crate::model::file_name::PlayedFile;
use crate::model::format::StreamFormat;

const FILE_PREFIX: &str = "file/";

/// Whether a node can play a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCard {
    /// Why it cannot, in words for an operator; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The format, if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<StreamFormat>,
    /// Whether it is about to be fetched from another node.
    #[serde(default)]
    pub is_coming: bool,
}

/// The key of what a node says of a file.
pub fn file_key(file: &PlayedFile) -> String {
    format!("{FILE_PREFIX}{file}")
}

/// The file of such a key.
pub fn played_file(key: &str) -> Option<PlayedFile> {
    key.strip_prefix(FILE_PREFIX)?.parse().ok()
}
