//! The limits that a mount sets for its listeners: how long each of them listens, and how many one address has.

use std::time::{Duration, Instant};

use crate::support::http::{Connection, Head};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// A player that probes: the first two bytes first, as Safari does.
const PROBE: &str = "User-Agent: Safari\r\nRange: bytes=0-1\r\n";

/// A node that believes its clients about their address, with a mount on air.
fn on_air(settings: &str) -> (TestNode, KnownSource) {
    let node = Setup::named("n1").with(&["--trusted-proxies", "127.0.0.1"]);
    let node = node.start();
    node.create_mount_with(RADIO, PASSWORD, settings);
    let source = KnownSource::start(&node, RADIO, PASSWORD);
    let look = || so(answer(&node, "192.0.2.99", "").1.status == 200, "not yet");
    eventually(PATIENCE, "the mount is on air", look);
    let gone = || so(listeners(&node) == 0, "the first look counts");
    eventually(PATIENCE, "nobody listens", gone);
    (node, source)
}

fn listeners(node: &TestNode) -> u32 {
    let own = node.opinion_of(node.name());
    own.expect("it knows itself").listeners
}

/// Asks for the mount as a client of this address; what follows the head can be read from the connection.
fn answer(node: &TestNode, ip: &str, more: &str) -> (Connection, Head) {
    let mut connection = node.connect();
    let request = format!("GET {RADIO} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {ip}\r\n{more}\r\n");
    connection.send(request).unwrap();
    let head = connection.head().unwrap();
    (connection, head)
}

fn listens(node: &TestNode, ip: &str, more: &str) -> Connection {
    let (connection, head) = answer(node, ip, more);
    assert_eq!(head.status, 200, "{head:?}");
    connection
}

fn is_refused(node: &TestNode, ip: &str) {
    let (mut connection, head) = answer(node, ip, "");
    let body = connection.body(&head).unwrap();
    let body = String::from_utf8(body).unwrap();
    assert_eq!(head.status, 403, "{head:?}");
    assert_eq!(body, "too many connections from your address");
    assert_eq!(head.header("access-control-allow-origin"), Some("*"));
}

/// Waits until an address may listen again, and listens.
fn listens_soon(node: &TestNode, ip: &str) -> Connection {
    let look = || {
        let (connection, head) = answer(node, ip, "");
        so(head.status == 200, format!("{head:?}")).map(|()| connection)
    };
    eventually(PATIENCE, "a place is free again", look).0
}

#[test]
fn a_listener_is_disconnected_behind_a_whole_frame_in_time() {
    let (node, _source) = on_air(r#""max_listener_s": 3"#);
    for more in ["", "Icy-MetaData: 1\r\n"] {
        let begun = Instant::now();
        let (mut listener, head) = answer(&node, "192.0.2.1", more);
        assert_eq!(head.status, 200, "{head:?}");
        let heard = listener.body(&head).unwrap();
        let lasted = begun.elapsed();
        let on_time = Duration::from_secs(2)..Duration::from_secs(4);
        assert!(on_time.contains(&lasted), "{lasted:?}");
        if more.is_empty() {
            assert_eq!(heard.len() % FRAME_BYTES, 0, "{} bytes", heard.len());
            let heard = signal::check(&heard);
            assert!(heard.next - heard.first > 75, "{heard:?}");
        }
    }
    // A player may see its end before that is logged.
    eventually(PATIENCE, "both are logged", || {
        let log = node.log();
        so(log.matches("why=TimeIsUp").count() == 2, log)
    });
}

#[test]
fn an_address_has_so_many_listeners_of_a_mount() {
    let (node, _source) = on_air(r#""max_per_address": 2"#);
    let first = listens(&node, "203.0.113.1", "");
    let _second = listens(&node, "203.0.113.1", "");
    is_refused(&node, "203.0.113.1");
    // Those of others, and of the same line in another mount, are none of its business.
    let _other = listens(&node, "203.0.113.2", "");
    let line = ["2001:db8::1", "2001:db8::2"].map(|ip| listens(&node, ip, ""));
    is_refused(&node, "2001:db8::3");
    let _neighbour = listens(&node, "2001:db8:0:1::1", "");
    let tags = ["/_stream/n1/radio.mp3"].map(|path| {
        let mut sent = node.connect();
        let head = format!("GET {path} HTTP/1.1\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n");
        sent.send(head).unwrap();
        sent.head().unwrap().status
    });
    assert_eq!(tags, [403], "it counts by every address of the mount");
    drop((first, line));
    let _third = listens_soon(&node, "203.0.113.1");
    let log = node.log();
    assert!(log.contains("max_per_address"), "{log}");
}

#[test]
fn a_player_that_probes_is_one_listener_of_its_address() {
    let (node, _source) = on_air(r#""max_per_address": 1"#);
    for _ in 0..2 {
        let _probe = listens(&node, "203.0.113.1", PROBE);
        let player = listens(&node, "203.0.113.1", "User-Agent: Safari\r\n");
        is_refused(&node, "203.0.113.1");
        drop(player);
        let gone = || so(listeners(&node) == 0, "it is still there");
        eventually(PATIENCE, "the player has gone", gone);
    }
}
