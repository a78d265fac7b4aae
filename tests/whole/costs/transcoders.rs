//! The cost of transcoding: of each program for each codec, and what the node adds to it; and how soon the first byte comes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Encoder, MEASURED, PASSWORD, STREAMS, measure, used};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::tool::have;
use crate::transcoders::stage::{programs, transcoding, wait_programs};

/// The marks around the documentation's table.
const BEGIN: &str = "<!-- costs of transcoders: begin -->\n";
const END: &str = "<!-- costs of transcoders: end -->";
/// A program, and the longest time until its first byte.
#[derive(Clone, Copy)]
struct Engine {
    name: &'static str,
    limit: Duration,
}

const ENGINES: [Engine; 2] = [
    Engine {
        name: "ffmpeg",
        limit: Duration::from_secs(2),
    },
    Engine {
        name: "liquidsoap",
        limit: Duration::from_secs(4),
    },
];
const CODECS: [&str; 5] = ["mp3", "aac", "vorbis", "opus", "flac"];
/// How much the node may add to what all programs use.
const MOST_ADDED: f64 = 0.05;
const MOUNT: &str = "/made";

fn is_on_air(node: &TestNode, mount: &str) -> bool {
    let mut mounts = node.status().mounts.into_iter();
    mounts.any(|it| it.path.as_str() == mount && it.source.is_some())
}

fn wait_on_air(node: &TestNode, mount: &str) {
    eventually(PATIENCE, "on air", || so(is_on_air(node, mount), mount));
}

fn command(node: &TestNode, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    done(&node.command("mount", &words));
}

/// The cost of one transcoder, as shares of a processor.
struct Made {
    line: String,
    program: f64,
    added: f64,
    is_late: bool,
}

/// Measures one codec: the node with its transcoder, and without before and after, because machines change their pace.
fn make(node: &TestNode, engine: Engine, codec: &str) -> Made {
    let source = STREAMS[0];
    let encoder = Encoder::start(node, source);
    wait_on_air(node, source.mount);
    let before = measure(node);
    drop(encoder);
    eventually(PATIENCE, "off air", || {
        so(!is_on_air(node, source.mount), source.mount)
    });
    let words = format!(
        "create {MOUNT} --transcode-from {} --codec {codec}",
        source.mount
    );
    command(node, &words);
    let encoder = Encoder::start(node, source);
    wait_on_air(node, source.mount);
    let begun = Instant::now();
    wait_on_air(node, MOUNT);
    let first = begun.elapsed();
    let pid = wait_programs(node, 1)[0];
    thread::sleep(Duration::from_secs(3));
    let program_before = used(pid);
    let with = [measure(node), measure(node)];
    let program = used(pid).saturating_sub(program_before);
    command(node, &format!("delete {MOUNT}"));
    eventually(PATIENCE, "it is idle", || {
        so(programs(node).is_empty(), "a program")
    });
    let without = [before, measure(node)];
    drop(encoder);
    let seconds = |times: [Duration; 2]| times.iter().map(Duration::as_secs_f64).sum::<f64>();
    let measured = seconds([MEASURED; 2]);
    let added = (seconds(with) - seconds(without)) / measured;
    let program = program.as_secs_f64() / measured;
    Made {
        line: format!(
            "| {} | {codec} | {:.1} s | {:.1} % | {:.2} % |\n",
            engine.name,
            first.as_secs_f64(),
            program * 100.0,
            added * 100.0
        ),
        program,
        added,
        is_late: first > engine.limit,
    }
}

#[test]
#[ignore = "takes some minutes: make costs"]
fn made() {
    assert!(have("ffmpeg") && have("liquidsoap"), "the programs");
    let mut all = Vec::new();
    for engine in ENGINES {
        let mesh = TestMesh::start_with(1, |_, setup| transcoding(setup, engine.name));
        let node = &mesh.nodes[0];
        mesh.create_mount(STREAMS[0].mount, PASSWORD);
        all.extend(CODECS.map(|codec| make(node, engine, codec)));
    }
    let lines: String = all.iter().map(|made| made.line.as_str()).collect();
    let programs: f64 = all.iter().map(|made| made.program).sum();
    let added: f64 = all.iter().map(|made| made.added).sum();
    let share = added / programs;
    write_into_the_documentation(&lines, share);
    assert!(!all.iter().any(|made| made.is_late), "{lines}");
    assert!(share <= MOST_ADDED, "the node adds {share:.3}");
}

/// Puts the table into `docs/transcoding.md`.
fn write_into_the_documentation(lines: &str, share: f64) {
    let table = format!(
        "| program | codec | until its first byte | its share of a processor | what the node adds |\n\
         | --- | --- | --- | --- | --- |\n{lines}\n\
         All in all the node adds {:.1} % to what the programs use (≤ {:.0} %).\n",
        share * 100.0,
        MOST_ADDED * 100.0
    );
    println!("\n{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transcoding.md");
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("its end");
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("it can be written");
}
