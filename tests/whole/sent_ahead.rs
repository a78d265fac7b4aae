//! A source that sends a file at once and leaves: its audio still plays for seconds, and then its mount lingers. Listeners
//! that come meanwhile are answered alike by every node, whether it holds the stream or not.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::{self, FRAME_US, frame};
use crate::support::source::{KnownSource, knock};

const FILE: &str = "/file.mp3";
const PASSWORD: &str = "hackme-not";
/// How long the mount lingers.
const LINGER: Duration = Duration::from_secs(4);
/// The frames of the file: 10.4 s.
const FRAMES: u64 = 400;
/// The frames of five seconds, which listeners get at once when they come.
const BURST_FRAMES: u64 = 191;
/// How much sooner than that its listeners may be told so, counted from when the last frame sounds: the node counts by what
/// it has got, and gossip in whole rounds. On a busy machine they are told later, but not by as much again.
const SOONER: Duration = Duration::from_millis(1_500);

fn mesh() -> TestMesh {
    let mesh = TestMesh::start(3);
    let more = format!(r#""linger_s": {}, "redirect": false"#, LINGER.as_secs());
    mesh.nodes[0].create_mount_with(FILE, PASSWORD, &more);
    mesh.wait_for_mount(FILE);
    mesh
}

/// Sends so many frames at once, and leaves. The time at which the last of them sounds.
fn send_at_once(node: &TestNode, frames: u64) -> Instant {
    let (mut source, head) = knock(&node.address(), FILE, PASSWORD).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let begun = Instant::now();
    let bytes: Vec<u8> = (0..frames).flat_map(frame).collect();
    source.send(bytes).unwrap();
    begun + Duration::from_micros(frames * FRAME_US)
}

fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Asks every node at once.
fn each<T: Send>(mesh: &TestMesh, ask: impl Fn(&TestNode) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let asking: Vec<_> = mesh
            .nodes
            .iter()
            .map(|node| scope.spawn(|| ask(node)))
            .collect();
        asking
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect()
    })
}

#[test]
fn what_still_plays_is_heard_at_every_node_and_then_the_mount_lingers() {
    let mesh = mesh();
    let sounds_until = send_at_once(&mesh.nodes[1], FRAMES);
    // Those who have a node fetch the stream may come between its last byte and its end, of which they do not know then: they begin
    // as far behind its edge as with any stream that goes on.
    let fetching = FRAMES - BURST_FRAMES;
    for (before_s, first) in [(9, fetching), (8, 140), (3, 280)] {
        sleep_until(sounds_until - Duration::from_secs(before_s));
        let players = each(&mesh, |node| {
            let player = Player::tune_in(&format!("{}{FILE}", node.url()));
            (player, Instant::now())
        });
        for (player, answered) in players {
            assert!(answered < sounds_until, "{} is told late", player.url);
            player.wait_for(100 * signal::FRAME_BYTES);
            eventually(PATIENCE, "the last frame is heard", || {
                let heard = signal::check(&player.bytes());
                so(heard.next == FRAMES, format!("{}: {heard:?}", player.url))
            });
            let heard = signal::check(&player.bytes());
            assert!(heard.first < first, "{}: {heard:?}", player.url);
        }
    }
    sleep_until(sounds_until + Duration::from_secs(1));
    let refused = each(&mesh, |node| {
        let (_, head) = ask_for_stream(&format!("{}{FILE}", node.url())).unwrap();
        (head.status, Instant::now())
    });
    for (status, at) in refused {
        assert_eq!(status, 404);
        let lingered = at - sounds_until;
        println!("lingered for {lingered:?}");
        assert!(
            lingered > LINGER - SOONER && lingered < 2 * LINGER,
            "{lingered:?}"
        );
    }
}

#[test]
fn listeners_of_a_mount_that_lingers_wait_for_its_next_stream() {
    let mesh = mesh();
    let sounds_until = send_at_once(&mesh.nodes[1], 80);
    sleep_until(sounds_until + Duration::from_secs(1));
    thread::scope(|scope| {
        let players = scope.spawn(|| {
            each(&mesh, |node| {
                let player = Player::tune_in(&format!("{}{FILE}", node.url()));
                (player, Instant::now())
            })
        });
        sleep_until(sounds_until + Duration::from_secs(2));
        let came = Instant::now();
        let source = KnownSource::start(&mesh.nodes[2], FILE, PASSWORD);
        for (player, answered) in players.join().unwrap() {
            assert!(
                answered > came,
                "{} is answered before the source comes",
                player.url
            );
            player.wait_for(60 * signal::FRAME_BYTES);
            assert_eq!(signal::check(&player.bytes()).first, 0, "{}", player.url);
        }
        assert!(!source.is_closed());
    });
}
