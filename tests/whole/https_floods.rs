//! Clients that begin a handshake and never end it, or never stop beginning it, harm themselves only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::http::{get, get_by_tls};
use crate::support::https::TlsFolder;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::rush::allow_files;
use crate::support::vitals::Vitals;

/// The beginning of a handshake: a record of 512 bytes, of which no more come.
const BEGINNING: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
/// How many clients stop there at once.
const CROWD: usize = 2_000;
/// How many descriptors the test needs beside theirs.
const OTHER_FILES: u64 = 200;
/// How long a handshake may take, and a little more.
const CLOSED_WITHIN: Duration = Duration::from_secs(12);
/// How long others wait meanwhile: their own handshake, on a busy machine.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// How much memory each of them may cost: some 24 KiB without optimisation, most of it the state of the task.
const MOST_KIB_EACH: u64 = 48;

fn node() -> (TlsFolder, TestNode) {
    let tls = TlsFolder::new();
    let setup = Setup::named("n1").with(&["--max-listeners", "5000"]);
    let node = tls.of(setup).start();
    // The first password is hashed at the start, which takes more memory than anything here.
    eventually(PATIENCE, "the node has settled", || {
        so(node.log().contains("admin password"), node.log())
    });
    (tls, node)
}

fn begin(node: &TestNode) -> TcpStream {
    let mut socket = TcpStream::connect(node.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(BEGINNING).unwrap();
    socket
}

/// Waits for the end of a connection.
fn wait_closed(socket: &mut TcpStream) {
    let mut rest = Vec::new();
    if let Err(error) = socket.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn one_that_stops_in_the_handshake_is_closed_in_time() {
    let (_tls, node) = node();
    let begun = Instant::now();
    let mut silent = begin(&node);
    assert!(get_by_tls(&node.address(), "/livez").is_ok());
    wait_closed(&mut silent);
    let waited = begun.elapsed();
    assert!(waited < CLOSED_WITHIN, "{waited:?}");
}

#[test]
fn thousands_that_stop_there_keep_nobody_out() {
    allow_files(CROWD as u64 + OTHER_FILES);
    let (_tls, node) = node();
    let before = Vitals::of(node.pid());
    let mut crowd: Vec<TcpStream> = (0..CROWD).map(|_| begin(&node)).collect();
    let begun = Instant::now();
    eventually(PATIENCE, "all of them are let in", || {
        let open = Vitals::of(node.pid()).descriptors;
        so(open >= CROWD as u64, open)
    });
    let there = Vitals::of(node.pid());
    for ask in [get_by_tls, get] {
        let asked = Instant::now();
        assert_eq!(ask(&node.address(), "/livez").unwrap().head.status, 200);
        let waited = asked.elapsed();
        assert!(waited < SERVED_WITHIN, "{waited:?}");
    }
    println!("{CROWD} that stop in the handshake: {before}, then {there}");
    let grown = there.rss_kib.saturating_sub(before.rss_kib);
    assert!(grown < MOST_KIB_EACH * CROWD as u64, "{grown} KiB");
    crowd.iter_mut().for_each(wait_closed);
    assert!(begun.elapsed() < CLOSED_WITHIN, "{:?}", begun.elapsed());
    eventually(PATIENCE, "their descriptors are free again", || {
        let open = Vitals::of(node.pid()).descriptors;
        so(open < before.descriptors + 50, open)
    });
}

#[test]
fn a_hello_without_end_is_cut_off() {
    let (_tls, node) = node();
    let before = Vitals::of(node.pid());
    let mut socket = TcpStream::connect(node.address()).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    // A message that says that it has 16 MiB, in records of 16 KiB.
    let mut record = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03".to_vec();
    record.resize(5 + (16 << 10), 7);
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < PATIENCE && socket.write_all(&record).is_ok() {
        record[5..].fill(7);
        sent += record.len();
    }
    let waited = begun.elapsed();
    assert!(waited < CLOSED_WITHIN, "{waited:?}");
    let there = Vitals::of(node.pid());
    println!("a hello of {sent} bytes: {before}, then {there}");
    assert!(there.rss_kib < before.rss_kib + 4_096, "{there}");
    let log = node.log();
    assert!(log.contains("refused: no TLS with this client"), "{log}");
    assert!(get_by_tls(&node.address(), "/livez").is_ok());
}

#[test]
fn a_hello_that_makes_no_sense_is_answered_by_an_alert() {
    let (_tls, node) = node();
    let mut socket = TcpStream::connect(node.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
        .write_all(b"\x16\x03\x01\x00\x08\x01\x00\x00\x04junk")
        .unwrap();
    let mut told = Vec::new();
    socket.read_to_end(&mut told).unwrap();
    assert_eq!(told.first(), Some(&0x15), "an alert: {told:?}");
    assert!(get_by_tls(&node.address(), "/livez").is_ok());
}
