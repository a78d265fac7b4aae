//! Operators see the listeners of all nodes from any of them, and end one wherever it is.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use antiphon::model::listener::{ListedListener, ListenerList};
use antiphon::model::status::NodeState;
use rustix::process::Signal;

use crate::support::http::{self, Connection};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::rush::{End, Rush};
use crate::support::source::KnownSource;
use crate::support::tool::complaint;

const RADIO: &str = "/radio.mp3";
const OTHER: &str = "/other.mp3";
const PASSWORD: &str = "hackme-not";
/// The listeners of the great list: several pages of each node.
const MANY: usize = 2_000;
/// The room of each node: two with just enough room for all of them refuse one now and then.
const ROOM: &str = "2000";
/// Within which they come.
const WITHIN: Duration = Duration::from_secs(5);
/// Within which they have come, or are gone again, on a busy machine.
const RUSH_LIMIT: Duration = Duration::from_secs(60);
/// How long a node that does not answer may delay the list, on a busy machine.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// A mesh with a source at its first node, and a mount without one.
fn on_air(nodes: usize) -> (TestMesh, KnownSource) {
    let mesh = TestMesh::start_with(nodes, |_, setup| setup.with(&["--max-listeners", ROOM]));
    mesh.create_mount(RADIO, PASSWORD);
    mesh.create_mount(OTHER, PASSWORD);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    (mesh, source)
}

/// The address at which a node itself serves the radio.
fn at(node: &TestNode) -> String {
    format!("{}/_stream/n1{RADIO}", node.url())
}

/// The listeners of all nodes, as this one lists them to programs.
fn listed(node: &TestNode, arguments: &[&str]) -> ListenerList {
    let json = [arguments, &["--json"]].concat();
    serde_json::from_str(&done(&node.command("listeners", &json))).unwrap()
}

/// The same, if every node has answered in time: a busy one may not.
fn listed_by_all(node: &TestNode, arguments: &[&str]) -> Result<ListenerList, String> {
    let list = listed(node, arguments);
    so(list.silent.is_empty(), format!("{:?}", list.silent)).map(|()| list)
}

/// The listener whose player has a name that begins so.
fn find(node: &TestNode, agent: &str) -> ListedListener {
    let look = || {
        let listeners = listed(node, &[]).listeners;
        let mut found = listeners
            .iter()
            .filter(|it| it.facts.user_agent.starts_with(agent));
        found.next().cloned().ok_or(format!("{listeners:?}"))
    };
    eventually(PATIENCE, &format!("{agent} is listed"), look).0
}

/// A real player. Dropping it kills it.
struct Program(Child);

impl Program {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn wait_end(&mut self) {
        let look = || so(self.0.try_wait().unwrap().is_some(), "it plays");
        eventually(PATIENCE, "the player has ended", look);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn real_players_are_listed_and_ended_from_another_node() {
    let (mesh, _source) = on_air(3);
    let [first, second, third] = [0, 1, 2].map(|index| &mesh.nodes[index]);
    let mut curl = Program::start("curl", &["-sS", "-N", "-o", "/dev/null", &at(first)]);
    let url = at(second);
    let ffmpeg = ["-nostdin", "-v", "error", "-i", &url, "-f", "null", "-"];
    let _ffmpeg = Program::start("ffmpeg", &ffmpeg);
    let curl_row = find(third, "curl/");
    let ffmpeg_row = find(third, "Lavf/");
    for (row, node) in [(&curl_row, first), (&ffmpeg_row, second)] {
        assert_eq!(
            (row.node.as_str(), row.id.node.as_str()),
            (node.name(), node.name())
        );
        assert_eq!(row.facts.mount.as_str(), RADIO);
        assert_eq!(row.facts.ip.to_string(), "127.0.0.1");
    }
    let look = || {
        let row = find(second, "curl/");
        so(
            row.facts.sent_bytes > 50_000 && row.facts.connected_s > 0,
            format!("{row:?}"),
        )
    };
    eventually(PATIENCE, "its bytes and seconds are counted", look);
    assert_eq!(listed(third, &[RADIO]).listeners.len(), 2);
    assert_eq!(listed(third, &[OTHER]), ListenerList::default());
    let table = done(&third.command("listeners", &[]));
    assert!(
        table.starts_with("ID") && table.lines().count() == 3,
        "{table}"
    );
    assert!(table.contains(&curl_row.id.to_string()), "{table}");

    let id = curl_row.id.to_string();
    let text = done(&third.command("listeners", &["kill", &id]));
    assert_eq!(text, format!("ended {id}\n"));
    curl.wait_end();
    mesh.wait_each_sees(RADIO, "one listener", |mount| mount.listeners == 1);
    let rows = listed(first, &[]).listeners;
    assert_eq!(
        rows.iter().map(|it| &it.id).collect::<Vec<_>>(),
        [&ffmpeg_row.id]
    );
    let log = first.log();
    assert!(
        log.contains("listener gone") && log.contains("why=Killed"),
        "{log}"
    );
    let why = complaint(&third.command("listeners", &["kill", &id]), 1);
    assert!(why.contains(&format!("there is no listener {id}")), "{why}");
}

#[test]
fn a_wrong_mount_or_id_is_told_so() {
    let (mesh, _source) = on_air(1);
    let node = &mesh.nodes[0];
    let fails = |arguments: &[&str], code, why: &str| {
        let said = complaint(&node.command("listeners", arguments), code);
        assert!(said.contains(why), "{arguments:?}: {said}");
    };
    assert_eq!(done(&node.command("listeners", &[])), "no listeners\n");
    fails(&["/raido.mp3"], 1, "there is no mount /raido.mp3");
    fails(&["radio.mp3"], 2, "radio.mp3");
    fails(&["kill", "42"], 2, "such as 42@n1");
    fails(&["kill", "42@n1"], 1, "there is no listener 42@n1");
    fails(&["kill", "42@n9"], 1, "there is no node n9; there are n1");
    fails(
        &["kill", "1@n1", "2@n1"],
        1,
        "2 of 2 listeners were not ended",
    );
    fails(&[RADIO, "kill", "1@n1"], 2, "kill takes ids only");
    for (method, target, status) in [
        ("DELETE", "/api/v1/listeners/x", 400),
        ("DELETE", "/api/v1/listeners/7@n1", 404),
        ("GET", "/api/v1/listeners?mount=radio", 400),
        ("GET", "/api/v1/listeners?mount=%2Fraido.mp3", 404),
        ("POST", "/api/v1/listeners", 405),
    ] {
        let answer = node.api(method, target, "").unwrap();
        assert_eq!(
            answer.head.status,
            status,
            "{method} {target}: {}",
            answer.text()
        );
    }
    let answer = http::get(&node.address(), "/api/v1/listeners").unwrap();
    assert_eq!(answer.head.status, 401);
}

#[test]
fn the_name_of_a_player_is_shown_without_control_characters() {
    let (mesh, _source) = on_air(2);
    let mut connection = Connection::open(&mesh.nodes[0].address()).unwrap();
    let mut request = format!("GET /_stream/n2{RADIO} HTTP/1.1\r\nUser-Agent: ").into_bytes();
    request.extend(b"Evil\x1b[2J\x01\x7f \xc2\x9b31m \xe2\x80\xae1.0\r\n\r\n");
    connection.send(&request).unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
    let row = find(&mesh.nodes[1], "Evil");
    let is_clean = |text: &str| !text.chars().any(|it| it.is_control() || it == '\u{202e}');
    assert!(is_clean(&row.facts.user_agent), "{row:?}");
    let table = done(&mesh.nodes[1].command("listeners", &[]));
    assert!(table.lines().all(is_clean), "{table:?}");
    assert!(table.contains("Evil"), "{table}");
}

#[test]
fn a_silent_node_is_named_without_much_delay() {
    let (mesh, _source) = on_air(2);
    let player = Player::tune_in(&at(&mesh.nodes[0]));
    player.wait_for_more(1_000);
    mesh.nodes[1].freeze();
    let begun = Instant::now();
    let output = mesh.nodes[0].command("listeners", &["--json"]);
    let took = begun.elapsed();
    mesh.nodes[1].signal(Signal::CONT);
    assert!(took < LIST_LIMIT, "{took:?}");
    let list: ListenerList = serde_json::from_str(&done(&output)).unwrap();
    assert_eq!(list.listeners.len(), 1);
    let silent: Vec<&str> = list.silent.iter().map(|it| it.node.as_str()).collect();
    assert_eq!(silent, [mesh.nodes[1].name()]);
    let said = String::from_utf8_lossy(&output.stderr);
    let name = mesh.nodes[1].name();
    assert!(
        said.contains(&format!("the listeners of {name} are missing")),
        "{said}"
    );
}

#[test]
fn a_node_that_has_left_is_not_missing_from_the_list() {
    let (mut mesh, _source) = on_air(2);
    let player = Player::tune_in(&at(&mesh.nodes[0]));
    player.wait_for_more(1_000);
    assert!(mesh.nodes[1].stop().success());
    let (node, left) = (&mesh.nodes[0], mesh.nodes[1].name());
    mesh.wait_state(&[0], left, &[NodeState::Dead]);
    let output = node.command("listeners", &["--json"]);
    let list: ListenerList = serde_json::from_str(&done(&output)).unwrap();
    assert_eq!((list.listeners.len(), list.silent), (1, Vec::new()));
    let why = complaint(&node.command("node", &["drain", left]), 1);
    assert!(why.contains(&format!("{left} has left the mesh")), "{why}");
    let id = format!("1@{left}");
    let why = complaint(&node.command("listeners", &["kill", &id]), 1);
    assert!(why.contains(&format!("there is no listener {id}")), "{why}");
}

#[test]
fn thousands_of_listeners_are_listed_and_drained() {
    let (mesh, _source) = on_air(2);
    mesh.wait_warm(RADIO);
    let doors: Vec<String> = mesh.nodes.iter().map(TestNode::address).collect();
    let rush = Rush::begin(&doors, RADIO, MANY, WITHIN);
    let look = || so(rush.on_the_way() == 0, rush.on_the_way().to_string());
    eventually(RUSH_LIMIT, "all have come", look);
    let stories = rush.stories().into_iter().filter_map(|story| story.end);
    let unserved: Vec<End> = stories.filter(|end| *end != End::Served).collect();
    assert_eq!(unserved, []);
    let (list, _) = eventually(PATIENCE, "all are listed", || {
        let list = listed_by_all(&mesh.nodes[0], &[])?;
        let listed = (list.listeners.len(), list.left_out);
        so(listed == (MANY, 0), format!("{listed:?}")).map(|()| list)
    });
    assert!(list.listeners.is_sorted_by(|one, next| one.id < next.id));
    let at_second = |list: &ListenerList| {
        let name = mesh.nodes[1].name();
        list.listeners
            .iter()
            .filter(|it| it.node.as_str() == name)
            .count()
    };
    println!("{} listen at the second node", at_second(&list));
    assert!(at_second(&list) > MANY / 4);
    let begun = Instant::now();
    let drain = mesh.nodes[0].command("node", &["drain", mesh.nodes[1].name(), "--deadline", "0s"]);
    done(&drain);
    eventually(RUSH_LIMIT, "the second node is empty", || {
        let left = at_second(&listed_by_all(&mesh.nodes[0], &[RADIO])?);
        so(left == 0, format!("{left} are left"))
    });
    let took = begun.elapsed();
    println!("empty after {took:?}");
    assert!(
        took > Duration::from_secs(7),
        "they are ended evenly over ten seconds: {took:?}"
    );
}
