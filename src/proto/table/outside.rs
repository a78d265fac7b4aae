//! The rows of outside servers in the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::LoadTable;
use crate::logic::forecast::{Arrived, Life, OutsideOutlook};
use crate::logic::policy::NodeFacts;
use crate::logic::records::outside;
use crate::logic::records::outside::Servers;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::BACKEND_PREFIX;
use crate::model::seat::Seat;
use crate::proto::view::MeshView;

impl LoadTable {
    /// The outside servers.
    pub fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }

    /// Whether an outside server is configured to carry a mount, reachable or not.
    pub fn is_outside(&self, mount: &MountName) -> bool {
        let mut enabled = self.servers.values().filter(|server| server.enabled);
        enabled.any(|server| server.mounts.contains_key(mount))
    }

    /// Replaces the outside servers.
    pub fn set_outside(&mut self, servers: &Arc<Servers>, view: &MeshView, now: Instant) {
        self.forecast.set_outside(servers.values(), now);
        self.servers.clone_from(servers);
        self.hear_outside(view, now);
        self.gather_facts(view, now);
    }

    /// The listeners that were sent to a row of the table, as far as this node knows, and have arrived by now.
    pub fn sent_outside(&mut self, backend: &NodeName, now: Instant) -> Vec<Arrived> {
        self.forecast.sent_outside(backend, now)
    }

    /// The predicted load of each outside server, by the name of its row.
    pub fn outside(&mut self, now: Instant) -> BTreeMap<NodeName, OutsideOutlook> {
        self.forecast.outside(now)
    }

    /// Applies the pollers' reports. Of several pollers the seat's holder counts, else the one with the latest poll.
    pub(super) fn hear_outside(&mut self, view: &MeshView, now: Instant) {
        let mut said: BTreeMap<&NodeName, (bool, u64, &NodeName)> = BTreeMap::new();
        for (poller, node) in view.nodes.iter().filter(|(_, node)| node.is_up()) {
            for (server, bulletin) in &node.outside {
                let holder = view.seats.get(&Seat::Outside(server.clone()));
                let is_holder = holder.is_some_and(|claim| claim.node == *poller);
                let word = (is_holder, bulletin.report.number, poller);
                let best = said.entry(server).or_insert(word);
                *best = word.max(*best);
            }
        }
        for (server, (_, _, poller)) in said {
            let node = &view.nodes[poller];
            let life = Life {
                node: poller.clone(),
                generation: node.generation,
            };
            if let Ok(backend) = NodeName::try_from(format!("{BACKEND_PREFIX}{server}")) {
                let bulletin = &node.outside[server];
                self.forecast.hear_outside(&backend, &life, bulletin, now);
            }
        }
    }

    /// Adds the facts about outside servers.
    pub(super) fn gather_outside_facts(&mut self, now: Instant) {
        let mut outlooks = self.forecast.outside(now);
        for server in self.servers.values() {
            let backend = server.backend();
            let outlook = outlooks.remove(&backend);
            let mounts = outlook.map(|outlook| outlook.bulletin.report.mounts);
            let mounts = mounts.unwrap_or_default();
            for mount in mounts.keys() {
                let holders = self.facts.holders.entry(mount.clone()).or_default();
                holders.insert(backend.clone());
            }
            let facts = NodeFacts {
                traits: outside::traits(server),
                place: outside::whereabouts(server),
                mounts: Some(mounts),
            };
            self.facts.nodes.insert(backend, facts);
        }
    }
}

/// The address of a mount at an outside server, if the row is one's.
pub fn outside_location(
    servers: &Servers,
    backend: &NodeName,
    mount: &MountName,
    query: Option<&str>,
) -> Option<String> {
    let name = backend.as_str().strip_prefix(BACKEND_PREFIX)?;
    let server = servers.get(&NodeName::try_from(name).ok()?)?;
    outside::location(server, mount, query)
}
