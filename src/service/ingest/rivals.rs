//! Watches for sources elsewhere that have precedence over one here, and lets that one give way.

use tracing::warn;

use crate::io::clock;
use crate::logic::source::rivals::Rivals;
use crate::proto::source::superseded;
use crate::service::mesh::Mesh;
use crate::service::sources::Sources;

/// Watches until the node stops.
pub(super) async fn run(mesh: &Mesh, sources: &Sources) {
    let mut view = mesh.cluster.watch();
    let mut rivals = Rivals::default();
    loop {
        tokio::select! {
            () = mesh.tasks.asked_to_end() => return,
            changed = view.changed() => if changed.is_err() { return },
        }
        let view = view.borrow_and_update().clone();
        for (mount, stream_id) in superseded(&mut rivals, sources.on_air(), &view, clock::now()) {
            warn!(%mount, %stream_id, "another source of this mount has precedence; this one gives way");
            sources.give_way(&mount, stream_id).await;
        }
    }
}
