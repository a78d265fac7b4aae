//! The settings that an election gets once, at its start.

use std::time::Duration;

use crate::model::node::NodeName;
use crate::model::seat::Rank;

/// The settings of one node's election for one seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// This node.
    pub node: NodeName,
    /// The weight in this seat's election.
    pub rank: Rank,
    /// The interval of gossip, the unit of all waiting times here.
    pub gossip_interval: Duration,
    /// How many nodes must be there for a claim.
    pub quorum: Quorum,
    /// Whether there are peers to be found.
    pub start: Start,
}

/// How many nodes a node must see, itself included, to hold a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Any number: each side of a partition keeps playing.
    Off,
    /// More than half of the nodes that it knows. Nodes that gossip has forgotten no longer count,
    /// so an operator that expects longer partitions sets a number.
    Majority,
    /// At least so many.
    AtLeast(usize),
}

impl Quorum {
    /// Whether `present` nodes out of `known` are enough; both counts include this node.
    pub(super) fn is_met(self, present: usize, known: usize) -> bool {
        match self {
            Self::Off => true,
            Self::Majority => present * 2 > known,
            Self::AtLeast(nodes) => present >= nodes,
        }
    }
}

/// What a node believes that sees no peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// This node is the first: it claims as soon as it may.
    Founding,
    /// This node was told of peers: as long as it has not seen one, it waits longer before it believes that
    /// there is none, because a claim made before the first handshake would depose a working master.
    Joining,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        assert!(Quorum::Majority.is_met(1, 1));
        assert!(Quorum::Majority.is_met(3, 5));
        assert!(!Quorum::Majority.is_met(2, 4));
        assert!(!Quorum::AtLeast(3).is_met(2, 2));
        assert!(Quorum::Off.is_met(1, 9));
    }
}
