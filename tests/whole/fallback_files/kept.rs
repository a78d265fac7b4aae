//! A file that the mesh keeps: put at one node, it is on all of them, whatever happens to a disk.

use std::fs;

use super::stage::{
    LIVE, PASSWORD, kept_path, listener, live, numbered_file, plays, put, wait_kept, wait_live,
    wait_rounds, wait_same_second,
};
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tool::complaint;

#[test]
fn a_file_put_at_one_node_is_heard_on_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut mesh = TestMesh::start(3);
    let said = put(&mesh.nodes[1], folder.path(), "loop.mp3", &numbered_file());
    assert!(said.contains("put loop.mp3: MP3"), "{said}");
    wait_kept(&mesh.nodes, "loop.mp3");
    let fallback = r#""fallback": "file:loop.mp3""#;
    mesh.nodes[2].create_mount_with(LIVE, PASSWORD, fallback);
    mesh.wait_for_mount(LIVE);
    let source = live(&mesh.nodes[0], 0);
    mesh.wait_on_air(LIVE);
    // One that joins later gets it, too.
    mesh.add_joining(0);
    mesh.wait_agreed();
    wait_kept(&mesh.nodes, "loop.mp3");
    for node in &mesh.nodes {
        assert_eq!(
            fs::read(kept_path(node)).unwrap(),
            numbered_file(),
            "{}",
            node.name()
        );
    }
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_live(&players, 50);
    drop(source);
    wait_same_second(&players);
    mesh.wait_each_sees(LIVE, "the file", |mount| {
        plays(mount, "file:loop.mp3") && mount.listeners == 4
    });
    let status = done(&mesh.nodes[3].command("status", &[]));
    assert!(status.contains("plays file:loop.mp3"), "{status}");
    wait_rounds(&players, 1);
    let _source = live(&mesh.nodes[3], 500_000);
    wait_live(&players, 50);
}

#[test]
fn an_operator_switches_a_mount_to_a_file_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(2);
    put(&mesh.nodes[0], folder.path(), "loop.mp3", &numbered_file());
    wait_kept(&mesh.nodes, "loop.mp3");
    mesh.create_mount(LIVE, PASSWORD);
    let _source = live(&mesh.nodes[0], 0);
    mesh.wait_on_air(LIVE);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_live(&players, 50);
    let switch = |rung: &str| mesh.nodes[1].command("mount", &["switch", LIVE, rung]);
    let said = complaint(&switch("file:lop.mp3"), 1);
    assert!(
        said.contains("no file lop.mp3; did you mean file:loop.mp3?"),
        "{said}"
    );
    done(&switch("file:loop.mp3"));
    wait_same_second(&players);
    let said = complaint(&mesh.nodes[0].command("file", &["delete", "loop.mp3"]), 1);
    assert!(said.contains("/live.mp3 plays file:loop.mp3"), "{said}");
    done(&switch("--back"));
    wait_live(&players, 50);
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut mesh = TestMesh::start(2);
    put(&mesh.nodes[0], folder.path(), "loop.mp3", &numbered_file());
    wait_kept(&mesh.nodes, "loop.mp3");
    let path = kept_path(&mesh.nodes[1]);
    let is_whole = || {
        let kept = fs::read(&path).unwrap_or_default();
        so(kept == numbered_file(), format!("{} bytes", kept.len()))
    };
    // While the node runs, and while it does not: by its hash it finds out when it starts.
    let mut damaged = numbered_file();
    damaged[40_000] ^= 1;
    fs::write(&path, &damaged).unwrap();
    eventually(PATIENCE, "the file is whole again", is_whole);
    mesh.nodes[1].stop();
    fs::write(&path, &damaged).unwrap();
    mesh.nodes[1].restart();
    mesh.wait_agreed();
    eventually(PATIENCE, "the file is whole after a restart", is_whole);
    mesh.nodes[1].stop();
    fs::remove_file(&path).unwrap();
    mesh.nodes[1].restart();
    mesh.wait_agreed();
    eventually(PATIENCE, "the file is there again", is_whole);
    let log = mesh.nodes[1].log();
    assert!(log.contains("the file is damaged on this node"), "{log}");
    assert!(log.contains("file fetched"), "{log}");
}

#[test]
fn a_file_is_replaced_and_deleted_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(2);
    let node = &mesh.nodes[0];
    put(node, folder.path(), "loop.mp3", &numbered_file());
    wait_kept(&mesh.nodes, "loop.mp3");
    let first = kept_path(&mesh.nodes[1]);
    let shorter = &numbered_file()[..100_000];
    put(node, folder.path(), "loop.mp3", shorter);
    eventually(PATIENCE, "the other file is kept", || {
        let path = kept_path(&mesh.nodes[1]);
        so(
            path != first && fs::read(&path).unwrap() == shorter,
            path.display(),
        )
    });
    wait_kept(&mesh.nodes, "loop.mp3");
    done(&mesh.nodes[1].command("file", &["delete", "loop.mp3"]));
    for node in &mesh.nodes {
        let gone = || {
            let files = fs::read_dir(node.data_dir().join("files")).unwrap().count();
            so(files == 0, format!("{} has {files}", node.name()))
        };
        eventually(PATIENCE, "the bytes are gone", gone);
        let listed = done(&node.command("file", &["list"]));
        assert!(listed.contains("there are no files"), "{listed}");
    }
}
