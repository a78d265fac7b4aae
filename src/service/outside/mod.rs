//! Outside servers: one node asks each of them, and every node sends listeners there by what it found.
//!
//! Each server is a seat of its own; the node that holds it asks the server and gossips the answer. A server that
//! does not answer delays its own poller and nobody else.

mod poll;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tracing::{Instrument, info_span};

use super::load::Load;
use super::mesh::Mesh;
use crate::io::tasks::Tasks;
use crate::logic::records::outside::Servers;
use crate::model::node::NodeName;
use crate::model::outside::OutsideServer;
use crate::model::seat::{Claim, Seat};
use crate::wire::gossip;

/// What sending listeners outside needs.
#[derive(Clone, Debug)]
pub struct OutsideConfig {
    /// The servers, who asks which, and to tell what was found.
    pub mesh: Mesh,
    /// The table.
    pub load: Load,
}

/// Asks those outside servers whose seats this node holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outside(Arc<OutsideConfig>);

/// A poller at work.
struct Polling {
    server: OutsideServer,
    tasks: Tasks,
    task: JoinHandle<()>,
}

impl Outside {
    /// Works with the help of these.
    pub fn new(config: OutsideConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Follows the document and the seats, and asks the servers whose seats this node holds. Runs until the node
    /// stops.
    pub async fn run(self) {
        let mut servers = self.0.mesh.documents.watch_outside();
        let mut view = self.0.mesh.cluster.watch();
        let mut polling = BTreeMap::new();
        servers.mark_changed();
        loop {
            if servers.has_changed().unwrap_or(false) {
                self.announce(&servers.borrow_and_update());
            }
            let wanted = self.own_servers(&view.borrow_and_update().clone().seats);
            self.poll_only(&wanted, &mut polling).await;
            tokio::select! {
                () = self.0.mesh.tasks.asked_to_end() => return,
                changed = servers.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    servers.mark_changed(); // it is looked at above
                }
                changed = view.changed() => if changed.is_err() { return },
            }
        }
    }

    fn announce(&self, servers: &Arc<Servers>) {
        let enabled = servers.values().filter(|server| server.enabled);
        let seats = enabled.map(|server| Seat::Outside(server.name.clone()));
        self.0
            .mesh
            .cluster
            .set_seats(seats.collect::<BTreeSet<_>>());
        self.0.load.set_outside(servers);
    }

    /// The servers that this node is to ask.
    fn own_servers(&self, seats: &BTreeMap<Seat, Claim>) -> Servers {
        let (me, servers) = (
            self.0.mesh.cluster.view().me.clone(),
            self.0.mesh.documents.outside(),
        );
        let own = servers.iter().filter(|(name, server)| {
            let holder = seats.get(&Seat::Outside((*name).clone()));
            server.enabled && holder.is_some_and(|claim| claim.node == me)
        });
        own.map(|(name, server)| (name.clone(), server.clone()))
            .collect()
    }

    /// Ends the pollers of all but these servers, as they are described now, and begins those that are missing.
    async fn poll_only(&self, wanted: &Servers, polling: &mut BTreeMap<NodeName, Polling>) {
        let outdated = |(name, it): &(&NodeName, &Polling)| wanted.get(*name) != Some(&it.server);
        let outdated: Vec<NodeName> = polling
            .iter()
            .filter(outdated)
            .map(|(name, _)| name.clone())
            .collect();
        for name in outdated {
            let Some(poller) = polling.remove(&name) else {
                continue;
            };
            poller.tasks.end();
            // It ends at once; only then can it say nothing more. A panic in it has ended it too.
            let _ended = poller.task.await;
            if !wanted.contains_key(&name) {
                self.0.mesh.gossip.delete(&gossip::outside_key(&name)).await;
            }
        }
        for (name, server) in wanted {
            if polling.contains_key(name) {
                continue;
            }
            let tasks = self.0.mesh.tasks.group();
            let asking = poll::run(self.clone(), server.clone(), tasks.clone());
            let asking = asking.instrument(info_span!("outside", server = %name));
            let poller = Polling {
                server: server.clone(),
                task: tasks.spawn(asking),
                tasks,
            };
            polling.insert(name.clone(), poller);
        }
    }
}
