//! The inputs and outputs of an election.
//!
//! A driver needs to know nothing else: it feeds [`ElectionInput`]s, does the [`ElectionOutput`]s in order, and
//! carries [`Message`]s between nodes over links, which may lose, repeat and reorder them.

use std::collections::BTreeMap;

use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch, Rank};

pub use crate::model::seat::Message;

/// The health of a peer by the two witnesses, gossip and the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Both hear the peer.
    Alive,
    /// One of the two hears the peer. It keeps its seat and is still asked to object.
    Doubtful,
    /// Neither hears the peer: its claim no longer counts, and its answer is not waited for.
    Dead,
}

/// A peer as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionPeer {
    /// The weight in this seat's election.
    pub rank: Rank,
    /// Whether the peer is there.
    pub health: Health,
}

/// An event for an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionInput {
    /// The peers, never this node. Sent whole, at least whenever it has changed.
    Members(BTreeMap<NodeName, ElectionPeer>),
    /// A node's claim as gossip tells it. Sent at least whenever it has changed, and with `None`
    /// when a newer generation of that node holds nothing.
    Heard {
        /// The node that holds it.
        from: NodeName,
        /// The claim of that node.
        claim: Option<Claim>,
    },
    /// A peer has begun a new life and has forgotten its epochs: it holds nothing that gossip said before, and may claim a
    /// number again that it once vacated.
    NewLife(NodeName),
    /// A message that came over the link from this peer.
    Message {
        /// The peer at the other end of the link.
        from: NodeName,
        /// The message.
        message: Message,
    },
    /// The epoch, and every lower one, survives a crash of this node.
    Persisted(Epoch),
    /// The epoch could not be written.
    PersistFailed(Epoch),
    /// The time that [`super::Election::wake_at`] asked for has come.
    Tick,
    /// Give the seat to another node and do not take it again: a planned leave or step-down.
    Resign,
    /// Drop the claim now, for anybody to take the seat, and do not take it again: this node cannot do what the seat is for.
    Vacate,
    /// Stand in elections again.
    Unresign,
}

/// A task of the driver; several are done in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionOutput {
    /// Send a message over the link to this peer; if there is no link, forget it.
    Send {
        /// The receiver.
        to: NodeName,
        /// The message.
        message: Message,
    },
    /// Send a message over every link that is up.
    Broadcast(Message),
    /// Write this epoch to disk and answer [`ElectionInput::Persisted`] or [`ElectionInput::PersistFailed`].
    /// At most one such request is open at a time.
    Persist(Epoch),
    /// Gossip this as what the node holds, until the next one.
    Publish(Option<Claim>),
    /// From now on this is the claim that this node obeys.
    Changed(Option<Claim>),
}
