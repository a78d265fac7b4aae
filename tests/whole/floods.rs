//! A source that sends as fast as the network goes is slowed down, whatever its format and whichever node it is at.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http::basic;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::so;
use crate::support::source::KnownSource;

const PASSWORD: &str = "hackme-not";

/// How long each source floods.
const TIME: Duration = Duration::from_secs(3);
/// The bytes that are taken beyond any rate: a burst of 1 MiB, and what the systems of both sides hold.
const AT_ONCE_BYTES: f64 = 6e6;
/// The most per second that any of them may have: 2 MiB.
const RATE: f64 = 2.1e6;

/// Sends this over and over; how many bytes were taken.
fn flood(node: &TestNode, mount: &str, headers: &str, piece: &[u8]) -> f64 {
    let mut source = node.connect();
    let login = basic("source", PASSWORD);
    source
        .send(format!(
            "PUT {mount} HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\n{headers}\r\n"
        ))
        .unwrap();
    assert_eq!(source.head().unwrap().status, 200);
    let mut socket = source.socket();
    socket
        .set_write_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let (begun, mut taken) = (Instant::now(), 0);
    while begun.elapsed() < TIME {
        taken += socket.write(&piece[taken % piece.len()..]).unwrap_or(0);
    }
    taken as f64
}

/// How much of a processor's time a node has used.
fn cpu_s(node: &TestNode) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.pid())).unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|it| it.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}

#[test]
fn no_format_is_taken_at_an_impossible_rate() {
    let mesh = TestMesh::start(1);
    let node = &mesh.nodes[0];
    let noise = vec![0xA5; 64 << 10];
    let ogg = [b"OggS".to_vec(), vec![0; 64 << 10]].concat();
    let framing = [
        format!("{:x}\r\n", ogg.len()).into_bytes(),
        ogg.clone(),
        b"\r\n".to_vec(),
        format!("1;{}\r\nX\r\n", "a".repeat(100))
            .repeat(2_000)
            .into_bytes(),
    ]
    .concat();
    let frames: Vec<u8> = (0..20).flat_map(crate::support::signal::frame).collect();
    let not_all_frames = [frames, noise.clone()].concat();
    node.create_mount_with("/waits", PASSWORD, r#""standby": true"#);
    let _on_air = KnownSource::start(node, "/waits", PASSWORD);
    mesh.wait_on_air("/waits");
    let sources = [
        ("/noise", "Content-Type: audio/mpeg\r\n", &noise),
        (
            "/ogg",
            "Content-Type: application/ogg\r\nIce-Bitrate: 128\r\n",
            &ogg,
        ),
        (
            "/aac",
            "Content-Type: audio/aac\r\nIce-Audio-Info: bitrate=128\r\n",
            &noise,
        ),
        ("/mixed", "Content-Type: audio/mpeg\r\n", &not_all_frames),
        (
            "/framed",
            "Content-Type: application/ogg\r\nTransfer-Encoding: chunked\r\n",
            &framing,
        ),
        ("/waits", "Content-Type: audio/mpeg\r\n", &noise),
    ];
    for (mount, _, _) in &sources[..5] {
        mesh.create_mount(mount, PASSWORD);
    }
    let before_s = cpu_s(node);
    thread::scope(|scope| {
        let floods = sources.map(|(mount, headers, piece)| {
            (
                mount,
                scope.spawn(move || flood(node, mount, headers, piece)),
            )
        });
        for (mount, flood) in floods {
            let taken = flood.join().unwrap();
            let rate = (taken - AT_ONCE_BYTES).max(0.0) / TIME.as_secs_f64();
            println!("{mount}: {:.1} MB taken in {TIME:?}", taken / 1e6);
            assert!(rate < RATE, "{mount}: {taken} bytes");
        }
    });
    let used = (cpu_s(node) - before_s) / TIME.as_secs_f64();
    println!("six floods use {used:.2} of a processor");
    so(used < 0.5, format!("{used}")).unwrap();
}
