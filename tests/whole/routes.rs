//! The methods of every address that a node answers besides streams and sources.

use crate::support::http::{Answer, ask};
use crate::support::node::{Setup, TestNode};

/// Paths, and the methods that each has.
const ROUTES: [(&str, &str); 25] = [
    ("/", "GET, HEAD, STATS, OPTIONS"),
    ("/status.json", "GET, HEAD, OPTIONS"),
    ("/status-json.xsl", "GET, HEAD, OPTIONS"),
    ("/load.xsl", "GET, HEAD, OPTIONS"),
    ("/livez", "GET, HEAD, OPTIONS"),
    ("/healthz", "GET, HEAD, OPTIONS"),
    ("/readyz", "GET, HEAD, OPTIONS"),
    ("/admin/metadata", "GET, HEAD, POST, OPTIONS"),
    ("/api/v1/admin", "PATCH, OPTIONS"),
    ("/api/v1/candidates", "GET, HEAD, OPTIONS"),
    ("/api/v1/explain", "GET, HEAD, OPTIONS"),
    ("/api/v1/listeners", "GET, HEAD, OPTIONS"),
    ("/api/v1/listeners/n1:1", "DELETE, OPTIONS"),
    ("/api/v1/mounts", "GET, HEAD, POST, OPTIONS"),
    (
        "/api/v1/mounts/radio.mp3",
        "GET, HEAD, PATCH, DELETE, OPTIONS",
    ),
    ("/api/v1/node/drain", "POST, OPTIONS"),
    ("/api/v1/node/undrain", "POST, OPTIONS"),
    ("/api/v1/node/step-down", "POST, OPTIONS"),
    ("/api/v1/nodes", "GET, HEAD, OPTIONS"),
    ("/api/v1/nodes/n1", "PATCH, DELETE, OPTIONS"),
    ("/api/v1/nodes/n1/drain", "POST, OPTIONS"),
    ("/api/v1/outside", "GET, HEAD, POST, OPTIONS"),
    ("/api/v1/policy", "GET, HEAD, PATCH, OPTIONS"),
    ("/radio.mp3.m3u", "GET, HEAD, OPTIONS"),
    ("/_stream/n1/radio.mp3", "GET, HEAD, OPTIONS"),
];

fn send(node: &TestNode, line: &str, headers: &str) -> Answer {
    let request = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    ask(&node.address(), &request).unwrap()
}

#[test]
fn a_wrong_method_is_answered_with_allowed_ones() {
    let node = Setup::named("n1").start();
    for (path, allowed) in ROUTES {
        for method in ["GET", "PUT", "SOURCE", "POST", "PATCH", "DELETE"] {
            if allowed.contains(method) {
                continue;
            }
            let login = "Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n";
            for headers in ["", login] {
                let headers = format!("Content-Length: 0\r\n{headers}");
                let answer = send(&node, &format!("{method} {path}"), &headers);
                assert_eq!(answer.head.status, 405, "{method} {path}: {answer:?}");
                let told = answer.head.header("allow");
                assert_eq!(told, Some(allowed), "{method} {path}");
                assert!(answer.text().contains(allowed), "{answer:?}");
            }
        }
        // One that no path has.
        let answer = send(&node, &format!("BREW {path}"), "");
        assert_eq!(answer.head.status, 501, "{path}: {answer:?}");
        assert_eq!(answer.head.header("allow"), Some(allowed), "BREW {path}");
    }
}

#[test]
fn options_tells_the_methods_of_a_path() {
    let node = Setup::named("n1").start();
    let preflight = "Origin: https://player.example\r\nAccess-Control-Request-Method: DELETE\r\n\
                     Access-Control-Request-Headers: authorization, x-antiphon-request\r\n";
    for (path, allowed) in ROUTES {
        let answer = send(&node, &format!("OPTIONS {path}"), preflight);
        assert_eq!(answer.head.status, 204, "{path}: {answer:?}");
        assert_eq!(answer.head.header("allow"), Some(allowed), "{path}");
        let header = |name: &str| answer.head.header(name).unwrap_or_default().to_lowercase();
        let to_others = header("access-control-allow-methods");
        assert!(!to_others.contains("patch") && !to_others.contains("delete"));
        assert_eq!(to_others.contains("get"), allowed.contains("GET"), "{path}");
        let headers = header("access-control-allow-headers");
        assert!(headers.contains("authorization"), "{headers}");
        assert!(!headers.contains("x-antiphon"), "{headers}");
    }
    for path in ["/api/v1/nothing", "/admin/nothing", "/api", "/admin"] {
        for method in ["OPTIONS", "PUT", "SOURCE"] {
            let answer = send(&node, &format!("{method} {path}"), preflight);
            assert_eq!(answer.head.status, 404, "{path}: {answer:?}");
            assert_eq!(answer.head.header("allow"), None, "{path}");
        }
    }
}

#[test]
fn head_is_answered_wherever_get_is() {
    let node = Setup::named("n1").start();
    let login = format!("Authorization: Bearer {}\r\n", node.token());
    let paths = ROUTES.iter().filter(|(_, allowed)| allowed.contains("GET"));
    for (path, _) in paths {
        let got = send(&node, &format!("GET {path}"), &login);
        let mut connection = node.connect();
        let request =
            format!("HEAD {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{login}\r\n");
        connection.send(request).unwrap();
        let head = connection.head().unwrap();
        assert_eq!(head.status, got.head.status, "{path}: {head:?}");
        assert!(connection.some(1).unwrap().is_empty(), "{path}: no body");
    }
}

#[test]
fn an_unknown_address_says_where_to_look() {
    let node = Setup::named("n1").start();
    for line in [
        "GET /api/v1/nothing",
        "POST /api/v1/nothing",
        "GET /favicon.ico",
        "DELETE /api/v1/nodes/n1/drain/x",
    ] {
        let answer = send(&node, line, "Content-Length: 0\r\n");
        assert_eq!(answer.head.status, 404, "{line}: {answer:?}");
        assert!(answer.text().contains("docs/protocol.md"), "{answer:?}");
    }
}

#[test]
fn an_address_is_read_by_one_rule_everywhere() {
    let node = Setup::named("n1").start();
    let login = format!("Authorization: Bearer {}\r\n", node.token());
    for (line, status) in [
        ("GET /livez/", 200),
        ("GET /status.json/", 200),
        ("GET /api/v1/nodes/", 200),
        ("GET /livez//", 400),
        ("DELETE /api/v1/listeners/1%40n%31", 404),
        ("POST /api/v1/nodes/n%31/undrain", 204),
        ("GET /api/v1/listeners?mount", 400),
        ("GET /api/v1/listeners?mount=/a&mount=/b", 400),
        ("GET /api/v1/candidates?mount=/a&mount=/b", 400),
        ("GET /api/v1/candidates?mount=/a&most=1&most=2", 400),
        ("POST /api/v1/node/drain?deadline_s=1&deadline_s=2", 400),
        ("POST /api/v1/node/drain?deadline_s", 400),
    ] {
        let answer = send(&node, line, &format!("{login}Content-Length: 0\r\n"));
        assert_eq!(answer.head.status, status, "{line}: {answer:?}");
    }
}

#[test]
fn a_body_in_chunks_needs_a_client_that_speaks_them() {
    let node = Setup::named("n1").start();
    let login = format!("Authorization: Bearer {}\r\n", node.token());
    let request = format!(
        "POST /api/v1/mounts HTTP/1.0\r\nHost: h\r\n{login}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    let answer = ask(&node.address(), &request).unwrap();
    assert_eq!(answer.head.status, 400, "{answer:?}");
    assert!(answer.text().contains("Content-Length"), "{answer:?}");
}
