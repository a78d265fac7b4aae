//! The operator's commands to a running mesh: drains, hands the seat over, forgets.

use std::process::Output;
use std::time::Duration;

use antiphon::model::status::NodeState;
use serde_json::json;

use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::{KnownSource, knock};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Runs `antiphon node` against a node, by the right of its token.
fn antiphon_node(node: &TestNode, arguments: &[&str]) -> Output {
    node.command("node", arguments)
}

/// The reason of a failure.
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Creates the radio on a node, with these settings beside its password.
fn create_radio(node: &TestNode, more: &serde_json::Value) {
    let mut mount = json!({ "path": RADIO, "password": PASSWORD });
    let fields = more.as_object().expect("settings").clone();
    mount.as_object_mut().expect("a mount").extend(fields);
    let answer = node.api("POST", "/api/v1/mounts", &mount.to_string());
    let answer = answer.unwrap();
    assert_eq!(answer.head.status, 201, "{}", answer.text());
}

#[test]
fn a_step_down_and_a_drain_move_the_seat() {
    let mut mesh = TestMesh::start(3);
    let before = mesh.master();
    let text = done(&antiphon_node(&mesh.nodes[before], &["step-down"]));
    mesh.wait_agreed();
    let master = mesh.master();
    assert_ne!(master, before);
    let name = mesh.nodes[master].name().to_owned();
    assert_eq!(text, format!("{name} is the master now\n"));
    let why = failed(&antiphon_node(&mesh.nodes[before], &["step-down"]));
    assert!(why.contains(&format!("{name} is")), "{why}");

    let text = done(&antiphon_node(
        &mesh.nodes[master],
        &["drain", "--deadline", "2m"],
    ));
    assert!(text.contains("2 min") && text.contains("undrain"), "{text}");
    mesh.wait_state(&[0, 1, 2], &name, &[NodeState::Draining]);
    let listed = done(&antiphon_node(&mesh.nodes[before], &["list"]));
    assert!(listed.contains("draining"), "{listed}");
    assert_ne!(mesh.master(), master, "a draining node has no seat");
    done(&antiphon_node(&mesh.nodes[master], &["undrain"]));
    mesh.wait_state(&[0, 1, 2], &name, &[NodeState::Alive]);

    let asked = (0..3).find(|index| *index != master).expect("of three");
    let why = failed(&antiphon_node(&mesh.nodes[asked], &["forget", &name]));
    assert!(why.contains("is not dead"), "{why}");
    mesh.nodes[master].kill9();
    mesh.wait_state(&[asked], &name, &[NodeState::Dead]);
    done(&antiphon_node(&mesh.nodes[asked], &["forget", &name]));
    let look = || {
        let known = mesh.nodes[asked].opinion_of(&name);
        so(known.is_none(), format!("{known:?}"))
    };
    eventually(PATIENCE, "the dead node is forgotten", look);
}

#[test]
fn a_node_alone_keeps_its_seat() {
    let node = Setup::named("n1").start();
    let look = || {
        let status = node.try_status().map_err(|error| error.to_string())?;
        so(status.master.is_some(), "no master yet")
    };
    eventually(PATIENCE, "it is the master", look);
    let why = failed(&antiphon_node(&node, &["step-down"]));
    assert!(why.contains("no other node"), "{why}");
}

#[test]
fn a_drain_sends_away_even_sources_that_could_wait() {
    let mesh = TestMesh::start(2);
    create_radio(&mesh.nodes[0], &json!({ "standby": true }));
    mesh.wait_for_mount(RADIO);
    let first = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let second = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_each_sees(RADIO, "one that waits", |mount| mount.standby.len() == 1);
    done(&antiphon_node(
        &mesh.nodes[1],
        &["drain", "--deadline", "1s"],
    ));
    let look = || so(second.is_closed(), "it waits");
    eventually(PATIENCE, "who only waits goes at once", look);
    let look = || so(first.is_closed(), "it is on air");
    eventually(PATIENCE, "who is on air goes at the deadline", look);
    let elsewhere = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_each_sees(RADIO, "the source elsewhere", |mount| {
        let source = mount.source.as_ref();
        source.is_some_and(|source| source.node.as_str() == "n1")
    });
    assert!(!elsewhere.is_closed());
}

#[test]
fn listeners_end_when_no_source_stays() {
    let node = Setup::named("n1").start();
    create_radio(&node, &json!({ "linger_s": 2 }));
    let first = KnownSource::start(&node, RADIO, PASSWORD);
    let player = Player::tune_in(&format!("{}{RADIO}", node.url()));
    player.wait_for_more(1_000);
    drop(first);
    for _ in 0..3 {
        let look = || {
            let (connection, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
            drop(connection);
            so(head.status == 200, format!("{head:?}"))
        };
        eventually(PATIENCE, "the next source is taken", look);
    }
    assert!(!player.is_closed(), "the mount lingers");
    let look = || so(player.is_closed(), "it still waits");
    eventually(Duration::from_secs(10), "the player is let go", look);
    let status = node.status();
    assert!(status.mounts[0].holders.is_empty(), "{status:?}");
}

#[test]
fn any_node_is_drained_by_name() {
    let mut mesh = TestMesh::start(3);
    let asked = mesh.master();
    let other = (0..3).find(|index| *index != asked).expect("of three");
    let name = mesh.nodes[other].name().to_owned();
    let drain = ["drain", &name, "--deadline", "2m"];
    let text = done(&antiphon_node(&mesh.nodes[asked], &drain));
    assert!(text.starts_with(&format!("{name} drains")), "{text}");
    assert!(text.contains("\nno source is connected to it\n"), "{text}");
    assert!(text.contains(&format!("undrain {name} ")), "{text}");
    let seen = mesh.wait_state(&[0, 1, 2], &name, &[NodeState::Draining]);
    println!("{name} was seen to drain after {seen:?}");
    let log = mesh.nodes[other].log();
    assert!(log.contains("by way of another node"), "{log}");
    assert!(log.contains("drain within 120 s"), "{log}");
    done(&antiphon_node(&mesh.nodes[asked], &["undrain", &name]));
    mesh.wait_state(&[0, 1, 2], &name, &[NodeState::Alive]);
    // By its own name, a node takes itself out.
    let own = mesh.nodes[asked].name().to_owned();
    done(&antiphon_node(&mesh.nodes[asked], &["drain", &own]));
    mesh.wait_state(&[0, 1, 2], &own, &[NodeState::Draining]);
    done(&antiphon_node(&mesh.nodes[other], &["undrain", &own]));
    mesh.wait_state(&[0, 1, 2], &own, &[NodeState::Alive]);

    for unknown in [&["drain", "n9"][..], &["set", "n9", "weight=50"]] {
        let why = failed(&antiphon_node(&mesh.nodes[asked], unknown));
        let all = "there is no node n9; there are n1, n2, n3";
        assert!(why.contains(all), "{unknown:?}: {why}");
    }
    mesh.nodes[other].kill9();
    mesh.wait_state(&[asked], &name, &[NodeState::Dead]);
    let why = failed(&antiphon_node(&mesh.nodes[asked], &["drain", &name]));
    assert!(
        why.contains(&format!("{name} is dead or cut off")) && why.contains("may still serve"),
        "{why}"
    );
}

#[test]
fn unavailable_places_are_not_counted() {
    let mesh = TestMesh::start_with(3, |_, setup| setup.with(&["--max-listeners", "1000"]));
    let room = |expected: &str| {
        let look = || {
            let page = crate::support::http::get(&mesh.nodes[0].address(), "/?part=mesh");
            let page = page.map_err(|error| error.to_string())?.text();
            so(
                page.contains(&format!("<small>of {expected}</small>")),
                page,
            )
        };
        eventually(PATIENCE, &format!("room for {expected}"), look);
    };
    room("3,000");
    let node = &mesh.nodes[0];
    done(&antiphon_node(node, &["set", "n2", "maintenance=on"]));
    room("2,000");
    done(&antiphon_node(node, &["drain", "n3"]));
    room("1,000");
    let status = done(&node.command("status", &[]));
    assert!(status.contains("alive, maintenance"), "{status}");
}

#[test]
fn mounts_are_told_to_programs_too() {
    let node = Setup::named("n1").start();
    create_radio(&node, &json!({ "name": "My Radio" }));
    let read = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&done(&node.command("mount", arguments))).unwrap()
    };
    let all = read(&["list", "--json"]);
    assert_eq!(all[0]["path"], RADIO);
    let one = read(&["show", RADIO, "--json"]);
    assert_eq!((&one["name"], &one), (&json!("My Radio"), &all[0]));
    assert!(one.get("password_hash").is_none(), "{one}");
}

#[test]
fn an_unreachable_address_is_announced_with_a_warning() {
    let private = ["--public-url", "http://192.168.1.5:8000"];
    let node = Setup::named("n1").with(&private).start();
    let log = node.log();
    let warned = log.lines().any(|line| {
        line.contains("WARN") && line.contains("--public-url") && line.contains("private address")
    });
    assert!(warned, "{log}");
    let tried_out = Setup::named("n1").start();
    let log = tried_out.log();
    assert!(!log.contains("--public-url"), "on one machine: {log}");
}
