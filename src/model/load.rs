//! The load that a node reports.

use serde::{Deserialize, Serialize};

/// A node's own report, published each second and on every jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Listeners connected.
    pub listeners: u32,
    /// The most listeners that the node takes.
    pub max_listeners: u32,
    /// The bandwidth to the node's listeners, bits per second: the sum of their mounts' bitrates.
    pub egress_bps: u64,
    /// The most that the node may send, bits per second.
    pub max_bandwidth_bps: u64,
    /// The share of its processors in use, per mille; `None` if unknown.
    #[serde(default)]
    pub cpu_permille: Option<u16>,
}

impl LoadReport {
    /// The share of the node's capacity in use: the greater of the two dimensions. 1 is full.
    pub fn utilization(&self) -> f64 {
        let share = |used: f64, capacity: f64| {
            if capacity > 0.0 { used / capacity } else { 1.0 }
        };
        let listeners = share(f64::from(self.listeners), f64::from(self.max_listeners));
        let egress = share(self.egress_bps as f64, self.max_bandwidth_bps as f64);
        listeners.max(egress)
    }
}
