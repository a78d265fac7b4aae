//! Liquidsoap plays the list and ffmpeg the studio: listeners at three nodes stay, decode, and see the titles of what they hear.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::stage::{AUTO, LIVE, PASSWORD, mesh, mount_command, plays, wait_status};
use crate::support::decoder::{Decoding, through_ffmpeg};
use crate::support::http;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::sample;
use crate::support::titled::TitleListener;
use crate::support::tool::have;
use crate::support::unprivileged::{as_nobody, open_folder};

/// How often the studio comes and goes.
const ROUNDS: usize = 3;
/// The same, where it is measured: each is two switches.
const MANY_ROUNDS: usize = 50;
/// Some seconds of either stream.
const SOME_BYTES: usize = 32_000;

/// A program that sends until it is dropped.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Liquidsoap with a list of one piece.
fn liquidsoap(node: &TestNode, folder: &tempfile::TempDir) -> Sender {
    let address = node.address();
    let (host, port) = address.rsplit_once(':').unwrap();
    let tone = folder.path().join("tone.mp3");
    fs::copy(sample(), &tone).unwrap();
    let script = format!(
        "s = single(\"annotate:artist=\\\"Robot\\\",title=\\\"Night\\\":{}\")\n\
         output.icecast(%mp3(bitrate=128, samplerate=44100), host=\"{host}\", port={port}, mount=\"{AUTO}\", \
         password=\"{PASSWORD}\", mksafe(s))\n",
        tone.display()
    );
    let file = folder.path().join("list.liq");
    fs::write(&file, script).unwrap();
    let mut command = as_nobody();
    command
        .arg("liquidsoap")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Sender(command.spawn().unwrap())
}

/// An ffmpeg in a studio.
fn studio(node: &TestNode) -> Sender {
    let mut command = Command::new("ffmpeg");
    let noise = "-nostdin -v error -re -f lavfi -i anoisesrc=amplitude=0.2:sample_rate=44100 -ac 2 -c:a libmp3lame -b:a 128k -f mp3";
    command.args(noise.split(' '));
    command.args(["-flush_packets", "1", "-content_type", "audio/mpeg"]);
    let target = format!("icecast://source:{PASSWORD}@{}{LIVE}", node.address());
    command.arg(target).stdin(Stdio::null());
    Sender(command.spawn().unwrap())
}

fn tell_title(node: &TestNode, song: &str) {
    let target = format!("/admin/metadata?mode=updinfo&mount={LIVE}&song={song}");
    let answer = http::get_as(&node.address(), &target, "source", PASSWORD).unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
}

/// Lets the studio come and go so often, under listeners at all nodes.
fn come_and_go(mesh: &TestMesh, rounds: usize) {
    let folder = open_folder();
    let _list = liquidsoap(&mesh.nodes[1], &folder);
    mesh.wait_on_air(AUTO);
    let players: Vec<Player> = mesh
        .nodes
        .iter()
        .map(|node| Player::tune_in(&format!("{}/_stream/n1{LIVE}", node.url())))
        .collect();
    let mut titled: Vec<TitleListener> = mesh
        .nodes
        .iter()
        .map(|node| TitleListener::at(node, LIVE))
        .collect();
    for round in 0..rounds {
        titled
            .iter_mut()
            .for_each(|it| it.wait_title("Robot - Night"));
        let studio = studio(&mesh.nodes[round % 3]);
        wait_status(mesh, "the studio", |mount| {
            mount.source.is_some() && mount.fallback_heard().is_none()
        });
        let song = format!("Live{round}");
        tell_title(&mesh.nodes[(round + 1) % 3], &song);
        titled.iter_mut().for_each(|it| it.wait_title(&song));
        players.iter().for_each(|it| it.wait_for_more(SOME_BYTES));
        drop(studio);
        wait_status(mesh, "the list", |mount| plays(mount, AUTO));
        players.iter().for_each(|it| it.wait_for_more(SOME_BYTES));
    }
    assert!(players.iter().all(|player| !player.is_closed()));
    mount_command(&mesh.nodes[0], &["delete", LIVE]);
    for player in &players {
        eventually(PATIENCE, "the listener is ended", || {
            so(player.is_closed(), "it plays")
        });
        let arguments = "-v error -i pipe:0 -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le -";
        let Decoding { output, taken } = through_ffmpeg(arguments, &player.bytes());
        taken.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, "", "{}: the decoder finds a fault", player.url);
    }
}

#[test]
fn liquidsoap_and_ffmpeg_take_turns() {
    if have("liquidsoap") && have("ffmpeg") {
        come_and_go(&mesh(3), ROUNDS);
    }
}

#[test]
#[ignore = "takes many minutes: make ladder"]
fn liquidsoap_and_ffmpeg_take_a_hundred_turns() {
    if have("liquidsoap") && have("ffmpeg") {
        come_and_go(&mesh(3), MANY_ROUNDS);
    }
}
