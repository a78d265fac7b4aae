//! Transcoders: real programs on real nodes, each at one node, and again at another one when that has gone.

mod bad_programs;
mod ends;
mod on_demand;
mod room;
pub(crate) mod stage;

use std::process::Command;

use antiphon::model::status::transcoder::TranscoderStatus;
use antiphon::model::transcoding::TranscoderStage;

use self::stage::{PASSWORD, PITCH_HZ, RADIO, Stage, Tone, encoder, shares, transcoder};
use crate::support::http::{ask, basic};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, decoded};

/// The mounts that are made, each with its codec as ffprobe names it, and its bits in a second.
const MOUNTS: [(&str, &str, &str, f64); 4] = [
    ("/small.mp3", "mp3", "--codec mp3 --bitrate 64k", 64e3),
    ("/small.aac", "aac", "--codec aac --bitrate 96k", 96e3),
    ("/small.ogg", "vorbis", "--codec vorbis --bitrate 96k", 96e3),
    ("/small.opus", "opus", "--codec opus --bitrate 64k", 64e3),
];
/// How much sound is looked at.
const SECONDS: f64 = 8.0;
/// Samples of decoded sound in a second.
const RATE_HZ: f64 = 8_000.0;
/// How far a bitrate may be off.
const TOLERANCE: f64 = 0.1;

/// The codec of a stream, as ffprobe finds it.
fn codec_of(received: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), received).unwrap();
    let mut command = Command::new("ffprobe");
    command
        .args("-v error -select_streams a -show_entries stream=codec_name -of csv=p=0".split(' '));
    let output = command.arg(file.path()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn makes_what_was_ordered(engine: &str) {
    let stage = Stage::set(3, engine);
    let mesh = &stage.mesh;
    for (mount, _, settings, _) in MOUNTS {
        stage.create(mount, settings);
    }
    let _source = encoder(&mesh.nodes[0], PITCH_HZ);
    for (mount, ..) in MOUNTS {
        stage.wait_runs(mount);
    }
    let runners: Vec<String> = MOUNTS.iter().map(|it| stage.runner(it.0)).collect();
    let programs: usize = mesh
        .nodes
        .iter()
        .map(|node| stage::programs(node).len())
        .sum();
    assert_eq!(programs, MOUNTS.len(), "one for each mount: {runners:?}");
    assert!(runners.iter().any(|it| *it != runners[0]), "{runners:?}");

    let players =
        MOUNTS.map(|(mount, ..)| Player::tune_in(&format!("{}{mount}", mesh.nodes[1].url())));
    let say = format!(
        "GET /admin/metadata?mode=updinfo&mount={RADIO}&song=Artist%20-%20Piece HTTP/1.0\r\nAuthorization: {}\r\n\r\n",
        basic("source", PASSWORD)
    );
    assert_eq!(
        ask(&mesh.nodes[2].address(), &say).unwrap().head.status,
        200
    );
    for ((mount, codec, _, bitrate_bps), player) in MOUNTS.iter().zip(&players) {
        player.wait_for((bitrate_bps * SECONDS / 8.0) as usize);
        let received = player.bytes();
        assert_eq!(codec_of(&received), *codec, "{mount}");
        let whole = stage::whole(&received, mount);
        let samples = decoded(mount, whole.to_vec());
        let seconds = samples.len() as f64 / RATE_HZ;
        let bps = whole.len() as f64 * 8.0 / seconds;
        assert!(
            (bps / bitrate_bps - 1.0).abs() < TOLERANCE,
            "{mount}: {bps} bit/s"
        );
        let tones: Vec<[f64; 1]> = shares(&samples, [PITCH_HZ]);
        let heard = tones.iter().filter(|[share]| *share > 0.9).count();
        assert!(heard * 10 > tones.len() * 8, "{mount}: {tones:?}");
        mesh.wait_each_sees(mount, "the other mount's title", |it| {
            it.title == "Artist - Piece"
        });
    }
}

#[test]
fn ffmpeg_makes_what_was_ordered_once_in_the_mesh() {
    makes_what_was_ordered("ffmpeg");
}

#[test]
fn liquidsoap_makes_what_was_ordered_once_in_the_mesh() {
    makes_what_was_ordered("liquidsoap");
}

#[test]
fn listeners_hear_one_runner_after_the_other() {
    const MOUNT: &str = "/small.mp3";
    const TONES_HZ: [f64; 3] = [600.0, 1_000.0, 1_400.0];
    let tones = TONES_HZ.map(Tone::new);
    let mut stage = Stage::with_programs(&tones.each_ref().map(|tone| tone.path()), "ffmpeg");
    stage.create(MOUNT, "--codec mp3 --bitrate 64k");
    let runner = stage.wait_runs_somewhere(MOUNT);
    // The source, and the listener, are at nodes that stay.
    let stays = (runner + 1) % 3;
    let _source = encoder(&stage.mesh.nodes[stays], PITCH_HZ);
    stage.wait_runs(MOUNT);
    let url = format!("{}/_stream/n1{MOUNT}", stage.mesh.nodes[stays].url());
    let player = Player::tune_in(&url);
    player.wait_for_more(40_000);
    let programs = stage::programs(&stage.mesh.nodes[runner]);
    assert_eq!(programs.len(), 1);
    stage.mesh.nodes[runner].kill9();
    eventually(PATIENCE, "the program has gone with its node", || {
        so(!stage::is_there(programs[0]), format!("{programs:?}"))
    });
    let dead = stage.mesh.nodes[runner].name().to_owned();
    let witness = &stage.mesh.nodes[stays];
    let look = || {
        let seen = transcoder(witness, MOUNT);
        let good = seen.as_ref().is_some_and(|it| {
            it.report.stage == TranscoderStage::Running
                && it.node.as_ref().is_some_and(|it| it.as_str() != dead)
        });
        so(good, format!("{seen:?}"))
    };
    eventually(PATIENCE, "another node makes the stream", look);
    player.wait_for_more(40_000);
    assert!(!player.is_closed(), "listeners stay");
    let heir = stage.runner(MOUNT);
    let heir = stage
        .mesh
        .nodes
        .iter()
        .position(|node| node.name() == heir)
        .unwrap();

    let received = player.bytes();
    let samples = decoded(MOUNT, stage::whole(&received, MOUNT).to_vec());
    let mut order = Vec::new();
    for shares in shares(&samples, TONES_HZ) {
        let loud: Vec<usize> = (0..3).filter(|index| shares[*index] > 0.1).collect();
        // Where one ends and the other begins, a window may have both.
        if let [one] = loud[..]
            && order.last() != Some(&one)
        {
            order.push(one);
        }
    }
    assert_eq!(order, [runner, heir], "one after the other, never both");
}

#[test]
fn a_transcoder_says_what_it_does() {
    const MOUNT: &str = "/small.mp3";
    let stage = Stage::set(1, "ffmpeg");
    stage.create(MOUNT, "--codec mp3 --bitrate 64k");
    let node = &stage.mesh.nodes[0];
    let seen = |stage: TranscoderStage| {
        move || {
            let seen = transcoder(node, MOUNT);
            so(
                seen.as_ref().is_some_and(|it| it.report.stage == stage),
                format!("{seen:?}"),
            )
        }
    };
    eventually(PATIENCE, "it waits", seen(TranscoderStage::Waiting));
    stage::wait_programs(node, 0);
    let _source = encoder(node, PITCH_HZ);
    eventually(PATIENCE, "it runs", seen(TranscoderStage::Running));
    let figures = || {
        let seen = transcoder(node, MOUNT);
        let is_whole =
            |it: &TranscoderStatus| it.report.lag_ms.is_some() && it.report.cpu_permille.is_some();
        so(seen.as_ref().is_some_and(is_whole), format!("{seen:?}"))
    };
    eventually(PATIENCE, "its figures are known", figures);
    let status = node.command("status", &[]);
    let said = String::from_utf8(status.stdout).unwrap();
    let line = format!("{MOUNT} is transcoded from {RADIO} by ffmpeg at n1, ");
    assert!(
        said.contains(&line) && said.contains("% of a processor"),
        "{said}"
    );
    let page = crate::support::http::get(&node.address(), "/?part=mesh")
        .unwrap()
        .text();
    assert!(page.contains("by ffmpeg at n1, "), "{page}");
}
