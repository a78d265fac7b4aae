//! Listeners are sent to Icecast servers that do not run antiphon, as far as these have room.

mod described;

use std::collections::BTreeMap;
use std::process::Output;
use std::time::{Duration, Instant};

use antiphon::model::status::outside::{OutsideState, OutsideStatus};

use crate::support::http::{Head, ask, get};
use crate::support::icecast::{Icecast, LOGIN, refuses_strangers};
use crate::support::mesh::TestMesh;
use crate::support::mmdb::{database, place};
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream, ffmpeg};
use crate::support::relay_page::RelayPage;
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Within this time nobody is sent any more to a server that has died or lost its source.
const BELIEVED: Duration = Duration::from_secs(10);
/// Another node has to ask within this time when the one that asked has died: two detections and an election.
const TAKEN_OVER: Duration = Duration::from_secs(6);

/// Runs `antiphon outside` against a node, by the right of its token.
fn outside(node: &TestNode, arguments: &[&str]) -> Output {
    node.command("outside", arguments)
}

/// The reason of a failure.
fn failed(output: &Output) -> String {
    assert_ne!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn add(node: &TestNode, name: &str, url: &str, mount: &str, more: &[&str]) {
    let arguments = [&["add", name, "--public-url", url, "--mount", mount], more];
    done(&outside(node, &arguments.concat()));
}

fn seen(node: &TestNode, name: &str) -> Option<OutsideStatus> {
    let mut servers = node.try_status().ok()?.outside.into_iter();
    servers.find(|server| server.name.as_str() == name)
}

/// Waits until a node sees a server as it should be; how long it took.
fn wait_seen(node: &TestNode, name: &str, should: impl Fn(&OutsideStatus) -> bool) -> Duration {
    let look = || {
        let server = seen(node, name);
        let good = server.as_ref().is_some_and(&should);
        so(good, format!("{server:?}"))
    };
    let what = format!(
        "{} sees the outside server {name} as it should be",
        node.name()
    );
    eventually(PATIENCE, &what, look).1
}

fn wait_ready(mesh: &TestMesh, names: &[&str]) {
    for node in &mesh.nodes {
        for name in names {
            wait_seen(node, name, |server| server.state == OutsideState::Ready);
        }
    }
}

fn answer(node: &TestNode, target: &str) -> Head {
    let asked = ask_for_stream(&format!("{}{target}", node.url()));
    asked.unwrap().1
}

/// The places to which so many listeners are sent that ask all nodes in turn; `503` is a place too.
fn places(mesh: &TestMesh, listeners: usize) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for (_, node) in (0..listeners).zip(mesh.nodes.iter().cycle()) {
        let head = answer(node, RADIO);
        let place = match head.status {
            302 => head.location().to_owned(),
            status => status.to_string(),
        };
        *places.entry(place).or_insert(0) += 1;
    }
    places
}

/// Waits until nobody is sent to the only place that there was; how long it took.
fn wait_left(mesh: &TestMesh, place: &str) -> Duration {
    let look = || {
        let places = places(mesh, mesh.nodes.len());
        so(!places.contains_key(place), format!("{places:?}"))
    };
    eventually(PATIENCE, &format!("nobody is sent to {place}"), look).1
}

/// Waits until every node sees a server as it has become, which must not take long.
fn wait_each_seen(mesh: &TestMesh, name: &str, should: impl Fn(&OutsideStatus) -> bool) {
    let begun = Instant::now();
    for node in &mesh.nodes {
        wait_seen(node, name, &should);
    }
    let took = begun.elapsed();
    assert!(took < BELIEVED, "{took:?}");
}

#[test]
fn listeners_go_to_living_icecasts_with_room() {
    if !have("icecast2") || !have("ffmpeg") {
        return;
    }
    let full = Icecast::start(100, &[(RADIO, Some(1))]);
    let mut dying = Icecast::start(100, &[(RADIO, None)]);
    let mut other_name = Icecast::start(100, &[("/stream", None)]);
    let _holds_the_place = Player::tune_in(&format!("{}{RADIO}", full.url()));
    assert!(refuses_strangers(&full));

    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let login = full.login_file();
    let by_admin = [
        "--via",
        "admin-stats",
        "--login-file",
        login.to_str().unwrap(),
    ];
    add(node, "full", &full.url(), RADIO, &by_admin);
    add(
        node,
        "dying",
        &dying.url(),
        RADIO,
        &["--max-listeners", "90"],
    );
    let renamed = format!("{RADIO}=/stream");
    add(
        node,
        "renamed",
        &other_name.url(),
        &renamed,
        &["--via", "load-xsl"],
    );
    wait_ready(&mesh, &["full", "dying", "renamed"]);
    let there = seen(&mesh.nodes[1], "full").unwrap();
    assert_eq!(
        there
            .mounts
            .values()
            .next()
            .unwrap()
            .on_air
            .unwrap()
            .max_listeners,
        Some(1)
    );
    assert_eq!(
        seen(node, "renamed").unwrap().server.max_listeners,
        Some(100),
        "the page says"
    );

    let to_dying = format!("{}{RADIO}", dying.url());
    let to_other = format!("{}/stream", other_name.url());
    let sent = places(&mesh, 20);
    assert_eq!(sent.keys().collect::<Vec<_>>().len(), 2, "{sent:?}");
    assert!(sent[&to_dying] >= 5 && sent[&to_other] >= 5, "{sent:?}");
    let head = answer(node, &format!("{RADIO}?token=A%20b"));
    assert!(head.location().ends_with("?token=A%20b"), "{head:?}");
    let cache = head.header("cache-control").unwrap_or_default();
    assert!(cache.contains("no-store"), "{head:?}");
    let played = ffmpeg(&format!("{}{RADIO}", node.url()), 2);
    assert!(played.len() > 8_000, "{} samples", played.len());

    dying.kill9();
    wait_each_seen(&mesh, "dying", |server| {
        server.state == OutsideState::Failing
    });
    let rest = places(&mesh, 6);
    assert_eq!(rest.keys().collect::<Vec<_>>(), [&to_other]);
    let list = done(&outside(&mesh.nodes[1], &["list"]));
    assert!(
        list.contains("not answering") && list.contains("dying: cannot reach"),
        "{list}"
    );

    other_name.end_source(0);
    wait_each_seen(&mesh, "renamed", |server| {
        server.mounts.values().all(|mount| mount.on_air.is_none())
    });
    let nobody = answer(node, RADIO);
    assert_eq!(nobody.status, 503, "{nobody:?}");
    assert!(nobody.header("retry-after").is_some());
    let log: String = mesh.nodes.iter().map(TestNode::log).collect();
    let password = LOGIN.split_once(':').unwrap().1;
    assert!(!log.contains(password), "a password in a log");
}

#[test]
fn a_server_that_never_answers_delays_nobody() {
    let mesh = TestMesh::start(1);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let (silent, other) = (RelayPage::silent(), RelayPage::silent());
    let body = format!("<icecast><mount name=\"{RADIO}\">NaN</mount></icecast>");
    let good = RelayPage::answering(&body);
    for (name, page) in [
        ("a-silent", &silent),
        ("b-good", &good),
        ("c-silent", &other),
    ] {
        add(node, name, &page.url(), RADIO, &["--via", "load-xsl"]);
    }
    wait_seen(node, "b-good", |server| server.state == OutsideState::Ready);
    wait_seen(node, "a-silent", |server| {
        server.state == OutsideState::Failing
    });
    let begun = Instant::now();
    let asked = || so(good.questions() >= 4, good.questions());
    eventually(PATIENCE, "the good one is asked again and again", asked);
    assert!(
        begun.elapsed() > Duration::from_secs(4),
        "not more often than it is said"
    );
    assert!(
        good.longest_pause() < Duration::from_secs(7),
        "{:?}",
        good.longest_pause()
    );
    assert!(silent.questions() >= 3, "it is asked again");
    assert_eq!((silent.most_at_once(), other.most_at_once()), (1, 1));
    let there = format!("{}{RADIO}", good.url());
    assert_eq!(
        places(&mesh, 12),
        BTreeMap::from([(there, 12)]),
        "unlimited is room"
    );
}

#[test]
fn polling_moves_when_its_node_dies_or_drains() {
    let mut mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let page = RelayPage::answering(&format!(
        "<load listeners=\"3\" max_listeners=\"50\"><mount name=\"{RADIO}\" listeners=\"3\" \
         max_listeners=\"unlimited\">47</mount></load>"
    ));
    add(
        &mesh.nodes[0],
        "r",
        &page.url(),
        RADIO,
        &["--via", "load-xsl"],
    );
    wait_ready(&mesh, &["r"]);
    let asker = |node: &TestNode| seen(node, "r").and_then(|server| server.asked_by);
    let first = asker(&mesh.nodes[0]).unwrap();
    for node in &mesh.nodes {
        assert_eq!(asker(node), Some(first.clone()), "all agree");
    }
    let index = |mesh: &TestMesh, name: &str| {
        let position = mesh.nodes.iter().position(|node| node.name() == name);
        position.unwrap()
    };
    let dead = index(&mesh, first.as_str());
    mesh.nodes[dead].kill9();
    let (begun, asked) = (Instant::now(), page.questions());
    let witness = (dead + 1) % 3;
    wait_seen(&mesh.nodes[witness], "r", |server| {
        let other = server.asked_by.as_ref().is_some_and(|it| *it != first);
        other && page.questions() > asked
    });
    let took = begun.elapsed();
    assert!(took < TAKEN_OVER, "{took:?}");

    mesh.nodes[dead].restart();
    mesh.wait_agreed();
    let second = asker(&mesh.nodes[witness]).unwrap();
    assert_ne!(second, first, "who comes back disturbs nobody");
    let draining = index(&mesh, second.as_str());
    let answer = mesh.nodes[draining]
        .api("POST", "/api/v1/node/drain", "")
        .unwrap();
    assert_eq!(answer.head.status, 202);
    wait_seen(&mesh.nodes[dead], "r", |server| {
        server.asked_by.as_ref().is_some_and(|it| *it != second)
    });
    let state = seen(&mesh.nodes[dead], "r").unwrap().state;
    assert_eq!(state, OutsideState::Ready, "the seat was handed over");
}

#[test]
fn disabled_or_removed_servers_are_not_chosen_or_asked() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let body = format!(
        "{{\"icestats\":{{\"source\":{{\"listeners\":1,\"listenurl\":\"http://x:1{RADIO}\"}}}}}}"
    );
    let page = RelayPage::answering(&body);
    let node = &mesh.nodes[0];
    add(
        node,
        "r",
        &page.url(),
        RADIO,
        &["--country", "DE", "--weight", "50"],
    );
    wait_ready(&mesh, &["r"]);
    let there = format!("{}{RADIO}", page.url());
    assert_eq!(places(&mesh, 4), BTreeMap::from([(there.clone(), 4)]));
    let pending = seen(node, "r").unwrap().pending;
    assert!(pending >= 2, "{pending}: no report has them yet");

    done(&outside(&mesh.nodes[1], &["disable", "r"]));
    let took = wait_left(&mesh, &there);
    // A request for a mount that no server carries waits a moment for a source: most of this is the waiting.
    assert!(
        took < Duration::from_secs(4),
        "{took:?}: told, not found out"
    );
    let asked = page.questions();
    for node in &mesh.nodes {
        wait_seen(node, "r", |it| {
            it.state == OutsideState::Disabled && it.asked_by.is_none()
        });
    }
    std::thread::sleep(Duration::from_secs(6)); // longer than from one question to the next
    assert!(page.questions() <= asked + 1, "one may have been under way");
    assert_eq!(answer(node, RADIO).status, 404, "nobody carries it");

    done(&outside(node, &["enable", "r"]));
    wait_ready(&mesh, &["r"]);
    page.answer_with("no status at all");
    wait_left(&mesh, &there);
    wait_seen(node, "r", |server| server.state == OutsideState::Failing);
    let list = done(&outside(node, &["list"]));
    assert!(
        list.contains("r: its answer is not the status of an Icecast"),
        "{list}"
    );
    done(&outside(node, &["remove", "r"]));
    let look = || {
        so(
            mesh.nodes.iter().all(|it| seen(it, "r").is_none()),
            "it is there",
        )
    };
    eventually(PATIENCE, "all have forgotten it", look);
}

#[test]
fn an_own_mount_is_shared_with_outside_servers() {
    let mesh = TestMesh::start_with(2, |_, setup| setup.with(&["--max-listeners", "40"]));
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let page = RelayPage::answering(
        "<load listeners=\"0\" max_listeners=\"40\"><mount name=\"/theirs\" listeners=\"0\" \
         max_listeners=\"unlimited\">40</mount></load>",
    );
    let renamed = format!("{RADIO}=/theirs");
    add(
        &mesh.nodes[0],
        "r",
        &page.url(),
        &renamed,
        &["--via", "load-xsl"],
    );
    wait_ready(&mesh, &["r"]);
    mesh.wait_warm(RADIO);
    let sent = places(&mesh, 30);
    let outside = sent[&format!("{}/theirs", page.url())];
    assert!((6..=14).contains(&outside), "a third of them: {sent:?}");
    // An outside server would not ask who it is that listens.
    done(&mesh.nodes[0].command("mount", &["set", RADIO, "listener_auth=token"]));
    let guarded = mesh.nodes.iter().map(|node| {
        let look = || so(answer(node, RADIO).status == 401, "open");
        eventually(PATIENCE, "the mount is guarded", look)
    });
    assert_eq!(guarded.count(), mesh.nodes.len());
    let minted = done(&mesh.nodes[0].command("token", &["mint", RADIO, "--for", "1h"]));
    let (_, query) = minted.trim().split_once('?').unwrap();
    for node in mesh.nodes.iter().cycle().take(20) {
        let head = answer(node, &format!("{RADIO}?{query}"));
        let to = head.header("location").unwrap_or_default();
        assert!(!to.starts_with(&page.url()), "{to}");
    }
}

#[test]
fn a_server_of_the_listeners_country_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("geo.mmdb");
    let known = [(("192.0.2.0", 24), place("DE", (52.5, 13.4)))];
    std::fs::write(&file, database("Test", &known)).unwrap();
    let file = file.display().to_string();
    let mesh = TestMesh::start_with(1, |_, setup| {
        setup.with(&["--geo-database", &file, "--trusted-proxies", "127.0.0.1"])
    });
    let node = &mesh.nodes[0];
    node.create_mount_with(RADIO, PASSWORD, "\"policy\": \"geo(country),water\"");
    let room = |listeners| {
        format!(
            "<load listeners=\"{listeners}\" max_listeners=\"50\"><mount name=\"{RADIO}\" \
             listeners=\"{listeners}\" max_listeners=\"unlimited\"/></load>"
        )
    };
    let (near, far) = (
        RelayPage::answering(&room(20)),
        RelayPage::answering(&room(0)),
    );
    let by_page = ["--via", "load-xsl"];
    for (name, page, country) in [("near", &near, "de"), ("far", &far, "at")] {
        let more = [&by_page[..], &["--country", country]].concat();
        add(node, name, &page.url(), RADIO, &more);
    }
    wait_ready(&mesh, &["near", "far"]);
    let from_germany = || {
        let request =
            format!("GET {RADIO} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
        let answer = ask(&node.address(), &request).unwrap();
        answer.head.location().to_owned()
    };
    for _ in 0..8 {
        assert_eq!(from_germany(), format!("{}{RADIO}", near.url()));
    }
    near.answer_with(&room(50));
    wait_seen(node, "near", |server| server.server.listeners == 50);
    for _ in 0..8 {
        assert_eq!(from_germany(), format!("{}{RADIO}", far.url()));
    }
}

#[test]
fn a_mesh_may_be_another_ones_outside_server() {
    let (near, far) = (TestMesh::start(1), TestMesh::start(1));
    near.create_mount(RADIO, PASSWORD);
    far.create_mount("/there.mp3", PASSWORD);
    let _source = KnownSource::start(&far.nodes[0], "/there.mp3", PASSWORD);
    far.wait_on_air("/there.mp3");
    let page = get(&far.nodes[0].address(), "/load.xsl").unwrap();
    assert!(
        page.text()
            .contains("<mount name=\"/there.mp3\" listeners=\"0\""),
        "{}",
        page.text()
    );
    let renamed = format!("{RADIO}=/there.mp3");
    let far_url = far.nodes[0].url();
    add(
        &near.nodes[0],
        "far",
        &far_url,
        &renamed,
        &["--via", "load-xsl"],
    );
    wait_ready(&near, &["far"]);
    let player = Player::tune_in(&format!("{}{RADIO}", near.nodes[0].url()));
    assert_eq!(player.url, format!("{far_url}/there.mp3"));
    player.wait_for_more(20 * FRAME_BYTES);
    wait_seen(&near.nodes[0], "far", |server| server.server.listeners == 1);
    let as_status = ["set", "far", "via=status-json"];
    done(&outside(&near.nodes[0], &as_status));
    wait_seen(&near.nodes[0], "far", |server| {
        server.state == OutsideState::Ready && server.server.max_listeners.is_none()
    });
}
