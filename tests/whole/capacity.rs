//! A node takes as many listeners as its operator allows; the others of the mesh take the rest.

use antiphon::model::mount::MountName;

use crate::support::http::Head;
use crate::support::mesh::TestMesh;
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
