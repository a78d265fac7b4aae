//! The elections of all seats in one machine: the master's seat, which always exists, and others that come and go.
//!
//! [`Seats::handle`] takes one [`Input`] and the time, and appends to an outbox what must be done. The contests differ
//! only in their `Rules`: how nodes are ranked, how many must be present, and whether an epoch is written to disk before
//! it is published.

mod contest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::contest::{Contest, Ranks, Rules, SeatPeer};
use crate::logic::election::{self, ElectionConfig, ElectionPeer, Health, Start};
use crate::model::node::{Generation, NodeName};
use crate::model::quorum::Quorum;
use crate::model::seat::{Claim, Epoch, Message, Rank, Seat, Stance};
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::frame::Frame;

/// The most seats besides the master's: each costs a step of its election at every look at the mesh. That is one for each
/// outside server that there may be (256), and as many for transcoders, and for outside relays.
pub const MAX_SEATS: usize = 768;

/// The facts that the elections need at the node's start.
#[derive(Clone, Debug)]
pub struct SeatsConfig {
    /// The name of this node.
    pub node: NodeName,
    /// The rank of this node in the master's election.
    pub rank: Rank,
    /// The interval of gossip, the unit of every waiting time.
    pub gossip_interval: Duration,
    /// How many nodes must be present for a claim to the master's seat.
    pub quorum: Quorum,
    /// Whether there are peers to find.
    pub start: Start,
    /// The greatest epoch of the master's seat that is on disk.
    pub max_epoch: Epoch,
}

/// The seats to which an order applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The master's only.
    Master,
    /// All seats, also those that are wanted later, but for those of transcoders: their nodes leave them by a rule of their
    /// own, and not before another one can run them.
    All,
}

/// Whether this node can write to its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The last write succeeded.
    Works,
    /// The last write failed.
    Fails,
}

/// An event for the seats.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The time that [`Seats::wake_at`] asked for has come.
    Tick,
    /// The mesh as it is now, this node included. To be given at least whenever it has changed.
    Nodes(&'a BTreeMap<NodeName, MeshNode>),
    /// A message of a seat's election came over the link from this peer.
    Message {
        /// The peer at the other end of the link.
        from: NodeName,
        /// The seat.
        seat: Seat,
        /// The message.
        message: Message,
    },
    /// An epoch of a seat, and every lower one, survives a crash of this node.
    Persisted {
        /// The seat of the epoch.
        seat: Seat,
        /// The epoch that was asked for.
        epoch: Epoch,
    },
    /// An epoch of a seat could not be written.
    PersistFailed {
        /// The seat of the epoch.
        seat: Seat,
        /// The epoch that was asked for.
        epoch: Epoch,
    },
    /// Whether the last write to disk succeeded.
    Disk(Disk),
    /// The seats besides the master's from now on, and whether this node stands for each; only the first [`MAX_SEATS`] count.
    Wanted(&'a BTreeMap<Seat, Stance>),
    /// Resign these seats, and do not stand for them any more.
    Resign(Scope),
    /// Stand in these elections again.
    Unresign(Scope),
}

/// A task of the driver; several are done in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this over the link to this peer; without a link, drop it.
    Send(NodeName, Frame),
    /// Send this over the link to this life of a peer, and to no other: only this life is known to read it.
    SendToLife {
        /// The peer.
        to: NodeName,
        /// The life of the peer.
        life: Generation,
        /// The frame.
        frame: Frame,
    },
    /// Send this over every link that is up.
    Broadcast(Frame),
    /// Write this epoch to disk and answer [`Input::Persisted`] or [`Input::PersistFailed`]. Asked only of the master's
    /// seat, and once at a time.
    Persist {
        /// The seat of the epoch.
        seat: Seat,
        /// The epoch to write.
        epoch: Epoch,
    },
    /// Gossip this claim to the seat; `None`: withdraw it.
    Publish {
        /// The seat of the epoch.
        seat: Seat,
        /// The claim to it.
        claim: Option<Claim>,
    },
    /// From now on this is the claim to this seat that this node obeys.
    Changed {
        /// The seat of the claim.
        seat: Seat,
        /// The claim of its holder, if it has one.
        holder: Option<Claim>,
    },
}

/// One node's part in the elections of all seats.
#[derive(Clone, Debug)]
pub struct Seats {
    config: SeatsConfig,
    contests: BTreeMap<Seat, Contest>,
    /// The peers of the last look.
    peers: BTreeMap<NodeName, SeatPeer>,
    /// Whether there is a live peer whose disk works.
    has_successor: bool,
    disk: Disk,
    /// Whether this node does not stand for seats that are wanted later.
    is_withdrawn: bool,
}

impl Seats {
    /// A node that starts: no seat has a holder, and only the master's is wanted.
    pub fn new(config: SeatsConfig, now: Instant) -> Self {
        let mut seats = Self {
            contests: BTreeMap::new(),
            peers: BTreeMap::new(),
            has_successor: false,
            disk: Disk::Works,
            is_withdrawn: false,
            config,
        };
        let master = seats.new_contest(&Seat::Master, now);
        seats.contests.insert(Seat::Master, master);
        seats
    }

    /// Handles one event. Never blocks, never fails: bad news is an event like any other.
    ///
    /// Messages about a seat that this node does not know are ignored: no peer waits for an answer, and its claim
    /// arrives by gossip once the seat is known here too.
    pub fn handle(&mut self, input: Input<'_>, now: Instant, out: &mut Vec<Output>) {
        match input {
            Input::Tick => {
                for contest in self.contests.values_mut() {
                    contest.handle_election(election::ElectionInput::Tick, now, out);
                }
            }
            Input::Nodes(nodes) => self.apply_view(nodes, now, out),
            Input::Message {
                from,
                seat,
                message,
            } => self.handle_election(
                &seat,
                election::ElectionInput::Message { from, message },
                now,
                out,
            ),
            Input::Persisted { seat, epoch } => {
                self.handle_election(&seat, election::ElectionInput::Persisted(epoch), now, out);
            }
            Input::PersistFailed { seat, epoch } => {
                self.handle_election(
                    &seat,
                    election::ElectionInput::PersistFailed(epoch),
                    now,
                    out,
                );
            }
            Input::Disk(disk) => {
                self.disk = disk;
                self.update_candidacies(now, out);
            }
            Input::Wanted(wanted) => self.set_wanted(wanted, now, out),
            Input::Resign(scope) => {
                self.set_withdrawn(scope, true);
                self.update_candidacies(now, out);
            }
            Input::Unresign(scope) => {
                self.set_withdrawn(scope, false);
                self.update_candidacies(now, out);
            }
        }
    }

    /// When to call with [`Input::Tick`], at the latest.
    ///
    /// The master's election sets the pace. The others tick with it and with every look at the mesh, so that hundreds
    /// of them do not wake the node hundreds of times.
    pub fn wake_at(&self) -> Instant {
        self.master().wake_at()
    }

    /// The claim to a seat that this node obeys.
    pub fn holder(&self, seat: &Seat) -> Option<&Claim> {
        self.contests.get(seat)?.election().holder()
    }

    /// The claim under which this node itself holds a seat.
    pub fn own_claim(&self, seat: &Seat) -> Option<&Claim> {
        self.contests.get(seat)?.election().own_claim()
    }

    /// The claims to all seats but the master's that this node obeys.
    pub fn others_held(&self) -> BTreeMap<Seat, Claim> {
        let others = self.contests.iter().filter(|(seat, _)| !is_master(seat));
        let held = others.filter_map(|(seat, contest)| {
            let claim = contest.election().holder()?;
            Some((seat.clone(), claim.clone()))
        });
        held.collect()
    }

    /// The greatest epoch of the master's seat that this node knows and that is on its disk.
    pub fn max_epoch(&self) -> Epoch {
        self.master().max_epoch()
    }

    fn master(&self) -> &election::Election {
        self.contests[&Seat::Master].election()
    }

    fn handle_election(
        &mut self,
        seat: &Seat,
        input: election::ElectionInput,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        if let Some(contest) = self.contests.get_mut(seat) {
            contest.handle_election(input, now, out);
        }
    }

    /// Tells each election the peers and their claims if they have changed, and the time.
    fn apply_view(
        &mut self,
        nodes: &BTreeMap<NodeName, MeshNode>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let me = &self.config.node;
        let peers = || nodes.iter().filter(|(name, _)| *name != me);
        self.has_successor = peers().any(|(_, node)| node.can_save());
        let has_changed = !peers()
            .map(|(name, node)| (name, member(node)))
            .eq(self.peers.iter().map(|(name, peer)| (name, *peer)));
        if has_changed {
            let seen = peers().map(|(name, node)| (name.clone(), member(node)));
            self.peers = seen.collect();
        }
        self.update_candidacies(now, out);
        for contest in self.contests.values_mut() {
            if has_changed {
                contest.set_peers(&self.peers, now, out);
            }
            contest.apply_view(nodes, now, out);
        }
    }

    fn set_wanted(&mut self, wanted: &BTreeMap<Seat, Stance>, now: Instant, out: &mut Vec<Output>) {
        let wanted = wanted.iter().filter(|(seat, _)| !is_master(seat));
        let wanted: BTreeMap<&Seat, &Stance> = wanted.take(MAX_SEATS).collect();
        let gone = |seat: &Seat, _: &mut Contest| !is_master(seat) && !wanted.contains_key(seat);
        for (_, contest) in self.contests.extract_if(.., gone) {
            contest.vacate(out);
        }
        for (seat, stance) in wanted {
            if !self.contests.contains_key(seat) {
                let mut contest = self.new_contest(seat, now);
                contest.set_peers(&self.peers, now, out);
                self.contests.insert(seat.clone(), contest);
            }
            if let Some(contest) = self.contests.get_mut(seat) {
                contest.stance = *stance;
                // Of these seats no epoch is kept, so that none needs a disk.
                contest.update_candidacy(true, now, out);
            }
        }
    }

    fn new_contest(&self, seat: &Seat, now: Instant) -> Contest {
        let rules = Rules::of(seat, self.config.quorum);
        let node = self.config.node.clone();
        let config = ElectionConfig {
            rank: match rules.ranks {
                Ranks::Given => self.config.rank,
                Ranks::Rendezvous => election::rendezvous(seat, &node),
            },
            node,
            gossip_interval: self.config.gossip_interval,
            quorum: rules.quorum,
            start: self.config.start,
        };
        let max_epoch = match rules.keeps_epoch {
            true => self.config.max_epoch,
            false => Epoch::default(),
        };
        let election = election::Election::new(config, max_epoch, now);
        let is_withdrawn = self.is_withdrawn && Scope::All.includes(seat);
        Contest::new(seat.clone(), rules, election, is_withdrawn)
    }

    fn set_withdrawn(&mut self, scope: Scope, is_withdrawn: bool) {
        if scope == Scope::All {
            self.is_withdrawn = is_withdrawn;
        }
        for (seat, contest) in &mut self.contests {
            if scope.includes(seat) {
                contest.is_withdrawn = is_withdrawn;
            }
        }
    }

    /// Has each contest resign or stand again if the disk, the peers or an order say so.
    fn update_candidacies(&mut self, now: Instant, out: &mut Vec<Output>) {
        for contest in self.contests.values_mut() {
            let can_write = self.disk == Disk::Works;
            let must_stay = contest.election().own_claim().is_some() && !self.has_successor;
            contest.update_candidacy(can_write || must_stay, now, out);
        }
    }
}

impl Scope {
    fn includes(self, seat: &Seat) -> bool {
        match self {
            Self::Master => is_master(seat),
            Self::All => !matches!(seat, Seat::Transcoder(_)),
        }
    }
}

fn is_master(seat: &Seat) -> bool {
    *seat == Seat::Master
}

fn member(node: &MeshNode) -> SeatPeer {
    let elector = ElectionPeer {
        rank: node.card.rank,
        health: match node.state {
            NodeState::Alive | NodeState::Draining => Health::Alive,
            // A node without a link cannot be asked.
            NodeState::Suspect | NodeState::Unlinked => Health::Doubtful,
            NodeState::Dead => Health::Dead,
        },
    };
    SeatPeer {
        elector,
        life: node.generation,
        reads_transcoders: node.card.reads_transcoders,
        reads_outside_relays: node.card.reads_outside_relays,
        reads_imports: node.card.reads_imports,
        reads_certificates: node.card.reads_certificates,
    }
}
