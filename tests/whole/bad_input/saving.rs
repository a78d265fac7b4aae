//! Damaged files, and a node that is killed while it saves or right after.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use super::{PASSWORD, node};
use crate::support::http;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};

/// How often a node is killed between edits.
const KILLS: usize = 5;
/// Mounts that are promised before a node is killed, and the clients that make them at the same time.
const PROMISES: usize = 200;
const CLIENTS: usize = 8;

/// The mounts that a saved document names.
fn mounts_in(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap_or_default();
    let names = text
        .split('"')
        .filter_map(|word| word.strip_prefix("mount/"));
    let mut names: Vec<String> = names.map(|name| format!("/{name}")).collect();
    names.sort();
    names.dedup();
    names
}

fn wait_saved(document: &Path, mount: &str) {
    eventually(PATIENCE, &format!("{mount} is on disk"), || {
        let saved = mounts_in(document);
        so(saved.iter().any(|it| it == mount), format!("{saved:?}"))
    });
}

/// A node that was killed when its disk held two mounts, and one in the version before.
fn killed_after_two_saves() -> TestNode {
    let mut node = node();
    let document = node.data_dir().join("document");
    for mount in ["/one.mp3", "/two.mp3"] {
        node.create_mount(mount, PASSWORD);
        wait_saved(&document, mount);
    }
    node.kill9();
    node
}

/// Spoils the document of a killed node, and expects that it goes on with the version before.
fn expect_previous(spoil: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let mut node = killed_after_two_saves();
    let document = node.data_dir().join("document");
    let before = mounts_in(&document.with_extension("previous"));
    assert!(before.contains(&"/one.mp3".to_owned()), "{before:?}");
    let spoiled = spoil(fs::read(&document).expect("it was saved"));
    fs::write(&document, &spoiled).expect("our own file");
    node.restart();
    assert_eq!(node.mounts(), before);
    let said =
        "the document's file is damaged (kept as document.damaged): using the previous version";
    assert!(node.log().contains(said), "{}", node.log());
    let aside = fs::read(document.with_extension("damaged")).expect("it is kept");
    assert_eq!(aside, spoiled);
    node.create_mount("/three.mp3", PASSWORD);
    wait_saved(&document, "/three.mp3");
}

#[test]
fn a_truncated_document_is_replaced() {
    expect_previous(|whole| whole[..whole.len() / 2].to_vec());
}

#[test]
fn a_document_with_a_flipped_bit_is_replaced() {
    expect_previous(|mut whole| {
        let middle = whole.len() / 2;
        whole[middle] ^= 1;
        whole
    });
}

#[test]
fn a_node_with_damaged_files_begins_anew() {
    let mut node = killed_after_two_saves();
    for name in [
        "document",
        "document.previous",
        "node",
        "node.previous",
        "peers",
    ] {
        fs::write(node.data_dir().join(name), "noise").expect("our own file");
    }
    node.restart();
    assert_eq!(node.mounts(), Vec::<String>::new());
    let log = node.log();
    assert!(
        log.contains("the document is lost (kept as document.damaged)"),
        "{log}"
    );
    assert!(log.contains("the file `node` is lost"), "{log}");
    node.create_mount("/one.mp3", PASSWORD);
}

/// Makes one mount after the other until the node is gone; counts those that it has promised.
fn edit_until_killed(address: &str, token: &str, round: usize, made: &AtomicUsize) {
    for number in 0.. {
        let body = format!("{{\"path\":\"/r{round}/m{number}\",\"password\":\"x\"}}");
        let length = body.len();
        let request = format!(
            "POST /api/v1/mounts HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        match http::ask(address, &request) {
            Ok(answer) => assert_eq!(answer.head.status, 201, "{}", answer.text()),
            Err(_) => return,
        }
        made.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_node_killed_between_edits_keeps_its_document() {
    let mut node = node();
    let mut kept = 0;
    for round in 0..KILLS {
        let made = AtomicUsize::new(0);
        let (address, token) = (node.address(), node.token());
        thread::scope(|scope| {
            scope.spawn(|| edit_until_killed(&address, &token, round, &made));
            // Not always at the same moment of a save.
            eventually(PATIENCE, "some edits are made", || {
                let made = made.load(Ordering::Relaxed);
                so(made > 3 * round, made)
            });
            node.kill9();
        });
        node.restart();
        let found = node.mounts();
        let log = node.log();
        assert!(!log.contains("the document is lost"), "{log}");
        let of_round = |round: usize| {
            let prefix = format!("/r{round}/");
            found
                .iter()
                .filter(|mount| mount.starts_with(&prefix))
                .count()
        };
        assert!(
            found.len() >= kept,
            "nothing old is lost: {kept}, then {found:?}"
        );
        for number in 0..of_round(round) {
            let mount = format!("/r{round}/m{number}");
            assert!(
                found.contains(&mount),
                "{mount} is missing before later ones: {found:?}"
            );
        }
        kept = found.len();
    }
    assert!(kept > 0, "something was saved in {KILLS} rounds");
}

/// One request to create a mount; whether it was promised.
fn create(address: &str, token: &str, path: &str) -> bool {
    let body = format!("{{\"path\":\"{path}\",\"password\":\"x\"}}");
    let length = body.len();
    let request = format!(
        "POST /api/v1/mounts HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    http::ask(address, &request).is_ok_and(|answer| answer.head.status == 201)
}

#[test]
fn a_killed_node_loses_no_promised_mount() {
    let mut node = node();
    let (address, token) = (node.address(), node.token());
    let (promised, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let (enough, wait) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let enough = enough.clone();
            let (promised, next, address, token) = (&promised, &next, &address, &token);
            scope.spawn(move || {
                loop {
                    let path = format!("/m{}", next.fetch_add(1, Ordering::Relaxed));
                    if !create(address, token, &path) {
                        return; // the node is gone
                    }
                    let mut promised = promised.lock().expect("no client panics");
                    promised.push(path);
                    if promised.len() == PROMISES {
                        enough.send(()).expect("it is waited for");
                    }
                }
            });
        }
        wait.recv_timeout(2 * PATIENCE).expect("mounts are made");
        node.kill9();
    });
    let promised = promised.into_inner().expect("no client panics");
    node.restart();
    let found = node.mounts();
    let lost: Vec<&String> = promised
        .iter()
        .filter(|mount| !found.contains(mount))
        .collect();
    println!("{} promised, {} lost: {lost:?}", promised.len(), lost.len());
    assert!(lost.is_empty(), "{lost:?}");
}
