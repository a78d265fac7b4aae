//! A node that is told to join a peer that is missing or refuses it.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use super::wire::{Wire, listener, source};
use super::{MOUNT, PASSWORD, is_on_air, wait_status};
use crate::support::node::{Setup, TestNode, done, new_secret};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::port::free_port;

/// How soon an operator that has just started a node is told why it is alone.
const TOLD_LIMIT: Duration = Duration::from_secs(3);
/// How long a node is watched for lines that it repeats: a dozen tries.
const REPEATS: Duration = Duration::from_secs(5);

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
        if bytes == 1 {
            continue; // it asks whether the port is closed
        }
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
fn a_node_serves_alone_until_its_peers_come() {
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

/// Checks that a single node serves its radio.
fn serves_alone(node: &TestNode) {
    node.create_mount(MOUNT, PASSWORD);
    let mut encoder = source(node, MOUNT, PASSWORD, "application/octet-stream");
    encoder.say([7; 10_000]);
    wait_status(node, "the mount is on air", is_on_air);
    let mut entering = Wire::to(node);
    entering.say(format!("GET {MOUNT} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(entering.head().status, 200);
    assert_eq!(listener(node, MOUNT).hear(10_000), [7; 10_000]);
}

/// The lines of a node's log about a peer that is not reached.
fn lines_about(node: &TestNode, peer: &str) -> Vec<String> {
    let log = node.log();
    let about = log.lines().filter(|line| {
        line.contains("WARN") && line.contains("peer not reached") && line.contains(peer)
    });
    about.map(str::to_owned).collect()
}

/// Waits until a node's log and status say why it has no link to a peer; how long that took.
fn wait_told(node: &TestNode, peer: &str, why: &str) -> Duration {
    let look = || {
        let lines = lines_about(node, peer);
        so(lines.iter().any(|line| line.contains(why)), node.log())?;
        let status = node.try_status().map_err(|error| error.to_string())?;
        let told = status.unreached.iter().find(|it| it.peer == peer);
        so(
            told.is_some_and(|it| it.why.contains(why)),
            format!("{told:?}"),
        )
    };
    eventually(PATIENCE, &format!("it is told of {peer}: {why}"), look).1
}

#[test]
fn the_reason_of_an_unreached_peer_is_logged_once() {
    let secret = new_secret();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let silent = socket.local_addr().expect("it is bound").to_string();
    let closed = format!("127.0.0.1:{}", free_port());
    let stranger = Setup::named("stranger").secret(&new_secret()).start();
    let peers = [
        ("nobody.invalid:8000", "does not resolve"),
        (&closed, "refused"),
        (&silent, "no answer"),
        (&stranger.address(), "does not have the same secret"),
        ("[::1]:8000", "listens on IPv4 only: set listen = \"[::]:"),
        ("192.0.2.1:8000", "listens on 127.0.0.1 only"),
    ];
    let mut setup = Setup::named("lonely").secret(&secret);
    for (peer, _) in peers {
        setup = setup.join(peer);
    }
    let node = setup.start();
    assert!(
        node.log().contains("serving alone until a peer answers"),
        "{}",
        node.log()
    );
    for (peer, why) in peers {
        let told = wait_told(&node, peer, why);
        println!("{peer}: {why}: told after {told:?} more");
        assert!(told <= TOLD_LIMIT, "{told:?}");
    }
    let shown = done(&node.command("status", &[]));
    for (peer, why) in peers {
        let words = format!("lonely does not reach {peer}: ");
        let line = shown.lines().find(|line| line.contains(&words));
        assert!(line.is_some_and(|line| line.contains(why)), "{shown}");
    }
    thread::sleep(REPEATS); // what is not repeated cannot be awaited
    for (peer, _) in peers {
        let lines = lines_about(&node, peer);
        assert!(lines.len() <= 2, "once for a reason: {lines:?}");
    }
    let lines = lines_about(&node, "[::1]:8000");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!node.log().contains("cannot dial"), "{}", node.log());
    drop(socket);
}

#[test]
fn a_peer_that_comes_late_is_not_missed() {
    let secret = new_secret();
    let mut peer = Setup::named("peer").secret(&secret).start();
    let address = peer.address();
    peer.kill9();
    let node = Setup::named("early").secret(&secret).join(&address).start();
    wait_told(&node, &address, "refused");
    peer.restart();
    wait_status(&node, "nobody is missed", |status| {
        status.unreached.is_empty()
    });
    assert!(node.log().contains("peer reached"), "{}", node.log());
}

#[test]
fn a_taken_name_is_reported_with_its_holder() {
    let secret = new_secret();
    let first = Setup::named("n1").secret(&secret).start();
    let mut second = Setup::named("n1")
        .secret(&secret)
        .join(&first.address())
        .launch();
    let ended = second.wait_end(PATIENCE);
    assert_eq!(ended.code(), Some(1));
    let holder = format!("a node named n1 is already running at {}", first.address());
    assert!(second.log().contains(&holder), "{}", second.log());
    assert_eq!(first.alive(), ["n1"], "the first one is not disturbed");
}
