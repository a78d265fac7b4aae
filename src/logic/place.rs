//! Whether a source may have the place on its mount.

use crate::model::mount::Takeover;
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::stream::StreamId;

/// A source that is on air, as gossip shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incumbent {
    /// The node that it is connected to.
    pub node: NodeName,
    /// How that node is doing.
    pub state: NodeState,
    /// Its stream.
    pub stream_id: StreamId,
}

/// What is decided for a source that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The place is free.
    Grant,
    /// It gets the place, and this source, on that node, gives way.
    Replace(NodeName, StreamId),
    /// The place is taken.
    Refuse,
}

/// Decides for a source with the right password.
///
/// A source on a node that only one of the two witnesses hears does not hold the place: it is most likely dying,
/// and its encoder is the one that asks. If it does live, the two meet as after a partition, and one gives way.
/// `granted` is a place given away a moment ago, of which gossip may not know yet.
pub fn decide(
    stream_id: StreamId,
    incumbent: Option<&Incumbent>,
    granted: Option<StreamId>,
    takeover: Takeover,
) -> Decision {
    let promised = granted.filter(|other| *other != stream_id);
    let holds = |it: &&Incumbent| {
        let sure = matches!(it.state, NodeState::Alive | NodeState::Draining);
        sure && it.stream_id != stream_id
    };
    match (incumbent.filter(holds), promised, takeover) {
        (None, None, _) => Decision::Grant,
        // Whoever was promised the place and cannot be seen there yet cannot be told to give way either.
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
    fn a_free_place_is_granted_and_a_taken_one_is_not() {
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
    fn a_source_on_a_doubtful_node_does_not_hold_its_place() {
        for state in [NodeState::Suspect, NodeState::Dead] {
            let doubtful = on_air(state);
            let decision = decide(StreamId(2), Some(&doubtful), None, Takeover::Refuse);
            assert_eq!(decision, Decision::Grant);
        }
    }

    #[test]
    fn one_who_has_just_come_gives_way_as_soon_as_he_can_be_seen() {
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
    fn of_two_that_come_at_once_the_first_gets_it() {
        let granted = Some(StreamId(1));
        assert_eq!(
            decide(StreamId(2), None, granted, Takeover::Takeover),
            Decision::Refuse
        );
    }
}
