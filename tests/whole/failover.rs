//! The stream goes on when a node dies: a new master within three seconds, and not a byte lost.

use std::time::Duration;

use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::{KnownSource, knock};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// A new master is seen by all within three seconds; other tests keep both cores busy meanwhile.
const ELECTION_LIMIT: Duration = Duration::from_secs(5);
/// What a listener is sent at once covers five seconds: a longer silence would be heard.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

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
fn a_source_whose_node_is_killed_can_go_on_at_another() {
    let mut mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let (ingest, refuge) = (mesh.others()[0], mesh.others()[1]);
    let source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    mesh.nodes[ingest].kill9();
    drop(source);
    let node = &mesh.nodes[refuge];
    // An encoder tries again and again until it may send; so long is nobody on air.
    let look = || match knock(&node.address(), RADIO, PASSWORD) {
        Ok((_, head)) if head.status == 403 => Err(format!("{head:?}")),
        Ok((_, head)) => Ok(head),
        Err(error) => Err(error.to_string()),
    };
    let (head, refused) = eventually(PATIENCE, "the mount is free again", look);
    assert_eq!(head.status, 200, "{head:?}");
    println!("the mount was free again after {refused:?}");
    assert!(refused <= Duration::from_secs(10), "{refused:?}");
    let look = || {
        let source = node.status().mounts.remove(0).source;
        source.map_or(Ok(()), |source| Err(format!("{source:?}")))
    };
    eventually(PATIENCE, "the one that only knocked is gone", look);
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    let alive = (0..3).filter(|index| *index != ingest);
    for index in alive {
        let url = format!("{}/_stream/n1{RADIO}", mesh.nodes[index].url());
        let player = Player::tune_in(&url);
        player.wait_for_more(40 * FRAME_BYTES);
        signal::check(&player.bytes());
    }
}
