//! Playlists lead back to the node by the way that the client has come: its host, its scheme, through its proxy.

use crate::support::http::{Answer, ask};
use crate::support::node::{Setup, TestNode};

const PASSWORD: &str = "hackme-not";
const ALL: [(&str, &str, &str); 4] = [
    ("m3u", "audio/x-mpegurl", "\r\n@\r\n"),
    ("pls", "audio/x-scpls", "\r\nFile1=@\r\n"),
    (
        "xspf",
        "application/xspf+xml; charset=UTF-8",
        "<location>@</location>",
    ),
    (
        "vclt",
        "audio/x-vclt",
        "STREAMURL=@\nSERVER_NAME=Known\n==\n",
    ),
];

fn node() -> TestNode {
    let setup = Setup::named("n1").with(&[
        "--trusted-proxies",
        "127.0.0.1",
        "--public-url",
        "http://radio.example:8000",
        "--public-https-url",
        "https://radio.example",
    ]);
    let node = setup.start();
    node.create_mount_with("/radio.mp3", PASSWORD, r#""name": "Known""#);
    node
}

fn asked(node: &TestNode, kind: &str, version: &str, more: &str) -> Answer {
    let request =
        format!("GET /radio.mp3.{kind} HTTP/{version}\r\n{more}Connection: close\r\n\r\n");
    ask(&node.address(), &request).unwrap()
}

#[test]
fn a_playlist_names_the_way_that_the_client_has_come() {
    let node = node();
    let https = "X-Forwarded-Proto: https\r\n";
    for (version, more, base) in [
        (
            "1.1",
            "Host: a.example:8000\r\n".to_owned(),
            "http://a.example:8000",
        ),
        (
            "1.1",
            "Host: [2001:db8::1]:8000\r\n".to_owned(),
            "http://[2001:db8::1]:8000",
        ),
        (
            "1.0",
            "Host: 2001:db8::1\r\n".to_owned(),
            "http://[2001:db8::1]",
        ),
        (
            "1.1",
            format!("Host: a.example\r\n{https}"),
            "https://a.example",
        ),
        (
            "1.1",
            format!("Host: inner:80\r\nX-Forwarded-Host: a.example\r\n{https}"),
            "https://a.example",
        ),
        ("1.0", String::new(), "http://radio.example:8000"),
        ("1.0", https.to_owned(), "https://radio.example"),
    ] {
        for (kind, media_type, part) in ALL {
            let answer = asked(&node, kind, version, &more);
            assert_eq!(answer.head.status, 200, "{kind} {more}");
            assert_eq!(answer.head.header("content-type"), Some(media_type));
            let part = part.replace('@', &format!("{base}/radio.mp3"));
            let text = answer.text();
            assert!(text.contains(&part), "{kind}, {more:?}, {part:?}: {text}");
        }
    }
    for (kind, _, _) in ALL {
        let request = format!("GET /none.{kind} HTTP/1.0\r\n\r\n");
        assert_eq!(ask(&node.address(), &request).unwrap().head.status, 404);
    }
}
