//! The settings that an election gets once, at its start.

use std::time::Duration;

use crate::model::node::NodeName;
use crate::model::quorum::Quorum;
use crate::model::seat::Rank;

/// The settings of one node's election for one seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// The name of this node.
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

/// Whether a node that starts has peers to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The node is the first of its mesh: it claims as soon as it may.
    Founding,
    /// The node was told of peers, or remembers some: as long as it has not seen one, it waits longer before it believes that
    /// there is none, because a claim made before the first handshake would depose a working master.
    Joining,
}
