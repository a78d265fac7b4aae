//! The cost for a node of letting thousands of listeners hear another stream, and how soon all of them do.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{PASSWORD, used};
use crate::support::encoder::{Encoder, Target};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::rush::{End, Rush};
use crate::support::signal::{FRAME_BYTES, frame, number};

/// The marks around the documentation's table.
const BEGIN: &str = "<!-- costs of switches: begin -->\n";
const END: &str = "<!-- costs of switches: end -->";
const LIVE: &str = "/live.mp3";
const AUTO: &str = "/auto.mp3";
/// The number of the first frame of the fallback.
const AUTO_FIRST: u64 = 1_000_000;
/// The crowd.
const LISTENERS: usize = 8_000;
/// The listeners among it whose bytes are looked at.
const PROBES: usize = 64;
/// How many switches are measured.
const SWITCHES: usize = 20;
/// The length of what is measured: the second of a switch, beside a quiet one.
const SECOND: Duration = Duration::from_secs(1);
/// How long until all listeners have heard their bursts.
const SETTLE: Duration = Duration::from_secs(8);
/// How much more than a quiet second that of a switch may cost.
const MOST: f64 = 1.5;
/// How much more than a listener of a live stream one of a file may cost.
const MOST_OF_FILE: f64 = 1.05;
/// The frames of the file: 40 s.
const FILE_FRAMES: u64 = 1_532;
/// Within which all hear the other stream: a visit of the pacer, and a visit before it.
const SOON: Duration = Duration::from_millis(500);

fn encoder(node: &TestNode, mount: &str, first: u64) -> Encoder {
    Encoder::start(Target {
        first,
        ..Target::of(vec![node.address()], mount, PASSWORD)
    })
}

/// The time that a node uses in a second.
fn second(node: &TestNode, begun: Instant) -> Duration {
    let before = used(node.pid());
    thread::sleep((begun + SECOND).saturating_duration_since(Instant::now()));
    used(node.pid()).saturating_sub(before)
}

/// Waits until all of them hear the stream that is meant, each from a byte on; how long each took since a moment.
fn wait_hear(probes: &[(Player, usize)], is_auto: bool, since: Instant) -> Vec<Duration> {
    let mut took: Vec<Option<Duration>> = vec![None; probes.len()];
    let hears = |(player, from): &(Player, usize)| {
        let heard = player.bytes_from(*from);
        let mut frames = heard.chunks_exact(FRAME_BYTES).filter_map(number);
        frames.any(|number| (number >= AUTO_FIRST) == is_auto)
    };
    eventually(PATIENCE, "all hear the other stream", || {
        for (probe, took) in probes.iter().zip(&mut took) {
            if took.is_none() && hears(probe) {
                *took = Some(since.elapsed());
            }
        }
        let open = took.iter().filter(|it| it.is_none()).count();
        so(open == 0, format!("{open} do not"))
    });
    took.into_iter().flatten().collect()
}

#[test]
#[ignore = "takes some minutes, and the machine for itself: make costs"]
fn of_a_crowd() {
    let most = ["--max-listeners", "10000", "--max-bandwidth", "2g"];
    let mesh = TestMesh::start_with(1, |_, setup| setup.with(&most));
    let node = &mesh.nodes[0];
    mesh.create_mount(AUTO, PASSWORD);
    node.create_mount_with(LIVE, PASSWORD, r#""fallback": "/auto.mp3""#);
    let _live = encoder(node, LIVE, 0);
    let _auto = encoder(node, AUTO, AUTO_FIRST);
    mesh.wait_on_air(LIVE);
    mesh.wait_on_air(AUTO);
    let within = Duration::from_secs(10);
    let crowd = Rush::begin(&[node.address()], LIVE, LISTENERS - PROBES, within);
    eventually(PATIENCE, "all listen", || {
        let open = crowd.on_the_way();
        so(open == 0, format!("{open} are on the way"))
    });
    let tune_in = |_| Player::tune_in(&format!("{}{LIVE}", node.url()));
    let mut probes: Vec<(Player, usize)> = (0..PROBES).map(tune_in).map(|it| (it, 0)).collect();
    thread::sleep(SETTLE);
    let (mut quiet, mut busy, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for switch in 0..SWITCHES {
        quiet.push(second(node, Instant::now()));
        for (player, from) in &mut probes {
            *from = player.len() / FRAME_BYTES * FRAME_BYTES;
        }
        let (rung, is_auto) = [("2", true), ("own", false)][switch % 2];
        let begun = Instant::now();
        let measured = thread::scope(|scope| {
            let measured = scope.spawn(move || second(node, begun));
            done(&node.command("mount", &["switch", LIVE, rung]));
            delays.extend(wait_hear(&probes, is_auto, Instant::now()));
            measured.join().unwrap()
        });
        busy.push(measured);
        thread::sleep(SECOND);
    }
    let file: Vec<u8> = (AUTO_FIRST..AUTO_FIRST + FILE_FRAMES)
        .flat_map(frame)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loop.mp3");
    fs::write(&path, file).unwrap();
    done(&node.command("file", &["put", path.to_str().unwrap()]));
    let quiet_seconds = |rung: &str| {
        done(&node.command("mount", &["switch", LIVE, rung]));
        thread::sleep(2 * SECOND);
        let mut times: Vec<Duration> = (0..SWITCHES)
            .map(|_| second(node, Instant::now()))
            .collect();
        times.sort_unstable();
        times[SWITCHES / 2]
    };
    let of_file = quiet_seconds("file:loop.mp3").as_secs_f64() / quiet_seconds("own").as_secs_f64();
    let stayed = crowd.stories().iter().all(|it| it.end == Some(End::Served));
    assert!(stayed, "a listener was ended");
    write_into_the_documentation(&mut quiet, &mut busy, &mut delays, of_file);
    let (middle, late) = (SWITCHES / 2, delays[delays.len() - 1]);
    let ratio = busy[middle].as_secs_f64() / quiet[middle].as_secs_f64();
    assert!(ratio <= MOST && late <= SOON, "{ratio:.2}, {late:?}");
    assert!(of_file <= MOST_OF_FILE, "{of_file:.2}");
}

/// Puts the table into `docs/ladder.md`. Sorts what was measured.
fn write_into_the_documentation(
    quiet: &mut [Duration],
    busy: &mut [Duration],
    delays: &mut [Duration],
    of_file: f64,
) {
    for measured in [&mut *quiet, &mut *busy, &mut *delays] {
        measured.sort_unstable();
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let middle = SWITCHES / 2;
    let ratio = busy[middle].as_secs_f64() / quiet[middle].as_secs_f64();
    let table = format!(
        "| {LISTENERS} listeners of one node, {SWITCHES} switches | median | greatest |\n| --- | --- | --- |\n\
         | processor time of a quiet second | {:.0} ms | {:.0} ms |\n\
         | processor time of the second of a switch | {:.0} ms | {:.0} ms |\n\
         | the one beside the other (≤ {MOST}) | {ratio:.2} | |\n\
         | until a listener hears the other stream, behind the order (≤ {:.0} ms) | {:.0} ms | {:.0} ms |\n\
         | processor time of a quiet second of a file, beside one of the live stream (≤ {MOST_OF_FILE}) | {of_file:.2} | |\n",
        ms(quiet[middle]),
        ms(quiet[SWITCHES - 1]),
        ms(busy[middle]),
        ms(busy[SWITCHES - 1]),
        ms(SOON),
        ms(delays[delays.len() / 2]),
        ms(delays[delays.len() - 1]),
    );
    println!("\n{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ladder.md");
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("its end");
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("it can be written");
}
