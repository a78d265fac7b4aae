//! A source is on air with its first byte of audio, and is what that audio is, whatever it says.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http::{Connection, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::{self, FRAME_BYTES, frame};
use crate::support::source::{KnownSource, knock, sample};
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Sends this as a source that states a media type.
fn send(node: &TestNode, mount: &str, stated: &str, audio: &[u8]) -> Connection {
    let mut connection = node.connect();
    let login = basic("source", PASSWORD);
    let head = format!(
        "PUT {mount} HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\nContent-Type: {stated}\r\n\r\n"
    );
    connection.send(head).unwrap();
    connection.send(audio).unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
    connection
}

/// The media type that listeners of a mount are told, once it is on air.
fn told(node: &TestNode, mount: &str) -> String {
    let url = format!("{}/_stream/n1{mount}", node.url());
    let look = || {
        let (_, head) = ask_for_stream(&url).map_err(|error| error.to_string())?;
        so(head.status == 200, format!("{head:?}"))?;
        Ok::<_, String>(head.header("content-type").unwrap_or_default().to_owned())
    };
    eventually(PATIENCE, mount, look).0
}

/// So many ADTS frames of AAC, 44.1 kHz, stereo.
fn adts(frames: usize) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xF1, 0x50, 0x80, (200 >> 3) as u8, 0x1F, 0xFC];
    frame.resize(200, 0x21);
    frame.repeat(frames)
}

#[test]
fn ogg_that_is_declared_mpeg_is_ogg() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    mesh.create_mount("/ogg", PASSWORD);
    let mut command = Command::new("ffmpeg");
    command
        .args("-nostdin -v error -re -stream_loop -1 -i".split(' '))
        .arg(sample())
        .args("-map 0:a -c:a flac -f ogg".split(' '))
        .arg(format!(
            "icecast://source:{PASSWORD}@{}/ogg",
            mesh.nodes[0].address()
        ));
    let mut ffmpeg = command.stdin(Stdio::null()).spawn().unwrap();
    for node in &mesh.nodes {
        let told = told(node, "/ogg");
        println!("{} says {told}", node.name());
        assert_eq!(told, "application/ogg");
    }
    ffmpeg.kill().unwrap();
    ffmpeg.wait().unwrap();
    let log = mesh.nodes[0].log();
    let line = log.lines().find(|line| line.contains("something else"));
    println!("{}", line.expect("it is said in the log"));
}

#[test]
fn the_first_bytes_count_and_not_what_is_said() {
    let mesh = TestMesh::start(1);
    let ogg = [b"OggS".to_vec(), vec![0; 4_000]].concat();
    let webm = [b"\x1A\x45\xDF\xA3".to_vec(), vec![0; 4_000]].concat();
    let mpeg: Vec<u8> = (0..20).flat_map(frame).collect();
    for (index, (stated, audio, heard)) in [
        ("audio/mpeg", &ogg, "application/ogg"),
        ("audio/ogg; codecs=opus", &ogg, "audio/ogg; codecs=opus"),
        ("audio/mpeg", &webm, "audio/webm"),
        ("audio/mpeg", &adts(20), "audio/aac"),
        ("audio/aacp", &adts(20), "audio/aacp"),
        ("application/ogg", &mpeg, "audio/mpeg"),
        ("text/html", &mpeg, "audio/mpeg"),
    ]
    .into_iter()
    .enumerate()
    {
        let mount = format!("/said-{index}");
        mesh.create_mount(&mount, PASSWORD);
        let source = send(&mesh.nodes[0], &mount, stated, audio);
        let told = told(&mesh.nodes[0], &mount);
        println!("said {stated}, is {told}");
        assert_eq!(told, heard);
        drop(source);
    }
}

#[test]
fn a_source_without_audio_is_not_on_air() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let begun = Instant::now();
    let (mut source, head) = knock(&mesh.nodes[0].address(), RADIO, PASSWORD).unwrap();
    println!("answered after {:?}", begun.elapsed());
    assert_eq!(head.status, 200);
    // It has the place: nobody else gets it, also when the first grant would have run out.
    while begun.elapsed() < Duration::from_secs(6) {
        let (_, rival) = knock(&mesh.nodes[1].address(), RADIO, PASSWORD).unwrap();
        assert_eq!(rival.status, 403, "{rival:?}");
    }
    for node in &mesh.nodes {
        let status = node.status();
        let mount = status.mounts.iter().find(|it| it.path.as_str() == RADIO);
        assert!(
            mount.is_none_or(|mount| mount.source.is_none()),
            "{mount:?}"
        );
        assert_eq!(get(&node.address(), RADIO).unwrap().head.status, 404);
    }
    source
        .send((0..60).flat_map(frame).collect::<Vec<_>>())
        .unwrap();
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[0].url()));
    player.wait_for(50 * FRAME_BYTES);
    assert_eq!(signal::check(&player.bytes()).first, 0);
}

#[test]
fn a_source_is_heard_until_its_successor_sends_audio() {
    let mesh = TestMesh::start(2);
    let settings = r#""takeover": "takeover""#;
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, settings);
    mesh.wait_for_mount(RADIO);
    let first = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[0].url()));
    player.wait_for_more(20 * FRAME_BYTES);
    for node in &mesh.nodes {
        let (silent, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        player.wait_for_more(40 * FRAME_BYTES);
        assert!(!first.is_closed());
        signal::check(&player.bytes());
        drop(silent);
    }
    let second = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    eventually(PATIENCE, "the first gives way", || {
        so(first.is_closed(), "it is heard")
    });
    let both = || {
        let heard = signal::check_spliced(&player.bytes());
        so(heard.len() == 2, format!("{heard:?}"))
    };
    eventually(PATIENCE, "both are heard, one behind the other", both);
    assert!(!second.is_closed());
}

#[test]
fn a_nearly_silent_source_loses_its_mount() {
    let mesh = TestMesh::start(1);
    let chunk =
        |audio: &[u8]| [format!("{:x}\r\n", audio.len()).as_bytes(), audio, b"\r\n"].concat();
    let frames: Vec<u8> = (0..20).flat_map(frame).collect();
    let noise = vec![0xA5; 3_000];
    let chunked = [chunk(&frames), b"0\r\n".to_vec()].concat();
    let long_line = [chunk(&frames), b"5;".to_vec()].concat();
    // What it begins with, what follows every 400 ms, and whether it is to stay.
    let sources: [(&str, Vec<u8>, Vec<u8>, bool); 6] = [
        ("nothing", Vec::new(), Vec::new(), false),
        ("a byte of noise", noise.clone(), vec![0xA5], false),
        ("a frame", frames.clone(), frame(20), false),
        ("a trailer", chunked, b"A: b\r\n".to_vec(), false),
        ("an extension", long_line, b"x".to_vec(), false),
        ("little noise", noise, vec![0xA5; 30], true),
    ];
    let threads = sources.map(|(name, begun, drip, stays)| {
        let mount = format!("/{}", name.replace(' ', "-"));
        mesh.create_mount(&mount, PASSWORD);
        let mut source = mesh.nodes[0].connect();
        let login = basic("source", PASSWORD);
        let framing = match name {
            "a trailer" | "an extension" => "Transfer-Encoding: chunked\r\n",
            _ => "",
        };
        source
            .send(format!(
                "PUT {mount} HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\n{framing}\r\n"
            ))
            .unwrap();
        assert_eq!(source.head().unwrap().status, 200);
        source.send(begun).unwrap();
        source
            .socket()
            .set_read_timeout(Some(Duration::from_millis(400)))
            .unwrap();
        let dripping = move || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(14) {
                if !source
                    .some(1)
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
                    || source.send(&drip).is_err()
                {
                    return Some(begun.elapsed());
                }
            }
            None
        };
        (name, stays, thread::spawn(dripping))
    });
    for (name, stays, dripping) in threads {
        let lost = dripping.join().unwrap();
        println!("{name}: lost its mount after {lost:?}");
        assert_eq!(lost.is_none(), stays, "{name}");
    }
}
