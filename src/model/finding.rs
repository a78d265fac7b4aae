//! The finding of a node that asked another node at the address that the other announces.

use serde::{Deserialize, Serialize};

/// The result of asking for a node at its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The address has not been asked yet.
    #[default]
    Untried,
    /// The node answered there, and proved that it is the one.
    Proven,
    /// The node did not answer there; what happened instead, in words for an operator.
    Failed(String),
    /// The node runs a version that cannot prove its address.
    Unaskable,
}
