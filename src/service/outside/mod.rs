//! Outside servers: one node asks each of them, and every node sends listeners there by what it found.
//!
//! To ask a server is a job with a seat of its own; the node that holds the seat asks the server and gossips the
//! answer. A server that does not answer delays its own poller and no other.

mod poll;

use std::collections::BTreeMap;

use tracing::{Span, info_span};

use super::jobs::{Declaration, JobKind, Jobs};
use super::load::Load;
use super::mesh::Mesh;
use crate::logic::records::outside::Servers;
use crate::model::outside::OutsideServer;
use crate::model::seat::{Seat, Stance};
use crate::wire::gossip;

/// Knows the outside servers, and asks those whose seats this node holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outside {
    mesh: Mesh,
    load: Load,
}

impl Outside {
    /// Takes the servers from the document, and puts them into this table.
    pub fn new(mesh: Mesh, load: Load) -> Self {
        Self { mesh, load }
    }

    /// Follows the document, and has each enabled server asked by one node. Runs until the node stops.
    pub async fn run(self) {
        let pollers = Jobs::start(self.clone(), &self.mesh);
        let mut servers = self.mesh.documents.watch_outside();
        loop {
            let known = servers.borrow_and_update().clone();
            pollers.declare(jobs(&known));
            self.load.set_outside(&known);
            tokio::select! {
                () = self.mesh.tasks.asked_to_end() => return,
                changed = servers.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Any node can ask any server.
fn jobs(servers: &Servers) -> BTreeMap<Seat, Declaration<OutsideServer>> {
    let enabled = servers.values().filter(|server| server.enabled);
    let job = |server: &OutsideServer| {
        let (seat, spec) = (Seat::Outside(server.name.clone()), server.clone());
        let stance = Stance::Stand;
        (seat, Declaration { spec, stance })
    };
    enabled.map(job).collect()
}

impl JobKind for Outside {
    type Spec = OutsideServer;

    fn name(&self) -> &'static str {
        "outside"
    }

    fn span(&self, server: &OutsideServer) -> Span {
        info_span!("outside", server = %server.name)
    }

    async fn work(&self, server: OutsideServer) {
        poll::run(self, &server).await;
    }

    async fn withdraw(&self, server: OutsideServer) {
        let key = gossip::outside_key(&server.name);
        self.mesh.gossip.delete(&key).await;
    }
}
