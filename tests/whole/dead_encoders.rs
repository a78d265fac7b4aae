//! An encoder that has died is not in the way of the next one, however it died and wherever it was connected.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES, frame};
use crate::support::source::{KnownSource, knock, sample};
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// The longest wait of an encoder that comes back: the answer is held back so long at most, and a little.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The same when its node has died with it: 2 s, and the last question of a master that has died too.
const NODE_DIED: Duration = Duration::from_millis(3_200);

/// A program that sends to a node as fast as it can. Dropping it kills it with signal 9.
struct Flood(Child);

impl Flood {
    /// The melody over and over, by ffmpeg without `-re`.
    fn ffmpeg(node: &TestNode) -> Self {
        let mut command = Command::new("ffmpeg");
        command
            .args("-nostdin -v quiet -stream_loop -1 -i".split(' '))
            .arg(sample())
            .args("-map 0:a -c copy -f mp3 -content_type audio/mpeg".split(' '))
            .arg(format!(
                "icecast://source:{PASSWORD}@{}{RADIO}",
                node.address()
            ));
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// A file, by curl.
    fn curl(node: &TestNode, file: &Path) -> Self {
        let mut command = Command::new("curl");
        command
            .args(["-s", "-T"])
            .arg(file)
            .args(["-H", "Content-Type: audio/mpeg", "-u"])
            .arg(format!("source:{PASSWORD}"))
            .arg(format!("{}{RADIO}", node.url()));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Waits until the node holds the source up: it has been heard for so long as it may be ahead.
fn wait_held_up(mesh: &TestMesh) -> Player {
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[0].url()));
    let begun = Instant::now();
    let ahead = || so(begun.elapsed() > Duration::from_secs(1), "too early");
    eventually(PATIENCE, "it is ahead of its time", ahead);
    player.wait_for(20 * FRAME_BYTES);
    player
}

/// Comes to a node at once, and is taken by its first answer; how long that took.
fn is_taken_at(node: &TestNode) -> Duration {
    let begun = Instant::now();
    let (_, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    let took = begun.elapsed();
    assert_eq!(head.status, 200, "after {took:?}: {head:?}");
    took
}

#[test]
fn a_killed_fast_ffmpeg_is_followed_at_once() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    for (first, second) in [(0, 0), (0, 1), (1, 0)] {
        let flood = Flood::ffmpeg(&mesh.nodes[first]);
        drop(wait_held_up(&mesh));
        drop(flood);
        let took = is_taken_at(&mesh.nodes[second]);
        println!(
            "ffmpeg at n{}: its successor is taken at n{} after {took:?}",
            first + 1,
            second + 1
        );
        assert!(took < AT_ONCE, "{took:?}");
        mesh.wait_each_sees(RADIO, "no source", |mount| mount.source.is_none());
    }
}

#[test]
fn a_fast_source_keeps_its_mount_until_it_dies() {
    if !have("curl") {
        return;
    }
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.mp3");
    let long: Vec<u8> = (0..50_000).flat_map(frame).collect();
    fs::write(&file, long).unwrap();
    let flood = Flood::curl(&mesh.nodes[0], &file);
    let player = wait_held_up(&mesh);
    // More than what the node reads ahead of its time is behind the first of these.
    for node in mesh.nodes.iter().chain(&mesh.nodes) {
        let begun = Instant::now();
        let (_, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
        println!(
            "{} refuses another after {:?}",
            node.name(),
            begun.elapsed()
        );
        assert_eq!(head.status, 403, "{head:?}");
    }
    drop(flood);
    let took = is_taken_at(&mesh.nodes[1]);
    println!("curl at n1: its successor is taken at n2 after {took:?}");
    assert!(took < AT_ONCE, "{took:?}");
    signal::check(&player.bytes());
}

#[test]
fn a_sources_backlog_is_heard_before_its_successor() {
    const SENT: u64 = 3_000;
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let (mut source, _) = knock(&mesh.nodes[0].address(), RADIO, PASSWORD).unwrap();
    let begun: Vec<u8> = (0..SENT).flat_map(frame).collect();
    source.send(begun).unwrap(); // 78 s, of which most stays in the system
    let player = wait_held_up(&mesh);
    drop(source);
    let successor = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    let all = || {
        let numbers = signal::numbers(&player.bytes());
        let cut = numbers.iter().position(|number| *number == 0);
        let after = cut.map_or(0, |cut| numbers.len() - cut);
        so(after > 20, format!("{after} frames of the successor"))?;
        Ok::<_, String>(numbers)
    };
    let (numbers, took) = eventually(PATIENCE, "the successor is heard", all);
    println!(
        "heard: frames {} to {SENT}, then the successor's, after {took:?}",
        numbers[0]
    );
    let jumps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1);
    assert_eq!(jumps.collect::<Vec<_>>(), [&[SENT - 1, 0]]);
    assert!(!player.is_closed() && !successor.is_closed());
}

#[test]
fn a_standby_need_not_wait_for_a_dead_source() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, r#""standby": true"#);
    mesh.wait_for_mount(RADIO);
    let flood = Flood::ffmpeg(&mesh.nodes[0]);
    drop(wait_held_up(&mesh));
    drop(flood);
    let successor = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    let begun = Instant::now();
    mesh.wait_each_sees(RADIO, "the successor", |mount| {
        let source = mount.source.as_ref();
        source.is_some_and(|source| source.node.as_str() == "n2")
    });
    println!("its successor is on air after {:?}", begun.elapsed());
    assert!(begun.elapsed() < 2 * AT_ONCE);
    assert!(!successor.is_closed());
}

#[test]
fn a_takeover_from_a_killed_node_lasts() {
    let mut mesh = TestMesh::start(3);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, r#""takeover": "takeover""#);
    mesh.wait_for_mount(RADIO);
    let others = mesh.others();
    let (died, next) = (others[0], others[1]);
    let source = KnownSource::start(&mesh.nodes[died], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    mesh.nodes[died].kill9();
    let successor = KnownSource::start(&mesh.nodes[next], RADIO, PASSWORD);
    let stays = || {
        so(!successor.is_closed(), "closed")?;
        so(
            successor.frames() > 120,
            format!("{} frames", successor.frames()),
        )
    };
    let (_, took) = eventually(PATIENCE, "it sends for three seconds", stays);
    println!("it has sent 120 frames, 3.1 s, after {took:?}");
    drop(source);
}

#[test]
fn an_encoder_of_a_killed_node_is_taken_elsewhere() {
    let mut mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let (master, others) = (mesh.master(), mesh.others());
    for (died, next) in [(others[0], others[1]), (master, others[1])] {
        let source = KnownSource::start(&mesh.nodes[died], RADIO, PASSWORD);
        let at = mesh.nodes[died].name().to_owned();
        let seen = || {
            let status = mesh.nodes[next].status();
            let mount = status
                .mounts
                .iter()
                .find(|mount| mount.path.as_str() == RADIO);
            let source = mount.and_then(|mount| mount.source.as_ref());
            so(
                source.is_some_and(|source| source.node.as_str() == at),
                "not yet",
            )
        };
        eventually(PATIENCE, "the source is seen elsewhere", seen);
        mesh.nodes[died].kill9();
        let took = is_taken_at(&mesh.nodes[next]);
        println!("{at} was killed: its encoder is taken after {took:?}");
        assert!(took < NODE_DIED, "{took:?}");
        drop(source);
    }
}
