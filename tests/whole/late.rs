//! A listener that comes late to a stream in Ogg gets the header pages first, and decodes what it gets from its first
//! byte; on the node of the source and on others.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream, ffmpeg};
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// How long a stream is on air before its late listeners come: longer than a ring holds a beginning within its burst.
const LATE: Duration = Duration::from_secs(9);

/// How the first page of a link begins.
const FIRST_PAGE: &[u8] = b"OggS\0\x02";

/// An encoder that sends a tone in real time until it is dropped.
struct Tone(Child);

impl Tone {
    fn start(to: &str, codec: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(
            "-nostdin -v error -re -f lavfi -i sine=frequency=440:sample_rate=16000".split(' '),
        );
        command.args(format!("-c:a {codec} -content_type application/ogg -f ogg {to}").split(' '));
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Tone {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// How many times the samples of one channel at 8 kHz cross zero upwards, in a second.
fn pitch_hz(samples: &[i16]) -> f64 {
    let crossings = samples
        .windows(2)
        .filter(|pair| pair[0] < 0 && pair[1] >= 0);
    crossings.count() as f64 * 8_000.0 / samples.len() as f64
}

/// How many seconds of which pitch the samples of one channel at 8 kHz are.
fn sound(samples: &[i16]) -> (f64, f64) {
    (samples.len() as f64 / 8_000.0, pitch_hz(samples))
}

/// Listens at a URL for so long, and decodes what was received as a file.
fn hear(url: &str, time: Duration) -> Vec<i16> {
    let player = Player::tune_in(url);
    player.wait_for(1_000);
    thread::sleep(time);
    decode(&player.bytes())
}

/// Decodes what was received as a file.
fn decode(bytes: &[u8]) -> Vec<i16> {
    assert!(
        bytes.starts_with(FIRST_PAGE),
        "it begins with the first page of a link"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heard.ogg");
    // The last page is cut off in the middle: nothing of it is to be decoded.
    let last = bytes.windows(5).rposition(|it| it == b"OggS\0").unwrap();
    fs::write(&file, &bytes[..last]).unwrap();
    ffmpeg(file.to_str().unwrap(), 60)
}

#[test]
fn ogg_joined_late_decodes_on_every_node() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    let codecs = [
        ("vorbis", "libvorbis"),
        ("opus", "libopus"),
        ("flac", "flac"),
        ("speex", "libspeex"),
    ];
    let tones: Vec<Tone> = codecs
        .iter()
        .map(|(mount, codec)| {
            mesh.create_mount(&format!("/{mount}.ogg"), PASSWORD);
            let address = mesh.nodes[0].address();
            Tone::start(
                &format!("icecast://source:{PASSWORD}@{address}/{mount}.ogg"),
                codec,
            )
        })
        .collect();
    let url =
        |node: usize, mount: &str| format!("{}/_stream/n1/{mount}.ogg", mesh.nodes[node].url());
    for (mount, _) in codecs {
        let look = || {
            let (_, head) = ask_for_stream(&url(0, mount)).map_err(|error| error.to_string())?;
            so(head.status == 200, format!("{head:?}"))
        };
        eventually(PATIENCE, mount, look);
    }
    thread::sleep(LATE);
    for (mount, _) in codecs {
        for node in 0..mesh.nodes.len() {
            let (seconds, hz) = sound(&hear(&url(node, mount), Duration::from_secs(2)));
            println!("{mount} on node {node}: {seconds:.1} s of {hz:.0} Hz");
            assert!(seconds > 3.0, "{seconds} s");
            assert!((435.0..445.0).contains(&hz), "{hz} Hz");
        }
    }
    drop(tones);
}

#[test]
fn ogg_that_waited_on_standby_decodes() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    let mount = "/opus.ogg";
    mesh.nodes[0].create_mount_with(mount, PASSWORD, r#""standby": true, "linger_s": 60"#);
    mesh.wait_each_sees(mount, "the mount", |_| true);
    let send_to = |node: usize| {
        let address = mesh.nodes[node].address();
        Tone::start(
            &format!("icecast://source:{PASSWORD}@{address}{mount}"),
            "libopus",
        )
    };
    let urls = [0, 1].map(|node| format!("{}/_stream/n1{mount}", mesh.nodes[node].url()));
    let first = send_to(0);
    mesh.wait_on_air(mount);
    let second = send_to(1);
    let name = mesh.nodes[1].name();
    mesh.wait_each_sees(mount, "one on standby", |mount| {
        mount.standby.iter().map(|it| it.as_str()).eq([name])
    });
    let players = urls.each_ref().map(|url| Player::tune_in(url));
    thread::sleep(Duration::from_secs(4)); // its header pages have long gone by
    drop(first);
    mesh.wait_each_sees(mount, "the other on air", |mount| {
        let source = mount.source.as_ref();
        source.is_some_and(|source| source.node.as_str() == name)
    });
    thread::sleep(LATE);
    for player in &players {
        let bytes = player.bytes();
        let mut pages = bytes.windows(FIRST_PAGE.len());
        let spliced = pages.rposition(|it| it == FIRST_PAGE).unwrap();
        assert!(spliced > 0, "the listener gets the header pages of both");
        let (seconds, hz) = sound(&decode(&bytes[spliced..]));
        println!("a listener of both: {seconds:.1} s of {hz:.0} Hz");
        assert!(seconds > 6.0, "{seconds} s");
        assert!((435.0..445.0).contains(&hz), "{hz} Hz");
    }
    for url in &urls {
        let (seconds, hz) = sound(&hear(url, Duration::from_secs(2)));
        println!("{url}: {seconds:.1} s of {hz:.0} Hz");
        assert!(seconds > 3.0, "{seconds} s");
        assert!((435.0..445.0).contains(&hz), "{hz} Hz");
    }
    drop(second);
}
