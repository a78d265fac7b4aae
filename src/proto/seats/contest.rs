//! The contest for one seat: its election, its rules, and the peers' claims that the election knows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::Output;
use crate::logic::election::{Election, ElectionInput, ElectionOutput, ElectionPeer, rendezvous};
use crate::model::node::{Generation, NodeName};
use crate::model::quorum::Quorum;
use crate::model::seat::{Claim, Message, Seat, Stance};
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
    /// Whether every version knows such a seat. Messages about others go only to the lives that know it: a node of another
    /// version would close the link.
    pub(super) known_to_all: bool,
}

impl Rules {
    /// The rules of a seat's contest. Only the master's has a quorum and keeps its epochs on disk.
    ///
    /// For other seats two holders at once do little harm: they ask the same server twice, or make a stream that is refused
    /// by its fence. A node that has forgotten an epoch learns it again from the first peer that objects.
    pub(super) fn of(seat: &Seat, quorum: Quorum) -> Self {
        match seat {
            Seat::Master => Self {
                keeps_epoch: true,
                ranks: Ranks::Given,
                quorum,
                known_to_all: true,
            },
            Seat::Outside(_)
            | Seat::Transcoder(_)
            | Seat::OutsideRelay(_)
            | Seat::Import
            | Seat::Certificates => Self {
                keeps_epoch: false,
                ranks: Ranks::Rendezvous,
                quorum: Quorum::Off,
                known_to_all: matches!(seat, Seat::Outside(_)),
            },
        }
    }
}

/// The wish of a node in the election of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// To hold the seat.
    Stand,
    /// To hand the seat over, and not to take it.
    Resign,
    /// To leave the seat at once, and not to take it.
    Vacate,
}

/// A peer at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeatPeer {
    /// The peer with its rank in the master's election.
    pub(super) elector: ElectionPeer,
    /// The life whose card was read.
    pub(super) life: Generation,
    /// Whether that life knows the seats of transcoders.
    pub(super) reads_transcoders: bool,
    /// Whether it knows those of outside relays.
    pub(super) reads_outside_relays: bool,
    /// Whether it knows that of imports.
    pub(super) reads_imports: bool,
    /// Whether it knows that of certificates.
    pub(super) reads_certificates: bool,
}

impl SeatPeer {
    /// Whether that life reads messages about a seat.
    fn knows(&self, seat: &Seat) -> bool {
        match seat {
            Seat::Master | Seat::Outside(_) => true,
            Seat::Transcoder(_) => self.reads_transcoders,
            Seat::OutsideRelay(_) => self.reads_outside_relays,
            Seat::Import => self.reads_imports,
            Seat::Certificates => self.reads_certificates,
        }
    }
}

/// The contest for one seat.
#[derive(Clone, Debug)]
pub(super) struct Contest {
    seat: Seat,
    rules: Rules,
    election: Election,
    /// The peers that know the seat, each with the life that does.
    lives: BTreeMap<NodeName, Generation>,
    /// The peers' claims of the last look.
    heard: BTreeMap<NodeName, Claim>,
    /// Whether an operator, or the end of the node, keeps it from standing.
    pub(super) is_withdrawn: bool,
    /// Whether the node wants the seat.
    pub(super) stance: Stance,
    /// The wish that the election was told last.
    wish: Wish,
}

impl Contest {
    pub(super) fn new(seat: Seat, rules: Rules, election: Election, is_withdrawn: bool) -> Self {
        Self {
            seat,
            rules,
            election,
            lives: BTreeMap::new(),
            heard: BTreeMap::new(),
            is_withdrawn,
            stance: Stance::Stand,
            wish: Wish::Stand,
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
                    decision => self.put_out(decision, out),
                }
            }
        }
    }

    fn put_out(&self, decision: ElectionOutput, out: &mut Vec<Output>) {
        let seat = self.seat.clone();
        match decision {
            ElectionOutput::Send { to, message } => self.send(to, message, out),
            ElectionOutput::Broadcast(message) => self.broadcast(&message, out),
            ElectionOutput::Persist(epoch) => out.push(Output::Persist { seat, epoch }),
            ElectionOutput::Publish(claim) => out.push(Output::Publish { seat, claim }),
            ElectionOutput::Changed(holder) => out.push(Output::Changed { seat, holder }),
        }
    }

    /// Sends a message to a peer, if it can read it.
    fn send(&self, to: NodeName, message: Message, out: &mut Vec<Output>) {
        let seat = self.seat.clone();
        let frame = Frame::Seat { seat, message };
        if self.rules.known_to_all {
            out.push(Output::Send(to, frame));
        } else if let Some(life) = self.lives.get(&to).copied() {
            out.push(Output::SendToLife { to, life, frame });
        }
    }

    fn broadcast(&self, message: &Message, out: &mut Vec<Output>) {
        if self.rules.known_to_all {
            let (seat, message) = (self.seat.clone(), message.clone());
            out.push(Output::Broadcast(Frame::Seat { seat, message }));
            return;
        }
        for peer in self.lives.keys() {
            self.send(peer.clone(), message.clone(), out);
        }
    }

    /// Tells the election the peers that know the seat, by their ranks in this contest.
    pub(super) fn set_peers(
        &mut self,
        peers: &BTreeMap<NodeName, SeatPeer>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let rules = self.rules;
        let knowing = peers.iter().filter(|(_, peer)| peer.knows(&self.seat));
        let knowing: BTreeMap<&NodeName, &SeatPeer> = knowing.collect();
        let lives = knowing
            .iter()
            .map(|(name, peer)| ((*name).clone(), peer.life));
        let before = std::mem::replace(&mut self.lives, lives.collect());
        if !rules.keeps_epoch {
            self.note_new_lives(&before, now, out);
        }
        let ranked = knowing.iter().map(|(name, peer)| {
            let rank = match rules.ranks {
                Ranks::Given => peer.elector.rank,
                Ranks::Rendezvous => rendezvous(&self.seat, name),
            };
            let elector = ElectionPeer {
                rank,
                ..peer.elector
            };
            ((*name).clone(), elector)
        });
        let members = ranked.collect();
        self.handle_election(ElectionInput::Members(members), now, out);
    }

    /// Tells the election which peers have begun a new life: what they claimed or vacated before counts for nothing.
    fn note_new_lives(
        &mut self,
        before: &BTreeMap<NodeName, Generation>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let is_new = |name: &NodeName, life: &Generation| {
            let old = before.get(name);
            old.is_some_and(|old| old != life)
        };
        let new = self.lives.iter().filter(|(name, life)| is_new(name, life));
        let new: Vec<NodeName> = new.map(|(name, _)| name.clone()).collect();
        for name in new {
            self.heard.remove(&name);
            self.handle_election(ElectionInput::NewLife(name), now, out);
        }
    }

    /// Tells the election the claims that have changed, and the time.
    pub(super) fn apply_view(
        &mut self,
        nodes: &BTreeMap<NodeName, MeshNode>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        self.heard.retain(|name, _| self.lives.contains_key(name));
        let changed = self.lives.keys().filter_map(|name| {
            let claim = nodes.get(name).and_then(|node| claimed(node, &self.seat));
            let is_news = self.heard.get(name) != claim;
            is_news.then(|| (name.clone(), claim.cloned()))
        });
        let changed: Vec<(NodeName, Option<Claim>)> = changed.collect();
        for (from, claim) in changed {
            match &claim {
                Some(claim) => _ = self.heard.insert(from.clone(), claim.clone()),
                None => _ = self.heard.remove(&from),
            }
            self.handle_election(ElectionInput::Heard { from, claim }, now, out);
        }
        self.handle_election(ElectionInput::Tick, now, out);
    }

    /// Tells the election what this node wants, if that has changed. A node does not stand while it is withdrawn or only
    /// follows, nor without a working disk where epochs are kept.
    pub(super) fn update_candidacy(&mut self, has_disk: bool, now: Instant, out: &mut Vec<Output>) {
        let lacks_disk = self.rules.keeps_epoch && !has_disk;
        let wish = match self.stance {
            Stance::Follow => Wish::Vacate,
            Stance::Stand if self.is_withdrawn || lacks_disk => Wish::Resign,
            Stance::Stand => Wish::Stand,
        };
        if wish == self.wish {
            return;
        }
        self.wish = wish;
        let input = match wish {
            Wish::Stand => ElectionInput::Unresign,
            Wish::Resign => ElectionInput::Resign,
            Wish::Vacate => ElectionInput::Vacate,
        };
        self.handle_election(input, now, out);
    }

    /// Ends the contest: the seat is not wanted any more. A claim of this node is withdrawn.
    pub(super) fn vacate(self, out: &mut Vec<Output>) {
        if let Some(claim) = self.election.own_claim().cloned() {
            let message = Message::Vacated(claim);
            self.put_out(ElectionOutput::Publish(None), out);
            self.put_out(ElectionOutput::Broadcast(message), out);
        }
    }
}

/// A node's claim to a seat.
fn claimed<'a>(node: &'a MeshNode, seat: &Seat) -> Option<&'a Claim> {
    match seat {
        Seat::Master => node.claim.as_ref(),
        Seat::Outside(_)
        | Seat::Transcoder(_)
        | Seat::OutsideRelay(_)
        | Seat::Import
        | Seat::Certificates => node.claims.get(seat),
    }
}
