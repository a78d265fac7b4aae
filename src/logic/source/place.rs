//! Whether a source may have the place on its mount.
//!
//! Gossip is late, so recent grants and recent ends of streams are remembered beside it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::mount::{MountName, Takeover};
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::stream::StreamId;

/// A source that is on air, as gossip shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incumbent {
    /// The node that it is connected to.
    pub node: NodeName,
    /// Whether that node is alive.
    pub state: NodeState,
    /// The stream of the source.
    pub stream_id: StreamId,
}

/// The decision for a source that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The place is free.
    Grant,
    /// The source gets the place, and this other source, on that node, gives way.
    Replace(NodeName, StreamId),
    /// The place is taken.
    Refuse,
}

/// A source that was heard so short a time ago is there: relays hear it five times in that time. Gossip takes at least
/// as long to miss one whose node has been killed.
pub const HEARD: Duration = Duration::from_millis(500);
/// How long a grant holds although gossip does not show the stream yet: it shows it within a second.
const GRANT: Duration = Duration::from_secs(5);
/// How long an ended stream is remembered: gossip still shows it for a moment, and its encoder is back sooner.
const ENDED: Duration = Duration::from_secs(60);
/// The most grants and ends that are remembered; far more than sources come and go in that time.
const MAX_REMEMBERED: usize = 4_096;

/// A place that was given away a moment ago.
#[derive(Clone, Debug)]
struct Grant {
    stream_id: StreamId,
    ingest: NodeName,
    at: Instant,
}

/// A source with the right password that asks for its place.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The mount.
    pub mount: &'a MountName,
    /// The stream of the source.
    pub stream_id: StreamId,
    /// The node that it is connected to.
    pub ingest: &'a NodeName,
}

/// The news that gossip and links bring.
pub struct MeshReports<'a> {
    /// The sources that are on air on the mount, the one with precedence first.
    pub on_air: Vec<Incumbent>,
    /// Whether a node is believed to live; an unknown one is.
    pub is_up: &'a dyn Fn(&NodeName) -> bool,
}

/// The places that this node has granted recently, and those that have become free.
#[derive(Clone, Debug, Default)]
pub struct Places {
    grants: BTreeMap<MountName, Grant>,
    ended: BTreeMap<StreamId, Instant>,
}

impl Places {
    /// Decides, and remembers what was granted.
    pub fn decide(
        &mut self,
        asker: Asker<'_>,
        mesh: MeshReports<'_>,
        takeover: Takeover,
        now: Instant,
    ) -> Decision {
        self.forget_old(now);
        let mut on_air = mesh.on_air.into_iter();
        let incumbent = on_air.find(|it| !self.ended.contains_key(&it.stream_id));
        // A place that was granted to a node which has died since is free: its encoder comes to another one.
        let granted = self.grants.get(asker.mount);
        let granted = granted.filter(|grant| (mesh.is_up)(&grant.ingest));
        let granted = granted.map(|grant| grant.stream_id);
        if self.grants.len() >= MAX_REMEMBERED {
            return Decision::Refuse;
        }
        let decision = decide(asker.stream_id, incumbent.as_ref(), granted, takeover);
        if decision != Decision::Refuse {
            let grant = Grant {
                stream_id: asker.stream_id,
                ingest: asker.ingest.clone(),
                at: now,
            };
            self.grants.insert(asker.mount.clone(), grant);
        }
        decision
    }

    /// Notes that a source has gone: its place is free again, whatever gossip still says of it.
    pub fn release(&mut self, mount: &MountName, stream_id: StreamId, now: Instant) {
        self.forget_old(now);
        self.grants
            .retain(|other, grant| other != mount || grant.stream_id != stream_id);
        if self.ended.len() < MAX_REMEMBERED {
            self.ended.insert(stream_id, now);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let age = |at: Instant| now.saturating_duration_since(at);
        self.grants.retain(|_, grant| age(grant.at) < GRANT);
        self.ended.retain(|_, at| age(*at) < ENDED);
    }
}

/// Decides for a source with the right password.
///
/// A source on a doubtful node holds its place: a node that dies is dead by both witnesses at nearly the same
/// moment, while one that was cut off is heard by gossip before there is a link to it again.
/// `granted` is a place given away a moment ago, of which gossip may not know yet.
fn decide(
    stream_id: StreamId,
    incumbent: Option<&Incumbent>,
    granted: Option<StreamId>,
    takeover: Takeover,
) -> Decision {
    let promised = granted.filter(|other| *other != stream_id);
    let holds = |it: &&Incumbent| it.state != NodeState::Dead && it.stream_id != stream_id;
    match (incumbent.filter(holds), promised, takeover) {
        (None, None, _) => Decision::Grant,
        // A source that was promised the place and is not seen there yet cannot be told to give way either.
        (Some(it), promised, Takeover::Takeover)
            if promised.is_none_or(|other| other == it.stream_id) =>
        {
            Decision::Replace(it.node.clone(), it.stream_id)
        }
        _ => Decision::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_air(state: NodeState) -> Incumbent {
        Incumbent {
            node: NodeName::try_from("a").unwrap(),
            state,
            stream_id: StreamId(1),
        }
    }

    #[test]
    fn only_a_free_place_is_granted() {
        let new = StreamId(2);
        let alive = on_air(NodeState::Alive);
        assert_eq!(decide(new, None, None, Takeover::Refuse), Decision::Grant);
        assert_eq!(
            decide(new, Some(&alive), None, Takeover::Refuse),
            Decision::Refuse
        );
        let again = decide(
            StreamId(1),
            Some(&alive),
            Some(StreamId(1)),
            Takeover::Refuse,
        );
        assert_eq!(again, Decision::Grant, "its own place");
    }

    #[test]
    fn the_mount_may_say_that_the_newcomer_takes_over() {
        let alive = on_air(NodeState::Alive);
        let decision = decide(StreamId(2), Some(&alive), None, Takeover::Takeover);
        assert_eq!(decision, Decision::Replace(alive.node, StreamId(1)));
    }

    #[test]
    fn a_source_holds_its_place_until_its_node_is_dead() {
        for (state, decision) in [
            (NodeState::Suspect, Decision::Refuse),
            (NodeState::Draining, Decision::Refuse),
            (NodeState::Dead, Decision::Grant),
        ] {
            let there = on_air(state);
            let decided = decide(StreamId(2), Some(&there), None, Takeover::Refuse);
            assert_eq!(decided, decision, "{state:?}");
        }
    }

    #[test]
    fn a_new_source_gives_way_once_it_is_seen() {
        let alive = on_air(NodeState::Alive);
        let decide = |granted, takeover| decide(StreamId(2), Some(&alive), granted, takeover);
        let seen = decide(Some(StreamId(1)), Takeover::Takeover);
        assert_eq!(seen, Decision::Replace(alive.node.clone(), StreamId(1)));
        let unseen = decide(Some(StreamId(3)), Takeover::Takeover);
        assert_eq!(unseen, Decision::Refuse);
        assert_eq!(
            decide(Some(StreamId(1)), Takeover::Refuse),
            Decision::Refuse
        );
    }

    #[test]
    fn the_first_of_two_simultaneous_sources_gets_the_place() {
        let granted = Some(StreamId(1));
        assert_eq!(
            decide(StreamId(2), None, granted, Takeover::Takeover),
            Decision::Refuse
        );
    }

    /// Asks for a source of the mount `/a` that is connected to the node `b`.
    fn ask(
        places: &mut Places,
        stream_id: u128,
        on_air: Vec<Incumbent>,
        is_up: bool,
        at: Instant,
    ) -> Decision {
        let (mount, ingest) = ("/a".parse().unwrap(), "b".parse().unwrap());
        let asker = Asker {
            mount: &mount,
            stream_id: StreamId(stream_id),
            ingest: &ingest,
        };
        let mesh = MeshReports {
            on_air,
            is_up: &|_| is_up,
        };
        places.decide(asker, mesh, Takeover::Refuse, at)
    }

    #[test]
    fn grants_hold_until_gossip_is_due_or_the_node_dies() {
        let (mut places, now) = (Places::default(), Instant::now());
        assert_eq!(ask(&mut places, 1, vec![], true, now), Decision::Grant);
        assert_eq!(ask(&mut places, 2, vec![], true, now), Decision::Refuse);
        let later = now + GRANT;
        assert_eq!(ask(&mut places, 3, vec![], true, later), Decision::Grant);
        assert_eq!(ask(&mut places, 4, vec![], false, later), Decision::Grant);
    }

    #[test]
    fn a_source_that_left_holds_no_place_despite_late_gossip() {
        let (mut places, now) = (Places::default(), Instant::now());
        let mount = "/a".parse().unwrap();
        assert_eq!(ask(&mut places, 1, vec![], true, now), Decision::Grant);
        places.release(&mount, StreamId(1), now);
        let left = on_air(NodeState::Alive);
        let here = Incumbent {
            stream_id: StreamId(9),
            ..left.clone()
        };
        let both = vec![left.clone(), here];
        assert_eq!(ask(&mut places, 2, both, true, now), Decision::Refuse);
        assert_eq!(ask(&mut places, 2, vec![left], true, now), Decision::Grant);
    }
}
