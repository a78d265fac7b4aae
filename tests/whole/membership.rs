//! Nodes find each other by any one peer, notice which of them has gone, and refuse strangers and doubles.

use std::fs;
use std::time::Duration;

use antiphon::model::status::NodeState;
use rustix::process::Signal;

use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, new_secret};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// A graceful leave is seen within a second; other tests keep the two cores of this machine busy meanwhile.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// The lives that a node has written down.
fn written(node: &TestNode) -> serde_json::Value {
    let text = fs::read_to_string(node.data_dir().join("node")).unwrap();
    let (_checksum, json) = text.split_once('\n').unwrap();
    serde_json::from_str(json).unwrap()
}

fn generation(node: &TestNode) -> u64 {
    written(node)["generation"].as_u64().unwrap()
}

fn wait_log(node: &TestNode, words: &str) {
    let look = || so(node.log().contains(words), "its log");
    let what = format!("{} logs {words:?}", node.name());
    eventually(PATIENCE, &what, look);
}

#[test]
fn one_peer_is_enough_to_join_a_mesh() {
    let mut mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    mesh.add_joining(2);
    println!("four nodes agree after {:?}", mesh.wait_agreed());
    mesh.wait_for_mount(RADIO);
    mesh.wait_on_air(RADIO);
    let fourth = &mesh.nodes[3];
    let served = Player::tune_in(&format!("{}/_stream/n1{RADIO}", fourth.url()));
    let sent = Player::tune_in(&format!("{}{RADIO}", fourth.url()));
    for player in [&served, &sent] {
        player.wait_for_more(40 * FRAME_BYTES);
        signal::check(&player.bytes());
    }
}

#[test]
fn a_node_with_another_secret_is_refused() {
    let mesh = TestMesh::start(1);
    let member = &mesh.nodes[0];
    member.create_mount("/secret.mp3", PASSWORD);
    let setup = Setup::named("intruder").secret(&new_secret());
    let intruder = setup.join(&member.address()).start();
    wait_log(&intruder, "does not have the same secret");
    wait_log(member, "nodes with another secret");
    assert_eq!(intruder.alive(), ["intruder"], "it serves alone");
    assert_eq!(intruder.mounts(), [""; 0]);
    assert_eq!(member.alive(), ["n1"]);
    assert!(member.opinion_of("intruder").is_none());
    assert!(
        !member.log().contains("intruder"),
        "not even its name is known"
    );
    assert!(!intruder.log().contains("n1"));
}

#[test]
fn an_orderly_leave_is_seen_at_once() {
    let mut mesh = TestMesh::start(3);
    for leaver in [mesh.others()[0], mesh.master()] {
        let witnesses: Vec<usize> = (0..3).filter(|index| *index != leaver).collect();
        let name = mesh.nodes[leaver].name().to_owned();
        mesh.nodes[leaver].signal(Signal::TERM);
        let gone = [NodeState::Draining, NodeState::Dead];
        let seen = mesh.wait_state(&witnesses, &name, &gone);
        println!("{name} was seen to leave after {seen:?}");
        assert!(seen <= LEAVE_LIMIT, "{seen:?}");
        let ended = mesh.nodes[leaver].wait_end(PATIENCE);
        assert!(ended.success(), "{ended}");
        println!(
            "the others agree after {:?}",
            mesh.wait_agreed_without(&[leaver])
        );
        mesh.nodes[leaver].restart();
        mesh.wait_agreed();
    }
}

#[test]
fn a_restarted_node_finds_its_mesh_again() {
    let mut mesh = TestMesh::start(3);
    let before: Vec<u64> = mesh.nodes.iter().map(generation).collect();
    let epoch = mesh.nodes[0].status().epoch;
    let master = mesh.master();
    mesh.nodes[master].kill9();
    mesh.wait_agreed_without(&[master]);
    for node in &mut mesh.nodes {
        node.forget_whom_to_join();
    }
    mesh.nodes[master].restart();
    mesh.wait_agreed();
    assert!(generation(&mesh.nodes[master]) > before[master]);
    assert!(mesh.nodes[master].status().epoch > epoch);
    assert_ne!(mesh.master(), master, "whoever returns disturbs nobody");

    let epoch = mesh.nodes[0].status().epoch;
    for node in &mut mesh.nodes {
        assert!(node.stop().success());
    }
    for node in &mut mesh.nodes {
        node.restart();
    }
    mesh.wait_agreed();
    for (node, before) in mesh.nodes.iter().zip(before) {
        assert!(generation(node) > before);
        assert!(node.status().epoch > epoch);
    }
}

#[test]
fn the_younger_of_two_namesakes_gives_way() {
    let mesh = TestMesh::start(2);
    let twin = mesh
        .next_setup()
        .named_as("n2")
        .join(&mesh.nodes[0].address());
    let mut twin = twin.launch();
    let ended = twin.wait_end(PATIENCE);
    assert_eq!(ended.code(), Some(1), "{}", twin.log());
    let log = twin.log();
    assert!(log.contains("a node named n2 is already running"), "{log}");
    assert!(log.contains(&mesh.nodes[1].address()), "says where: {log}");
    mesh.wait_agreed();
    assert_eq!(
        mesh.nodes[0].opinion_of("n2").unwrap().url,
        mesh.nodes[1].url()
    );
}
