//! Every format that encoders send: listeners that come late, at other nodes than that of the source, decode what they get
//! without a fault; also behind long headers, and when a node has just died.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::support::decoder::{Decoding, through_ffmpeg, until_edge};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// How long a stream is on air before its late listeners come: longer than a burst, and than between two keyframes.
const LATE: Duration = Duration::from_secs(9);

/// How long a late listener listens before what it has is decoded for the first time.
const LISTENED: Duration = Duration::from_secs(2);

/// The least sound that a late listener hears: its burst, and what came meanwhile.
const LEAST_SOUND_S: f64 = 6.0;

/// How many listeners' streams are decoded at once.
const DECODERS: usize = 4;

/// A stream that is sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    mount: &'static str,
    content_type: &'static str,
    /// How ffmpeg makes it.
    coding: &'static str,
}

const fn sent(mount: &'static str, content_type: &'static str, coding: &'static str) -> Sent {
    Sent {
        mount,
        content_type,
        coding,
    }
}

const SOUNDS: [Sent; 12] = [
    sent("/a.mp3", "audio/mpeg", "-c:a libmp3lame -b:a 48k -f mp3"),
    sent("/a.mp2", "audio/mpeg", "-c:a mp2 -b:a 64k -f mp2"),
    sent("/a.aac", "audio/aac", "-c:a aac -b:a 48k -f adts"),
    sent("/latm", "audio/mp4a-latm", "-c:a aac -b:a 48k -f latm"),
    sent("/vorbis.ogg", "audio/ogg", "-c:a libvorbis -f ogg"),
    sent("/opus.ogg", "audio/ogg", "-c:a libopus -b:a 48k -f ogg"),
    sent("/flac.ogg", "audio/ogg", "-c:a flac -f ogg"),
    sent("/speex.ogg", "audio/ogg", "-c:a libspeex -f ogg"),
    sent("/a.webm", "audio/webm", "-c:a libopus -b:a 48k -f webm"),
    sent("/v.webm", "audio/webm", "-c:a libvorbis -f webm"),
    sent("/a.mka", "audio/x-matroska", "-c:a libvorbis -f matroska"),
    sent("/a.flac", "audio/flac", "-c:a flac -f flac"),
];

/// With a keyframe each two seconds.
const FILMS: [Sent; 4] = [
    sent(
        "/theora.ogg",
        "video/ogg",
        "-c:v libtheora -b:v 90k -g 20 -c:a libvorbis -f ogg",
    ),
    sent(
        "/film.webm",
        "video/webm",
        "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 90k -g 20 -c:a libopus -f webm",
    ),
    sent(
        "/film.mkv",
        "video/x-matroska",
        "-c:v mpeg4 -b:v 90k -g 20 -c:a libvorbis -f matroska",
    ),
    sent(
        "/film.ts",
        "video/mp2t",
        "-c:v libx264 -preset ultrafast -g 20 -c:a aac -f mpegts",
    ),
];

/// An ffmpeg that sends several streams of one tone in real time until it is dropped.
#[derive(Debug)]
struct Encoder {
    child: Child,
    folder: TempDir,
}

impl Encoder {
    /// Sends to a node what is made of these inputs.
    fn start(node: &TestNode, inputs: &[&str], maps: &str, streams: &[Sent]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error"]);
        command.args(inputs);
        for stream in streams {
            command.args(maps.split(' '));
            command.args(stream.coding.split(' '));
            command.args(["-flush_packets", "1", "-content_type", stream.content_type]);
            command.arg(format!(
                "icecast://source:{PASSWORD}@{}{}",
                node.address(),
                stream.mount
            ));
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap();
        Self { child, folder }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("---- log of ffmpeg\n{}", log.unwrap_or_default());
        }
    }
}

const TONE: [&str; 5] = ["-re", "-f", "lavfi", "-i", "sine=sample_rate=16000"];
const PICTURES: [&str; 5] = ["-re", "-f", "lavfi", "-i", "testsrc2=size=128x96:rate=10"];

/// A late listener of a stream.
#[derive(Debug)]
struct LateListener {
    stream: Sent,
    at: String,
    player: Player,
}

impl LateListener {
    fn tune_in(node: &TestNode, stream: Sent) -> Self {
        Self {
            stream,
            at: node.name().to_owned(),
            player: Player::tune_in(&url(node, stream.mount)),
        }
    }

    /// Decodes what is heard, until it is enough. Long headers come first, and a busy machine takes its time.
    fn hear_enough(&self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let bytes = self.player.bytes();
            let Sound { seconds, complaint } = self.decode(&bytes);
            let is_enough = seconds > LEAST_SOUND_S;
            if is_enough && complaint.is_empty() {
                return Ok(());
            }
            if is_enough || begun.elapsed() > PATIENCE {
                let (mount, at, len) = (self.stream.mount, &self.at, bytes.len());
                return Err(format!(
                    "{mount} at {at}, {seconds:.1} s in {len} bytes: {complaint}"
                ));
            }
            thread::sleep(LISTENED / 2);
        }
    }

    /// Decodes some of what was heard. It ends at any byte: the last frame is not to be decoded if it is not whole.
    fn decode(&self, bytes: &[u8]) -> Sound {
        decode(until_edge(bytes, self.stream.content_type))
    }
}

/// The sound in what was received.
#[derive(Debug)]
struct Sound {
    seconds: f64,
    /// The words of the decoder, if it has found a fault.
    complaint: String,
}

/// Decodes what was received.
fn decode(bytes: &[u8]) -> Sound {
    const RATE: f64 = 8_000.0;
    let arguments =
        "-nostdin -v error -i pipe:0 -map 0 -f null - -map 0:a -ac 1 -ar 8000 -f s16le pipe:1";
    let Decoding { output, .. } = through_ffmpeg(arguments, bytes);
    Sound {
        seconds: output.stdout.len() as f64 / 2.0 / RATE,
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn tune_in_all(node: &TestNode, streams: &[Sent]) -> Vec<LateListener> {
    let streams = streams.iter();
    streams
        .map(|stream| LateListener::tune_in(node, *stream))
        .collect()
}

/// Checks that what these hear in a while decodes.
fn check(listeners: Vec<LateListener>) {
    for listener in &listeners {
        listener.player.wait_for(1_000);
    }
    thread::sleep(LISTENED);
    let share = listeners.len().div_ceil(DECODERS);
    let faults = thread::scope(|scope| {
        let decoders = listeners.chunks(share).map(|some| {
            scope.spawn(move || {
                let results = some.iter().map(LateListener::hear_enough);
                results.filter_map(Result::err).collect::<Vec<_>>()
            })
        });
        let decoders: Vec<_> = decoders.collect();
        let faults = decoders.into_iter().map(|it| it.join().unwrap());
        faults.flatten().collect::<Vec<_>>()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn url(node: &TestNode, mount: &str) -> String {
    format!("{}/_stream/{}{mount}", node.url(), node.name())
}

/// A mesh of three, the index of its master last.
fn mesh_with(streams: &[Sent]) -> (TestMesh, [usize; 3]) {
    mesh_with_settings(streams, "\"linger_s\": 10")
}

/// The same, with these settings of the mounts as lines of JSON.
fn mesh_with_settings(streams: &[Sent], settings: &str) -> (TestMesh, [usize; 3]) {
    let mesh = TestMesh::start(3);
    let (master, others) = (mesh.master(), mesh.others());
    for stream in streams {
        mesh.nodes[0].create_mount_with(stream.mount, PASSWORD, settings);
        mesh.wait_for_mount(stream.mount);
    }
    (mesh, [others[0], others[1], master])
}

fn wait_on_air(node: &TestNode, streams: &[Sent]) {
    for stream in streams {
        let look = || {
            let asked = ask_for_stream(&url(node, stream.mount));
            let (_, head) = asked.map_err(|error| error.to_string())?;
            so(head.status == 200, format!("{head:?}"))
        };
        eventually(PATIENCE, stream.mount, look);
    }
}

#[test]
fn every_format_joined_late_decodes_on_every_node() {
    if !have("ffmpeg") {
        return;
    }
    let all = [&SOUNDS[..], &FILMS].concat();
    let (mut mesh, [ingest, relay, master]) = mesh_with(&all);
    let source = &mesh.nodes[ingest];
    let _sounds = Encoder::start(source, &TONE, "-map 0:a", &SOUNDS);
    let inputs = [TONE, PICTURES].concat();
    let _films = Encoder::start(source, &inputs, "-map 0:a -map 1:v", &FILMS);
    wait_on_air(source, &all);
    thread::sleep(LATE);
    let at = |index: usize| tune_in_all(&mesh.nodes[index], &all);
    check([at(relay), at(master)].into_iter().flatten().collect());

    let stayed = at(relay);
    mesh.nodes[master].kill9();
    let late = tune_in_all(&mesh.nodes[relay], &all);
    check(stayed.into_iter().chain(late).collect());
}

/// With a keyframe each twenty seconds.
const RARE: [Sent; 2] = [
    sent(
        "/rare.mkv",
        "video/x-matroska",
        "-c:v mpeg4 -b:v 90k -g 200 -sc_threshold 1000000000 -c:a libvorbis -f matroska",
    ),
    sent(
        "/rare.ts",
        "video/mp2t",
        "-c:v libx264 -preset ultrafast -g 200 -keyint_min 200 -sc_threshold 0 -c:a aac -f mpegts",
    ),
];

#[test]
fn listeners_between_rare_keyframes_wait_for_the_next() {
    if !have("ffmpeg") {
        return;
    }
    let (mesh, [ingest, relay, master]) = mesh_with_settings(&RARE, "\"ring_s\": 10");
    let source = &mesh.nodes[ingest];
    let inputs = [TONE, PICTURES].concat();
    let _films = Encoder::start(source, &inputs, "-map 0:a -map 1:v", &RARE);
    wait_on_air(source, &RARE);
    for film in RARE {
        let is_told = |told: &str| told.contains("keyframes are further apart");
        mesh.wait_each_sees(film.mount, "that its keyframes are rare", |mount| {
            mount.trouble.as_deref().is_some_and(is_told)
        });
    }
    let everywhere = [relay, master, ingest];
    let late = everywhere.map(|index| tune_in_all(&mesh.nodes[index], &RARE));
    check(late.into_iter().flatten().collect());
}

/// A picture without any compression, of so many rows of 3 KiB.
fn picture(rows: u32) -> Vec<u8> {
    const COLUMNS: u32 = 1_024;
    let bytes = COLUMNS * rows * 3;
    let mut file = b"BM".to_vec();
    for number in [bytes + 54, 0, 54, 40, COLUMNS, rows, 24 << 16 | 1] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0; 24]);
    file.extend((0..bytes).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    file
}

/// The comment in which Ogg holds a picture.
fn comment_of(picture: &[u8]) -> String {
    const FRONT_COVER: u32 = 3;
    let mime = b"image/bmp";
    let mut block = Vec::new();
    block.extend(FRONT_COVER.to_be_bytes());
    block.extend((mime.len() as u32).to_be_bytes());
    block.extend(mime);
    block.extend([0; 20]); // no description, and none of the picture's size and colours
    block.extend((picture.len() as u32).to_be_bytes());
    block.extend(picture);
    // As the format of ffmpeg's files of comments wants it.
    let text = STANDARD.encode(block).replace('=', "\\=");
    format!(";FFMETADATA1\nMETADATA_BLOCK_PICTURE={text}\n")
}

#[test]
fn streams_with_a_huge_cover_are_joined_late() {
    if !have("ffmpeg") {
        return;
    }
    const OGG: Sent = sent("/cover.ogg", "audio/ogg", "-c:a libvorbis -f ogg");
    const FLAC: Sent = sent(
        "/cover.flac",
        "audio/flac",
        "-c:a flac -c:v copy -disposition:v attached_pic -max_interleave_delta 100000 -f flac",
    );
    // The headers alone are longer than what the ring may hold.
    let streams = [OGG, FLAC];
    let (mut mesh, [ingest, relay, master]) = mesh_with_settings(&streams, "\"ring_mib\": 1");
    let source = &mesh.nodes[ingest];
    let folder = tempfile::tempdir().unwrap();
    let (words, cover) = (folder.path().join("words"), folder.path().join("cover.bmp"));
    fs::write(&words, comment_of(&picture(768))).unwrap();
    fs::write(&cover, picture(1_024)).unwrap();
    let in_words = [
        &TONE[..],
        &["-f", "ffmetadata", "-i", words.to_str().unwrap()],
    ]
    .concat();
    let _ogg = Encoder::start(source, &in_words, "-map 0:a -map_metadata 1", &[OGG]);
    let with_picture = [&TONE[..], &["-i", cover.to_str().unwrap()]].concat();
    let _flac = Encoder::start(source, &with_picture, "-map 0:a -map 1:v", &[FLAC]);
    wait_on_air(source, &[OGG, FLAC]);
    thread::sleep(LATE);
    check(tune_in_all(&mesh.nodes[relay], &[OGG, FLAC]));
    mesh.nodes[relay].kill9();
    check(tune_in_all(&mesh.nodes[master], &[OGG, FLAC]));
}
