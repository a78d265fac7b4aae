//! The requests that are noted, and how: beside a stock Icecast, and for GoAccess.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::lines::AccessLine;
use super::{PASSWORD, RADIO, log, requests, wait_for, whole_lines};
use crate::support::http::{self, basic};
use crate::support::icecast::Icecast;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tool::have;

/// A node with a source.
fn on_air(setup: Setup) -> (TestNode, KnownSource) {
    let node = setup.start();
    node.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&node, RADIO, PASSWORD);
    (node, source)
}

/// All bytes of an answer, as they came.
fn bytes_of(address: &str, request: &str) -> usize {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).unwrap();
    heard.len()
}

/// Listens for two seconds and leaves; how many bytes came.
fn listen(address: &str, head: &str) -> usize {
    let mut socket = TcpStream::connect(address).unwrap();
    let request = format!("GET {RADIO} HTTP/1.1\r\nHost: {address}\r\n{head}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let leaving = socket.try_clone().unwrap();
    let leaver = thread::spawn(move || {
        thread::sleep(Duration::from_millis(2_100)); // what is listened for
        leaving
            .shutdown(Shutdown::Write)
            .and_then(|()| leaving.shutdown(Shutdown::Read))
    });
    let mut heard = Vec::new();
    let _end = socket.read_to_end(&mut heard);
    let _gone: io::Result<()> = leaver.join().unwrap();
    heard.len()
}

/// The requests that both servers get.
fn ask_all(address: &str) {
    let wrong = basic("admin", "wrong");
    for request in [
        "GET /nothing-here HTTP/1.1\r\nHost: a\r\nUser-Agent: tester/1.0\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /nothing-here?token=sesame HTTP/1.0\r\nReferer: http://radio.example/page\r\n\r\n".to_owned(),
        format!("GET {RADIO}.m3u HTTP/1.0\r\nUser-Agent: a \"quoted\\ one\"\r\n\r\n"),
        "GET /status-json.xsl HTTP/1.0\r\nUser-Agent: tester/1.0\r\n\r\n".to_owned(),
        format!("GET /admin/stats HTTP/1.0\r\nAuthorization: {wrong}\r\n\r\n"),
        "GET /admin/stats HTTP/1.0\r\nUser-Agent: tester/1.0\r\n\r\n".to_owned(),
    ] {
        assert!(bytes_of(address, &request) > 0, "{request}");
    }
    let heard = listen(address, "User-Agent: player/2.0 (it plays)\r\n");
    assert!(heard > 10_000, "{heard}");
}

#[test]
fn requests_are_noted_as_icecast_notes_them() {
    if !have("icecast2") {
        return;
    }
    let (node, source) = on_air(Setup::named("n1"));
    let icecast = Icecast::start(20, &[]);
    let theirs =
        KnownSource::start_at(&icecast.address(), RADIO, crate::support::icecast::PASSWORD);
    for address in [node.address(), icecast.address()] {
        eventually(PATIENCE, "the mount is on air", || {
            let playlist = http::get(&address, &format!("{RADIO}.m3u")).unwrap();
            so(playlist.head.status == 200, format!("{playlist:?}"))
        });
        ask_all(&address);
    }
    let at_icecast = || -> Vec<AccessLine> {
        let text = icecast.log("access.log");
        whole_lines(&text).map(AccessLine::read).collect()
    };
    let wait_for_both = |what: &str, is_it: fn(&AccessLine) -> bool| {
        wait_for(&node, what, is_it);
        eventually(PATIENCE, &format!("icecast2: {what}"), || {
            so(at_icecast().iter().any(is_it), icecast.log("access.log"))
        });
    };
    // Before the sources leave: listeners that have left are noticed when something is sent.
    wait_for_both("the listener", |line| line.agent.starts_with("player/"));
    drop((source, theirs));
    wait_for_both("the source", |line| line.request.starts_with("PUT "));
    let (ours, mut theirs) = (requests(&node), at_icecast());
    // It was asked whether it is there.
    theirs.retain(|line| line.request != "GET /status-json.xsl HTTP/1.1");
    assert!(theirs.len() >= 9, "{theirs:#?}");
    for line in &theirs {
        let mut wanted = line.asked();
        // Icecast shows what it does not like as dots.
        wanted.3 = wanted
            .3
            .replace("a .quoted. one.", "a \\x22quoted\\x5C one\\x22");
        let found = ours.iter().find(|it| it.asked() == wanted);
        let found = found.unwrap_or_else(|| panic!("{line:?} is not among {ours:#?}"));
        if line.request.contains(&format!(" {RADIO} ")) {
            assert!(
                found.seconds.abs_diff(line.seconds) <= 1,
                "{found:?} {line:?}"
            );
        }
        if line.request.starts_with("PUT") {
            assert_eq!(found.bytes, line.bytes, "the answer to a source");
            assert_eq!(found.user, "source");
        }
        if line.status == 401 {
            assert_eq!(found.user, "-", "a wrong login may be a password");
        }
    }
    assert!(!log(&node, "access.log").contains("sesame"));
}

#[test]
fn the_bytes_are_those_that_the_client_got() {
    let (node, _source) = on_air(Setup::named("n1"));
    let address = node.address();
    for (agent, request) in [
        ("page", "GET / HTTP/1.0"),
        ("json", "GET /status.json HTTP/1.0"),
        ("none", "GET /none HTTP/1.0"),
        ("head", "HEAD /radio.mp3 HTTP/1.0"),
        ("list", "GET /radio.mp3.m3u HTTP/1.0"),
    ] {
        let got = bytes_of(
            &address,
            &format!("{request}\r\nUser-Agent: {agent}\r\n\r\n"),
        );
        let line = wait_for(&node, agent, |line| line.agent == agent);
        assert_eq!(line.bytes, got, "{line:?}");
    }
    let before = listen(&address, "User-Agent: stream\r\n");
    let line = wait_for(&node, "the listener", |line| line.agent == "stream");
    // What was still on the way when it left has been sent.
    assert!(
        line.bytes >= before && line.bytes < 2 * before,
        "{line:?} {before}"
    );
    assert_eq!((line.status, line.seconds), (200, 2));
}

#[test]
fn each_request_of_a_kept_connection_is_noted_once() {
    let node = Setup::named("n1").start();
    let mut connection = node.connect();
    for path in ["/livez", "/status.json", "/none", "/livez"] {
        let ask =
            format!("GET {path}?token=sesame HTTP/1.1\r\nHost: a\r\nUser-Agent: kept\r\n\r\n");
        connection.send(ask).unwrap();
        let head = connection.head().unwrap();
        connection.body(&head).unwrap();
    }
    let kept = || -> Vec<String> {
        let lines = requests(&node).into_iter().filter(|it| it.agent == "kept");
        lines
            .map(|it| format!("{} {}", it.request, it.status))
            .collect()
    };
    // The last one too, though the connection is still open.
    eventually(PATIENCE, "all four", || {
        so(kept().len() == 4, format!("{:?}", kept()))
    });
    assert_eq!(
        kept(),
        [
            "GET /livez HTTP/1.1 200",
            "GET /status.json HTTP/1.1 200",
            "GET /none HTTP/1.1 404",
            "GET /livez HTTP/1.1 200"
        ]
    );
    let all = log(&node, "access.log");
    assert!(
        !all.contains("sesame") && !all.contains("127.0.0.1"),
        "{all}"
    );
}

#[test]
fn a_shoutcast_source_is_noted_with_its_mount() {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    let mut connection = node.connect();
    connection.send(format!("{PASSWORD}:{RADIO}\r\n")).ok();
    drop(connection);
    let mut connection = node.connect();
    connection.send(format!("{RADIO}:{PASSWORD}\r\n")).unwrap();
    assert_eq!(connection.some(3).unwrap(), b"OK2");
    connection
        .send("user-agent: old one\r\ncontent-type: audio/mpeg\r\n\r\n")
        .unwrap();
    drop(connection);
    let line = wait_for(&node, "the source", |line| {
        line.request.starts_with("SOURCE")
    });
    assert_eq!(line.request, "SOURCE /radio.mp3 HTTP/1.0");
    assert_eq!((line.status, &*line.agent), (200, "old one"));
    assert!(!log(&node, "access.log").contains(PASSWORD));
}

#[test]
fn goaccess_reads_every_line_in_every_mode() {
    if !have("goaccess") {
        return;
    }
    for privacy in ["full", "truncated", "hashed", "none"] {
        let mesh = TestMesh::start_with(2, |_, setup| {
            setup.configured(&format!("[logs]\naddress_privacy = '{privacy}'\n"))
        });
        mesh.create_mount(RADIO, PASSWORD);
        let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
        mesh.wait_on_air(RADIO);
        for node in &mesh.nodes {
            let player = Player::tune_in(&format!("{}{RADIO}", node.url()));
            player.wait_for(20_000);
            ask_all(&node.address());
            let injected =
                "GET /a\" HTTP/1.0\r\nUser-Agent: \" 200 1 \\\r\nReferer: \u{e9}\u{9b}[31m\r\n\r\n";
            let _refused = http::ask(&node.address(), injected);
        }
        let mut all = 0;
        for node in &mesh.nodes {
            wait_for(node, "the listener's end", |it| {
                it.agent.starts_with("player/")
            });
            let lines = log(node, "access.log");
            let clients = match privacy {
                "full" => "127.0.0.1 - ",
                "truncated" => "127.0.0.0 - ",
                "hashed" => "100::",
                _ => "0.0.0.0 - ",
            };
            assert!(
                lines.lines().all(|line| line.starts_with(clients)),
                "{privacy}: {lines}"
            );
            all = read_by_goaccess(node, lines.lines().count());
        }
        assert!(all > 8, "{privacy}: {all} lines");
        drop(source);
    }
}

/// How many lines of a node's log GoAccess reads, by its own count; it must read these, all of them.
fn read_by_goaccess(node: &TestNode, lines: usize) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (copy, report) = (
        folder.path().join("access.log"),
        folder.path().join("report.json"),
    );
    let text = log(node, "access.log");
    let text: Vec<&str> = text.lines().take(lines).collect();
    std::fs::write(&copy, text.join("\n") + "\n").unwrap();
    let mut goaccess = Command::new("goaccess");
    goaccess.arg("--config-file");
    goaccess.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/share/goaccess.conf"));
    goaccess.arg("--output").arg(&report).arg(&copy);
    let output = goaccess.env("TERM", "dumb").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let count = |name: &str| report["general"][name].as_u64().unwrap();
    assert_eq!(count("failed_requests"), 0, "{}", text.join("\n"));
    assert_eq!(count("valid_requests"), lines as u64);
    count("valid_requests")
}

#[test]
fn json_lines_say_the_same() {
    let (node, source) = on_air(Setup::named("n1").configured("[logs]\nformat = 'json'\n"));
    ask_all(&node.address());
    let read = |name: &str| -> Vec<Value> {
        let text = log(&node, name);
        whole_lines(&text)
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    };
    let find = |method: &str, path: &str| {
        let wanted = |it: &Value| it["method"] == method && it["path"] == path;
        let look = || read("access.log").into_iter().find(wanted).ok_or("not yet");
        eventually(PATIENCE, path, look).0
    };
    let listener = find("GET", RADIO);
    assert_eq!(listener["agent"], "player/2.0 (it plays)");
    assert!(
        (2.0..4.0).contains(&listener["seconds"].as_f64().unwrap()),
        "{listener}"
    );
    assert_eq!(
        (&listener["node"], &listener["client"]),
        (&"n1".into(), &"127.0.0.0".into())
    );
    drop(source);
    let source = find("PUT", RADIO);
    assert_eq!(
        (&source["user"], &source["bytes"]),
        (&"source".into(), &19.into())
    );
    let playlist = find("GET", "/radio.mp3.m3u");
    assert_eq!(playlist["agent"], "a \"quoted\\ one\"");
    assert_eq!(playlist["referer"], Value::Null);
}

#[test]
fn a_hash_is_the_same_for_one_client_of_a_node() {
    let node = Setup::named("n1")
        .configured("[logs]\naddress_privacy = 'hashed'\n")
        .start();
    for _ in 0..2 {
        http::get(&node.address(), "/livez").unwrap();
    }
    eventually(PATIENCE, "both", || {
        so(requests(&node).len() >= 2, log(&node, "access.log"))
    });
    let clients: Vec<String> = requests(&node).into_iter().map(|it| it.client).collect();
    assert!(clients.iter().all(|it| *it == clients[0]), "{clients:?}");
    let discarded: std::net::Ipv6Addr = clients[0].parse().unwrap();
    assert_eq!(discarded.segments()[0], 0x100);
}

#[test]
fn a_listener_that_is_sent_on_is_noted_at_both_nodes() {
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "1"]),
        _ => setup,
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = || Player::tune_in(&format!("{}{RADIO}?token=sesame", mesh.nodes[0].url()));
    let players = [player(), player(), player()];
    let served = players
        .iter()
        .map(|it| mesh.named(http::split(&it.url).0))
        .collect::<Vec<_>>();
    assert!(served.contains(&mesh.nodes[1].name()), "{served:?}");
    drop(players);
    let request = format!("GET {RADIO} HTTP/1.1");
    let is_it = |status| {
        let request = request.clone();
        move |line: &AccessLine| line.request == request && line.status == status
    };
    wait_for(&mesh.nodes[0], "the redirect", is_it(302));
    wait_for(&mesh.nodes[1], "the stream", is_it(200));
    for node in &mesh.nodes {
        let text = log(node, "access.log");
        assert!(
            !text.contains("sesame") && !text.contains("_stream"),
            "{text}"
        );
    }
}
