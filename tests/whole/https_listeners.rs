//! Sources and listeners by HTTPS: each byte comes, whatever becomes of certificates and nodes.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::icecast_engine::{EngineHome, from_a_frame, wait_serving};
use crate::support::ca::TestCa;
use crate::support::crowd::Crowd;
use crate::support::encoder::{Encoder, Target};
use crate::support::http::Connection;
use crate::support::https::{TlsFolder, said};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal;
use crate::support::source::{KnownSource, sample};
use crate::support::tape::Flaws;
use crate::support::tool::have;
use crate::support::unprivileged::{as_nobody, open_folder};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// Listeners that check each byte, through the changes of certificates.
const CROWD: usize = 200;
/// Listeners at each node of a mesh.
const LISTENERS: usize = 5;

/// The URL of a mount by HTTPS.
fn secure(node: &TestNode, path: &str) -> String {
    format!("https://{}{path}", node.address())
}

/// A program that ends with the test.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _end = self.0.wait();
    }
}

/// An ffmpeg that sends the sample by TLS.
fn ffmpeg_source(node: &TestNode) -> Program {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args("-nostdin -v error -re -stream_loop -1 -i".split(' '));
    ffmpeg.arg(sample());
    ffmpeg.args("-map 0:a -c copy -id3v2_version 0 -write_xing 0 -f mp3".split(' '));
    ffmpeg.args(["-content_type", "audio/mpeg", "-tls", "1"]);
    ffmpeg.arg(format!(
        "icecast://source:{PASSWORD}@{}{RADIO}",
        node.address()
    ));
    Program::start(&mut ffmpeg)
}

/// A mesh with a mount that ffmpeg feeds by TLS.
fn stage(nodes: usize) -> (TlsFolder, TestMesh, Program) {
    let tls = TlsFolder::new();
    let mesh = tls.mesh(nodes);
    mesh.create_mount(RADIO, PASSWORD);
    let source = ffmpeg_source(&mesh.nodes[0]);
    mesh.wait_on_air(RADIO);
    (tls, mesh, source)
}

#[test]
fn ffmpeg_sends_and_players_hear_by_https() {
    if !have("ffmpeg") || !have("curl") || !have("mpv") {
        return;
    }
    let (tls, mesh, _source) = stage(1);
    let url = secure(&mesh.nodes[0], RADIO);
    let trusting = ["-tls_verify", "1", "-ca_file", tls.ca()];
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(trusting);
    ffmpeg.args(["-i", &url, "-t", "2"]);
    let heard = ffmpeg.args("-ac 1 -ar 8000 -f s16le -".split(' ')).output();
    let heard = heard.unwrap();
    assert!(heard.status.success(), "{}", said(&heard));
    assert_eq!(heard.stdout.len(), 2 * 2 * 8_000);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "3", "--cacert", tls.ca(), &url]);
    let heard = curl.output().unwrap();
    assert_eq!(heard.status.code(), Some(28), "the time is over");
    assert!(heard.stdout.len() > 60_000, "{}", heard.stdout.len());
    let mut mpv = Command::new("mpv");
    let ca = format!("--tls-ca-file={}", tls.ca());
    mpv.args(["--no-config", "--no-video", "--ao=null", "--length=2"]);
    mpv.args(["--tls-verify=yes", &ca, &url]);
    let heard = mpv.output().unwrap();
    assert!(heard.status.success(), "{}", said(&heard));
    assert!(
        said(&heard).contains("Exiting... (End of file)"),
        "{}",
        said(&heard)
    );
}

#[test]
fn vlc_plays_by_https() {
    if !have("ffmpeg") || !have("cvlc") {
        return;
    }
    let (_tls, mesh, _source) = stage(1);
    let folder = open_folder();
    let _ca = TestCa::get().write_into(folder.path());
    let out = folder.path().join("out");
    let mut vlc = as_nobody();
    vlc.args(["cvlc", "-q", "--no-video", "--no-gnutls-system-trust"]);
    vlc.arg("--gnutls-dir-trust").arg(folder.path());
    vlc.args(["--aout=afile", "--audiofile-file"]).arg(&out);
    vlc.arg(secure(&mesh.nodes[0], RADIO));
    let _player = Program::start(vlc.env("HOME", folder.path()));
    eventually(PATIENCE, "VLC has played seconds", || {
        let played = std::fs::metadata(&out).map_or(0, |about| about.len());
        so(played > 500_000, played)
    });
}

#[test]
fn liquidsoap_sends_by_https() {
    if !have("liquidsoap") {
        return;
    }
    let tls = TlsFolder::new();
    let mesh = tls.mesh(1);
    mesh.create_mount(RADIO, PASSWORD);
    let address = mesh.nodes[0].address();
    let (_, port) = address.rsplit_once(':').unwrap();
    let script = format!(
        "settings.init.allow_root.set(true)\n\
         output.icecast(%mp3(bitrate=128), host=\"127.0.0.1\", port={port}, password=\"{PASSWORD}\", \
         mount=\"radio.mp3\", protocol=\"https\", sine())"
    );
    let mut liquidsoap = Command::new("liquidsoap");
    liquidsoap.arg(script).env("HOME", tls.path());
    let _source = Program::start(&mut liquidsoap);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&secure(&mesh.nodes[0], RADIO));
    player.wait_for(50_000);
}

#[test]
fn listeners_of_both_kinds_get_the_same_bytes() {
    let tls = TlsFolder::new();
    let mesh = tls.mesh(1);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let plain = Player::tune_in(&format!("{}{RADIO}", node.url()));
    let secure = Player::tune_in(&secure(node, RADIO));
    for player in [&plain, &secure] {
        player.wait_for(100_000);
        let _received = signal::check(&player.bytes());
    }
    drop(source);
    eventually(PATIENCE, "both are told of the end", || {
        let closed = [plain.is_closed(), secure.is_closed()];
        so(closed == [true, true], format!("{closed:?}"))
    });
    let last = |player: &Player| *signal::numbers(&player.bytes()).last().unwrap();
    assert_eq!(last(&plain), last(&secure));
}

#[test]
fn an_icecast_is_heard_by_https() {
    if !have("icecast2") {
        return;
    }
    let (tls, home) = (TlsFolder::new(), EngineHome::new());
    let mesh = TestMesh::start_with(1, |_, setup| tls.of(setup).configured(&home.settings("")));
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    wait_serving(node, "n1");
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&secure(node, RADIO));
    player.wait_for(100_000);
    let _received = signal::check(from_a_frame(&player.bytes()));
}

#[test]
fn a_change_of_certificates_is_not_heard() {
    let tls = TlsFolder::new();
    let setup = Setup::named("n1").with(&["--max-listeners", "1000"]);
    let node = tls.of(setup).start();
    node.create_mount(RADIO, PASSWORD);
    let encoder = Encoder::start(Target::of(vec![node.address()], RADIO, PASSWORD));
    let url = secure(&node, RADIO);
    let homes = vec![url.clone(); CROWD];
    let crowd = Crowd::gather(&homes, &[url], &encoder.diary());
    crowd.go_home();
    crowd.take_notes();
    let shown = || {
        let connection = Connection::open_tls(&node.address()).unwrap();
        connection.certificate().unwrap()
    };
    for _ in 0..3 {
        let before = shown();
        tls.replace(&TestCa::get().issue_for_loopback());
        eventually(PATIENCE, "another certificate is shown", || {
            so(shown() != before, "the one before")
        });
    }
    for notes in crowd.take_notes() {
        assert_eq!((notes.closed, notes.flaws), (0, Flaws::default()));
    }
}

#[test]
fn the_end_of_another_node_is_not_heard() {
    let tls = TlsFolder::new();
    let mut mesh = tls.mesh(3);
    mesh.create_mount(RADIO, PASSWORD);
    let master = mesh.master();
    let ingest = mesh.others()[0];
    let mut addresses: Vec<String> = mesh.nodes.iter().map(TestNode::address).collect();
    addresses.rotate_left(ingest);
    let encoder = Encoder::start(Target::of(addresses, RADIO, PASSWORD));
    mesh.wait_on_air(RADIO);
    let here = (0..3).filter(|node| *node != master);
    // By the addresses to which listeners are sent, so that each stays where it is.
    let kept = format!("/_stream/n1{RADIO}");
    let homes: Vec<String> = here.map(|node| secure(&mesh.nodes[node], &kept)).collect();
    let crowd = Crowd::gather(
        &vec![homes.clone(); LISTENERS].concat(),
        &homes,
        &encoder.diary(),
    );
    crowd.go_home();
    crowd.take_notes();
    mesh.nodes[master].kill9();
    mesh.wait_agreed_without(&[master]);
    eventually(PATIENCE, "seconds are heard after it", || {
        let sent = encoder.diary();
        let next = crowd
            .runs()
            .iter()
            .filter_map(|(_, runs)| Some(runs.last()?.next))
            .min();
        let heard = next.and_then(|next| sent.sent_at(next.saturating_sub(1)));
        so(
            heard.is_some_and(|at| at.elapsed() < Duration::from_secs(2)),
            format!("{next:?}"),
        )
    });
    for notes in crowd.take_notes() {
        assert_eq!((notes.closed, notes.flaws), (0, Flaws::default()));
    }
}

#[test]
fn a_listener_by_https_is_ended_like_any_other() {
    let tls = TlsFolder::new();
    let mesh = tls.mesh(1);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&secure(node, RADIO));
    player.wait_for(20_000);
    let listeners = node.command("listeners", &["--json"]);
    let told = said(&listeners);
    assert!(listeners.status.success() && told.contains(RADIO), "{told}");
    let drained = node
        .api("POST", "/api/v1/node/drain?deadline_s=1", "")
        .unwrap();
    assert_eq!(drained.head.status, 202);
    eventually(PATIENCE, "the listener is sent away", || {
        so(player.is_closed(), "it hears on")
    });
}
