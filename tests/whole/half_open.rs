//! An encoder whose old connection is dead, and not yet known to be, takes its own place over at once.
//!
//! A router that forgets a connection, or a line that is cut, leaves both ends waiting. Here a router of the test's own
//! drops what belongs to that one connection, and nobody is told.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::http::{Connection, Head, basic};
use crate::support::mesh::TestMesh;
use crate::support::network::Network;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES, frame};
use crate::support::source::{KnownSource, knock};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The longest wait of an encoder that comes back.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How many frames an encoder sends: less than it may be ahead of the clock.
const FRAMES: u64 = 200;

/// Two nodes behind a router. They believe the test what it says of the client behind it.
struct Stage {
    // In the order in which they are to go.
    mesh: TestMesh,
    network: Network,
}

impl Stage {
    fn set() -> Option<Self> {
        Self::set_with(&[])
    }

    /// The same, with more arguments for each node.
    fn set_with(arguments: &[&str]) -> Option<Self> {
        let network = Network::build(2)?;
        let proxy = network.own_ip().to_string();
        let mesh = TestMesh::start_with(2, |index, setup| {
            setup
                .inside(network.site(index))
                .with(&["--trusted-proxies", &proxy])
                .with(arguments)
        });
        mesh.create_mount(RADIO, PASSWORD);
        Some(Self { mesh, network })
    }

    /// An encoder that is on air and sends no more, and a listener that has heard it at the other node.
    fn on_air(&self, at: usize) -> (Connection, Player) {
        self.on_air_ahead(at, frames())
    }

    /// The same with so much audio.
    fn on_air_ahead(&self, at: usize, frames: Vec<u8>) -> (Connection, Player) {
        let (mut connection, head) =
            knock(&self.mesh.nodes[at].address(), RADIO, PASSWORD).unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        connection.send(frames).unwrap();
        self.mesh.wait_on_air(RADIO);
        let node = &self.mesh.nodes[1 - at];
        let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", node.url()));
        player.wait_for(FRAME_BYTES);
        (connection, player)
    }
}

fn frames() -> Vec<u8> {
    (0..FRAMES).flat_map(frame).collect()
}

/// Logs in for a client behind the test; the answer, and how long it took.
fn log_in_for(node: &TestNode, client: Ipv4Addr) -> (Head, Duration) {
    let begun = Instant::now();
    let mut connection = node.connect();
    let authorization = basic("source", PASSWORD);
    let login = format!(
        "PUT {RADIO} HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\nX-Forwarded-For: {client}\r\n\
         Content-Type: audio/mpeg\r\n\r\n"
    );
    connection.send(login).unwrap();
    (connection.head().unwrap(), begun.elapsed())
}

#[test]
fn an_encoder_is_taken_again_while_its_old_connection_is_dead() {
    let Some(stage) = Stage::set() else { return };
    for (first, second) in [(0, 0), (0, 1), (1, 0)] {
        let (old, player) = stage.on_air(first);
        stage.network.cut_connection(old.socket());
        let begun = Instant::now();
        let node = &stage.mesh.nodes[second];
        let (mut new, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        new.send(frames()).unwrap();
        let took = begun.elapsed();
        let (from, to) = (first + 1, second + 1);
        println!("from n{from} to n{to}: taken after {took:?}");
        assert!(took < AT_ONCE, "{took:?}");
        let goes_on = || {
            let heard = signal::check_spliced(&player.bytes());
            let new = heard.get(1).copied().unwrap_or_default();
            so(heard.len() == 2 && new >= 100, format!("{heard:?}"))
        };
        eventually(PATIENCE, "its listener goes on", goes_on);
        let log = stage.mesh.nodes[first].log();
        assert!(log.contains("the encoder is back"), "it is logged");
        drop((new, old));
        let no_source = "no source";
        stage
            .mesh
            .wait_each_sees(RADIO, no_source, |mount| mount.source.is_none());
    }
}

#[test]
fn an_encoder_that_was_held_up_is_taken_again_too() {
    let Some(stage) = Stage::set() else { return };
    for second in [0, 1] {
        // Half a minute at once: the node stops reading.
        let (old, _player) = stage.on_air_ahead(0, (0..1_200).flat_map(frame).collect());
        stage.network.cut_connection(old.socket());
        let begun = Instant::now();
        let node = &stage.mesh.nodes[second];
        let (new, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
        let took = begun.elapsed();
        println!("{} takes it after {took:?}", node.name());
        assert_eq!(head.status, 200, "{head:?}");
        assert!(took < AT_ONCE, "{took:?}");
        drop((new, old));
        let no_source = "no source";
        stage
            .mesh
            .wait_each_sees(RADIO, no_source, |mount| mount.source.is_none());
    }
}

#[test]
fn nobody_else_gets_the_place_of_a_dead_connection() {
    let Some(stage) = Stage::set() else { return };
    let (old, _player) = stage.on_air(0);
    stage.network.cut_connection(old.socket());
    for node in &stage.mesh.nodes {
        let (head, took) = log_in_for(node, Ipv4Addr::new(192, 0, 2, 7));
        println!("{} refuses another address after {took:?}", node.name());
        assert_eq!(head.status, 403, "{head:?}");
    }
    let (head, took) = log_in_for(&stage.mesh.nodes[1], stage.network.own_ip());
    assert_eq!(head.status, 200, "{head:?}");
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn an_encoder_gets_its_own_place_back_on_a_full_node() {
    let Some(stage) = Stage::set_with(&["--max-sources", "1"]) else {
        return;
    };
    const IN_USE: &str = "HTTP/1.1 403 Mountpoint in use";
    let (old, _player) = stage.on_air(0);
    let node = &stage.mesh.nodes[0];
    let (_, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.lines[0], IN_USE, "the old connection is alive");
    stage.network.cut_connection(old.socket());
    let (head, _) = log_in_for(node, Ipv4Addr::new(192, 0, 2, 7));
    assert_eq!(head.lines[0], IN_USE, "another address");
    stage.mesh.create_mount("/other.mp3", PASSWORD);
    let (_, head) = knock(&node.address(), "/other.mp3", PASSWORD).unwrap();
    assert_eq!(head.lines[0], "HTTP/1.1 403 too many sources connected");
    let begun = Instant::now();
    let (mut new, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    new.send(frames()).unwrap();
    let took = begun.elapsed();
    println!("taken after {took:?}");
    assert!(took < AT_ONCE, "{took:?}");
    let (_, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.lines[0], IN_USE, "the place is taken once");
}

#[test]
fn a_mount_is_taken_over_on_a_full_node() {
    let mesh = TestMesh::start_with(1, |_, setup| setup.with(&["--max-sources", "1"]));
    let node = &mesh.nodes[0];
    node.create_mount_with(RADIO, PASSWORD, "\"takeover\": \"takeover\"");
    let old = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let (mut new, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let (_, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.status, 403, "the place is taken once: {head:?}");
    new.send(frames()).unwrap();
    eventually(PATIENCE, "the first has to go", || {
        so(old.is_closed(), "it is still on air".to_owned())
    });
}

#[test]
fn a_living_encoder_keeps_its_place_from_its_double() {
    let Some(stage) = Stage::set() else { return };
    let source = KnownSource::start(&stage.mesh.nodes[0], RADIO, PASSWORD);
    stage.mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", stage.mesh.nodes[1].url()));
    player.wait_for(FRAME_BYTES);
    for node in stage.mesh.nodes.iter().chain(&stage.mesh.nodes) {
        let begun = Instant::now();
        let (_, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
        println!(
            "{} refuses its double after {:?}",
            node.name(),
            begun.elapsed()
        );
        assert_eq!(head.status, 403, "{head:?}");
    }
    player.wait_for_more(20 * FRAME_BYTES);
    signal::check(&player.bytes());
    assert!(!source.is_closed());
    assert!(player.longest_gap() < AT_ONCE, "{:?}", player.longest_gap());
}
