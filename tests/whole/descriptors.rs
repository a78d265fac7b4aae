//! A node with few descriptors offers what it can serve, and says no to the others while it can.

use std::fs;
use std::time::Duration;

use crate::support::http::{self, Connection};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const OTHER: &str = "/other.mp3";
const PASSWORD: &str = "hackme-not";
/// The limit of some shells and containers.
const OPEN_FILES: u32 = 256;
/// The number of clients: more than there are descriptors.
const COMING: usize = 300;
/// After so long a node answers probes again that was filled by connections that say nothing.
const ANSWERS_AGAIN: Duration = Duration::from_secs(8);

fn listen(node: &TestNode) -> (Connection, u16) {
    let mut connection = node.connect();
    let request = format!("GET {RADIO} HTTP/1.1\r\nHost: h\r\n\r\n");
    connection.send(request).unwrap();
    let head = connection.head().unwrap();
    if head.status == 503 {
        let body = connection.body(&head).unwrap();
        assert!(!body.is_empty(), "it says why");
        assert!(head.header("retry-after").is_some(), "{head:?}");
    }
    (connection, head.status)
}

fn probe(node: &TestNode) -> Result<(), String> {
    for target in ["/livez", "/readyz"] {
        let answer = http::get(&node.address(), target).map_err(|error| error.to_string())?;
        so(
            answer.head.status == 200,
            format!("{target}: {:?}", answer.head),
        )?;
    }
    Ok(())
}

#[test]
fn few_descriptors_lower_the_offered_capacity() {
    let node = Setup::named("n1").open_files(OPEN_FILES).start();
    assert!(
        node.log()
            .contains("the limit of open files is too low for max_listeners")
    );
    for mount in [RADIO, OTHER] {
        node.create_mount(mount, PASSWORD);
    }
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let offered = node.opinion_of("n1").unwrap().max_listeners;
    assert!(
        (100..OPEN_FILES).contains(&offered),
        "{offered} places offered"
    );

    let (mut listeners, mut refused) = (Vec::new(), 0);
    for number in 0..COMING {
        match listen(&node) {
            (connection, 200) => listeners.push(connection),
            (_, status) => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
        if number % 20 == 0 {
            probe(&node).unwrap();
        }
    }
    let open = fs::read_dir(format!("/proc/{}/fd", node.pid()))
        .unwrap()
        .count();
    println!(
        "{OPEN_FILES} descriptors: {offered} places offered, {} taken, {refused} refused with 503, {open} open",
        listeners.len()
    );
    assert_eq!(
        listeners.len(),
        offered as usize,
        "what is offered is served"
    );
    probe(&node).unwrap();
    let _another = KnownSource::start(&node, OTHER, PASSWORD);
    for listener in &mut listeners {
        assert!(!listener.some(1).unwrap().is_empty(), "it hears on");
    }
}

#[test]
fn silent_connections_beyond_the_limit_are_refused() {
    let node = Setup::named("n1").open_files(OPEN_FILES).start();
    node.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let mut silent: Vec<Connection> = (0..COMING).map(|_| node.connect()).collect();
    let last = silent.last_mut().unwrap();
    let head = last.head().unwrap();
    assert_eq!(head.status, 503);
    let body = last.body(&head).unwrap();
    let why = String::from_utf8_lossy(&body).into_owned();
    assert!(why.contains("as many connections as it can take"), "{why}");
    let told = || {
        node.log()
            .matches("connections turned away with 503")
            .count()
    };
    assert!((1..=2).contains(&told()), "{} lines for all", told());
    let (_, after) = eventually(ANSWERS_AGAIN, "probes are answered", || probe(&node));
    println!("{COMING} say nothing: probes are answered again after {after:?}");
    drop(silent);
    eventually(PATIENCE, "listeners are served again", || {
        let (_, status) = listen(&node);
        so(status == 200, status)
    });
}
