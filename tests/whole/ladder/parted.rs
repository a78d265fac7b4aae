//! The network between a live source and its fallback is cut, and heals.

use super::stage::{AUTO, AUTO_FIRST, LIVE, PASSWORD, check, encoder, listener, runs, wait_hears};
use crate::support::mesh::TestMesh;
use crate::support::network::Network;
use crate::support::player::Player;

/// How many frames are heard of each stream before the next blow.
const HEARD: u64 = 100;
/// The node of the live source, and those that are cut off from it.
const ONE: [usize; 1] = [0];
const OTHER: [usize; 2] = [1, 2];

#[test]
fn each_side_of_a_cut_hears_the_best_that_it_has() {
    let Some(network) = Network::build(ONE.len() + OTHER.len()) else {
        return;
    };
    let mesh = TestMesh::start_with(3, |index, setup| setup.inside(network.site(index)));
    mesh.create_mount(AUTO, PASSWORD);
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, r#""fallback": "/auto.mp3""#);
    mesh.wait_for_mount(LIVE);
    let _live = encoder(&mesh.nodes[0], LIVE, 0);
    let _auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    mesh.wait_on_air(LIVE);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_hears(&players, false, HEARD);
    network.part((&ONE, &OTHER));
    wait_hears(&players[1..], true, HEARD);
    players[0].wait_for_more(100_000);
    network.join((&ONE, &OTHER));
    wait_hears(&players, false, HEARD);
    let switches: Vec<usize> = players.iter().map(check).collect();
    assert_eq!(switches, [0, 2, 2]);
    for player in &players {
        let (runs, _) = runs(player);
        let live: Vec<_> = runs.iter().filter(|run| run.first < AUTO_FIRST).collect();
        let is_in_order = live.windows(2).all(|pair| pair[0].next <= pair[1].first);
        assert!(is_in_order, "{}: {runs:?}", player.url);
    }
}
