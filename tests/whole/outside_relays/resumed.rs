//! An outside relay that begins anew goes on behind what was heard: of the last seconds that its server sends at once, listeners
//! hear only what is new to them.

use std::time::Instant;

use antiphon::model::outside_relay::OutsideRelayStage;

use super::stage::{
    PASSWORD as MOUNT_PASSWORD, RADIO, SECOND_BYTES, Stage, UPSTREAM, address, relay,
};
use crate::support::icecast::{Icecast, PASSWORD};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tape::{Flaws, Tape};

/// An Icecast with a stream of numbered frames, and a mesh that relays it.
fn set() -> (Icecast, KnownSource, Stage) {
    let icecast = Icecast::with_long_burst();
    let source = KnownSource::start_at(&icecast.address(), UPSTREAM, PASSWORD).unwrap();
    let stage = Stage::set(3, &[address(&icecast)]);
    stage.wait_plays(1);
    (icecast, source, stage)
}

/// Listens at some nodes until each player has some seconds.
fn tune_in(stage: &Stage, nodes: &[usize]) -> Vec<Player> {
    let url = |node: &usize| format!("{}/_stream/n1{RADIO}", stage.mesh.nodes[*node].url());
    let players: Vec<Player> = nodes.iter().map(|it| Player::tune_in(&url(it))).collect();
    for player in &players {
        player.wait_for_more(2 * SECOND_BYTES);
    }
    players
}

/// Waits until the players have some seconds more, all of them right.
fn hear_all(players: &[Player]) {
    for player in players {
        player.wait_for_more(4 * SECOND_BYTES);
        assert!(!player.is_closed());
        let mut tape = Tape::default();
        tape.take(&player.bytes());
        assert_eq!(tape.flaws(), Flaws::default(), "{:?}", tape.runs());
    }
}

#[test]
fn nothing_is_lost_or_heard_twice_when_the_server_hangs_up() {
    let (icecast, _source, stage) = set();
    let players = tune_in(&stage, &[0, 1, 2]);
    for restarts in 1..=3 {
        icecast.close_listeners(UPSTREAM);
        let look = || {
            let seen = relay(&stage.mesh.nodes[0], RADIO);
            let is_back = seen
                .as_ref()
                .is_some_and(|it| it.report.restarts == restarts);
            so(is_back, format!("{seen:?}"))
        };
        eventually(PATIENCE, "the relay begins anew", look);
        stage.wait_plays(1);
        hear_all(&players);
    }
}

#[test]
fn nothing_is_lost_or_heard_twice_when_the_node_of_the_relay_dies() {
    let (_icecast, _source, mut stage) = set();
    let (runner, _) = stage.runner_and_other();
    let others: Vec<usize> = (0..3).filter(|it| *it != runner).collect();
    let players = tune_in(&stage, &others);
    stage.mesh.nodes[runner].kill9();
    stage.mesh.nodes.remove(runner);
    stage.wait_plays(1);
    hear_all(&players);
}

#[test]
fn a_node_without_listeners_takes_over_from_where_the_others_are() {
    let (_icecast, _source, mut stage) = set();
    let (runner, other) = stage.runner_and_other();
    let players = tune_in(&stage, &[other]);
    stage.mesh.nodes[runner].kill9();
    stage.mesh.nodes.remove(runner);
    stage.wait_plays(1);
    hear_all(&players);
}

#[test]
fn nobody_has_more_in_store_when_the_relay_is_back_after_an_encoder() {
    let (_icecast, _source, stage) = set();
    let players = tune_in(&stage, &[0, 1, 2]);
    let begun = Instant::now();
    let before: Vec<usize> = players.iter().map(Player::len).collect();
    for _ in 0..3 {
        let encoder = KnownSource::start(&stage.mesh.nodes[0], RADIO, MOUNT_PASSWORD);
        stage.wait_stage(OutsideRelayStage::Standby);
        drop(encoder);
        stage.wait_plays(1);
        players
            .iter()
            .for_each(|it| it.wait_for_more(2 * SECOND_BYTES));
    }
    for (player, before) in players.iter().zip(before) {
        let heard_s = (player.len() - before) as f64 / SECOND_BYTES as f64;
        let passed_s = begun.elapsed().as_secs_f64();
        // The server sends sixteen seconds at once each time.
        assert!(heard_s < passed_s + 8.0, "{heard_s} s within {passed_s} s");
        assert!(!player.is_closed());
    }
}
