//! What this node can take, and how much of that it announces.

use super::{ASSUMED_BITRATE_BPS, State};

/// What a node can take.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// The most listeners.
    pub max_listeners: u32,
    /// The most that may be sent to them, bits per second.
    pub max_bandwidth_bps: u64,
}

impl Capacity {
    /// The most listeners that there is bandwidth for, if each of them costs so much at least: to announce more would
    /// promise places that nobody can take.
    pub(super) fn listeners_of(self, least_bps: u64) -> u32 {
        let affordable = self.max_bandwidth_bps / least_bps.max(1);
        let affordable = u32::try_from(affordable).unwrap_or(u32::MAX);
        affordable.min(self.max_listeners)
    }
}

impl State {
    /// Announces no more places than listeners of the cheapest mount on air can have.
    pub(super) fn cap_listeners(&mut self) {
        let costs_bps = self.costs_bps.values().copied();
        let least_bps = costs_bps.filter(|bps| *bps > 0).min();
        let least_bps = least_bps.unwrap_or(ASSUMED_BITRATE_BPS);
        let max_listeners = self.capacity.listeners_of(least_bps);
        if self.report.max_listeners != max_listeners {
            self.report.max_listeners = max_listeners;
            self.report_own();
        }
    }
}
