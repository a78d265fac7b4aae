//! A file that the mesh keeps, as a node shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::kept_file::KeptFile;
use crate::model::mount::MountName;
use crate::model::node::NodeName;

/// A file, who plays it, and which nodes lack it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// The file.
    #[serde(flatten)]
    pub file: KeptFile,
    /// The mounts that have it as a fallback.
    pub played_by: Vec<MountName>,
    /// Why nodes cannot play it now.
    pub troubles: BTreeMap<NodeName, String>,
}
