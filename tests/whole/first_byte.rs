//! How soon a listener gets its first byte: at once where the stream is in memory, and soon where a relay has to be opened.
//!
//! The shortest of several times counts: another program that keeps the machine busy makes some of them long, never all.

use std::fmt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::http::Connection;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::times::Times;
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// How many times each is measured, each time with a mount of its own: its relay is opened by its first listener.
const JOINS: usize = 10;

/// How soon the first byte comes where the ring is on the node.
const HERE: Duration = Duration::from_millis(50);

/// How soon the first byte comes where the node has to open a relay first.
const RELAYED: Duration = Duration::from_millis(400);

/// A stream that is sent to many mounts.
struct Sent {
    name: &'static str,
    media_type: &'static str,
    container: &'static str,
    coding: &'static str,
}

const ALL: [Sent; 3] = [
    Sent {
        name: "mp3",
        media_type: "audio/mpeg",
        container: "mp3",
        coding: "-map 0:a -c:a libmp3lame -b:a 128k",
    },
    Sent {
        name: "opus",
        media_type: "application/ogg",
        container: "ogg",
        coding: "-map 0:a -c:a libopus -b:a 128k",
    },
    Sent {
        name: "webm",
        media_type: "video/webm",
        container: "webm",
        coding: "-map 0:a -map 1:v -c:a libopus -b:a 64k -c:v libvpx -deadline realtime -b:v 200k -g 20",
    },
];

impl Sent {
    fn mounts(&self) -> Vec<String> {
        let mount = |number| format!("/{}-{number}", self.name);
        (0..JOINS).map(mount).collect()
    }

    /// Codes the stream once, and sends it to all its mounts.
    fn send(&self, node: &TestNode) -> Encoder {
        let mut command = Command::new("ffmpeg");
        command.args(
            "-nostdin -v error -re -f lavfi -i sine=frequency=440:sample_rate=48000".split(' '),
        );
        command.args("-re -f lavfi -i testsrc=size=160x120:rate=10".split(' '));
        command.args(self.coding.split(' ')).args(["-f", "tee"]);
        let place = |mount: String| {
            let Self {
                container,
                media_type,
                ..
            } = self;
            format!(
                "[f={container}:content_type={media_type}]icecast://source:{PASSWORD}@{}{mount}",
                node.address()
            )
        };
        let places: Vec<String> = self.mounts().into_iter().map(place).collect();
        command.arg(places.join("|")).stdin(Stdio::null());
        Encoder(command.spawn().unwrap())
    }
}

/// An encoder, which is stopped when it is dropped.
struct Encoder(Child);

impl Drop for Encoder {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The times at one node.
struct Measured {
    name: &'static str,
    place: &'static str,
    limit: Duration,
    times: Times,
}

impl Measured {
    /// Listens to each mount of a stream, one after the other.
    fn at(node: &TestNode, sent: &Sent, place: &'static str, limit: Duration) -> Self {
        let times = sent
            .mounts()
            .into_iter()
            .map(|mount| first_byte(node, &mount));
        Self {
            name: sent.name,
            place,
            limit,
            times: Times::of(times),
        }
    }

    fn best(&self) -> Duration {
        self.times.at(0.0).expect("it was measured")
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            place,
            limit,
            times,
        } = self;
        let best_ms = self.best().as_secs_f64() * 1e3;
        let limit_ms = limit.as_millis();
        write!(
            f,
            "| {name} | {place} | {best_ms:.1} ms (≤ {limit_ms} ms) | {times} |"
        )
    }
}

/// The time from a listener's wish to the first byte behind the head of the answer.
fn first_byte(node: &TestNode, mount: &str) -> Duration {
    let begun = Instant::now();
    let mut connection = Connection::open(&node.address()).unwrap();
    connection
        .send(format!(
            "GET {mount}?redirect=no HTTP/1.1\r\nHost: {}\r\n\r\n",
            node.address()
        ))
        .unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200, "{mount}: {head:?}");
    assert_eq!(connection.some(1).unwrap().len(), 1, "{mount}");
    begun.elapsed()
}

#[test]
fn the_first_byte_comes_at_once_or_soon_over_a_relay() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    // The master keeps every stream in memory; the other node opens a relay when a listener comes.
    let (here, relay) = (&mesh.nodes[mesh.master()], &mesh.nodes[mesh.others()[0]]);
    for mount in ALL.iter().flat_map(Sent::mounts) {
        here.create_mount(&mount, PASSWORD);
    }
    let _encoders = ALL.map(|sent| sent.send(here));
    for mount in ALL.iter().flat_map(Sent::mounts) {
        mesh.wait_on_air(&mount);
    }
    for mount in relay.status().mounts {
        let holders: Vec<&str> = mount.holders.iter().map(|it| it.as_str()).collect();
        assert_eq!(holders, [here.name()], "{}", mount.path);
    }
    let places = [("in memory", here, HERE), ("over a relay", relay, RELAYED)];
    let mut table = Vec::new();
    for (place, node, limit) in places {
        table.extend(
            ALL.iter()
                .map(|sent| Measured::at(node, sent, place, limit)),
        );
    }
    println!(
        "| stream | where the listener asks | first byte, best of {JOINS} | median / p99 |\n| --- | --- | --- | --- |"
    );
    for row in &table {
        println!("{row}");
    }
    let late: Vec<String> = table
        .iter()
        .filter(|row| row.best() > row.limit)
        .map(Measured::to_string)
        .collect();
    assert!(late.is_empty(), "{late:#?}");
}
