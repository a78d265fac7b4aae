//! How many files the process may have open, and what they are for: each connection is one of them.
//!
//! When the last one is in use, no source is accepted, no probe of a balancer answered, and no document saved. So
//! listeners get only what all others leave.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// The share that the node itself needs: its sockets, DNS, its own requests, its files.
const OWN_SHARE: f64 = 0.1;
/// The least that the node needs: some 30 are open in an idle node with everything configured.
const OWN_LEAST: u64 = 48;
/// The share of the connections that is not for listeners: sources, pages, probes, and clients that are being
/// redirected.
const RESERVE_SHARE: f64 = 0.25;
/// The most of these: as many as come at one moment in a rush of thousands.
const RESERVE_MOST: usize = 256;
/// The share of the node's own descriptors that DNS conversations may take, of all.
const DNS_SHARE: f64 = 0.05;
/// The most for DNS: enough for the whole world when the answers fit into datagrams.
const DNS_MOST: usize = 256;
/// The fewest connections with which a node is of any use: a source, a page, a health check and some listeners.
const LEAST_CONNECTIONS: usize = 8;
/// Assumed where the system does not say.
const ASSUMED: u64 = 1_024;

/// The limit of open files that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors(u64);

impl Descriptors {
    /// Raises the soft limit to the hard one.
    pub fn raise() -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        let soft = limit.current;
        limit.current = limit.maximum;
        Self(match setrlimit(Resource::Nofile, limit) {
            Ok(()) => limit.maximum.or(soft).unwrap_or(ASSUMED),
            Err(error) => {
                warn!(%error, "cannot raise the limit of open files");
                soft.unwrap_or(ASSUMED)
            }
        })
    }

    /// The connections that the door may let in.
    pub fn connections(self) -> usize {
        let own = ((self.0 as f64 * OWN_SHARE) as u64).max(OWN_LEAST);
        usize::try_from(self.0.saturating_sub(own)).unwrap_or(usize::MAX)
    }

    /// Whether a node can work with so few at all; if not, what to do.
    pub fn check(self) -> Result<(), String> {
        if self.connections() >= LEAST_CONNECTIONS {
            return Ok(());
        }
        let least = OWN_LEAST + LEAST_CONNECTIONS as u64;
        Err(format!(
            "this process may open {} files, and a node needs {least}: raise LimitNOFILE of the service, or `ulimit -n`",
            self.0
        ))
    }

    /// The connections that are kept for others than listeners.
    pub fn reserve(self) -> usize {
        let share = (self.connections() as f64 * RESERVE_SHARE).ceil() as usize;
        share.min(RESERVE_MOST)
    }

    /// The connections that DNS may take, out of what is the node's own.
    pub fn of_dns(self) -> usize {
        let share = (self.0 as f64 * DNS_SHARE) as usize;
        share.min(DNS_MOST)
    }

    /// The listeners that there is room for, each with so many connections, of those that the operator allows. Warns if
    /// that is less.
    pub fn listeners(self, allowed: u32, connections_each: usize) -> u32 {
        let room = (self.connections() - self.reserve()) / connections_each;
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        if room < allowed {
            warn!(
                max_listeners = allowed,
                offered = room,
                open_files = self.0,
                "the limit of open files is too low for max_listeners: raise LimitNOFILE of the service, or `ulimit -n`"
            );
        }
        room.min(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_get_what_others_leave() {
        for (limit, connections, listeners) in [
            (0, 0, 0),
            (48, 0, 0),
            (64, 16, 12),
            (256, 208, 156),
            (1_024, 922, 691),
            (65_536, 58_983, 58_727),
        ] {
            let descriptors = Descriptors(limit);
            assert_eq!(descriptors.connections(), connections, "{limit}");
            assert_eq!(descriptors.listeners(u32::MAX, 1), listeners, "{limit}");
            assert_eq!(descriptors.listeners(7, 1), listeners.min(7), "{limit}");
            assert_eq!(descriptors.listeners(u32::MAX, 2), listeners / 2, "{limit}");
            assert_eq!(descriptors.check().is_ok(), connections >= 16, "{limit}");
            let own = limit as usize - connections;
            assert!(descriptors.of_dns() <= own / 2, "{limit}");
        }
    }
}
