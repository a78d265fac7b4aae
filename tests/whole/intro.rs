//! The intro of a mount: each listener hears a file first, and what it has received decodes without a word, the stream behind
//! it too. A file that is no intro costs nobody the stream, and is said.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use antiphon::media::format::scanner::Scanner;
use serde_json::json;
use tempfile::TempDir;

use crate::support::http::Connection;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, decoded};
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// The pitch of the files, and that of the streams.
const PITCHES_HZ: [f64; 2] = [440.0, 900.0];
/// How long the files are.
const INTRO_S: usize = 4;
/// How long a stream is on air before its late listeners come: longer than a burst.
const LATE: Duration = Duration::from_secs(9);
/// How long a listener listens.
const LISTENED: Duration = Duration::from_secs(5);
/// The seconds of the stream that it hears at least: it comes at a moment without burst, and a decoder begins with some silence.
const STREAM_S: f64 = 2.0;
/// The samples in a second of what is decoded.
const RATE: usize = 8_000;

/// The number of the first frame of an intro of known frames.
const INTRO_FIRST: u64 = 7_000_000_000;
/// How many it has.
const INTRO_FRAMES: u64 = 50;

/// A stream, and how ffmpeg makes it and its intro.
#[derive(Clone, Copy, Debug)]
struct Format {
    mount: &'static str,
    content_type: &'static str,
    coding: &'static str,
    /// Why it has no intro, if it can have none.
    refused: Option<&'static str>,
}

/// Each encoder of Ogg numbers its streams alike, and so does that of the file.
const FORMATS: [Format; 6] = [
    Format {
        mount: RADIO,
        content_type: "audio/mpeg",
        coding: "-c:a libmp3lame -b:a 64k -f mp3",
        refused: None,
    },
    Format {
        mount: "/radio.aac",
        content_type: "audio/aac",
        coding: "-c:a aac -b:a 64k -f adts",
        refused: None,
    },
    Format {
        mount: "/opus.ogg",
        content_type: "audio/ogg",
        coding: "-c:a libopus -b:a 64k -fflags +bitexact -serial_offset 1 -f ogg",
        refused: None,
    },
    Format {
        mount: "/vorbis.ogg",
        content_type: "application/ogg",
        coding: "-c:a libvorbis -b:a 64k -fflags +bitexact -serial_offset 1 -f ogg",
        refused: None,
    },
    Format {
        mount: "/radio.webm",
        content_type: "audio/webm",
        coding: "-c:a libopus -b:a 64k -f webm",
        refused: Some("nothing can be heard before WebM"),
    },
    Format {
        mount: "/radio.flac",
        content_type: "audio/flac",
        coding: "-c:a flac -f flac",
        refused: Some("nothing can be heard before FLAC"),
    },
];

impl Format {
    /// The name of its intro.
    fn file(&self) -> &'static str {
        self.mount.trim_start_matches('/')
    }

    /// An ffmpeg that makes it of a tone.
    fn encoder(&self, pitch_hz: f64, input: &[&str]) -> Command {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error"]).args(input);
        let tone = format!("sine=frequency={pitch_hz}:sample_rate=48000");
        command.args(["-f", "lavfi", "-i", &tone]);
        command.args(self.coding.split(' '));
        command.stdin(Stdio::null());
        command
    }

    /// Writes its intro into a folder.
    fn write_intro(&self, folder: &Path) {
        let mut command = self.encoder(PITCHES_HZ[0], &["-t", &INTRO_S.to_string()]);
        let made = command.arg(folder.join(self.file())).status().unwrap();
        assert!(made.success());
    }

    /// Begins to send the stream to a node, in real time.
    fn send_to(&self, node: &TestNode) -> Sender {
        let mut command = self.encoder(PITCHES_HZ[1], &["-re"]);
        command.args(["-flush_packets", "1", "-content_type", self.content_type]);
        let (address, mount) = (node.address(), self.mount);
        command.arg(format!("icecast://source:{PASSWORD}@{address}{mount}"));
        Sender(command.spawn().unwrap())
    }

    /// Checks what a listener has received: the tone of the intro for its time, and then that of the stream.
    fn check(&self, who: &str, bytes: &[u8]) {
        let mut scanner = Scanner::for_content_type(self.content_type, 0);
        scanner.feed(bytes, Duration::ZERO, |_| {});
        // It has hung up at any byte.
        let whole = bytes[..scanner.edge() as usize].to_vec();
        let samples = decoded(who, whole);
        let seconds = samples.len() as f64 / RATE as f64;
        let intro_s = match self.refused {
            None => INTRO_S,
            Some(_) => 0,
        };
        println!("{who}: {seconds:.1} s");
        assert!(seconds > intro_s as f64 + STREAM_S, "{who}: {seconds}");
        // Encoders and decoders begin with a little silence, and a tone does not change at once.
        if intro_s > 0 {
            let intro = &samples[RATE / 2..(intro_s * RATE) - RATE / 2];
            check_pitch(who, intro, PITCHES_HZ[0]);
        }
        check_pitch(who, &samples[intro_s * RATE + RATE / 2..], PITCHES_HZ[1]);
    }
}

fn check_pitch(who: &str, samples: &[i16], pitch_hz: f64) {
    let crossings = samples.windows(2).filter(|it| it[0] < 0 && it[1] >= 0);
    let hz = crossings.count() as f64 * RATE as f64 / samples.len() as f64;
    assert!((hz - pitch_hz).abs() < 10.0, "{who}: {hz} Hz");
}

/// An ffmpeg that sends until it is dropped.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn with_media(setup: Setup, folder: &TempDir) -> Setup {
    setup.with(&["--media-dir", folder.path().to_str().unwrap()])
}

fn url(node: &TestNode, mount: &str) -> String {
    format!("{}/_stream/n1{mount}", node.url())
}

/// The words of this node on the intro of its only mount.
fn trouble(node: &TestNode) -> Option<String> {
    let status = node.try_status().ok()?;
    let mount = status.mounts.into_iter().next()?;
    mount.intro_troubles.into_values().next()
}

/// Writes an intro of known frames.
fn write_known(folder: &TempDir, name: &str) {
    let frames = INTRO_FIRST..INTRO_FIRST + INTRO_FRAMES;
    let frames: Vec<u8> = frames.flat_map(signal::frame).collect();
    fs::write(folder.path().join(name), frames).unwrap();
}

/// The frames of the stream behind those of the intro, which are all at the beginning.
fn behind_intro(received: &[u8]) -> &[u8] {
    let (intro, stream) = received.split_at(INTRO_FRAMES as usize * FRAME_BYTES);
    let intro = signal::check(intro);
    assert_eq!(
        (intro.first, intro.next),
        (INTRO_FIRST, INTRO_FIRST + INTRO_FRAMES)
    );
    assert!(signal::numbers(stream).iter().all(|it| *it < INTRO_FIRST));
    stream
}

#[test]
fn an_intro_and_the_stream_behind_it_decode() {
    if !have("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start_with(2, |_, setup| with_media(setup, &folder));
    let mut senders = Vec::new();
    for format in FORMATS {
        format.write_intro(folder.path());
        let intro = format!(r#""intro": "{}""#, format.file());
        mesh.nodes[0].create_mount_with(format.mount, PASSWORD, &intro);
        mesh.wait_for_mount(format.mount);
        senders.push(format.send_to(&mesh.nodes[0]));
    }
    let listen = |when: &'static str| {
        let mut listeners = Vec::new();
        for format in FORMATS {
            mesh.wait_on_air(format.mount);
            for node in &mesh.nodes {
                let who = format!("{when} at {}, {}", node.name(), format.mount);
                listeners.push((format, who, Player::tune_in(&url(node, format.mount))));
            }
        }
        listeners
    };
    let mut listeners = listen("early");
    thread::sleep(LATE);
    listeners.extend(listen("late"));
    thread::sleep(LISTENED);
    let heard = listeners.into_iter().map(|(format, who, player)| {
        player.wait_for(1_000);
        (format, who, player.bytes())
    });
    for (format, who, bytes) in heard.collect::<Vec<_>>() {
        format.check(&who, &bytes);
    }
    for format in FORMATS {
        mesh.wait_each_sees(format.mount, "what is wrong with its intro", |mount| {
            let told = mount.intro_troubles.values();
            match format.refused {
                None => told.len() == 0,
                Some(why) => told.len() == 2 && told.clone().all(|it| it.starts_with(why)),
            }
        });
    }
    drop(senders);
}

#[test]
fn an_intro_is_heard_once_whatever_becomes_of_the_source() {
    let folder = tempfile::tempdir().unwrap();
    write_known(&folder, "hello.mp3");
    // The first node serves nobody, so that its listeners are redirected.
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => with_media(setup, &folder),
    });
    let settings = r#""intro": "hello.mp3", "linger_s": 60"#;
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, settings);
    mesh.wait_for_mount(RADIO);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}{RADIO}", mesh.nodes[0].url()));
    assert!(
        player.url.starts_with(&mesh.nodes[1].url()),
        "{}",
        player.url
    );
    player.wait_for((INTRO_FRAMES as usize + 50) * FRAME_BYTES);
    drop(source);
    let source = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    player.wait_for_more(100 * FRAME_BYTES);
    let streams = signal::check_spliced(behind_intro(&player.bytes()));
    assert_eq!(streams.len(), 2, "{streams:?}");
    let status = mesh.nodes[1].status();
    assert_eq!(status.mounts[0].listeners, 1);
    drop(source);
}

#[test]
fn a_folder_of_intros_that_is_not_there_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("meida").display().to_string();
    let node = Setup::named("n1").with(&["--media-dir", &missing]).start();
    let log = node.log();
    assert!(
        log.contains("there is no such folder: listeners hear no intro"),
        "{log}"
    );
    let usual = Setup::named("n2").start();
    assert!(!usual.log().contains("no such folder"), "{}", usual.log());
}

#[test]
fn a_file_that_is_no_intro_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let media = tempfile::tempdir_in(&folder).unwrap();
    let node = with_media(Setup::named("n1"), &media).start();
    node.create_mount_with(RADIO, PASSWORD, r#""intro": "missing.mp3""#);
    let source = KnownSource::start(&node, RADIO, PASSWORD);
    write_known(&folder, "outside.mp3");
    symlink("../outside.mp3", media.path().join("link.mp3")).unwrap();
    fs::create_dir(media.path().join("folder.mp3")).unwrap();
    fs::write(media.path().join("empty.mp3"), "").unwrap();
    fs::write(media.path().join("noise.mp3"), [0x55; 20_000]).unwrap();
    fs::write(media.path().join("wave.mp3"), b"RIFF\0\0\0\0WAVEfmt ").unwrap();
    let huge = fs::File::create(media.path().join("huge.mp3")).unwrap();
    huge.set_len((16 << 20) + 1).unwrap();
    let set = |name: &str| {
        let intro = json!({ "intro": name }).to_string();
        let target = format!("/api/v1/mounts{RADIO}");
        node.api("PATCH", &target, &intro).unwrap().head.status
    };
    for (name, why) in [
        ("missing.mp3", "no such file in media_dir of this node"),
        ("link.mp3", "a symbolic link"),
        ("folder.mp3", "not a regular file"),
        ("empty.mp3", "the file is empty"),
        ("noise.mp3", "most of the file is not MP3"),
        ("wave.mp3", "most of the file is not MP3"),
        ("huge.mp3", "the file has more than 16 MiB"),
    ] {
        assert_eq!(set(name), 200, "{name}");
        let player = Player::tune_in(&url(&node, RADIO));
        player.wait_for(10 * FRAME_BYTES);
        signal::check(&player.bytes());
        let told = trouble(&node).unwrap_or_default();
        assert!(told.starts_with(why), "{name}: {told}");
        let line = format!("listeners hear no intro file=\"{name}\" why={why}");
        assert!(node.log().contains(&line), "{line}\n{}", node.log());
    }
    for name in ["../outside.mp3", "a/b.mp3", "..", ".hidden", "a\nb"] {
        assert_eq!(set(name), 400, "{name}");
    }
    // Whoever puts the file there need not say it.
    assert_eq!(set("missing.mp3"), 200);
    write_known(&media, "missing.mp3");
    eventually(PATIENCE, "a listener hears the intro", || {
        let player = Player::tune_in(&url(&node, RADIO));
        player.wait_for((INTRO_FRAMES as usize + 50) * FRAME_BYTES);
        let bytes = player.bytes();
        let first = signal::number(&bytes);
        so(first == Some(INTRO_FIRST), format!("{first:?}"))?;
        signal::check(behind_intro(&bytes));
        Ok::<_, String>(())
    });
    assert_eq!(trouble(&node), None);
    head_has_no_body(&node);
    drop(source);
}

/// The answer to a HEAD has neither intro nor stream.
fn head_has_no_body(node: &TestNode) {
    let mut connection = Connection::open(&node.address()).unwrap();
    let asked = format!("HEAD {RADIO} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    connection.send(asked).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(connection.some(100).unwrap(), b"");
}
