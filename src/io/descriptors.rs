//! How many files the process may have open, and what they are for: each connection is one of them.
//!
//! Whoever takes the last one takes it from everybody: no source is accepted then, no probe of a balancer answered, and
//! no document saved. So listeners get what is left after all others.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// The part of all that the node itself needs: its sockets, DNS, questions to others, what it reads and writes.
const OWN_SHARE: f64 = 0.1;
/// What it needs at least: some 30 are open in an idle node with all that can be configured.
const OWN_LEAST: u64 = 48;
/// The part of the connections that is not for listeners: sources, pages, probes, and those who are being told
/// where to go.
const RESERVE_SHARE: f64 = 0.25;
/// As many of these as come at one moment in a rush of thousands.
const RESERVE_MOST: usize = 256;
/// The part of all that conversations of DNS may take of the node's own.
const DNS_SHARE: f64 = 0.05;
/// What the whole world needs of a zone whose answers fit into datagrams.
const DNS_MOST: usize = 256;
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

    /// Those of them that are kept for others than listeners.
    pub fn reserve(self) -> usize {
        let share = (self.connections() as f64 * RESERVE_SHARE).ceil() as usize;
        share.min(RESERVE_MOST)
    }

    /// The connections that DNS may take, out of what is the node's own.
    pub fn of_dns(self) -> usize {
        let share = (self.0 as f64 * DNS_SHARE) as usize;
        share.min(DNS_MOST)
    }

    /// As many listeners of those that the operator allows as there is room for. Says so if that is less.
    pub fn listeners(self, allowed: u32) -> u32 {
        let room = u32::try_from(self.connections() - self.reserve()).unwrap_or(u32::MAX);
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
            assert_eq!(descriptors.listeners(u32::MAX), listeners, "{limit}");
            assert_eq!(descriptors.listeners(7), listeners.min(7), "{limit}");
            let own = limit as usize - connections;
            assert!(descriptors.of_dns() <= own / 2, "{limit}");
        }
    }
}
