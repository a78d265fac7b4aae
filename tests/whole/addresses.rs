//! Nodes whose public address leads elsewhere, or is not reached by all: no listener is lost there for long.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use antiphon::model::status::NodeState;

use crate::support::http::{Connection, ask, get};
use crate::support::mesh::TestMesh;
use crate::support::network::Network;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::ask_for_stream;
use crate::support::port::free_port;
use crate::support::relay_page::RelayPage;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The line of a node about another one that listeners do not get to.
const WARNING: &str = "listeners do not get to a node";

/// Listeners that come one after the other, each a moment after the last, by the first two nodes in turn. Returns those
/// that were lost, and the connections of the others.
fn come(mesh: &TestMesh, listeners: usize) -> (Vec<String>, Vec<Connection>) {
    let (mut lost, mut served) = (Vec::new(), Vec::new());
    for index in 0..listeners {
        let (mut url, mut sent) = (format!("{}{RADIO}", mesh.nodes[index % 2].url()), false);
        loop {
            match ask_for_stream(&url) {
                Ok((_, head)) if head.status == 302 && !sent => {
                    head.location().clone_into(&mut url);
                    sent = true;
                }
                Ok((connection, head)) if head.header("icy-name") == Some("Known") => {
                    served.push(connection);
                    break;
                }
                Ok(_) | Err(_) => {
                    lost.push(url);
                    break;
                }
            }
        }
        // They come over six seconds: longer than a listener that was sent is waited for.
        thread::sleep(Duration::from_millis(150));
    }
    (lost, served)
}

fn count(node: &TestNode, words: &str) -> usize {
    node.log().matches(words).count()
}

/// Waits until every node knows, and shows in each place, that no listener gets to n3.
fn wait_told(mesh: &TestMesh) {
    for node in &mesh.nodes {
        let look = || {
            let trouble = node.opinion_of("n3").and_then(|it| it.address_trouble);
            so(trouble.is_some(), "no word about its address")
        };
        eventually(PATIENCE, &format!("{} knows of n3", node.name()), look);
        let page = get(&node.address(), "/?part=mesh").unwrap().text();
        assert!(page.contains("Listeners do not get to"), "{page}");
        let shown = done(&node.command("status", &[]));
        assert!(shown.contains("n3: listeners do not get to"), "{shown}");
    }
    for node in &mesh.nodes[..2] {
        assert_eq!(count(node, WARNING), 1, "{}: once", node.name());
    }
    let own = &mesh.nodes[2];
    assert_eq!(count(own, "listeners who are sent here are lost"), 1);
}

/// A mesh of three whose last node announces this address, and forty listeners.
fn try_with(what: &str, public_url: &str) {
    let mesh = TestMesh::start_with(3, |index, setup| match index {
        2 => setup.with(&["--public-url", public_url]),
        _ => setup,
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let (lost, served) = come(&mesh, 40);
    println!(
        "{what} in n3's address: of 40 listeners {} were lost",
        lost.len()
    );
    assert!(lost.len() <= 5, "{lost:?}");
    assert_eq!(lost.len() + served.len(), 40);
    wait_told(&mesh);
}

#[test]
fn a_foreign_host_as_address_loses_few_listeners() {
    let foreign = RelayPage::answering("<html>somebody else's</html>");
    try_with("a foreign host", &foreign.url());
}

#[test]
fn a_closed_port_as_address_loses_few_listeners() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    try_with("a closed port", &format!("http://{closed}"));
}

#[test]
fn two_nodes_with_one_address_are_both_named() {
    let mut mesh = TestMesh::start_with(1, |_, setup| setup.with(&["--max-listeners", "50"]));
    let setup = mesh.next_setup().join(&mesh.nodes[0].address());
    mesh.nodes
        .push(setup.with(&["--max-listeners", "100"]).start());
    let setup = mesh.next_setup().join(&mesh.nodes[0].address());
    let same = mesh.nodes[0].url();
    mesh.nodes
        .push(setup.with(&["--public-url", &same]).start());
    mesh.wait_agreed();
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    for node in &mesh.nodes {
        let look = || {
            let log = node.log();
            let said = log.contains("several nodes announce one public address");
            so(said && log.contains("n1, n3"), "it says nothing")
        };
        eventually(PATIENCE, &format!("{} names both", node.name()), look);
        let trouble = |name: &str| node.opinion_of(name).and_then(|it| it.address_trouble);
        assert!(
            trouble("n1")
                .unwrap()
                .contains("n3 announces the same address")
        );
        assert!(
            trouble("n3")
                .unwrap()
                .contains("n1 announces the same address")
        );
        assert_eq!(trouble("n2"), None);
    }
    wait_told(&mesh);
    let url = |index: usize| format!("{}{RADIO}", mesh.nodes[index % 2].url());
    let mut players = Vec::new();
    let mut refused = 0;
    for index in 0..90 {
        let (connection, head) = ask_for_stream(&url(index)).unwrap();
        let answer = match head.status {
            302 => ask_for_stream(head.location()).unwrap(),
            _ => (connection, head),
        };
        refused += usize::from(answer.1.status != 200);
        players.push(answer.0);
    }
    println!("two nodes with one address: {refused} of 90 listeners were refused");
    assert_eq!(refused, 0);
}

#[test]
fn a_node_proves_its_address_and_says_so() {
    let mesh = TestMesh::start(2);
    for node in &mesh.nodes {
        let look = || {
            so(
                node.log()
                    .contains("asked for this one at its public address, and found it"),
                "not yet",
            )
        };
        eventually(PATIENCE, &format!("{} is found", node.name()), look);
        assert_eq!(node.opinion_of("n1").unwrap().address_trouble, None);
    }
    let asked = get(
        &mesh.nodes[0].address(),
        "/livez?nonce=00112233445566778899aabbccddeeff",
    )
    .unwrap();
    assert!(asked.text().starts_with("ok\nn1 "), "{}", asked.text());
    let plain = get(&mesh.nodes[0].address(), "/livez?nonce=zz").unwrap();
    assert_eq!(plain.text(), "ok\n");
}

#[test]
fn listeners_are_sent_to_their_own_address_family() {
    let port = free_port();
    let by_name = format!("http://localhost:{port}");
    let mesh = TestMesh::start_with(3, |index, setup| match index {
        0 => setup.with(&["--trusted-proxies", "127.0.0.1"]),
        1 => setup,
        _ => setup.port(port).with(&["--public-url", &by_name]),
    });
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, "\"policy\": \"not_tag(n1),water\"");
    mesh.wait_for_mount(RADIO);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let front = &mesh.nodes[0];
    let sent = |client: &str| {
        let head = format!("GET {RADIO} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n");
        ask(&front.address(), &head)
            .unwrap()
            .head
            .location()
            .to_owned()
    };
    let by_v4 = mesh.nodes[1].url();
    let look = || {
        so(
            (0..8).any(|_| sent("192.0.2.7").starts_with(&by_v4)),
            "to the name only",
        )
    };
    eventually(PATIENCE, "listeners of IPv4 are sent to both", look);
    for _ in 0..20 {
        let location = sent("2001:db8::7");
        assert!(location.starts_with(&by_name), "{location}");
    }
    let resting = front
        .api("PATCH", "/api/v1/nodes/n3", r#"{"maintenance":"on"}"#)
        .unwrap();
    assert_eq!(resting.head.status, 200);
    let look = || {
        let location = sent("2001:db8::7");
        so(location.starts_with(&by_v4), location)
    };
    eventually(PATIENCE, "the other family is the last resort", look);
}

#[test]
fn a_node_heard_through_others_is_not_suspect() {
    let Some(network) = Network::build(3) else {
        return;
    };
    let mesh = TestMesh::start_with(3, |index, setup| setup.inside(network.site(index)));
    network.cut(0, 1);
    network.cut(1, 0);
    mesh.wait_state(&[0], "n2", &[NodeState::Unlinked]);
    mesh.wait_state(&[1], "n1", &[NodeState::Unlinked]);
    let shown = done(&mesh.nodes[0].command("status", &[]));
    assert!(shown.contains("no direct link"), "{shown}");
    assert_eq!(mesh.nodes[2].alive(), ["n1", "n2", "n3"]);
    network.heal(0, 1);
    network.heal(1, 0);
    mesh.wait_agreed();
    drop((mesh, network));
}
