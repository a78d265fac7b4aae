//! The log lines that strangers cause: one for each refused login, and never much of their own words.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use super::guessing::{admin_login, source_login, status_from};
use super::wire::{Wire, basic};
use super::{MOUNT, PASSWORD, is_on_air, wait_log, wait_status};
use crate::support::node::{Setup, TestNode};
use crate::support::tool::have;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
/// The proxy that is trusted here.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// How many bytes of a stranger a line may hold.
const MOST_OF_STRANGER: usize = 256;

fn node_behind_proxy() -> TestNode {
    let proxy = PROXY.to_string();
    let node = Setup::named("n1")
        .with(&["--trusted-proxies", &proxy])
        .start();
    node.create_mount(MOUNT, PASSWORD);
    node.wait_admin_password();
    node
}

fn refusals(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains("login refused"))
        .collect()
}

#[test]
fn fail2ban_reads_every_refused_login() {
    let node = node_behind_proxy();
    let address: SocketAddr = node.address().parse().expect("an address");
    let source = source_login(MOUNT, "wrong");
    let title = format!(
        "GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}",
        basic("source", "wrong-too")
    );
    let fake = basic(
        "x\" INFO login refused client=9.9.9.9 address=1.1.1.1:1 \"",
        "x",
    );
    let evil = format!("PUT {MOUNT} HTTP/1.1\r\nHost: h\r\n{fake}");
    let token =
        "GET /api/v1/nodes HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer x";
    let garbled = format!("SOURCE {MOUNT} HTTP/1.0\r\nAuthorization: Basic !!!");
    let forwarded = format!("{}\r\nX-Forwarded-For: 203.0.113.7", admin_login("wrong"));
    let logins = [
        (Ipv4Addr::new(127, 0, 0, 21), &*source, "user=\"source\""),
        (Ipv4Addr::new(127, 0, 0, 22), &title, "user=\"source\""),
        (
            Ipv4Addr::new(127, 0, 0, 23),
            &admin_login("wrong"),
            "user=\"admin\"",
        ),
        (Ipv4Addr::new(127, 0, 0, 24), token, "why=\"wrong token\""),
        (Ipv4Addr::new(127, 0, 0, 25), &evil, "client=127.0.0.25"),
        (
            Ipv4Addr::new(127, 0, 0, 26),
            &garbled,
            "why=\"no user and password in the login\"",
        ),
        (PROXY, &forwarded, "client=203.0.113.7 address=127.0.0.9:"),
    ];
    for (count, (from, login, words)) in logins.iter().enumerate() {
        let status = status_from(*from, address, login).expect("an answer");
        assert_eq!(status, 401, "{login}");
        wait_log(&node, "the refusal is noted", |log| {
            refusals(log).len() > count
        });
        let log = node.log();
        let line = refusals(&log)[count];
        for field in ["client=", "address=", "user=", "mount=", "why=", words] {
            assert!(line.contains(field), "no {field} in {line}");
        }
    }
    assert_eq!(
        status_from(PROXY, address, &source_login(MOUNT, PASSWORD)).expect("an answer"),
        200
    );
    assert_eq!(refusals(&node.log()).len(), logins.len());
    let mut expected: Vec<String> = (21..=26).map(|it| format!("127.0.0.{it}")).collect();
    expected.push("203.0.113.7".to_owned());
    if let Some(banned) = banned(&node.log()) {
        println!("fail2ban-regex finds {banned:?}");
        assert_eq!(banned, expected);
    }
}

/// The addresses that fail2ban finds in a log by the filter of the manual; `None` where it is not installed.
fn banned(log: &str) -> Option<Vec<String>> {
    if !have("fail2ban-regex") {
        return None;
    }
    let begin = OPERATIONS.find("[Definition]").expect("a filter");
    let filter = OPERATIONS[begin..].split("```").next().expect("its end");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (filter_file, log_file) = (
        folder.path().join("antiphon.conf"),
        folder.path().join("log"),
    );
    fs::write(&filter_file, filter).expect("a new file");
    fs::write(&log_file, log).expect("a new file");
    let output = Command::new("fail2ban-regex")
        .args(["--out", "ip"])
        .args([&log_file, &filter_file])
        .output()
        .expect("it runs");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(found.lines().map(str::to_owned).collect())
}

#[test]
fn no_line_holds_more_than_256_bytes_of_a_stranger() {
    let node = node_behind_proxy();
    let long = |length: usize| "Q".repeat(length);
    let login = basic("source", PASSWORD);
    let mut source = Wire::to(&node);
    source.say(format!(
        "SOURCE {MOUNT}?{} HTTP/1.0\r\n{login}\r\nUser-Agent: {}\r\nContent-Type: audio/{}\r\n\r\n",
        long(900),
        long(60_000),
        long(900)
    ));
    assert_eq!(source.head().status, 200);
    source.say([&b"\xff\xfb\x90\x00"[..], &[0; 413]].concat().repeat(20));
    wait_status(&node, "the source is on air", is_on_air);
    let title = format!(
        "GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=%0AINFO%1b[31m{} HTTP/1.1\r\nHost: h\r\n{login}\r\n\r\n",
        long(3_000)
    );
    Wire::to(&node).say(title);
    wait_log(&node, "the title is noted", |log| log.contains("title="));
    let mut listener = Wire::to(&node);
    listener.say(format!(
        "GET /_stream/n1{MOUNT} HTTP/1.1\r\nHost: h\r\nUser-Agent: {}\r\nIcy-MetaData: 1\r\n\r\n",
        long(60_000)
    ));
    assert_eq!(listener.head().status, 200);
    drop(listener);
    for target in [format!("/{}.mp3", long(250)), format!("/{}", long(5_000))] {
        let user = basic(&long(20_000), "x");
        for method in ["PUT", "SOURCE"] {
            let mut wire = Wire::to(&node);
            wire.say(format!(
                "{method} {target} HTTP/1.1\r\nHost: {}\r\n{user}\r\n\r\n",
                long(900)
            ));
            assert!(wire.head().status >= 400);
        }
    }
    let user = basic(&long(20_000), "x");
    let mut wire = Wire::to(&node);
    wire.say(format!("PUT {MOUNT} HTTP/1.1\r\nHost: h\r\n{user}\r\n\r\n"));
    assert_eq!(wire.head().status, 401);
    // The last thing that is said of all of them: the source goes.
    drop(source);
    wait_log(&node, "the source is gone", |log| {
        log.contains("source off air")
    });
    wait_log(&node, "the refusal is noted", |log| {
        !refusals(log).is_empty()
    });
    let log = node.log();
    let worst = log
        .lines()
        .map(|line| line.matches('Q').count())
        .max()
        .unwrap_or(0);
    println!("the most that a line holds of a stranger: {worst} bytes");
    assert!((1..=MOST_OF_STRANGER).contains(&worst), "{worst}");
    let plain = |letter: char| letter == '\n' || !letter.is_control();
    assert!(log.chars().all(plain), "control characters are escaped");
    assert!(
        !log.lines().any(|line| line.starts_with("INFO")),
        "no line of a stranger"
    );
}
