//! Streams that are got from outside only while somebody listens.

use std::time::{Duration, Instant};

use antiphon::model::outside_relay::OutsideRelayStage;

use super::server::{Server, play};
use super::stage::{PASSWORD, RADIO, Stage};
use crate::support::encoder::{Encoder, Target};
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};
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

#[test]
fn a_relay_that_gives_too_little_hides_no_fallback_below_it() {
    const LIVE: &str = "/live.mp3";
    const AUTO: &str = "/auto.mp3";
    let server = Server::start(|socket| {
        use std::io::Write as _;
        socket.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")?;
        loop {
            socket.write_all(b"x")?;
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let stage = Stage::set(2, &[server.url()]);
    stage.change("on_demand=true");
    stage.wait_stage(OutsideRelayStage::Idle);
    let node = &stage.mesh.nodes[0];
    stage.mesh.create_mount(AUTO, PASSWORD);
    let fallbacks = r#""fallback": "/radio.mp3,/auto.mp3""#;
    node.create_mount_with(LIVE, PASSWORD, fallbacks);
    stage.mesh.wait_for_mount(LIVE);
    let addresses = vec![node.address()];
    let _auto = Encoder::start(Target::of(addresses, AUTO, PASSWORD));
    stage.mesh.wait_on_air(AUTO);
    // The first one finds out that nothing comes, and is not sent away for that.
    let first = Player::tune_in(&format!("{}/_stream/n1{LIVE}", node.url()));
    first.wait_for(1_000);
    assert!(server.asked() > 0);
    for node in &stage.mesh.nodes {
        eventually(PATIENCE, "why it does not come", || {
            let listed = done(&node.command("mount", &["sources", LIVE]));
            let words = ["/radio.mp3 does not come: ", "too little"];
            so(words.iter().all(|it| listed.contains(it)), listed)
        });
    }
    // Then it is known.
    let begun = Instant::now();
    let other = &stage.mesh.nodes[1];
    let second = Player::tune_in(&format!("{}/_stream/n1{LIVE}", other.url()));
    second.wait_for(1_000);
    println!("heard after {:?}", begun.elapsed());
    assert!(!first.is_closed());
    // It is asked again, because somebody would hear it.
    let asked = server.asked();
    eventually(2 * PATIENCE, "a try", || {
        let now = server.asked();
        so(now > asked, format!("{now}"))
    });
}
