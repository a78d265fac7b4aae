//! Streams that are over, before gossip says so.
//!
//! A source's end is told at once over every link, and at the end of the stream itself; the gossip of its node
//! still shows the source for two rounds. To believe that would take up a stream that is over, or keep its mount
//! from the encoder that comes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::stream::StreamId;

/// How long an ended stream is remembered: far longer than gossip can be late.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Ended streams that are remembered at once; far more than sources end in that time.
const MAX_REMEMBERED: usize = 4_096;

/// A cheap, cloneable memory of them.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<Mutex<BTreeMap<StreamId, Instant>>>);

impl Ended {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Instant>> {
        // Each change is one call that leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a stream's end.
    pub fn note(&self, stream_id: StreamId) {
        let mut ended = self.lock();
        ended.retain(|_, at| at.elapsed() < REMEMBERED);
        if ended.len() < MAX_REMEMBERED {
            ended.insert(stream_id, Instant::now());
        }
    }

    /// Whether a stream is known to be over.
    pub fn contains(&self, stream_id: StreamId) -> bool {
        self.lock().contains_key(&stream_id)
    }
}
