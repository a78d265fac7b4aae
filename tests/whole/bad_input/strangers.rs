//! Strangers that speak to the mesh's port without being a member, or as a member that sends nonsense.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use antiphon::io::tls::{ClusterSecret, Identity, MESH_SERVER_NAME};
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::stream::StreamId;
use antiphon::wire::frame::{self, Frame, HEADER_BYTES, Hello};
use chitchat::transport::UdpTransport;
use chitchat::{ChitchatConfig, ChitchatId, FailureDetectorConfig, spawn_chitchat};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, VarInt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::timeout;

use super::wire::{listener, source};
use super::{MOUNT, PASSWORD};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::PATIENCE;

/// How long a stranger waits for a reply that must not come.
const SILENCE: Duration = Duration::from_secs(2);

/// The state that strangers must not change, whatever they do: who is alive and who is master since when.
fn standing(node: &TestNode) -> String {
    let status = node.status();
    let nodes = status.nodes.iter().map(|node| (&node.name, node.state));
    let nodes: Vec<_> = nodes.collect();
    format!("{nodes:?} {:?} {:?}", status.master, status.epoch)
}

#[test]
fn datagrams_of_strangers_get_no_reply_and_disturb_nobody() {
    let mesh = TestMesh::start(2);
    let before = standing(&mesh.nodes[0]);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    stranger.connect(mesh.nodes[0].address()).expect("loopback");
    let mut random = StdRng::seed_from_u64(1);
    for length in (0..1_400).step_by(7).chain([8_000, 60_000]) {
        let mut noise: Vec<u8> = (0..length).map(|_| random.random()).collect();
        if let Some(first) = noise.first_mut() {
            // Without the bit of a long header: to that, QUIC itself owes an answer.
            *first &= 0x7f;
        }
        stranger.send(&noise).expect("loopback takes it");
    }
    let limited = stranger.set_read_timeout(Some(SILENCE));
    limited.expect("a timeout can be set");
    let reply = stranger.recv(&mut [0; 2_048]);
    assert!(reply.is_err(), "{reply:?}");
    for node in &mesh.nodes {
        assert_eq!(standing(node), before);
        assert!(!node.log().contains("link lost"), "{}", node.log());
    }
}

#[tokio::test]
async fn a_stock_chitchat_hears_nothing_and_is_not_heard() {
    let mesh = TestMesh::start(2);
    let before = standing(&mesh.nodes[0]);
    let own = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let own = own.expect("a free port");
    let targets = mesh.nodes.iter().map(|node| node.address());
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new("stranger", 1, own),
        cluster_id: "antiphon".to_owned(),
        gossip_interval: Duration::from_millis(50),
        listen_addr: own,
        seed_nodes: targets.collect(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_secs(60),
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    let handle = spawn_chitchat(config, Vec::new(), &UdpTransport).await;
    let handle = handle.expect("a stock chitchat begins");
    let mut alive = handle.chitchat().lock().await.live_nodes_watcher();
    let somebody = timeout(SILENCE, alive.wait_for(|nodes| nodes.len() > 1)).await;
    assert!(somebody.is_err(), "a node has answered");
    assert_eq!(handle.chitchat().lock().await.node_states().len(), 1);
    for node in &mesh.nodes {
        assert_eq!(standing(node), before);
    }
    handle.shutdown().await.expect("it ends");
}

/// The cluster's secret, as a node keeps it.
pub(super) fn secret_of(node: &TestNode) -> String {
    let file = node.data_dir().with_file_name("cluster-secret");
    std::fs::read_to_string(file).expect("the mesh's nodes were given a secret")
}

/// A member that has the secret and does not keep the rules.
struct Rogue {
    endpoint: Endpoint,
    name: NodeName,
}

impl Rogue {
    fn new(secret: &str) -> Self {
        let name = NodeName::try_from("rogue").expect("a name");
        let secret = ClusterSecret::parse(secret).expect("the mesh's secret");
        let identity = Identity::issue(&secret, &name).expect("a certificate");
        let crypto = QuicClientConfig::try_from(identity.client).expect("fit for QUIC");
        let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a free port");
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
        Self { endpoint, name }
    }

    async fn connect(&self, node: &TestNode) -> Connection {
        let address: SocketAddr = node.address().parse().expect("HOST:PORT");
        let connecting = self.endpoint.connect(address, MESH_SERVER_NAME);
        connecting
            .expect("it may try")
            .await
            .expect("it has the secret")
    }

    /// A link that was greeted as a link should be.
    async fn link(&self, node: &TestNode, generation: u64) -> Connection {
        let connection = self.connect(node).await;
        let hello = Frame::Hello(Hello {
            name: self.name.clone(),
            generation: Generation(generation),
            mesh_address: self.endpoint.local_addr().expect("it is bound"),
            public_url: "http://127.0.0.1:9".to_owned(),
            version: "rogue".to_owned(),
        });
        let (mut send, mut receive) = connection.open_bi().await.expect("it is open");
        send.write_all(&encoded(&hello)).await.expect("it is taken");
        send.finish().expect("once");
        let answer = receive
            .read_to_end(frame::MAX_BODY_BYTES)
            .await
            .expect("an answer");
        let answer = frame::decode(&answer[HEADER_BYTES..]).expect("a frame");
        assert!(matches!(answer, Frame::Hello(_)), "{answer:?}");
        connection
    }
}

fn encoded(frame: &Frame) -> Vec<u8> {
    frame::encode(frame).expect("a frame").to_vec()
}

/// Bytes that are no frame, each wrong in its own way.
fn corrupted() -> Vec<Vec<u8>> {
    let good = encoded(&Frame::Unpublish {
        mount: MountName::try_from(MOUNT).expect("a mount"),
        stream_id: StreamId(1),
    });
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut wrong = vec![
        with(0, frame::VERSION + 1),
        with(4, 0xff),                // a length beyond the limit
        with(HEADER_BYTES, 0xfa),     // a kind that does not exist
        with(HEADER_BYTES + 2, b'?'), // a path without its slash
        [&good[..1], &[9, 0, 0, 0], &[0xff; 9]].concat(),
    ];
    let mut random = StdRng::seed_from_u64(2);
    for length in [1_u8, 7, 64, 255] {
        let body: Vec<u8> = (0..length).map(|_| random.random()).collect();
        if frame::decode(&body).is_err() {
            wrong.push([&[frame::VERSION, length, 0, 0, 0], &body[..]].concat());
        }
    }
    wrong
}

/// The code with which a link is closed because of what came over it.
const BAD_FRAME: VarInt = VarInt::from_u32(2);

async fn expect_dropped(connection: &Connection, why: &[u8]) {
    let closed = timeout(PATIENCE, connection.closed()).await;
    let closed = closed.unwrap_or_else(|_| panic!("still linked after {why:?}"));
    match closed {
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code, BAD_FRAME, "{why:?}");
        }
        other => panic!("{other} after {why:?}"),
    }
}

#[tokio::test]
async fn only_a_member_with_corrupted_frames_is_dropped() {
    let mesh = TestMesh::start(2);
    let [first, second] = [&mesh.nodes[0], &mesh.nodes[1]];
    mesh.create_mount(MOUNT, PASSWORD);
    let mut encoder = source(first, MOUNT, PASSWORD, "application/octet-stream");
    encoder.say([1; 1_000]);
    mesh.wait_on_air(MOUNT);
    let mut listener = listener(second, MOUNT);
    assert_eq!(listener.hear(1_000), [1; 1_000]);
    let before = [standing(first), standing(second)];

    let rogue = Rogue::new(&secret_of(first));
    let mut generation = 0;
    for bytes in corrupted() {
        generation += 1;
        let connection = rogue.link(second, generation).await;
        let mut message = connection.open_uni().await.expect("it is open");
        message.write_all(&bytes).await.expect("it is taken");
        message.finish().expect("once");
        expect_dropped(&connection, &bytes).await;

        generation += 1;
        let connection = rogue.link(second, generation).await;
        let (mut talk, _) = connection.open_bi().await.expect("it is open");
        talk.write_all(&bytes).await.expect("it is taken");
        expect_dropped(&connection, &bytes).await;

        let connection = rogue.connect(second).await;
        let (mut greeting, _) = connection.open_bi().await.expect("it is open");
        greeting.write_all(&bytes).await.expect("it is taken");
        expect_dropped(&connection, &bytes).await;

        encoder.say([2; 1_000]);
        assert_eq!(listener.hear(1_000), [2; 1_000], "the stream goes on");
    }
    assert_eq!([standing(first), standing(second)], before);
    let log = second.log();
    assert!(
        log.contains("the peer sent an invalid frame, link closed"),
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}
