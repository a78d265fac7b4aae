//! Heads that are too long, too slow, malformed, or of no protocol of ours.

use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::node;
use super::wire::{Wire, ask, basic};
use crate::support::node::TestNode;

/// The time that a head may take, and by how much a busy machine may miss it.
const HEAD_TIMEOUT: std::ops::RangeInclusive<f64> = 9.0..=11.0;

fn status_is_served(node: &TestNode) {
    let answer = ask(node, "GET /status.json HTTP/1.1\r\nHost: h");
    assert_eq!(answer.head.status, 200, "{answer:?}");
}

#[test]
fn a_head_of_a_megabyte_is_answered_431() {
    let node = node();
    let filler = "x".repeat(1 << 20);
    for head in [
        format!("GET / HTTP/1.1\r\nX: {filler}\r\n\r\n"),
        format!("GET /{filler} HTTP/1.1\r\n\r\n"),
        format!("PUT /radio.mp3 HTTP/1.1\r\nX: {filler}"),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200_000)),
    ] {
        let mut wire = Wire::to(&node);
        wire.say(&head);
        let answer = wire.answer();
        assert_eq!(answer.head.status, 431, "{answer:?}");
        assert_eq!(wire.hear_end(), b"", "the connection ends with the answer");
    }
    status_is_served(&node);
}

#[test]
fn a_listener_with_a_body_gets_its_answer() {
    let node = node();
    let mut wire = Wire::to(&node);
    let length = 3 << 20;
    wire.say(format!(
        "GET /nope.mp3 HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"
    ));
    // The node may hang up, but only once all has arrived.
    wire.try_say(vec![b'x'; length]).unwrap();
    let answer = wire.answer();
    assert_eq!(answer.head.status, 404, "{answer:?}");
    assert_eq!(wire.hear_end(), b"", "the connection ends with the answer");
}

/// How long a node keeps a connection to which `speak` is done, in seconds, and what it says at the end.
fn kept_for(node: &TestNode, speak: impl FnOnce(&mut Wire)) -> (f64, String) {
    let began = Instant::now();
    let mut wire = Wire::to(node);
    speak(&mut wire);
    let heard = wire.hear_end();
    let kept_s = began.elapsed().as_secs_f64();
    (kept_s, String::from_utf8_lossy(&heard).into_owned())
}

#[test]
fn an_unfinished_head_is_cut_after_ten_seconds() {
    let node = node();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (kept_s, heard) = kept_for(&node, |wire| wire.say("GET / HTTP/1.1\r\nHost: h\r\n"));
            assert!(
                HEAD_TIMEOUT.contains(&kept_s),
                "an unfinished head: {kept_s} s"
            );
            assert!(heard.starts_with("HTTP/1.0 408 "), "{heard}");
        });
        scope.spawn(|| {
            let (kept_s, heard) = kept_for(&node, |_| {});
            assert!(HEAD_TIMEOUT.contains(&kept_s), "no head at all: {kept_s} s");
            assert_eq!(heard, "", "there is nothing to answer");
        });
        scope.spawn(|| {
            let (kept_s, heard) = kept_for(&node, |wire| wire.say("GET /a HTTP/1.1\r\n\r\n"));
            assert!(HEAD_TIMEOUT.contains(&kept_s), "no second head: {kept_s} s");
            assert!(heard.starts_with("HTTP/1.1 404 "), "{heard}");
        });
        status_is_served(&node);
    });
}

#[test]
fn a_slow_head_is_cut_after_ten_seconds() {
    let node = node();
    let (kept_s, heard) = kept_for(&node, |wire| {
        for byte in b"GET /radio.mp3 HTTP/1.1\r\nHost: h\r\n\r\n" {
            if wire.try_say([*byte]).is_err() {
                return;
            }
            if wire.stirs_within(Duration::from_secs(1)) {
                return;
            }
        }
        panic!("a head of 36 s was taken");
    });
    assert!(HEAD_TIMEOUT.contains(&kept_s), "{kept_s} s");
    assert!(heard.starts_with("HTTP/1.0 408 "), "{heard}");
    status_is_served(&node);
}

#[test]
fn noise_is_closed_without_a_word() {
    let node = node();
    // What begins a handshake of TLS is another matter: see https_floods.
    let mut noises = vec![b"\x17\x03\x03\x02\x00".to_vec(), b"\0\0\0\0".to_vec()];
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..100 {
        let length = random.random_range(64..20_000);
        let mut noise: Vec<u8> = (0..length).map(|_| random.random()).collect();
        noise[0] |= 0x80; // no method begins so
        noises.push(noise);
    }
    for noise in noises {
        let (kept_s, heard) = kept_for(&node, |wire| drop(wire.try_say(&noise)));
        // A line of it may be a login of Shoutcast by chance.
        assert!(
            ["", "invalid password\r\n"].contains(&heard.as_str()),
            "to {:?}: {heard}",
            &noise[..4]
        );
        assert!(
            kept_s < 8.0,
            "closed at once and not by its timeout: {kept_s} s"
        );
    }
    status_is_served(&node);
}

#[test]
fn a_path_that_leaves_its_place_is_answered_400() {
    let node = node();
    let login = basic("source", "x");
    for method in ["GET", "HEAD", "PUT", "SOURCE", "OPTIONS", "BREW"] {
        for path in [
            "/%00",
            "/a%00.mp3",
            "/..",
            "/../etc/passwd",
            "/a/../b.mp3",
            "/%2e%2e/b.mp3",
            "/a/%2E./b.mp3",
            "//a.mp3",
            "/a//b.mp3",
            "/a%2f/b.mp3",
            "/a%0d%0ab.mp3",
            "/_stream/n1/../../a",
            "/api/v1/mounts/../../x",
            "a.mp3",
            "http://h/../a",
        ] {
            let mut wire = Wire::to(&node);
            wire.say(format!("{method} {path} HTTP/1.1\r\n{login}\r\n\r\n"));
            let head = wire.head();
            assert_eq!(head.status, 400, "{method} {path}: {head:?}");
            let has_body = !wire.hear_end().is_empty();
            assert_eq!(has_body, method != "HEAD", "{method} {path}: {head:?}");
        }
    }
    status_is_served(&node);
}

#[test]
fn a_malformed_head_is_answered_400() {
    let node = node();
    for (head, status) in [
        ("GET /a", 400),
        ("GET /a b c HTTP/1.1", 400),
        ("GET /a HTTP/9.9", 505),
        ("GET /a HTTQ/1.1", 400),
        ("GET /a\x0b HTTP/1.1", 400),
        ("GET /a HTTP/1.1\r\nHost: b\r\n folded", 400),
        ("GET /a HTTP/1.1\r\nContent-Length : 1", 400),
        ("GET /a\0b HTTP/1.1", 400),
        ("GET /a HTTP/1.1\r\nA\0B: c", 400),
        ("GET /a HTTP/1.1\r\nContent-Length: -1", 400),
        (
            "PUT /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
            400,
        ),
        (
            "PUT /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            400,
        ),
        ("PUT /a HTTP/1.1\r\nTransfer-Encoding: gzip", 501),
    ] {
        let answer = ask(&node, head);
        assert_eq!(answer.head.status, status, "{head:?}: {answer:?}");
    }
    status_is_served(&node);
}

#[test]
fn unknown_methods_are_501_and_wrong_ones_405() {
    let node = node();
    for (line, status) in [
        ("BREW /radio.mp3", 501),
        ("TRACE /", 501),
        ("PROPFIND /api/v1/mounts", 501),
        ("DELETE /radio.mp3", 405),
        ("POST /radio.mp3", 405),
        ("PATCH /radio.mp3", 405),
        ("POST /", 405),
    ] {
        let answer = ask(&node, &format!("{line} HTTP/1.1\r\nHost: h"));
        assert_eq!(answer.head.status, status, "{line}: {answer:?}");
        assert!(answer.head.header("Allow").is_some(), "{answer:?}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let node = node();
    let mut wire = Wire::to(&node);
    wire.say(
        "GET /first.mp3 HTTP/1.1\r\nHost: h\r\n\r\n\
         OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n\
         HEAD /third.mp3 HTTP/1.1\r\nHost: h\r\n\r\n\
         DELETE /fourth.mp3 HTTP/1.1\r\nHost: h\r\n\r\n\
         GET /status.json HTTP/1.1\r\nHost: h\r\n\r\n\
         GET /never.mp3 HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert_eq!(wire.answer().head.status, 404);
    assert_eq!(wire.answer().head.status, 200);
    assert_eq!(wire.head().status, 404);
    assert_eq!(wire.answer().head.status, 405);
    let status = wire.answer();
    assert_eq!(status.head.status, 200);
    assert_eq!(wire.answer().head.status, 404);
}

#[test]
fn the_body_of_a_refused_source_is_no_request() {
    let node = node();
    for framing in ["Content-Length: 34", "Transfer-Encoding: chunked", "X: y"] {
        let mut wire = Wire::to(&node);
        wire.say(format!(
            "PUT /radio.mp3 HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n\
             GET /status.json HTTP/1.1\r\n\r\n\r\n\r\n"
        ));
        assert_eq!(wire.answer().head.status, 401, "{framing}");
        assert_eq!(wire.hear_end(), b"", "{framing}: nothing else is answered");
    }
}
