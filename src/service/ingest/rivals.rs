//! Two sources of one mount, accepted on the two sides of a partition, meet when it heals: one gives way.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::sources::Sources;
use crate::model::mount::MountName;
use crate::model::stream::StreamId;
use crate::service::cluster::Cluster;
use crate::service::cluster::view::MeshView;

/// How long a rival must be seen before one gives way to it: a source that has just left is still gossiped for
/// two rounds.
pub(super) const CONFIRM: Duration = Duration::from_millis(750);

/// Watches for rivals until the node stops.
pub(super) async fn run(cluster: &Cluster, sources: &Sources, cancel: CancellationToken) {
    let mut view = cluster.watch();
    let mut beaten_since: BTreeMap<(MountName, StreamId), Instant> = BTreeMap::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = view.changed() => if changed.is_err() { return },
        }
        let beaten = beaten(&view.borrow_and_update(), sources);
        beaten_since.retain(|source, _| beaten.contains(source));
        for source in beaten {
            let since = *beaten_since
                .entry(source.clone())
                .or_insert_with(Instant::now);
            if since.elapsed() >= CONFIRM {
                let (mount, stream_id) = source;
                warn!(%mount, %stream_id, "another source of this mount has precedence; this one gives way");
                sources.give_way(&mount, stream_id).await;
            }
        }
    }
}

/// The sources here that are on air although one elsewhere has precedence.
fn beaten(view: &MeshView, sources: &Sources) -> Vec<(MountName, StreamId)> {
    let mut on_air = sources.on_air();
    on_air.retain(|(mount, stream_id)| {
        let first = view.source(mount);
        first.is_some_and(|(node, card)| *node != view.me && card.stream_id != *stream_id)
    });
    on_air
}
