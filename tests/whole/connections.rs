//! Connections as some programs use them: closed in one direction, or only to look what there is.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::http::{Answer, Connection, split};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The size of a second as it is sent, bytes: 128 kbit/s.
const STREAM_BYTES: usize = 16_000;
/// How much a listener is to hear: the five seconds that it gets at once, and three more.
const HEARD_BYTES: usize = 8 * STREAM_BYTES;
/// The time that is "at once" on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(1_500);

fn on_air() -> (TestNode, KnownSource) {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&node, RADIO, PASSWORD);
    (node, source)
}

fn listeners(node: &TestNode) -> u32 {
    let mounts = node.status().mounts.into_iter();
    mounts.map(|mount| mount.listeners).sum()
}

/// Sends a request and closes the sending half behind it.
fn half_closed(url: &str, method: &str) -> Connection {
    let (address, target) = split(url);
    let mut connection = Connection::open(address).unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    connection.send(request).unwrap();
    connection.socket().shutdown(Shutdown::Write).unwrap();
    connection
}

fn answer(mut connection: Connection) -> Answer {
    let head = connection.head().unwrap();
    let body = connection.body(&head).unwrap();
    Answer { head, body }
}

#[test]
fn a_half_closed_listener_hears_on() {
    let (node, _source) = on_air();
    let mut listener = half_closed(&format!("{}{RADIO}", node.url()), "GET");
    assert_eq!(listener.head().unwrap().status, 200);
    let (begun, mut heard) = (Instant::now(), 0);
    while heard < HEARD_BYTES {
        let bytes = listener.some(HEARD_BYTES).unwrap().len();
        assert_ne!(
            bytes,
            0,
            "closed after {heard} bytes, {:?}",
            begun.elapsed()
        );
        heard += bytes;
    }
    println!("half closed: {heard} bytes in {:?}", begun.elapsed());
    assert_eq!(listeners(&node), 1);
    drop(listener);
    let (_, gone) = eventually(PATIENCE, "that it has gone is noticed", || {
        let listeners = listeners(&node);
        so(listeners == 0, listeners)
    });
    println!("closed: noticed after {gone:?}");
}

#[test]
fn nc_hears_on_behind_its_request() {
    if !have("nc") {
        return;
    }
    let (node, _source) = on_air();
    let (host, port) = node
        .address()
        .split_once(':')
        .map(|(host, port)| (host.to_owned(), port.to_owned()))
        .unwrap();
    let mut nc = Command::new("nc")
        .args(["-N", &host, &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let request = format!("GET {RADIO} HTTP/1.0\r\n\r\n");
    nc.stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let mut heard = vec![0; HEARD_BYTES];
    let whole = nc.stdout.take().unwrap().read_exact(&mut heard);
    nc.kill().unwrap();
    nc.wait().unwrap();
    whole.unwrap();
    assert!(heard.starts_with(b"HTTP/1.0 200 OK\r\n"));
}

#[test]
fn every_entrance_answers_a_half_closed_client() {
    let mesh = TestMesh::start_with(2, |number, setup| match number {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => setup,
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let url = mesh.nodes[0].url();
    let ask = |method: &str, target: &str| answer(half_closed(&format!("{url}{target}"), method));
    for (method, target, status) in [
        ("GET", "/radio.mp3.m3u", 200),
        ("GET", "/status.json", 200),
        ("GET", "/", 200),
        ("GET", "/livez", 200),
        ("GET", "/radio.mp3", 302),
        ("GET", "/nothing.mp3", 404),
        ("OPTIONS", "/radio.mp3", 204),
        ("PUT", "/radio.mp3", 401),
        ("SOURCE", "/radio.mp3", 401),
        (
            "GET",
            "/admin/metadata?mode=updinfo&mount=/radio.mp3&song=A",
            401,
        ),
    ] {
        let got = ask(method, target).head.status;
        assert_eq!(got, status, "{method} {target}");
    }
    let location = ask("GET", RADIO).head.location().to_owned();
    let mut sent_on = half_closed(&location, "GET");
    assert_eq!(sent_on.head().unwrap().status, 200);
    assert_eq!(sent_on.some(1).unwrap().len(), 1);
}

/// Asks for a stream as Safari does, with this range.
fn safari(url: &str, range: &str) -> Connection {
    let (address, target) = split(url);
    let mut connection = Connection::open(address).unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: AppleCoreMedia/1.0\r\nRange: bytes={range}\r\n\r\n"
    );
    connection.send(request).unwrap();
    connection
}

fn status(connection: &mut Connection) -> u16 {
    connection.head().unwrap().status
}

fn wait_listeners(node: &TestNode, wanted: u32) {
    eventually(PATIENCE, &format!("{wanted} listeners"), || {
        let listeners = listeners(node);
        so(listeners == wanted, listeners)
    });
}

#[test]
fn a_probing_player_takes_the_last_place_once() {
    let node = Setup::named("n1").with(&["--max-listeners", "1"]).start();
    node.create_mount_with(RADIO, PASSWORD, r#""max_listeners": 1"#);
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let front = format!("{}{RADIO}", node.url());
    for url in [
        front.clone(),
        format!("{front}?redirect=no"),
        format!("{}/_stream/n1{RADIO}", node.url()),
    ] {
        for closes_first in [false, true] {
            // That the listener before has gone is gossiped within a second.
            let (look, _) = eventually(PATIENCE, "the place is free", || {
                let mut look = safari(&url, "0-1");
                match status(&mut look) {
                    200 => Ok(look),
                    refused => Err(refused),
                }
            });
            wait_listeners(&node, 1);
            let look = Some(look).filter(|_| !closes_first);
            let mut listener = safari(&url, "0-");
            assert_eq!(status(&mut listener), 200, "{url}, {closes_first}");
            let mut heard = 0;
            while heard < STREAM_BYTES {
                heard += listener.some(STREAM_BYTES).unwrap().len();
            }
            assert_eq!(listeners(&node), 1, "{url}, {closes_first}");
            if let Some(mut look) = look {
                // What it was given meanwhile, and then the end.
                while !look.some(STREAM_BYTES).unwrap().is_empty() {}
            }
            let mut other = Connection::open(&node.address()).unwrap();
            other.send(format!("GET {RADIO} HTTP/1.0\r\n\r\n")).unwrap();
            let refused = status(&mut other);
            assert!(
                [403, 503].contains(&refused),
                "the place is taken: {refused}"
            );
            drop(listener);
            wait_listeners(&node, 0);
        }
    }
}

#[test]
fn a_probing_player_counts_once_where_redirected() {
    let mesh = TestMesh::start_with(2, |number, setup| match number {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => setup.with(&["--max-listeners", "1"]),
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let front = format!("{}{RADIO}", mesh.nodes[0].url());
    let mut streams = Vec::new();
    for range in ["0-1", "0-"] {
        let sent_on = safari(&front, range).head().unwrap();
        let mut stream = safari(sent_on.location(), range);
        assert_eq!(status(&mut stream), 200, "{range}");
        wait_listeners(&mesh.nodes[1], 1);
        streams.push(stream);
    }
    assert_eq!(listeners(&mesh.nodes[1]), 1);
    assert_eq!(streams[1].some(1).unwrap().len(), 1);
}

/// How a HEAD of a target is answered, and after how long.
fn look(node: &TestNode, target: &str) -> (u16, Duration) {
    let begun = Instant::now();
    let mut connection = node.connect();
    let request = format!("HEAD {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    connection.send(request).unwrap();
    (connection.head().unwrap().status, begun.elapsed())
}

#[test]
fn a_head_request_is_answered_at_once() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let passed = format!("/_stream/n1{RADIO}");
    let look_everywhere = |state: &str, status: u16| {
        for node in &mesh.nodes {
            for target in [RADIO, &passed] {
                let (got, after) = look(node, target);
                println!(
                    "{state}: HEAD {target} at {}: {got} after {after:?}",
                    node.name()
                );
                assert_eq!(got, status, "{state}: {target}");
                assert!(after < AT_ONCE, "{state}: {target}: {after:?}");
            }
        }
    };
    look_everywhere("never on air", 404);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    look_everywhere("on air", 200);
    drop(source);
    mesh.wait_each_sees(RADIO, "no source", |mount| mount.source.is_none());
    assert!(mesh.nodes[0].status().mounts[0].is_lingering());
    // It may have sent a moment ahead of its time.
    eventually(PATIENCE, "all that it has sent has sounded", || {
        let statuses = mesh.nodes.iter().map(|node| look(node, RADIO).0);
        let statuses: Vec<u16> = statuses.collect();
        so(statuses == [404, 404], format!("{statuses:?}"))
    });
    look_everywhere("its source has just gone", 404);
}
