//! Streams that are made only while somebody listens.

use std::time::Instant;

use antiphon::model::transcoding::TranscoderStage;

use super::stage::{PITCH_HZ, RADIO, Stage, encoder, programs, transcoder, wait_programs, whole};
use crate::support::http::get;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, decoded};

const MOUNT: &str = "/small.mp3";
const SMALLER: &str = "/smaller.opus";

fn wait_stage(stage: &Stage, mount: &str, wanted: TranscoderStage) {
    // Nobody listens for half a minute before it is idle again.
    let limit = 2 * PATIENCE;
    stage
        .mesh
        .wait_each_sees_within(limit, mount, "the stage of a transcoder", |it| {
            it.transcoder
                .as_ref()
                .is_some_and(|it| it.report.stage == wanted)
        });
}

/// The processes of all nodes.
fn running(stage: &Stage) -> usize {
    stage
        .mesh
        .nodes
        .iter()
        .map(|node| programs(node).len())
        .sum()
}

#[test]
fn a_listener_anywhere_has_the_stream_made() {
    let stage = Stage::set(3, "ffmpeg");
    stage.create(MOUNT, "--codec mp3 --bitrate 64k --on-demand");
    let _source = encoder(&stage.mesh.nodes[0], PITCH_HZ);
    stage.mesh.wait_on_air(RADIO);
    wait_stage(&stage, MOUNT, TranscoderStage::Idle);
    let runner = stage.runner(MOUNT);
    let mut others = stage.mesh.nodes.iter().filter(|node| node.name() != runner);
    let asked = others.next_back().unwrap();
    eventually(PATIENCE, "nothing runs", || {
        so(running(&stage) == 0, running(&stage))
    });
    let begun = Instant::now();
    let player = Player::tune_in(&format!("{}{MOUNT}", asked.url()));
    player.wait_for(1_000);
    let first = begun.elapsed();
    println!("first bytes after {first:?}");
    assert_eq!(running(&stage), 1);
    player.wait_for(40_000);
    decoded(MOUNT, whole(&player.bytes(), MOUNT).to_vec());
    drop(player);
    wait_stage(&stage, MOUNT, TranscoderStage::Idle);
    eventually(PATIENCE, "nothing runs again", || {
        so(running(&stage) == 0, running(&stage))
    });
    // While it lingers, and later, it is made again.
    let player = Player::tune_in(&format!("{}{MOUNT}", asked.url()));
    player.wait_for(40_000);
}

#[test]
fn a_row_of_transcoders_is_made_for_one_listener() {
    let stage = Stage::set(1, "ffmpeg");
    let node = &stage.mesh.nodes[0];
    stage.create(MOUNT, "--codec mp3 --bitrate 64k --on-demand");
    let words =
        format!("create {SMALLER} --transcode-from {MOUNT} --codec opus --bitrate 32k --on-demand");
    let words: Vec<&str> = words.split(' ').collect();
    assert!(node.command("mount", &words).status.success());
    stage.mesh.wait_for_mount(SMALLER);
    let missing = get(&node.address(), SMALLER).unwrap();
    assert_eq!(
        missing.head.status, 404,
        "nothing to make it of: {missing:?}"
    );
    let _source = encoder(node, PITCH_HZ);
    stage.mesh.wait_on_air(RADIO);
    wait_stage(&stage, MOUNT, TranscoderStage::Idle);
    wait_stage(&stage, SMALLER, TranscoderStage::Idle);
    let player = Player::tune_in(&format!("{}{SMALLER}", node.url()));
    player.wait_for(20_000);
    wait_programs(node, 2);
    let seen = transcoder(node, MOUNT).unwrap();
    assert_eq!(seen.report.stage, TranscoderStage::Running);
}
