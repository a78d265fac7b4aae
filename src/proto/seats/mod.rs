//! The contests of all seats in one machine: the master's, which is always there, and others that come and go.
//!
//! [`Seats::handle`] takes one [`Input`] and the time, and appends to an outbox what must be done. Contests differ only in
//! their `Rules`: by whom nodes are ranked, how many of them must be there, and whether an epoch is on disk before
//! anybody hears of it.

mod contest;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use self::contest::{Contest, Ranks, Rules};
use crate::logic::election::{self, ElectionConfig, ElectionPeer, Health, Start};
use crate::model::node::NodeName;
use crate::model::quorum::Quorum;
use crate::model::seat::{Claim, Epoch, Message, Rank, Seat};
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::frame::Frame;

/// The most seats beside the master's: each costs a step of its election whenever the mesh is looked at.
pub const MAX_SEATS: usize = 256;

/// What a node is told once, at its start.
#[derive(Clone, Debug)]
pub struct SeatsConfig {
    /// The name of this node.
    pub node: NodeName,
    /// The rank of this node in the master's election.
    pub rank: Rank,
    /// The interval of gossip, the unit of every waiting time.
    pub gossip_interval: Duration,
    /// How many nodes must be there for a claim to the master's seat.
    pub quorum: Quorum,
    /// Whether there are peers to be found.
    pub start: Start,
    /// The greatest epoch of the master's seat that the disk remembers.
    pub max_epoch: Epoch,
}

/// Which seats an order is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The master's only.
    Master,
    /// The master's and all others, those too that are wanted later.
    All,
}

/// Whether this node's disk takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The last write succeeded.
    Works,
    /// The last write failed.
    Fails,
}

/// What happens to the seats.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The time that [`Seats::wake_at`] asked for has come.
    Tick,
    /// The mesh as it is seen now, this node included. Given at least whenever it has changed.
    Nodes(&'a BTreeMap<NodeName, MeshNode>),
    /// A message of a seat's election came over the link from this peer.
    Message {
        /// The peer at the other end of the link.
        from: NodeName,
        /// The seat whose election it is about.
        seat: Seat,
        /// What the peer says.
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
    /// How the disk is doing.
    Disk(Disk),
    /// From now on these are the seats beside the master's; the first [`MAX_SEATS`] of them.
    Wanted(&'a BTreeSet<Seat>),
    /// Give these seats up and do not take them again.
    Resign(Scope),
    /// Stand in these elections again.
    Unresign(Scope),
}

/// What the driver has to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this over the link to this peer; if there is no link, forget it.
    Send(NodeName, Frame),
    /// Send this over every link that is up.
    Broadcast(Frame),
    /// Write this epoch to disk and answer [`Input::Persisted`] or [`Input::PersistFailed`]. Asked only of the master's
    /// seat, and once at a time.
    Persist {
        /// The seat of the epoch.
        seat: Seat,
        /// What to write.
        epoch: Epoch,
    },
    /// Gossip this as what the node holds of this seat, until the next one; `None`: withdraw it.
    Publish {
        /// Which seat.
        seat: Seat,
        /// The claim to it.
        claim: Option<Claim>,
    },
    /// From now on this is the claim to this seat that this node obeys.
    Changed {
        /// Which seat.
        seat: Seat,
        /// The claim of its holder; `None`: nobody holds it.
        holder: Option<Claim>,
    },
}

/// One node's part in the elections of all seats.
#[derive(Clone, Debug)]
pub struct Seats {
    config: SeatsConfig,
    contests: BTreeMap<Seat, Contest>,
    /// The peers as they were seen last, by their ranks in the master's election.
    peers: BTreeMap<NodeName, ElectionPeer>,
    /// Whether a peer lives whose disk works.
    has_heir: bool,
    disk: Disk,
    /// Whether seats that are wanted later are not to be taken either.
    is_asked_out: bool,
}

impl Seats {
    /// A node that starts: nobody holds any seat, and only the master's is wanted.
    pub fn new(config: SeatsConfig, now: Instant) -> Self {
        let mut seats = Self {
            contests: BTreeMap::new(),
            peers: BTreeMap::new(),
            has_heir: false,
            disk: Disk::Works,
            is_asked_out: false,
            config,
        };
        let master = seats.found(&Seat::Master, now);
        seats.contests.insert(Seat::Master, master);
        seats
    }

    /// Takes in one event. Never blocks, never fails: bad news is an input like any other.
    ///
    /// Of a seat that this node does not know there is nothing to say: who asks waits for no answer, and its claim is
    /// heard from gossip once the seat is known here too.
    pub fn handle(&mut self, input: Input<'_>, now: Instant, out: &mut Vec<Output>) {
        match input {
            Input::Tick => {
                for contest in self.contests.values_mut() {
                    contest.tell(election::ElectionInput::Tick, now, out);
                }
            }
            Input::Nodes(nodes) => self.look(nodes, now, out),
            Input::Message {
                from,
                seat,
                message,
            } => self.tell(
                &seat,
                election::ElectionInput::Message { from, message },
                now,
                out,
            ),
            Input::Persisted { seat, epoch } => {
                self.tell(&seat, election::ElectionInput::Persisted(epoch), now, out);
            }
            Input::PersistFailed { seat, epoch } => {
                self.tell(
                    &seat,
                    election::ElectionInput::PersistFailed(epoch),
                    now,
                    out,
                );
            }
            Input::Disk(disk) => {
                self.disk = disk;
                self.stand(now, out);
            }
            Input::Wanted(wanted) => self.want(wanted, now, out),
            Input::Resign(scope) => {
                self.order(scope, true);
                self.stand(now, out);
            }
            Input::Unresign(scope) => {
                self.order(scope, false);
                self.stand(now, out);
            }
        }
    }

    /// When to call with [`Input::Tick`], at the latest.
    ///
    /// The master's contest sets the pace. What others wait for is looked at with it and whenever the mesh is, so that
    /// hundreds of them do not wake the node hundreds of times.
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

    /// The greatest epoch of the master's seat that this node knows and will still know after a crash.
    pub fn max_epoch(&self) -> Epoch {
        self.master().max_epoch()
    }

    fn master(&self) -> &election::Election {
        self.contests[&Seat::Master].election()
    }

    fn tell(
        &mut self,
        seat: &Seat,
        input: election::ElectionInput,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        if let Some(contest) = self.contests.get_mut(seat) {
            contest.tell(input, now, out);
        }
    }

    /// Tells each election who is there and what they claim, if that has changed, and lets its time go on.
    fn look(&mut self, nodes: &BTreeMap<NodeName, MeshNode>, now: Instant, out: &mut Vec<Output>) {
        let me = &self.config.node;
        let peers = || nodes.iter().filter(|(name, _)| *name != me);
        self.has_heir = peers().any(|(_, node)| node.is_up() && node.disk.is_none());
        let is_news = !peers()
            .map(|(name, node)| (name, member(node)))
            .eq(self.peers.iter().map(|(name, seen)| (name, *seen)));
        if is_news {
            let seen = peers().map(|(name, node)| (name.clone(), member(node)));
            self.peers = seen.collect();
        }
        self.stand(now, out);
        for contest in self.contests.values_mut() {
            if is_news {
                contest.meet(&self.peers, now, out);
            }
            contest.look(&self.peers, nodes, now, out);
        }
    }

    fn want(&mut self, wanted: &BTreeSet<Seat>, now: Instant, out: &mut Vec<Output>) {
        let wanted = wanted.iter().filter(|seat| !is_master(seat));
        let wanted: BTreeSet<&Seat> = wanted.take(MAX_SEATS).collect();
        let gone = |seat: &Seat, _: &mut Contest| !is_master(seat) && !wanted.contains(seat);
        for (_, contest) in self.contests.extract_if(.., gone) {
            contest.abolish(out);
        }
        for seat in wanted {
            if !self.contests.contains_key(seat) {
                let mut contest = self.found(seat, now);
                contest.stand(true, now, out);
                contest.meet(&self.peers, now, out);
                self.contests.insert(seat.clone(), contest);
            }
        }
    }

    fn found(&self, seat: &Seat, now: Instant) -> Contest {
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
        Contest::new(seat.clone(), rules, election, self.is_asked_out)
    }

    fn order(&mut self, scope: Scope, is_asked_out: bool) {
        if scope == Scope::All {
            self.is_asked_out = is_asked_out;
        }
        for (seat, contest) in &mut self.contests {
            if scope == Scope::All || is_master(seat) {
                contest.is_asked_out = is_asked_out;
            }
        }
    }

    /// Lets each contest stand down, or stand again, if what it depends on has changed.
    fn stand(&mut self, now: Instant, out: &mut Vec<Output>) {
        for contest in self.contests.values_mut() {
            let can_write = self.disk == Disk::Works;
            let must_stay = contest.election().own_claim().is_some() && !self.has_heir;
            contest.stand(can_write || must_stay, now, out);
        }
    }
}

fn is_master(seat: &Seat) -> bool {
    *seat == Seat::Master
}

fn member(node: &MeshNode) -> ElectionPeer {
    ElectionPeer {
        rank: node.card.rank,
        health: match node.state {
            NodeState::Alive | NodeState::Draining => Health::Alive,
            // Nothing can be asked of a node without a link.
            NodeState::Suspect | NodeState::Unlinked => Health::Doubtful,
            NodeState::Dead => Health::Dead,
        },
    }
}
