//! Icecast's admin at any node: for the whole mesh or one node, as lists, as pages, and as feeds that go on.

use serde_json::Value;

use crate::support::http::{Connection, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The most feeds of a node at once.
const MAX_FEEDS: usize = 16;

/// A mesh of three with a source at its first node, and a listener at its second.
fn on_air() -> (TestMesh, KnownSource, Player) {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[1].url()));
    player.wait_for_more(1);
    (mesh, source, player)
}

/// An answer to an operator, as text.
fn asked(node: &TestNode, target: &str) -> String {
    node.api("GET", target, "").unwrap().text()
}

/// Waits until an operator is answered with these words.
fn wait_asked(node: &TestNode, target: &str, words: &str) -> String {
    let look = || {
        let text = asked(node, target);
        so(text.contains(words), &text).map(|()| text)
    };
    eventually(PATIENCE, &format!("{words} at {target}"), look).0
}

/// A feed behind the head of its answer, which has this status.
fn feed(node: &TestNode, request: &str) -> (u16, Connection) {
    let (token, mut connection) = (node.token(), node.connect());
    connection
        .send(format!(
            "{request} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
        .unwrap();
    (connection.head().unwrap().status, connection)
}

/// Reads a feed until it has said this.
fn wait_said(feed: &mut Connection, words: &str) -> String {
    let mut said = String::new();
    while !said.contains(words) {
        let more = feed.some(4_096).unwrap();
        assert!(!more.is_empty(), "ended without {words:?}: {said}");
        said += &String::from_utf8_lossy(&more);
    }
    said
}

fn set_title(node: &TestNode, title: &str) {
    let target = format!("/admin/metadata?mode=updinfo&mount={RADIO}&song={title}");
    assert_eq!(node.api("GET", &target, "").unwrap().head.status, 200);
}

#[test]
fn any_node_answers_for_the_mesh_and_for_each_node() {
    let (mesh, _source, _player) = on_air();
    let third = &mesh.nodes[2];
    wait_asked(third, "/admin/stats", "<listeners>1</listeners>");
    let at = |node: &str| asked(third, &format!("/admin/stats?node={node}"));
    let second = wait_asked(third, "/admin/stats?node=n2", "<listeners>1</listeners>");
    assert!(second.contains("<sources>0</sources>"), "{second}");
    assert!(!second.contains("listener_peak"), "the mesh's: {second}");
    let first = at("n1");
    assert!(first.contains("<sources>1</sources>"), "{first}");
    assert!(first.contains("<listeners>0</listeners>"), "{first}");
    let mounts = |node| asked(third, &format!("/admin/listmounts?node={node}"));
    assert!(mounts("n2").contains("<listeners>1</listeners>"));
    assert!(mounts("n1").contains("<listeners>0</listeners>"));
    let json: Value = serde_json::from_str(&asked(third, "/admin/stats.json?node=n2")).unwrap();
    assert_eq!(json["icestats"]["source"]["listeners"], 1);
    for list in ["stats", "listmounts"] {
        let unknown = asked(third, &format!("/admin/{list}?node=n9"));
        assert!(unknown.contains("the name of a node"), "{unknown}");
    }
}

#[test]
fn icecasts_pages_show_what_anybody_may_know() {
    let (mesh, _source, _player) = on_air();
    mesh.nodes[0].create_mount_with("/secret.mp3", PASSWORD, r#""hidden": true"#);
    let _hidden = KnownSource::start(&mesh.nodes[0], "/secret.mp3", PASSWORD);
    set_title(&mesh.nodes[0], "Quiet%2C%20%3Cb%3E");
    let (third, address) = (&mesh.nodes[2], mesh.nodes[2].address());
    let shown = |target: &str, words: &str| {
        let look = || {
            let text = get(&address, target).unwrap().text();
            so(text.contains(words), &text).map(|()| text)
        };
        eventually(PATIENCE, &format!("{words} at {target}"), look).0
    };
    wait_asked(third, "/admin/stats", "/secret.mp3");
    let page = shown("/status.xsl", "Quiet, &lt;b&gt;");
    assert!(page.contains("Mount Point /radio.mp3"), "{page}");
    assert!(!page.contains("secret"), "{page}");
    let most = format!("/7.xsl?mount={RADIO}");
    shown(&most, "\n1,1,1,unlimited,1,128,Quiet, &lt;b&gt;");
    let seven = shown(
        "/7.html",
        "<body>1,1,1,unlimited,1,128,Quiet, &lt;b&gt;</body>",
    );
    assert!(!seven.contains("secret"));
    let hidden = get(&address, "/7.xsl?mount=/secret.mp3").unwrap();
    assert_eq!(hidden.head.status, 404);
    let public = shown("/admin/publicstats", "<source mount=\"/radio.mp3\">");
    assert!(!public.contains("secret") && !public.contains("<clients>"));
    let list = get(
        &address,
        "/admin/buildm3u?mount=/radio.mp3&username=a%3Ab&password=%0d%0ax",
    );
    let list = list.unwrap().text();
    assert_eq!(
        list,
        format!("http://a%3Ab:%0D%0Ax@{address}/radio.mp3\r\n")
    );
    let form = asked(third, "/admin/updatemetadata?mount=/radio.mp3");
    assert!(form.contains("<source mount=\"/radio.mp3\">"), "{form}");
    let unknown = third.api("GET", "/admin/none", "").unwrap();
    assert_eq!(unknown.head.status, 400);
    assert!(unknown.text().contains("Unrecognised command"));
    assert_eq!(get(&address, "/admin/none").unwrap().head.status, 401);
}

#[test]
fn feeds_tell_of_all_nodes_what_changes() {
    let (mut mesh, source, player) = on_air();
    let third = &mesh.nodes[2];
    let (status, mut stats) = feed(third, "STATS /");
    assert_eq!(status, 200);
    let all = wait_said(&mut stats, "EVENT /radio.mp3 listenurl");
    assert!(all.starts_with("EVENT global admin "), "{all}");
    let (status, mut events) = feed(third, "GET /admin/eventfeed");
    assert_eq!(status, 200);
    set_title(&mesh.nodes[0], "New");
    wait_said(&mut stats, "EVENT /radio.mp3 title New\n");
    let told = wait_said(&mut events, "\r\n\r\n");
    let data = told.lines().find_map(|line| line.strip_prefix("data: "));
    let event: Value = serde_json::from_str(data.unwrap()).unwrap();
    assert_eq!(event["type"], "event");
    assert_eq!(event["mount"], RADIO);
    assert_eq!(event["crude"]["trigger"], "format-metadata-changed");
    drop(player);
    wait_said(&mut stats, "EVENT /radio.mp3 listeners 0\n");
    wait_said(&mut events, "source-listeners-changed");
    drop(source);
    wait_said(&mut stats, "EVENT /radio.mp3 null null\n");
    wait_said(&mut events, "source-disconnect");
    let refused = get(&third.address(), "/admin/eventfeed").unwrap();
    assert_eq!(refused.head.status, 401);
    // The node does not wait for who listens to a feed.
    assert!(mesh.nodes[2].stop().success());
}

#[test]
fn a_node_has_room_for_some_feeds_and_gets_it_back() {
    let mesh = TestMesh::start(1);
    let node = &mesh.nodes[0];
    let feeds: Vec<_> = (0..MAX_FEEDS).map(|_| feed(node, "STATS /")).collect();
    assert!(feeds.iter().all(|(status, _)| *status == 200));
    assert_eq!(feed(node, "GET /admin/eventfeed").0, 503);
    drop(feeds);
    let look = || so(feed(node, "STATS /").0 == 200, "full");
    eventually(2 * PATIENCE, "room for a feed again", look);
}
