//! A radio is sent to any node, and played from any node: every byte of it.

use crate::support::http::get;
use crate::support::mesh::TestMesh;
use crate::support::player::{self, Player, ask_for_stream};
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::{Ffmpeg, KnownSource};
use crate::support::tool::have;

/// The mount of all these tests.
const RADIO: &str = "/radio.mp3";
/// What its sources log in with.
const PASSWORD: &str = "hackme-not";

/// Whether `part` stands somewhere in `whole`.
fn stands_in(part: &[u8], whole: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Checks that these are whole bytes of what ffmpeg sent, from the beginning of a frame on.
fn check_received(received: &[u8], source: &Ffmpeg) {
    assert!(received.len() > 16_000, "only {} bytes", received.len());
    assert_eq!((received[0], received[1] & 0xE0), (0xFF, 0xE0), "a sync");
    assert!(stands_in(received, &source.sent()), "not what was sent");
}

#[test]
fn what_ffmpeg_sends_to_one_node_is_what_curl_and_ffmpeg_get_at_the_others() {
    if !have("ffmpeg") || !have("curl") {
        return;
    }
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let mut source = Ffmpeg::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    for node in &mesh.nodes[1..] {
        let url = format!("{}{RADIO}", node.url());
        check_received(&player::curl(&url, 3), &source);
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

#[test]
fn a_single_node_is_a_plain_icecast_server() {
    let mesh = TestMesh::start(1);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    let (_connection, head) = ask_for_stream(&format!("{}{RADIO}", mesh.nodes[0].url())).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let missing = get(&mesh.nodes[0].address(), "/nothing.mp3").unwrap();
    assert_eq!(missing.head.status, 404);
}
