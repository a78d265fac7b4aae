//! Rings that other nodes fill.
//!
//! A relay pulls: it asks a node that holds the stream for everything from its own next byte on. Because
//! `(stream id, offset)` names one byte for ever, it may go on with any other holder, and nothing is lost
//! or doubled. The election is never waited for.

pub mod filling;
mod pull;
mod serve;
pub mod serving;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};

pub use self::serve::serve;
use super::cluster::Cluster;
use super::document::Documents;
use super::streams::{Held, Streams};
use crate::io::feed::Feed;
use crate::io::link::Links;
use crate::model::mount::MountName;
use crate::proto::ended::Ended;
use crate::wire::gossip::Origin;

/// How long a listener waits for the first bytes of a stream that has to be fetched.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// No node gives us the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node has this stream for us")]
pub struct NoStream;

#[derive(Debug)]
struct Inner {
    links: Links,
    cluster: Cluster,
    documents: Documents,
    streams: Streams,
    ended: Ended,
    tasks: TaskTracker,
    cancel: CancellationToken,
    pulls: Mutex<Pulls>,
}

/// The pulls under way. One that has lost its place to another may still be ending.
#[derive(Debug, Default)]
struct Pulls {
    by_mount: BTreeMap<MountName, (u64, watch::Receiver<()>)>,
    next_id: u64,
}

/// A cheap, cloneable way to the relays.
#[derive(Clone, Debug)]
pub struct Relays(Arc<Inner>);

impl Relays {
    /// Pulls with the help of these.
    pub fn new(
        (links, cluster): (Links, Cluster),
        (documents, streams, ended): (Documents, Streams, Ended),
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            links,
            cluster,
            documents,
            streams,
            ended,
            tasks,
            cancel,
            pulls: Mutex::default(),
        }))
    }

    /// Whether this node holds the stream of a mount, which gossip may not tell yet.
    pub fn holds(&self, mount: &MountName) -> bool {
        self.0.streams.get(mount).is_some()
    }

    /// The stream of a mount whose source is connected now, as far as this node holds it.
    pub fn on_air(&self, mount: &MountName) -> Option<Held> {
        let held = self.0.streams.get(mount);
        held.filter(|held| held.feed.finished().is_none())
    }

    /// The stream of a mount: held already, or fetched now. While a mount lingers, its next stream is waited for.
    pub async fn fetch(&self, mount: &MountName) -> Result<Held, NoStream> {
        let on_air = |held: &Held| held.feed.finished().is_none();
        let mut streams = self.0.streams.watch();
        // Twice, because the pull that is found under way may be about to end, its stream being over.
        for _ in 0..2 {
            if let Some(held) = self.0.streams.get(mount).filter(on_air) {
                return Ok(held);
            }
            let mut pulling = self.want(mount);
            let begun = async {
                tokio::select! {
                    map = streams.wait_for(|map| map.get(mount).is_some_and(on_air)) => {
                        map.ok().and_then(|map| map.get(mount).cloned())
                    }
                    _ = pulling.changed() => self.0.streams.get(mount).filter(on_air),
                }
            };
            if let Ok(Some(held)) = timeout(FETCH_TIMEOUT, begun).await {
                return Ok(held);
            }
        }
        Err(NoStream)
    }

    /// Begins to pull a mount's stream unless that is under way; the receiver ends with the pull.
    fn want(&self, mount: &MountName) -> watch::Receiver<()> {
        self.pull(mount, None)
    }

    /// Keeps the listeners of a stream whose source was connected here and has gone, until the source is back on
    /// some node, or the mount has lingered long enough.
    pub fn linger(&self, mount: &MountName, finished: Feed) {
        self.0
            .streams
            .set_origin(mount, &finished, Origin::Relay(None));
        drop(self.pull(mount, Some(finished)));
    }

    fn pull(&self, mount: &MountName, finished: Option<Feed>) -> watch::Receiver<()> {
        let mut pulls = self.0.pulls();
        // A stream that has just finished here is nobody's yet: a pull under way is of one before it, and ends.
        if let Some((_, pulling)) = pulls.by_mount.get(mount).filter(|_| finished.is_none()) {
            return pulling.clone();
        }
        let (alive, pulling) = watch::channel(());
        let id = pulls.next_id;
        pulls.next_id += 1;
        pulls.by_mount.insert(mount.clone(), (id, pulling.clone()));
        let (inner, mount) = (self.0.clone(), mount.clone());
        let span = info_span!(parent: None, "relay", %mount); // it outlives the listener who made it begin
        let pull = async move {
            pull::run(&inner, &mount, finished).await;
            let mut pulls = inner.pulls();
            if pulls
                .by_mount
                .get(&mount)
                .is_some_and(|(latest, _)| *latest == id)
            {
                pulls.by_mount.remove(&mount);
            }
            drop(pulls);
            drop(alive);
        };
        self.0.tasks.spawn(pull.instrument(span));
        pulling
    }

    /// The master holds every stream, so that relays find it at the root. Runs until the node stops.
    pub async fn keep_all_while_master(self) {
        let mut view = self.0.cluster.watch();
        loop {
            tokio::select! {
                () = self.0.cancel.cancelled() => return,
                changed = view.changed() => if changed.is_err() { return },
            }
            let view = view.borrow_and_update().clone();
            if !view.is_master() {
                continue;
            }
            let others = view
                .nodes
                .iter()
                .filter(|(name, node)| **name != view.me && node.is_up());
            let sourced = others.flat_map(|(_, node)| node.streams.iter());
            for (mount, _) in sourced.filter(|(_, card)| card.origin == Origin::Source) {
                match self.0.streams.get(mount) {
                    Some(held) => held.touch(),
                    None => drop(self.want(mount)),
                }
            }
        }
    }
}

impl Inner {
    fn pulls(&self) -> MutexGuard<'_, Pulls> {
        // Each change is one call that leaves the map whole.
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
