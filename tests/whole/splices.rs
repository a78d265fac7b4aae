//! The source of a stream is killed, replaced, or loses its node, in every format: what its listeners have received
//! decodes without a word, up to the last byte.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;

use antiphon::model::status::SourceStatus;

use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// How many seconds of each stream are waited for, by [`Format::bytes_s`].
const HEARD_S: usize = 3;

/// A format, and how ffmpeg makes it.
#[derive(Clone, Copy, Debug)]
struct Format {
    mount: &'static str,
    encoder: &'static str,
    /// The words of the first source for it, and of the second.
    media_types: [&'static str; 2],
    /// The least that a second of it takes.
    bytes_s: usize,
    /// Whether the stream of another source can follow.
    can_follow: bool,
}

const FORMATS: [Format; 6] = [
    Format {
        mount: "/opus.ogg",
        encoder: "-c:a libopus -b:a 64k -f ogg",
        media_types: ["audio/ogg; codecs=opus", "application/ogg"],
        bytes_s: 6_000,
        can_follow: true,
    },
    Format {
        mount: "/vorbis.ogg",
        encoder: "-c:a libvorbis -b:a 64k -f ogg",
        media_types: ["application/ogg", "audio/ogg"],
        bytes_s: 5_000,
        can_follow: true,
    },
    Format {
        mount: "/radio.mp3",
        encoder: "-c:a libmp3lame -b:a 64k -f mp3",
        media_types: ["audio/mpeg", "audio/mpeg"],
        bytes_s: 7_000,
        can_follow: true,
    },
    Format {
        mount: "/radio.aac",
        encoder: "-c:a aac -b:a 64k -f adts",
        media_types: ["audio/aacp", "audio/aac"],
        bytes_s: 6_000,
        can_follow: true,
    },
    Format {
        mount: "/radio.flac",
        encoder: "-c:a flac -f flac",
        media_types: ["audio/flac", "audio/x-flac"],
        bytes_s: 40_000,
        can_follow: true,
    },
    Format {
        mount: "/radio.webm",
        encoder: "-c:a libopus -b:a 64k -cluster_time_limit 500 -f webm",
        media_types: ["audio/webm", "audio/webm"],
        bytes_s: 6_000,
        can_follow: false,
    },
];

/// An encoder that sends noise in real time until it is killed, which dropping it does.
#[derive(Debug)]
struct Encoder(Child);

impl Encoder {
    /// The second source of a format, which tries again and again until it is on air at this node.
    fn insist(node: &TestNode, format: &Format) -> Self {
        let mut encoder = Self::start(node, format, 1);
        let look = || {
            if let Some(end) = encoder.0.try_wait().unwrap() {
                encoder = Self::start(node, format, 1);
                return Err(format!("refused: {end}"));
            }
            let status = node.try_status().map_err(|error| error.to_string())?;
            let mut mounts = status.mounts.into_iter();
            let mount = mounts.find(|it| it.path.as_str() == format.mount);
            let source = mount.and_then(|mount| mount.source);
            let is_here = |source: &SourceStatus| source.node.as_str() == node.name();
            so(source.as_ref().is_some_and(is_here), format!("{source:?}"))
        };
        eventually(PATIENCE, format.mount, look);
        encoder
    }

    /// The first or second source of a format, at this node.
    fn start(node: &TestNode, format: &Format, turn: usize) -> Self {
        let target = format!(
            "icecast://source:{PASSWORD}@{}{}",
            node.address(),
            format.mount
        );
        let noise = "-nostdin -v error -re -f lavfi -i anoisesrc=amplitude=0.2:sample_rate=48000";
        let mut command = Command::new("ffmpeg");
        command.args(noise.split(' '));
        command.args(format.encoder.split(' '));
        command.args(["-flush_packets", "1", "-content_type"]);
        command.args([format.media_types[turn], &target]);
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A stream of one format and its listeners.
struct Station {
    format: Format,
    encoder: Option<Encoder>,
    players: Vec<Player>,
}

/// All formats on air at a node, with listeners at these ones.
fn on_air(mesh: &TestMesh, settings: &str, source: usize, listeners: &[usize]) -> Vec<Station> {
    let begin = |format: Format| {
        mesh.nodes[0].create_mount_with(format.mount, PASSWORD, settings);
        mesh.wait_for_mount(format.mount);
        let encoder = Encoder::start(&mesh.nodes[source], &format, 0);
        mesh.wait_on_air(format.mount);
        let url = |node: &usize| format!("{}/_stream/n1{}", mesh.nodes[*node].url(), format.mount);
        let players = listeners.iter().map(|node| Player::tune_in(&url(node)));
        Station {
            format,
            players: players.collect(),
            encoder: Some(encoder),
        }
    };
    let stations: Vec<Station> = FORMATS.into_iter().map(begin).collect();
    for station in &stations {
        station.wait_for_more();
    }
    stations
}

impl Station {
    fn wait_for_more(&self) {
        for player in &self.players {
            player.wait_for_more(HEARD_S * self.format.bytes_s);
        }
    }

    /// Waits until the listeners hear the stream that has taken the place of the first one, or have been ended.
    fn wait_followed(&self) {
        if self.format.can_follow {
            self.wait_for_more();
            return;
        }
        for player in &self.players {
            let what = format!("{} has ended", player.url);
            eventually(PATIENCE, &what, || so(player.is_closed(), "it plays"));
        }
    }

    /// Ends the stream for good, and decodes what each listener has received.
    fn check(self, mesh: &TestMesh, at: usize) {
        let mount = self.format.mount;
        for player in &self.players {
            assert_eq!(player.is_closed(), !self.format.can_follow, "{mount}");
        }
        mesh.nodes[at].delete_mount(mount);
        for player in &self.players {
            let what = format!("{} is told the end", player.url);
            eventually(PATIENCE, &what, || so(player.is_closed(), "it plays"));
            let seconds = decode(mount, player.bytes());
            println!("{}: {seconds:.1} s", player.url);
            let times = if self.format.can_follow { 2.0 } else { 1.0 };
            assert!(seconds > times * 2.0, "{mount}: {seconds}");
        }
    }
}

/// Decodes what was received, as a player does; how many seconds it is. The decoder must find no fault in it.
///
/// From a pipe, because of a file ffmpeg looks at the end first and takes a chain for damage; and without the times that
/// stand in it, which jump where another stream begins.
fn decode(mount: &str, bytes: Vec<u8>) -> f64 {
    let mut command = Command::new("ffmpeg");
    command.args("-v error -i pipe:0 -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le -".split(' '));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{mount}: {output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "{mount}: the decoder finds a fault");
    output.stdout.len() as f64 / 16_000.0
}

#[test]
fn a_source_that_is_killed_comes_back_elsewhere() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(3);
    let mut stations = on_air(&mesh, r#""linger_s": 60"#, 0, &[0, 1, 2]);
    for station in &mut stations {
        station.encoder = None;
    }
    for station in &mut stations {
        station.encoder = Some(Encoder::insist(&mesh.nodes[2], &station.format));
    }
    for station in stations {
        station.wait_followed();
        station.check(&mesh, 1);
    }
}

#[test]
fn a_source_is_taken_over() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(3);
    let mut stations = on_air(&mesh, r#""takeover": "takeover""#, 1, &[0, 1, 2]);
    for station in &mut stations {
        let second = Encoder::insist(&mesh.nodes[2], &station.format);
        station.encoder = Some(second);
    }
    for station in stations {
        station.wait_followed();
        station.check(&mesh, 1);
    }
}

#[test]
fn the_node_of_the_source_is_killed() {
    if !have("ffmpeg") {
        return;
    }
    let mut mesh = TestMesh::start(3);
    let mut stations = on_air(&mesh, r#""linger_s": 60"#, 2, &[0, 1]);
    mesh.nodes[2].kill9();
    for station in &mut stations {
        station.encoder = None;
        station.encoder = Some(Encoder::insist(&mesh.nodes[1], &station.format));
    }
    for station in stations {
        station.wait_followed();
        station.check(&mesh, 1);
    }
}
