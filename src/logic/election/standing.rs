//! Whether a node wants a seat, and what it does about it.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::model::node::NodeName;

/// Whether this node wants the seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Candidacy {
    /// The node stands in elections.
    Willing,
    /// The node leaves, still holds the seat, and looks for an heir among the nodes that have not refused.
    HandingOver {
        until: Instant,
        refused: BTreeSet<NodeName>,
    },
    /// The node does not take the seat.
    Resigned,
}

impl Candidacy {
    pub(super) fn seat_is_gone(&mut self) {
        if matches!(self, Self::HandingOver { .. }) {
            *self = Self::Resigned;
        }
    }
}
