//! The seam between a world and what runs in its nodes: events in, deeds out.
//!
//! The world knows nothing of elections. Whatever is simulated later (the document, the streams, the
//! table) is one more part of [`Node`], with its values in gossip and its messages on links.

use std::collections::BTreeMap;
use std::time::Instant;

use antiphon::logic::election::{
    Admission, Election, ElectionConfig, Gate, Input, Member, Message, Output,
};
use antiphon::model::node::NodeName;
use antiphon::model::seat::{Claim, Epoch, Fence};

/// What travels over a link.
#[derive(Clone, Debug)]
pub enum LinkMessage {
    /// Between two elections.
    Election(Message),
    /// What a master orders, here without content.
    Order(Fence),
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Event {
    /// The peers as gossip and links see them.
    Members(BTreeMap<NodeName, Member>),
    /// Gossip brought a node's value.
    Value(NodeName, Option<Claim>),
    /// A message over a link.
    Link(NodeName, LinkMessage),
    /// The disk has written this epoch.
    Written(Epoch),
    /// The disk has not.
    NotWritten(Epoch),
    /// The time that it asked for has come.
    Wake,
    /// One gossip interval has gone by.
    Round,
    /// The operator asks it to step down.
    Resign,
    /// The operator asks it to stand again.
    Unresign,
}

/// What a node does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Send over the link to this node.
    Send(NodeName, LinkMessage),
    /// Send over all links.
    Broadcast(LinkMessage),
    /// Write to disk.
    Write(Epoch),
    /// Gossip this value.
    Gossip(Option<Claim>),
    /// It obeys somebody else now.
    Changed(Option<Claim>),
    /// It has done what an order said.
    Applied(Fence),
}

/// The logic of one life of one node.
#[derive(Debug)]
pub struct Node {
    election: Election,
    gate: Gate,
}

impl Node {
    /// A node that starts with what its disk remembers.
    pub fn new(config: ElectionConfig, on_disk: Epoch, now: Instant) -> Self {
        Self {
            election: Election::new(config, on_disk, now),
            gate: Gate::new(on_disk),
        }
    }

    /// Its election, for the checkers.
    pub fn election(&self) -> &Election {
        &self.election
    }

    /// The last fence that it has obeyed.
    pub fn obeyed(&self) -> Option<&Fence> {
        self.gate.highest()
    }

    /// Takes in one event.
    pub fn step(&mut self, event: Event, now: Instant) -> Vec<Deed> {
        let input = match event {
            Event::Members(members) => Input::Members(members),
            Event::Value(from, claim) => Input::Heard { from, claim },
            Event::Link(from, LinkMessage::Election(message)) => Input::Message { from, message },
            Event::Link(_, LinkMessage::Order(fence)) => return self.obey(fence),
            Event::Written(epoch) => Input::Persisted(epoch),
            Event::NotWritten(epoch) => Input::PersistFailed(epoch),
            Event::Wake => Input::Tick,
            Event::Round => return self.order(),
            Event::Resign => Input::Resign,
            Event::Unresign => Input::Unresign,
        };
        let mut out = Vec::new();
        self.election.handle(input, now, &mut out);
        out.into_iter().map(deed).collect()
    }

    fn obey(&mut self, fence: Fence) -> Vec<Deed> {
        match self.gate.admit(&fence) {
            Admission::Apply => vec![Deed::Applied(fence)],
            Admission::Refuse => Vec::new(),
        }
    }

    /// A master gives an order in each round, to itself too.
    fn order(&mut self) -> Vec<Deed> {
        let Some(claim) = self.election.own_claim() else {
            return Vec::new();
        };
        let fence = claim.fence();
        let mut deeds = self.obey(fence.clone());
        deeds.push(Deed::Broadcast(LinkMessage::Order(fence)));
        deeds
    }
}

fn deed(output: Output) -> Deed {
    match output {
        Output::Send { to, message } => Deed::Send(to, LinkMessage::Election(message)),
        Output::Broadcast(message) => Deed::Broadcast(LinkMessage::Election(message)),
        Output::Persist(epoch) => Deed::Write(epoch),
        Output::Publish(claim) => Deed::Gossip(claim),
        Output::Changed(claim) => Deed::Changed(claim),
    }
}
