//! Silence of a source is noticed, told by every node, and over when it sounds again.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use antiphon::model::fitness::SourceFitness;
use antiphon::model::outside_relay::OutsideRelayStage;
use antiphon::model::sound::SoundState;
use antiphon::model::status::MountStatus;

use crate::support::http::get;
use crate::support::icecast::Icecast;
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// A tone for half of each 16 s, and nothing for the other half: a silence of 2 s begins in it even where pages hold a second.
const TONE_AND_NOTHING: &str = "0.2*sin(2*PI*440*t)*lt(mod(t\\,16)\\,8)";

/// Each mount with how its encoder makes its stream.
const MOUNTS: [(&str, &str); 4] = [
    (
        "/radio.mp3",
        "-c:a libmp3lame -b:a 128k -f mp3 -content_type audio/mpeg",
    ),
    (
        "/radio.aac",
        "-c:a aac -b:a 96k -f adts -content_type audio/aac",
    ),
    (
        "/radio.opus",
        "-c:a libopus -b:a 64k -vbr on -f ogg -content_type application/ogg",
    ),
    (
        "/radio.ogg",
        "-c:a flac -f ogg -content_type application/ogg",
    ),
];

/// An encoder that sends until it is dropped.
struct SilenceEncoder(Child);

impl SilenceEncoder {
    fn start(node: &TestNode, mount: &str, arguments: &str) -> Self {
        Self::start_as("source", TONE_AND_NOTHING, node, mount, arguments)
    }

    /// The same as another user, with another sound.
    fn start_as(user: &str, sound: &str, node: &TestNode, mount: &str, arguments: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args("-nostdin -v error -re -f lavfi -i".split(' '));
        let source = format!("aevalsrc={sound}|{sound}:s=48000");
        command.arg(source).args("-flush_packets 1".split(' '));
        command.args(arguments.split(' '));
        let address = node.address();
        command.arg(format!("icecast://{user}:{PASSWORD}@{address}{mount}"));
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for SilenceEncoder {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn each_node_tells_when_a_source_is_silent() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    let ingest = &mesh.nodes[0];
    for (mount, _) in MOUNTS {
        ingest.create_mount_with(mount, PASSWORD, r#""silence_s":2,"silence_level":-60"#);
        mesh.wait_for_mount(mount);
    }
    let _encoders = MOUNTS.map(|it| SilenceEncoder::start(ingest, it.0, it.1));
    for state in [
        SoundState::Sounding,
        SoundState::Silent,
        SoundState::Sounding,
    ] {
        for (mount, _) in MOUNTS {
            mesh.wait_each_sees(mount, state.word(), |it| it.sound == Some(state));
        }
    }
    for (mount, _) in MOUNTS {
        mesh.wait_each_sees(mount, "how long it is silent", |it| {
            it.silent_s
                .is_some_and(|seconds| (2..16).contains(&seconds))
        });
    }
    let elsewhere = &mesh.nodes[1];
    eventually(PATIENCE, "status and page say it", || {
        let said = done(&elsewhere.command("status", &[]));
        let page = get(&elsewhere.address(), "/?part=mesh").unwrap().text();
        let both = said.contains(": silent for ") && page.contains("silent for ");
        so(both, format!("{said}\n{page}"))
    });
    eventually(PATIENCE, "the log says it", || {
        let log = ingest.log();
        let lines = ["the source sends silence", "the source sounds again"];
        so(lines.iter().all(|line| log.contains(line)), log)
    });
    turned_off_and_on(&mesh);
}

/// The setting counts at once, also in the middle of a stream.
fn turned_off_and_on(mesh: &TestMesh) {
    let set =
        |setting: &str| done(&mesh.nodes[1].command("mount", &["set", "/radio.opus", setting]));
    set("silence_s=0");
    mesh.wait_each_sees("/radio.opus", "nothing of its sound", |it| {
        it.sound.is_none() && it.silent_s.is_none()
    });
    set("silence_s=2");
    mesh.wait_each_sees("/radio.opus", "silence again", |it| {
        it.sound == Some(SoundState::Silent)
    });
}

#[test]
fn listeners_hear_a_fallback_while_the_source_is_silent() {
    if !have("ffmpeg") {
        return;
    }
    const AUTO: &str = "/auto.mp3";
    let (mount, arguments) = MOUNTS[0];
    let mesh = TestMesh::start(2);
    mesh.create_mount(AUTO, PASSWORD);
    let settings = r#""silence_s":2,"silence_fails":true,"fallback":"/auto.mp3""#;
    mesh.nodes[0].create_mount_with(mount, PASSWORD, settings);
    mesh.wait_for_mount(mount);
    let _auto = KnownSource::start(&mesh.nodes[0], AUTO, PASSWORD);
    let _live = SilenceEncoder::start(&mesh.nodes[0], mount, arguments);
    mesh.wait_on_air(AUTO);
    mesh.wait_on_air(mount);
    let url = format!("{}/_stream/n1{mount}", mesh.nodes[1].url());
    let player = Player::tune_in(&url);
    for is_auto in [true, false, true] {
        mesh.wait_each_sees(mount, "the right rung", |it| {
            it.fallback_heard().is_some() == is_auto
        });
        player.wait_for_more(16_000);
    }
    assert!(!player.is_closed());
}

#[test]
fn an_outside_relay_is_heard_rather_than_a_silent_source() {
    if !have("ffmpeg") {
        return;
    }
    let (mount, arguments) = MOUNTS[0];
    let icecast = Icecast::start(20, &[("/up.mp3", None)]);
    let mesh = TestMesh::start(2);
    let settings = r#""silence_s":2,"silence_fails":true"#;
    mesh.nodes[0].create_mount_with(mount, PASSWORD, settings);
    mesh.wait_for_mount(mount);
    let relay = format!("relay={}/up.mp3", icecast.url());
    done(&mesh.nodes[0].command("mount", &["set", mount, &relay]));
    let plays = |stage| {
        mesh.wait_each_sees(mount, &format!("a relay that is {stage:?}"), |it| {
            let relay = it.outside_relay.as_ref();
            relay.is_some_and(|it| it.report.stage == stage) && it.source.is_some()
        });
    };
    plays(OutsideRelayStage::Running);
    let player = Player::tune_in(&format!("{}/_stream/n1{mount}", mesh.nodes[1].url()));
    let live = SilenceEncoder::start(&mesh.nodes[1], mount, arguments);
    // The live source sounds for 8 s of each 16, and is heard for as long; its mount lets no source wait otherwise.
    for _ in 0..2 {
        plays(OutsideRelayStage::Standby);
        player.wait_for_more(16_000);
        plays(OutsideRelayStage::Running);
        player.wait_for_more(16_000);
        mesh.wait_each_sees(mount, "the silent one", |it| {
            let mut waiting = it.waiting.iter();
            waiting.any(|it| it.fitness == SourceFitness::Silent)
        });
    }
    drop(live);
    plays(OutsideRelayStage::Running);
    player.wait_for_more(16_000);
    assert!(!player.is_closed());
}

#[test]
fn a_source_that_waits_and_sounds_is_heard_rather_than_a_silent_one() {
    if !have("ffmpeg") {
        return;
    }
    let (mount, arguments) = MOUNTS[0];
    let mesh = TestMesh::start(2);
    let settings = r#""silence_s":2,"silence_fails":true,"standby":true"#;
    mesh.nodes[0].create_mount_with(mount, PASSWORD, settings);
    mesh.wait_for_mount(mount);
    let _studio = SilenceEncoder::start(&mesh.nodes[0], mount, arguments);
    mesh.wait_on_air(mount);
    let auto = "source--priority-5";
    let tone = "0.2*sin(2*PI*880*t)";
    let _auto = SilenceEncoder::start_as(auto, tone, &mesh.nodes[1], mount, arguments);
    // The studio sounds for 8 s of each 16, and is heard for as long.
    for priority in [5_u8, 1, 5] {
        mesh.wait_each_sees(mount, "the one that sounds", |it| {
            let source = it.source.as_ref();
            source.is_some_and(|source| source.priority == priority.into())
        });
        if priority == 5 {
            mesh.wait_each_sees(mount, "the silent one", |it| {
                let mut waiting = it.waiting.iter();
                waiting.any(|it| it.fitness == SourceFitness::Silent)
            });
        }
    }
}

#[test]
fn a_silent_source_does_not_take_the_air_back() {
    if !have("ffmpeg") {
        return;
    }
    let (mount, arguments) = MOUNTS[0];
    let mesh = TestMesh::start(2);
    let settings = r#""silence_s":2,"silence_fails":true,"standby":true"#;
    mesh.nodes[0].create_mount_with(mount, PASSWORD, settings);
    mesh.wait_for_mount(mount);
    let silence = SilenceEncoder::start_as("source", "0", &mesh.nodes[0], mount, arguments);
    mesh.wait_on_air(mount);
    let tone = "0.2*sin(2*PI*880*t)";
    let _auto =
        SilenceEncoder::start_as("source--priority=5", tone, &mesh.nodes[1], mount, arguments);
    let is_auto = |it: &MountStatus| {
        let source = it.source.as_ref();
        source.is_some_and(|source| source.priority == 5.into())
    };
    mesh.wait_each_sees(mount, "the one that sounds", is_auto);
    // Twice as long as it takes to find that a source is silent.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        mesh.wait_each_sees(mount, "the same", |it| {
            assert!(is_auto(it), "{:?}", it.source);
            true
        });
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(silence);
}

#[test]
fn a_format_that_tells_nothing_is_said_to_be_unknown() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(1);
    let node = &mesh.nodes[0];
    const MOUNT: &str = "/radio.webm";
    node.create_mount_with(MOUNT, PASSWORD, r#""silence_s":2"#);
    let arguments = "-c:a libopus -f webm -content_type audio/webm";
    let _encoder = SilenceEncoder::start(node, MOUNT, arguments);
    mesh.wait_each_sees(MOUNT, "that nothing is known", |it| {
        it.sound == Some(SoundState::Unknown)
    });
    let said = done(&node.command("status", &[]));
    assert!(
        said.contains("whether it is silent cannot be told"),
        "{said}"
    );
    assert!(node.log().contains("do not tell whether they are silent"));
}
