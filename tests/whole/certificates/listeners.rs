//! Listeners who came by HTTPS, while the certificates of the mesh are renewed.

use std::fs;
use std::time::Duration;

use super::stage::{ORDERED_WITHIN, Stage};
use crate::support::crowd::Crowd;
use crate::support::encoder::{Encoder, Target};
use crate::support::http::Connection;
use crate::support::node::TestNode;
use crate::support::patience::{eventually, so};
use crate::support::tape::Flaws;
use crate::support::trust::Trust;

const NAME: &str = "radio.example";
const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// Listeners that check each byte.
const CROWD: usize = 200;
const RENEWALS: usize = 3;
/// A lifetime whose last third is long enough for a renewal on a busy machine: nobody is ever shown an old one.
const LIFETIME_S: u64 = 30;

/// The certificate that a node shows to a client that trusts nothing but a valid one for the name.
fn shown(node: &TestNode, trust: &Trust) -> Vec<u8> {
    let connection = Connection::open_trusting(&node.address(), trust);
    let connection = connection.unwrap_or_else(|why| panic!("{}: {why}", node.name()));
    connection.certificate().unwrap()
}

#[test]
fn three_renewals_are_not_heard_at_three_nodes() {
    let Some(stage) = Stage::set_for(3, LIFETIME_S, &[]) else {
        return;
    };
    stage.enable(NAME);
    stage.wait_valid(0, NAME);
    for index in 1..3 {
        stage.wait_valid_within(index, NAME, Duration::from_secs(2));
    }
    let nodes = &stage.mesh.nodes;
    let authority = fs::read_to_string(stage.pebble.issues_under()).unwrap();
    let trust = Trust::named(&authority, NAME);
    stage.mesh.create_mount(RADIO, PASSWORD);
    let encoder = Encoder::start(Target::of(vec![nodes[0].address()], RADIO, PASSWORD));
    stage.mesh.wait_on_air(RADIO);
    // By the addresses to which listeners are sent, so that each stays where it is.
    let home = |node: &TestNode| format!("https://{}/_stream/n1{RADIO}", node.address());
    let homes: Vec<String> = nodes.iter().map(home).cycle().take(CROWD).collect();
    let crowd = Crowd::gather_trusting(&trust, &homes, &homes[..3], &encoder.diary());
    crowd.go_home();
    crowd.take_notes();

    let mut before: Vec<Vec<u8>> = nodes.iter().map(|node| shown(node, &trust)).collect();
    for _ in 0..RENEWALS {
        for (node, before) in nodes.iter().zip(&mut before) {
            let what = format!("{} shows another certificate", node.name());
            let look = || {
                let now = shown(node, &trust);
                so(now != *before, "the one before").map(|()| now)
            };
            *before = eventually(ORDERED_WITHIN, &what, look).0;
        }
        crowd.wait_heard(encoder.next()..u64::MAX, &[]);
    }
    assert!(stage.pebble.issued() > RENEWALS);
    let notes = crowd.take_notes();
    assert_eq!(notes.len(), CROWD);
    for notes in notes {
        assert_eq!((notes.closed, notes.flaws), (0, Flaws::default()));
    }
}
