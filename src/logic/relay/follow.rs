//! The next step of a node that holds a mount's stream, or wants to.
//!
//! A node continues the stream that it has as long as another node has more of it. It takes up another stream only when
//! its own has no source any more, or has lost against an older one. It never takes up two.

use std::time::{Duration, Instant};

use super::route::{self, Holding, Precedence, Role, Seeker, present_stream};
use crate::model::node::NodeName;
use crate::model::stream::StreamId;

/// How often an idle upstream shows that it is alive, so that a stall is told from a pause.
pub const HEARTBEAT: Duration = Duration::from_millis(100);
/// An upstream that is silent for so long has stalled: its heartbeat, 300 ms, and a little for a busy machine. A lost
/// packet is repeated within it, and a needless request to another node costs little.
pub const STALL: Duration = Duration::from_millis(450);
/// How long the first answer of an upstream may take: two round trips of the worst line between two nodes.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(600);
/// How long a node that has found no stream at all keeps looking.
pub const FIND_TIMEOUT: Duration = Duration::from_secs(2);
/// The first wait between rounds in which no node had the stream: short, because silence is heard.
pub const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The longest of these waits.
pub const LONGEST_WAIT: Duration = Duration::from_millis(250);

// An upstream with nothing to send must be heard before it would count as stalled.
const _: () = assert!(HEARTBEAT.as_millis() * 3 < STALL.as_millis());

/// The stream that the node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnStream {
    /// The stream.
    pub stream: Precedence,
    /// The number of the next byte.
    pub next_offset: u64,
    /// Whether the end of the stream has been reached.
    pub state: OwnState,
}

/// Whether a held stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnState {
    /// More may come.
    Open,
    /// No byte will follow.
    Finished,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowStep {
    /// Ask these nodes, best first, to continue the stream that is held.
    Continue(Vec<NodeName>),
    /// Ask these nodes, best first, for this stream, which takes the place of the one that is held.
    TakeUp(StreamId, Vec<NodeName>),
    /// No node has more of it, and nothing else is on air.
    Wait,
}

/// Decides what to do next, by what all nodes hold.
pub fn next_step(
    seeker: Seeker<'_>,
    own: Option<OwnStream>,
    holdings: &[Holding],
    now: Instant,
) -> FollowStep {
    let ask = |stream: StreamId| {
        let upstreams = route::upstreams(seeker, stream, holdings, now).into_iter();
        let now = upstreams.filter(|upstream| upstream.not_before.is_none());
        now.map(|upstream| upstream.node).collect::<Vec<_>>()
    };
    let present = present_stream(holdings);
    let Some(own) = own else {
        return present.map_or(FollowStep::Wait, |it| {
            FollowStep::TakeUp(it.stream_id, ask(it.stream_id))
        });
    };
    let id = own.stream.stream_id;
    let sourced = |stream: Precedence| {
        let ingest = |it: &Holding| it.role == Role::Ingest && it.stream == stream;
        holdings
            .iter()
            .any(|it| ingest(it) && it.is_live() && it.node != *seeker.own)
    };
    let another = present.filter(|it| it.stream_id != id && sourced(*it));
    let finished = own.state == OwnState::Finished;
    match another {
        // The rule of precedence: the lower stream stays, and on both sides of a healed partition it is the same one.
        Some(other) if finished || other < own.stream => {
            FollowStep::TakeUp(other.stream_id, ask(other.stream_id))
        }
        _ if finished => FollowStep::Wait,
        _ if sourced(own.stream) => FollowStep::Continue(ask(id)),
        _ => {
            let further = holders_ahead_of(&own, holdings);
            let upstreams = ask(id).into_iter().filter(|node| further.contains(&node));
            let upstreams: Vec<NodeName> = upstreams.collect();
            match another {
                Some(other) if upstreams.is_empty() => {
                    FollowStep::TakeUp(other.stream_id, ask(other.stream_id))
                }
                _ => FollowStep::Continue(upstreams),
            }
        }
    }
}

/// The nodes that have bytes of a stream which its holder lacks.
fn holders_ahead_of<'a>(own: &OwnStream, holdings: &'a [Holding]) -> Vec<&'a NodeName> {
    let same = holdings.iter().filter(|it| it.stream == own.stream);
    same.filter(|it| it.next_offset > own.next_offset)
        .map(|it| &it.node)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::relay::route::Failures;
    use crate::model::seat::Epoch;
    use crate::model::status::NodeState;

    fn stream(started: u64) -> Precedence {
        Precedence {
            accept_epoch: Epoch(1),
            started_unix_ms: started,
            stream_id: StreamId(u128::from(started)),
        }
    }

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    fn holding(node: &str, started: u64, role: Role) -> Holding {
        Holding {
            node: name(node),
            state: NodeState::Alive,
            stream: stream(started),
            role,
            next_offset: 100,
        }
    }

    fn own(started: u64, next_offset: u64, state: OwnState) -> Option<OwnStream> {
        Some(OwnStream {
            stream: stream(started),
            next_offset,
            state,
        })
    }

    fn step(own: Option<OwnStream>, holdings: &[Holding]) -> FollowStep {
        let (me, failures) = (name("me"), Failures::default());
        let seeker = Seeker {
            own: &me,
            master: None,
            failures: &failures,
        };
        next_step(seeker, own, holdings, Instant::now())
    }

    fn relay() -> Role {
        Role::Relay(None)
    }

    #[test]
    fn a_node_without_a_stream_takes_the_current_one() {
        assert_eq!(step(None, &[]), FollowStep::Wait);
        let on_air = [holding("a", 1, Role::Ingest)];
        assert_eq!(
            step(None, &on_air),
            FollowStep::TakeUp(StreamId(1), vec![name("a")])
        );
    }

    #[test]
    fn a_held_stream_is_followed_while_it_has_a_source() {
        let holdings = [holding("a", 1, Role::Ingest), holding("b", 2, Role::Ingest)];
        let step = step(own(1, 50, OwnState::Open), &holdings);
        assert_eq!(step, FollowStep::Continue(vec![name("a")]));
    }

    #[test]
    fn the_rest_of_a_dead_source_is_fetched_first() {
        let mut holdings = vec![holding("a", 1, relay()), holding("b", 2, Role::Ingest)];
        let open = |next| own(1, next, OwnState::Open);
        assert_eq!(
            step(open(50), &holdings),
            FollowStep::Continue(vec![name("a")])
        );
        let next = FollowStep::TakeUp(StreamId(2), vec![name("b")]);
        assert_eq!(step(open(100), &holdings), next);
        holdings.pop();
        assert_eq!(
            step(open(100), &holdings),
            FollowStep::Continue(vec![]),
            "nobody has more"
        );
    }

    #[test]
    fn after_its_end_only_another_source_counts() {
        let finished = own(1, 100, OwnState::Finished);
        assert_eq!(
            step(finished, &[holding("a", 1, relay())]),
            FollowStep::Wait
        );
        let back = [holding("a", 1, relay()), holding("b", 2, Role::Ingest)];
        assert_eq!(
            step(finished, &back),
            FollowStep::TakeUp(StreamId(2), vec![name("b")])
        );
    }

    #[test]
    fn after_a_partition_the_older_stream_goes_on_everywhere() {
        let both = [holding("a", 1, Role::Ingest), holding("b", 2, Role::Ingest)];
        let loser = step(own(2, 100, OwnState::Open), &both);
        assert_eq!(loser, FollowStep::TakeUp(StreamId(1), vec![name("a")]));
        let winner = step(own(1, 100, OwnState::Open), &both);
        assert_eq!(winner, FollowStep::Continue(vec![name("a")]));
    }
}
