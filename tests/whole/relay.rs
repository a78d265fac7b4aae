//! A stream travels only where somebody listens, and stays a while when they leave.

use std::time::Duration;

use crate::support::mesh::TestMesh;
use crate::support::patience::PATIENCE;
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// How long a node keeps a stream that nobody there wants.
const LINGER: Duration = antiphon::proto::pull::LINGER;

#[test]
fn a_relay_lives_from_first_to_last_listener() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let (master, others) = (mesh.master(), mesh.others());
    let (ingest, edge) = (others[0], others[1]);
    let name = |index: usize| mesh.nodes[index].name();
    let mut root = [name(ingest), name(master)];
    root.sort_unstable();
    let _source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
    let only_root = |mesh: &TestMesh, limit: Duration, what: &str| {
        mesh.wait_each_sees_within(limit, RADIO, what, |mount| {
            let holders: Vec<&str> = mount.holders.iter().map(|it| it.as_str()).collect();
            holders == root
        })
    };
    only_root(
        &mesh,
        PATIENCE,
        "only the ingest node and the master hold it",
    );

    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[edge].url()));
    mesh.wait_each_sees(RADIO, "the edge holds it", |mount| mount.holders.len() == 3);
    player.wait_for_more(20 * FRAME_BYTES);
    signal::check(&player.bytes());
    drop(player);
    mesh.wait_each_sees(RADIO, "nobody listens", |mount| mount.listeners == 0);
    let lingered = only_root(&mesh, LINGER + PATIENCE, "the edge has let it go");
    println!("let go after {lingered:?}");
    assert!(lingered >= LINGER - Duration::from_secs(5), "{lingered:?}");
}
