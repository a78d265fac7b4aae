//! A node knows where it and others are, as well as it is told, and serves all the same when it is told nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use antiphon::model::geo::Whereabouts;

use crate::support::http::Connection;
use crate::support::mesh::TestMesh;
use crate::support::mmdb::{database, place};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// A node looks at its database each half minute.
const NEXT_LOOK: Duration = Duration::from_secs(30);

fn write(file: &Path, kind: &str, country: &str, position: (f64, f64)) {
    let known = [(("192.0.2.0", 24), place(country, position))];
    let next = file.with_extension("next");
    fs::write(&next, database(kind, &known)).unwrap();
    fs::rename(&next, file).unwrap();
}

fn at(country: &str, position: &str) -> Whereabouts {
    Whereabouts {
        country: country.parse().ok(),
        position: position.parse().ok(),
    }
}

/// Waits until a node sees another one where it should be.
fn wait_placed(witness: &TestNode, name: &str, expected: Whereabouts, limit: Duration) {
    let look = || {
        let seen = witness.opinion_of(name).map(|node| node.place);
        so(seen == Some(expected), format!("{seen:?}"))
    };
    eventually(limit, &format!("{name} is at {expected:?}"), look);
}

#[test]
fn a_changed_geo_database_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("geo.mmdb");
    write(&file, "Test-1", "DE", (52.5, 13.4));
    let file_text = file.display().to_string();
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&[
            "--public-url",
            "http://192.0.2.7:8000",
            "--geo-database",
            &file_text,
        ]),
        _ => setup.with(&["--country", "AU", "--position", "-33.9,151.2"]),
    });
    wait_placed(&mesh.nodes[0], "n2", at("au", "-33.9,151.2"), PATIENCE);
    wait_placed(&mesh.nodes[1], "n1", at("de", "52.5,13.4"), PATIENCE);
    assert_eq!(mesh.nodes[1].status().geo, None);
    write(&file, "Test-2", "AT", (48.2, 16.4));
    wait_placed(
        &mesh.nodes[1],
        "n1",
        at("at", "48.2,16.4"),
        NEXT_LOOK + PATIENCE,
    );
    let geo = mesh.nodes[0].status().geo.expect("it has a database");
    assert_eq!(geo.database.as_deref(), Some("Test-2"));
}

#[test]
fn an_unreadable_database_is_only_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("geo.mmdb");
    fs::write(&file, "this is a text").unwrap();
    for (path, why) in [
        (folder.path().join("none"), "No such file"),
        (file, "is not a complete database in MaxMind's format"),
    ] {
        let path = path.display().to_string();
        let node = Setup::named("n1").with(&["--geo-database", &path]).start();
        let geo = node.status().geo.expect("it is to have a database");
        assert_eq!(geo.database, None);
        assert!(geo.trouble.is_some_and(|it| it.contains(why)), "{path}");
        let log = node.log();
        let said = log
            .lines()
            .filter(|line| line.contains("geo database not read"));
        let said: Vec<_> = said.filter(|line| line.contains("WARN")).collect();
        assert_eq!(said.len(), 1, "{log}");
        assert!(said[0].contains(&path), "{log}");
    }
}

/// Listens for a moment, as a proxy would for a client.
fn listen_for(node: &TestNode, client: &str) {
    let mut connection = Connection::open(&node.address()).unwrap();
    let request = format!("GET {RADIO} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {client}\r\n\r\n");
    connection.send(request).unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
}

/// The last line about a listener that has gone.
fn last_gone(node: &TestNode) -> Result<String, &'static str> {
    let log = node.log();
    let mut gone = log.lines().filter(|line| line.contains("listener gone"));
    gone.next_back().map(str::to_owned).ok_or("nobody has gone")
}

#[test]
fn only_a_trusted_proxy_says_who_listens() {
    for (trusted, believed) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let node = Setup::named("n1")
            .with(&["--trusted-proxies", trusted])
            .start();
        node.create_mount(RADIO, PASSWORD);
        let _source = KnownSource::start(&node, RADIO, PASSWORD);
        listen_for(&node, "203.0.113.9, 198.51.100.1, 127.0.0.2");
        let (line, _) = eventually(PATIENCE, "the listener has gone", || last_gone(&node));
        assert!(line.contains("peer=127.0.0.1:"), "{line}");
        assert!(!line.contains("203.0.113.9"), "{line}");
        let named = line.contains("client=198.51.100.1");
        assert_eq!(named, believed, "{line}");
    }
}
