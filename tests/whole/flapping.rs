//! A node that falls silent and comes back again and again gets no listeners until it has been heard for a while.

use std::time::{Duration, Instant};

use antiphon::model::status::NodeState;
use rustix::process::Signal;

use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::ask_for_stream;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// How long it is silent, and how long it is back.
const SILENT: Duration = Duration::from_secs(2);
const BACK: Duration = Duration::from_secs(2);
/// After its second silence it must be heard for so long.
const PROBATION: Duration = Duration::from_secs(6);

/// Whether the next listener that asks either of the first two nodes is sent to the third.
fn sent_to_third(mesh: &TestMesh) -> usize {
    let third = mesh.nodes[2].url();
    let asked = mesh.nodes[..2].iter().map(|node| {
        let (_, head) = ask_for_stream(&format!("{}{RADIO}", node.url())).unwrap();
        usize::from(head.status == 302 && head.location().starts_with(&third))
    });
    asked.sum()
}

/// How many of the listeners that ask within a time are sent to the third node.
fn sent_within(mesh: &TestMesh, time: Duration) -> usize {
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < time {
        sent += sent_to_third(mesh);
        std::thread::sleep(Duration::from_millis(20));
    }
    sent
}

#[test]
fn a_flapping_node_is_chosen_once_it_is_steady() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let chosen = || so(sent_to_third(&mesh) > 0, "not yet");
    eventually(PATIENCE, "the third node is chosen", chosen);
    let others = [0, 1];
    let third = &mesh.nodes[2];
    let mut sent = 0;
    let mut back_at = Instant::now();
    for _ in 0..2 {
        third.freeze();
        let stopped_at = Instant::now();
        mesh.wait_state(&others, "n3", &[NodeState::Suspect, NodeState::Dead]);
        // Until now nobody could know.
        sent += sent_within(&mesh, SILENT.saturating_sub(stopped_at.elapsed()));
        third.signal(Signal::CONT);
        back_at = Instant::now();
        sent += sent_within(&mesh, BACK);
    }
    println!("silent for 2 s and back for 2 s, twice: {sent} listeners were sent there");
    assert_eq!(sent, 0);
    eventually(PATIENCE, "it is chosen again", chosen);
    let took = back_at.elapsed();
    println!("chosen again {took:?} after its second silence");
    assert!(took >= PROBATION, "{took:?}");
}
