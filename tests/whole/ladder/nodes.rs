//! Nodes die while listeners of others hear a mount or its fallback.

use super::stage::{
    AUTO, AUTO_FIRST, LIVE, check, encoder, encoder_at, listener, mesh, wait_hears,
};
use crate::support::player::Player;

/// How many frames are heard of each stream before the next blow.
const HEARD: u64 = 100;

#[test]
fn listeners_fall_back_when_the_node_of_the_live_source_dies() {
    let mut mesh = mesh(3);
    let _auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    let _live = encoder(&mesh.nodes[0], LIVE, 0);
    mesh.wait_on_air(AUTO);
    mesh.wait_on_air(LIVE);
    let players: Vec<Player> = mesh.nodes[1..]
        .iter()
        .map(|node| listener(node, LIVE))
        .collect();
    wait_hears(&players, false, HEARD);
    mesh.nodes[0].kill9();
    wait_hears(&players, true, HEARD);
    for player in &players {
        assert_eq!(check(player), 1, "{}", player.url);
    }
}

#[test]
fn listeners_hear_a_fallback_on_when_the_node_of_its_source_dies() {
    let mut mesh = mesh(3);
    let nodes: Vec<_> = [1, 2].map(|node| &mesh.nodes[node]).into();
    let _auto = encoder_at(&nodes, AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let players: Vec<Player> = [0, 2].map(|node| listener(&mesh.nodes[node], LIVE)).into();
    wait_hears(&players, true, HEARD);
    mesh.nodes[1].kill9();
    let heard: Vec<usize> = players.iter().map(Player::len).collect();
    for (player, heard) in players.iter().zip(heard) {
        // More than the node can still have had: the encoder sends to another one.
        player.wait_for(heard + 200_000);
        check(player);
    }
}
