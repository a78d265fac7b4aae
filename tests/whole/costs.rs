//! How much of a processor a listener costs: of Ogg hardly more than of MP3.
//!
//! `make costs` measures it with the optimised program and writes the table into the documentation. Processor time is
//! compared, and the least of several rounds of each stream, so that other programs make no difference.

mod engines;
mod switches;
mod tls;
mod transcoders;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::rush::{End, Rush};
use crate::support::tool::have;

/// The marks around the documentation's table.
const BEGIN: &str = "<!-- costs: begin -->\n";
const END: &str = "<!-- costs: end -->";
const PASSWORD: &str = "hackme-not";
const LISTENERS: usize = 800;
/// How many times each stream is measured.
const ROUNDS: usize = 3;
/// How long until all listeners have heard their bursts.
const SETTLE: Duration = Duration::from_secs(7);
/// How long is measured.
const MEASURED: Duration = Duration::from_secs(15);
/// How much more than a listener of MP3 one of Ogg may cost.
const MOST: f64 = 1.15;

/// A stream that is listened to.
#[derive(Clone, Copy)]
struct Heard {
    name: &'static str,
    mount: &'static str,
    media_type: &'static str,
    coding: &'static str,
}

/// The streams; the first one is that with which the others are compared.
const STREAMS: [Heard; 3] = [
    Heard {
        name: "MP3",
        mount: "/a.mp3",
        media_type: "audio/mpeg",
        coding: "-c:a libmp3lame -b:a 128k -flush_packets 1 -f mp3",
    },
    Heard {
        name: "Opus in Ogg, pages of 1 s",
        mount: "/a.ogg",
        media_type: "audio/ogg",
        coding: "-c:a libopus -b:a 128k -vbr off -flush_packets 1 -f ogg",
    },
    Heard {
        name: "Opus in Ogg, pages of 20 ms",
        mount: "/b.ogg",
        media_type: "audio/ogg",
        coding: "-c:a libopus -b:a 125k -vbr off -page_duration 20000 -flush_packets 1 -f ogg",
    },
];

/// An encoder, which is stopped when it is dropped.
struct Encoder(Child);

impl Encoder {
    fn start(node: &TestNode, stream: Heard) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args("-nostdin -v error -re -f lavfi -i anoisesrc=r=48000:a=0.1".split(' '));
        command
            .args("-ac 2".split(' '))
            .args(stream.coding.split(' '));
        command
            .args(["-content_type", stream.media_type])
            .arg(format!(
                "icecast://source:{PASSWORD}@{}{}",
                node.address(),
                stream.mount
            ));
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The processor time that a process has used, threads that have ended included.
fn used(pid: u32) -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    // The twelfth and the thirteenth field are the ticks in user mode and in that of the kernel.
    let fields = behind_name.split_whitespace().skip(11).take(2);
    let ticks: u32 = fields.map(|it| it.parse::<u32>().unwrap()).sum();
    TICK * ticks
}

/// The processor time that a node uses while it is measured.
fn measure(node: &TestNode) -> Duration {
    let before = used(node.pid());
    thread::sleep(MEASURED);
    used(node.pid()).saturating_sub(before)
}

/// The processor time, and the bytes that all listeners have taken meanwhile.
fn listen(node: &TestNode, stream: Heard) -> (Duration, usize) {
    let rush = Rush::begin(
        &[node.address()],
        stream.mount,
        LISTENERS,
        Duration::from_secs(1),
    );
    eventually(PATIENCE, "all listen", || {
        let open = rush.on_the_way();
        so(open == 0, format!("{open} are on the way"))
    });
    thread::sleep(SETTLE);
    let heard = || rush.stories().iter().map(|it| it.bytes).sum::<usize>();
    let before = heard();
    let time = measure(node);
    let bytes = heard() - before;
    let stayed = rush.stories().iter().all(|it| it.end == Some(End::Served));
    assert!(stayed, "a listener of {} was ended", stream.name);
    drop(rush);
    eventually(PATIENCE, "all have left", || {
        let listeners: u32 = node.status().nodes.iter().map(|it| it.listeners).sum();
        so(listeners == 0, listeners)
    });
    (time, bytes)
}

/// The cost of a stream's listeners: the least of some rounds.
struct Cost {
    name: &'static str,
    /// Of a second of one listener.
    time: Duration,
    kbps: f64,
    /// Beside the first stream.
    ratio: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, kbps, ratio, ..
        } = self;
        let us = self.time.as_secs_f64() * 1e6;
        write!(f, "| {name} | {kbps:.0} kbit/s | {us:.1} µs | {ratio:.2} |")
    }
}

#[test]
#[ignore = "takes some minutes: make costs"]
fn measured() {
    assert!(have("ffmpeg"), "it is the encoder");
    let mesh = TestMesh::start_with(1, |_, setup| setup.with(&["--max-listeners", "5000"]));
    let node = &mesh.nodes[0];
    for stream in STREAMS {
        mesh.create_mount(stream.mount, PASSWORD);
    }
    let _encoders = STREAMS.map(|stream| Encoder::start(node, stream));
    for stream in STREAMS {
        mesh.wait_on_air(stream.mount);
    }
    let mut idle = measure(node);
    let mut least = STREAMS.map(|_| (Duration::MAX, 0));
    for round in 1..=ROUNDS {
        for (stream, least) in STREAMS.into_iter().zip(&mut least) {
            let now = listen(node, stream);
            println!("{} {round}/{ROUNDS}: {now:?}", stream.name);
            *least = now.min(*least);
        }
        idle = measure(node).min(idle);
    }
    println!("without listeners: {idle:?} in {MEASURED:?}");
    let seconds = LISTENERS as f64 * MEASURED.as_secs_f64();
    let first = least[0].0.saturating_sub(idle).as_secs_f64();
    let costs = STREAMS
        .into_iter()
        .zip(least)
        .map(|(stream, (time, bytes))| {
            let time = time.saturating_sub(idle);
            Cost {
                name: stream.name,
                time: time.div_f64(seconds),
                kbps: bytes as f64 * 8.0 / 1e3 / seconds,
                ratio: time.as_secs_f64() / first,
            }
        });
    let costs: Vec<Cost> = costs.collect();
    write_into_the_documentation(&costs);
    let dear: Vec<String> = costs
        .iter()
        .filter(|cost| cost.ratio > MOST)
        .map(Cost::to_string)
        .collect();
    assert!(dear.is_empty(), "{dear:#?}");
}

/// Puts the table into `docs/operations.md`.
fn write_into_the_documentation(costs: &[Cost]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("its end");
    let mut table = format!(
        "| stream | bytes of a listener | processor time for a second of a listener | beside MP3 (≤ {MOST}) |\n\
         | --- | --- | --- | --- |\n"
    );
    for cost in costs {
        table += &format!("{cost}\n");
    }
    println!("\n{table}");
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("it can be written");
}
