//! Authorities that do not answer, answer nonsense, refuse, or cannot reach the mesh.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use rcgen::KeyPair;
use rustls::{ServerConnection, StreamOwned};

use super::stage::{Stage, ip};
use crate::support::ca::TestCa;
use crate::support::http;
use crate::support::https::TlsFolder;
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};

/// Starts a server of HTTPS that says one thing to everybody, and returns the address of its directory. Ends with the
/// test process.
fn start_server(answer: &'static str) -> String {
    let config = TestCa::get().server();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            // A client that has seen enough, or trusts nobody, may leave in the middle.
            let _left = stream.read(&mut [0; 4_096]);
            let _left = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _left = stream.flush();
        }
    });
    format!("https://localhost:{port}/dir")
}

/// Names another authority.
fn enable(stage: &Stage, directory: &str, ca: &str) {
    let words = ["enable", "--directory", directory, "--directory-ca", ca];
    done(&stage.mesh.nodes[0].command("cert", &words));
}

#[test]
fn what_is_in_the_way_is_said_when_https_is_turned_on() {
    let mesh = TestMesh::start(1);
    let page =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>Hello</h1>";
    let (html, folder) = (start_server(page), TlsFolder::new());
    let enabled =
        |words: &[&str]| done(&mesh.nodes[0].command("cert", &[&["enable"], words].concat()));
    let told = enabled(&["--directory", &html, "--directory-ca", folder.ca()]);
    let words = [
        "warning: no name to order for",
        "use --names",
        "that is not ACME",
    ];
    assert!(words.iter().all(|it| told.contains(it)), "{told}");
    let nobody = [
        "--directory",
        "https://localhost:1/dir",
        "--names",
        "a.radio.example",
    ];
    let told = enabled(&nobody);
    assert!(
        told.contains("warning: n1 cannot use the authority at https://localhost:1/dir"),
        "{told}"
    );
    assert!(!told.contains("no name to order for"), "{told}");
    let usual = antiphon::model::https::HttpsSettings::DEFAULT_DIRECTORY;
    let told = enabled(&["--directory", usual]);
    assert!(
        told.contains("warning: https_directory_ca is still set"),
        "{told}"
    );
    let told = enabled(&["--directory", &html, "--directory-ca", ""]);
    assert!(!told.contains("still set"), "{told}");
    let words = ["UnknownIssuer", "cert enable --directory-ca FILE"];
    assert!(words.iter().all(|it| told.contains(it)), "{told}");
}

#[test]
fn a_bad_authority_is_described_and_harms_nothing() {
    let Some(stage) = Stage::set(1, &[]) else {
        return;
    };
    let name = "a.radio.example";
    let own_ca = stage.pebble.trusted_by().display().to_string();
    let page =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>Hello</h1>";
    let html = start_server(page);
    let busy = start_server(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7200\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbusy",
    );
    let folder = TlsFolder::new();
    let tests_ca = folder.ca().to_owned();
    let wrong_path = stage.pebble.directory().replace("/dir", "/nothing");
    stage.enable(name);
    stage.wait_valid(0, name);
    let other = "b.radio.example";
    let names = format!("{name},{other}");
    for (directory, ca, words) in [
        (
            "https://127.0.0.1:9/dir",
            &own_ca,
            "cannot reach 127.0.0.1:9",
        ),
        (
            &stage.pebble.directory(),
            &tests_ca,
            "no trusted TLS connection",
        ),
        (&wrong_path, &own_ca, "it answers 404 Not Found"),
        (
            &html,
            &tests_ca,
            "it answers 200 OK with text/html, and that is not ACME",
        ),
        (
            &busy,
            &tests_ca,
            "it answers 429 Too Many Requests: the authority is busy",
        ),
    ] {
        enable(&stage, directory, ca);
        done(&stage.mesh.nodes[0].command("cert", &["enable", "--names", &names]));
        let fault = stage.wait_fault(0, other, words);
        println!("{fault}");
    }
    // A wait that an authority asks for is longer than ours.
    eventually(PATIENCE, "it is asked again when it says", || {
        let told = done(&stage.mesh.nodes[0].command("cert", &["list"]));
        let row = told.lines().find(|line| line.starts_with(other)).unwrap();
        so(
            row.contains("in 119 min") || row.contains("in 2 h"),
            told.clone(),
        )
    });
    // What there is stays, and the node serves.
    stage.wait_valid(0, name);
    let answer = http::get(&stage.mesh.nodes[0].address(), "/readyz").unwrap();
    assert_eq!(answer.text(), "ok\n");
    // An operator who has mended it waits for nothing.
    stage.enable(&names);
    stage.wait_valid(0, other);
}

#[test]
fn a_name_that_leads_elsewhere_harms_itself_only() {
    let Some(stage) = Stage::set(1, &[]) else {
        return;
    };
    let (good, bad) = ("a.radio.example", "b.radio.example");
    // Nobody listens there.
    stage.dns.lead(bad, ip(200));
    stage.enable(&format!("{bad},{good},*.c.example"));
    stage.wait_valid(0, good);
    let fault = stage.wait_fault(
        0,
        bad,
        "b.radio.example: the authority has asked by HTTP and says: ",
    );
    assert!(
        fault.contains(&ip(200).to_string()),
        "the address that it has asked: {fault}"
    );
    stage.wait_fault(
        0,
        "*.c.example",
        "a wildcard needs a zone that the mesh serves",
    );
    // Only operators are told of faults.
    let shown = http::get(&stage.mesh.nodes[0].address(), "/status.json")
        .unwrap()
        .text();
    assert!(shown.contains(bad) && !shown.contains("says: "), "{shown}");
    eventually(PATIENCE, "the log says why, and when next", || {
        let log = stage.mesh.nodes[0].log();
        so(
            log.contains("a certificate is not obtained") && log.contains("next_try="),
            log,
        )
    });
    stage.dns.lead(bad, ip(0));
    done(&stage.mesh.nodes[0].command("cert", &["renew", bad]));
    stage.wait_valid(0, bad);
}

#[test]
fn a_clock_that_was_ahead_delays_no_order() {
    let Some(stage) = Stage::set_by_clock("+3d") else {
        return;
    };
    let name = "a.radio.example";
    stage.enable(name);
    let fault = stage.wait_fault(0, name, "the clock of this node is ");
    println!("{fault}");
    stage.mesh.nodes[0].set_clock("+0");
    stage.wait_valid(0, name);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let Some(stage) = Stage::set(1, &[]) else {
        return;
    };
    let node = &stage.mesh.nodes[0];
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let key = key.path().display().to_string();
    for (words, why) in [
        (
            &["enable", "--contact", "nobody"][..],
            "invalid mail address",
        ),
        (
            &["enable", "--directory", "http://plain.example"],
            "https_directory: must be the address",
        ),
        (
            &["enable", "--directory-ca", "/nowhere.pem"],
            "cannot read /nowhere.pem",
        ),
        (&["enable", "--directory-ca", &key], "no private key"),
        (&["enable", "--names", "192.0.2.7"], "invalid name"),
        (
            &["renew"],
            "the mesh gets no certificates from an authority",
        ),
    ] {
        let output = node.command("cert", words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && told.contains(why),
            "{words:?}: {told}"
        );
    }
    let damaged =
        r#"{"https_directory_ca":"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"}"#;
    let answer = node.api("PATCH", "/api/v1/certificates", damaged).unwrap();
    assert_eq!(answer.head.status, 400, "{}", answer.text());
    stage.enable("a.radio.example");
    let output = node.command("cert", &["renew", "b.radio.example"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("these are: a.radio.example"), "{told}");
}
