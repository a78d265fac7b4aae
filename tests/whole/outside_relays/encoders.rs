//! Any encoder comes before an outside relay, which is back when it has gone.

use antiphon::model::outside_relay::OutsideRelayStage;

use super::stage::{PASSWORD, RADIO, SECOND_BYTES, Stage, address, icecast};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;

/// The encoder gets the mount from the relay, at the relay's own node and at another one, and gives it back.
fn gives_way(settings: &[&str]) {
    let icecast = icecast();
    let stage = Stage::set(3, &[address(&icecast)]);
    for setting in settings {
        stage.change(setting);
    }
    stage.wait_plays(1);
    let (runner, other) = stage.runner_and_other();
    let third = (0..3).find(|it| ![runner, other].contains(it)).unwrap();
    let url = stage.mesh.nodes[third].url();
    let player = Player::tune_in(&format!("{url}/_stream/n1{RADIO}"));
    for encoder_at in [other, runner] {
        player.wait_for_more(SECOND_BYTES);
        let node = &stage.mesh.nodes[encoder_at];
        let encoder = KnownSource::start(node, RADIO, PASSWORD);
        stage.mesh.wait_each_sees(RADIO, "the encoder", |it| {
            let source = it.source.as_ref();
            let relay = it.outside_relay.as_ref();
            source.is_some_and(|it| it.node.as_str() == node.name())
                && relay.is_some_and(|it| it.report.stage == OutsideRelayStage::Standby)
        });
        let before = encoder.frames();
        eventually(PATIENCE, "it goes on sending", || {
            so(encoder.frames() > before + 100, encoder.frames())
        });
        assert!(!encoder.is_closed());
        let second = KnownSource::try_start(node, RADIO, PASSWORD);
        if settings.is_empty() {
            assert!(second.is_err(), "the mount is in use");
        }
        drop(second);
        drop(encoder);
        stage.wait_plays(1);
    }
    player.wait_for_more(SECOND_BYTES);
    assert!(!player.is_closed());
}

#[test]
fn an_encoder_is_not_refused_and_the_relay_returns() {
    gives_way(&[]);
}

#[test]
fn an_encoder_that_may_wait_need_not() {
    gives_way(&["standby=true"]);
}

#[test]
fn an_encoder_that_may_take_over_does() {
    gives_way(&["takeover=takeover"]);
}
