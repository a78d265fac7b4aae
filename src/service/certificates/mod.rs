//! The certificates of the mesh: ordered by one node, kept in the document, and used by all.
//!
//! The authority's questions by HTTP can be answered by any node, because an answer consists of the question and of what the
//! document says of the order ([`challenges`]). Those by DNS are answered by each name server from the document.

mod account;
pub mod challenges;
mod claimed;
pub mod deletion;
pub mod doubts;
mod issuer;
mod keeping;
mod kept;
mod ordering;
pub mod orders;
pub mod sealing;
mod windows;

use std::time::Duration;

use tokio::time::sleep;
use tracing::{Instrument, info_span, warn};

use self::issuer::Issuer;
use self::keeping::Keeping;
use super::jobs::{Declaration, Jobs};
use super::mesh::Mesh;
use crate::io::https::certificates::Certificates;
use crate::io::seal::Seal;
use crate::model::https::ContactAddress;
use crate::model::seat::{Seat, Stance};

/// The wait until a node tries again to turn HTTPS on, when the document cannot be saved.
const FOUND_AGAIN: Duration = Duration::from_secs(10);

/// The parts that certificates need.
#[derive(Clone, Debug)]
pub struct MeshCertificates {
    /// The document, the seats and the members.
    pub mesh: Mesh,
    /// Opens and seals keys.
    pub seal: Seal,
    /// The certificates that this node uses for TLS.
    pub store: Certificates,
    /// The contact with which this node turns HTTPS on, if nobody has set it for the mesh yet.
    pub contact: Option<ContactAddress>,
}

impl MeshCertificates {
    /// Follows the document: uses its certificates here, and has them ordered by one node. Runs until the node stops.
    pub async fn run(self) {
        let tasks = &self.mesh.tasks;
        let keeping = Keeping::new(&self).run();
        tasks.spawn_until_end(keeping.instrument(info_span!("certificates")));
        if let Some(contact) = self.contact.clone() {
            tasks.spawn_until_end(found(self.mesh.clone(), contact));
        }
        let issuer = Issuer::new(self.mesh.clone(), self.seal.clone());
        let jobs = Jobs::start(issuer, &self.mesh);
        let mut issuance = self.mesh.documents.watch_issuance();
        loop {
            let known = issuance.borrow_and_update().clone();
            // Keys that are kept have to be sealed again when the secret changes, also where nothing is ordered.
            let has_keys = known.account.is_some() || !known.certificates.is_empty();
            let is_wanted = known.settings.is_on || has_keys;
            let declaration = Declaration {
                spec: known.settings.clone(),
                stance: Stance::Stand,
            };
            let wanted = is_wanted.then_some((Seat::Certificates, declaration));
            jobs.declare(wanted.into_iter().collect());
            tokio::select! {
                () = tasks.asked_to_end() => return,
                changed = issuance.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Turns HTTPS on, if nobody has set it: every other setting wins over this one, whenever it is heard of.
async fn found(mesh: Mesh, contact: ContactAddress) {
    while mesh.documents.issuance().settings.contact.is_none() {
        match mesh.documents.found_https(&contact).await {
            Ok(()) => return,
            Err(error) => warn!(%error, "HTTPS is not turned on yet"),
        }
        sleep(FOUND_AGAIN).await;
    }
}
