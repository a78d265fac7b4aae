//! A mesh that is cut in two while certificates are ordered.

use std::time::Duration;

use super::stage::Stage;
use crate::support::network::Network;
use crate::support::patience::{PATIENCE, eventually, so};

/// The side of one node, and the side of two.
const ONE: [usize; 1] = [0];
const OTHER: [usize; 2] = [1, 2];
/// Longer than the issuer takes to notice that something is to be done.
const QUIET: Duration = Duration::from_secs(5);

#[test]
fn each_side_of_a_cut_orders_once_and_one_certificate_stays() {
    let Some(network) = Network::build(3) else {
        return;
    };
    let Some(stage) = Stage::set_in(&network) else {
        return;
    };
    let name = "a.radio.example";
    network.part((&ONE, &OTHER));
    stage.mesh.wait_agreed_among(&ONE);
    stage.mesh.wait_agreed_among(&OTHER);
    // Each side has an operator, and the name leads to one side after the other.
    stage.enable_at(0, name);
    let one = stage.wait_valid(0, name);
    stage.dns.lead(name, network.site(1).ip);
    stage.enable_at(1, name);
    let other = stage.wait_valid(1, name);
    assert_ne!(one, other);
    assert_eq!(stage.pebble.issued(), 2);

    network.join((&ONE, &OTHER));
    stage.mesh.wait_agreed();
    let serials = || (0..3).map(|index| stage.wait_valid(index, name));
    eventually(PATIENCE, "all use the same certificate", || {
        let serials: Vec<String> = serials().collect();
        so(
            serials.iter().all(|it| *it == serials[0]),
            format!("{serials:?}"),
        )
    });
    let since = std::time::Instant::now();
    eventually(PATIENCE, "nobody orders again", || {
        assert_eq!(stage.pebble.issued(), 2);
        so(since.elapsed() > QUIET, "not for long")
    });
}
