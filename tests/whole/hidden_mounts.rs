//! Mounts that stand in no public list: whoever knows the path listens, and an operator sees them.

use crate::support::http::{Answer, ask, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::player::Player;
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;

const SECRET: &str = "/secret.mp3";
const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

fn status_as(node: &TestNode, authorization: &str) -> Answer {
    let request = format!("GET /status.json HTTP/1.0\r\nAuthorization: {authorization}\r\n\r\n");
    ask(&node.address(), &request).unwrap()
}

#[test]
fn a_hidden_mount_is_heard_and_not_listed() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    mesh.create_mount(SECRET, PASSWORD);
    let _sources = [RADIO, SECRET].map(|path| KnownSource::start(&mesh.nodes[0], path, PASSWORD));
    for path in [RADIO, SECRET] {
        mesh.wait_on_air(path);
    }
    done(&mesh.nodes[0].command("mount", &["set", SECRET, "hidden=true"]));
    mesh.wait_each_sees(RADIO, "the open mount alone", |_| {
        let listed = |node: &TestNode| node.status().mounts.len();
        mesh.nodes.iter().all(|node| listed(node) == 1)
    });
    for node in &mesh.nodes {
        for page in [
            "/",
            "/?part=mesh",
            "/status.json",
            "/status-json.xsl",
            "/load.xsl",
        ] {
            let shown = get(&node.address(), page).unwrap();
            assert_eq!(shown.head.status, 200, "{page}");
            assert!(
                !shown.text().contains("secret.mp3"),
                "{page}: {}",
                shown.text()
            );
        }
        let operator = status_as(node, &format!("Bearer {}", node.token()));
        assert!(operator.text().contains(SECRET), "{operator:?}");
        for stranger in [
            basic("admin", "wrong"),
            basic("source", PASSWORD),
            "x".to_owned(),
        ] {
            let seen = status_as(node, &stranger);
            assert_eq!(seen.head.status, 200, "{seen:?}");
            assert!(!seen.text().contains(SECRET), "{stranger}");
        }
        let list = get(&node.address(), &format!("{SECRET}.m3u")).unwrap();
        assert!(list.text().contains(SECRET), "{list:?}");
        let player = Player::tune_in(&format!("{}/_stream/n1{SECRET}", node.url()));
        player.wait_for_more(60 * FRAME_BYTES);
    }
    let mine = done(&mesh.nodes[1].command("mount", &["list"]));
    let row = mine.lines().find(|line| line.starts_with(SECRET));
    assert!(row.is_some_and(|row| row.contains("true")), "{mine}");
    let seen = done(&mesh.nodes[1].command("status", &[]));
    assert!(seen.contains(SECRET), "{seen}");
}
