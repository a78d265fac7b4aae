//! Programs that do not do what they should: each harms its own mount only, and says why.

use super::stage::{
    Folder, PITCH_HZ, Stage, encoder, programs, transcoder, transcoding, wait_programs,
    wait_trouble,
};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};

const BAD: &str = "/bad.mp3";
const GOOD: &str = "/good.mp3";
/// The bitrate by which a bad program knows that it is to be bad.
const BAD_SETTINGS: &str = "--codec mp3 --bitrate 40k";
const GOOD_SETTINGS: &str = "--codec mp3 --bitrate 64k";

/// One node whose ffmpeg does this instead of its work for the bad mount.
fn stage_with(script: &str) -> (Stage, Folder) {
    let script = format!(
        "case \"$*\" in *' 40k '*pipe:1) ;; *) exec /usr/bin/ffmpeg \"$@\" ;; esac\n{script}"
    );
    let folder = Folder::with("ffmpeg", &script);
    let usual = std::env::var("PATH").unwrap();
    let path = format!("{}:{usual}", folder.path().display());
    let mesh = TestMesh::start_with(1, |_, setup| {
        let setup = transcoding(setup, "ffmpeg").with(&["--transcode-memory-mib", "100"]);
        setup.path(path.clone())
    });
    let stage = Stage::begin(mesh);
    stage.create(BAD, BAD_SETTINGS);
    stage.create(GOOD, GOOD_SETTINGS);
    (stage, folder)
}

/// A bad program is told of with these words, is begun again, and the other mount plays.
fn is_told_of(script: &str, words: &str) -> Stage {
    let (stage, _folder) = stage_with(script);
    let node = &stage.mesh.nodes[0];
    let _source = encoder(node, PITCH_HZ);
    wait_trouble(node, BAD, words);
    let look = || {
        let seen = transcoder(node, BAD);
        so(
            seen.as_ref().is_some_and(|it| it.report.restarts >= 2),
            format!("{seen:?}"),
        )
    };
    eventually(PATIENCE, "it is tried again", look);
    stage.wait_runs(GOOD);
    let good = transcoder(node, GOOD).unwrap();
    assert_eq!((good.report.restarts, good.report.trouble), (0, None));
    assert!(node.log().contains("started again"));
    stage
}

#[test]
fn a_program_that_ends_at_once_is_told_of_with_its_last_words() {
    is_told_of(
        "echo 'cannot do this' >&2; exit 3",
        "ffmpeg ended with exit code 3: cannot do this",
    );
}

#[test]
fn a_program_that_ends_without_an_error_is_told_of_too() {
    is_told_of("exit 0", "ffmpeg ended with exit code 0");
}

#[test]
fn a_program_that_makes_something_else_is_not_put_on_air() {
    let stage = is_told_of("cat /dev/urandom", "what it makes is no audio/mpeg");
    let mounts = stage.mesh.nodes[0].status().mounts.into_iter();
    let mut bad = mounts.filter(|it| it.path.as_str() == BAD);
    assert_eq!(bad.next().unwrap().source, None);
}

#[test]
fn a_program_that_eats_memory_is_killed() {
    is_told_of(
        "exec /usr/bin/python3 -c 'import time; a = b\"x\" * (200 << 20); time.sleep(1000)'",
        "used more memory than its 100 MiB, and was killed",
    );
}

#[test]
fn a_program_that_floods_its_log_fills_nothing() {
    let stage = is_told_of(
        "i=0; while [ $i -lt 200000 ]; do echo flood; i=$((i+1)); done >&2; exit 4",
        "exit code 4: flood",
    );
    let node = &stage.mesh.nodes[0];
    let lines = node
        .log()
        .lines()
        .filter(|line| line.contains("flood"))
        .count();
    // Fifty at once and ten in a second, of each of a few lives.
    assert!(lines < 1_000, "{lines} lines");
}

#[test]
fn a_program_that_hangs_is_killed_and_begun_again() {
    let (stage, _folder) = stage_with("exec sleep 1000");
    let node = &stage.mesh.nodes[0];
    let _source = encoder(node, PITCH_HZ);
    stage.wait_runs(GOOD);
    let before = wait_programs(node, 2);
    wait_trouble(node, BAD, "it makes nothing of what it hears");
    let look = || {
        let now = programs(node);
        so(now.len() == 2 && now != before, format!("{now:?}"))
    };
    eventually(PATIENCE, "another one runs", look);
}

#[test]
fn a_node_without_a_program_says_how_to_get_one() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap().to_owned();
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => transcoding(setup, "auto").path(path.clone()),
        _ => setup,
    });
    let stage = Stage::begin(mesh);
    stage.create(GOOD, GOOD_SETTINGS);
    let words = "n1 cannot: there is no liquidsoap or ffmpeg: install it (apt install liquidsoap)";
    wait_trouble(&stage.mesh.nodes[1], GOOD, words);
    assert!(
        stage.mesh.nodes[0]
            .log()
            .contains("this node cannot transcode")
    );
}

#[test]
fn a_mesh_in_which_no_node_transcodes_says_so() {
    let stage = Stage::begin(TestMesh::start(1));
    stage.create(GOOD, GOOD_SETTINGS);
    wait_trouble(
        &stage.mesh.nodes[0],
        GOOD,
        "no node transcodes: start one with --transcode",
    );
}

#[test]
fn a_program_whose_script_does_not_check_makes_nothing() {
    let folder = Folder::with(
        "liquidsoap",
        "echo 'Error 5: this value has no method' >&2; exit 1",
    );
    let usual = std::env::var("PATH").unwrap();
    let path = format!("{}:{usual}", folder.path().display());
    let mesh = TestMesh::start_with(1, |_, setup| {
        transcoding(setup, "liquidsoap").path(path.clone())
    });
    let stage = Stage::begin(mesh);
    stage.create(GOOD, GOOD_SETTINGS);
    wait_trouble(
        &stage.mesh.nodes[0],
        GOOD,
        "exit code 1: Error 5: this value has no method",
    );
}

#[test]
fn a_codec_that_no_program_has_is_said_to_be_missing() {
    for engine in ["ffmpeg", "liquidsoap"] {
        let stage = Stage::set(1, engine);
        stage.create("/he.aac", "--codec he-aac");
        // Neither of apt has the library for it.
        wait_trouble(&stage.mesh.nodes[0], "/he.aac", "no libfdk_aac");
    }
}
