//! One seat's contest: its election, the rules of it, and what it has been told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::Output;
use crate::logic::election::{Election, ElectionInput, ElectionOutput, ElectionPeer, rendezvous};
use crate::model::node::NodeName;
use crate::model::quorum::Quorum;
use crate::model::seat::{Claim, Message, Seat};
use crate::proto::view::MeshNode;
use crate::wire::frame::Frame;

/// By whom nodes are ranked in a contest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranks {
    /// By their operators.
    Given,
    /// By a hash of seat and node, so that seats spread and everybody computes the same.
    Rendezvous,
}

/// What sets one contest apart from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Whether an epoch is on disk before anybody hears of it.
    pub(super) keeps_epoch: bool,
    pub(super) ranks: Ranks,
    pub(super) quorum: Quorum,
}

impl Rules {
    /// The rules of a seat's contest, of which the master's has a guard.
    ///
    /// The epochs of other seats are not kept. They fence nothing that outlives a claim: two holders at once ask the
    /// same server twice, and no more; and a node that has forgotten them learns them again from the first who objects.
    pub(super) fn of(seat: &Seat, quorum: Quorum) -> Self {
        match seat {
            Seat::Master => Self {
                keeps_epoch: true,
                ranks: Ranks::Given,
                quorum,
            },
            Seat::Outside(_) => Self {
                keeps_epoch: false,
                ranks: Ranks::Rendezvous,
                quorum: Quorum::Off,
            },
        }
    }
}

/// One seat's contest.
#[derive(Clone, Debug)]
pub(super) struct Contest {
    seat: Seat,
    rules: Rules,
    election: Election,
    /// What each peer claimed when the mesh was looked at last.
    heard: BTreeMap<NodeName, Claim>,
    /// An operator, or the node's own end, keeps it from standing.
    pub(super) is_asked_out: bool,
    /// What the election was told.
    is_out: bool,
}

impl Contest {
    pub(super) fn new(seat: Seat, rules: Rules, election: Election, is_asked_out: bool) -> Self {
        Self {
            seat,
            rules,
            election,
            heard: BTreeMap::new(),
            is_asked_out,
            is_out: false,
        }
    }

    pub(super) fn election(&self) -> &Election {
        &self.election
    }

    /// Lets the election decide on an input, and says what is to be done.
    pub(super) fn tell(&mut self, input: ElectionInput, now: Instant, out: &mut Vec<Output>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut decisions = Vec::new();
            self.election.handle(input, now, &mut decisions);
            for decision in decisions {
                match decision {
                    ElectionOutput::Persist(epoch) if !self.rules.keeps_epoch => {
                        inputs.push_back(ElectionInput::Persisted(epoch));
                    }
                    decision => out.push(self.output(decision)),
                }
            }
        }
    }

    fn output(&self, decision: ElectionOutput) -> Output {
        let seat = self.seat.clone();
        match decision {
            ElectionOutput::Send { to, message } => Output::Send(to, Frame::Seat { seat, message }),
            ElectionOutput::Broadcast(message) => Output::Broadcast(Frame::Seat { seat, message }),
            ElectionOutput::Persist(epoch) => Output::Persist { seat, epoch },
            ElectionOutput::Publish(claim) => Output::Publish { seat, claim },
            ElectionOutput::Changed(holder) => Output::Changed { seat, holder },
        }
    }

    /// Tells the election who is there.
    pub(super) fn meet(
        &mut self,
        peers: &BTreeMap<NodeName, ElectionPeer>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let ranked = peers.iter().map(|(name, peer)| {
            let rank = match self.rules.ranks {
                Ranks::Given => peer.rank,
                Ranks::Rendezvous => rendezvous(&self.seat, name),
            };
            (name.clone(), ElectionPeer { rank, ..*peer })
        });
        let members = ranked.collect();
        self.tell(ElectionInput::Members(members), now, out);
    }

    /// Tells the election what has changed in the claims of those who are there, and that time goes on.
    pub(super) fn look(
        &mut self,
        peers: &BTreeMap<NodeName, ElectionPeer>,
        nodes: &BTreeMap<NodeName, MeshNode>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        self.heard.retain(|name, _| peers.contains_key(name));
        for name in peers.keys() {
            let claim = nodes.get(name).and_then(|node| claimed(node, &self.seat));
            if self.heard.get(name) == claim {
                continue;
            }
            match claim {
                Some(claim) => _ = self.heard.insert(name.clone(), claim.clone()),
                None => _ = self.heard.remove(name),
            }
            let heard = ElectionInput::Heard {
                from: name.clone(),
                claim: claim.cloned(),
            };
            self.tell(heard, now, out);
        }
        self.tell(ElectionInput::Tick, now, out);
    }

    /// Tells the election whether this node stands for the seat, if that has changed: not when it is asked out, and not
    /// without a disk where the epochs have to be on it.
    pub(super) fn stand(&mut self, has_disk: bool, now: Instant, out: &mut Vec<Output>) {
        let is_out = self.is_asked_out || (self.rules.keeps_epoch && !has_disk);
        if is_out == self.is_out {
            return;
        }
        self.is_out = is_out;
        let input = match is_out {
            true => ElectionInput::Resign,
            false => ElectionInput::Unresign,
        };
        self.tell(input, now, out);
    }

    /// Nobody is to hold this seat any more; if this node does, it says so.
    pub(super) fn abolish(self, out: &mut Vec<Output>) {
        if let Some(claim) = self.election.own_claim().cloned() {
            let message = Message::Vacated(claim);
            out.push(self.output(ElectionOutput::Publish(None)));
            out.push(self.output(ElectionOutput::Broadcast(message)));
        }
    }
}

/// What a node claims of a seat.
fn claimed<'a>(node: &'a MeshNode, seat: &Seat) -> Option<&'a Claim> {
    match seat {
        Seat::Master => node.claim.as_ref(),
        Seat::Outside(_) => node.claims.get(seat),
    }
}
