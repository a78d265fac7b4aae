//! Several sources wait for one mount: the one with the best priority that sends is heard, at whichever nodes they are.

use antiphon::model::fitness::SourceFitness;

use crate::support::encoder::{Encoder, Target};
use crate::support::http::{self, Connection};
use crate::support::junk::{Junk, JunkSource};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::Received;
use crate::support::source::knock_as;
use crate::support::tape::Tape;
use crate::support::tool::complaint;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
const SECOND_PASSWORD: &str = "hackme-later";
/// The numbers of the first frames of the three sources: no source of a test gets from one to the next.
const FIRST: [u64; 3] = [0, 1_000_000, 2_000_000];
/// The user of the last of them.
const NIGHT: &str = "source--priority=3";
/// How many frames are heard of a source before the next one comes: 1.3 s.
const HEARD: u64 = 50;

/// Three nodes with a mount at which sources wait for each other.
fn mesh() -> TestMesh {
    let mesh = TestMesh::start(3);
    let more = format!(r#""standby": true, "standby_password": "{SECOND_PASSWORD}""#);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, &more);
    mesh.wait_for_mount(RADIO);
    mesh
}

/// A source that logs in so at a node.
fn source(node: &TestNode, user: &str, password: &str, first: u64) -> Encoder {
    Encoder::start(Target {
        user: user.to_owned(),
        first,
        ..Target::of(vec![node.address()], RADIO, password)
    })
}

fn listeners(mesh: &TestMesh) -> Vec<Player> {
    let url = |node: &TestNode| format!("{}/_stream/n1{RADIO}", node.url());
    let nodes = mesh.nodes.iter();
    nodes.map(|node| Player::tune_in(&url(node))).collect()
}

fn runs(player: &Player) -> Vec<Received> {
    let mut tape = Tape::default();
    tape.take(&player.bytes());
    assert_eq!(
        tape.flaws().foreign_bytes,
        0,
        "{}: pieces of frames",
        player.url
    );
    tape.runs().to_vec()
}

/// Waits until all of them hear the source whose frames begin at this number.
fn wait_hears(players: &[Player], first: u64) {
    for player in players {
        let look = || {
            assert!(!player.is_closed(), "{} was ended", player.url);
            let last = runs(player).last().copied();
            let is_right = |run: Received| {
                (first..first + FIRST[1]).contains(&run.first) && run.next - run.first >= HEARD
            };
            so(last.is_some_and(is_right), format!("{last:?}"))
        };
        eventually(PATIENCE, &format!("{} hears {first}", player.url), look);
    }
}

/// Waits until sources wait at these nodes, and send.
fn wait_standby(mesh: &TestMesh, nodes: &[&str]) {
    mesh.wait_each_sees(RADIO, "those that wait and send", |mount| {
        let mut sending: Vec<&str> = mount
            .waiting
            .iter()
            .filter(|it| it.sends)
            .map(|it| it.node.as_str())
            .collect();
        sending.sort_unstable();
        sending == nodes
    });
}

fn wait_connected(mesh: &TestMesh, nodes: &[&str]) {
    mesh.wait_each_sees(RADIO, "those that wait", |mount| {
        mount
            .standby
            .iter()
            .map(|it| it.as_str())
            .eq(nodes.iter().copied())
    });
}

#[test]
fn each_source_that_waits_at_a_node_is_listed() {
    let mesh = mesh();
    let _heard = source(&mesh.nodes[0], "source", PASSWORD, FIRST[0]);
    mesh.wait_on_air(RADIO);
    // More than one node tells of.
    let waiting: Vec<_> = (2..=9)
        .chain([9; 2])
        .map(|priority| {
            let user = format!("source--priority={priority}");
            source(&mesh.nodes[1], &user, PASSWORD, FIRST[1])
        })
        .collect();
    wait_standby(&mesh, &["n2"; 8]);
    mesh.wait_each_sees(RADIO, "two more", |mount| mount.waiting_untold == 2);
    let listed = mesh.nodes[2].command("mount", &["sources", RADIO]);
    let listed = crate::support::node::done(&listed);
    let rows = listed.lines().filter(|row| row.contains("standby"));
    let mut expected: Vec<String> = (2..=9)
        .map(|priority| format!("on standby at n2, priority {priority}  waits"))
        .collect();
    expected.push("2 more on standby".to_owned());
    for (row, expected) in rows.clone().zip(&expected) {
        let words: Vec<&str> = row.split_whitespace().collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert!(words.join(" ").starts_with(&expected.join(" ")), "{listed}");
    }
    assert_eq!(rows.count(), expected.len(), "{listed}");
    drop(waiting);
    mesh.wait_each_sees(RADIO, "none waits", |mount| {
        mount.waiting.is_empty() && mount.waiting_untold == 0
    });
}

#[test]
fn the_source_with_the_best_priority_is_heard() {
    let mesh = mesh();
    let auto = source(&mesh.nodes[0], "source", SECOND_PASSWORD, FIRST[1]);
    mesh.wait_on_air(RADIO);
    let players = listeners(&mesh);
    wait_hears(&players, FIRST[1]);
    let _night = source(&mesh.nodes[1], "source--priority=3", PASSWORD, FIRST[2]);
    wait_standby(&mesh, &["n2"]);
    // The studio has the better priority, and is heard as soon as it sends.
    let studio = source(&mesh.nodes[2], "source", PASSWORD, FIRST[0]);
    wait_hears(&players, FIRST[0]);
    wait_standby(&mesh, &["n1", "n2"]);
    let listed = mesh.nodes[1].command("mount", &["sources", RADIO]);
    let listed = crate::support::node::done(&listed);
    for row in [
        "on standby at n1, priority 2",
        "on standby at n2, priority 3",
    ] {
        assert!(listed.contains(row), "{listed}");
    }
    // Behind it comes the second, not the third, however long that one has waited.
    drop(studio);
    wait_hears(&players, FIRST[1]);
    wait_standby(&mesh, &["n2"]);
    drop(auto);
    wait_hears(&players, FIRST[2]);
    let auto = source(
        &mesh.nodes[2],
        "source--priority-2",
        PASSWORD,
        FIRST[1] + FIRST[1] / 2,
    );
    wait_hears(&players, FIRST[1]);
    drop(auto);
    for player in &players {
        let firsts: Vec<u64> = runs(player)
            .iter()
            .map(|run| run.first / FIRST[1])
            .collect();
        assert_eq!(
            firsts[..5],
            [1, 0, 1, 2, 1],
            "{}: {:?}",
            player.url,
            runs(player)
        );
    }
}

#[test]
fn a_better_source_that_sends_nothing_takes_no_place() {
    let mesh = mesh();
    let _auto = source(&mesh.nodes[0], "source", SECOND_PASSWORD, FIRST[1]);
    mesh.wait_on_air(RADIO);
    let players = listeners(&mesh);
    let silent: (Connection, _) =
        knock_as(&mesh.nodes[1].address(), RADIO, "source", PASSWORD).unwrap();
    assert_eq!(silent.1.status, 200);
    wait_connected(&mesh, &["n2"]);
    // It is closed in the end, and nobody has noticed.
    wait_connected(&mesh, &[]);
    wait_hears(&players, FIRST[1]);
    for player in &players {
        assert_eq!(runs(player).len(), 1, "{}", player.url);
    }
}

/// Waits until all nodes see a source wait, and why.
fn wait_unfit(mesh: &TestMesh, fitness: SourceFitness) {
    mesh.wait_each_sees(RADIO, "why it waits", |mount| {
        mount.waiting.iter().any(|it| it.fitness == fitness)
    });
}

#[test]
fn a_better_source_without_known_audio_takes_no_place() {
    let mesh = mesh();
    let auto = source(&mesh.nodes[0], "source--priority=5", PASSWORD, FIRST[1]);
    mesh.wait_on_air(RADIO);
    let players = listeners(&mesh);
    wait_hears(&players, FIRST[1]);
    for junk in [Junk::Page, Junk::Samples] {
        let _junk = JunkSource::start(&mesh.nodes[1], RADIO, "source", PASSWORD, junk);
        wait_unfit(&mesh, SourceFitness::Unknown);
        for player in &players {
            player.wait_for_more(48_000);
        }
    }
    for player in &players {
        assert_eq!(runs(player).len(), 1, "{}", player.url);
    }
    // It gets no free place either while one waits that is audio.
    let _junk = JunkSource::start(&mesh.nodes[1], RADIO, "source", PASSWORD, Junk::Page);
    wait_unfit(&mesh, SourceFitness::Unknown);
    let _night = source(&mesh.nodes[2], "source--priority=9", PASSWORD, FIRST[2]);
    wait_standby(&mesh, &["n3"]);
    drop(auto);
    wait_hears(&players, FIRST[2]);
}

#[test]
fn a_better_source_of_another_format_waits() {
    let mesh = mesh();
    let _auto = source(&mesh.nodes[0], "source--priority=5", PASSWORD, FIRST[1]);
    mesh.wait_on_air(RADIO);
    let players = listeners(&mesh);
    wait_hears(&players, FIRST[1]);
    let _aac = JunkSource::start(&mesh.nodes[1], RADIO, "source", PASSWORD, Junk::Aac);
    wait_unfit(&mesh, SourceFitness::OtherFormat);
    let listed = mesh.nodes[2].command("mount", &["sources", RADIO]);
    let listed = crate::support::node::done(&listed);
    let row = "waits, because listeners could not go on with its format";
    assert!(listed.contains(row), "{listed}");
    assert!(
        mesh.nodes[1]
            .log()
            .contains("another format than listeners hear")
    );
    for player in &players {
        player.wait_for_more(48_000);
        assert_eq!(runs(player).len(), 1, "{}", player.url);
    }
    // One of the same format is not kept by it from its turn.
    let _studio = source(&mesh.nodes[2], "source--priority=2", PASSWORD, FIRST[0]);
    wait_hears(&players, FIRST[0]);
}

#[test]
fn a_worse_source_is_refused_where_none_waits() {
    let mesh = TestMesh::start(2);
    let more = format!(r#""takeover": "takeover", "standby_password": "{SECOND_PASSWORD}""#);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, &more);
    mesh.wait_for_mount(RADIO);
    let _studio = source(&mesh.nodes[0], "source", PASSWORD, FIRST[0]);
    mesh.wait_on_air(RADIO);
    let (_, head) = knock_as(&mesh.nodes[1].address(), RADIO, "source", SECOND_PASSWORD).unwrap();
    assert_eq!(head.status, 403, "{head:?}");
    let (_, head) = knock_as(&mesh.nodes[1].address(), RADIO, "source", "hackme-never").unwrap();
    assert_eq!(head.status, 401, "{head:?}");
    let (_, head) = knock_as(
        &mesh.nodes[1].address(),
        RADIO,
        "source--priority=0",
        PASSWORD,
    )
    .unwrap();
    assert_eq!(head.status, 401, "{head:?}");
}

#[test]
fn titles_of_a_source_that_waits_are_not_shown() {
    let mesh = mesh();
    let studio = source(&mesh.nodes[0], "source", PASSWORD, FIRST[0]);
    mesh.wait_on_air(RADIO);
    let auto = source(&mesh.nodes[1], "source", SECOND_PASSWORD, FIRST[1]);
    let _night = source(&mesh.nodes[1], NIGHT, PASSWORD, FIRST[2]);
    wait_standby(&mesh, &["n2", "n2"]);
    let tell_as = |user: &str, node: &TestNode, password: &str, song: &str| {
        let target = format!("/admin/metadata?mode=updinfo&mount={RADIO}&song={song}");
        let answer = http::get_as(&node.address(), &target, user, password).unwrap();
        assert_eq!(answer.head.status, 200, "{}", answer.text());
    };
    let tell = |node, password, song| tell_as("source", node, password, song);
    let [_, second, third] = &mesh.nodes[..] else {
        panic!("three nodes")
    };
    tell(second, PASSWORD, "Live");
    mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == "Live");
    tell(third, SECOND_PASSWORD, "Auto");
    tell(second, SECOND_PASSWORD, "Kept");
    tell_as(NIGHT, second, PASSWORD, "Night");
    tell(third, PASSWORD, "Later");
    mesh.wait_each_sees(RADIO, "the next title", |mount| {
        assert!(!["Auto", "Kept", "Night"].contains(&mount.title.as_str()));
        mount.title == "Later"
    });
    // What it has said at its own node is shown when it is heard.
    drop(studio);
    mesh.wait_each_sees(RADIO, "the kept title", |mount| mount.title == "Kept");
    drop(auto);
    mesh.wait_each_sees(RADIO, "the next kept title", |mount| mount.title == "Night");
}

#[test]
fn of_two_sources_of_one_priority_the_title_is_of_the_one_at_the_node_that_is_told() {
    let mesh = mesh();
    let studio = source(&mesh.nodes[0], "source", PASSWORD, FIRST[0]);
    mesh.wait_on_air(RADIO);
    let _other = source(&mesh.nodes[1], "source", PASSWORD, FIRST[1]);
    wait_standby(&mesh, &["n2"]);
    let tell = |node: usize, song: &str| {
        let target = format!("/admin/metadata?mode=updinfo&mount={RADIO}&song={song}");
        let address = mesh.nodes[node].address();
        let answer = http::get_as(&address, &target, "source", PASSWORD).unwrap();
        assert_eq!(answer.head.status, 200, "{}", answer.text());
    };
    tell(1, "Kept");
    for (node, song) in [(0, "Live"), (2, "Later")] {
        tell(node, song);
        mesh.wait_each_sees(RADIO, "the title", |mount| {
            assert_ne!(mount.title, "Kept");
            mount.title == song
        });
    }
    drop(studio);
    mesh.wait_each_sees(RADIO, "the kept title", |mount| mount.title == "Kept");
}

#[test]
fn a_second_password_is_another_one_and_needs_a_mount_where_sources_wait() {
    let mesh = TestMesh::start(1);
    let node = &mesh.nodes[0];
    mesh.create_mount(RADIO, PASSWORD);
    let set = |arguments: &[&str]| node.command("mount", &[&["set", RADIO], arguments].concat());
    let second = |password: &str| format!("standby_password={password}");
    let equal = "standby_password: it is the password of the mount, too";
    let said = complaint(&set(&[&second(PASSWORD)]), 1);
    assert!(said.contains(equal), "{said}");
    let said = done(&set(&[&second(SECOND_PASSWORD)]));
    let inert = "standby_password does nothing while standby is false";
    assert!(said.contains(inert), "{said}");
    let said = complaint(&set(&[&format!("password={SECOND_PASSWORD}")]), 1);
    assert!(said.contains(equal), "{said}");
    let both = [second("the-same-one"), "password=the-same-one".to_owned()];
    let said = complaint(&set(&both.each_ref().map(String::as_str)), 1);
    assert!(said.contains(equal), "{said}");
    let said = done(&set(&[&second("yet-another"), "standby=true"]));
    assert!(!said.contains(inert), "{said}");
}
