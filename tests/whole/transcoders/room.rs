//! A node's room for transcoders, and who goes on when a node drains or stands still.

use antiphon::model::status::NodeState;
use antiphon::model::transcoding::TranscoderStage;
use rustix::process::Signal;

use super::stage::{
    PITCH_HZ, RADIO, Stage, encoder, encoder_of_pictures, transcoder, transcoding, wait_programs,
    wait_trouble, whole,
};
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, decoded};

const MOUNT: &str = "/small.opus";
const SETTINGS: &str = "--codec opus --bitrate 64k";
/// Bytes of a second of it.
const SECOND_BYTES: usize = 8_000;

#[test]
fn mounts_that_wait_leave_their_room_to_others() {
    let stage = Stage::set(1, "ffmpeg");
    let node = &stage.mesh.nodes[0];
    node.create_mount("/silent.mp3", "hackme-not");
    for number in 0..3 {
        let words = format!("create /silent-{number}.mp3 --transcode-from /silent.mp3 --codec mp3");
        let words: Vec<&str> = words.split(' ').collect();
        done(&node.command("mount", &words));
        stage.wait_runs_somewhere(&format!("/silent-{number}.mp3"));
    }
    stage.create("/idle.mp3", "--codec mp3 --on-demand");
    let _source = encoder(node, PITCH_HZ);
    stage.mesh.wait_on_air(RADIO);
    stage.wait_runs_somewhere("/idle.mp3");
    for mount in ["/one.mp3", "/two.mp3"] {
        stage.create(mount, "--codec mp3 --bitrate 64k");
        stage.wait_runs(mount);
    }
    // There is room for two only, and they keep it.
    stage.create("/three.mp3", "--codec mp3 --bitrate 64k");
    wait_trouble(node, "/three.mp3", "max_transcoders");
    wait_programs(node, 2);
    node.delete_mount("/one.mp3");
    stage.wait_runs("/three.mp3");
    wait_programs(node, 2);
}

#[test]
fn a_node_that_drains_goes_on_until_another_one_has_room() {
    let mesh = TestMesh::start_with(3, |index, setup| match index {
        0 | 1 => transcoding(setup, "ffmpeg"),
        _ => setup,
    });
    let stage = Stage::begin(mesh);
    let nodes = &stage.mesh.nodes;
    stage.create(MOUNT, SETTINGS);
    let _source = encoder(&nodes[2], PITCH_HZ);
    stage.wait_runs(MOUNT);
    let first = stage.wait_runs_somewhere(MOUNT);
    let player = Player::tune_in(&format!("{}/_stream/n1{MOUNT}", nodes[2].url()));
    player.wait_for(2 * SECOND_BYTES);
    // The other one takes it.
    let said = done(&nodes[first].command("node", &["drain", "--deadline", "1h"]));
    assert!(said.contains("its transcoder goes on"), "{said}");
    assert!(said.contains("no source is connected to it"), "{said}");
    wait_programs(&nodes[1 - first], 1);
    wait_programs(&nodes[first], 0);
    player.wait_for_more(8 * SECOND_BYTES);
    // Now nobody is left.
    done(&nodes[1 - first].command("node", &["drain", "--deadline", "1h"]));
    let draining = [NodeState::Draining];
    stage
        .mesh
        .wait_state(&[2], nodes[1 - first].name(), &draining);
    player.wait_for_more(8 * SECOND_BYTES);
    wait_programs(&nodes[1 - first], 1);
    assert!(!player.is_closed());
    done(&nodes[1 - first].command("node", &["drain", "--deadline", "0s"]));
    wait_programs(&nodes[1 - first], 0);
    done(&nodes[first].command("node", &["undrain"]));
    stage.wait_runs(MOUNT);
}

#[test]
fn nobody_goes_back_to_a_runner_that_stood_still() {
    let stage = Stage::set(3, "ffmpeg");
    stage.create(MOUNT, SETTINGS);
    let runner = stage.wait_runs_somewhere(MOUNT);
    let mut others = (0..3).filter(|index| *index != runner);
    let [sender, listened] = [others.next().unwrap(), others.next().unwrap()];
    let nodes = &stage.mesh.nodes;
    let _source = encoder(&nodes[sender], PITCH_HZ);
    stage.wait_runs(MOUNT);
    let listening = nodes[..].iter().enumerate();
    let listening = listening.filter(|(index, _)| *index != runner);
    let players: Vec<Player> = listening
        .map(|(_, node)| Player::tune_in(&format!("{}/_stream/n1{MOUNT}", node.url())))
        .collect();
    for player in &players {
        player.wait_for(3 * SECOND_BYTES);
    }
    nodes[runner].freeze();
    let gone = nodes[runner].name();
    stage
        .mesh
        .wait_state(&[sender, listened], gone, &[NodeState::Dead]);
    for player in &players {
        player.wait_for_more(6 * SECOND_BYTES);
    }
    nodes[runner].signal(Signal::CONT);
    stage.mesh.wait_agreed();
    wait_programs(&nodes[runner], 0);
    for player in &players {
        player.wait_for_more(6 * SECOND_BYTES);
        assert!(!player.is_closed());
        let received = player.bytes();
        let heads = received.windows(8).filter(|it| it == b"OpusHead");
        assert_eq!(heads.count(), 2, "one stream and then the other");
        decoded(MOUNT, whole(&received, MOUNT).to_vec());
    }
}

#[test]
fn pictures_without_sound_are_waited_out() {
    let stage = Stage::set(1, "ffmpeg");
    let node = &stage.mesh.nodes[0];
    stage.create(MOUNT, SETTINGS);
    let pictures = encoder_of_pictures(node);
    wait_trouble(node, MOUNT, "pictures and no sound");
    let seen = transcoder(node, MOUNT).unwrap();
    assert_eq!(
        (seen.report.stage, seen.report.restarts),
        (TranscoderStage::Waiting, 0)
    );
    wait_programs(node, 0);
    drop(pictures);
    eventually(PATIENCE, "that source has gone", || {
        let seen = transcoder(node, MOUNT).and_then(|it| it.report.trouble);
        so(seen.is_none(), format!("{seen:?}"))
    });
    let _source = encoder(node, PITCH_HZ);
    stage.wait_runs(MOUNT);
}
