//! The certificate of an operator's files: what is wrong with them is said, and what changes is taken over.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::support::ca::{Issued, TestCa};
use crate::support::http::{Connection, get};
use crate::support::https::{TlsFolder, said};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::tool::have;

fn issue() -> Issued {
    TestCa::get().issue_for_loopback()
}

/// The log of a node that does not start with these files.
fn refused(issued: &Issued) -> String {
    let tls = TlsFolder::with(issued);
    let mut node = tls.of(Setup::named("n1")).launch();
    let end = node.wait_end(PATIENCE);
    assert!(!end.success());
    let log = node.log();
    assert!(
        !log.contains("listening") && !log.contains("ready"),
        "{log}"
    );
    assert!(!log.contains(issued.key.lines().nth(1).unwrap()), "{log}");
    log
}

#[test]
fn bad_files_stop_the_node_and_are_named() {
    let (good, other) = (issue(), issue());
    let with_cert = |cert: String| Issued {
        cert,
        ..good.clone()
    };
    let with_key = |key: String| Issued {
        key,
        ..good.clone()
    };
    let data = good.cert.lines().nth(1).unwrap();
    let last = good.cert.lines().count() + 1;
    for (issued, told) in [
        (
            with_key(other.key),
            "key.pem:1: the key does not belong to the certificate",
        ),
        (
            with_cert("hello\n".to_owned()),
            "cert.pem: there is no line -----BEGIN",
        ),
        (
            with_cert(format!("{}{data}\n", good.cert)),
            &format!("cert.pem:{last}: there is data before"),
        ),
        (
            with_cert(good.cert.replacen(data, "%%%", 1)),
            "cert.pem:2: this is not base64",
        ),
        (
            with_key(good.cert.clone()),
            "key.pem: there is no private key in it",
        ),
        (
            with_key(good.key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            "key.pem:1: the key is encrypted",
        ),
    ] {
        let log = refused(&issued);
        assert!(log.contains(told), "{told}: {log}");
    }
}

#[test]
fn a_key_without_a_certificate_is_a_mistake_in_the_settings() {
    let mut node = Setup::named("n1").with(&["--tls-key", "/k"]).launch();
    assert!(!node.wait_end(PATIENCE).success());
    let log = node.log();
    assert!(log.contains("tls_key is set, and tls_cert is not"), "{log}");
}

#[test]
fn one_file_may_hold_both() {
    let issued = issue();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.pem");
    fs::write(&file, issued.key + &issued.cert).unwrap();
    let setup = Setup::named("n1").with(&["--tls-cert", file.to_str().unwrap()]);
    let node = setup.start();
    assert!(Connection::open_tls(&node.address()).is_ok());
    // Written as files usually are, with everybody's right to read.
    assert!(node.log().contains("every user of this machine can read"));
}

#[test]
fn a_key_that_all_can_read_is_used_with_a_warning() {
    let tls = TlsFolder::new();
    let key = tls.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let node = tls.of(Setup::named("n1")).start();
    assert!(Connection::open_tls(&node.address()).is_ok());
    let log = node.log();
    assert!(log.contains("every user of this machine can read"), "{log}");
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let tls = TlsFolder::with(&TestCa::get().issue(&["127.0.0.1"], 2021));
    let node = tls.of(Setup::named("n1")).start();
    let log = node.log();
    assert!(log.contains("has expired"), "{log}");
    assert!(log.contains("31 Dec 2021"), "{log}");
    assert!(Connection::open_tls(&node.address()).is_err());
    if have("openssl") {
        let options = "-ign_eof";
        let told = said(&tls.openssl(&node.address(), options, "GET /livez HTTP/1.0\r\n\r\n"));
        assert!(told.contains("certificate has expired"), "{told}");
        assert!(told.contains("HTTP/1.0 200 OK"), "{told}");
    }
}

fn shown(node: &TestNode) -> Vec<u8> {
    let connection = Connection::open_tls(&node.address()).unwrap();
    connection.certificate().unwrap()
}

#[test]
fn a_change_of_the_files_is_taken_over_by_new_connections_only() {
    let tls = TlsFolder::new();
    let node = tls.of(Setup::named("n1")).start();
    let (first, mut old) = (shown(&node), Connection::open_tls(&node.address()).unwrap());
    tls.replace(&issue());
    eventually(PATIENCE, "another certificate is shown", || {
        so(shown(&node) != first, "the first one")
    });
    let ask = format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", node.address());
    old.send(ask).unwrap();
    assert_eq!(old.head().unwrap().status, 200);
    assert_eq!(old.certificate().unwrap(), first);
}

#[test]
fn a_bad_change_keeps_what_was_there_and_says_so() {
    let tls = TlsFolder::new();
    let node = tls.of(Setup::named("n1")).start();
    let first = shown(&node);
    fs::write(tls.path().join("key.pem"), issue().key).unwrap();
    node.signal(Signal::HUP);
    eventually(PATIENCE, "the fault is told", || {
        let log = node.log();
        let told = log.contains("the certificate for HTTPS stays as it was");
        so(
            told && log.contains("key.pem:1: the key does not belong"),
            log,
        )
    });
    assert_eq!(shown(&node), first);
    tls.replace(&issue());
    eventually(PATIENCE, "the good one is shown", || {
        so(shown(&node) != first, "the first one")
    });
}

#[test]
fn a_certificate_can_be_named_and_withdrawn_by_a_reload() {
    let tls = TlsFolder::new();
    let settings = tls.path().join("settings.toml");
    fs::write(&settings, "").unwrap();
    let setup = Setup::named("n1").with(&["--config", settings.to_str().unwrap()]);
    let node = setup.start();
    assert!(Connection::open_tls(&node.address()).is_err());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| tls.path().join(name));
    let lines = format!("tls_cert = {cert:?}\ntls_key = {key:?}\n");
    for (text, speaks) in [(lines.as_str(), true), ("", false)] {
        fs::write(&settings, text).unwrap();
        node.signal(Signal::HUP);
        eventually(PATIENCE, "the reload is done", || {
            let is_ok = Connection::open_tls(&node.address()).is_ok();
            so(is_ok == speaks, is_ok)
        });
    }
    assert_eq!(get(&node.address(), "/livez").unwrap().head.status, 200);
}
