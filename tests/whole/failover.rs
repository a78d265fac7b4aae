//! The stream goes on when a node dies: a new master within three seconds, and not a byte lost.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// A new master is seen by all within three seconds; other tests keep both cores busy meanwhile.
const ELECTION_LIMIT: Duration = Duration::from_secs(5);
/// How long the place of a node that has died may keep its source from another one: the mount's listeners have
/// five seconds in hand.
const RETURN_LIMIT: Duration = Duration::from_secs(5);
/// The longest silence that is not heard: a listener is sent five seconds at once.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);
/// How long a node hangs: long enough for its relays to notice, and not long enough to be taken for dead.
const STALL: Duration = Duration::from_millis(900);

#[test]
fn the_master_is_killed_and_nobody_hears_it() {
    let mut mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let (master, others) = (mesh.master(), mesh.others());
    let (ingest, edge) = (others[0], others[1]);
    let source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let passthrough = |node: usize| format!("{}/_stream/n1{RADIO}", mesh.nodes[node].url());
    let players = [passthrough(ingest), passthrough(edge)].map(|url| Player::tune_in(&url));
    for player in &players {
        player.wait_for_more(40 * FRAME_BYTES);
    }
    let epoch = mesh.nodes[edge].status().epoch;

    mesh.nodes[master].kill9();
    let elected = mesh.wait_agreed_without(&[master]);
    println!("a new master was seen by all after {elected:?}");
    assert!(elected <= ELECTION_LIMIT, "{elected:?}");
    assert!(mesh.nodes[edge].status().epoch > epoch);

    for player in &players {
        player.wait_for_more(100 * FRAME_BYTES);
        signal::check(&player.bytes());
        let gap = player.longest_gap();
        println!("the longest silence at {} was {gap:?}", player.url);
        assert!(gap <= SILENCE_LIMIT, "{gap:?}");
    }
    for node in [ingest, edge] {
        let late = Player::tune_in(&format!("{}{RADIO}", mesh.nodes[node].url()));
        late.wait_for_more(40 * FRAME_BYTES);
        signal::check(&late.bytes());
    }
    assert!(!source.is_closed());
}

#[test]
fn listeners_stay_when_the_sources_node_is_killed() {
    let mut mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let (master, others) = (mesh.master(), mesh.others());
    let (ingest, refuge) = (others[0], others[1]);
    let source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let alive = [master, refuge];
    let urls = alive.map(|it| format!("{}/_stream/n1{RADIO}", mesh.nodes[it].url()));
    let players = urls.map(|url| Player::tune_in(&url));
    for player in &players {
        player.wait_for_more(40 * FRAME_BYTES);
    }
    mesh.nodes[ingest].kill9();
    drop(source);
    // An encoder tries again and again until it may send.
    let node = &mesh.nodes[refuge];
    let knock = || KnownSource::try_start(node, RADIO, PASSWORD);
    let (source, refused) = eventually(PATIENCE, "the mount is free again", knock);
    println!("the mount was free again after {refused:?}");
    assert!(refused <= RETURN_LIMIT, "{refused:?}");
    for player in &players {
        player.wait_for_more(100 * FRAME_BYTES);
        let streams = signal::check_spliced(&player.bytes());
        assert_eq!(streams.len(), 2, "{streams:?}");
        assert!(!player.is_closed());
    }
    mesh_counts(&mesh, &alive, players.len());
    assert!(!source.is_closed());
}

#[test]
fn a_stall_is_not_heard_on_a_mount_that_does_not_linger() {
    let mesh = TestMesh::start(3);
    let (master, others) = (mesh.master(), mesh.others());
    let (ingest, edge) = (others[0], others[1]);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, r#""linger_s": 0"#);
    mesh.wait_for_mount(RADIO);
    let source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let passthrough = |node: usize| format!("{}/_stream/n1{RADIO}", mesh.nodes[node].url());
    let players = [ingest, master, edge].map(|node| Player::tune_in(&passthrough(node)));
    for player in &players {
        player.wait_for_more(40 * FRAME_BYTES);
    }
    // The only node that has more of the stream hangs, for longer than an upstream may be silent.
    mesh.nodes[ingest].freeze();
    std::thread::sleep(STALL);
    mesh.nodes[ingest].signal(Signal::CONT);
    for player in &players {
        player.wait_for_more(100 * FRAME_BYTES);
        signal::check(&player.bytes());
        assert!(!player.is_closed());
    }
    drop(source);
    for player in &players {
        let look = || so(player.is_closed(), "it is open");
        let (_, ended) = eventually(PATIENCE, "the stream ends with its source", look);
        println!("{} ended after {ended:?}", player.url);
        assert!(ended < SILENCE_LIMIT, "{ended:?}");
    }
}

#[test]
fn a_takeover_ends_no_listener_of_a_mount_that_does_not_linger() {
    let mesh = TestMesh::start(2);
    let settings = r#""linger_s": 0, "takeover": "takeover""#;
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, settings);
    mesh.wait_for_mount(RADIO);
    let first = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let urls = mesh
        .nodes
        .iter()
        .map(|node| format!("{}/_stream/n1{RADIO}", node.url()));
    let players: Vec<Player> = urls.map(|url| Player::tune_in(&url)).collect();
    for player in &players {
        player.wait_for_more(40 * FRAME_BYTES);
    }
    let _second = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    let taken_over = || so(first.is_closed(), "the first source sends");
    eventually(PATIENCE, "the second source takes over", taken_over);
    for player in &players {
        player.wait_for_more(100 * FRAME_BYTES);
        let streams = signal::check_spliced(&player.bytes());
        assert_eq!(streams.len(), 2, "{streams:?}");
        assert!(!player.is_closed());
    }
}

/// Waits until each of these nodes counts so many listeners of the radio.
fn mesh_counts(mesh: &TestMesh, witnesses: &[usize], listeners: usize) {
    let look = || {
        for witness in witnesses {
            let node = &mesh.nodes[*witness];
            let seen = node.status().mounts[0].listeners;
            so(
                seen as usize == listeners,
                format!("{} counts {seen}", node.name()),
            )?;
        }
        Ok::<_, String>(())
    };
    eventually(PATIENCE, "the listeners are still counted", look);
}
