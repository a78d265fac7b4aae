//! A member of the mesh that speaks well, and does not keep the rules: it harms itself, and nobody else.

use std::time::Duration;

use antiphon::io::gossip::Gossip;
use antiphon::io::link::{Exchange, Inbox, LinkConfig, Links};
use antiphon::io::tasks::Tasks;
use antiphon::io::tls::ClusterSecret;
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::seat::{Epoch, Fence, Rank};
use antiphon::model::stream::{StreamHead, StreamId};
use antiphon::wire::frame::{Frame, Hello};
use antiphon::wire::gossip::{self, NodeCard, Origin, StreamCard};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::strangers::secret_of;
use super::wire::{listener, source};
use super::{MOUNT, PASSWORD, is_on_air, wait_log, wait_status};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES, frame};

/// The stream that the rogue says it has.
const STREAM: StreamId = StreamId(7);
/// How much of it there is, in frames.
const FRAMES: u64 = 60;
/// How much of it the rogue sends before it breaks the rules again, in bytes: no whole number of frames.
const HONEST_BYTES: usize = 4_000;

/// A member that says what it likes.
struct Rogue {
    links: Links,
    gossip: Gossip,
    /// The conversations that others begin with it.
    exchanges: mpsc::Receiver<(NodeName, Frame, Exchange)>,
}

impl Rogue {
    /// Joins a node, and waits until that one believes it alive.
    async fn join(node: &TestNode) -> Self {
        let anywhere = "127.0.0.1:0".parse().expect("an address");
        let hello = Hello {
            name: NodeName::try_from("rogue").expect("a name"),
            generation: Generation(1),
            mesh_address: anywhere,
            public_url: "http://127.0.0.1:9".to_owned(),
            version: "rogue".to_owned(),
        };
        let config = LinkConfig {
            hello,
            listen: anywhere,
            secret: ClusterSecret::parse(&secret_of(node)).expect("the mesh's secret"),
            tasks: Tasks::default(),
        };
        let (links, inbox) = Links::start(config).expect("a free port");
        let Inbox {
            gossip, exchanges, ..
        } = inbox;
        let card = gossip::write(&NodeCard {
            url: "http://127.0.0.1:9".to_owned(),
            version: "rogue".to_owned(),
            rank: Rank(0),
            started_unix_ms: 1,
            https_url: None,
            place: Default::default(),
            addresses: Vec::new(),
            serves_dns: false,
            zone: None,
            takes_orders: true,
            reads_prologues: false,
            reads_captions: false,
            reads_long_prologues: false,
            proves: false,
            lists_listeners: false,
            reads_presence: false,
            reads_midway: false,
            reads_transcoders: false,
            reads_dismissals: true,
            reads_outside_relays: false,
            reads_files: false,
            reads_imports: false,
            reads_certificates: false,
        });
        let values = vec![(gossip::NODE.to_owned(), card)];
        let started = Gossip::start(links.clone(), gossip, values).await;
        let gossip = started.expect("it gossips");
        let address = node.address().parse().expect("HOST:PORT");
        links.dial(address);
        let mut peers = links.peers();
        let linked = peers.wait_for(|peers| !peers.is_empty());
        let linked = timeout(PATIENCE, linked).await.expect("a link");
        linked.expect("the links are there");
        gossip.greet(address);
        wait_status(node, "the rogue is alive", |status| {
            status.nodes.iter().any(|it| it.name.as_str() == "rogue")
        });
        Self {
            links,
            gossip,
            exchanges,
        }
    }

    /// Says that the source of a mount is connected to it.
    async fn claim_source(&self, mount: &MountName) {
        let card = StreamCard {
            slow_listeners: 0,
            format: None,
            now_playing: None,
            intro_trouble: None,
            stream_id: STREAM,
            origin: Origin::Source,
            content_type: "audio/mpeg".to_owned(),
            bitrate_bps: 128_000,
            offset: FRAMES * FRAME_BYTES as u64,
            started_unix_ms: 1,
            accept_epoch: Epoch(1),
            listeners: 0,
            title: String::new(),
            listener_peak: 0,
        };
        let (key, value) = (gossip::stream_key(mount), gossip::write(&card));
        let said = self.gossip.set(&key, &value);
        said.await.expect("it fits");
    }

    /// Answers the next one that subscribes: a little of what is asked for, and then past, foreign and future
    /// offsets. The first byte that was asked for.
    async fn answer_wrongly(&mut self, stream: &[u8]) -> usize {
        loop {
            let arrived = timeout(PATIENCE, self.exchanges.recv()).await;
            let (_, first, mut exchange) = arrived.expect("it is asked").expect("links are there");
            let Frame::Subscribe { resume, .. } = first else {
                continue;
            };
            let from = resume.map_or(0, |(stream_id, from)| {
                assert_eq!(stream_id, STREAM);
                usize::try_from(from).expect("a short stream")
            });
            let honest = (from + HONEST_BYTES).min(stream.len());
            let past = from.saturating_sub(HONEST_BYTES);
            let hole = (honest + 1_000).min(stream.len());
            let frames = [
                Frame::Opened {
                    stream_id: STREAM,
                    head: StreamHead {
                        content_type: "audio/mpeg".to_owned(),
                        icy: Vec::new(),
                        user_agent: String::new(),
                        started_unix_ms: 1,
                        accept_epoch: Epoch(1),
                    },
                    offset: from as u64,
                },
                data(from, &stream[from..honest]),
                // Known long ago, known in part, and with a hole before it.
                data(past, &stream[past..from]),
                data(past, &stream[past..honest]),
                data(hole, &stream[hole..]),
            ];
            for frame in &frames {
                if exchange.send(frame).await.is_err() {
                    break;
                }
            }
            exchange.finish();
            return from;
        }
    }
}

fn data(offset: usize, bytes: &[u8]) -> Frame {
    Frame::Data {
        offset: offset as u64,
        bytes: Bytes::copy_from_slice(bytes),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_offsets_of_a_member_lose_no_byte() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(MOUNT, PASSWORD);
    let mount = MountName::try_from(MOUNT).expect("a mount");
    let mut rogue = Rogue::join(&mesh.nodes[1]).await;
    rogue.claim_source(&mount).await;
    for node in &mesh.nodes {
        wait_status(node, "on air at the rogue", is_on_air);
    }
    let stream: Vec<u8> = (0..FRAMES).flat_map(frame).collect();
    let sending = {
        let stream = stream.clone();
        tokio::spawn(async move {
            let mut asked = Vec::new();
            loop {
                let from = rogue.answer_wrongly(&stream).await;
                asked.push(from);
                if from + HONEST_BYTES >= stream.len() {
                    return (rogue, asked);
                }
            }
        })
    };
    let url = format!("{}/_stream/n1{MOUNT}", mesh.nodes[1].url());
    let player = Player::tune_in(&url);
    player.wait_for(stream.len() - HONEST_BYTES);
    let received = signal::check(&player.bytes());
    assert_eq!(received.first, 0);
    let (_rogue, asked) = sending.await.expect("it has answered all");
    println!("it was asked for {asked:?}");
    assert!(asked.len() as u64 >= FRAMES * FRAME_BYTES as u64 / HONEST_BYTES as u64);
    assert!(!player.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_a_lower_fence_is_refused() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(MOUNT, PASSWORD);
    let ingest = &mesh.nodes[mesh.others()[0]];
    let mut encoder = source(ingest, MOUNT, PASSWORD, "application/octet-stream");
    encoder.say([1; 1_000]);
    mesh.wait_on_air(MOUNT);
    let status = ingest.status();
    let stream_id = status.mounts[0].source.as_ref().expect("on air").stream_id;
    let rogue = Rogue::join(ingest).await;
    let name = NodeName::try_from(ingest.name()).expect("a name");
    rogue.links.send(
        &name,
        &Frame::GiveWay {
            mount: MountName::try_from(MOUNT).expect("a mount"),
            stream_id,
            fence: Fence {
                epoch: Epoch(0),
                node: rogue.links.hello().name.clone(),
            },
        },
    );
    wait_log(ingest, "it has heard the order", |log| {
        log.contains("the order of a deposed master is not obeyed")
    });
    let mut listener = listener(ingest, MOUNT);
    encoder.say([2; 1_000]);
    assert_eq!(listener.hear(2_000)[1_000..], [2; 1_000]);
    let after = ingest.status();
    assert_eq!((after.master, after.epoch), (status.master, status.epoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_member_that_never_reads_is_dropped() {
    /// More than fits between two nodes: QUIC's windows and the queues.
    const MUCH: usize = 6 << 20;
    let mesh = TestMesh::start(2);
    mesh.create_mount(MOUNT, PASSWORD);
    let [first, second] = [&mesh.nodes[0], &mesh.nodes[1]];
    let mut encoder = source(first, MOUNT, PASSWORD, "application/octet-stream");
    encoder.say([1; 1_000]);
    mesh.wait_on_air(MOUNT);
    let mut listener = listener(second, MOUNT);
    assert_eq!(listener.hear(1_000), [1; 1_000]);
    let rogue = Rogue::join(first).await;
    let name = NodeName::try_from(first.name()).expect("a name");
    let question = Frame::Subscribe {
        mount: MountName::try_from(MOUNT).expect("a mount"),
        resume: None,
    };
    let unread = rogue.links.open(&name, &question).await;
    let _unread = unread.expect("it is linked");
    encoder.say(vec![2; MUCH]);
    assert_eq!(listener.hear(MUCH), vec![2; MUCH]);
    eventually(
        PATIENCE + Duration::from_secs(10),
        "its link is closed",
        || {
            so(
                first.log().contains("link closed"),
                "the log says nothing of it",
            )
        },
    );
    encoder.say([3; 1_000]);
    assert_eq!(listener.hear(1_000), [3; 1_000], "the stream goes on");
    assert!(!second.log().contains("link closed"), "{}", second.log());
}
