//! Watches for sources elsewhere that have precedence over one here, and lets that one give way.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::logic::source::rivals::Rivals;
use crate::model::mount::MountName;
use crate::service::cluster::Cluster;
use crate::service::sources::Sources;

/// Watches until the node stops.
pub(super) async fn run(cluster: &Cluster, sources: &Sources, cancel: CancellationToken) {
    let mut view = cluster.watch();
    let mut rivals = Rivals::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = view.changed() => if changed.is_err() { return },
        }
        let view = view.borrow_and_update().clone();
        let first_elsewhere = |mount: &MountName| {
            let first = view.source(mount).filter(|(node, _)| **node != view.me);
            first.map(|(_, card)| card.stream_id)
        };
        let now = Instant::now().into_std();
        for (mount, stream_id) in rivals.look(sources.on_air(), first_elsewhere, now) {
            warn!(%mount, %stream_id, "another source of this mount has precedence; this one gives way");
            sources.give_way(&mount, stream_id).await;
        }
    }
}
