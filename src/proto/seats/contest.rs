//! The contest for one seat: its election, its rules, and the peers' claims that the election knows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::Output;
use crate::logic::election::{Election, ElectionInput, ElectionOutput, ElectionPeer, rendezvous};
use crate::model::node::NodeName;
use crate::model::quorum::Quorum;
use crate::model::seat::{Claim, Message, Seat};
use crate::proto::view::MeshNode;
use crate::wire::frame::Frame;

/// How nodes are ranked in a contest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranks {
    /// By the rank that their operators have set.
    Given,
    /// By a hash of seat and node, so that the seats spread and every node computes the same.
    Rendezvous,
}

/// The differences between contests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Whether an epoch is written to disk before it is published.
    pub(super) keeps_epoch: bool,
    pub(super) ranks: Ranks,
    pub(super) quorum: Quorum,
}

impl Rules {
    /// The rules of a seat's contest. Only the master's has a quorum and keeps its epochs on disk.
    ///
    /// For other seats two holders at once do little harm: they ask the same server twice. A node that has forgotten
    /// an epoch learns it again from the first peer that objects.
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

/// The contest for one seat.
#[derive(Clone, Debug)]
pub(super) struct Contest {
    seat: Seat,
    rules: Rules,
    election: Election,
    /// The peers' claims of the last look.
    heard: BTreeMap<NodeName, Claim>,
    /// Whether an operator, or the end of the node, keeps it from standing.
    pub(super) is_withdrawn: bool,
    /// Whether the election was told to resign.
    has_resigned: bool,
}

impl Contest {
    pub(super) fn new(seat: Seat, rules: Rules, election: Election, is_withdrawn: bool) -> Self {
        Self {
            seat,
            rules,
            election,
            heard: BTreeMap::new(),
            is_withdrawn,
            has_resigned: false,
        }
    }

    pub(super) fn election(&self) -> &Election {
        &self.election
    }

    /// Gives an event to the election, and appends what has to be done.
    pub(super) fn handle_election(
        &mut self,
        input: ElectionInput,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
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

    /// Tells the election the peers, by their ranks in this contest.
    pub(super) fn set_peers(
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
        self.handle_election(ElectionInput::Members(members), now, out);
    }

    /// Tells the election the claims that have changed, and the time.
    pub(super) fn apply_view(
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
            self.handle_election(heard, now, out);
        }
        self.handle_election(ElectionInput::Tick, now, out);
    }

    /// Tells the election to resign or to stand again, if that has changed. A node does not stand while it is withdrawn,
    /// nor without a working disk where epochs are kept.
    pub(super) fn update_candidacy(&mut self, has_disk: bool, now: Instant, out: &mut Vec<Output>) {
        let has_resigned = self.is_withdrawn || (self.rules.keeps_epoch && !has_disk);
        if has_resigned == self.has_resigned {
            return;
        }
        self.has_resigned = has_resigned;
        let input = match has_resigned {
            true => ElectionInput::Resign,
            false => ElectionInput::Unresign,
        };
        self.handle_election(input, now, out);
    }

    /// Ends the contest: the seat is not wanted any more. A claim of this node is withdrawn.
    pub(super) fn vacate(self, out: &mut Vec<Output>) {
        if let Some(claim) = self.election.own_claim().cloned() {
            let message = Message::Vacated(claim);
            out.push(self.output(ElectionOutput::Publish(None)));
            out.push(self.output(ElectionOutput::Broadcast(message)));
        }
    }
}

/// A node's claim to a seat.
fn claimed<'a>(node: &'a MeshNode, seat: &Seat) -> Option<&'a Claim> {
    match seat {
        Seat::Master => node.claim.as_ref(),
        Seat::Outside(_) => node.claims.get(seat),
    }
}
