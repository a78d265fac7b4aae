//! The time of a write in the replicated document.

use serde::{Deserialize, Serialize};

use super::node::NodeName;

/// When and by which node a field was written: a hybrid clock. The derived order is the merge rule.
///
/// `time_ms` is `max(unix milliseconds, the last stamp seen + 1)`, so a node's own writes never go
/// back in time even when its clock does; the name decides between two writes of the same millisecond.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Hybrid unix milliseconds.
    pub time_ms: u64,
    /// The node that wrote it.
    pub node: NodeName,
}
