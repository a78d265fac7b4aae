//! Whether a node is alive, by two witnesses: gossip, which hears of it through all other nodes, and the link.
//!
//! Each of them alone is slow or easily deceived. Gossip takes one and a half seconds to be sure; a link also breaks
//! when only the line between two nodes does. When the link is dead and gossip has begun to fall silent too,
//! nothing is gained by waiting until gossip is sure.

use std::time::Duration;

use crate::model::status::NodeState;

/// Gossip hears of a live node about twice per round; after so many rounds without news of it, its silence
/// confirms a dead link. Alone it proves nothing: with 10 % loss a node is not heard for so long once in hours.
const SILENT_ROUNDS: u32 = 3;
/// How long a node without a link to this one must be heard through others until that is no longer a doubt. A link that
/// broke by chance is back within a second; a link that stays away means that the node cannot be reached from here.
const UNLINKED_AFTER: Duration = Duration::from_secs(3);

/// The signs of life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnesses {
    /// The sign of the failure detector of gossip.
    pub gossip: Sign,
    /// For how long gossip has had no new heartbeat of the node.
    pub silent_for: Duration,
    /// Whether there is a link to the node.
    pub link: Sign,
    /// For how long there has been no link to the node.
    pub unlinked_for: Duration,
    /// The node's report on itself.
    pub report: SelfReport,
}

/// A witness's verdict on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The witness hears the node.
    Alive,
    /// The witness does not hear the node.
    Silent,
}

/// A node's statement about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfReport {
    /// The node serves.
    Serving,
    /// The node refuses new sources, and no listener is sent to it.
    Draining,
    /// The node has left.
    Left,
}

/// The verdict: one witness that hears nothing is a doubt, two are a death.
pub fn verdict(witnesses: Witnesses, gossip_interval: Duration) -> NodeState {
    let Witnesses {
        gossip,
        silent_for,
        link,
        unlinked_for,
        report,
    } = witnesses;
    let falling_silent = silent_for >= gossip_interval * SILENT_ROUNDS;
    match (report, link, gossip) {
        (SelfReport::Left, _, _) | (_, Sign::Silent, Sign::Silent) => NodeState::Dead,
        (_, Sign::Silent, Sign::Alive) if falling_silent => NodeState::Dead,
        (report, Sign::Silent, Sign::Alive) if unlinked_for >= UNLINKED_AFTER => match report {
            SelfReport::Draining => NodeState::Draining,
            _ => NodeState::Unlinked,
        },
        (_, Sign::Silent, Sign::Alive) | (_, Sign::Alive, Sign::Silent) => NodeState::Suspect,
        (SelfReport::Draining, Sign::Alive, Sign::Alive) => NodeState::Draining,
        (SelfReport::Serving, Sign::Alive, Sign::Alive) => NodeState::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(250);

    fn judged(gossip: Sign, silent_ms: u64, link: Sign) -> NodeState {
        let witnesses = Witnesses {
            gossip,
            silent_for: Duration::from_millis(silent_ms),
            link,
            unlinked_for: Duration::ZERO,
            report: SelfReport::Serving,
        };
        verdict(witnesses, INTERVAL)
    }

    #[test]
    fn a_node_heard_only_through_others_is_not_in_doubt() {
        let mut witnesses = Witnesses {
            gossip: Sign::Alive,
            silent_for: Duration::ZERO,
            link: Sign::Silent,
            unlinked_for: UNLINKED_AFTER,
            report: SelfReport::Serving,
        };
        assert_eq!(verdict(witnesses, INTERVAL), NodeState::Unlinked);
        witnesses.report = SelfReport::Draining;
        assert_eq!(verdict(witnesses, INTERVAL), NodeState::Draining);
        witnesses.silent_for = INTERVAL * SILENT_ROUNDS;
        assert_eq!(verdict(witnesses, INTERVAL), NodeState::Dead);
    }

    #[test]
    fn one_silent_witness_is_a_doubt_two_a_death() {
        assert_eq!(judged(Sign::Alive, 0, Sign::Alive), NodeState::Alive);
        assert_eq!(judged(Sign::Alive, 0, Sign::Silent), NodeState::Suspect);
        assert_eq!(judged(Sign::Silent, 2_000, Sign::Alive), NodeState::Suspect);
        assert_eq!(judged(Sign::Silent, 2_000, Sign::Silent), NodeState::Dead);
    }

    #[test]
    fn a_dead_link_and_silent_gossip_are_enough() {
        assert_eq!(judged(Sign::Alive, 749, Sign::Silent), NodeState::Suspect);
        assert_eq!(judged(Sign::Alive, 750, Sign::Silent), NodeState::Dead);
        assert_eq!(judged(Sign::Alive, 750, Sign::Alive), NodeState::Alive);
    }

    #[test]
    fn a_nodes_own_report_counts_while_it_is_heard() {
        let mut witnesses = Witnesses {
            gossip: Sign::Alive,
            silent_for: Duration::ZERO,
            link: Sign::Alive,
            unlinked_for: Duration::ZERO,
            report: SelfReport::Draining,
        };
        assert_eq!(verdict(witnesses, INTERVAL), NodeState::Draining);
        witnesses.report = SelfReport::Left;
        assert_eq!(verdict(witnesses, INTERVAL), NodeState::Dead);
    }
}
