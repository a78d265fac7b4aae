//! Sources come, go, come back elsewhere and take each other's place: their listeners stay.

use std::time::{Duration, Instant};

use crate::support::http::{basic, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::{KnownSource, knock};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Three nodes, with the radio set up further by these lines of JSON.
fn mesh(settings: &str) -> TestMesh {
    let mesh = TestMesh::start(3);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, settings);
    mesh.wait_for_mount(RADIO);
    mesh
}

/// A player at each node, all of which have heard something.
fn players(mesh: &TestMesh) -> Vec<Player> {
    let urls = mesh.nodes.iter();
    let urls = urls.map(|node| format!("{}/_stream/n1{RADIO}", node.url()));
    let players: Vec<Player> = urls.map(|url| Player::tune_in(&url)).collect();
    for player in &players {
        player.wait_for_more(20 * FRAME_BYTES);
    }
    players
}

/// Every player hears so many streams, one whole behind the other, and has never been sent away.
fn wait_heard(players: &[Player], streams: usize) {
    for player in players {
        let look = || {
            let heard = signal::check_spliced(&player.bytes());
            let last = heard.last().copied().unwrap_or_default();
            so(heard.len() == streams && last > 20, format!("{heard:?}"))
        };
        eventually(PATIENCE, &format!("{} hears {streams}", player.url), look);
        assert!(!player.is_closed(), "{}", player.url);
    }
}

fn set_title(node: &TestNode, song: &str) {
    let credentials = basic("source", PASSWORD);
    let mut connection = node.connect();
    let request = format!(
        "GET /admin/metadata?mode=updinfo&mount={RADIO}&song={song} HTTP/1.0\r\n\
         Authorization: {credentials}\r\n\r\n"
    );
    connection.send(request).unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
}

#[test]
fn listeners_and_title_survive_a_sources_move() {
    let mesh = mesh(r#""linger_s": 20"#);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    set_title(&mesh.nodes[1], "kept");
    mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == "kept");
    let players = players(&mesh);
    drop(source);
    mesh.wait_each_sees(RADIO, "no source, and its listeners", |mount| {
        mount.source.is_none() && mount.listeners == 3
    });
    let source = KnownSource::start(&mesh.nodes[2], RADIO, PASSWORD);
    wait_heard(&players, 2);
    mesh.wait_each_sees(RADIO, "the title again", |mount| {
        mount.source.is_some() && mount.title == "kept"
    });
    drop(source);
    // The very same node may yet have to notice that the source has left.
    let again = || KnownSource::try_start(&mesh.nodes[2], RADIO, PASSWORD);
    let (source, _) = eventually(PATIENCE, "it is taken again", again);
    wait_heard(&players, 3);
    assert!(!source.is_closed());
}

#[test]
fn listeners_end_when_a_source_stays_away() {
    const LINGER: Duration = Duration::from_secs(3);
    let mesh = mesh(r#""linger_s": 3"#);
    let source = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let players = players(&mesh);
    drop(source);
    let gone = Instant::now();
    for player in &players {
        eventually(PATIENCE, "the listener is sent away", || {
            so(player.is_closed(), "it waits")
        });
        let kept = gone.elapsed();
        assert!(kept > LINGER - Duration::from_millis(200), "{kept:?}");
        assert!(kept < LINGER + Duration::from_secs(4), "{kept:?}");
        signal::check(&player.bytes());
    }
    let later = get(&mesh.nodes[1].address(), RADIO).unwrap();
    assert_eq!(later.head.status, 404, "{:?}", later.head);
}

#[test]
fn a_takeover_replaces_the_source_where_allowed() {
    let mesh = mesh(r#""takeover": "takeover""#);
    let first = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let players = players(&mesh);
    let (_, head) = knock(&mesh.nodes[1].address(), RADIO, "wrong").unwrap();
    assert_eq!(head.status, 401, "{head:?}");
    assert!(!first.is_closed());
    // Another node, and then the same one.
    let second = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    wait_heard(&players, 2);
    eventually(PATIENCE, "the first is closed", || {
        so(first.is_closed(), "it is open")
    });
    let third = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    wait_heard(&players, 3);
    eventually(PATIENCE, "the second is closed", || {
        so(second.is_closed(), "it is open")
    });
    assert!(!third.is_closed());
}

#[test]
fn a_standby_source_goes_on_air_in_turn() {
    let mesh = mesh(r#""standby": true"#);
    let first = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let players = players(&mesh);
    let second = KnownSource::start(&mesh.nodes[2], RADIO, PASSWORD);
    let name = mesh.nodes[2].name();
    mesh.wait_each_sees(RADIO, "one on standby", |mount| {
        mount.standby.iter().map(|it| it.as_str()).eq([name])
    });
    wait_heard(&players, 1);
    assert!(!first.is_closed());
    drop(first);
    for player in &players {
        // The one on standby has been sending all the time: it is heard from the frame on that it is at.
        let before = player.len();
        player.wait_for(before + 60 * FRAME_BYTES);
        assert!(!player.is_closed());
    }
    mesh.wait_each_sees(RADIO, "nobody on standby any more", |mount| {
        let source = mount.source.as_ref();
        mount.standby.is_empty() && source.is_some_and(|source| source.node.as_str() == name)
    });
    assert!(!second.is_closed());
}
