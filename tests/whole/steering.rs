//! The settings of operators that say where listeners are sent: obeyed on all nodes, at once and after a restart.

use std::fs;

use serde_json::Value;

use crate::support::http::{Answer, Head, ask, get};
use crate::support::mesh::TestMesh;
use crate::support::mmdb;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// A mesh with a radio on air.
fn on_air(nodes: usize) -> (TestMesh, KnownSource) {
    let mesh = TestMesh::start(nodes);
    mesh.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    (mesh, source)
}

fn answer(node: &TestNode, target: &str) -> Head {
    ask_for_stream(&format!("{}{target}", node.url()))
        .unwrap()
        .1
}

/// Asks with headers of one's own.
fn answer_with(node: &TestNode, target: &str, headers: &str) -> Answer {
    let request = format!(
        "GET {target} HTTP/1.0\r\nHost: {}\r\n{headers}\r\n",
        node.address()
    );
    ask(&node.address(), &request).unwrap()
}

/// The node at which an answer has the listener hear the stream.
fn place(mesh: &TestMesh, asked: &TestNode, head: &Head) -> String {
    match head.status {
        200 => asked.name().to_owned(),
        302 => {
            let location = head.location();
            let mut nodes = mesh.nodes.iter();
            let node = nodes.find(|node| location.starts_with(&node.url()));
            node.map_or_else(|| location.to_owned(), |node| node.name().to_owned())
        }
        status => panic!("{status}: {head:?}"),
    }
}

fn set(node: &TestNode, target: &str, body: &str) {
    let answer = node.api("PATCH", target, body).unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
}

/// Waits until listeners that ask any node hear the stream at one of these only.
fn wait_only_at(mesh: &TestMesh, names: &[&str]) {
    eventually(PATIENCE, "everybody is sent there", || {
        for node in &mesh.nodes {
            for _ in 0..6 {
                let at = place(mesh, node, &answer(node, RADIO));
                so(
                    names.contains(&at.as_str()),
                    format!("{} sends to {at}", node.name()),
                )?;
            }
        }
        Ok::<_, String>(())
    });
}

#[test]
fn a_policy_is_obeyed_by_all_nodes() {
    let (mesh, _source) = on_air(3);
    set(&mesh.nodes[1], "/api/v1/nodes/n3", r#"{"tags":"big"}"#);
    set(
        &mesh.nodes[2],
        "/api/v1/policy",
        r#"{"policy":"tag(big), water"}"#,
    );
    wait_only_at(&mesh, &["n3"]);
    let bad = mesh.nodes[0].api("PATCH", "/api/v1/policy", r#"{"policy":"tag(big),watr"}"#);
    let bad = bad.unwrap();
    assert_eq!(bad.head.status, 400);
    let why = bad.text();
    assert!(why.contains("watr") && why.contains("water"), "{why}");
    let shown = mesh.nodes[0]
        .api("GET", "/api/v1/policy", "")
        .unwrap()
        .text();
    assert!(shown.contains("\"tag(big),water\""), "{shown}");
    // A mount's own policy goes before the mesh's; a node's name is a tag of it.
    set(
        &mesh.nodes[0],
        "/api/v1/mounts/radio.mp3",
        r#"{"policy":"tag(n2),random"}"#,
    );
    wait_only_at(&mesh, &["n2"]);
    set(
        &mesh.nodes[0],
        "/api/v1/mounts/radio.mp3",
        r#"{"policy":"tag(nobody)"}"#,
    );
    eventually(PATIENCE, "nobody is left", || {
        let head = answer(&mesh.nodes[0], RADIO);
        so(head.status == 503, format!("{}", head.status))
    });
    let head = answer(&mesh.nodes[0], RADIO);
    assert!(head.header("retry-after").is_some(), "{head:?}");
}

#[test]
fn maintenance_and_weight_outlive_a_restart() {
    let (mut mesh, _source) = on_air(3);
    set(
        &mesh.nodes[0],
        "/api/v1/nodes/n3",
        r#"{"maintenance":"on"}"#,
    );
    set(&mesh.nodes[0], "/api/v1/nodes/n2", r#"{"weight":0}"#);
    wait_only_at(&mesh, &["n1"]);
    mesh.nodes[2].stop();
    mesh.nodes[2].restart();
    mesh.wait_agreed();
    let status = mesh.nodes[2].opinion_of("n3").expect("itself");
    assert!(status.traits.maintenance, "kept on its disk");
    wait_only_at(&mesh, &["n1"]);
    set(
        &mesh.nodes[1],
        "/api/v1/nodes/n3",
        r#"{"maintenance":"off","weight":1000}"#,
    );
    eventually(PATIENCE, "it takes listeners again", || {
        let at = place(&mesh, &mesh.nodes[0], &answer(&mesh.nodes[0], RADIO));
        so(at == "n3", at)
    });
    let unknown = mesh.nodes[0].api("PATCH", "/api/v1/nodes/n9", r#"{"weight":1}"#);
    assert_eq!(unknown.unwrap().head.status, 404);
    for bad in [r#"{"weight":"heavy"}"#, r#"{"colour":"red"}"#, "[]", "{}"] {
        let refused = mesh.nodes[0].api("PATCH", "/api/v1/nodes/n3", bad).unwrap();
        assert!((400..500).contains(&refused.head.status), "{bad}");
    }
}

#[test]
fn a_player_without_redirects_is_served_at_once() {
    let mesh = TestMesh::start_with(2, |_, setup| setup);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let asked = &mesh.nodes[1];
    set(
        asked,
        "/api/v1/policy",
        r#"{"policy":"tag(n1)","proxy_agents":"ESP32\nOld Radio"}"#,
    );
    wait_only_at(&mesh, &["n1"]);
    assert_eq!(answer(asked, "/radio.mp3?redirect=no").status, 200);
    let head_of = |agent: &str| {
        let mut connection = asked.connect();
        let request = format!("GET {RADIO} HTTP/1.0\r\nUser-Agent: {agent}\r\n\r\n");
        connection.send(request).unwrap();
        connection.head().unwrap().status
    };
    assert_eq!(head_of("esp32-radio/2"), 200);
    assert_eq!(head_of("VLC/3.0"), 302);
    set(asked, "/api/v1/mounts/radio.mp3", r#"{"redirect":false}"#);
    eventually(
        PATIENCE,
        "the mount is served where it is asked for",
        || so(head_of("VLC/3.0") == 200, "redirected"),
    );
}

#[test]
fn listeners_without_room_overflow_to_the_operators_server() {
    let mesh = TestMesh::start_with(2, |_, setup| setup.with(&["--max-listeners", "2"]));
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let body = r#"{"overflow_url":"https://cdn.example/radio","overflow_percent":50}"#;
    set(&mesh.nodes[0], "/api/v1/mounts/radio.mp3", body);
    let url = format!("{}{RADIO}", mesh.nodes[0].url());
    let players: Vec<Player> = (0..2).map(|_| Player::tune_in(&url)).collect();
    eventually(PATIENCE, "half full overflows", || {
        let head = answer(&mesh.nodes[1], RADIO);
        so(
            head.location() == "https://cdn.example/radio",
            format!("{head:?}"),
        )
    });
    drop(players);
}

#[test]
fn candidates_and_their_reasons_are_shown() {
    let (mesh, _source) = on_air(3);
    let answer = get(
        &mesh.nodes[1].address(),
        "/api/v1/candidates?mount=/radio.mp3",
    )
    .unwrap();
    assert_eq!(answer.head.status, 200, "without a password");
    assert_eq!(answer.head.header("access-control-allow-origin"), Some("*"));
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    let candidates = told["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 3, "{told}");
    for candidate in candidates {
        let (url, node) = (candidate["url"].as_str().unwrap(), &candidate["node"]);
        let named = mesh.nodes.iter().find(|it| *node == it.name()).unwrap();
        assert_eq!(url, format!("{}{RADIO}", named.url()), "it may be kept");
        Player::tune_in(url).wait_for_more(1);
    }
    let missing = get(&mesh.nodes[1].address(), "/api/v1/candidates?mount=/x.mp3").unwrap();
    assert_eq!(missing.head.status, 404);
    let target = "/api/v1/explain?mount=/radio.mp3&from=192.0.2.7";
    assert_eq!(
        get(&mesh.nodes[1].address(), target).unwrap().head.status,
        401
    );
    let explained = mesh.nodes[1].api("GET", target, "").unwrap();
    let explained: Value = serde_json::from_str(&explained.text()).unwrap();
    assert_eq!(
        explained["nodes"].as_array().unwrap().len(),
        3,
        "{explained}"
    );
    assert_eq!(explained["policy"], "weight,water");
    let sums: f64 = explained["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["probability"].as_f64().unwrap())
        .sum();
    assert!((sums - 1.0).abs() < 1e-9, "{explained}");
    let bad = mesh.nodes[1]
        .api("GET", "/api/v1/explain?mount=/radio.mp3&from=x", "")
        .unwrap();
    assert_eq!(bad.head.status, 400);
}

#[test]
fn a_playlist_names_the_best_nodes_first() {
    let (mesh, _source) = on_air(3);
    set(
        &mesh.nodes[0],
        "/api/v1/policy",
        r#"{"policy":"not_tag(n2),best"}"#,
    );
    wait_only_at(&mesh, &["n1", "n3"]);
    let m3u = get(&mesh.nodes[1].address(), "/radio.mp3.m3u")
        .unwrap()
        .text();
    let urls = urls(&m3u);
    assert!(urls.len() == 3 && !m3u.contains("_stream"), "{m3u}");
    assert_eq!(urls[2], format!("{}{RADIO}", mesh.nodes[1].url()));
    for url in &urls[..2] {
        assert!(!url.starts_with(&mesh.nodes[1].url()), "{m3u}");
        assert!(url.ends_with(RADIO) && !url.contains("_stream"), "{m3u}");
        Player::tune_in(url).wait_for_more(1);
    }
}

#[test]
fn a_playlist_reserves_no_place() {
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => setup,
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let back = format!("{}{RADIO}", mesh.nodes[1].url());
    for ending in [".m3u", ".pls", ".xspf"] {
        let target = format!("{RADIO}{ending}");
        let ask = || get(&mesh.nodes[0].address(), &target).unwrap().text();
        let first = ask();
        let again = (0..20).all(|_| ask() == first);
        assert!(again, "it is the same each time");
        assert!(
            first.contains(&back) && !first.contains("_stream"),
            "{first}"
        );
    }
    assert_eq!(pending(&mesh), 0, "nobody is expected");
}

/// The addresses in a playlist.
fn urls(m3u: &str) -> Vec<&str> {
    m3u.lines().filter(|line| !line.starts_with('#')).collect()
}

/// The listeners that n1 counts as on the way to n2, by its own explanation.
fn pending(mesh: &TestMesh) -> u64 {
    let target = "/api/v1/explain?mount=/radio.mp3";
    let explained = mesh.nodes[0].api("GET", target, "").unwrap();
    let explained: Value = serde_json::from_str(&explained.text()).unwrap();
    let nodes = explained["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["node"] == "n2").unwrap();
    node["prediction"]["pending"]["listeners"].as_u64().unwrap()
}

#[test]
fn a_client_that_asks_twice_is_expected_once() {
    let (mesh, _source) = on_air(2);
    set(&mesh.nodes[0], "/api/v1/policy", r#"{"policy":"tag(n2)"}"#);
    wait_only_at(&mesh, &["n2"]);
    eventually(PATIENCE, "nobody is on the way", || {
        so(pending(&mesh) == 0, "somebody is")
    });
    // Safari: two bytes, then everything.
    let probe = "User-Agent: Safari\r\nRange: bytes=0-1\r\n";
    let whole = "User-Agent: Safari\r\nRange: bytes=0-\r\n";
    let [first, second] = [probe, whole].map(|it| answer_with(&mesh.nodes[0], RADIO, it));
    assert_eq!(first.head.status, 302);
    assert_eq!(
        first.head.location(),
        second.head.location(),
        "the same answer"
    );
    assert_eq!(pending(&mesh), 1);
    // VLC: once where it is sent, and again. Were it counted twice, the next listener would not be expected.
    let url = first.head.location().to_owned();
    let _players = [Player::tune_in(&url), Player::tune_in(&url)];
    wait_listeners_at_n2(&mesh, 2);
    eventually(PATIENCE, "it has arrived", || {
        so(pending(&mesh) == 0, "not yet")
    });
    let other = answer_with(&mesh.nodes[0], RADIO, "User-Agent: other\r\n");
    assert_ne!(other.head.location(), first.head.location());
    assert_eq!(pending(&mesh), 1);
}

/// Waits until n1 has heard of so many listeners at n2. The same value tells which of them have arrived.
fn wait_listeners_at_n2(mesh: &TestMesh, listeners: u32) {
    eventually(PATIENCE, "n1 hears of them", || {
        let seen = mesh.nodes[0]
            .opinion_of("n2")
            .expect("it is there")
            .listeners;
        so(seen == listeners, format!("{seen} listeners"))
    });
}

#[test]
fn a_forged_tag_is_served_and_counts_for_nobody() {
    let (mesh, _source) = on_air(2);
    set(&mesh.nodes[0], "/api/v1/policy", r#"{"policy":"tag(n2)"}"#);
    wait_only_at(&mesh, &["n2"]);
    eventually(PATIENCE, "nobody is on the way", || {
        so(pending(&mesh) == 0, "somebody is")
    });
    let forged = format!(
        "{}/_stream/n1.{}{RADIO}",
        mesh.nodes[1].url(),
        "0".repeat(24)
    );
    let players: Vec<Player> = (0..3).map(|_| Player::tune_in(&forged)).collect();
    wait_listeners_at_n2(&mesh, players.len() as u32);
    let sent = answer(&mesh.nodes[0], RADIO);
    assert_eq!(sent.status, 302);
    assert_eq!(pending(&mesh), 1, "uncalled ones do not count");
}

#[test]
fn clients_of_https_stay_on_https_or_are_served() {
    let mesh = TestMesh::start_with(3, |index, setup| {
        let setup = setup.with(&["--trusted-proxies", "127.0.0.0/8"]);
        match index {
            0 => setup.with(&["--max-listeners", "0"]),
            1 => setup.with(&["--public-https-url", "https://two.example"]),
            _ => setup,
        }
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let https = "X-Forwarded-Proto: https\r\n";
    for _ in 0..4 {
        let answer = answer_with(&mesh.nodes[0], RADIO, https);
        let location = answer.head.location();
        assert!(
            location.starts_with("https://two.example/_stream/n1."),
            "{location}"
        );
        let plain = answer_with(&mesh.nodes[0], RADIO, "");
        assert!(
            plain.head.location().starts_with("http://127.0.0.1:"),
            "{:?}",
            plain.head
        );
    }
    let m3u = answer_with(&mesh.nodes[0], "/radio.mp3.m3u", https).text();
    let urls = urls(&m3u);
    assert!(urls.iter().all(|url| url.starts_with("https://")), "{m3u}");
    assert_eq!(urls.len(), 2, "{m3u}");
    // n3 itself has room, and was reached by HTTPS; n2 is the only other one to choose.
    set(
        &mesh.nodes[0],
        "/api/v1/nodes/n2",
        r#"{"maintenance":"on"}"#,
    );
    let mut status = 0;
    eventually(PATIENCE, "n3 serves it itself", || {
        let mut connection = mesh.nodes[2].connect();
        connection
            .send(format!("GET {RADIO} HTTP/1.0\r\n{https}\r\n"))
            .unwrap();
        status = connection.head().unwrap().status;
        so(status == 200, format!("{status}"))
    });
}

#[test]
fn a_mount_is_heard_in_its_countries_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("geo.mmdb");
    let known = [
        (("192.0.2.0", 24), mmdb::place("US", (40.7, -74.0))),
        (("198.51.100.0", 24), mmdb::place("DE", (52.5, 13.4))),
    ];
    fs::write(&file, mmdb::database("Test", &known)).unwrap();
    let file = file.display().to_string();
    let mesh = TestMesh::start_with(2, |_, setup| {
        setup.with(&["--geo-database", &file, "--trusted-proxies", "127.0.0.0/8"])
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    set(
        &mesh.nodes[0],
        "/api/v1/mounts/radio.mp3",
        r#"{"countries":"!us"}"#,
    );
    let head_from = |ip: &str, target: &str| {
        let mut connection = mesh.nodes[0].connect();
        let request = format!("GET {target} HTTP/1.0\r\nX-Forwarded-For: {ip}\r\n\r\n");
        connection.send(request).unwrap();
        connection.head().unwrap().status
    };
    for target in [RADIO, "/_stream/n2/radio.mp3", "/radio.mp3.m3u"] {
        assert_eq!(head_from("192.0.2.7", target), 403, "{target}");
        assert_ne!(head_from("198.51.100.7", target), 403, "{target}");
        assert_ne!(
            head_from("203.0.113.7", target),
            403,
            "{target}, from nowhere"
        );
    }
    let candidates = |ip: &str| {
        let asked = "/api/v1/candidates?mount=/radio.mp3";
        let header = format!("X-Forwarded-For: {ip}\r\n");
        let told: Value =
            serde_json::from_str(&answer_with(&mesh.nodes[0], asked, &header).text()).unwrap();
        told["candidates"].as_array().unwrap().len()
    };
    assert_eq!(
        (candidates("192.0.2.7"), candidates("198.51.100.7")),
        (0, 2)
    );
    let target = "/api/v1/explain?mount=/radio.mp3&from=192.0.2.7";
    let explained = mesh.nodes[0].api("GET", target, "").unwrap().text();
    assert!(
        explained.contains("403, not to be heard in that country"),
        "{explained}"
    );
}

#[test]
fn the_limit_of_a_mount_has_no_back_door() {
    let (mesh, _source) = on_air(2);
    set(
        &mesh.nodes[0],
        "/api/v1/mounts/radio.mp3",
        r#"{"max_listeners":1}"#,
    );
    let _player = Player::tune_in(&format!("{}{RADIO}", mesh.nodes[0].url()));
    eventually(PATIENCE, "both nodes know it", || {
        for node in &mesh.nodes {
            let status = node.status();
            so(status.mounts[0].listeners == 1, node.name().to_owned())?;
        }
        Ok::<_, String>(())
    });
    for target in [RADIO, "/radio.mp3?redirect=no", "/_stream/n1/radio.mp3"] {
        for node in &mesh.nodes {
            assert_eq!(
                answer(node, target).status,
                403,
                "{target} at {}",
                node.name()
            );
        }
    }
}
