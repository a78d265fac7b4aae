//! Heads as encoders send them, with whatever somebody typed into a box, and heads that would smuggle.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use super::wire::{Wire, ask, basic};
use super::{MOUNT, PASSWORD, is_on_air, node_with_mount, wait_log, wait_status};
use crate::support::node::TestNode;
use crate::support::source::sample;
use crate::support::tool::have;

/// The head of a source with these lines in it, and what it is answered.
fn source(node: &TestNode, lines: &[u8]) -> (Wire, u16) {
    let login = basic("source", PASSWORD);
    let begin =
        format!("PUT {MOUNT} HTTP/1.1\r\nHost: h\r\n{login}\r\nContent-Type: audio/mpeg\r\n");
    let mut wire = Wire::to(node);
    wire.say([begin.as_bytes(), lines, b"\r\n\r\naudio"].concat());
    let head = wire.head();
    (wire, head.status)
}

#[test]
fn an_odd_description_does_not_stop_a_radio() {
    let node = node_with_mount();
    for (lines, name, description) in [
        (
            &b"ice-description: The first line\nand the second\n  a third : one"[..],
            None,
            Some("The first line"),
        ),
        (
            b"ice-description: folded\r\n over lines\r\n\tand lines",
            None,
            Some("folded"),
        ),
        (
            b"ice-description : not this\r\nice-name: N",
            Some("N"),
            None,
        ),
        (
            b"no colon\r\n: no name\r\nn\xe4me: v\r\nice-name: N",
            Some("N"),
            None,
        ),
        (
            b"ice-description: a\x01b\x1b[31mc\x7fd\rE",
            None,
            Some("a b [31mc d E"),
        ),
        (
            b"ice-name: caf\xe9\r\nice-description: \xc3\xa9t\xc3\xa9",
            Some("caf\u{e9}"),
            Some("\u{e9}t\u{e9}"),
        ),
    ] {
        let (wire, status) = source(&node, lines);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(lines));
        wait_status(&node, "on air", is_on_air);
        let mut listener = Wire::to(&node);
        listener.say(format!("GET {MOUNT} HTTP/1.0\r\n\r\n"));
        let head = listener.head();
        println!(
            "{:?}: {:?}",
            head.header("icy-name"),
            head.header("icy-description")
        );
        assert_eq!(head.header("icy-name"), name, "{head:?}");
        assert_eq!(head.header("icy-description"), description, "{head:?}");
        drop(wire);
        wait_status(&node, "off air", |status| !is_on_air(status));
    }
    let log = node.log();
    let told = log
        .matches("lines of the request's head passed over")
        .count();
    assert_eq!(told, 5, "once for each head that has some\n{log}");
}

#[test]
fn ffmpeg_may_describe_itself_in_several_lines() {
    if !have("ffmpeg") {
        return;
    }
    let node = node_with_mount();
    node.api(
        "PATCH",
        &format!("/api/v1/mounts{MOUNT}"),
        r#"{"charset":"windows-1251"}"#,
    )
    .expect("it answers");
    let mut command = Command::new("ffmpeg");
    // Not for ever, should this test fail.
    command.args(["-loglevel", "error", "-re", "-t", "20", "-i"]);
    command
        .arg(sample())
        .args(["-c", "copy", "-content_type", "audio/mpeg"]);
    command.args(["-ice_description", "Line one\nLine two\r\n a third: one"]);
    command
        .arg("-ice_name")
        .arg(OsStr::from_bytes(b"\xcf\xf0\xe8"));
    command.args(["-f", "mp3"]);
    command.arg(format!(
        "icecast://source:{PASSWORD}@{}{MOUNT}",
        node.address()
    ));
    let mut ffmpeg = command.stdin(Stdio::null()).spawn().expect("it starts");
    wait_status(&node, "on air", is_on_air);
    let mut listener = Wire::to(&node);
    listener.say(format!("GET {MOUNT} HTTP/1.0\r\n\r\n"));
    let head = listener.head();
    assert_eq!(head.header("icy-description"), Some("Line one"), "{head:?}");
    assert_eq!(
        head.header("icy-name"),
        Some("\u{41f}\u{440}\u{438}"),
        "{head:?}"
    );
    ffmpeg.kill().expect("it runs");
    ffmpeg.wait().expect("it is ours");
}

#[test]
fn smuggling_is_400_at_every_entrance_and_logged() {
    let node = node_with_mount();
    let login = basic("source", PASSWORD);
    let title = format!("GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=x");
    let entrances = [
        format!("PUT {MOUNT}"),
        format!("SOURCE {MOUNT}"),
        format!("GET {MOUNT}"),
        "GET /".to_owned(),
        "GET /status.json".to_owned(),
        "POST /api/v1/mounts".to_owned(),
        title,
    ];
    let bad = [
        ("Host: a\r\nHost: a", "there are two Host headers"),
        (
            "Content-Length: 18446744073709551615",
            "Content-Length is not a valid number of bytes",
        ),
        ("Content-Length : 5", "Expect or Connection is malformed"),
        (
            "X: y\r\n Content-Length: 5",
            "Expect or Connection is malformed",
        ),
        (
            "X: y\rTransfer-Encoding: chunked",
            "Expect or Connection is malformed",
        ),
        (
            "Transfer-Encoding: \x0bchunked",
            "Expect or Connection is malformed",
        ),
        (
            "Authorization: Basic\r\n x",
            "Expect or Connection is malformed",
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "given twice",
        ),
        ("Content-Length: 5\0", "Expect or Connection is malformed"),
    ];
    for entrance in &entrances {
        for (lines, _) in bad {
            let answer = ask(&node, &format!("{entrance} HTTP/1.1\r\n{login}\r\n{lines}"));
            assert_eq!(answer.head.status, 400, "{entrance}: {lines:?} {answer:?}");
        }
    }
    for (lines, why) in bad {
        wait_log(&node, lines, |log| {
            log.matches(why).count() >= entrances.len()
        });
    }
    let log = node.log();
    let told = log
        .lines()
        .filter(|line| line.contains("refused: ") && line.contains("status=400"));
    let (told, sent) = (told.count(), entrances.len() * bad.len());
    println!("{sent} heads refused, {told} lines in the log");
    assert_eq!(told, sent, "{log}");
    for (request, why) in [
        (
            "GET /../x",
            "the request target is invalid: it must be a path",
        ),
        ("GET /admin/metadata?song=x", "Missing parameter"),
        ("GET /api/v1/candidates", "mount"),
    ] {
        assert_eq!(ask(&node, &format!("{request} HTTP/1.1")).head.status, 400);
        wait_log(&node, why, |log| {
            let mut lines = log.lines().filter(|line| line.contains("status=400"));
            lines.any(|line| line.contains(why))
        });
    }
}

#[test]
fn a_head_may_have_at_most_128_headers() {
    let node = node_with_mount();
    let token = format!("Authorization: Bearer {}", node.token());
    for line in [
        "GET /",
        "GET /status.json",
        "GET /api/v1/mounts",
        "GET /radio.mp3.m3u",
        "GET /livez",
    ] {
        for (headers, status) in [(126, 200), (127, 200), (128, 200), (129, 431)] {
            let more = "\r\nX: y".repeat(headers - 2);
            let answer = ask(
                &node,
                &format!("{line} HTTP/1.1\r\nHost: h\r\n{token}{more}"),
            );
            assert_eq!(
                answer.head.status, status,
                "{line} with {headers}: {answer:?}"
            );
        }
    }
    let login = basic("source", PASSWORD);
    for (headers, status) in [(126, 200), (128, 200), (129, 431)] {
        let more = "\r\nX: y".repeat(headers - 1);
        let mut wire = Wire::to(&node);
        wire.say(format!("PUT {MOUNT} HTTP/1.1\r\n{login}{more}\r\n\r\n"));
        assert_eq!(wire.head().status, status, "{headers} headers of a source");
        drop(wire);
        wait_status(&node, "off air", |status| !is_on_air(status));
    }
}
