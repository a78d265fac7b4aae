//! How an empty seat is filled: challenge the greater nodes, wait for objections, claim.
//!
//! A claim is published only after its epoch is on disk, and much may have happened by then: the
//! node looks again, and drops the epoch if another node holds the seat.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::message::{ElectionOutput, Health, Message};
use super::standing::Candidacy;
use super::{Election, Start};
use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch, Rank};

/// The least time that a challenger waits for a greater node to object: four times the slowest round
/// trip expected between two nodes (50 ms), so that a lost packet can be sent once more.
const MIN_OBJECTION_WINDOW: Duration = Duration::from_millis(200);

/// How many gossip intervals after an objection a claim must be there: one until the objector sees
/// the empty seat too, one for its own challenge, one for its disk, one for the network.
const COORDINATOR_INTERVALS: u32 = 4;

/// How many gossip intervals a node watches before it may claim: to hear from a peer twice, which
/// gossip asks for before it counts it as alive, and to hear its claim, each with a lost message.
const SETTLING_INTERVALS: u32 = 5;

/// The same for a node that was told of peers and has met none: at 250 ms the 5 s in which a QUIC
/// handshake that lost its first two packets (again after 1 s and 2 s) still succeeds.
const LONELY_INTERVALS: u32 = 20;

/// The state of this node between "another node holds the seat" and "this node holds it".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Campaign {
    /// The node has nothing to do, or may not.
    Idle,
    /// The node has asked these greater nodes, and they have not answered.
    Challenging {
        until: Instant,
        asked: BTreeSet<NodeName>,
    },
    /// A greater node has objected and should claim by then.
    Deferring { until: Instant },
    /// The node waits for its disk. The claim is made if then no node holds the seat under a greater claim
    /// than the one that it replaces: none, its own one, or one that was handed over.
    Claiming {
        epoch: Epoch,
        replaces: Option<Claim>,
    },
}

impl Election {
    /// Takes the next step of the campaign if it is due.
    pub(super) fn advance(&mut self, out: &mut Vec<ElectionOutput>) {
        let now = self.handled_at;
        let is_vacant = self.holder.is_none();
        match &mut self.campaign {
            Campaign::Idle => {
                let since = self.vacant_since;
                let vacant_for = since.map(|since| now.duration_since(since));
                if vacant_for >= Some(self.config.gossip_interval) && self.is_ready() {
                    self.challenge(out);
                }
            }
            Campaign::Challenging { until, asked } => {
                let members = &self.members;
                asked.retain(|name| members.get(name).is_some_and(|peer| peer.is_there()));
                let is_unopposed = asked.is_empty() || now >= *until;
                if !is_vacant || !self.is_able() {
                    self.campaign = Campaign::Idle;
                } else if is_unopposed {
                    self.begin_claim(None);
                }
            }
            Campaign::Deferring { until } => {
                let waited = now >= *until;
                if !is_vacant || (waited && !self.is_ready()) {
                    self.campaign = Campaign::Idle;
                } else if waited {
                    self.challenge(out);
                }
            }
            Campaign::Claiming { epoch, replaces } => {
                let (epoch, overtaken) = (*epoch, self.holder > *replaces);
                if overtaken || !self.is_able() {
                    self.campaign = Campaign::Idle;
                } else if self.ledger.durable() >= epoch {
                    self.claim(epoch, out);
                }
            }
        }
    }

    fn challenge(&mut self, out: &mut Vec<ElectionOutput>) {
        let own = (self.config.rank, &self.config.node);
        let greater = self.members.iter().filter(|(name, peer)| {
            // A dead node is not waited for: this is the purpose of the second witness.
            peer.health != Health::Dead && (peer.rank, *name) > own
        });
        let asked: BTreeSet<_> = greater.map(|(name, _)| name.clone()).collect();
        if asked.is_empty() {
            self.begin_claim(None);
            return;
        }
        let rank = self.config.rank;
        let epoch = self.ledger.seen();
        for name in &asked {
            self.send(name, Message::Election { rank, epoch }, out);
        }
        let window = self.config.gossip_interval.max(MIN_OBJECTION_WINDOW);
        let until = self.handled_at + window;
        self.campaign = Campaign::Challenging { until, asked };
    }

    /// Answers a challenger.
    pub(super) fn object(&mut self, from: &NodeName, rank: Rank, out: &mut Vec<ElectionOutput>) {
        if let Some(own) = &self.own {
            self.send(from, Message::Coordinator(own.clone()), out);
            return;
        }
        let epoch = self.ledger.seen();
        let is_greater = (self.config.rank, &self.config.node) > (rank, from);
        // A node that still sees a holder objects too: the challenger may be the only one that does not see it.
        let sees_holder = self.holder.is_some() && !self.rounds.is_frozen();
        if !is_greater || !(sees_holder || self.is_ready()) {
            self.send(from, Message::Pass { epoch }, out);
            return;
        }
        self.send(from, Message::Ok { epoch }, out);
        if self.holder.is_none() && self.campaign == Campaign::Idle {
            self.challenge(out);
        }
    }

    pub(super) fn defer(&mut self, from: &NodeName) {
        if let Campaign::Challenging { asked, .. } = &self.campaign
            && asked.contains(from)
        {
            let until = self.handled_at + self.config.gossip_interval * COORDINATOR_INTERVALS;
            self.campaign = Campaign::Deferring { until };
        }
    }

    /// A node that was asked to object, or to take over, cannot.
    pub(super) fn passed(&mut self, from: &NodeName, out: &mut Vec<ElectionOutput>) {
        if let Campaign::Challenging { asked, .. } = &mut self.campaign {
            asked.remove(from);
        }
        self.offer_refused(from, out);
    }

    /// Asks the disk for the next epoch; [`Election::advance`] makes the claim once it is there.
    pub(super) fn begin_claim(&mut self, replaces: Option<Claim>) {
        let epoch = self.ledger.take_next();
        self.campaign = Campaign::Claiming { epoch, replaces };
    }

    fn claim(&mut self, epoch: Epoch, out: &mut Vec<ElectionOutput>) {
        let claim = Claim {
            epoch,
            rank: self.config.rank,
            node: self.config.node.clone(),
        };
        self.campaign = Campaign::Idle;
        self.outvoted_since = None;
        self.top = self.top.take().max(Some(claim.fence()));
        self.own = Some(claim.clone());
        out.push(ElectionOutput::Publish(Some(claim.clone())));
        out.push(ElectionOutput::Broadcast(Message::Coordinator(claim)));
        self.settle(out);
    }

    /// Renumbers this node's claim if another node has seen an epoch that is not lower. Otherwise a node that has
    /// obeyed that epoch would always refuse this holder's orders.
    pub(super) fn renumber(&mut self, seen: Epoch) {
        self.ledger.note(seen);
        let believed = seen <= self.ledger.seen();
        let is_behind = self.own.as_ref().is_some_and(|own| own.epoch <= seen);
        if is_behind && believed && self.campaign == Campaign::Idle && self.is_able() {
            self.begin_claim(self.own.clone());
        }
    }

    /// A peer refuses the orders of this holder. Without a disk it cannot renumber its claim, so it
    /// leaves the seat to a node that is obeyed.
    pub(super) fn refused(&mut self, seen: Epoch, out: &mut Vec<ElectionOutput>) {
        self.renumber(seen);
        let is_behind = self.own.as_ref().is_some_and(|own| own.epoch <= seen);
        if is_behind && seen <= self.ledger.seen() && !self.ledger.is_writable() {
            self.drop_own(out);
        }
    }

    /// Makes sure that the holder's fence is the greatest there is: claims win by rank within one
    /// epoch and fences by name, and a holder of a greater epoch may have come and gone elsewhere.
    pub(super) fn compare_fences(&mut self, out: &mut Vec<ElectionOutput>) {
        let Some(holder) = &self.holder else {
            return;
        };
        let epoch = self.ledger.seen();
        let is_behind = holder.epoch < epoch || Some(holder.fence()) < self.top;
        if !is_behind || self.campaign != Campaign::Idle || self.rounds.is_frozen() {
            return;
        }
        if self.own.is_some() {
            self.renumber(epoch);
        } else {
            self.send(&holder.node, Message::Seen(epoch), out);
        }
    }

    /// Whether this node could hold the seat: awake, willing, with a disk and with its quorum.
    pub(super) fn is_able(&self) -> bool {
        let willing = self.standing == Candidacy::Willing;
        willing && !self.rounds.is_frozen() && self.ledger.is_writable() && self.has_quorum()
    }

    /// Whether this node may claim an empty seat by itself: able, and present with its quorum for long enough to know.
    ///
    /// A node that comes back from a minority hears some of its peers before it hears of the master that they
    /// have elected meanwhile; a node whose line breaks again and again would depose a working master each time.
    fn is_ready(&self) -> bool {
        let lonely = self.config.start == Start::Joining && self.members.is_empty();
        let intervals = if lonely {
            LONELY_INTERVALS
        } else {
            SETTLING_INTERVALS
        };
        let settled = self.config.gossip_interval * intervals;
        let quorate = |since: Instant| self.handled_at.duration_since(since) >= settled;
        let is_here = self.rounds.uptime(self.handled_at) >= settled;
        is_here && self.quorate_since.is_some_and(quorate) && self.is_able()
    }
}
