//! The authenticated QUIC connections between nodes.
//!
//! Any live connection to a node will do, whichever side dialled it: two nodes that dial each other at once
//! have two, and use the oldest. Nothing here ever waits for a peer on behalf of another: each
//! connection has its own bounded queue, and what does not fit is dropped and counted.

mod exchange;
mod greeting;
mod registry;
mod renewal;
mod tasks;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use tokio::sync::{mpsc, watch};
use tracing::warn;

pub use self::exchange::{Exchange, ExchangeError};
pub use self::registry::DialState;
use self::registry::{Delivery, Registry};
pub use self::trouble::DialTrouble;
use super::tasks::Tasks;
use super::tls::{CertificateError, ClusterSecret, Identity};
use super::udp::{CountingSocket, StrayCount};
use crate::model::node::NodeName;
use crate::wire::frame::{self, Frame, Hello};

/// How often an idle link shows that it lives: four times within [`IDLE`].
const KEEP_ALIVE: Duration = Duration::from_millis(250);
/// A link that is silent for so long is dead: the second witness beside gossip.
pub const IDLE: Duration = Duration::from_millis(1_000);
/// How long a handshake and the HELLO may take: several round trips of a very bad line.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// Unidirectional streams that a peer may have open at once: more than it sends in a gossip round.
const MAX_UNI_STREAMS: u32 = 64;
/// Conversations that a peer may have open at once: one per mount that it relays, and some.
const MAX_BI_STREAMS: u32 = 512;
/// Connection attempts that may be waiting at once.
const MAX_INCOMING: usize = 128;
/// Messages and conversations that may wait for their service; more are dropped, and gossip repeats itself.
const INBOX: usize = 512;
/// Why a peer closed a link: its name is taken.
const CLOSE_NAME_IN_USE: VarInt = VarInt::from_u32(1);
/// Why a peer closed a link: it got an invalid frame.
const CLOSE_BAD_FRAME: VarInt = VarInt::from_u32(2);
/// Why a peer closed a link: nothing came over it for [`IDLE`] and a keep-alive more.
const CLOSE_SILENT: VarInt = VarInt::from_u32(3);
/// Why a peer closed a link: it leaves, or the link is not needed.
const CLOSE_DONE: VarInt = VarInt::from_u32(0);

/// The parts that links need to be opened.
#[derive(Debug)]
pub struct LinkConfig {
    /// The identity of this node. A port of 0 in its mesh address is replaced by the bound one.
    pub hello: Hello,
    /// The UDP address to bind.
    pub listen: SocketAddr,
    /// The cluster's secret.
    pub secret: ClusterSecret,
    /// The tasks of the node.
    pub tasks: Tasks,
}

/// Why links could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address is in use, or not one of this machine.
    #[error("cannot listen on UDP {0}")]
    Bind(SocketAddr, #[source] std::io::Error),
    /// No certificate could be made.
    #[error(transparent)]
    Identity(#[from] CertificateError),
    /// TLS lacks what QUIC needs.
    #[error("TLS is not fit for QUIC")]
    Crypto(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// Another live node has this node's name.
#[derive(Clone, Debug)]
pub struct NameConflict {
    /// The address of that node.
    pub holder: SocketAddr,
}

/// The messages from peers, each for the service that takes it.
#[derive(Debug)]
pub struct Inbox {
    /// Chitchat messages, with the address to answer to.
    pub gossip: mpsc::Receiver<(SocketAddr, Frame)>,
    /// Other single frames.
    pub messages: mpsc::Receiver<(NodeName, Frame)>,
    /// Conversations that a peer has begun, with its first frame.
    pub exchanges: mpsc::Receiver<(NodeName, Frame, Exchange)>,
    /// Reports that another node has this node's name.
    pub conflicts: mpsc::Receiver<NameConflict>,
}

/// The queues for what arrives.
#[derive(Debug)]
struct Outlets {
    gossip: mpsc::Sender<(SocketAddr, Frame)>,
    messages: mpsc::Sender<(NodeName, Frame)>,
    exchanges: mpsc::Sender<(NodeName, Frame, Exchange)>,
    conflicts: mpsc::Sender<NameConflict>,
}

/// The faults that the links have seen since the start.
#[derive(Debug, Default)]
struct LinkCounters {
    refused_handshakes: AtomicU64,
    bad_frames: AtomicU64,
    dropped: AtomicU64,
}

impl LinkCounters {
    fn count_bad_peer(&self) {
        self.bad_frames.fetch_add(1, Ordering::Relaxed);
    }
}

/// Totals since the start, for the log and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTotals {
    /// Datagrams that were not QUIC for this node.
    pub stray_datagrams: u64,
    /// Handshakes that did not complete: mostly peers with another secret.
    pub refused_handshakes: u64,
    /// Links closed because of what they sent, or because they read nothing.
    pub bad_frames: u64,
    /// Messages dropped because a queue was full.
    pub dropped: u64,
}

#[derive(Debug)]
struct LinksInner {
    hello: Hello,
    endpoint: Endpoint,
    /// The settings that links are dialled with; another one when the secret is read again.
    client: Mutex<ClientConfig>,
    registry: Mutex<Registry>,
    peers: watch::Sender<BTreeMap<NodeName, Hello>>,
    outlets: Outlets,
    counters: Arc<LinkCounters>,
    strays: StrayCount,
    tasks: Tasks,
}

impl LinksInner {
    fn publish_peers(&self) {
        // Read while no other task can publish: an older view would overwrite a newer one.
        self.peers.send_if_modified(|known| {
            let peers = self.registry.lock().peers();
            let changed = *known != peers;
            if changed {
                *known = peers;
            }
            changed
        });
    }

    fn count_dropped(&self, what: &'static str, to: &NodeName) {
        let before = self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        if before.is_power_of_two() || before == 0 {
            warn!(%to, what, dropped = before + 1, "queue full, message dropped");
        }
    }
}

/// A cheap, cloneable way to all links.
#[derive(Clone, Debug)]
pub struct Links(Arc<LinksInner>);

impl Links {
    /// Binds the mesh's UDP socket and starts to take links.
    pub fn start(mut config: LinkConfig) -> Result<(Self, Inbox), LinkError> {
        let bind_error = |error| LinkError::Bind(config.listen, error);
        let socket = UdpSocket::bind(config.listen).map_err(bind_error)?;
        let bound = socket.local_addr().map_err(bind_error)?;
        if config.hello.mesh_address.port() == 0 {
            config.hello.mesh_address.set_port(bound.port());
        }
        let identity = Identity::issue(&config.secret, &config.hello.name)?;
        let (endpoint, strays) = endpoint(&config, &identity, socket)?;
        let client = client_config(&identity)?;

        let (gossip, gossip_in) = mpsc::channel(INBOX);
        let (messages, messages_in) = mpsc::channel(INBOX);
        let (exchanges, exchanges_in) = mpsc::channel(INBOX);
        let (conflicts, conflicts_in) = mpsc::channel(1);
        let shared = Arc::new(LinksInner {
            hello: config.hello,
            endpoint,
            client: Mutex::new(client),
            registry: Mutex::default(),
            peers: watch::Sender::default(),
            outlets: Outlets {
                gossip,
                messages,
                exchanges,
                conflicts,
            },
            counters: Arc::default(),
            strays,
            tasks: config.tasks,
        });
        tasks::spawn_acceptor(shared.clone());
        tasks::spawn_reporter(shared.clone());
        let inbox = Inbox {
            gossip: gossip_in,
            messages: messages_in,
            exchanges: exchanges_in,
            conflicts: conflicts_in,
        };
        Ok((Self(shared), inbox))
    }

    /// The identity of this node, with the port that was really bound.
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// The nodes with a live link, as they present themselves.
    pub fn peers(&self) -> watch::Receiver<BTreeMap<NodeName, Hello>> {
        self.0.peers.subscribe()
    }

    /// Begins to dial an address in the background, unless a link or an attempt is there or it is too soon.
    pub fn dial(&self, address: SocketAddr) {
        tasks::spawn_dial(&self.0, address);
    }

    /// The state of an address that was dialled.
    pub fn dial_state(&self, address: SocketAddr) -> DialState {
        self.0.registry.lock().dial_state(address)
    }

    /// Sends a frame to a node. Without a link, or with a full queue, it is dropped.
    pub fn send(&self, to: &NodeName, frame: &Frame) {
        let Some(bytes) = encoded(frame) else { return };
        let sent = self.0.registry.lock().send(to, bytes);
        if sent == Delivery::Full {
            self.0.count_dropped("message", to);
        }
    }

    /// Sends a frame to every node with a live link.
    pub fn send_to_all(&self, frame: &Frame) {
        let Some(bytes) = encoded(frame) else { return };
        let refused = self.0.registry.lock().send_to_all(&bytes);
        for to in refused {
            self.0.count_dropped("message to all", &to);
        }
    }

    /// Sends a frame to the node at an address; if there is no link yet, it is dropped and one is dialled.
    pub fn send_to_address(&self, to: SocketAddr, frame: &Frame) {
        let Some(bytes) = encoded(frame) else { return };
        let sent = self.0.registry.lock().send_to_address(to, bytes);
        match sent {
            Delivery::Queued => {}
            Delivery::NoLink => self.dial(to),
            Delivery::Full => {
                self.0.counters.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Begins a conversation with a node by its first frame.
    pub async fn open(&self, to: &NodeName, first: &Frame) -> Result<Exchange, ExchangeError> {
        let connection = self.0.registry.lock().connection(to);
        let connection = connection.ok_or(ExchangeError::NoLink)?;
        let streams = connection.open_bi().await?;
        let mut exchange = Exchange::new(streams, &connection, &self.0.counters);
        exchange.send(first).await?;
        Ok(exchange)
    }

    /// The faults since the start.
    pub fn totals(&self) -> LinkTotals {
        self.0.totals()
    }

    /// Closes every link, and waits a moment for the peers to hear it.
    pub async fn close(&self) {
        self.0.endpoint.close(CLOSE_DONE, b"leaving");
        let heard = self.0.endpoint.wait_idle();
        if tokio::time::timeout(IDLE, heard).await.is_err() {
            warn!("some peers did not confirm the end of their link");
        }
    }
}

impl LinksInner {
    fn totals(&self) -> LinkTotals {
        LinkTotals {
            stray_datagrams: self.strays.total(),
            refused_handshakes: self.counters.refused_handshakes.load(Ordering::Relaxed),
            bad_frames: self.counters.bad_frames.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
        }
    }
}

/// A frame as bytes; one that is too long is a bug here, so it is logged and not sent.
fn encoded(frame: &Frame) -> Option<Bytes> {
    frame::encode(frame)
        .inspect_err(|error| warn!(%error, "frame not sent"))
        .ok()
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = IDLE
        .try_into()
        .expect("a second fits into QUIC's idle timeout");
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_uni_streams(MAX_UNI_STREAMS.into())
        .max_concurrent_bidi_streams(MAX_BI_STREAMS.into())
        // A stream is real-time sound: loss on the line is no reason to send it more slowly.
        .congestion_controller_factory(Arc::new(BbrConfig::default()))
        .datagram_receive_buffer_size(None);
    Arc::new(transport)
}

fn client_config(identity: &Identity) -> Result<ClientConfig, LinkError> {
    let crypto = QuicClientConfig::try_from(identity.client.clone())?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    client.transport_config(transport());
    Ok(client)
}

fn server_config(identity: &Identity) -> Result<ServerConfig, LinkError> {
    let crypto = QuicServerConfig::try_from(identity.server.clone())?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(transport())
        .max_incoming(MAX_INCOMING);
    Ok(server)
}

fn endpoint(
    config: &LinkConfig,
    identity: &Identity,
    socket: UdpSocket,
) -> Result<(Endpoint, StrayCount), LinkError> {
    let bind_error = |error| LinkError::Bind(config.listen, error);
    let name = &config.hello.name;
    // The same after a restart, so that peers of the old process learn at once that it is gone.
    let reset_key = config
        .secret
        .derive(&format!("antiphon stateless reset {name}"));
    let mut endpoint_config =
        EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key)));
    let id_key = config.secret.derive("antiphon connection id");
    let id_key = u64::from_le_bytes(*id_key.first_chunk().expect("32 bytes hold 8"));
    endpoint_config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));

    let server = server_config(identity)?;
    let runtime: Arc<dyn quinn::Runtime> = Arc::new(quinn::TokioRuntime);
    let inner = runtime.wrap_udp_socket(socket).map_err(bind_error)?;
    let socket = CountingSocket::new(inner, id_key);
    let strays = socket.strays();
    let endpoint = Endpoint::new_with_abstract_socket(
        endpoint_config,
        Some(server),
        Arc::new(socket),
        runtime,
    );
    Ok((endpoint.map_err(bind_error)?, strays))
}
