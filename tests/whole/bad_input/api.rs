//! Requests to the API of mounts that are not carried out.

use serde_json::Value;

use super::wire::{Wire, ask, basic};
use super::{MOUNT, PASSWORD, node_with_mount};
use crate::support::http::Answer;
use crate::support::node::TestNode;

/// Sends a body to the API, with the token of the node.
fn send(node: &TestNode, method: &str, path: &str, body: &[u8]) -> Answer {
    let mut wire = Wire::to(node);
    wire.say(format!(
        "{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        node.token(),
        body.len()
    ));
    // A node that has read enough may hang up before the end.
    drop(wire.try_say(body));
    wire.answer()
}

fn error_of(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).expect("an error is JSON");
    body["error"]
        .as_str()
        .expect("an error is a text")
        .to_owned()
}

#[test]
fn without_the_right_nothing_is_shown_or_changed() {
    let node = node_with_mount();
    let token = node.token();
    let logins = [
        "X: y".to_owned(),
        "Authorization: Bearer wrong".to_owned(),
        format!("Authorization: Bearer {token}0"),
        format!("Authorization: Bearer {}", &token[1..]),
        "Authorization: Bearer".to_owned(),
        format!("Authorization: {token}"),
        basic("admin", "wrong"),
        basic("source", PASSWORD),
        basic("admin", &token),
    ];
    let one = format!("/api/v1/mounts{MOUNT}");
    let requests = [
        "GET /api/v1/mounts",
        "POST /api/v1/mounts",
        &format!("GET {one}"),
        &format!("PATCH {one}"),
        &format!("DELETE {one}"),
        "GET /api/v1/mounts/other.mp3",
    ];
    for request in requests {
        for login in &logins {
            let answer = ask(&node, &format!("{request} HTTP/1.1\r\nHost: h\r\n{login}"));
            assert_eq!(answer.head.status, 401, "{request} {login}: {answer:?}");
            assert!(
                answer.head.header("WWW-Authenticate").is_some(),
                "{answer:?}"
            );
            assert!(!error_of(&answer).contains(&token), "{answer:?}");
        }
    }
    assert_eq!(node.mounts(), [MOUNT]);
    let title =
        format!("GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=x HTTP/1.1\r\nHost: h");
    assert_eq!(ask(&node, &title).head.status, 401);
}

#[test]
fn a_bad_body_is_refused() {
    let node = node_with_mount();
    let blank = |bytes: usize| vec![b' '; bytes];
    for (body, status) in [
        (blank(100_000), 413),
        (blank(5_000_000), 413),
        (b"".to_vec(), 400),
        (b"[]".to_vec(), 400),
        (b"{".to_vec(), 400),
        (b"\xff\xfe".to_vec(), 400),
        ("[".repeat(60_000).into_bytes(), 400),
    ] {
        let answer = send(&node, "POST", "/api/v1/mounts", &body);
        let begin = &body[..body.len().min(8)];
        assert_eq!(
            answer.head.status,
            status,
            "{} bytes {begin:?}: {answer:?}",
            body.len()
        );
        assert!(error_of(&answer).contains("body"), "{answer:?}");
    }
    let answer = send(&node, "GET", "/api/v1/mounts", b"");
    assert_eq!(answer.head.status, 200, "it goes on: {answer:?}");
}

#[test]
fn a_field_that_makes_no_sense_is_named() {
    let node = node_with_mount();
    let long = "x".repeat(2_000);
    let long_name = format!("\"name\":\"{long}\"");
    let long_password = format!("\"password\":\"{long}\"");
    for (fields, named) in [
        ("\"name\":\"x\"", "path"),
        ("\"path\":5", "path"),
        ("\"path\":\"radio\"", "path"),
        ("\"path\":\"/admin/x\"", "path"),
        ("\"path\":\"/a/../b\"", "path"),
        ("\"path\":\"/a b\"", "path"),
        ("\"path\":\"/a.m3u\"", "path"),
        ("\"path\":\"/a\",\"colour\":\"red\"", "colour"),
        ("\"path\":\"/a\",\"max_listeners\":0", "max_listeners"),
        ("\"path\":\"/a\",\"max_listeners\":-1", "max_listeners"),
        ("\"path\":\"/a\",\"max_listeners\":1.5", "max_listeners"),
        (
            "\"path\":\"/a\",\"max_listeners\":99999999999",
            "max_listeners",
        ),
        ("\"path\":\"/a\",\"max_listeners\":true", "max_listeners"),
        (
            "\"path\":\"/a\",\"max_listeners\":\"many\"",
            "max_listeners",
        ),
        ("\"path\":\"/a\",\"name\":\"a\\nb\"", "name"),
        ("\"path\":\"/a\",\"description\":{}", "description"),
        ("\"path\":\"/a\",\"url\":\"ftp://x\"", "url"),
        ("\"path\":\"/a\",\"genre\":\"a\\u0000\"", "genre"),
        ("\"path\":\"/a\",\"password\":\"\"", "password"),
        ("\"path\":\"/a\",\"password\":5", "password"),
        ("\"path\":\"/a\",\"password_hash\":\"x\"", "password"),
        (&format!("\"path\":\"/a\",{long_name}"), "name"),
        (&format!("\"path\":\"/a\",{long_password}"), "password"),
    ] {
        let answer = send(
            &node,
            "POST",
            "/api/v1/mounts",
            format!("{{{fields}}}").as_bytes(),
        );
        assert_eq!(answer.head.status, 400, "{fields}: {answer:?}");
        let error = error_of(&answer);
        assert!(error.contains(named), "{fields}: {error}");
        let patched = fields
            .strip_prefix("\"path\":\"/a\",")
            .unwrap_or("\"max_listeners\":0");
        let one = format!("/api/v1/mounts{MOUNT}");
        let answer = send(&node, "PATCH", &one, format!("{{{patched}}}").as_bytes());
        assert_eq!(answer.head.status, 400, "{patched}: {answer:?}");
    }
    assert_eq!(node.mounts(), [MOUNT], "none of them was made");
}

#[test]
fn missing_things_are_404_and_existing_ones_409() {
    let node = node_with_mount();
    for method in ["GET", "PATCH", "DELETE"] {
        let answer = send(&node, method, "/api/v1/mounts/other.mp3", b"{}");
        assert_eq!(answer.head.status, 404, "{method}: {answer:?}");
    }
    let again = format!("{{\"path\":\"{MOUNT}\"}}");
    let answer = send(&node, "POST", "/api/v1/mounts", again.as_bytes());
    assert_eq!(answer.head.status, 409, "{answer:?}");
    let answer = send(&node, "PUT", "/api/v1/mounts", b"{}");
    assert_eq!(answer.head.status, 405, "{answer:?}");
    let answer = send(&node, "GET", "/api/v2/mounts", b"");
    assert_eq!(answer.head.status, 404, "{answer:?}");
}

#[test]
fn a_name_is_a_text_of_its_own() {
    let node = node_with_mount();
    let outside = "/api/v1/outside";
    let mounts = "/api/v1/mounts";
    let one = format!("/api/v1/mounts{MOUNT}");
    let taken = format!(
        r#"{{"name":"{}","public_url":"http://cdn.example:8000"}}"#,
        node.name()
    );
    for (method, path, body, status, why) in [
        ("POST", outside, r#"{"name":1}"#, 400, "`name`"),
        ("POST", outside, taken.as_str(), 409, "is a node"),
        ("POST", mounts, r#"{"path":1}"#, 400, "`path`"),
        (
            "PATCH",
            &one,
            r#"{"name":18446744073709551616}"#,
            400,
            "`name`",
        ),
    ] {
        let answer = send(&node, method, path, body.as_bytes());
        assert_eq!(answer.head.status, status, "{body}: {answer:?}");
        assert!(error_of(&answer).contains(why), "{answer:?}");
    }
}
