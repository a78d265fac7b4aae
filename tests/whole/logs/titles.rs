//! `playlist.log`: each title once in the whole mesh, with the listeners of all nodes.

use super::{PASSWORD, RADIO, log};
use crate::support::http::{self, basic};
use crate::support::icecast::{self, Icecast};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tool::have;

/// Tells a title of the mount to a server, as encoders do.
fn tell(address: &str, login: &str, title: &str) {
    let target = format!("/admin/metadata?mode=updinfo&mount={RADIO}&charset=UTF-8&song={title}");
    let (user, password) = login.split_once(':').unwrap();
    let login = basic(user, password);
    let answer = http::ask(
        address,
        &format!("GET {target} HTTP/1.0\r\nAuthorization: {login}\r\n\r\n"),
    );
    assert_eq!(answer.unwrap().head.status, 200);
}

/// All lines without their time, which is of the usual shape.
fn untimed(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let (time, rest) = line.split_once('|').unwrap();
        assert_eq!(time.len(), "20/Nov/2026:08:22:36 +0000".len(), "{line}");
        rest.to_owned()
    };
    text.lines().map(line).collect()
}

#[test]
fn a_title_is_noted_once_in_the_mesh_with_all_listeners() {
    if !have("icecast2") {
        return;
    }
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let players: Vec<Player> = mesh
        .nodes
        .iter()
        .map(|node| Player::tune_in(&format!("{}/_stream/{}{RADIO}", node.url(), node.name())))
        .collect();
    eventually(
        PATIENCE,
        "the node of the source knows of three listeners",
        || {
            let status = mesh.nodes[1].status();
            let mount = status.mounts.iter().find(|it| it.path.as_str() == RADIO);
            so(mount.is_some_and(|it| it.listeners == 3), "fewer")
        },
    );
    let login = format!("source:{PASSWORD}");
    let icecast = Icecast::start(20, &[(RADIO, None)]);
    for title in ["First%20%7C%20One", "Caf%C3%A9%0A-%20Second", "Third"] {
        tell(&mesh.nodes[0].address(), &login, title);
        tell(
            &icecast.address(),
            &format!("source:{}", icecast::PASSWORD),
            title,
        );
        let told = title.split('%').next().unwrap();
        let seen = || {
            let text: String = mesh
                .nodes
                .iter()
                .map(|it| log(it, "playlist.log"))
                .collect();
            so(text.contains(told), text)
        };
        eventually(PATIENCE, "the title is noted", seen);
    }
    let noted = mesh
        .nodes
        .iter()
        .map(|node| untimed(&log(node, "playlist.log")));
    let noted: Vec<Vec<String>> = noted.collect();
    let lines = [
        "/radio.mp3|3|First | One",
        "/radio.mp3|3|Caf\u{e9} - Second",
        "/radio.mp3|3|Third",
    ];
    assert_eq!(noted, [vec![], lines.map(str::to_owned).to_vec(), vec![]]);
    let theirs = || {
        let text = icecast.log("playlist.log");
        let last = text.lines().last().map(untimed);
        so(last == Some(vec!["/radio.mp3|0|Third".to_owned()]), text)
    };
    eventually(PATIENCE, "icecast2 notes the last title likewise", theirs);
    drop(players);
}
