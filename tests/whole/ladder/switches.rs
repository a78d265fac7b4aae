//! Listeners go over to a fallback and return, at every node, without a byte lost of what they hear, or doubled.

use super::stage::{
    AUTO, AUTO_FIRST, LIVE, PASSWORD, check, encoder, listener, mesh, mount_command, plays, runs,
    wait_hears, wait_status,
};
use crate::support::http;
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;

/// How many frames are heard of each stream before the next switch: 2.6 s.
const HEARD: u64 = 100;

#[test]
fn listeners_go_over_to_a_fallback_and_return() {
    let mesh = mesh(3);
    let _auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    let mut live = Some(encoder(&mesh.nodes[0], LIVE, 0));
    mesh.wait_on_air(AUTO);
    mesh.wait_on_air(LIVE);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_hears(&players, false, HEARD);
    let mut next = 0;
    for at in [1, 2] {
        let last = live.take().map_or(0, |live| live.next());
        wait_hears(&players, true, HEARD);
        wait_status(&mesh, "a fallback", |mount| {
            plays(mount, AUTO) && mount.listeners == 3
        });
        for player in &players {
            let (runs, _) = runs(player);
            let live_run = runs[runs.len() - 2];
            assert_eq!(
                live_run.next, last,
                "{}: the end of the live stream",
                player.url
            );
        }
        next += AUTO_FIRST / 10;
        live = Some(encoder(&mesh.nodes[at], LIVE, next));
        wait_hears(&players, false, HEARD);
        for player in &players {
            let (runs, _) = runs(player);
            let live_run = runs[runs.len() - 1];
            assert_eq!(
                live_run.first, next,
                "{}: the beginning of the next",
                player.url
            );
        }
        wait_status(&mesh, "its own source", |mount| {
            mount.fallback_heard().is_none()
        });
    }
    for player in &players {
        assert_eq!(check(player), 4, "{}", player.url);
    }
}

#[test]
fn a_mount_without_any_source_plays_its_fallback() {
    let mesh = mesh(2);
    let node = &mesh.nodes[1];
    let nothing = http::get(&node.address(), LIVE).unwrap();
    assert_eq!(nothing.head.status, 404, "{}", nothing.text());
    let _auto = encoder(&mesh.nodes[0], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    // By the mount's own address, so that the node may redirect.
    let player = Player::tune_in(&format!("{}{LIVE}", node.url()));
    wait_hears(std::slice::from_ref(&player), true, HEARD);
    check(&player);
    wait_status(&mesh, "its listener", |mount| {
        mount.listeners == 1 && plays(mount, AUTO)
    });
    let listed = mount_command(node, &["sources", LIVE]);
    let own = listed
        .lines()
        .find(|line| line.contains("its own source"))
        .unwrap();
    assert!(own.contains("not on air"), "{listed}");
    let auto = listed.lines().find(|line| line.contains(AUTO)).unwrap();
    assert!(auto.contains("on air"), "{listed}");
    assert!(auto.contains("n1") || auto.contains("n2"), "{listed}");

    let _live = encoder(&mesh.nodes[1], LIVE, 0);
    wait_hears(&[player], false, HEARD);
}

#[test]
fn listeners_of_several_mounts_share_a_fallback_and_return_to_their_own() {
    let mesh = mesh(2);
    const OTHER: &str = "/other.mp3";
    mesh.nodes[0].create_mount_with(OTHER, PASSWORD, r#""fallback": "/auto.mp3""#);
    mesh.wait_for_mount(OTHER);
    let _auto = encoder(&mesh.nodes[0], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let players = [LIVE, OTHER, AUTO].map(|mount| listener(&mesh.nodes[1], mount));
    wait_hears(&players, true, HEARD);
    let _live = encoder(&mesh.nodes[0], LIVE, 0);
    let _other = encoder(&mesh.nodes[1], OTHER, AUTO_FIRST / 2);
    wait_hears(&players[..2], false, HEARD);
    for (player, first) in players.iter().zip([0, AUTO_FIRST / 2]) {
        let (runs, _) = runs(player);
        assert_eq!(runs[1].first, first, "{}: {runs:?}", player.url);
    }
    assert_eq!(players.each_ref().map(check), [1, 1, 0]);
}

#[test]
fn the_next_fallback_is_heard_when_one_fails() {
    let mesh = TestMesh::start(2);
    const NIGHT: &str = "/night.mp3";
    mesh.create_mount(NIGHT, PASSWORD);
    mesh.nodes[0].create_mount_with(AUTO, PASSWORD, r#""fallback": "/night.mp3""#);
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, r#""fallback": "/auto.mp3", "linger_s": 3"#);
    mesh.wait_for_mount(LIVE);
    let night = encoder(&mesh.nodes[0], NIGHT, 2 * AUTO_FIRST);
    let auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    mesh.wait_on_air(NIGHT);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_hears(&players, true, HEARD);
    drop(auto);
    for player in &players {
        let look = || {
            let last = runs(player).0.last().copied();
            so(
                last.is_some_and(|run| run.first >= 2 * AUTO_FIRST),
                format!("{last:?}"),
            )
        };
        eventually(PATIENCE, "the fallback of the fallback is heard", look);
    }
    let auto = encoder(&mesh.nodes[0], AUTO, AUTO_FIRST + AUTO_FIRST / 2);
    for player in &players {
        let look = || {
            let last = runs(player).0.last().copied();
            so(
                last.is_some_and(|run| run.first < 2 * AUTO_FIRST),
                format!("{last:?}"),
            )
        };
        eventually(PATIENCE, "the better fallback is heard again", look);
        assert!(!player.is_closed());
    }
    // Without any rung that flows, listeners are kept for as long as the mount lingers.
    drop((auto, night));
    for player in &players {
        let look = || so(player.is_closed(), "it plays");
        eventually(PATIENCE, "a listener is ended", look);
    }
}

#[test]
fn a_mount_may_stay_with_a_fallback_that_flows() {
    let mesh = mesh(2);
    let stay = ["set", LIVE, "fallback_override=false"];
    mount_command(&mesh.nodes[0], &stay);
    mesh.wait_each_sees(LIVE, "the mount", |_| true);
    let auto = encoder(&mesh.nodes[0], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_hears(&players, true, HEARD);
    let _live = encoder(&mesh.nodes[1], LIVE, 0);
    mesh.wait_on_air(LIVE);
    for player in &players {
        player.wait_for_more(100_000);
        assert_eq!(check(player), 0, "{}", player.url);
    }
    drop(auto);
    wait_hears(&players, false, HEARD);
    for player in &players {
        assert_eq!(check(player), 1, "{}", player.url);
    }
}
