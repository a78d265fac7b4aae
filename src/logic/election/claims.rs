//! The claims that a node has heard of, and which of them count.
//!
//! A claim is heard twice, by a push over the link and later by gossip, and gossip may still repeat
//! what was true before the push. So a push counts at once but only for a while, unless gossip
//! confirms it; and a claim that its holder has dropped stays dropped, however late it is repeated.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::message::{ElectionPeer, Health};
use super::{MAX_MEMBERS, Members};
use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch};

/// How many gossip intervals a pushed claim counts without being confirmed by gossip. Gossip reaches
/// even a hundred nodes within four, with a tenth of its messages lost; twice that.
const PUSH_INTERVALS: u32 = 8;

/// The claim that one node is known to hold.
#[derive(Clone, Debug, Default)]
struct PeerClaim {
    gossiped: Option<Claim>,
    /// A claim that came directly, and until when it counts.
    pushed: Option<(Claim, Instant)>,
    /// The epoch of the last claim that the node said it has dropped.
    vacated: Epoch,
}

/// The claims of the peers.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    push_life: Duration,
    heard: BTreeMap<NodeName, PeerClaim>,
}

impl Claims {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            push_life: interval * PUSH_INTERVALS,
            heard: BTreeMap::new(),
        }
    }

    /// Notes what gossip says that a node holds.
    pub(super) fn gossiped(&mut self, from: &NodeName, claim: Option<Claim>) {
        if claim.is_none() && !self.heard.contains_key(from) {
            return;
        }
        let Some(heard) = self.entry(from) else {
            return;
        };
        let claim = claim.filter(|claim| claim.epoch > heard.vacated);
        // Gossip of one node never goes back in time: once it has confirmed a push, it is newer.
        // Until then, and while it agrees, the push stands: it is also a sign of life.
        let ended = heard.pushed.as_ref().is_some_and(|(push, _)| {
            heard.gossiped.as_ref() >= Some(push) && claim.as_ref() < Some(push)
        });
        if ended {
            heard.pushed = None;
        }
        heard.gossiped = claim;
    }

    /// Notes a claim that its holder has sent itself.
    pub(super) fn pushed(&mut self, claim: &Claim, now: Instant) {
        let until = now + self.push_life;
        let Some(heard) = self.entry(&claim.node) else {
            return;
        };
        let newest = heard.pushed.as_ref().is_none_or(|(push, _)| push <= claim);
        if claim.epoch > heard.vacated && newest {
            heard.pushed = Some((claim.clone(), until));
        }
    }

    /// Notes that a holder says it has dropped a claim.
    pub(super) fn vacated(&mut self, claim: &Claim) {
        let Some(heard) = self.entry(&claim.node) else {
            return;
        };
        heard.vacated = heard.vacated.max(claim.epoch);
        heard.gossiped.take_if(|old| old.epoch <= claim.epoch);
        heard.pushed.take_if(|(old, _)| old.epoch <= claim.epoch);
    }

    /// A node has begun a new life, in which it numbers its claims from the beginning. A push stays, because it may be of
    /// this life already; one of the earlier life lapses.
    pub(super) fn begin_anew(&mut self, node: &NodeName) {
        if let Some(heard) = self.heard.get_mut(node) {
            heard.vacated = Epoch::default();
            heard.gossiped = None;
        }
    }

    /// Whether a claim is known to have been dropped by its holder.
    pub(super) fn is_vacated(&self, claim: &Claim) -> bool {
        let heard = self.heard.get(&claim.node);
        heard.is_some_and(|heard| claim.epoch <= heard.vacated)
    }

    /// A node has just died: what it pushed before is no longer a sign of life.
    pub(super) fn note_death(&mut self, node: &NodeName) {
        if let Some(heard) = self.heard.get_mut(node)
            && let Some((claim, _)) = heard.pushed.take()
        {
            heard.gossiped = heard.gossiped.take().max(Some(claim));
        }
    }

    /// The greatest claim of a node that is there, or that has pushed it since it was last seen to die.
    pub(super) fn greatest(&self, members: &Members, now: Instant) -> Option<&Claim> {
        let counting = self.heard.iter().flat_map(|(node, heard)| {
            let there = members.get(node).is_some_and(ElectionPeer::is_there);
            let push = heard.pushed.as_ref().filter(|(_, until)| now < *until);
            let gossiped = heard.gossiped.as_ref();
            [
                gossiped.filter(|_| there || push.is_some()),
                push.map(|(claim, _)| claim),
            ]
        });
        counting.flatten().max()
    }

    /// Gossip has forgotten this node.
    pub(super) fn forget(&mut self, node: &NodeName) {
        self.heard.remove(node);
    }

    /// Forgets what no longer matters: expired pushes, and nodes that are neither known nor heard.
    pub(super) fn prune(&mut self, members: &Members, now: Instant) {
        self.heard.retain(|node, heard| {
            heard.pushed.take_if(|(_, until)| now >= *until);
            members.contains_key(node) || heard.pushed.is_some() || heard.gossiped.is_some()
        });
    }

    fn entry(&mut self, node: &NodeName) -> Option<&mut PeerClaim> {
        let full = self.heard.len() >= MAX_MEMBERS;
        if full && !self.heard.contains_key(node) {
            return None;
        }
        Some(self.heard.entry(node.clone()).or_default())
    }
}

impl ElectionPeer {
    pub(super) fn is_there(&self) -> bool {
        self.health != Health::Dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seat::Rank;

    const INTERVAL: Duration = Duration::from_millis(250);

    fn claim(epoch: u64, node: &str) -> Claim {
        Claim {
            epoch: Epoch(epoch),
            rank: Rank(0),
            node: NodeName::try_from(node).unwrap(),
        }
    }

    fn members(health: Health) -> Members {
        let rank = Rank(0);
        BTreeMap::from([(claim(0, "a").node, ElectionPeer { rank, health })])
    }

    #[test]
    fn only_confirmed_gossip_undoes_a_push() {
        let (now, alive) = (Instant::now(), members(Health::Alive));
        let mut claims = Claims::new(INTERVAL);
        let held = claim(2, "a");
        claims.pushed(&held, now);
        claims.gossiped(&held.node, None);
        assert_eq!(claims.greatest(&alive, now), Some(&held));
        claims.gossiped(&held.node, Some(held.clone()));
        claims.gossiped(&held.node, None);
        assert_eq!(claims.greatest(&alive, now), None);
    }

    #[test]
    fn a_push_that_gossip_never_confirms_lapses() {
        let (now, alive) = (Instant::now(), members(Health::Alive));
        let mut claims = Claims::new(INTERVAL);
        claims.pushed(&claim(2, "a"), now);
        assert_eq!(
            claims.greatest(&alive, now + INTERVAL * PUSH_INTERVALS),
            None
        );
    }

    #[test]
    fn a_vacated_claim_stays_vacated_when_it_is_repeated() {
        let (now, alive) = (Instant::now(), members(Health::Alive));
        let mut claims = Claims::new(INTERVAL);
        let held = claim(2, "a");
        claims.vacated(&held);
        claims.pushed(&held, now);
        claims.gossiped(&held.node, Some(held.clone()));
        assert_eq!(claims.greatest(&alive, now), None);
        assert!(claims.is_vacated(&held));
        claims.pushed(&claim(3, "a"), now);
        assert_eq!(claims.greatest(&alive, now), Some(&claim(3, "a")));
    }

    #[test]
    fn a_node_that_numbers_anew_is_believed() {
        let (now, alive) = (Instant::now(), members(Health::Alive));
        let mut claims = Claims::new(INTERVAL);
        let held = claim(2, "a");
        claims.begin_anew(&held.node); // it is not even known
        claims.vacated(&held);
        claims.begin_anew(&held.node);
        claims.gossiped(&held.node, Some(held.clone()));
        assert_eq!(claims.greatest(&alive, now), Some(&held));
    }

    #[test]
    fn a_node_that_lives_again_holds_nothing_of_before() {
        let (now, alive) = (Instant::now(), members(Health::Alive));
        let mut claims = Claims::new(INTERVAL);
        let held = claim(2, "a");
        claims.pushed(&held, now);
        claims.note_death(&held.node);
        assert_eq!(claims.greatest(&alive, now), Some(&held));
        claims.begin_anew(&held.node);
        assert_eq!(claims.greatest(&alive, now), None);
        claims.pushed(&held, now);
        claims.begin_anew(&held.node);
        assert_eq!(claims.greatest(&alive, now), Some(&held), "it may be new");
        claims.prune(&alive, now + INTERVAL * PUSH_INTERVALS);
        let later = now + INTERVAL * PUSH_INTERVALS;
        assert_eq!(claims.greatest(&alive, later), None, "and lapses if not");
    }

    #[test]
    fn the_dead_hold_nothing_until_they_speak() {
        let (now, dead) = (Instant::now(), members(Health::Dead));
        let mut claims = Claims::new(INTERVAL);
        let held = claim(2, "a");
        claims.gossiped(&held.node, Some(held.clone()));
        assert_eq!(claims.greatest(&dead, now), None);
        claims.pushed(&held, now);
        claims.gossiped(&held.node, Some(held.clone()));
        assert_eq!(claims.greatest(&dead, now), Some(&held));
        claims.note_death(&held.node);
        assert_eq!(claims.greatest(&dead, now), None);
        assert_eq!(claims.greatest(&members(Health::Alive), now), Some(&held));
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut claims = Claims::new(INTERVAL);
        for number in 0..MAX_MEMBERS + 9 {
            let held = claim(1, &format!("n{number}"));
            claims.gossiped(&held.node, Some(held.clone()));
        }
        assert_eq!(claims.heard.len(), MAX_MEMBERS);
        claims.prune(&members(Health::Alive), Instant::now());
        assert_eq!(claims.heard.len(), MAX_MEMBERS);
    }
}
