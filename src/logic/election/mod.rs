//! The sticky bully election of one seat, as a state machine that does no I/O.
//!
//! A claim holds its seat as long as it lives; only an empty seat is contested, and then the greatest
//! `(rank, name)` gets it. [`Election::handle`] takes one [`ElectionInput`] and the time, and appends to an
//! outbox what must be done; the driver does it, and calls again at [`Election::wake_at`].
//!
//! Two holders at once are possible and no error, one on each side of a partition and even with
//! the same epoch: every order of a holder has a fence, and every receiver asks its [`Gate`].

mod campaign;
mod claims;
mod config;
mod gate;
mod ledger;
mod message;
mod rendezvous;
mod rounds;
mod standing;
mod succession;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use self::campaign::Campaign;
use self::claims::Claims;
use self::ledger::{Ledger, MAX_EPOCH};
use self::rounds::{Beat, Rounds};
use self::standing::Candidacy;
use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch, Fence};

pub use self::config::{ElectionConfig, Start};
pub use self::gate::{Admission, Gate};
pub use self::message::{ElectionInput, ElectionOutput, ElectionPeer, Health, Message};
pub use self::rendezvous::rendezvous;

/// The most peers that an election looks at: the largest mesh for which gossip was measured.
/// Further ones, in the order of names, are ignored.
pub const MAX_MEMBERS: usize = 1024;

/// How many gossip intervals a holder may miss its quorum before it drops its claim: one lost view is
/// forgiven. Detection takes up to 8 and a round adds one, so a minority holds nothing after 12.
const OUTVOTED_INTERVALS: u32 = 2;

type Members = BTreeMap<NodeName, ElectionPeer>;

/// One node's part in the election of one seat.
#[derive(Clone, Debug)]
pub struct Election {
    config: ElectionConfig,
    rounds: Rounds,
    ledger: Ledger,
    claims: Claims,
    /// The peers as this node judges them; while it is frozen, no peer in here dies.
    members: Members,
    /// While frozen: the view to adopt afterwards.
    thawed: Option<Members>,
    own: Option<Claim>,
    /// The greatest claim that counts, this node's own included.
    holder: Option<Claim>,
    /// The greatest fence under which any order may have been given.
    top: Option<Fence>,
    vacant_since: Option<Instant>,
    outvoted_since: Option<Instant>,
    /// Since when there has been a quorum without a break.
    quorate_since: Option<Instant>,
    campaign: Campaign,
    standing: Candidacy,
    handled_at: Instant,
}

impl Election {
    /// A node that starts, with the greatest epoch that its disk remembers.
    pub fn new(config: ElectionConfig, max_epoch_from_disk: Epoch, now: Instant) -> Self {
        let (interval, quorum) = (config.gossip_interval, config.quorum);
        Self {
            rounds: Rounds::new(interval, now),
            ledger: Ledger::new(max_epoch_from_disk, interval),
            claims: Claims::new(interval),
            config,
            members: Members::new(),
            thawed: None,
            own: None,
            holder: None,
            top: None,
            vacant_since: Some(now),
            outvoted_since: None,
            quorate_since: quorum.is_met(1, 1).then_some(now),
            campaign: Campaign::Idle,
            standing: Candidacy::Willing,
            handled_at: now,
        }
    }

    /// Takes in one event. Never blocks, never fails: a failure is an input like any other.
    pub fn handle(&mut self, input: ElectionInput, now: Instant, out: &mut Vec<ElectionOutput>) {
        self.handled_at = now;
        let beat = self.rounds.beat(now);
        if beat == Beat::Woke {
            self.campaign = Campaign::Idle;
        }
        self.ledger.expire(now);
        match input {
            ElectionInput::Members(members) => self.look(members, out),
            ElectionInput::Heard { from, claim } => self.gossiped(&from, claim, out),
            ElectionInput::NewLife(peer) => self.claims.begin_anew(&peer),
            ElectionInput::Message { from, message } => self.hear(&from, message, out),
            ElectionInput::Persisted(epoch) => self.ledger.persisted(epoch),
            ElectionInput::PersistFailed(epoch) => self.ledger.failed(epoch, now),
            ElectionInput::Tick => {}
            ElectionInput::Resign => self.resign(out),
            ElectionInput::Vacate => self.vacate(out),
            ElectionInput::Unresign => self.standing = Candidacy::Willing,
        }
        if !self.rounds.is_frozen()
            && let Some(members) = self.thawed.take()
        {
            self.adopt(members, out);
        }
        self.settle(out);
        if beat == Beat::Next {
            self.round(out);
        }
        self.advance(out);
        self.ledger.write(now, out);
    }

    /// The claim that this node obeys: the greatest that counts, its own included.
    pub fn holder(&self) -> Option<&Claim> {
        self.holder.as_ref()
    }

    /// The claim under which this node itself holds the seat.
    pub fn own_claim(&self) -> Option<&Claim> {
        self.own.as_ref()
    }

    /// The greatest epoch that this node knows and will still know after a crash. Never falls.
    pub fn max_epoch(&self) -> Epoch {
        self.ledger.durable()
    }

    /// When to call with [`ElectionInput::Tick`], at the latest: at least once in each gossip interval. A call
    /// that comes more than two intervals late makes the node believe that it was asleep.
    pub fn wake_at(&self) -> Instant {
        let round = self.rounds.next_at();
        let end_of_wait = match &self.campaign {
            Campaign::Idle => self
                .vacant_since
                .map(|since| since + self.config.gossip_interval),
            Campaign::Challenging { until, .. } | Campaign::Deferring { until } => Some(*until),
            Campaign::Claiming { .. } => None,
        };
        end_of_wait
            .filter(|at| *at > self.handled_at)
            .map_or(round, |at| at.min(round))
    }

    /// Takes a new view of the peers, or keeps it for later while the node is frozen.
    fn look(&mut self, mut members: Members, out: &mut Vec<ElectionOutput>) {
        members.remove(&self.config.node);
        while members.len() > MAX_MEMBERS {
            members.pop_last();
        }
        if !self.rounds.is_frozen() {
            self.thawed = None; // The kept view is older.
            self.adopt(members, out);
            return;
        }
        for (name, member) in members.iter().filter(|(_, member)| member.is_there()) {
            if self.members.len() < MAX_MEMBERS || self.members.contains_key(name) {
                self.members.insert(name.clone(), *member);
            }
        }
        self.thawed = Some(members);
    }

    fn adopt(&mut self, members: Members, out: &mut Vec<ElectionOutput>) {
        for (name, member) in &members {
            let was_there = self.members.get(name).is_some_and(ElectionPeer::is_there);
            match (was_there, member.is_there(), &self.own) {
                (false, true, Some(own)) => self.send(name, Message::Coordinator(own.clone()), out),
                (true, false, _) => self.claims.note_death(name),
                _ => {}
            }
        }
        for name in self.members.keys() {
            if !members.contains_key(name) {
                self.claims.forget(name);
            }
        }
        self.members = members;
        let since = self.quorate_since.or(Some(self.handled_at));
        self.quorate_since = since.filter(|_| self.has_quorum());
    }

    fn gossiped(&mut self, from: &NodeName, claim: Option<Claim>, out: &mut Vec<ElectionOutput>) {
        let Some(claim) = claim else {
            self.claims.gossiped(from, None);
            return;
        };
        if self.note(from, &claim, out) {
            self.claims.gossiped(from, Some(claim));
        }
    }

    fn pushed(&mut self, from: &NodeName, claim: &Claim, out: &mut Vec<ElectionOutput>) {
        if self.note(from, claim, out) {
            self.claims.pushed(claim, self.handled_at);
        }
    }

    /// Learns from a claim what is true even when it no longer counts; returns whether to believe it.
    fn note(&mut self, from: &NodeName, claim: &Claim, out: &mut Vec<ElectionOutput>) -> bool {
        if claim.node != *from || claim.epoch > MAX_EPOCH {
            return false;
        }
        self.ledger.note(claim.epoch);
        if *from == self.config.node {
            return false; // This node's own claim, from an earlier life.
        }
        self.top = self.top.take().max(Some(claim.fence()));
        if let Some(own) = self.own.as_ref().filter(|own| *own > claim) {
            // The holder does not know this node yet; gossip would tell it later.
            self.send(from, Message::Coordinator(own.clone()), out);
        }
        true
    }

    fn hear(&mut self, from: &NodeName, message: Message, out: &mut Vec<ElectionOutput>) {
        if *from == self.config.node {
            return;
        }
        match message {
            Message::Election { rank, epoch } => {
                self.ledger.note(epoch);
                self.object(from, rank, out);
            }
            Message::Ok { epoch } => {
                self.ledger.note(epoch);
                self.defer(from);
            }
            Message::Pass { epoch } => {
                self.ledger.note(epoch);
                self.passed(from, out);
            }
            Message::Coordinator(claim) => self.pushed(from, &claim, out),
            Message::Vacated(claim) if claim.node == *from => {
                self.ledger.note(claim.epoch);
                self.claims.vacated(&claim);
            }
            Message::Vacated(_) => {}
            Message::HandOver(claim) => self.take_over(from, &claim, out),
            Message::Seen(epoch) => self.refused(epoch, out),
        }
    }

    /// Concludes which node holds the seat now, and whether that is still this node.
    fn settle(&mut self, out: &mut Vec<ElectionOutput>) {
        let heard = self.claims.greatest(&self.members, self.handled_at);
        let heard = heard.cloned();
        if self.own.is_some() && heard > self.own {
            self.drop_own(out);
        }
        let holder = self.own.clone().max(heard);
        match &holder {
            None => _ = self.vacant_since.get_or_insert(self.handled_at),
            Some(_) => self.vacant_since = None,
        }
        if holder != self.holder {
            self.holder.clone_from(&holder);
            out.push(ElectionOutput::Changed(holder));
        }
    }

    /// The work of each round.
    fn round(&mut self, out: &mut Vec<ElectionOutput>) {
        self.claims.prune(&self.members, self.handled_at);
        self.count_votes(out);
        self.offer_again(out);
        self.settle(out);
        self.compare_fences(out);
    }

    /// Drops the claim of a holder that has missed its quorum for too long.
    fn count_votes(&mut self, out: &mut Vec<ElectionOutput>) {
        if self.has_quorum() {
            self.outvoted_since = None;
            return;
        }
        let now = self.handled_at;
        let since = *self.outvoted_since.get_or_insert(now);
        if now.duration_since(since) >= self.config.gossip_interval * OUTVOTED_INTERVALS {
            self.drop_own(out);
        }
    }

    fn has_quorum(&self) -> bool {
        let there = self.members.values().filter(|member| member.is_there());
        let quorum = self.config.quorum;
        quorum.is_met(1 + there.count(), 1 + self.members.len())
    }

    /// Drops this node's claim, if there is one.
    fn drop_own(&mut self, out: &mut Vec<ElectionOutput>) {
        let Some(claim) = self.own.take() else {
            return;
        };
        out.push(ElectionOutput::Publish(None));
        out.push(ElectionOutput::Broadcast(Message::Vacated(claim)));
        self.standing.seat_is_gone();
    }

    fn send(&self, to: &NodeName, message: Message, out: &mut Vec<ElectionOutput>) {
        let to = to.clone();
        out.push(ElectionOutput::Send { to, message });
    }
}
