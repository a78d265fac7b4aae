//! Whether a mount's stream is wanted now: of one that is made, or got from elsewhere, on demand only, listeners decide.

use std::future::pending;
use std::time::Duration;

use tokio::time::timeout;

use super::document::Mounts;
use super::mesh::Mesh;
use crate::model::mount::MountName;

/// How long a stream is kept on demand without a listener: a player that reconnects finds it on air, and nothing is begun
/// and ended with each look of a directory.
const UNWANTED_LIMIT: Duration = Duration::from_secs(30);

/// The demand for one mount's stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) mount: &'a MountName,
}

impl Demand<'_> {
    /// Whether the stream is to be there now, as far as that depends on listeners.
    pub(super) fn is_there(self) -> bool {
        let is_on_demand = is_on_demand(&self.mesh.documents.mounts(), self.mount);
        !is_on_demand || self.mesh.cluster.view().is_wanted(self.mount)
    }

    /// Waits until it is wanted, or is not. If the node ends, that is not told.
    pub(super) async fn becomes(self, wanted: bool) {
        let (mut view, mut mounts) = (
            self.mesh.cluster.watch(),
            self.mesh.documents.watch_mounts(),
        );
        loop {
            let on_demand = is_on_demand(&mounts.borrow_and_update(), self.mount);
            if (!on_demand || view.borrow_and_update().is_wanted(self.mount)) == wanted {
                return;
            }
            // Of a stream that is always there only the settings change that.
            let changed = tokio::select! {
                changed = view.changed(), if on_demand => changed,
                changed = mounts.changed() => changed,
            };
            if changed.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Waits until nobody has wanted it for long enough.
    pub(super) async fn ends(self) {
        loop {
            self.becomes(false).await;
            let again = self.becomes(true);
            if timeout(UNWANTED_LIMIT, again).await.is_err() {
                return;
            }
        }
    }
}

/// Whether a mount's stream is there only while somebody listens.
pub(super) fn is_on_demand(mounts: &Mounts, mount: &MountName) -> bool {
    mounts.get(mount).is_some_and(|spec| spec.is_on_demand())
}
