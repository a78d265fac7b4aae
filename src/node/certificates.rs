//! Starts what gets certificates for the mesh, and lets this node use them.

use super::services::Core;
use crate::service::certificates::MeshCertificates;
use crate::service::mesh::Mesh;

impl Core<'_> {
    /// Starts the service of certificates.
    pub(super) fn start_certificates(&self, mesh: &Mesh) {
        let certificates = MeshCertificates {
            mesh: mesh.clone(),
            seal: self.seal.clone(),
            store: self.https.certificates().clone(),
            contact: self.settings.https.clone(),
        };
        self.tasks.spawn(certificates.run());
    }
}
