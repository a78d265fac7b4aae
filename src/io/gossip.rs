//! Gossip by chitchat, carried over the links.
//!
//! Over a link there is no datagram limit, no fragment to lose, and nobody unauthenticated at the parser.
//! A value that fits into no message would silence its node in chitchat for ever, so [`Gossip::set`] refuses
//! anything over [`MAX_VALUE_BYTES`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, ChitchatMessage, Deserializable,
    FailureDetectorConfig, Serializable,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use super::link::Links;
use crate::model::node::{Generation, NodeName};
use crate::wire::frame::Frame;

/// The profile for up to 32 nodes: with φ 8 a dead node is noticed in about 1.4 s.
pub const GOSSIP_INTERVAL: Duration = Duration::from_millis(250);
/// The most bytes of one value. 65,535 and more would silence the node; sixteen of these still fit into one message.
pub const MAX_VALUE_BYTES: usize = 4 * 1024;
/// How long a dead node and a deleted value are remembered, so that neither comes back as news.
pub const GRACE: Duration = Duration::from_secs(15 * 60);
/// Suspicion at which a node counts as dead. At 4 and below, live nodes flap under loss.
const PHI_THRESHOLD: f64 = 8.0;
/// Heartbeats remembered per node: 25 s of them, and a tenth of the memory of chitchat's default.
const SAMPLING_WINDOW: usize = 100;
/// Longer gaps do not count as samples of the rhythm: the node was away. As samples, they would delay the notice of its
/// next death by seconds.
const MAX_SAMPLED_GAP: Duration = Duration::from_millis(4 * GOSSIP_INTERVAL.as_millis() as u64);
/// Messages from here on are compressed; shorter ones gain nothing.
const COMPRESS_FROM_BYTES: usize = 1_024;
/// The longest message: chitchat's own datagram limit.
const MAX_MESSAGE_BYTES: usize = 65_507;
/// The same for all meshes, because the secret already keeps others out.
const CLUSTER_ID: &str = "antiphon";

/// Why a value is not gossiped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of {key} has {bytes} bytes, the limit is {MAX_VALUE_BYTES}")]
pub struct ValueTooLong {
    /// The key.
    pub key: String,
    /// The length of its value.
    pub bytes: usize,
}

/// Chitchat could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start gossip: {0}")]
pub struct StartError(String);

/// A node as gossip knows it: its latest life only.
#[derive(Clone, Debug)]
pub struct GossipedNode {
    /// The number of its life.
    pub generation: Generation,
    /// The address to dial.
    pub mesh_address: SocketAddr,
    /// Whether the failure detector hears it. This node always hears itself.
    pub alive: bool,
    /// Rises as long as the node lives and any news of it arrives.
    pub heartbeat: u64,
    /// The values that it gossips.
    pub values: BTreeMap<String, String>,
}

/// The gossip of this node.
pub struct Gossip {
    handle: ChitchatHandle,
    changed: std::sync::Arc<Notify>,
}

impl std::fmt::Debug for Gossip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gossip").finish_non_exhaustive()
    }
}

impl Gossip {
    /// Starts to gossip with all linked nodes. To join, dial a node and then call [`Gossip::greet`].
    pub async fn start(
        links: Links,
        received: mpsc::Receiver<(SocketAddr, Frame)>,
        first_values: Vec<(String, String)>,
    ) -> Result<Self, StartError> {
        let hello = links.hello().clone();
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(
                hello.name.as_str(),
                hello.generation.0,
                hello.mesh_address,
            ),
            cluster_id: CLUSTER_ID.to_owned(),
            gossip_interval: GOSSIP_INTERVAL,
            listen_addr: hello.mesh_address,
            seed_nodes: Vec::new(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI_THRESHOLD,
                sampling_window_size: SAMPLING_WINDOW,
                max_interval: MAX_SAMPLED_GAP,
                initial_interval: GOSSIP_INTERVAL,
                dead_node_grace_period: GRACE,
            },
            marked_for_deletion_grace_period: GRACE,
            catchup_callback: None,
            extra_liveness_predicate: None,
        };
        let transport = LinkTransport(Mutex::new(Some(LinkSocket { links, received })));
        let handle = chitchat::spawn_chitchat(config, first_values, &transport)
            .await
            .map_err(|error| StartError(format!("{error:#}")))?;
        let changed = std::sync::Arc::new(Notify::new());
        let poke = changed.clone();
        handle
            .with_chitchat(move |chitchat| {
                let poke = poke.clone();
                chitchat
                    .subscribe_event("", move |_| poke.notify_one())
                    .forever();
            })
            .await;
        Ok(Self { handle, changed })
    }

    /// Sets a value for all nodes to see. To set the same value again costs nothing.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), ValueTooLong> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(ValueTooLong {
                key: key.to_owned(),
                bytes: value.len(),
            });
        }
        let set = |chitchat: &mut Chitchat| {
            let state = chitchat.self_node_state();
            if state.get(key) != Some(value) {
                state.set(key, value);
            }
        };
        self.handle.with_chitchat(set).await;
        Ok(())
    }

    /// Removes the value of a key.
    pub async fn delete(&self, key: &str) {
        let delete = |chitchat: &mut Chitchat| {
            let state = chitchat.self_node_state();
            if state.get(key).is_some() {
                state.delete(key);
            }
        };
        self.handle.with_chitchat(delete).await;
    }

    /// Gossips with an address at once, without waiting for the next round.
    pub fn greet(&self, address: SocketAddr) {
        // Fails only after the end of gossip, when no node is to be greeted any more.
        let _ = self.handle.gossip(address);
    }

    /// Waits until a node has changed a value. One wait may stand for several changes.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Every node that gossip remembers, this one too.
    pub async fn nodes(&self) -> BTreeMap<NodeName, GossipedNode> {
        self.handle.with_chitchat(|chitchat| nodes(chitchat)).await
    }

    /// Ends the gossip.
    pub fn stop(&self) {
        // Fails only when it has already ended.
        let _ = self.handle.initiate_shutdown();
    }
}

fn nodes(chitchat: &Chitchat) -> BTreeMap<NodeName, GossipedNode> {
    let alive: Vec<&ChitchatId> = chitchat.live_nodes().collect();
    let mut nodes: BTreeMap<NodeName, GossipedNode> = BTreeMap::new();
    for (id, state) in chitchat.node_states() {
        let Ok(name) = NodeName::try_from(&*id.node_id) else {
            continue; // Only a peer with the secret and a broken program could send this.
        };
        let generation = Generation(id.generation_id);
        if nodes
            .get(&name)
            .is_some_and(|known| known.generation > generation)
        {
            continue;
        }
        let values = state.key_values();
        let node = GossipedNode {
            generation,
            mesh_address: id.gossip_advertise_addr,
            alive: alive.contains(&id),
            heartbeat: state.heartbeat().into(),
            values: values
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        };
        nodes.insert(name, node);
    }
    nodes
}

/// Gives chitchat its one socket.
struct LinkTransport(Mutex<Option<LinkSocket>>);

#[async_trait::async_trait]
impl Transport for LinkTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.0.lock().take();
        Ok(Box::new(
            socket.ok_or_else(|| anyhow::anyhow!("opened twice"))?,
        ))
    }
}

/// Chitchat's datagrams, each one a frame.
struct LinkSocket {
    links: Links,
    received: mpsc::Receiver<(SocketAddr, Frame)>,
}

#[async_trait::async_trait]
impl Socket for LinkSocket {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        message.serialize(&mut bytes);
        let frame = if bytes.len() < COMPRESS_FROM_BYTES {
            Frame::Gossip(bytes.into())
        } else {
            Frame::GossipZstd(zstd::bulk::compress(&bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?.into())
        };
        self.links.send_to_address(to, &frame);
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let Some((from, frame)) = self.received.recv().await else {
                anyhow::bail!("the links are closed");
            };
            match message(frame) {
                Ok(message) => return Ok((from, message)),
                Err(error) => warn!(%from, %error, "malformed gossip"),
            }
        }
    }
}

fn message(frame: Frame) -> anyhow::Result<ChitchatMessage> {
    let bytes = match frame {
        Frame::Gossip(bytes) => bytes,
        Frame::GossipZstd(bytes) => Bytes::from(zstd::bulk::decompress(&bytes, MAX_MESSAGE_BYTES)?),
        frame => anyhow::bail!("{frame:?} is no gossip"),
    };
    debug!(bytes = bytes.len(), "gossip received");
    ChitchatMessage::deserialize(&mut bytes.as_ref())
}
