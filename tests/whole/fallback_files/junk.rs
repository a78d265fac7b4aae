//! A source that sends no audio: listeners of a file hear the file on, and then the first real encoder.

use std::time::Duration;

use antiphon::model::fitness::SourceFitness;

use super::stage::{
    LIVE, PASSWORD, listener, live, numbered_file, put, runs, wait_kept, wait_live,
    wait_same_second,
};
use crate::support::junk::{Junk, JunkSource};
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;

/// The longest silence that listeners may hear: they have five seconds in store.
const GAP: Duration = Duration::from_secs(3);

#[test]
fn what_is_no_audio_takes_no_place_of_a_file() {
    let (mesh, folder) = (TestMesh::start(3), tempfile::tempdir().unwrap());
    put(&mesh.nodes[0], folder.path(), "loop.mp3", &numbered_file());
    let settings = r#""fallback": "file:loop.mp3", "source_timeout_s": 3"#;
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, settings);
    mesh.wait_for_mount(LIVE);
    wait_kept(&mesh.nodes, "loop.mp3");
    let nodes = mesh.nodes.iter();
    let players: Vec<Player> = nodes.map(|node| listener(node, LIVE)).collect();
    wait_same_second(&players);
    for junk in Junk::ALL {
        let source = JunkSource::start(&mesh.nodes[1], LIVE, "source", PASSWORD, junk);
        mesh.wait_each_sees(LIVE, "a source without audio", |mount| {
            assert!(mount.source.is_none(), "{junk:?} is on air");
            let mut waiting = mount.waiting.iter();
            waiting.any(|it| it.fitness == SourceFitness::Unknown)
        });
        eventually(PATIENCE, "the source is closed", || {
            so(source.is_closed(), format!("{junk:?}"))
        });
        mesh.wait_each_sees(LIVE, "why", |mount| {
            let closed = mount.closed.as_ref();
            mount.waiting.is_empty()
                && closed.is_some_and(|it| it.why.starts_with("no MP3 was found"))
        });
        wait_same_second(&players);
    }
    for player in &players {
        assert!(player.longest_gap() < GAP, "{:?}", player.longest_gap());
        runs(player); // whole frames of the file only
    }
    assert!(
        mesh.nodes[1]
            .log()
            .contains("no audio of this type is found")
    );
    let _live = live(&mesh.nodes[1], 0);
    wait_live(&players, 50);
}

#[test]
fn a_source_that_comes_to_its_senses_is_heard() {
    let (mesh, folder) = (TestMesh::start(1), tempfile::tempdir().unwrap());
    put(&mesh.nodes[0], folder.path(), "loop.mp3", &numbered_file());
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, r#""fallback": "file:loop.mp3""#);
    mesh.wait_for_mount(LIVE);
    let player = listener(&mesh.nodes[0], LIVE);
    wait_same_second(std::slice::from_ref(&player));
    let (mut source, head) =
        crate::support::source::knock(&mesh.nodes[0].address(), LIVE, PASSWORD).unwrap();
    assert_eq!(head.status, 200);
    source.send(b"<p>one moment</p>".repeat(3_000)).unwrap();
    mesh.wait_each_sees(LIVE, "a source without audio", |mount| {
        !mount.waiting.is_empty()
    });
    let listed = done(&mesh.nodes[0].command("mount", &["sources", LIVE]));
    assert!(listed.contains("sends no audio that is known"), "{listed}");
    let _source = crate::support::source::KnownSource::behind(source);
    wait_live(std::slice::from_ref(&player), 50);
}
