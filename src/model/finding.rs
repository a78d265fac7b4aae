//! What somebody found who asked for a node at the address that it announces.

use serde::{Deserialize, Serialize};

/// What came of asking for a node at its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Nobody has asked yet.
    #[default]
    Untried,
    /// The node answered there, and proved that it is the one.
    Proven,
    /// It did not; what happened instead, in words for an operator.
    Failed(String),
    /// Its version proves nothing.
    Unaskable,
}
