//! Encoders that speak TLS as libshout does: they begin in plain, and go on by TLS where a node offers it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::ca::TestCa;
use crate::support::http::{Connection, basic};
use crate::support::https::TlsFolder;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::sample;
use crate::support::tool::have;
use crate::support::unprivileged::{as_nobody, open_folder};
use crate::support::wiretap::Wiretap;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// An ezstream that plays the sample. Dropping it ends it.
struct Ezstream {
    child: Child,
    _folder: TempDir,
}

impl Ezstream {
    /// One that connects to this port of `localhost`, with a setting of `tls`, and trusts the authority in a file.
    fn start(port: u16, tls: &str, trusts: Option<&Path>) -> Self {
        let folder = open_folder();
        let song = folder.path().join("song.mp3");
        fs::copy(sample(), &song).unwrap();
        let config = format!(
            "<ezstream><servers><server><name>default</name><protocol>HTTP</protocol><hostname>localhost</hostname>\
             <port>{port}</port><user>source</user><password>{PASSWORD}</password><tls>{tls}</tls>\
             <reconnect_attempts>20</reconnect_attempts></server></servers>\
             <streams><stream><name>default</name><mountpoint>{RADIO}</mountpoint><format>MP3</format></stream></streams>\
             <intakes><intake><name>default</name><type>file</type><filename>{}</filename></intake></intakes></ezstream>",
            song.display()
        );
        let file = folder.path().join("ez.in");
        fs::write(&file, config).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let mut ezstream = as_nobody();
        // Its configuration must be its own, and nobody else's to read.
        let line = "umask 077; cp ez.in ez.xml; exec ezstream -vv -c ez.xml";
        ezstream.args(["sh", "-c", line]).current_dir(folder.path());
        ezstream.env("HOME", folder.path()).stdin(Stdio::null());
        if let Some(authority) = trusts {
            ezstream.env("SSL_CERT_FILE", authority);
        }
        Self {
            child: ezstream.spawn().unwrap(),
            _folder: folder,
        }
    }
}

impl Drop for Ezstream {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _end = self.child.wait();
    }
}

/// A node with a certificate for `localhost`, a wire to it, and a file of the authority that everybody may read.
fn stage() -> (TlsFolder, TestNode, Wiretap, TempDir) {
    let tls = TlsFolder::new();
    let node = tls.of(Setup::named("n1")).start();
    node.create_mount(RADIO, PASSWORD);
    let wire = Wiretap::to(&node.address());
    let folder = open_folder();
    let _ca = TestCa::get().write_into(folder.path());
    (tls, node, wire, folder)
}

fn wait_heard(node: &TestNode) {
    let player = Player::tune_in(&format!("{}{RADIO}", node.url()));
    player.wait_for(40_000);
}

fn wait_on_air(node: &TestNode) {
    eventually(PATIENCE, "ezstream is on air", || {
        let status = node.try_status().map_err(|error| error.to_string())?;
        let on_air = status.mounts.iter().any(|mount| mount.source.is_some());
        so(on_air, format!("{:?}", status.mounts))
    });
}

/// The password as it stands in a request.
fn login() -> String {
    basic("source", PASSWORD)
}

#[test]
fn libshout_goes_on_by_tls_before_it_says_its_password() {
    if !have("ezstream") {
        return;
    }
    for tls in ["May", "Required"] {
        let (_tls, node, wire, folder) = stage();
        let ca = folder.path().join("ca.pem");
        let _source = Ezstream::start(wire.port(), tls, Some(&ca));
        wait_on_air(&node);
        wait_heard(&node);
        // One for the stream, and one for each title.
        for sent in wire.sent() {
            assert!(sent.starts_with("OPTIONS * HTTP/1.1\r\n"), "{tls}");
            let in_plain = sent.contains(&login()) || sent.contains(RADIO);
            assert!(!in_plain, "{tls}: all else is encrypted");
        }
    }
}

#[test]
fn an_encoder_that_distrusts_the_certificate_goes_on_in_plain() {
    if !have("ezstream") {
        return;
    }
    let (_tls, node, wire, _folder) = stage();
    let mut first = Ezstream::start(wire.port(), "May", None);
    assert!(!first.child.wait().unwrap().success(), "it gives up");
    eventually(PATIENCE, "the node notes why", || {
        let log = node.log();
        so(log.contains("does not trust the certificate"), log)
    });
    assert!(!wire.sent().concat().contains(&login()));
    let _again = Ezstream::start(wire.port(), "May", None);
    wait_on_air(&node);
    wait_heard(&node);
    assert!(wire.sent().concat().contains(&login()));
}

#[test]
fn an_encoder_that_requires_tls_is_offered_it_again() {
    if !have("ezstream") {
        return;
    }
    let (tls, node, wire, folder) = stage();
    let ca = folder.path().join("ca.pem");
    let start = |trusts| Ezstream::start(wire.port(), "Required", trusts);
    let gives_up = |trusts| assert!(!start(trusts).child.wait().unwrap().success());
    gives_up(None); // at the certificate
    gives_up(Some(&*ca)); // it is offered none, so that it could send without
    let source = start(Some(&*ca));
    wait_on_air(&node);
    drop(source);
    eventually(PATIENCE, "the source is gone", || {
        let status = node.try_status().map_err(|error| error.to_string())?;
        let is_gone = status.mounts.iter().all(|mount| mount.source.is_none());
        so(is_gone, format!("{:?}", status.mounts))
    });
    gives_up(None);
    // Asks for nothing, so that it has nothing to resume.
    let shown = || {
        let client = Connection::open_tls(&node.address()).unwrap();
        client.certificate().unwrap()
    };
    let first = shown();
    tls.replace(&TestCa::get().issue_for_loopback());
    eventually(PATIENCE, "another certificate is shown", || {
        so(shown() != first, "the first one")
    });
    let _source = start(Some(&*ca));
    wait_on_air(&node);
    assert!(!wire.sent().concat().contains(&login()));
}

/// How a node answers a request that would rather go on by TLS, with these bytes behind it.
fn asked(node: &TestNode, host: &str, behind: &str) -> u16 {
    let mut connection = Connection::open(&node.address()).unwrap();
    let ask = "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n";
    let ask = format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n{ask}{behind}");
    connection.send(ask).unwrap();
    connection.head().unwrap().status
}

#[test]
fn tls_is_offered_where_it_can_be_trusted() {
    let (_tls, node, _wire, _folder) = stage();
    for host in ["127.0.0.1", "other.example", "[::1]:8000"] {
        assert_eq!(asked(&node, host, ""), 200, "{host}");
    }
    let next = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(asked(&node, "localhost", next), 200, "it does not wait");
    assert_eq!(asked(&node, "localhost:8000", ""), 101);
    eventually(PATIENCE, "no offer is made to who left at one", || {
        so(
            asked(&node, "localhost", "") == 200,
            "it is offered TLS again",
        )
    });
    let without = Setup::named("n1").start();
    assert_eq!(asked(&without, "localhost", ""), 200, "no certificate");
}

#[test]
fn whoever_stops_at_an_offer_is_let_go() {
    let (_tls, node, _wire, _folder) = stage();
    let mut connection = Connection::open(&node.address()).unwrap();
    let ask =
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n";
    connection.send(ask).unwrap();
    assert_eq!(connection.head().unwrap().status, 101);
    let limit = Duration::from_secs(15);
    connection.socket().set_read_timeout(Some(limit)).unwrap();
    assert_eq!(connection.some(1).unwrap(), b"", "after ten seconds");
    let mut connection = Connection::open(&node.address()).unwrap();
    connection.send("GET /livez HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
}
