//! The sources that are connected to this node, and how they are told to give way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::model::mount::MountName;
use crate::model::stream::StreamId;

/// How long a source may take to give way: its task only has to notice.
const GIVE_WAY: Duration = Duration::from_secs(1);

/// How long a source's task may take to find out whether the source is still there: see `SourceBody::is_there`.
const PRESENCE: Duration = Duration::from_secs(1);
/// How many may wait for that at once. It is the same answer for all of them: who comes too late is told that it is.
const DOUBTS: usize = 8;

/// Somebody wants to know whether a source is still there. It is, when this is answered; when it is dropped it is not.
pub(super) type PresenceCheck = oneshot::Sender<()>;

/// One source on air.
#[derive(Debug)]
struct OnAir {
    stream_id: StreamId,
    doubts: mpsc::Sender<PresenceCheck>,
    give_way: CancellationToken,
    over: watch::Receiver<()>,
}

#[derive(Debug, Default)]
struct SourceTable {
    on_air: BTreeMap<MountName, OnAir>,
    standby: BTreeMap<MountName, usize>,
}

/// A cheap, cloneable way to the sources here.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Mutex<SourceTable>>);

/// Keeps a source in the table for as long as it is on air.
#[derive(Debug)]
pub(super) struct Entry {
    sources: Sources,
    mount: MountName,
    stream_id: StreamId,
    pub(super) give_way: CancellationToken,
    /// Who wants to know whether the source is still there.
    pub(super) doubts: mpsc::Receiver<PresenceCheck>,
    _alive: watch::Sender<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.sources.0.lock();
        let same = table
            .on_air
            .get(&self.mount)
            .is_some_and(|it| it.stream_id == self.stream_id);
        if same {
            table.on_air.remove(&self.mount);
        }
    }
}

/// Counts a source that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    sources: Sources,
    mount: MountName,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut table = self.sources.0.lock();
        if let Some(waiting) = table.standby.get_mut(&self.mount) {
            *waiting -= 1;
            if *waiting == 0 {
                table.standby.remove(&self.mount);
            }
        }
    }
}

impl Sources {
    pub(super) fn enter(&self, mount: &MountName, stream_id: StreamId) -> Entry {
        let give_way = CancellationToken::new();
        let (alive, over) = watch::channel(());
        let (asked, doubts) = mpsc::channel(DOUBTS);
        let on_air = OnAir {
            stream_id,
            doubts: asked,
            give_way: give_way.clone(),
            over,
        };
        self.0.lock().on_air.insert(mount.clone(), on_air);
        Entry {
            sources: self.clone(),
            mount: mount.clone(),
            stream_id,
            give_way,
            doubts,
            _alive: alive,
        }
    }

    pub(super) fn wait(&self, mount: &MountName) -> Waiting {
        *self.0.lock().standby.entry(mount.clone()).or_default() += 1;
        Waiting {
            sources: self.clone(),
            mount: mount.clone(),
        }
    }

    /// The mounts that a source here is on air on.
    pub fn on_air(&self) -> Vec<(MountName, StreamId)> {
        let table = self.0.lock();
        table
            .on_air
            .iter()
            .map(|(mount, it)| (mount.clone(), it.stream_id))
            .collect()
    }

    /// The mounts that a source here waits for.
    pub fn standby(&self) -> Vec<MountName> {
        self.0.lock().standby.keys().cloned().collect()
    }

    /// Whether the source of a stream is connected here, and has not hung up unnoticed.
    pub async fn is_there(&self, mount: &MountName, stream_id: StreamId) -> bool {
        let (doubt, answer) = oneshot::channel();
        let asked = {
            let table = self.0.lock();
            let on_air = table.on_air.get(mount);
            let on_air = on_air.filter(|it| it.stream_id == stream_id);
            on_air.map(|it| it.doubts.try_send(doubt))
        };
        match asked {
            Some(Ok(())) => timeout(PRESENCE, answer).await.is_ok_and(|it| it.is_ok()),
            Some(Err(mpsc::error::TrySendError::Full(_))) => true,
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => false,
        }
    }

    /// Tells the source of a mount to give it up, if there is one here, and waits until it has.
    pub(super) async fn clear(&self, mount: &MountName) {
        let there = self.0.lock().on_air.get(mount).map(|it| it.stream_id);
        if let Some(stream_id) = there {
            self.give_way(mount, stream_id).await;
        }
    }

    /// Tells a source to give its mount up, and waits until it has. Another stream of the mount is left alone.
    pub async fn give_way(&self, mount: &MountName, stream_id: StreamId) {
        let mut over = {
            let table = self.0.lock();
            let Some(it) = table
                .on_air
                .get(mount)
                .filter(|it| it.stream_id == stream_id)
            else {
                return;
            };
            it.give_way.cancel();
            it.over.clone()
        };
        // The sender says nothing, it only goes away.
        if timeout(GIVE_WAY, over.changed()).await.is_err() {
            warn!(%mount, "a source does not give way");
        }
    }
}
