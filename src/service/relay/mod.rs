//! Rings that other nodes fill.
//!
//! A relay pulls: it asks a node that holds the stream for everything from its own next byte on. Because
//! `(stream id, offset)` names one byte for ever, it may continue from any other holder, and nothing is lost
//! or doubled. The election is never waited for.

pub mod filling;
mod pull;
mod serve;
pub mod serving;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{Instrument, info_span};

pub use self::serve::serve;
use super::mesh::Mesh;
use super::streams::{Held, Streams};
use crate::io::clock;
use crate::io::feed::Feed;
use crate::model::mount::MountName;
use crate::proto::ended::Ended;
use crate::proto::listener::prospect::{Outlook, Prospect, prospect};
use crate::wire::gossip::Origin;

/// How long a listener waits for the first bytes of a stream that has to be fetched.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a listener waits at least for the next stream of a mount whose source has gone: while a source moves to
/// another node, gossip shows none for two rounds.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// How long the stream that was heard last is fetched: listeners wait meanwhile, with five seconds in hand.
const LAST_LIMIT: Duration = Duration::from_secs(1);
/// After how long without a byte all of it is here.
const REST_PAUSE: Duration = Duration::from_millis(100);

/// No other node sends the stream to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node sends this stream: check that its source is connected")]
pub struct NoStream;

#[derive(Debug)]
struct RelaysInner {
    mesh: Mesh,
    streams: Streams,
    ended: Ended,
    pulls: Mutex<Pulls>,
}

/// The pulls under way, one for each mount. A pull that was replaced by another may still be ending.
#[derive(Debug, Default)]
struct Pulls {
    by_mount: BTreeMap<MountName, PullHandle>,
    next_id: u64,
}

/// A pull under way.
#[derive(Debug)]
struct PullHandle {
    id: u64,
    /// Closed when the pull has ended.
    ended: watch::Receiver<()>,
}

/// A cheap, cloneable handle to the relays.
#[derive(Clone, Debug)]
pub struct Relays(Arc<RelaysInner>);

impl Relays {
    /// Relays that fill `streams`. Streams that are over are noted in `ended`.
    pub fn new(mesh: Mesh, streams: Streams, ended: Ended) -> Self {
        Self(Arc::new(RelaysInner {
            mesh,
            streams,
            ended,
            pulls: Mutex::default(),
        }))
    }

    /// The listeners of a mount on this node, if it has something for them; gossip tells of both later.
    pub fn listeners_here(&self, mount: &MountName) -> Option<u32> {
        Some(self.0.streams.heard(mount)?.listeners())
    }

    /// The stream of a mount, if this node holds it and a listener that comes now hears something of it.
    pub fn playing(&self, mount: &MountName) -> Option<Held> {
        self.0.streams.get(mount).filter(can_be_joined)
    }

    /// The offer of a mount for a listener that comes now.
    pub fn prospect(&self, mount: &MountName) -> Prospect {
        let held = self.0.streams.get(mount);
        let view = self.0.mesh.cluster.view();
        let mut elsewhere = view.holders(mount).filter(|(name, _)| **name != view.me);
        let outlook = Outlook {
            ring: held.map(|held| held.feed.look()),
            has_source: view.source(mount).is_some_and(|(name, _)| *name != view.me),
            is_held_elsewhere: elsewhere.next().is_some(),
        };
        prospect(outlook, clock::now())
    }

    /// The stream of a mount: held already, or fetched now. While a mount lingers, its next stream is waited for.
    pub async fn fetch(&self, mount: &MountName) -> Result<Held, NoStream> {
        // Twice, because a pull that is under way already may be about to end with its stream.
        for _ in 0..2 {
            if self.prospect(mount) == Prospect::Linger {
                self.outlast(mount).await?;
            }
            if let Some(held) = self.playing(mount) {
                return Ok(held);
            }
            if let Ok(Some(held)) = timeout(FETCH_TIMEOUT, self.pulled(mount)).await {
                return Ok(held);
            }
        }
        Err(NoStream)
    }

    /// The stream that listeners of a mount have heard last, with all of it that any node has. It is fetched if it is not here.
    pub async fn heard_last(&self, mount: &MountName) -> Option<Feed> {
        let streams = &self.0.streams;
        if streams.get(mount).is_none() {
            self.0.mesh.cluster.view().holders(mount).next()?;
            self.begin(mount);
            let held = timeout(LAST_LIMIT, self.wait_until_held(mount)).await;
            held.ok()?;
        }
        let feed = streams.get(mount)?.feed;
        // Its source is gone: what other nodes have more of it comes at once.
        let rest = async {
            let mut news = feed.subscribe();
            while feed.finished().is_none() && timeout(REST_PAUSE, news.changed()).await.is_ok() {}
        };
        let _too_much = timeout(LAST_LIMIT, rest).await;
        Some(feed)
    }

    /// Waits until this node holds the stream of a mount.
    pub async fn wait_until_held(&self, mount: &MountName) {
        let mut streams = self.0.streams.watch();
        // An error means that this node ends.
        let _ended = streams.wait_for(|map| map.get(mount).is_some()).await;
    }

    /// Waits until there is something to hear of a mount that lingers, or it has lingered long enough.
    async fn outlast(&self, mount: &MountName) -> Result<(), NoStream> {
        let spec = self.0.mesh.documents.mount(mount).ok_or(NoStream)?;
        let linger = Duration::from_secs(spec.linger_s.into()).max(LEAST_WAIT);
        let mut streams = self.0.streams.watch();
        let mut view = self.0.mesh.cluster.watch();
        // Another node may have audio that is still to be heard.
        drop(self.pull(mount, None));
        let next = async {
            loop {
                match self.prospect(mount) {
                    Prospect::Linger => {}
                    Prospect::Join | Prospect::Fetch => return Ok(()),
                    Prospect::Nothing => return Err(NoStream),
                }
                let news = tokio::select! {
                    news = streams.changed() => news,
                    news = view.changed() => news,
                };
                news.map_err(|_| NoStream)?;
            }
        };
        timeout(linger, next).await.unwrap_or(Err(NoStream))
    }

    /// The stream that a pull brings; `None` if it ends without one.
    async fn pulled(&self, mount: &MountName) -> Option<Held> {
        let mut streams = self.0.streams.watch();
        let mut pull_ended = self.pull(mount, None);
        tokio::select! {
            map = streams.wait_for(|map| map.get(mount).is_some_and(can_be_joined)) => {
                map.ok().and_then(|map| map.get(mount).cloned())
            }
            _ = pull_ended.changed() => self.playing(mount),
        }
    }

    /// Keeps the listeners of a stream whose source was connected here and has gone, until the source is back at
    /// any node, or the mount has lingered long enough.
    pub fn linger(&self, mount: &MountName, finished: Feed) {
        self.0
            .streams
            .set_origin(mount, &finished, Origin::Relay(None));
        drop(self.pull(mount, Some(finished)));
    }

    /// Begins to fetch a mount's stream unless that is under way.
    pub fn begin(&self, mount: &MountName) {
        drop(self.pull(mount, None));
    }

    /// Begins to pull a mount's stream unless that is under way, beginning with what has `finished` here if it has.
    /// The receiver is closed when the pull has ended.
    fn pull(&self, mount: &MountName, finished: Option<Feed>) -> watch::Receiver<()> {
        let mut pulls = self.0.pulls.lock();
        // A pull that is under way when a stream has just finished here is of an earlier stream, and ends.
        if let Some(pull) = pulls.by_mount.get(mount).filter(|_| finished.is_none()) {
            return pull.ended.clone();
        }
        let (alive, ended) = watch::channel(());
        let id = pulls.next_id;
        pulls.next_id += 1;
        let handle = PullHandle {
            id,
            ended: ended.clone(),
        };
        pulls.by_mount.insert(mount.clone(), handle);
        let (inner, mount) = (self.0.clone(), mount.clone());
        let span = info_span!(parent: None, "relay", %mount); // outlives the listener that caused it
        let pull = async move {
            pull::run(&inner, &mount, finished).await;
            inner.pulls.lock().remove(&mount, id);
            drop(alive);
        };
        self.0.mesh.tasks.spawn(pull.instrument(span));
        ended
    }

    /// The master holds every stream, so that relays find it at the root. Runs until the node stops.
    pub async fn keep_all_while_master(self) {
        let mut view = self.0.mesh.cluster.watch();
        loop {
            tokio::select! {
                () = self.0.mesh.tasks.asked_to_end() => return,
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
                    None => drop(self.pull(mount, None)),
                }
            }
        }
    }
}

/// Whether a listener that comes now hears something of a stream.
fn can_be_joined(held: &Held) -> bool {
    held.feed.look().can_be_joined(clock::now())
}

impl Pulls {
    /// Forgets a pull that has ended, unless another one has taken its place.
    fn remove(&mut self, mount: &MountName, id: u64) {
        if self.by_mount.get(mount).is_some_and(|pull| pull.id == id) {
            self.by_mount.remove(mount);
        }
    }
}
