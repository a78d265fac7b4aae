//! Requests by plain HTTP at nodes that can be reached by HTTPS: some are sent there, and logins are refused where TLS is required.

use crate::support::http::{Answer, ask, basic};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
const HTTPS: &str = "https://radio.example";
/// A client of the world, as a trusted proxy on this machine names it.
const STRANGER: &str = "X-Forwarded-For: 192.0.2.9\r\n";
const STRANGER_BY_TLS: &str = "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n";

/// A node behind a proxy that speaks HTTPS, with these lines in its settings file.
fn mesh(settings: &str) -> TestMesh {
    let mesh = TestMesh::start_with(1, |_, setup: Setup| {
        let flags = [
            "--trusted-proxies",
            "127.0.0.1",
            "--public-https-url",
            HTTPS,
        ];
        setup.with(&flags).configured(settings)
    });
    mesh.create_mount(RADIO, PASSWORD);
    mesh
}

/// The answer to a request with these headers, and a body of two bytes if it is no GET.
fn answer(node: &TestNode, line: &str, headers: &str) -> Answer {
    let address = node.address();
    let (length, body) = match line.starts_with("GET") {
        true => ("", ""),
        false => ("Content-Length: 2\r\n", "{}"),
    };
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    );
    ask(&address, &request).unwrap()
}

fn status(node: &TestNode, line: &str, headers: &str) -> u16 {
    answer(node, line, headers).head.status
}

#[test]
fn pages_and_streams_are_sent_to_https_as_it_is_set() {
    let redirected = |settings: &str| -> Vec<&str> {
        let mesh = mesh(settings);
        let node = &mesh.nodes[0];
        let lines = [
            "GET /?part=mesh",
            "GET /admin/moveclients?mount=/a",
            "POST /admin/moveclients",
            "GET /radio.mp3?x=1",
            "GET /radio.mp3.m3u",
            "GET /_stream/n1/radio.mp3",
            "GET /livez",
            "GET /status.json",
            "GET /admin/metadata?mount=/radio.mp3",
            "GET /api/v1/mounts",
            "GET /.well-known/acme-challenge/x",
        ];
        let is_sent = |line: &&str| {
            let answer = answer(node, line, STRANGER);
            let target = line.split(' ').nth(1).unwrap();
            let there = format!("{HTTPS}{target}");
            answer.head.status == 307 && answer.head.header("location") == Some(&*there)
        };
        let sent: Vec<&str> = lines.into_iter().filter(is_sent).collect();
        for line in &sent {
            let by_tls = answer(node, line, STRANGER_BY_TLS).head;
            assert_ne!(by_tls.status, 307, "{line} by HTTPS");
            let from_here = answer(node, line, "").head;
            assert_ne!(from_here.status, 307, "{line} from this machine");
        }
        sent
    };
    let pages = [
        "GET /?part=mesh",
        "GET /admin/moveclients?mount=/a",
        "POST /admin/moveclients",
    ];
    assert_eq!(redirected(""), Vec::<&str>::new(), "the proxy decides");
    assert_eq!(redirected("https_redirect = \"off\"\n"), Vec::<&str>::new());
    assert_eq!(redirected("https_redirect = \"pages\"\n"), pages);
    let mesh = mesh("https_redirect = \"pages\"\n");
    let other = answer(&mesh.nodes[0], "GET http://other.example/?a", STRANGER).head;
    let there = format!("{HTTPS}/?a");
    assert_eq!(other.header("location"), Some(&*there), "another host");
    let streams = ["GET /radio.mp3?x=1", "GET /radio.mp3.m3u"];
    assert_eq!(
        redirected("https_redirect = \"all\"\n"),
        [&pages[..], &streams].concat()
    );
}

#[test]
fn logins_by_plain_http_are_refused_where_tls_is_required() {
    let mesh = mesh("require_tls_for = [\"admin\", \"source\"]\n");
    let node = &mesh.nodes[0];
    let token = format!("Authorization: Bearer {}\r\n", node.token());
    let source = format!("Authorization: {}\r\n", basic("source", PASSWORD));
    for (line, login) in [
        ("GET /api/v1/mounts", &token),
        ("POST /api/v1/mounts", &token),
        ("PUT /radio.mp3", &source),
        ("SOURCE /radio.mp3", &source),
        (
            "GET /admin/metadata?mode=updinfo&mount=/radio.mp3&song=x",
            &source,
        ),
    ] {
        let refused = answer(node, line, &format!("{STRANGER}{login}"));
        assert_eq!(refused.head.status, 426, "{line}");
        assert_eq!(refused.head.header("upgrade"), Some("TLS/1.2"), "{line}");
        let said = refused.text();
        assert!(said.contains(&format!("ask at {HTTPS}")), "{said}");
        let by_tls = status(node, line, &format!("{STRANGER_BY_TLS}{login}"));
        assert_ne!(by_tls, 426, "{line} by HTTPS");
    }
    for open in ["GET /", "GET /status.json", "GET /radio.mp3.m3u"] {
        assert_ne!(status(node, open, STRANGER), 426, "{open}");
    }
    assert_eq!(status(node, "GET /api/v1/mounts", &token), 200, "from here");
}

#[test]
fn a_password_by_plain_http_is_warned_of_once() {
    const WARNING: &str = "a password came by plain HTTP";
    let mesh = mesh("");
    let node = &mesh.nodes[0];
    let token = format!("Authorization: Bearer {}\r\n", node.token());
    let times = || node.log().matches(WARNING).count();
    assert_eq!(status(node, "GET /api/v1/mounts", &token), 200);
    let by_tls = format!("{STRANGER_BY_TLS}{token}");
    assert_eq!(status(node, "GET /api/v1/mounts", &by_tls), 200);
    assert_eq!(times(), 0, "from this machine, and by HTTPS");
    for _ in 0..2 {
        let plain = format!("{STRANGER}{token}");
        assert_eq!(status(node, "GET /api/v1/mounts", &plain), 200);
    }
    assert_eq!(times(), 1);
    assert!(!node.log().contains(&node.token()), "a secret in the log");
}
