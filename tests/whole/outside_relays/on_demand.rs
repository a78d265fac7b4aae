//! Streams that are got from outside only while somebody listens.

use std::time::{Duration, Instant};

use antiphon::model::outside_relay::OutsideRelayStage;

use super::server::{Server, play};
use super::stage::{RADIO, Stage};
use crate::support::player::Player;

#[test]
fn a_listener_anywhere_has_the_stream_got() {
    let server = Server::start(|socket| {
        use std::io::Write as _;
        socket.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")?;
        play(socket, <[u8]>::to_vec)
    });
    let stage = Stage::set(3, &[server.url()]);
    stage.change("on_demand=true");
    stage.wait_stage(OutsideRelayStage::Idle);
    let before = server.asked();
    let (_, other) = stage.runner_and_other();
    let begun = Instant::now();
    let player = Player::tune_in(&format!("{}{RADIO}", stage.mesh.nodes[other].url()));
    player.wait_for(1_000);
    let took = begun.elapsed();
    println!("the first bytes came after {took:?}");
    // Under one second on a machine that does nothing else.
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(server.asked(), before + 1);
    stage.wait_plays(1);
    drop(player);
    stage.wait_stage(OutsideRelayStage::Idle);
}
