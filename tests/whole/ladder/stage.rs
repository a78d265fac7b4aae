//! A live mount with an auto-DJ below it, and what is heard of both.

use std::time::Duration;

use antiphon::model::status::MountStatus;

use crate::support::encoder::{Encoder, Target};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::Received;
use crate::support::tape::Tape;

pub(super) const PASSWORD: &str = "hackme-not";
pub(super) const LIVE: &str = "/live.mp3";
pub(super) const AUTO: &str = "/auto.mp3";
/// The number of the first frame of the auto-DJ: no live source of a test gets there.
pub(super) const AUTO_FIRST: u64 = 1_000_000;

/// A mesh with a live mount that falls back to an auto-DJ. None of the two has a source yet.
pub(super) fn mesh(nodes: usize) -> TestMesh {
    let mesh = TestMesh::start(nodes);
    mesh.create_mount(AUTO, PASSWORD);
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, r#""fallback": "/auto.mp3""#);
    mesh.wait_for_mount(LIVE);
    mesh
}

/// An encoder that numbers its frames from here on, at this node.
pub(super) fn encoder(node: &TestNode, mount: &str, first: u64) -> Encoder {
    encoder_at(&[node], mount, first)
}

/// The same, which goes to the next of these nodes when one dies.
pub(super) fn encoder_at(nodes: &[&TestNode], mount: &str, first: u64) -> Encoder {
    Encoder::start(Target {
        first,
        ..Target::of(
            nodes.iter().map(|node| node.address()).collect(),
            mount,
            PASSWORD,
        )
    })
}

/// A listener of a mount at this very node.
pub(super) fn listener(node: &TestNode, mount: &str) -> Player {
    Player::tune_in(&format!("{}/_stream/n1{mount}", node.url()))
}

/// The runs of frames that a listener has heard, and how many of its bytes are of no frame.
pub(super) fn runs(player: &Player) -> (Vec<Received>, u64) {
    let mut tape = Tape::default();
    tape.take(&player.bytes());
    let foreign_bytes = tape.flaws().foreign_bytes;
    (tape.runs().to_vec(), foreign_bytes)
}

/// Waits until each of them hears this many frames of the auto-DJ, or of live sources, behind whatever it has heard.
pub(super) fn wait_hears(players: &[Player], is_auto: bool, frames: u64) {
    for player in players {
        let look = || {
            assert!(!player.is_closed(), "{} was ended", player.url);
            let (runs, _) = runs(player);
            let last = runs.last().copied();
            let hears = last.filter(|run| (run.first >= AUTO_FIRST) == is_auto);
            let good = hears.is_some_and(|run| run.next - run.first >= frames);
            so(good, format!("{last:?}"))
        };
        let what = format!("{} hears the auto-DJ: {is_auto}", player.url);
        eventually(PATIENCE, &what, look);
    }
}

/// Checks that a listener has heard whole frames only, and none of them twice; returns how often the stream was another.
pub(super) fn check(player: &Player) -> usize {
    let (runs, foreign_bytes) = runs(player);
    assert_eq!(foreign_bytes, 0, "{}: pieces of frames", player.url);
    assert!(!player.is_closed(), "{} was ended", player.url);
    let mut auto_next = AUTO_FIRST;
    for run in runs.iter().filter(|run| run.first >= AUTO_FIRST) {
        let first = run.first;
        assert!(
            first >= auto_next,
            "{}: {first} twice in {runs:?}",
            player.url
        );
        auto_next = run.next;
    }
    runs.len() - 1
}

/// Waits until every node says of the live mount what it should.
pub(super) fn wait_status(
    mesh: &TestMesh,
    what: &str,
    should: impl Fn(&MountStatus) -> bool,
) -> Duration {
    mesh.wait_each_sees(LIVE, what, should)
}

/// Whether the listeners of a mount hear this fallback somewhere.
pub(super) fn plays(mount: &MountStatus, fallback: &str) -> bool {
    let heard = mount.fallback_heard();
    heard.is_some_and(|rung| rung.rung.to_string() == fallback)
}

/// The output of a command about mounts that did what it was told.
pub(super) fn mount_command(node: &TestNode, arguments: &[&str]) -> String {
    done(&node.command("mount", arguments))
}
