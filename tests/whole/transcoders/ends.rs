//! The ends of a transcoder: of its program, of its source, and of its seat when two nodes have it.

use std::time::{Duration, Instant};

use antiphon::model::transcoding::TranscoderStage;
use rustix::process::{Pid, Signal, kill_process};

use super::stage::{
    PITCH_HZ, RADIO, Stage, encoder, programs, transcoder, transcoding, wait_programs,
};
use crate::support::mesh::TestMesh;
use crate::support::network::Network;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;

const MOUNT: &str = "/small.mp3";
const SETTINGS: &str = "--codec mp3 --bitrate 64k";

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_program_that_is_killed_or_stopped_is_started_again() {
    let stage = Stage::set(2, "ffmpeg");
    stage.create(MOUNT, SETTINGS);
    let runner = stage.wait_runs_somewhere(MOUNT);
    let (runner, other) = (&stage.mesh.nodes[runner], &stage.mesh.nodes[1 - runner]);
    let _source = encoder(other, PITCH_HZ);
    stage.wait_runs(MOUNT);
    let player = Player::tune_in(&format!("{}/_stream/n1{MOUNT}", other.url()));
    for (number, with) in [(1, Signal::KILL), (2, Signal::STOP)] {
        player.wait_for_more(20_000);
        let before = wait_programs(runner, 1);
        signal(before[0], with);
        let look = || {
            let (seen, now) = (transcoder(other, MOUNT), programs(runner));
            let is_again = seen.as_ref().is_some_and(|it| {
                it.report.stage == TranscoderStage::Running && it.report.restarts == number
            });
            so(is_again && now != before, format!("{seen:?}, {now:?}"))
        };
        eventually(PATIENCE, &format!("it runs again after {with:?}"), look);
        assert_eq!(programs(runner).len(), 1, "the one before is gone");
    }
    player.wait_for_more(20_000);
    assert!(!player.is_closed());
    assert!(runner.log().contains("makes nothing of what it hears"));
}

#[test]
fn no_program_runs_while_the_source_is_away() {
    let stage = Stage::set(2, "ffmpeg");
    stage.create(MOUNT, SETTINGS);
    let runner = stage.wait_runs_somewhere(MOUNT);
    let (runner, other) = (&stage.mesh.nodes[runner], &stage.mesh.nodes[1 - runner]);
    let source = encoder(other, PITCH_HZ);
    stage.wait_runs(MOUNT);
    let player = Player::tune_in(&format!("{}/_stream/n1{MOUNT}", other.url()));
    player.wait_for_more(20_000);
    drop(source);
    wait_programs(runner, 0);
    let look = || {
        let seen = transcoder(other, MOUNT);
        let good = seen
            .as_ref()
            .is_some_and(|it| it.report.stage == TranscoderStage::Waiting);
        so(good, format!("{seen:?}"))
    };
    eventually(PATIENCE, "it waits for the source", look);
    let seen = transcoder(other, MOUNT).unwrap();
    assert_eq!(
        (seen.report.restarts, seen.report.trouble),
        (0, None),
        "no failure"
    );
    let _source = encoder(other, PITCH_HZ);
    stage.mesh.wait_on_air(RADIO);
    let back = Instant::now();
    player.wait_for_more(8_000);
    // Two seconds on a machine that does nothing else.
    assert!(
        back.elapsed() < Duration::from_secs(6),
        "{:?}",
        back.elapsed()
    );
    assert!(!player.is_closed(), "its listeners were kept");
}

#[test]
fn what_a_dead_node_had_sent_is_not_made_again_and_again() {
    let mut stage = Stage::set(3, "ffmpeg");
    let (mounts, mut sender) = (["/one.mp3", "/two.mp3"], None);
    for mount in mounts {
        stage.create(mount, SETTINGS);
        sender = Some(stage.wait_runs_somewhere(mount));
    }
    // The encoder is where one of the two runs.
    let sender = sender.unwrap();
    let _source = encoder(&stage.mesh.nodes[sender], PITCH_HZ);
    for mount in mounts {
        stage.wait_runs(mount);
    }
    let staying: Vec<usize> = (0..3).filter(|index| *index != sender).collect();
    let players: Vec<Player> = staying
        .iter()
        .flat_map(|index| {
            let url = stage.mesh.nodes[*index].url();
            mounts.map(|mount| Player::tune_in(&format!("{url}/_stream/n1{mount}")))
        })
        .collect();
    for player in &players {
        player.wait_for(24_000);
    }
    stage.mesh.nodes[sender].kill9();
    for index in &staying {
        wait_programs(&stage.mesh.nodes[*index], 0);
    }
    for player in &players {
        eventually(PATIENCE, "its mount ends", || {
            so(player.is_closed(), player.len())
        });
    }
}

#[test]
fn a_setting_that_changes_no_audio_restarts_nothing() {
    let stage = Stage::set(1, "ffmpeg");
    stage.create(MOUNT, SETTINGS);
    let node = &stage.mesh.nodes[0];
    let _source = encoder(node, PITCH_HZ);
    stage.wait_runs(MOUNT);
    let player = Player::tune_in(&format!("{}{MOUNT}", node.url()));
    player.wait_for(20_000);
    let before = wait_programs(node, 1);
    for change in ["on_demand=true", "name=Small", "on_demand=false"] {
        let output = node.command("mount", &["set", MOUNT, change]);
        assert!(output.status.success(), "{output:?}");
        player.wait_for_more(12_000);
        assert_eq!(programs(node), before, "{change}");
    }
    let seen = transcoder(node, MOUNT).unwrap();
    assert_eq!(seen.report.restarts, 0);
}

#[test]
fn a_mount_that_is_deleted_or_changed_ends_its_program() {
    let stage = Stage::set(1, "ffmpeg");
    stage.create(MOUNT, SETTINGS);
    let node = &stage.mesh.nodes[0];
    let _source = encoder(node, PITCH_HZ);
    stage.wait_runs(MOUNT);
    let before = wait_programs(node, 1);
    let output = node.command("mount", &["set", MOUNT, "bitrate=32k"]);
    assert!(output.status.success(), "{output:?}");
    let look = || {
        let now = programs(node);
        so(now.len() == 1 && now != before, format!("{now:?}"))
    };
    eventually(PATIENCE, "another program with the new bitrate", look);
    stage
        .mesh
        .wait_each_sees(MOUNT, "the new bitrate", |it| it.bitrate_kbps == 32);
    let output = node.command("mount", &["set", MOUNT, "transcode_from="]);
    assert!(output.status.success(), "{output:?}");
    wait_programs(node, 0);
    stage
        .mesh
        .wait_each_sees(MOUNT, "no source", |it| it.source.is_none());
}

#[test]
fn one_of_two_runners_goes_on_when_a_cut_has_healed() {
    const SIDES: (&[usize], &[usize]) = (&[0], &[1, 2]);
    let Some(network) = Network::build(3) else {
        return;
    };
    let mesh = TestMesh::start_with(3, |index, setup| {
        transcoding(setup.inside(network.site(index)), "ffmpeg")
    });
    let stage = Stage::begin(mesh);
    let mesh = &stage.mesh;
    stage.create(MOUNT, SETTINGS);
    let sources = [&mesh.nodes[0], &mesh.nodes[1]];
    let _first = encoder(sources[0], PITCH_HZ);
    stage.wait_runs(MOUNT);
    network.part(SIDES);
    mesh.wait_agreed_among(SIDES.0);
    mesh.wait_agreed_among(SIDES.1);
    // Each side has a source of its own then, and a runner.
    let _second = encoder(sources[1], PITCH_HZ);
    let runs = |index: usize| {
        let node = &mesh.nodes[index];
        move || {
            let seen = transcoder(node, MOUNT);
            let is_running = seen
                .as_ref()
                .is_some_and(|it| it.report.stage == TranscoderStage::Running);
            so(is_running, format!("{seen:?}"))
        }
    };
    eventually(PATIENCE, "the first side makes the stream", runs(0));
    eventually(PATIENCE, "the second side makes the stream", runs(1));
    network.join(SIDES);
    mesh.wait_agreed();
    let look = || {
        let programs: Vec<usize> = mesh.nodes.iter().map(|node| programs(node).len()).collect();
        so(programs.iter().sum::<usize>() == 1, format!("{programs:?}"))
    };
    eventually(PATIENCE, "one program in the mesh", look);
    stage.wait_runs(MOUNT);
    let player = Player::tune_in(&format!("{}{MOUNT}", mesh.nodes[2].url()));
    player.wait_for_more(40_000);
    look().unwrap();
}
