//! A node is taken out of service, and no listener at another node hears it.

use std::time::{Duration, Instant};

use antiphon::model::status::NodeState;

use crate::support::crowd::Crowd;
use crate::support::encoder::{Encoder, Target};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::ask_for_stream;
use crate::support::source::knock;
use crate::support::tape::Flaws;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// How long the listeners of a draining node may stay.
const DEADLINE: Duration = Duration::from_secs(4);
/// How long after it the last of them is gone: they are ended over ten seconds.
const LAST: Duration = Duration::from_secs(16);
/// Listeners at each node.
const LISTENERS: usize = 5;

/// A request to the node's API that must succeed with this status.
fn order(node: &TestNode, target: &str, status: u16) {
    let answer = node.api("POST", target, "").unwrap();
    assert_eq!(answer.head.status, status, "{}", answer.text());
}

/// Three nodes, of which the second is the ingest node and not the master, with listeners at each.
fn stage() -> (TestMesh, Encoder, Crowd) {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let ingest = mesh.others()[0];
    let mut addresses: Vec<String> = mesh.nodes.iter().map(|node| node.address()).collect();
    addresses.rotate_left(ingest);
    let encoder = Encoder::start(Target::of(addresses, RADIO, PASSWORD));
    mesh.wait_on_air(RADIO);
    let homes = mesh
        .nodes
        .iter()
        .map(|node| format!("{}/_stream/n1{RADIO}", node.url()));
    let homes: Vec<String> = homes.collect();
    let entrances = mesh
        .nodes
        .iter()
        .map(|node| format!("{}{RADIO}", node.url()));
    let entrances: Vec<String> = entrances.collect();
    let crowd = Crowd::gather(
        &vec![homes; LISTENERS].concat(),
        &entrances,
        &encoder.diary(),
    );
    crowd.go_home();
    crowd.take_notes();
    (mesh, encoder, crowd)
}

/// No listener at another node has noticed anything, and each at this one has heard all bytes in order; returns how
/// many of them were disconnected.
fn count_sent_away(crowd: &Crowd, homes: &[Option<String>], drained: &str) -> u32 {
    let mut sent_away = 0;
    for (home, notes) in homes.iter().zip(crowd.take_notes()) {
        assert_eq!(notes.flaws, Flaws::default(), "{home:?}");
        if home.as_deref() == Some(drained) {
            sent_away += notes.closed;
        } else {
            assert_eq!(notes.closed, 0, "{home:?}");
            assert!(
                notes.delay() < Duration::from_secs(2),
                "{:?}",
                notes.delay()
            );
        }
    }
    sent_away
}

/// Waits until a node serves nobody any more; how long it took.
fn wait_empty(crowd: &Crowd, address: &str) -> Duration {
    let look = || {
        let here = crowd.census().get(address).copied().unwrap_or_default();
        so(here == 0, format!("{here} are there"))
    };
    eventually(PATIENCE, "the last listener is sent away", look).1
}

#[test]
fn a_drained_master_hands_over_and_returns() {
    let (mesh, encoder, crowd) = stage();
    let master = mesh.master();
    let (drained, homes) = (&mesh.nodes[master], crowd.places());
    let epoch = drained.status().epoch;
    let begun = Instant::now();
    order(
        drained,
        &format!("/api/v1/node/drain?deadline_s={}", DEADLINE.as_secs()),
        202,
    );
    eventually(PATIENCE, "another node is master", || {
        let master = drained.status().master.map(|it| it.to_string());
        so(
            master.as_deref().is_some_and(|it| it != drained.name()),
            format!("{master:?}"),
        )
    });
    let handed_over = begun.elapsed();
    println!("the seat was handed over after {handed_over:?}");
    assert!(handed_over < Duration::from_secs(2), "{handed_over:?}");

    mesh.wait_state(&[0, 1, 2], drained.name(), &[NodeState::Draining]);
    let (_, head) = knock(&drained.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.status, 503, "{head:?}");
    assert!(head.header("retry-after").is_some(), "{head:?}");
    for node in &mesh.nodes {
        let (_, head) = ask_for_stream(&format!("{}{RADIO}", node.url())).unwrap();
        let here = head.status == 302 && head.location().starts_with(&drained.url());
        assert!(!here, "sent to a draining node: {head:?}");
    }
    let sent_early = count_sent_away(&crowd, &homes, &drained.address());
    assert!(
        begun.elapsed() > DEADLINE || sent_early == 0,
        "{sent_early}"
    );

    wait_empty(&crowd, &drained.address());
    let empty = begun.elapsed();
    println!("the last listener was sent away after {empty:?}");
    assert!((DEADLINE..DEADLINE + LAST).contains(&empty), "{empty:?}");
    let sent_away = count_sent_away(&crowd, &homes, &drained.address());
    assert_eq!(sent_early + sent_away, LISTENERS as u32);
    assert_eq!(encoder.dropped(), 0);

    order(drained, "/api/v1/node/undrain", 204);
    mesh.wait_agreed();
    crowd.go_home();
    let after = mesh.nodes[0].status();
    assert_eq!(after.epoch.0, epoch.0 + 1, "one change, and no pre-emption");
}

#[test]
fn a_drain_costs_an_encoder_one_clean_disconnect() {
    let (mesh, encoder, crowd) = stage();
    let at = encoder.at().expect("on air");
    let index = mesh.nodes.iter().position(|node| node.address() == at);
    let (drained, homes) = (&mesh.nodes[index.expect("ours")], crowd.places());
    order(drained, "/api/v1/node/drain?deadline_s=1", 202);
    eventually(PATIENCE, "the encoder is elsewhere", || {
        let now = encoder.at();
        so(
            now.as_ref().is_some_and(|now| *now != at),
            format!("{now:?}"),
        )
    });
    let frame = encoder.next();
    crowd.wait_heard(frame + 40..u64::MAX, std::slice::from_ref(&at));
    assert_eq!(encoder.dropped(), 1);
    wait_empty(&crowd, &at);
    let sent_away = count_sent_away(&crowd, &homes, &at);
    assert_eq!(sent_away, LISTENERS as u32);
}

#[test]
fn a_deadline_is_a_number_of_seconds() {
    let mesh = TestMesh::start(1);
    for bad in ["soon", "-1", "999999999", ""] {
        order(
            &mesh.nodes[0],
            &format!("/api/v1/node/drain?deadline_s={bad}"),
            400,
        );
    }
    assert!(
        mesh.nodes[0]
            .alive()
            .contains(&mesh.nodes[0].name().to_owned())
    );
}
