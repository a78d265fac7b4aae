//! Outside relays: exactly one node of the mesh gets a mount's stream from a server outside it, while no encoder sends to the
//! mount.
//!
//! Each such mount is a job with a seat of its own. What comes is put on air as a source's that has no connection, and yields
//! its place to any encoder: whoever asks whether it is still there gets it.

mod asking;
mod report;
mod run;
mod upstream;

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{Span, info_span};

pub(super) use self::asking::question;
use super::ingest::Ingest;
use super::jobs::{Declaration, JobKind, Jobs};
use super::mesh::Mesh;
use super::relay::Relays;
use super::sources::Sources;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::outside_relay::RelayAddresses;
use crate::model::seat::{Seat, Stance};
use crate::wire::gossip;

/// The parts that outside relays need.
#[derive(Debug)]
pub struct OutsideRelayConfig {
    /// The mounts, the seats and the gossip.
    pub mesh: Mesh,
    /// The sources that are on air here.
    pub sources: Sources,
    /// Takes what comes.
    pub ingest: Ingest,
    /// Has what listeners have heard before.
    pub relays: Relays,
    /// The cluster's fingerprint, by which the mesh recognises its own question.
    pub fingerprint: watch::Receiver<String>,
}

/// The outside relays of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OutsideRelays(Arc<OutsideRelayConfig>);

/// The work of one outside relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideRelayJob {
    mount: MountName,
    addresses: RelayAddresses,
}

impl OutsideRelays {
    /// Outside relays with these parts.
    pub fn new(config: OutsideRelayConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Follows the document, and has the stream of each mount with addresses got by one node. Runs until the node stops.
    pub async fn run(self) {
        let mesh = &self.0.mesh;
        let jobs = Jobs::start(self.clone(), mesh);
        let mut mounts = mesh.documents.watch_mounts();
        loop {
            let specs = mounts.borrow_and_update().clone();
            let declared = specs.values().filter_map(declaration);
            jobs.declare(declared.collect());
            tokio::select! {
                () = mesh.tasks.asked_to_end() => return,
                changed = mounts.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Why an address at this node of the mesh is refused.
pub(super) fn is_own(node: &NodeName) -> String {
    format!(
        "leads to {node}, a node of this mesh: name the server from which the stream comes in the first place"
    )
}

/// The job of a mount, if it has addresses and an encoder might send to it.
fn declaration(spec: &MountSpec) -> Option<(Seat, Declaration<OutsideRelayJob>)> {
    let is_relayed = !spec.relay.is_empty() && spec.transcode.transcode_from.is_none();
    is_relayed.then(|| {
        let job = OutsideRelayJob {
            mount: spec.path.clone(),
            addresses: spec.relay.clone(),
        };
        let declaration = Declaration {
            spec: job,
            stance: Stance::Stand,
        };
        (Seat::OutsideRelay(spec.path.clone()), declaration)
    })
}

impl JobKind for OutsideRelays {
    type Spec = OutsideRelayJob;

    fn name(&self) -> &'static str {
        "outside relay"
    }

    fn span(&self, job: &OutsideRelayJob) -> Span {
        info_span!("outside relay", mount = %job.mount)
    }

    async fn work(&self, job: OutsideRelayJob) {
        run::run(&self.0, &job).await;
    }

    async fn withdraw(&self, job: OutsideRelayJob) {
        let key = gossip::outside_relay_key(&job.mount);
        self.0.mesh.gossip.delete(&key).await;
    }
}
