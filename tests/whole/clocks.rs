//! Clocks that are wrong: whose edits are refused, and what becomes of those that were made.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::clock;
use crate::support::http::get;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done, new_secret};
use crate::support::patience::{PATIENCE, eventually, so};

const PASSWORD: &str = "hackme-not";
const HOUR_MS: i64 = 3_600_000;
/// How well an offset is told: gossip takes a part of a second, and both cores are busy with other tests.
const TOLD_WITHIN_MS: u64 = 5_000;

fn create(node: &TestNode, path: &str) -> (u16, String) {
    let body = format!("{{\"path\":\"{path}\",\"password\":\"{PASSWORD}\"}}");
    let answer = node.api("POST", "/api/v1/mounts", &body).unwrap();
    (answer.head.status, answer.text())
}

fn rename(node: &TestNode, path: &str, name: &str) {
    let (target, body) = (
        format!("/api/v1/mounts{path}"),
        format!("{{\"name\":\"{name}\"}}"),
    );
    let answer = node.api("PATCH", &target, &body).unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
}

fn wait_name(node: &TestNode, path: &str, name: &str) {
    let target = format!("/api/v1/mounts{path}");
    let what = format!("{} has {name:?} for {path}", node.name());
    eventually(PATIENCE, &what, || {
        let answer = node.api("GET", &target, "").map_err(|it| it.to_string())?;
        let seen: Value = serde_json::from_slice(&answer.body).map_err(|it| it.to_string())?;
        so(seen["name"] == name, seen)
    });
}

fn wait_mount(node: &TestNode, path: &str) {
    let what = format!("{} has {path}", node.name());
    eventually(PATIENCE, &what, || {
        let mounts = node.mounts();
        so(mounts.iter().any(|it| it == path), format!("{mounts:?}"))
    });
}

fn wait_renewed(node: &TestNode) {
    eventually(PATIENCE, "stamps from the future are renewed", || {
        let log = node.log_of_this_life();
        so(log.contains("stamped anew"), log)
    });
}

/// The greatest stamp in a node's file, against the time of now, milliseconds.
fn latest_stamp_ahead_ms(node: &TestNode) -> i64 {
    let text = fs::read_to_string(node.data_dir().join("document")).unwrap();
    let (_checksum, json) = text.split_once('\n').unwrap();
    let stamps = json.split("\"time_ms\": ").skip(1);
    let times = stamps.map(|rest| {
        let digits = rest.split(|it: char| !it.is_ascii_digit()).next();
        digits.unwrap().parse::<i64>().unwrap()
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    times.max().unwrap() - now.as_millis() as i64
}

#[test]
fn a_node_with_a_wrong_clock_refuses_edits() {
    if clock::library().is_none() {
        return;
    }
    let mesh = TestMesh::start_with(3, |index, setup| match index {
        2 => setup.clock("+1h"),
        _ => setup,
    });
    let (right, wrong) = (&mesh.nodes[0], &mesh.nodes[2]);
    eventually(PATIENCE, "it sees that its clock is wrong", || {
        let clock = wrong.status().clock;
        so(clock.is_some(), "it says nothing")
    });
    let (status, text) = create(wrong, "/wrong.mp3");
    println!("its edit was answered {status}: {text}");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("ahead of those of its 2 peers"), "{text}");
    let log = wrong.log();
    assert!(log.contains("edits are refused"), "{log}");
    let shown = done(&wrong.command("status", &[]));
    assert!(shown.contains("edits are refused"), "{shown}");

    let ready = get(&wrong.address(), "/readyz").unwrap();
    let text = ready.text();
    assert!(ready.head.status == 200 && text.contains("clock"), "{text}");

    let offset = right.opinion_of("n3").and_then(|it| it.clock_offset_ms);
    println!("its clock is told to be {offset:?} ms ahead");
    let told = offset.expect("it is known");
    assert!(told.abs_diff(HOUR_MS) < TOLD_WITHIN_MS, "{told} ms");
    let shown = done(&right.command("status", &[]));
    assert!(shown.contains("h 0") || shown.contains("59 min"), "{shown}");
    assert_eq!(right.status().clock, None, "one wrong peer proves nothing");
    assert_eq!(create(right, "/right.mp3").0, 201);
    wait_mount(wrong, "/right.mp3");

    wrong.set_clock("+0");
    let (_, taken) = eventually(PATIENCE, "its edits are taken again", || {
        let (status, text) = create(wrong, "/late.mp3");
        so(status == 201, text)
    });
    println!("edits are taken {taken:?} after the clock was set");
    for node in &mesh.nodes {
        wait_mount(node, "/late.mp3");
        assert_eq!(node.mounts(), ["/late.mp3", "/right.mp3"]);
    }
}

/// A node that made a mount while it was alone and its clock was ahead.
fn poisoned(secret: &str, ahead: &str) -> TestNode {
    let node = Setup::named("n1").secret(secret).clock(ahead).start();
    node.create_mount("/radio.mp3", PASSWORD);
    rename(&node, "/radio.mp3", "ahead");
    let future_ms = latest_stamp_ahead_ms(&node);
    println!("its stamps were {future_ms} ms in the future");
    assert!(future_ms > HOUR_MS / 2);
    node
}

/// Expects that what was made is renewed, and that all that comes later wins.
fn expect_renewed(node: &TestNode, secret: &str) {
    wait_renewed(node);
    rename(node, "/radio.mp3", "renamed");
    let future_ms = latest_stamp_ahead_ms(node);
    println!("now its stamps are {future_ms} ms in the future");
    assert!(future_ms < 60_000);
    let peer = Setup::named("n2").secret(secret).join(&node.address());
    let peer = peer.start();
    wait_name(&peer, "/radio.mp3", "renamed");
    rename(&peer, "/radio.mp3", "by a peer");
    wait_name(node, "/radio.mp3", "by a peer");
    rename(node, "/radio.mp3", "and again");
    wait_name(&peer, "/radio.mp3", "and again");
}

#[test]
fn edits_an_hour_ahead_are_renewed_by_a_corrected_clock() {
    if clock::library().is_none() {
        return;
    }
    let secret = new_secret();
    let node = poisoned(&secret, "+1h");
    node.set_clock("+0");
    expect_renewed(&node, &secret);
}

#[test]
fn edits_decades_ahead_are_renewed_at_the_next_start() {
    if clock::library().is_none() {
        return;
    }
    let secret = new_secret();
    let mut node = poisoned(&secret, "+27y");
    node.kill9();
    node.set_clock("+0");
    node.restart();
    expect_renewed(&node, &secret);
}
