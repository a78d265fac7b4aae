//! A node takes as many listeners as its operator allows; the others of the mesh take the rest.

use serde_json::Value;

use antiphon::model::mount::MountName;

use crate::support::http::{Head, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Waits until every node is known by all to have so many listeners.
fn wait_listeners(mesh: &TestMesh, wanted: &[u32]) {
    let look = || {
        for node in &mesh.nodes {
            let nodes = node.status().nodes;
            let seen: Vec<u32> = nodes.iter().map(|it| it.listeners).collect();
            so(seen == wanted, format!("{} sees {seen:?}", node.name()))?;
        }
        Ok::<_, String>(())
    };
    eventually(PATIENCE, &format!("the listeners are {wanted:?}"), look);
}

fn answer(url: &str) -> Head {
    ask_for_stream(url).unwrap().1
}

#[test]
fn a_full_node_redirects_and_a_full_mesh_refuses() {
    let mesh = TestMesh::start_with(2, |_, setup| setup.with(&["--max-listeners", "1"]));
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let urls: Vec<String> = mesh
        .nodes
        .iter()
        .map(|it| format!("{}{RADIO}", it.url()))
        .collect();

    let first = Player::tune_in(&format!("{}/_stream/n2{RADIO}", mesh.nodes[0].url()));
    wait_listeners(&mesh, &[1, 0]);
    let second = Player::tune_in(&urls[0]);
    assert!(
        second.url.starts_with(&mesh.nodes[1].url()),
        "{}",
        second.url
    );
    wait_listeners(&mesh, &[1, 1]);
    for url in &urls {
        let head = answer(url);
        assert_eq!(head.status, 503, "{head:?}");
        let wait_s: u32 = head.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait_s), "{head:?}");
    }
    let passed = answer(&format!("{}/_stream/n1{RADIO}", mesh.nodes[1].url()));
    assert_eq!(passed.status, 503, "even for one who was sent: {passed:?}");
    first.wait_for_more(20 * FRAME_BYTES);

    drop(first);
    wait_listeners(&mesh, &[0, 1]);
    let third = Player::tune_in(&urls[1]);
    assert!(third.url.starts_with(&mesh.nodes[0].url()), "{}", third.url);
    third.wait_for_more(20 * FRAME_BYTES);
    assert!(!second.is_closed());
}

#[test]
fn a_mount_keeps_to_its_listener_limit() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let target = format!("/api/v1/mounts{RADIO}");
    let limited = mesh.nodes[0]
        .api("PATCH", &target, "{\"max_listeners\":1}")
        .unwrap();
    assert_eq!(limited.head.status, 200, "{}", limited.text());
    let mount = MountName::try_from(RADIO).unwrap();
    let look = || {
        let spec = mesh.nodes[1].api("GET", &target, "").unwrap().text();
        so(spec.contains("\"max_listeners\": 1"), spec)
    };
    eventually(PATIENCE, &format!("{mount} is limited everywhere"), look);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}{RADIO}", mesh.nodes[1].url()));
    mesh.wait_each_sees(RADIO, "its listener", |mount| mount.listeners == 1);
    for node in &mesh.nodes {
        let head = answer(&format!("{}{RADIO}", node.url()));
        assert_eq!(head.status, 403, "{head:?}");
        assert!(head.lines[0].ends_with("max listeners reached"), "{head:?}");
    }
    player.wait_for_more(20 * FRAME_BYTES);
}

/// The answer to the next listener at a node, as an operator is told.
fn explained(node: &TestNode) -> String {
    let target = format!("/api/v1/explain?mount={RADIO}");
    let told = node.api("GET", &target, "").unwrap().text();
    let told: Value = serde_json::from_str(&told).unwrap();
    told["answer"].as_str().unwrap().to_owned()
}

/// Waits until an operator is told that the next listener at a node is answered so.
fn wait_explained(node: &TestNode, wanted: &str) {
    eventually(PATIENCE, wanted, || {
        let told = explained(node);
        so(told == wanted, told)
    });
}

fn set_redirect(mesh: &TestMesh, redirect: bool) {
    let body = format!("{{\"redirect\":{redirect}}}");
    let target = format!("/api/v1/mounts{RADIO}");
    let set = mesh.nodes[0].api("PATCH", &target, &body).unwrap();
    assert_eq!(set.head.status, 200, "{}", set.text());
}

#[test]
fn an_operator_is_told_that_a_full_node_refuses_and_no_list_names_it() {
    let mesh = TestMesh::start_with(3, |_, setup| setup.with(&["--max-listeners", "2"]));
    mesh.create_mount(RADIO, PASSWORD);
    set_redirect(&mesh, false);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let stays = "served at this node, because the mount is not redirected";
    wait_explained(&mesh.nodes[0], stays);
    let url = format!("{}{RADIO}", mesh.nodes[0].url());
    let _players = [Player::tune_in(&url), Player::tune_in(&url)];
    wait_listeners(&mesh, &[2, 0, 0]);
    let refused = "503, this node is full, and the mount is not redirected";
    assert_eq!(explained(&mesh.nodes[0]), refused);
    let head = answer(&url);
    assert_eq!(head.status, 503, "{head:?}");
    assert!(head.header("retry-after").is_some(), "{head:?}");
    assert_eq!(explained(&mesh.nodes[1]), stays, "it has room");

    set_redirect(&mesh, true);
    for node in &mesh.nodes {
        eventually(PATIENCE, "the mount is redirected again", || {
            let told = explained(node);
            so(!told.contains("not redirected"), told)
        });
        for target in ["/api/v1/candidates?mount=/radio.mp3", "/radio.mp3.m3u"] {
            let named = get(&node.address(), target).unwrap().text();
            // A playlist ends with the address that was asked.
            let first = named.trim_end().trim_end_matches(url.as_str());
            assert!(
                !first.contains(&url),
                "{target} at {}: {named}",
                node.name()
            );
        }
    }
}

#[test]
fn a_draining_node_serves_only_what_no_other_node_may_take() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let target = "/api/v1/node/drain?deadline_s=600";
    let drained = mesh.nodes[0].api("POST", target, "").unwrap();
    assert_eq!(drained.head.status, 202, "{}", drained.text());
    wait_explained(&mesh.nodes[0], "sent to n2");
    let url = format!("{}{RADIO}", mesh.nodes[0].url());
    for asked in [
        format!("{url}?redirect=no"),
        format!("{}/_stream/n2{RADIO}", mesh.nodes[0].url()),
    ] {
        assert_eq!(answer(&asked).status, 200, "{asked}");
    }
    set_redirect(&mesh, false);
    wait_explained(
        &mesh.nodes[0],
        "served at this node, because the mount is not redirected, though the node drains",
    );
    assert_eq!(answer(&url).status, 200);
}
