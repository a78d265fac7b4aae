//! Finds peers: dials whom it was told of, whom it remembers and whom it hears of, and greets who answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Cluster;
use crate::io::disk::{DataDir, Loaded};
use crate::io::gossip::Gossip;
use crate::io::link::Links;

/// The file of remembered peers.
const PEERS_FILE: &str = "peers";
/// How often missing links are dialled; the links themselves wait longer with each failure.
const DIAL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a name may take to resolve. The others are not kept waiting longer.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a node that was told of peers and has found none says so.
const LONELY_INTERVAL: Duration = Duration::from_secs(60);
/// Remembered peers: enough to find a mesh of any size again.
const MAX_REMEMBERED: usize = 256;

/// What finding peers needs.
#[derive(Debug)]
pub struct Joiner {
    /// The links to dial with.
    pub links: Links,
    /// The gossip to greet with.
    pub gossip: Arc<Gossip>,
    /// The mesh as it is known.
    pub cluster: Cluster,
    /// `HOST:PORT` of peers, resolved again at every try.
    pub targets: Vec<String>,
    /// Peers of an earlier life.
    pub remembered: BTreeSet<SocketAddr>,
    /// Where peers are remembered.
    pub data_dir: Arc<DataDir>,
}

/// The peers of an earlier life, from disk; none if there is no such file or it says nothing useful.
pub fn remembered(data_dir: &DataDir) -> BTreeSet<SocketAddr> {
    let bytes = match data_dir.load(PEERS_FILE) {
        Ok(Loaded::Current(bytes) | Loaded::Previous { bytes, .. }) => bytes,
        Ok(Loaded::Fresh | Loaded::Lost { .. }) => return BTreeSet::new(),
        Err(error) => {
            warn!(%error, "the remembered peers cannot be read");
            return BTreeSet::new();
        }
    };
    let peers = serde_json::from_slice::<Vec<SocketAddr>>(&bytes).unwrap_or_default();
    peers.into_iter().take(MAX_REMEMBERED).collect()
}

impl Joiner {
    /// Keeps every link up until the node stops.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut rounds = interval(DIAL_INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut linked = self.links.peers();
        let mut greeted = BTreeSet::new();
        let mut lonely_since = Instant::now();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = rounds.tick() => self.dial_missing().await,
                changed = linked.changed() => if changed.is_err() { return },
            }
            let peers: BTreeSet<SocketAddr> = linked
                .borrow_and_update()
                .values()
                .map(|hello| hello.mesh_address)
                .collect();
            for newcomer in peers.difference(&greeted) {
                self.gossip.greet(*newcomer);
            }
            if !peers.is_empty() || self.targets.is_empty() {
                lonely_since = Instant::now();
            } else if lonely_since.elapsed() >= LONELY_INTERVAL {
                lonely_since = Instant::now();
                warn!(join = ?self.targets, "no peer reached yet; serving alone and trying on");
            }
            if !peers.is_subset(&self.remembered) {
                self.remember(&peers).await;
            }
            greeted = peers;
        }
    }

    /// Dials whoever has no link: known nodes, told ones, and remembered ones while there is nobody else.
    async fn dial_missing(&self) {
        let view = self.cluster.view();
        let known = view
            .nodes
            .iter()
            .filter(|(name, node)| **name != view.me && node.is_up());
        for (_, node) in known {
            self.links.dial(node.mesh_address);
        }
        if self.links.peers().borrow().is_empty() {
            self.remembered
                .iter()
                .for_each(|address| self.links.dial(*address));
        }
        for target in &self.targets {
            match timeout(RESOLVE_TIMEOUT, lookup_host(target)).await {
                Ok(Ok(addresses)) => addresses.for_each(|address| self.links.dial(address)),
                Ok(Err(error)) => debug!(%target, %error, "cannot resolve a peer's name"),
                Err(_) => debug!(%target, "resolving a peer's name takes too long"),
            }
        }
    }

    /// Adds to the remembered peers; the oldest knowledge gives way only when there is too much of it.
    async fn remember(&mut self, peers: &BTreeSet<SocketAddr>) {
        if self.remembered.len() + peers.len() > MAX_REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.extend(peers);
        let bytes = serde_json::to_vec(&self.remembered).expect("addresses have a text");
        let data_dir = self.data_dir.clone();
        let saved = spawn_blocking(move || data_dir.save(PEERS_FILE, &bytes)).await;
        match saved.expect("saving a file does not panic") {
            Ok(()) => debug!(peers = self.remembered.len(), "peers remembered"),
            Err(error) => warn!(%error, "cannot remember the peers"),
        }
    }
}
