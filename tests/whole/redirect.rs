//! A listener is sent to the node that serves it, once, by an address that any player understands.

use crate::support::http::{Head, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Two nodes: the first, in front, carries the stream and serves no listener; so all that ask it are redirected.
fn front_and_back(more: &[&str]) -> TestMesh {
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => setup.with(more),
    });
    mesh.create_mount(RADIO, PASSWORD);
    mesh
}

fn answer(node: &TestNode, target: &str) -> Head {
    ask_for_stream(&format!("{}{target}", node.url()))
        .unwrap()
        .1
}

/// A location without the tag of the passage, which is another one each time.
fn without_tag(location: &str) -> String {
    let (before, after) = location.split_once("/_stream/n1.").expect("a tag");
    let (tag, rest) = after.split_once('/').expect("a mount");
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(tag.len() == 24 && tag.bytes().all(plain), "{location}");
    format!("{before}/_stream/n1/{rest}")
}

#[test]
fn a_redirect_keeps_the_query_and_is_uncached() {
    let mesh = front_and_back(&[]);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let back = mesh.nodes[1].url();
    for (target, rest) in [
        (RADIO, ""),
        ("/radio.mp3?token=A%20b&x=1", "?token=A%20b&x=1"),
        ("/radio.mp3?", "?"),
    ] {
        let head = answer(&mesh.nodes[0], target);
        assert_eq!(
            without_tag(head.location()),
            format!("{back}/_stream/n1/radio.mp3{rest}")
        );
        let cache = head.header("cache-control").unwrap_or_default();
        assert!(cache.contains("no-store"), "{head:?}");
        assert_eq!(head.header("access-control-allow-origin"), Some("*"));
        assert_eq!(head.header("content-length"), Some("0"));
    }
    let player = Player::tune_in(&format!("{}{RADIO}", mesh.nodes[0].url()));
    assert_eq!(
        without_tag(&player.url),
        format!("{back}/_stream/n1/radio.mp3")
    );
    player.wait_for_more(20 * FRAME_BYTES);
    signal::check(&player.bytes());
}

#[test]
fn a_redirect_uses_the_lower_case_public_url() {
    let mesh = front_and_back(&["--public-url", "http://Radio2.Example:8000"]);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let head = answer(&mesh.nodes[0], RADIO);
    let wanted = "http://radio2.example:8000/_stream/n1/radio.mp3";
    assert_eq!(without_tag(head.location()), wanted);
}

#[test]
fn a_redirected_listener_is_never_redirected_again() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let mut players = Vec::new();
    for round in 0..4 {
        for node in &mesh.nodes {
            let url = format!("{}/_stream/n1{RADIO}?round={round}", node.url());
            let player = Player::tune_in(&url);
            assert_eq!(player.url, url, "served where it was sent");
            players.push(player);
        }
    }
    for player in &players {
        player.wait_for_more(20 * FRAME_BYTES);
        signal::check(&player.bytes());
    }
}

#[test]
fn listeners_of_one_node_are_spread_over_all() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    // A new node takes few listeners at first: the mesh is to be out of that time before they are counted.
    let url = format!("{}{RADIO}", mesh.nodes[2].url());
    let players: Vec<Player> = (0..60).map(|_| Player::tune_in(&url)).collect();
    for node in &mesh.nodes {
        let here = players.iter().filter(|it| it.url.starts_with(&node.url()));
        let here = here.count();
        assert!(
            here >= 5,
            "{here} of {} are at {}",
            players.len(),
            node.name()
        );
    }
}

#[test]
fn a_stream_begins_with_the_head_that_icecast_sends() {
    let mesh = TestMesh::start(1);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    let head = answer(&mesh.nodes[0], RADIO); // at once: what is sent here is heard here
    assert_eq!(head.lines[0], "HTTP/1.0 200 OK", "{head:?}");
    for (name, value) in [
        ("content-type", "audio/mpeg"),
        ("connection", "close"),
        ("cache-control", "no-cache, no-store"),
        ("pragma", "no-cache"),
        ("icy-name", "Known"),
        ("icy-genre", "Test"),
        ("icy-br", "128"),
        ("icy-pub", "0"),
        ("icy-url", "http://known.example/"),
        ("icy-description", "Every byte"),
    ] {
        assert_eq!(head.header(name), Some(value), "{name} in {head:?}");
    }
    for never in ["content-length", "transfer-encoding", "icy-metaint"] {
        assert_eq!(head.header(never), None, "{head:?}");
    }
    let missing = get(&mesh.nodes[0].address(), "/nothing.mp3").unwrap();
    assert_eq!(missing.head.status, 404);
}
