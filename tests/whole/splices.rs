//! The source of a stream is killed, replaced, or loses its node, in every format: what its listeners have received
//! decodes without a word, up to the last byte; and so does what those hear who come just then.
//!
//! All encoders of Ogg give their streams the same serial numbers.

use std::process::{Child, Command, Stdio};
use std::thread;

use antiphon::model::status::SourceStatus;

use crate::support::decoder::{Decoding, through_ffmpeg};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::ogg;
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
    /// The arguments that the second source adds.
    second: &'static str,
    /// The words of the first source for it, and of the second.
    media_types: [&'static str; 2],
    /// The least that a second of it takes.
    bytes_s: usize,
    /// Whether the stream of another source can follow.
    can_follow: bool,
    has_pictures: bool,
}

const FORMATS: [Format; 11] = [
    Format {
        mount: "/opus.ogg",
        encoder: "-c:a libopus -b:a 48k -f ogg",
        second: "",
        media_types: ["audio/ogg; codecs=opus", "application/ogg"],
        bytes_s: 4_500,
        can_follow: true,
        has_pictures: false,
    },
    Format {
        mount: "/vorbis.ogg",
        encoder: "-c:a libvorbis -f ogg",
        second: "",
        media_types: ["application/ogg", "audio/ogg"],
        bytes_s: 3_500,
        can_follow: true,
        has_pictures: false,
    },
    Format {
        mount: "/radio.mp3",
        encoder: "-c:a libmp3lame -b:a 48k -f mp3",
        second: "",
        media_types: ["audio/mpeg", "audio/mpeg"],
        bytes_s: 5_000,
        can_follow: true,
        has_pictures: false,
    },
    Format {
        mount: "/radio.aac",
        encoder: "-c:a aac -b:a 48k -f adts",
        second: "",
        media_types: ["audio/aacp", "audio/aac"],
        bytes_s: 4_500,
        can_follow: true,
        has_pictures: false,
    },
    Format {
        mount: "/radio.flac",
        encoder: "-c:a flac -f flac",
        second: "",
        media_types: ["audio/flac", "audio/x-flac"],
        bytes_s: 25_000,
        can_follow: true,
        has_pictures: false,
    },
    Format {
        mount: "/radio.webm",
        encoder: "-c:a libopus -b:a 48k -cluster_time_limit 500 -f webm",
        second: "",
        media_types: ["audio/webm", "audio/webm"],
        bytes_s: 4_500,
        can_follow: false,
        has_pictures: false,
    },
    Format {
        mount: "/flac.ogg",
        encoder: "-c:a flac -f ogg",
        second: "",
        media_types: ["audio/ogg", "application/ogg"],
        bytes_s: 25_000,
        can_follow: true,
        has_pictures: false,
    },
    Format {
        mount: "/bits.ogg",
        encoder: "-c:a flac -sample_fmt s16 -f ogg",
        second: "-sample_fmt s32",
        media_types: ["audio/ogg", "audio/ogg"],
        bytes_s: 25_000,
        can_follow: false,
        has_pictures: false,
    },
    Format {
        mount: "/surround.ogg",
        encoder: "-c:a libopus -b:a 48k -f ogg",
        second: "-ac 6",
        media_types: ["audio/ogg", "audio/ogg"],
        bytes_s: 4_500,
        can_follow: false,
        has_pictures: false,
    },
    Format {
        mount: "/theora.ogg",
        encoder: "-c:v libtheora -b:v 90k -g 20 -c:a libvorbis -f ogg",
        second: "",
        media_types: ["video/ogg", "application/ogg"],
        bytes_s: 20_000,
        can_follow: false,
        has_pictures: true,
    },
    Format {
        mount: "/film.ts",
        encoder: "-c:v libx264 -preset ultrafast -g 20 -c:a aac -b:a 48k -f mpegts",
        second: "",
        media_types: ["video/mp2t", "video/mp2t"],
        bytes_s: 14_000,
        can_follow: true,
        has_pictures: true,
    },
];

impl Format {
    fn is_ogg(&self) -> bool {
        self.mount.ends_with(".ogg")
    }
}

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
        let noise = "-nostdin -v error -re -f lavfi -i anoisesrc=amplitude=0.2:sample_rate=16000";
        let pictures = "-re -f lavfi -i testsrc2=size=128x96:rate=10 -map 0:a -map 1:v";
        let mut command = Command::new("ffmpeg");
        command.args(noise.split(' '));
        if format.has_pictures {
            command.args(pictures.split(' '));
        }
        if format.is_ogg() {
            command.args(["-fflags", "+bitexact", "-serial_offset", "7"]);
        }
        command.args(format.encoder.split(' '));
        if turn == 1 {
            command.args(format.second.split_terminator(' '));
        }
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
    /// The listeners that have come when the second source was on air.
    late: Vec<Player>,
}

/// All formats on air at a node, with listeners at these ones.
fn on_air(mesh: &TestMesh, settings: &str, source: usize, listeners: &[usize]) -> Vec<Station> {
    for format in &FORMATS {
        mesh.nodes[0].create_mount_with(format.mount, PASSWORD, settings);
        mesh.wait_for_mount(format.mount);
    }
    let encoders = FORMATS.map(|format| Encoder::start(&mesh.nodes[source], &format, 0));
    let stations = FORMATS.into_iter().zip(encoders);
    let stations = stations.map(|(format, encoder)| Station::new(format, encoder));
    at_once(stations.collect(), |station| {
        let mount = station.format.mount;
        mesh.wait_on_air(mount);
        let url = |node: &usize| format!("{}/_stream/n1{mount}", mesh.nodes[*node].url());
        station.players = listeners
            .iter()
            .map(|it| Player::tune_in(&url(it)))
            .collect();
        station.wait_for_more();
    })
}

/// Does the same with all stations at the same time.
fn at_once(stations: Vec<Station>, work: impl Fn(&mut Station) + Sync) -> Vec<Station> {
    thread::scope(|scope| {
        let begin = |mut station: Station| {
            let work = &work;
            scope.spawn(move || {
                work(&mut station);
                station
            })
        };
        let begun: Vec<_> = stations.into_iter().map(begin).collect();
        begun.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// The second source of each station begins at a node: the listeners go on, and others come.
fn go_on_from(stations: Vec<Station>, mesh: &TestMesh, node: usize) {
    at_once(stations, |station| {
        let second = Encoder::insist(&mesh.nodes[node], &station.format);
        station.encoder = Some(second);
        station.come_late();
        station.wait_followed();
        station.check(mesh, 1);
    });
}

impl Station {
    /// The first source of a format, before anybody listens.
    fn new(format: Format, encoder: Encoder) -> Self {
        Self {
            format,
            encoder: Some(encoder),
            players: Vec::new(),
            late: Vec::new(),
        }
    }

    fn wait_for_more(&self) {
        for player in &self.players {
            player.wait_for_more(HEARD_S * self.format.bytes_s);
        }
    }

    /// The second source is on air: others come at once, at each node.
    fn come_late(&mut self) {
        for player in &self.players {
            if !self.format.can_follow {
                // Until then the node may still have the end of the first stream, with which theirs would end too.
                eventually(PATIENCE, &player.url, || so(player.is_closed(), "it plays"));
            }
            self.late.push(Player::tune_in(&player.url));
        }
    }

    /// Waits until the listeners hear the stream that has taken the place of the first one, or have been ended.
    fn wait_followed(&self) {
        for player in &self.late {
            player.wait_for(HEARD_S * self.format.bytes_s);
        }
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
    fn check(&self, mesh: &TestMesh, at: usize) {
        let mount = self.format.mount;
        for player in &self.players {
            assert_eq!(player.is_closed(), !self.format.can_follow, "{mount}");
        }
        mesh.nodes[at].delete_mount(mount);
        for player in &self.players {
            let what = format!("{} is told the end", player.url);
            eventually(PATIENCE, &what, || so(player.is_closed(), "it plays"));
            let seconds = self.decode(player);
            let times = if self.format.can_follow { 2.0 } else { 1.0 };
            assert!(seconds > times * 2.0, "{mount}: {seconds}");
        }
        for player in &self.late {
            let what = format!("{} is told the end, too", player.url);
            eventually(PATIENCE, &what, || so(player.is_closed(), "it plays"));
            let seconds = self.decode(player);
            assert!(seconds > 2.0, "{mount}, late: {seconds}");
        }
    }

    /// How many seconds a listener has heard.
    fn decode(&self, player: &Player) -> f64 {
        let (format, bytes) = (&self.format, player.bytes());
        let links = match format.is_ogg() {
            true => ogg::links(&bytes),
            false => Vec::new(),
        };
        for pair in links.windows(2) {
            let common = pair[0].serials.intersection(&pair[1].serials).count();
            assert_eq!(
                common,
                0,
                "{}: {:?}",
                player.url,
                [&pair[0].serials, &pair[1].serials]
            );
        }
        if format.is_ogg() {
            assert_eq!(ogg::complaints(&bytes), [""; 0], "{}", player.url);
        }
        let seconds = decode(format, bytes);
        println!(
            "{}: {seconds:.1} s in {} links",
            player.url,
            links.len().max(1)
        );
        seconds
    }
}

/// Decodes what was received, as a player does; how many seconds it is. The decoder must find no fault in it.
///
/// Without the times that stand in it, which jump where another stream begins.
fn decode(format: &Format, bytes: Vec<u8>) -> f64 {
    let mount = format.mount;
    let pictures = match format.has_pictures {
        true => "-map 0:v -vf setpts=N/(10*TB) -f null -",
        false => "",
    };
    let arguments = format!(
        "-v error -i pipe:0 {pictures} -map 0:a -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le -"
    );
    let Decoding { output, taken } = through_ffmpeg(&arguments, &bytes);
    taken.unwrap();
    assert!(output.status.success(), "{mount}: {output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "{mount}: the decoder finds a fault");
    output.stdout.len() as f64 / 16_000.0
}

#[test]
fn a_source_that_is_killed_comes_back_elsewhere() {
    if !have("ffmpeg") || !have("ogginfo") {
        return;
    }
    let mesh = TestMesh::start(3);
    let mut stations = on_air(&mesh, r#""linger_s": 60"#, 0, &[0, 1, 2]);
    for station in &mut stations {
        station.encoder = None;
    }
    go_on_from(stations, &mesh, 2);
}

#[test]
fn a_source_is_taken_over() {
    if !have("ffmpeg") || !have("ogginfo") {
        return;
    }
    let mesh = TestMesh::start(3);
    let settings = r#""takeover": "takeover", "linger_s": 60"#;
    let stations = on_air(&mesh, settings, 1, &[0, 1, 2]);
    go_on_from(stations, &mesh, 2);
}

#[test]
fn the_node_of_the_source_is_killed() {
    if !have("ffmpeg") || !have("ogginfo") {
        return;
    }
    let mut mesh = TestMesh::start(3);
    let mut stations = on_air(&mesh, r#""linger_s": 60"#, 2, &[0, 1]);
    mesh.nodes[2].kill9();
    for station in &mut stations {
        station.encoder = None;
    }
    go_on_from(stations, &mesh, 1);
}
