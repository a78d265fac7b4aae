//! Streams that are over while gossip still shows them.
//!
//! A source's end is reported at once over every link, and at the end of the stream itself; the gossip of its node
//! still shows the source for two rounds. A node that trusted it would relay a stream that is over, or refuse the
//! encoder that reconnects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::model::stream::StreamId;

/// How long an ended stream is remembered: far longer than gossip can be late.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The most ended streams that are remembered; far more than sources end in that time.
const MAX_REMEMBERED: usize = 4_096;

/// A cheap, cloneable memory of ended streams.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<Mutex<BTreeMap<StreamId, Instant>>>);

impl Ended {
    /// Notes a stream's end.
    pub fn note(&self, stream_id: StreamId, now: Instant) {
        let mut ended = self.0.lock();
        ended.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED);
        if ended.len() < MAX_REMEMBERED {
            ended.insert(stream_id, now);
        }
    }

    /// Whether a stream is known to be over.
    pub fn contains(&self, stream_id: StreamId) -> bool {
        self.0.lock().contains_key(&stream_id)
    }

    /// How many ended streams are remembered.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_remembered_for_at_most_a_minute() {
        let (ended, now) = (Ended::default(), Instant::now());
        ended.note(StreamId(1), now);
        assert!(ended.contains(StreamId(1)) && !ended.contains(StreamId(2)));
        ended.note(StreamId(2), now + REMEMBERED / 2);
        assert_eq!(ended.count(), 2);
        ended.note(StreamId(3), now + REMEMBERED);
        assert!(!ended.contains(StreamId(1)) && ended.contains(StreamId(2)));
    }

    #[test]
    fn a_flood_of_ends_takes_bounded_memory() {
        let (ended, now) = (Ended::default(), Instant::now());
        for stream in 0..2 * MAX_REMEMBERED as u128 {
            ended.note(StreamId(stream), now);
        }
        assert_eq!(ended.count(), MAX_REMEMBERED);
    }
}
