//! Operators end sources and switch mounts, and listeners stay.

use super::stage::{
    AUTO, AUTO_FIRST, LIVE, PASSWORD, check, encoder, listener, mesh, wait_hears, wait_status,
};
use crate::support::http;
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tool::complaint;

/// How many frames are heard of each stream before the next switch: 1.3 s.
const HEARD: u64 = 50;

/// Ends the source of a mount, by a node.
fn kill(node: &TestNode, mount: &str) -> String {
    done(&node.command("source", &["kill", mount]))
}

/// Asks one of Icecast's addresses of operators, with a login; the status and the body.
fn ask_icecast(node: &TestNode, target: &str, user: &str, password: &str) -> (u16, String) {
    let (address, login) = (node.address(), http::basic(user, password));
    let request =
        format!("GET {target} HTTP/1.0\r\nHost: {address}\r\nAuthorization: {login}\r\n\r\n");
    let answer = http::ask(&address, &request).unwrap();
    (answer.head.status, answer.text())
}

fn wait_closed(source: &KnownSource) {
    let look = || so(source.is_closed(), "it is connected");
    eventually(PATIENCE, "the source is ended", look);
}

#[test]
fn an_operator_ends_a_source_at_any_node_and_listeners_stay() {
    let mesh = mesh(3);
    let _auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    for asked in &mesh.nodes {
        let live = KnownSource::start(&mesh.nodes[2], LIVE, PASSWORD);
        mesh.wait_on_air(LIVE);
        wait_hears(&players, false, HEARD);
        let said = kill(asked, LIVE);
        assert!(said.contains("ended the source of /live.mp3"), "{said}");
        wait_closed(&live);
        wait_hears(&players, true, HEARD);
    }
    for player in &players {
        assert_eq!(check(player), 6, "{}", player.url);
    }
    let log = mesh.nodes[2].log();
    let told = log.matches("an operator has ended the source").count();
    assert_eq!(told, 3, "{log}");
}

#[test]
fn a_source_that_waits_takes_the_place_of_one_that_is_ended() {
    let mesh = TestMesh::start(2);
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, r#""standby": true"#);
    mesh.wait_for_mount(LIVE);
    let first = KnownSource::start(&mesh.nodes[0], LIVE, PASSWORD);
    mesh.wait_on_air(LIVE);
    let second = KnownSource::start(&mesh.nodes[1], LIVE, PASSWORD);
    wait_status(&mesh, "a source on standby", |mount| {
        !mount.standby.is_empty()
    });
    kill(&mesh.nodes[1], LIVE);
    wait_closed(&first);
    wait_status(&mesh, "the other source on air", |mount| {
        mount.standby.is_empty()
            && mount
                .source
                .as_ref()
                .is_some_and(|it| it.node.as_str() == "n2")
    });
    assert!(!second.is_closed());
}

#[test]
fn what_cannot_be_ended_is_said() {
    let mesh = mesh(2);
    let refused = |mount: &str, words: &str| {
        let said = complaint(&mesh.nodes[1].command("source", &["kill", mount]), 1);
        assert!(said.contains(words), "{mount}: {said}");
    };
    refused(LIVE, "/live.mp3 has no source: there is nothing to end");
    refused("/gone.mp3", "there is no mount /gone.mp3");
    let more = r#""transcode_from": "/auto.mp3", "codec": "opus""#;
    mesh.nodes[0].create_mount_with("/auto.opus", PASSWORD, more);
    mesh.wait_for_mount("/auto.opus");
    refused("/auto.opus", "/auto.opus is transcoded from /auto.mp3");
    let said = complaint(&mesh.nodes[0].command("source", &["kill"]), 2);
    assert!(said.contains("<PATH>"), "{said}");
}

#[test]
fn icecasts_killsource_ends_a_source() {
    let mesh = mesh(2);
    let admin = mesh.nodes[0].wait_admin_password();
    let target = format!("/admin/killsource?mount={LIVE}");
    for (user, password) in [("admin", admin.as_str()), ("source", PASSWORD)] {
        let live = KnownSource::start(&mesh.nodes[0], LIVE, PASSWORD);
        mesh.wait_on_air(LIVE);
        let (status, body) = ask_icecast(&mesh.nodes[1], &target, user, password);
        assert_eq!(status, 200, "{body}");
        assert!(
            body.contains("<message>Source Removed</message><return>1</return>"),
            "{body}"
        );
        wait_closed(&live);
        wait_status(&mesh, "no source", |mount| mount.source.is_none());
    }
    let ask = |target: &str, password| ask_icecast(&mesh.nodes[1], target, "admin", password);
    let (status, body) = ask(&target, &admin);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("Source does not exist"), "{body}");
    assert_eq!(ask(&target, "wrong").0, 401);
    let (status, body) = ask("/admin/killsource", &admin);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("Missing parameter: mount"), "{body}");
    assert_eq!(ask("/admin/killsource?mount=/gone.mp3", &admin).0, 400);
}
