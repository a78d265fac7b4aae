//! A node's knowledge of another one: what that one says, and when it was heard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{PHI_THRESHOLD, Said};

/// How many intervals between heartbeats are remembered.
const SAMPLING_WINDOW: usize = 100;
/// Gaps of more gossip intervals are no sample; chitchat's `max_interval`, whose default is 10 s.
///
/// After a gap that is a sample the window holds little else: a node that was away for 4 s and then
/// dies is missed only 7 s later. Four is beyond what a tenth of loss does to a node that is there.
const MAX_INTERVALS: u32 = 4;
/// The weight of the prior, which is one gossip interval; chitchat's `prior_weight`.
const PRIOR_WEIGHT: f64 = 5.0;

/// One life of a node, as another one knows it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) generation: u32,
    pub(super) heartbeat: u64,
    /// The greatest version that was learnt.
    pub(super) version: u64,
    /// A handful, the last learnt at the end: a map for each of a thousand nodes in each of them would be large.
    values: Vec<(u64, Said)>,
    window: Window,
    pub(super) is_live: bool,
}

/// The last intervals between heartbeats, milliseconds: a thousand nodes have a million of these windows.
#[derive(Debug, Default)]
struct Window {
    intervals_ms: VecDeque<u16>,
    sum_ms: u32,
    last_at: Option<Duration>,
}

impl Window {
    fn beat(&mut self, now: Duration, interval: Duration) {
        let Some(last_at) = self.last_at.replace(now) else {
            return;
        };
        let gap = now - last_at;
        if gap > interval * MAX_INTERVALS {
            return;
        }
        if self.intervals_ms.len() == SAMPLING_WINDOW {
            self.sum_ms -= self.intervals_ms.pop_front().map_or(0, u32::from);
        }
        let gap_ms = (gap.as_secs_f64() * 1_000.0).round() as u16;
        self.intervals_ms.push_back(gap_ms);
        self.sum_ms += u32::from(gap_ms);
    }

    fn forget(&mut self) {
        self.intervals_ms.clear();
        self.sum_ms = 0;
    }

    fn phi(&self, now: Duration, prior: Duration) -> Option<f64> {
        let last_at = self.last_at.filter(|_| !self.intervals_ms.is_empty())?;
        let sum_s = f64::from(self.sum_ms) / 1_000.0;
        let weight = self.intervals_ms.len() as f64 + PRIOR_WEIGHT;
        let mean_s = (sum_s + PRIOR_WEIGHT * prior.as_secs_f64()) / weight;
        Some((now - last_at).as_secs_f64() / mean_s)
    }
}

impl Known {
    pub(super) fn new(generation: u32) -> Self {
        Self {
            generation,
            heartbeat: 0,
            version: 0,
            values: Vec::new(),
            window: Window::default(),
            is_live: false,
        }
    }

    pub(super) fn said(&self, key: &str) -> Option<&str> {
        let mut values = self.values.iter();
        let (_, (_, value)) = values.find(|(_, (known, _))| **known == *key)?;
        value.as_deref()
    }

    pub(super) fn set(&mut self, key: &str, value: Option<&str>) {
        if self.said(key) != value {
            self.put(self.version + 1, (Arc::from(key), value.map(Arc::from)));
        }
    }

    /// Learns what was said under a version; says whether that is news.
    pub(super) fn learn(&mut self, version: u64, said: &Said) -> bool {
        let is_news = version > self.version;
        if is_news {
            self.put(version, said.clone());
        }
        is_news
    }

    fn put(&mut self, version: u64, said: Said) {
        self.version = version;
        self.values.retain(|(_, (key, _))| *key != said.0);
        self.values.push((version, said));
    }

    /// How many keys were ever said, those included that were taken back.
    pub(super) fn keys(&self) -> usize {
        self.values.len()
    }

    /// All that was said after a version, in the order of versions.
    pub(super) fn after(&self, version: u64) -> Vec<(u64, Said)> {
        let newer = self.values.iter().filter(|(at, _)| *at > version);
        newer.cloned().collect()
    }

    pub(super) fn beat(&mut self, heartbeat: u64, now: Duration, interval: Duration) {
        if heartbeat > self.heartbeat {
            self.heartbeat = heartbeat;
            self.window.beat(now, interval);
        }
    }

    pub(super) fn heard_at(&self) -> Option<Duration> {
        self.window.last_at
    }

    pub(super) fn judge(&mut self, now: Duration, interval: Duration) {
        let phi = self.window.phi(now, interval);
        self.is_live = phi.is_some_and(|phi| phi <= PHI_THRESHOLD);
        if !self.is_live {
            self.window.forget();
        }
    }
}
