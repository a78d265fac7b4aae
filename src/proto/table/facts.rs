//! The facts about nodes besides their load. They are gathered when they change, not for each listener.

use std::net::Ipv4Addr;
use std::time::Instant;

use super::{ASSUMED_BITRATE_BPS, LoadTable};
use crate::logic::policy::{Facts, NodeFacts};
use crate::model::mount::MountName;
use crate::model::network::Family;
use crate::proto::view::MeshView;

impl LoadTable {
    /// The cost of a listener of a mount, bits per second.
    pub(super) fn cost_bps(&self, mount: &MountName) -> u64 {
        let known = self.costs_bps.get(mount).copied();
        known.filter(|bps| *bps > 0).unwrap_or(ASSUMED_BITRATE_BPS)
    }

    pub(super) fn gather_facts(&mut self, view: &MeshView, now: Instant) {
        let nodes = view.nodes.iter().map(|(name, node)| {
            let facts = NodeFacts {
                traits: self.steering.traits(name),
                place: node.card.place,
                ..NodeFacts::default()
            };
            (name.clone(), facts)
        });
        self.facts = Facts {
            nodes: nodes.collect(),
            ..Facts::default()
        };
        self.gather_streams(view);
        self.gather_addresses(view);
        self.gather_outside_facts(now);
        self.cap_listeners();
    }

    /// The holders of each mount, and the cost of a listener of it.
    fn gather_streams(&mut self, view: &MeshView) {
        self.costs_bps.clear();
        for (name, node) in view.nodes.iter().filter(|(_, node)| node.is_up()) {
            for (mount, card) in &node.streams {
                let holders = self.facts.holders.entry(mount.clone()).or_default();
                holders.insert(name.clone());
                let cost_bps = self.costs_bps.entry(mount.clone()).or_default();
                *cost_bps = card.bitrate_bps.max(*cost_bps);
            }
        }
    }

    /// The nodes and servers that speak HTTPS, and the address families of those whose URL has an IP address.
    fn gather_addresses(&mut self, view: &MeshView) {
        let speaks = |url: &str| url.starts_with("https://");
        let nodes = view.nodes.iter();
        let nodes = nodes.filter(|(name, node)| node.card.https_url.is_some() || **name == self.me);
        let servers = self.servers.values();
        let servers = servers.filter(|server| speaks(&server.public_url));
        self.https = nodes
            .map(|(name, _)| name.clone())
            .chain(servers.map(|server| server.backend()))
            .collect();
        let nodes = view.nodes.iter().map(|(name, node)| {
            let https = node.card.https_url.as_deref().and_then(family_of);
            (name.clone(), [family_of(&node.card.url), https])
        });
        let servers = self.servers.values().map(|server| {
            let family = family_of(&server.public_url);
            (server.backend(), [family, family])
        });
        let literal = nodes.chain(servers);
        self.families = literal.filter(|(_, it)| *it != [None, None]).collect();
    }

    /// Announces no more places than there is bandwidth for listeners of the cheapest mount on air.
    pub(super) fn cap_listeners(&mut self) {
        let costs_bps = self.costs_bps.values().copied();
        let least_bps = costs_bps.filter(|bps| *bps > 0).min();
        let least_bps = least_bps.unwrap_or(ASSUMED_BITRATE_BPS);
        let max_listeners = match self.is_open {
            true => self.capacity.listeners_of(least_bps),
            false => 0,
        };
        if self.report.max_listeners != max_listeners {
            self.report.max_listeners = max_listeners;
            self.report_own();
        }
    }
}

/// The address family of a URL; `None` for a name, which may have both.
fn family_of(url: &str) -> Option<Family> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    if authority.starts_with('[') {
        return Some(Family::V6);
    }
    let host = authority.split(':').next()?;
    host.parse::<Ipv4Addr>().ok().map(|_| Family::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ip_address_in_a_url_has_one_family() {
        for (url, family) in [
            ("http://192.0.2.7", Some(Family::V4)),
            ("http://192.0.2.7:8000/x", Some(Family::V4)),
            ("https://[2001:db8::7]:8000", Some(Family::V6)),
            ("http://radio.example:8000", None),
            ("", None),
        ] {
            assert_eq!(family_of(url), family, "{url}");
        }
    }
}
