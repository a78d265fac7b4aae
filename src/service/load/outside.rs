//! The outside servers' part of the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Load, State};
use crate::logic::forecast::{Arrived, Life, OutsideOutlook};
use crate::logic::policy::NodeFacts;
use crate::logic::records::outside;
use crate::logic::records::outside::Servers;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::BACKEND_PREFIX;
use crate::model::seat::Seat;

impl Load {
    /// Whether an outside server is to carry a mount, reachable or not.
    pub fn is_outside(&self, mount: &MountName) -> bool {
        let servers = self.0.lock().servers.clone();
        let mut enabled = servers.values().filter(|server| server.enabled);
        enabled.any(|server| server.mounts.contains_key(mount))
    }

    /// The address of a mount at an outside server, if this is the row of one.
    pub fn outside_location(
        &self,
        backend: &NodeName,
        mount: &MountName,
        query: Option<&str>,
    ) -> Option<String> {
        let name = backend.as_str().strip_prefix(BACKEND_PREFIX)?;
        let servers = self.0.lock().servers.clone();
        let server = servers.get(&NodeName::try_from(name).ok()?)?;
        outside::location(server, mount, query)
    }

    /// From now on these are the outside servers.
    pub fn set_outside(&self, servers: &Arc<Servers>) {
        let now = Instant::now().into_std();
        let mut state = self.0.lock();
        state.forecast.set_outside(servers.values(), now);
        state.servers.clone_from(servers);
        state.hear_outside(now);
        state.gather_facts();
    }

    /// Whom this node knows to have been sent to a row of the table, and to be there by now.
    pub fn sent_outside(&self, backend: &NodeName) -> Vec<Arrived> {
        let now = Instant::now().into_std();
        self.0.lock().forecast.sent_outside(backend, now)
    }

    /// What is foreseen for each outside server, by the name of its row.
    pub fn outside(&self) -> BTreeMap<NodeName, OutsideOutlook> {
        let now = Instant::now().into_std();
        self.0.lock().forecast.outside(now)
    }
}

impl State {
    /// Hears what pollers say: of several the holder of the seat, else the one with the latest question.
    pub(super) fn hear_outside(&mut self, now: std::time::Instant) {
        let view = self.view.clone();
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
                self.forecast
                    .hear_outside(&backend, (&life, &node.outside[server]), now);
            }
        }
    }

    /// Adds what is said of outside servers to what is said of nodes.
    pub(super) fn gather_outside_facts(&mut self) {
        let mut outlooks = self.forecast.outside(Instant::now().into_std());
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
