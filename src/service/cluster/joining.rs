//! Finds peers: dials the named, the remembered and the gossiped ones, and greets those that answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

use super::Cluster;
use super::seeking::{DIAL_INTERVAL, JoinTarget, Unreached};
use crate::io::disk::{DataDir, Loaded};
use crate::io::gossip::Gossip;
use crate::io::link::{DialState, DialTrouble, Links};
use crate::io::tasks::Tasks;
use crate::model::node::NodeName;

/// The file of remembered peers.
const PEERS_FILE: &str = "peers";
/// When a node that remembers peers and has found none says so: it has dialled each of them twice.
const LONELY_PATIENCE: Duration = Duration::from_secs(3);
/// Remembered peers: enough to find a mesh of any size again.
const MAX_REMEMBERED: usize = 256;

/// The parts that finding peers needs.
#[derive(Debug)]
pub struct Joiner {
    /// The links to dial with.
    pub links: Links,
    /// The gossip to greet with.
    pub gossip: Arc<Gossip>,
    /// The mesh as it is known.
    pub cluster: Cluster,
    /// `HOST:PORT` of peers.
    pub targets: Vec<String>,
    /// The targets that are not reached.
    pub unreached: Unreached,
    /// Peers of an earlier life.
    pub remembered: BTreeSet<SocketAddr>,
    /// The directory in which peers are remembered.
    pub data_dir: Arc<DataDir>,
    /// The tasks of the node.
    pub tasks: Tasks,
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
    pub async fn run(mut self) {
        self.unreached.expect(self.targets.len());
        let mut seeking = JoinSet::new(); // ended with this
        for peer in &self.targets {
            let target = JoinTarget {
                links: self.links.clone(),
                unreached: self.unreached.clone(),
                peer: peer.clone(),
            };
            seeking.spawn(target.seek());
        }
        let mut rounds = interval(DIAL_INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut linked = self.links.peers();
        let mut greeted = BTreeSet::new();
        let mut troubles = BTreeMap::new();
        let lonely = sleep(LONELY_PATIENCE);
        tokio::pin!(lonely);
        loop {
            tokio::select! {
                () = self.tasks.asked_to_end() => return,
                _ = rounds.tick() => self.dial_missing(&mut troubles),
                () = &mut lonely, if !lonely.is_elapsed() => self.say_lonely(),
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
            if !peers.is_subset(&self.remembered) {
                self.remember(&peers).await;
            }
            greeted = peers;
        }
    }

    /// Warns when no peer is named and none of the remembered ones answers. Of named peers each is reported by itself.
    fn say_lonely(&self) {
        let remembered = self.remembered.len();
        if self.targets.is_empty() && remembered > 0 && self.links.peers().borrow().is_empty() {
            warn!(
                remembered,
                "no remembered peer answers: serving alone until one does, and trying again"
            );
        }
    }

    /// Dials the nodes without a link: known ones, and remembered ones while no peer is linked. Named peers are dialled
    /// by tasks of their own.
    fn dial_missing(&self, troubles: &mut BTreeMap<NodeName, DialTrouble>) {
        let view = self.cluster.view();
        let known = view
            .nodes
            .iter()
            .filter(|(name, node)| **name != view.me && node.is_up());
        for (name, node) in known {
            let address = node.mesh_address;
            self.links.dial(address);
            let DialState::Failed(trouble) = self.links.dial_state(address) else {
                troubles.remove(name);
                continue;
            };
            // A silent node is dead, which is being noticed, or will answer again.
            let told = matches!(trouble, DialTrouble::Silent | DialTrouble::Refused);
            if !told && troubles.insert(name.clone(), trouble) != Some(trouble) {
                warn!(node = %name, %address, why = %trouble, "no direct link");
            }
        }
        troubles.retain(|name, _| view.nodes.contains_key(name));
        if self.links.peers().borrow().is_empty() {
            self.remembered
                .iter()
                .for_each(|address| self.links.dial(*address));
        }
    }

    /// Adds to the remembered peers. All earlier ones are dropped when there would be more than [`MAX_REMEMBERED`].
    async fn remember(&mut self, peers: &BTreeSet<SocketAddr>) {
        if self.remembered.len() + peers.len() > MAX_REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.extend(peers);
        let bytes = serde_json::to_vec(&self.remembered).expect("addresses have a text");
        let data_dir = self.data_dir.clone();
        let saving = move || data_dir.save(PEERS_FILE, &bytes);
        let saved = self.tasks.spawn_blocking(saving).await;
        match saved.expect("saving a file does not panic") {
            Ok(()) => debug!(peers = self.remembered.len(), "peers remembered"),
            Err(error) => warn!(%error, "cannot remember the peers"),
        }
    }
}
