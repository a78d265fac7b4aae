//! Sources that stall and listeners that do not read: each harms itself only.

use std::fs;
use std::time::{Duration, Instant};

use super::wire::{Wire, listener, source};
use super::{MOUNT, PASSWORD, is_on_air, node_with_mount, wait_log, wait_status};
use crate::support::node::TestNode;

/// Listeners that never read.
const SLEEPERS: usize = 50;
/// How much a fast source sends: several times what the node keeps of a stream.
const SENT_BYTES: usize = 48 << 20;
/// By how much the node may grow meanwhile. Its ring takes 8 MiB, and as much again may be on its way through
/// it; 8 MiB are left for 50 listeners. Had each a queue of its own as long as the ring, they would be 400 MiB.
const MOST_GROWTH_BYTES: usize = 24 << 20;
/// The most that one sleeper may get: what its and the node's socket hold, and never the whole ring.
const MOST_HEARD_BYTES: usize = 8 << 20;

/// The memory that a node has taken. The pages of the program itself do not count: an unoptimised one has many.
pub(super) fn resident_bytes(node: &TestNode) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.expect("Linux tells what a program has taken") << 10
}

#[test]
fn a_stalled_source_is_closed_after_ten_seconds() {
    let node = node_with_mount();
    let mut encoder = source(&node, MOUNT, PASSWORD, "audio/mpeg");
    encoder.say([&b"\xff\xfb\x90\x00"[..], &[0; 413]].concat().repeat(20));
    let stalled = Instant::now();
    wait_status(&node, "the source is on air", is_on_air);
    assert_eq!(encoder.hear_end(), b"");
    let kept_s = stalled.elapsed().as_secs_f64();
    assert!((9.0..=11.5).contains(&kept_s), "{kept_s} s");
    wait_status(&node, "the mount is free again", |status| {
        !is_on_air(status)
    });
    assert!(node.log().contains("SourceSilent"), "it is said why");
    source(&node, MOUNT, PASSWORD, "audio/mpeg");
}

#[test]
fn listeners_that_never_read_are_dropped() {
    let node = node_with_mount();
    let mut encoder = source(&node, MOUNT, PASSWORD, "application/octet-stream");
    let chunk = vec![0xa5; 1 << 20];
    encoder.say(&chunk);
    wait_status(&node, "the mount is on air", is_on_air);
    // To hash a password takes 19 MiB for a moment: that is not what is measured here.
    wait_log(&node, "it has hashed its last password", |log| {
        log.contains("admin password")
    });
    let before = resident_bytes(&node);
    let mut sleepers: Vec<Wire> = (0..SLEEPERS).map(|_| listener(&node, MOUNT)).collect();
    let mut awake = listener(&node, MOUNT);
    let mut most = before;
    for _ in 1..SENT_BYTES >> 20 {
        encoder.say(&chunk);
        most = most.max(resident_bytes(&node));
        assert!(
            awake.hear(1 << 20) == chunk,
            "the one who reads is not disturbed"
        );
    }
    let dropped = |log: &str| log.matches("why=TooSlow").count();
    wait_log(&node, "all sleepers are dropped", |log| {
        dropped(log) == SLEEPERS
    });
    most = most.max(resident_bytes(&node));
    let growth = most.saturating_sub(before);
    println!(
        "{SLEEPERS} sleepers: {} KiB before, {} KiB more at most",
        before >> 10,
        growth >> 10
    );
    assert!(growth < MOST_GROWTH_BYTES, "{growth} bytes more");
    for sleeper in &mut sleepers {
        let heard = sleeper.hear_end().len();
        assert!(heard < MOST_HEARD_BYTES, "{heard} bytes were kept for one");
    }
    encoder.say(&chunk);
    awake.hear(1 << 20);
}

#[test]
fn many_silent_visitors_keep_no_others_out() {
    let node = node_with_mount();
    let idle: Vec<Wire> = (0..400).map(|_| Wire::to(&node)).collect();
    let began = Instant::now();
    let mut encoder = source(&node, MOUNT, PASSWORD, "audio/mpeg");
    encoder.say(b"\xff\xfb\x90\x00");
    assert_eq!(node.mounts(), [MOUNT]);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop(idle);
}

#[test]
fn silent_visitors_do_not_delay_a_nodes_end() {
    let mut node = node_with_mount();
    let mut silent = Wire::to(&node);
    let mut slow = Wire::to(&node);
    slow.say("GET / HTTP/1.1\r\n");
    let mut between = Wire::to(&node);
    between.say("OPTIONS * HTTP/1.1\r\n\r\n");
    assert_eq!(between.answer().head.status, 200);
    let asked = Instant::now();
    assert!(node.stop().success());
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    for wire in [&mut silent, &mut slow, &mut between] {
        assert_eq!(wire.hear_end(), b"");
    }
}
