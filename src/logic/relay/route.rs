//! The choice of the node that a relay asks for a stream.
//!
//! Gossip is late, so no node is left out because it seems to be behind: every holder of the stream is a candidate,
//! and gossip only decides the order. A node that is fed by this one must not be asked.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

pub use super::failures::{FIRST_REST, Failures, LONGEST_REST};
use crate::model::node::NodeName;
use crate::model::seat::Epoch;
use crate::model::status::NodeState;
use crate::model::stream::StreamId;

/// Of two streams for one mount the lower stays: the derived order is the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// The epoch of the master that accepted the source: a source from before the partition stays.
    pub accept_epoch: Epoch,
    /// When the source connected, unix milliseconds by its ingest node.
    pub started_unix_ms: u64,
    /// Decides between two sources of the same millisecond.
    pub stream_id: StreamId,
}

/// One node that holds a mount's stream in a ring, as it gossips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The node that holds it.
    pub node: NodeName,
    /// Whether that node is alive.
    pub state: NodeState,
    /// The stream.
    pub stream: Precedence,
    /// How the node got the stream.
    pub role: Role,
    /// The offset of the next byte that it will append.
    pub next_offset: u64,
}

/// How a node got a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The source is connected to the node now.
    Ingest,
    /// The node pulls from this one; `None` while it looks for one, or after the source has left.
    Relay(Option<NodeName>),
}

impl Holding {
    /// Whether the node can feed relays: a draining node does until they have found another, and a suspect one may.
    pub(super) fn is_live(&self) -> bool {
        self.state != NodeState::Dead
    }
}

/// The stream of a mount that is on air: the lowest that has a source at a live node.
///
/// Without any source it is the highest that a live node holds: listeners heard that one last, and a lower one
/// is a rest of an earlier source.
pub fn present_stream(holdings: &[Holding]) -> Option<Precedence> {
    let live = || holdings.iter().filter(|it| it.is_live());
    let sourced = live().filter(|it| it.role == Role::Ingest);
    let lowest = sourced.map(|it| it.stream).min();
    lowest.or_else(|| live().map(|it| it.stream).max())
}

/// A node that looks for a stream, and the nodes that failed to give it.
#[derive(Clone, Copy, Debug)]
pub struct Seeker<'a> {
    /// The node that looks.
    pub own: &'a NodeName,
    /// The holder of the master's seat, if it is live.
    pub master: Option<&'a NodeName>,
    /// Nodes that have failed recently.
    pub failures: &'a Failures,
}

/// A node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The name of the node.
    pub node: NodeName,
    /// When the node may be asked again after a failure; `None`: ask now.
    pub not_before: Option<Instant>,
}

/// The nodes to ask for a stream, the best first.
///
/// The master, the root of distribution, also when it has yet to get the stream; then the ingest node; then other
/// relays, those that are fed before those that look themselves, and those that are further before those behind;
/// then suspects. Nodes that failed recently come last, the one whose rest ends first at their head. Dead nodes, this
/// node, and nodes that get the stream through it are left out.
pub fn upstreams(
    seeker: Seeker<'_>,
    stream: StreamId,
    holdings: &[Holding],
    now: Instant,
) -> Vec<Upstream> {
    let holders: BTreeMap<&NodeName, &Holding> = holdings
        .iter()
        .filter(|it| it.stream.stream_id == stream)
        .map(|it| (&it.node, it))
        .collect();
    let usable =
        |it: &&&Holding| it.is_live() && source_of(&holders, it, seeker.own) != BytesOrigin::Us;
    let mut order: Vec<(CandidateRank<'_>, &NodeName)> = holders
        .values()
        .filter(usable)
        .map(|it| (rank(seeker, &holders, it), &it.node))
        .collect();
    order.extend(master_without(seeker, &holders));
    order.sort();
    let upstream = |(_, node): (CandidateRank<'_>, &NodeName)| {
        let state = holders.get(node).map_or(NodeState::Alive, |it| it.state);
        Upstream {
            node: node.clone(),
            not_before: seeker.failures.rest(node, state, now),
        }
    };
    let mut upstreams: Vec<Upstream> = order.into_iter().map(upstream).collect();
    // The sort is stable: among those that may be asked now, and those whose rests end together, the order stays.
    upstreams.sort_by_key(|it| it.not_before);
    upstreams
}

/// The place of a candidate among the others; the lower is asked first.
type CandidateRank<'a> = (Class, Reverse<u64>, &'a NodeName);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Master,
    Ingest,
    FedRelay,
    UnfedRelay,
    Suspect,
}

fn rank<'a>(
    seeker: Seeker<'_>,
    holders: &BTreeMap<&NodeName, &Holding>,
    holding: &'a Holding,
) -> CandidateRank<'a> {
    let class = match &holding.role {
        _ if matches!(holding.state, NodeState::Suspect | NodeState::Unlinked) => Class::Suspect,
        _ if seeker.master == Some(&holding.node) => Class::Master,
        Role::Ingest => Class::Ingest,
        Role::Relay(_) => match source_of(holders, holding, seeker.own) {
            BytesOrigin::Elsewhere => Class::FedRelay,
            BytesOrigin::Nowhere | BytesOrigin::Us => Class::UnfedRelay,
        },
    };
    (class, Reverse(holding.next_offset), &holding.node)
}

/// The master, if it does not hold the stream but can get it from its ingest node.
fn master_without<'a>(
    seeker: Seeker<'a>,
    holders: &BTreeMap<&NodeName, &Holding>,
) -> Option<(CandidateRank<'a>, &'a NodeName)> {
    let master = seeker
        .master
        .filter(|it| *it != seeker.own && !holders.contains_key(it))?;
    let has_source =
        |it: &&Holding| it.is_live() && it.role == Role::Ingest && it.node != *seeker.own;
    let sourced = holders.values().copied().any(|it| has_source(&it));
    sourced.then_some(((Class::Master, Reverse(0), master), master))
}

/// The origin of a holder's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BytesOrigin {
    /// From an ingest node, or from a node of which no more is known.
    Elsewhere,
    /// From this node.
    Us,
    /// From no node: it looks for an upstream itself, or its chain ends with one that does, or in a circle.
    Nowhere,
}

/// Follows the upstreams of a holder.
fn source_of(
    holders: &BTreeMap<&NodeName, &Holding>,
    holding: &Holding,
    own: &NodeName,
) -> BytesOrigin {
    let mut at = holding;
    // A chain without a circle has at most as many links as there are holders.
    for _ in 0..=holders.len() {
        if at.node == *own {
            return BytesOrigin::Us;
        }
        let upstream = match &at.role {
            Role::Ingest => return BytesOrigin::Elsewhere,
            Role::Relay(None) => return BytesOrigin::Nowhere,
            Role::Relay(Some(upstream)) => upstream,
        };
        if upstream == own {
            return BytesOrigin::Us;
        }
        match holders.get(upstream) {
            Some(next) if next.is_live() => at = next,
            Some(_) => return BytesOrigin::Nowhere,
            None => return BytesOrigin::Elsewhere,
        }
    }
    BytesOrigin::Nowhere
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: u128 = 7;

    fn name(index: usize) -> NodeName {
        NodeName::try_from(format!("n{index}")).unwrap()
    }

    fn precedence(accept_epoch: u64, started_unix_ms: u64, id: u128) -> Precedence {
        Precedence {
            accept_epoch: Epoch(accept_epoch),
            started_unix_ms,
            stream_id: StreamId(id),
        }
    }

    fn holding(index: usize, role: Role) -> Holding {
        Holding {
            node: name(index),
            state: NodeState::Alive,
            stream: precedence(1, 1, STREAM),
            role,
            next_offset: 100,
        }
    }

    fn pulls_from(index: usize) -> Role {
        Role::Relay(Some(name(index)))
    }

    fn ask(
        own: usize,
        master: Option<usize>,
        failures: &Failures,
        holdings: &[Holding],
    ) -> Vec<usize> {
        let (own, master) = (name(own), master.map(name));
        let seeker = Seeker {
            own: &own,
            master: master.as_ref(),
            failures,
        };
        let upstreams = upstreams(seeker, StreamId(STREAM), holdings, Instant::now());
        let index = |it: Upstream| it.node.as_str()[1..].parse().unwrap();
        upstreams.into_iter().map(index).collect()
    }

    #[test]
    fn the_master_is_asked_first_then_ingest_then_relays() {
        let mut far = holding(4, pulls_from(2));
        far.next_offset = 200;
        let mut suspect = holding(5, Role::Ingest);
        suspect.state = NodeState::Suspect;
        let holdings = [
            suspect,
            holding(3, pulls_from(2)),
            far,
            holding(6, Role::Relay(None)),
            holding(2, pulls_from(1)),
            holding(1, Role::Ingest),
        ];
        let none = Failures::default();
        assert_eq!(ask(0, Some(2), &none, &holdings), [2, 1, 4, 3, 6, 5]);
        assert_eq!(ask(0, None, &none, &holdings), [1, 4, 2, 3, 6, 5]);
        assert_eq!(
            ask(2, Some(2), &none, &holdings),
            [1, 6, 5],
            "3 and 4 are fed by 2"
        );
    }

    #[test]
    fn a_master_that_can_get_the_stream_is_asked() {
        let none = Failures::default();
        let holdings = [holding(1, Role::Ingest), holding(3, pulls_from(1))];
        assert_eq!(ask(0, Some(9), &none, &holdings), [9, 1, 3]);
        assert_eq!(ask(9, Some(9), &none, &holdings), [1, 3]);
        assert_eq!(
            ask(0, Some(9), &none, &holdings[1..]),
            [3],
            "it could only ask 3 itself"
        );
        assert_eq!(
            ask(1, Some(9), &none, &holdings),
            [0usize; 0],
            "the ingest node asks nobody"
        );
    }

    #[test]
    fn no_chain_comes_back_to_us() {
        let none = Failures::default();
        let holdings = [
            holding(1, pulls_from(0)),
            holding(2, pulls_from(1)),
            holding(3, pulls_from(4)),
            holding(4, pulls_from(3)),
            holding(0, Role::Relay(None)),
        ];
        assert_eq!(
            ask(0, Some(1), &none, &holdings),
            [3, 4],
            "a circle without us may break up"
        );
    }

    #[test]
    fn a_node_that_failed_lately_is_asked_last_and_later() {
        let (mut failures, now) = (Failures::default(), Instant::now() + LONGEST_REST);
        let holdings = [1, 2, 3].map(|index| holding(index, Role::Relay(None)));
        failures.note_failure(&name(1), NodeState::Alive, now);
        failures.note_failure(&name(1), NodeState::Alive, now);
        failures.note_failure(&name(2), NodeState::Alive, now);
        assert_eq!(ask(0, None, &failures, &holdings), [3, 2, 1]);
    }

    #[test]
    fn the_lowest_stream_with_a_source_goes_on() {
        let streams = [
            precedence(2, 5, 1),
            precedence(1, 9, 2),
            precedence(1, 8, 3),
            precedence(1, 8, 4),
        ];
        let mut holdings: Vec<_> = streams
            .iter()
            .enumerate()
            .map(|(index, stream)| Holding {
                stream: *stream,
                ..holding(index, Role::Ingest)
            })
            .collect();
        assert_eq!(present_stream(&holdings), Some(streams[2]));
        holdings[2].role = Role::Relay(None);
        assert_eq!(
            present_stream(&holdings),
            Some(streams[3]),
            "the other has lost its source"
        );
        holdings
            .iter_mut()
            .for_each(|it| it.role = Role::Relay(None));
        assert_eq!(
            present_stream(&holdings),
            Some(streams[0]),
            "the last one to be heard"
        );
        holdings
            .iter_mut()
            .for_each(|it| it.state = NodeState::Dead);
        assert_eq!(present_stream(&holdings), None);
    }

    fn any_holding() -> impl Strategy<Value = Holding> {
        let states = prop_oneof![
            4 => Just(NodeState::Alive),
            1 => Just(NodeState::Suspect),
            1 => Just(NodeState::Dead),
            1 => Just(NodeState::Draining),
        ];
        let roles = prop_oneof![
            1 => Just(Role::Ingest),
            1 => Just(Role::Relay(None)),
            4 => (0usize..8).prop_map(pulls_from),
        ];
        let stream = (0u64..2, 0u64..2, STREAM..STREAM + 2);
        (0usize..8, states, roles, stream, 0u64..4).prop_map(
            |(index, state, role, stream, next_offset)| Holding {
                state,
                stream: precedence(stream.0, stream.1, stream.2),
                next_offset,
                ..holding(index, role)
            },
        )
    }

    proptest! {
        #[test]
        fn no_relay_asks_itself_or_a_node_it_feeds(
            holdings in proptest::collection::vec(any_holding(), 0..10),
            master in proptest::option::of(0usize..9),
            failed in proptest::collection::vec(0usize..8, 0..8),
        ) {
            // The last report of a node counts.
            let holdings: BTreeMap<_, _> = holdings.into_iter().map(|it| (it.node.clone(), it)).collect();
            let holdings: Vec<_> = holdings.into_values().collect();
            let mut failures = Failures::default();
            failed.iter().for_each(|index| failures.note_failure(&name(*index), NodeState::Alive, Instant::now()));
            let asked = ask(0, master, &failures, &holdings);
            let holder = |index: usize| holdings.iter().find(|it| {
                it.node == name(index) && it.stream.stream_id == StreamId(STREAM)
            });
            prop_assert!(!asked.contains(&0));
            for index in &asked {
                let role = holder(*index).map(|it| &it.role);
                prop_assert_ne!(role, Some(&pulls_from(0)), "a loop of two");
                prop_assert!(role.is_some() || master == Some(*index));
            }
            let once: std::collections::BTreeSet<_> = asked.iter().collect();
            prop_assert_eq!(once.len(), asked.len());
            let live = |it: &&Holding| it.is_live() && it.stream.stream_id == StreamId(STREAM);
            let through_us = |it: &Holding| {
                let mut seen = vec![it.node.clone()];
                while let Some(Role::Relay(Some(next))) = holdings
                    .iter()
                    .find(|it| Some(&it.node) == seen.last() && it.stream.stream_id == StreamId(STREAM))
                    .map(|it| it.role.clone())
                {
                    if seen.contains(&next) {
                        break;
                    }
                    seen.push(next);
                }
                seen.contains(&name(0))
            };
            let is_one_left = holdings.iter().filter(live).any(|it| !through_us(it));
            prop_assert!(!is_one_left || !asked.is_empty());
        }
    }
}
