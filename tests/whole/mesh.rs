//! A radio is sent to any node, and played from any node: every byte of it.

use crate::support::mesh::TestMesh;
use crate::support::player::{self, Player};
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::{Ffmpeg, KnownSource};
use crate::support::tool::have;

/// The mount of all these tests.
const RADIO: &str = "/radio.mp3";
/// The password of its sources.
const PASSWORD: &str = "hackme-not";

#[test]
fn other_nodes_play_what_ffmpeg_sends_to_one() {
    if !have("ffmpeg") || !have("curl") {
        return;
    }
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let mut source = Ffmpeg::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    for node in &mesh.nodes[1..] {
        let url = format!("{}{RADIO}", node.url());
        source.check(&player::curl(&url, 3));
        let samples = player::ffmpeg(&url, 2);
        assert_eq!(samples.len(), 16_000, "two seconds");
        let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(loudest > Some(1_000), "the melody is heard");
    }
    assert_eq!(source.ended(), None);
}

#[test]
fn every_byte_arrives_wherever_a_listener_enters() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let ingest = &mesh.nodes[mesh.others()[0]];
    let source = KnownSource::start(ingest, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let tune_in =
        |index: usize| Player::tune_in(&format!("{}{RADIO}", mesh.nodes[index % 3].url()));
    let players: Vec<Player> = (0..6).map(tune_in).collect();
    for player in &players {
        player.wait_for_more(100 * FRAME_BYTES);
        signal::check(&player.bytes());
        assert!(!player.is_closed());
    }
    assert!(!source.is_closed());
    assert!(source.frames() > 100);
}
