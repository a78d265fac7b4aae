//! Outside relays move: to the next address and back, and to another node; listeners stay.

use std::time::Duration;

use antiphon::model::outside_relay::OutsideRelayStage;

use super::stage::{PASSWORD, RADIO, SECOND_BYTES, Stage, address, icecast, relay, seen};
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::Ffmpeg;

#[test]
fn the_next_address_plays_until_the_better_one_is_back() {
    let (mut best, second) = (icecast(), icecast());
    let stage = Stage::set(3, &[address(&best), address(&second)]);
    stage.wait_plays(1);
    let (_, other) = stage.runner_and_other();
    let node = &stage.mesh.nodes[other];
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", node.url()));
    player.wait_for_more(SECOND_BYTES);
    best.end_source(0);
    stage.wait_plays(2);
    player.wait_for_more(2 * SECOND_BYTES);
    let look = || {
        let seen = relay(node, RADIO);
        let report = seen.as_ref().map(|it| it.report.clone());
        let is_told = report.is_some_and(|it| {
            it.restarts == 1 && it.trouble.is_some_and(|why| why.contains("/up.mp3: it"))
        });
        so(is_told, format!("{seen:?}"))
    };
    eventually(PATIENCE, "the fault is told", look);
    listed(node, &address(&best), &address(&second));
    best.begin_source(0, super::stage::UPSTREAM);
    stage.wait_plays(1);
    player.wait_for_more(2 * SECOND_BYTES);
    assert!(!player.is_closed());
    let gap = player.longest_gap();
    assert!(gap < Duration::from_secs(5), "{gap:?} of silence");
}

/// `mount sources` shows each address as a rung: the first fails, the second is heard.
fn listed(node: &TestNode, failing: &str, playing: &str) {
    let look = || {
        let text = done(&node.command("mount", &["sources", RADIO]));
        let rung = |number: &str, words: [&str; 3]| {
            let line = text
                .lines()
                .find(|line| line.trim_start().starts_with(number));
            line.is_some_and(|line| words.iter().all(|word| line.contains(word)))
        };
        let is_told = rung("1 ", ["its own source", "not on air", "-"])
            && rung("1.1 ", [failing, ", by n", "gives no stream"])
            && rung("1.2 ", [playing, "on air", node.name()])
            && text.contains(&format!("cannot play {failing}: it "));
        so(is_told, text)
    };
    eventually(PATIENCE, "the addresses are rungs", look);
}

#[test]
fn another_node_gets_the_stream_when_one_dies() {
    let icecast = icecast();
    let mut stage = Stage::set(3, &[address(&icecast)]);
    stage.wait_plays(1);
    let (runner, other) = stage.runner_and_other();
    let url = stage.mesh.nodes[other].url();
    let player = Player::tune_in(&format!("{url}/_stream/n1{RADIO}"));
    player.wait_for_more(2 * SECOND_BYTES);
    stage.mesh.nodes[runner].kill9();
    let gone = stage.mesh.nodes.remove(runner);
    stage.wait_plays(1);
    player.wait_for_more(3 * SECOND_BYTES);
    assert!(!player.is_closed());
    let gap = player.longest_gap();
    println!("{} died; the player waited {gap:?}", gone.name());
    // Listeners have five seconds in hand; the rest is for a machine that does other things.
    assert!(gap < Duration::from_secs(8), "{gap:?}");
    let now = relay(&stage.mesh.nodes[0], RADIO).unwrap().node.unwrap();
    assert_ne!(now.as_str(), gone.name());
}

#[test]
fn another_node_gets_the_stream_when_one_drains() {
    let icecast = icecast();
    let stage = Stage::set(3, &[address(&icecast)]);
    stage.wait_plays(1);
    let (runner, other) = stage.runner_and_other();
    let (runner, node) = (&stage.mesh.nodes[runner], &stage.mesh.nodes[other]);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", node.url()));
    player.wait_for_more(2 * SECOND_BYTES);
    let answer = runner.api("POST", "/api/v1/node/drain?deadline_s=5", "");
    assert!(answer.unwrap().head.status < 300);
    let look = || {
        let seen = relay(node, RADIO);
        let is_moved = seen.as_ref().is_some_and(|it| {
            let moved = it
                .node
                .as_ref()
                .is_some_and(|it| it.as_str() != runner.name());
            moved && it.report.stage == OutsideRelayStage::Running
        });
        so(is_moved, format!("{seen:?}"))
    };
    eventually(PATIENCE, "another node has it", look);
    player.wait_for_more(3 * SECOND_BYTES);
    assert!(!player.is_closed());
    let gap = player.longest_gap();
    println!("drained; the player waited {gap:?}");
    assert!(gap < Duration::from_secs(5), "{gap:?}");
}

#[test]
fn a_fallback_is_heard_when_no_address_gives_the_stream() {
    const SPARE: &str = "/spare.mp3";
    let mut icecast = icecast();
    let stage = Stage::set(2, &[address(&icecast)]);
    stage.mesh.create_mount(SPARE, PASSWORD);
    stage.change(&format!("fallback={SPARE}"));
    let _encoder = Ffmpeg::start(&stage.mesh.nodes[0], SPARE, PASSWORD);
    stage.mesh.wait_on_air(SPARE);
    stage.wait_plays(1);
    let node = &stage.mesh.nodes[1];
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", node.url()));
    player.wait_for_more(SECOND_BYTES);
    icecast.end_source(0);
    let hears = |fallback: bool| {
        let look = || {
            let mount = seen(node, RADIO);
            let heard = mount.as_ref().map(|it| it.fallback_heard().is_some());
            so(heard == Some(fallback), format!("{mount:?}"))
        };
        eventually(PATIENCE, "the rung that is heard", look);
    };
    hears(true);
    player.wait_for_more(2 * SECOND_BYTES);
    icecast.begin_source(0, super::stage::UPSTREAM);
    stage.wait_plays(1);
    hears(false);
    player.wait_for_more(2 * SECOND_BYTES);
    assert!(!player.is_closed());
}
