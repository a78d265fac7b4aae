//! A node that is told to join somebody who is not there.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use super::wire::{Wire, listener, source};
use super::{MOUNT, PASSWORD, is_on_air, wait_status};
use crate::support::node::{Setup, TestNode, new_secret};
use crate::support::patience::PATIENCE;

/// How many tries of a node are watched: enough to see that it waits longer between the later ones.
const TRIES: usize = 5;

/// The times of a node's tries to reach this socket: each try is a QUIC connection with an id of its own.
fn watch_tries(socket: &UdpSocket) -> Vec<Instant> {
    let mut tries = BTreeMap::new();
    let mut datagram = [0; 2_048];
    let limited = socket.set_read_timeout(Some(PATIENCE));
    limited.expect("a timeout can be set");
    while tries.len() < TRIES {
        let bytes = socket.recv(&mut datagram).expect("the node tries again");
        assert!(bytes >= 1_200 && datagram[0] & 0x80 != 0, "a QUIC Initial");
        let length = usize::from(datagram[5]);
        let id = datagram[6..6 + length].to_vec();
        tries.entry(id).or_insert_with(Instant::now);
    }
    let mut times: Vec<Instant> = tries.into_values().collect();
    times.sort();
    times
}

#[test]
fn a_node_told_to_join_nobody_serves_alone_and_joins_when_somebody_comes() {
    let secret = new_secret();
    let mut peer = Setup::named("peer").secret(&secret).start();
    peer.kill9();
    let silent = UdpSocket::bind(peer.address()).expect("its port is free now");
    let lonely = Setup::named("lonely")
        .secret(&secret)
        .join(&peer.address())
        .start();
    let tries = thread::scope(|scope| {
        let watching = scope.spawn(|| watch_tries(&silent));
        serves_alone(&lonely);
        watching.join().expect("it saw enough tries")
    });
    let gaps: Vec<Duration> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps[TRIES - 2] > gaps[0],
        "it waits longer each time: {gaps:?}"
    );
    assert!(
        gaps[TRIES - 2] < Duration::from_secs(8),
        "and never too long: {gaps:?}"
    );
    drop(silent);

    peer.restart();
    for (node, other) in [(&lonely, &peer), (&peer, &lonely)] {
        wait_status(node, "two nodes, one master, one document", |status| {
            let master = other.status().master;
            let alive = node.alive() == ["lonely", "peer"];
            alive && master.is_some() && status.master == master && node.mounts() == [MOUNT]
        });
    }
}

/// What a single node does for its radio.
fn serves_alone(node: &TestNode) {
    node.create_mount(MOUNT, PASSWORD);
    let mut encoder = source(node, (MOUNT, PASSWORD), "application/octet-stream");
    encoder.say([7; 10_000]);
    wait_status(node, "the mount is on air", is_on_air);
    let mut entering = Wire::to(node);
    entering.say(format!("GET {MOUNT} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(entering.head().status, 200);
    assert_eq!(listener(node, MOUNT).hear(10_000), [7; 10_000]);
}
