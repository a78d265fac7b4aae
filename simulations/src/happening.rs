//! The happenings of a simulated world.

use antiphon::model::seat::Epoch;

use crate::faults::Fault;
use crate::gossip::Gossiped;
use crate::node::LinkMessage;
use crate::node::crowd::{PlayerId, Visit};

/// A message between two machines.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Gossip's own.
    Gossip(Gossiped),
    /// A message over a link.
    Link(LinkMessage),
}

/// A happening at some time.
#[derive(Debug)]
pub enum Happening {
    /// A node's gossip interval is over.
    Round(usize),
    /// A node looks at its peers between two rounds.
    Look(usize),
    /// A node wanted to be woken now.
    Wake(usize),
    /// The streams of a node have their turn.
    Beat(usize),
    /// A packet arrives.
    Arrive(usize, usize, Packet),
    /// A disk has done what it could about an epoch.
    Written(usize, Epoch),
    /// A disk has done what it could about the document.
    Saved(usize),
    /// The story goes on.
    Fault(Fault),
    /// A machine is switched on.
    Start(usize),
    /// Encoders and checkers look at the world.
    Tick,
    /// An operator changes the document somewhere.
    Edit,
    /// A player wants to listen.
    Player,
    /// A player comes to a node, or leaves it.
    Visit(usize, PlayerId, Visit),
}

impl Happening {
    /// The node that it happens to, if it is one of a node's life.
    pub(crate) fn node(&self) -> Option<usize> {
        match self {
            Self::Round(node)
            | Self::Look(node)
            | Self::Wake(node)
            | Self::Beat(node)
            | Self::Written(node, _)
            | Self::Saved(node)
            | Self::Visit(node, ..)
            | Self::Arrive(_, node, _) => Some(*node),
            Self::Fault(_) | Self::Start(_) | Self::Tick | Self::Edit | Self::Player => None,
        }
    }
}
