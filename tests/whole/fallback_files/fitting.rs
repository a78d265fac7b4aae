//! Files of another format than a mount, refused by what is on air, what is heard and what names say, from the moment that they are put.

use std::path::Path;

use super::formats::noise_file;
use super::stage::{PASSWORD, put, write};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::noise::{FORMATS, Format, Noise};
use crate::support::player::Player;
use crate::support::tool::{complaint, have};

/// Runs a command that is to be refused, and returns what it says.
fn refused(node: &TestNode, command: &str, arguments: &[&str]) -> String {
    complaint(&node.command(command, arguments), 1)
}

/// Puts a file under another name that is to be refused, and returns what is said.
fn refused_put(node: &TestNode, path: &Path, name: &str) -> String {
    refused(
        node,
        "file",
        &["put", path.to_str().unwrap(), "--name", name],
    )
}

/// Listens to the file that the mount `/show` falls back to, until every node knows that.
fn hear_file(mesh: &TestMesh, file: Format) -> Player {
    let player = Player::tune_in(&format!("{}/_stream/n1/show", mesh.nodes[0].url()));
    player.wait_for(file.second_bytes);
    mesh.wait_each_sees("/show", "its file", |mount| {
        mount.fallback_heard().is_some()
    });
    player
}

#[test]
fn a_file_has_to_fit_the_other_rungs_and_the_names_of_its_mounts() {
    if !have("ffmpeg") {
        return;
    }
    let (mesh, folder) = (TestMesh::start(1), tempfile::tempdir().unwrap());
    let node = &mesh.nodes[0];
    let [mp3, _, opus, ..] = FORMATS;
    put(node, folder.path(), "loop", &noise_file(mp3));
    let wrong = write(folder.path(), "wrong", &noise_file(opus));
    mesh.create_mount("/auto", PASSWORD);
    node.create_mount_with("/show", PASSWORD, r#""fallback": "/auto,file:loop""#);
    mesh.wait_for_mount("/show");
    let auto = Noise::start(node, "/auto", PASSWORD, mp3);
    mesh.wait_on_air("/auto");
    // The mount has no source of its own, and its name says nothing.
    let said = refused_put(node, &wrong, "loop");
    assert!(
        said.contains("/show plays loop and /auto, which is MP3"),
        "{said}"
    );
    drop(auto);
    done(&node.command("mount", &["set", "/show", "fallback=file:loop"]));
    let _player = hear_file(&mesh, mp3);
    let said = refused_put(node, &wrong, "loop");
    assert!(
        said.contains("/show plays loop and file:loop, which is MP3"),
        "{said}"
    );

    node.create_mount_with("/night.mp3", PASSWORD, r#""fallback": "file:loop""#);
    done(&node.command("mount", &["set", "/show", "fallback="]));
    let said = refused_put(node, &wrong, "loop");
    assert!(
        said.contains("/night.mp3 plays loop and is MP3 by its name"),
        "{said}"
    );
    let forced = ["put", wrong.to_str().unwrap(), "--name", "loop", "--force"];
    done(&node.command("file", &forced));
}

#[test]
fn the_format_of_a_file_is_known_as_soon_as_it_is_put() {
    if !have("ffmpeg") {
        return;
    }
    let (mesh, folder) = (TestMesh::start(1), tempfile::tempdir().unwrap());
    let node = &mesh.nodes[0];
    let [mp3, _, opus, ..] = FORMATS;
    mesh.create_mount("/show.mp3", PASSWORD);
    for name in ["a", "b", "c", "d"] {
        let set = format!("fallback=file:{name}");
        let set = ["set", "/show.mp3", &set];
        put(node, folder.path(), name, &noise_file(opus));
        let said = refused(node, "mount", &set);
        assert!(said.contains(&format!("file:{name} is Ogg Opus")), "{said}");
        // What was known of the one before does not count either.
        put(node, folder.path(), name, &noise_file(mp3));
        done(&node.command("mount", &set));
        done(&node.command("mount", &["set", "/show.mp3", "fallback="]));
    }
}

#[test]
fn a_mount_is_switched_to_a_file_of_its_format_only() {
    if !have("ffmpeg") {
        return;
    }
    let (mesh, folder) = (TestMesh::start(1), tempfile::tempdir().unwrap());
    let node = &mesh.nodes[0];
    let [mp3, _, opus, ..] = FORMATS;
    put(node, folder.path(), "loop", &noise_file(mp3));
    put(node, folder.path(), "sorry", &noise_file(opus));
    mesh.create_mount("/live.mp3", PASSWORD);
    let switch = ["switch", "/live.mp3", "file:sorry"];
    let said = refused(node, "mount", &switch);
    assert!(said.contains("file:sorry is Ogg Opus"), "{said}");
    assert!(said.contains("/live.mp3 MP3 by its name"), "{said}");
    done(&node.command("mount", &["switch", "/live.mp3", "own"]));
    done(&node.command("mount", &[&switch[..], &["--force"]].concat()));
    done(&node.command("mount", &["switch", "/live.mp3", "--back"]));

    node.create_mount_with("/show", PASSWORD, r#""fallback": "file:loop""#);
    mesh.wait_for_mount("/show");
    let _player = hear_file(&mesh, mp3);
    let said = refused(node, "mount", &["switch", "/show", "file:sorry"]);
    assert!(said.contains(", and file:loop MP3"), "{said}");
}
