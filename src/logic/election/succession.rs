//! A planned leave: the holder asks an heir to take the seat, and keeps it until that has happened.
//!
//! So for a moment there are two holders and never none; the heir's epoch is the greater, and
//! a node that has heard of it refuses the old holder's orders.

use std::collections::BTreeSet;

use super::Election;
use super::campaign::Campaign;
use super::message::{ElectionOutput, Health, Message};
use super::standing::Candidacy;
use crate::model::node::NodeName;
use crate::model::seat::Claim;

/// How many gossip intervals a leaving holder waits for an heir before it just drops its claim. An heir
/// needs a round trip and one write; this allows for a slow disk and several lost messages.
const HAND_OVER_INTERVALS: u32 = 8;

impl Election {
    pub(super) fn resign(&mut self, out: &mut Vec<ElectionOutput>) {
        if self.standing != Candidacy::Willing {
            return;
        }
        self.campaign = Campaign::Idle;
        if self.own.is_none() {
            self.standing = Candidacy::Resigned;
            return;
        }
        self.standing = Candidacy::HandingOver {
            until: self.handled_at + self.config.gossip_interval * HAND_OVER_INTERVALS,
            refused: BTreeSet::new(),
        };
        self.offer_again(out);
    }

    /// Leaves the seat to whoever wants it.
    pub(super) fn vacate(&mut self, out: &mut Vec<ElectionOutput>) {
        self.campaign = Campaign::Idle;
        self.standing = Candidacy::Resigned;
        self.drop_own(out);
    }

    /// Offers the seat to the best heir; drops it when no heir is left or time is over.
    pub(super) fn offer_again(&mut self, out: &mut Vec<ElectionOutput>) {
        let Candidacy::HandingOver { until, refused } = &self.standing else {
            return;
        };
        let heirs = self
            .members
            .iter()
            .filter(|(name, peer)| peer.health != Health::Dead && !refused.contains(*name));
        let best = heirs.max_by_key(|(name, peer)| {
            let certain = peer.health == Health::Alive;
            (certain, peer.rank, *name)
        });
        match (best, &self.own) {
            (Some((heir, _)), Some(own)) if self.handled_at < *until => {
                self.send(heir, Message::HandOver(own.clone()), out);
            }
            _ => self.drop_own(out),
        }
    }

    pub(super) fn offer_refused(&mut self, from: &NodeName, out: &mut Vec<ElectionOutput>) {
        if let Candidacy::HandingOver { refused, .. } = &mut self.standing
            && self.members.contains_key(from)
            && refused.insert(from.clone())
        {
            self.offer_again(out);
        }
    }

    /// Takes the seat from a holder that asks for it. The node need not have been here for long:
    /// the holder knows it as alive, and no other node can rightly hold the seat.
    pub(super) fn take_over(
        &mut self,
        from: &NodeName,
        claim: &Claim,
        out: &mut Vec<ElectionOutput>,
    ) {
        self.pushed(from, claim, out);
        let outdated = self.claims.is_vacated(claim)
            || self.own.as_ref() >= Some(claim)
            || self.top > Some(claim.fence());
        let claiming = matches!(self.campaign, Campaign::Claiming { .. });
        if claim.node != *from || outdated || claiming {
            return;
        }
        if self.is_able() {
            self.begin_claim(Some(claim.clone()));
        } else {
            let epoch = self.ledger.seen();
            self.send(from, Message::Pass { epoch }, out);
        }
    }
}
