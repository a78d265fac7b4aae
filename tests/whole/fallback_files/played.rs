//! The file is heard when the live source fails, and left when it returns.

use super::stage::{
    FIRST, LIVE, PASSWORD, listener, live, numbered_file, plays, runs, wait_live, wait_rounds,
    wait_same_second, write,
};
use crate::support::mesh::TestMesh;
use crate::support::player::Player;

#[test]
fn a_file_is_heard_on_all_nodes_at_the_same_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "loop.mp3", &numbered_file());
    let rung = format!("file:{}", path.display());
    let mesh = TestMesh::start(3);
    let fallback = format!(r#""fallback": "{rung}""#);
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, &fallback);
    mesh.wait_for_mount(LIVE);
    let mut source = Some(live(&mesh.nodes[0], 0));
    mesh.wait_on_air(LIVE);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_live(&players, 100);
    let last = source.take().map_or(0, |source| source.next());
    wait_same_second(&players);
    mesh.wait_each_sees(LIVE, "the file", |mount| {
        plays(mount, &rung) && mount.listeners == 3
    });
    for player in &players {
        let live_run = *runs(player).iter().rfind(|run| run.first < FIRST).unwrap();
        assert_eq!(
            live_run.next, last,
            "{}: the end of the live stream",
            player.url
        );
    }
    // Contiguous over its end twice, and still at the wall clock's place: so at the pace at which it plays.
    wait_rounds(&players, 2);
    wait_same_second(&players);
    let _source = live(&mesh.nodes[1], 500_000);
    wait_live(&players, 100);
    for player in &players {
        let first = runs(player).last().unwrap().first;
        assert_eq!(first, 500_000, "{}: the beginning of the next", player.url);
    }
    // Who comes later hears the file, too.
    mesh.wait_each_sees(LIVE, "its own source", |mount| {
        mount.fallback_heard().is_none()
    });
}

#[test]
fn a_mount_without_any_source_plays_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "loop.mp3", &numbered_file());
    let mesh = TestMesh::start(2);
    let fallback = format!(r#""fallback": "file:{}""#, path.display());
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, &fallback);
    mesh.wait_for_mount(LIVE);
    mesh.wait_each_sees(LIVE, "a file that can be played", |mount| {
        mount.rungs.len() == 2 && mount.rungs[1].state.words() == "on air"
    });
    let by_redirect = Player::tune_in(&format!("{}{LIVE}", mesh.nodes[1].url()));
    let players = [by_redirect, listener(&mesh.nodes[0], LIVE)];
    wait_same_second(&players);
    wait_rounds(&players, 1);
}
