//! Two sources of one mount, accepted on the two sides of a partition, meet when it heals: one gives way.
//!
//! Both sides see the same two streams and the same [`Precedence`](crate::logic::relay::route::Precedence), so no node
//! has to be asked. Only the one that has lost acts, and not at once: what gossip shows may be a source that has gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::mount::MountName;
use crate::model::stream::StreamId;

/// How long a rival must be seen before a source gives way to it: a source that has just left is still gossiped for
/// two rounds.
pub const CONFIRM: Duration = Duration::from_millis(750);

/// The sources of one node that are on air although one elsewhere has precedence, and since when.
#[derive(Clone, Debug, Default)]
pub struct Rivals {
    beaten_since: BTreeMap<(MountName, StreamId), Instant>,
}

impl Rivals {
    /// Looks at the sources that are on air here, and returns those that give way now.
    ///
    /// `first_elsewhere` is the stream that has precedence on a mount, if its source is at another node. It is
    /// to be called at every change of the mesh, and at least once in each [`CONFIRM`].
    pub fn look(
        &mut self,
        on_air: Vec<(MountName, StreamId)>,
        first_elsewhere: impl Fn(&MountName) -> Option<StreamId>,
        now: Instant,
    ) -> Vec<(MountName, StreamId)> {
        let is_beaten = |(mount, stream_id): &(MountName, StreamId)| {
            first_elsewhere(mount).is_some_and(|first| first != *stream_id)
        };
        let mut beaten = on_air;
        beaten.retain(is_beaten);
        self.beaten_since
            .retain(|source, _| beaten.contains(source));
        for source in &beaten {
            self.beaten_since.entry(source.clone()).or_insert(now);
        }
        beaten.retain(|source| now.saturating_duration_since(self.beaten_since[source]) >= CONFIRM);
        beaten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(stream_id: u128) -> (MountName, StreamId) {
        (MountName::try_from("/a").unwrap(), StreamId(stream_id))
    }

    #[test]
    fn a_rival_is_given_way_to_when_it_stays() {
        let (mut rivals, now) = (Rivals::default(), Instant::now());
        let rival = |_: &MountName| Some(StreamId(1));
        assert_eq!(rivals.look(vec![source(2)], rival, now), []);
        let later = now + CONFIRM;
        assert_eq!(rivals.look(vec![source(2)], rival, later), [source(2)]);
        assert_eq!(rivals.look(vec![], rival, later), []);
        assert!(rivals.beaten_since.is_empty());
    }

    #[test]
    fn a_rival_that_goes_in_between_was_none() {
        let (mut rivals, now) = (Rivals::default(), Instant::now());
        rivals.look(vec![source(2)], |_| Some(StreamId(1)), now);
        rivals.look(vec![source(2)], |_| None, now + CONFIRM / 2);
        let again = rivals.look(vec![source(2)], |_| Some(StreamId(1)), now + CONFIRM);
        assert_eq!(again, []);
    }

    #[test]
    fn a_source_is_no_rival_of_itself() {
        let (mut rivals, now) = (Rivals::default(), Instant::now());
        for at in [now, now + CONFIRM] {
            assert_eq!(rivals.look(vec![source(1)], |_| Some(StreamId(1)), at), []);
        }
    }
}
