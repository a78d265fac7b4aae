//! Sources and pages that would make a browser manage the mesh with the password that it remembers.

use super::wire::{Wire, ask, basic, source};
use super::{MOUNT, PASSWORD, is_on_air, node_with_mount, wait_log, wait_status};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};

/// The headers that keep a browser from reading an answer as a page.
const NO_PAGE: [(&str, &str); 2] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox"),
];

/// A page whose script drains the node that it comes from.
const EVIL: &str = "<!doctype html><script>fetch('/api/v1/node/drain', {method: 'POST'})</script>";

fn is_no_page(node: &TestNode, line: &str) -> String {
    let mut wire = Wire::to(node);
    wire.say(format!(
        "{line} HTTP/1.1\r\nHost: h\r\nIcy-MetaData: 1\r\n\r\n"
    ));
    let head = wire.head();
    for (name, value) in NO_PAGE {
        assert_eq!(head.header(name), Some(value), "{line}: {head:?}");
    }
    let said = head.header("Content-Type").unwrap_or_default().to_owned();
    println!("{line}: {} {said}", head.status);
    said
}

#[test]
fn no_stream_is_ever_served_as_a_page() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(MOUNT, PASSWORD);
    for (said, served) in [
        ("text/html", "application/octet-stream"),
        ("audio/mpeg, text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("audio/x+xml", "application/octet-stream"),
        ("Audio/MPEG", "audio/mpeg"),
    ] {
        let (one, other) = (&mesh.nodes[0], &mesh.nodes[1]);
        let mut wire = source(one, MOUNT, PASSWORD, said);
        wire.say(EVIL.repeat(1_000));
        mesh.wait_each_sees(MOUNT, "the source", |mount| mount.source.is_some());
        for node in [one, other] {
            for line in [
                format!("GET {MOUNT}?redirect=no"),
                format!("HEAD {MOUNT}?redirect=no"),
                format!("GET /_stream/n1{MOUNT}"),
                format!("HEAD /_stream/n1{MOUNT}"),
            ] {
                assert_eq!(is_no_page(node, &line), served, "{said}");
            }
            for ending in ["", ".m3u", ".pls", ".xspf"] {
                is_no_page(node, &format!("GET {MOUNT}{ending}"));
            }
        }
        if said == "text/html" {
            wait_log(one, "a warning", |log| log.contains("said=\"text/html\""));
        }
        drop(wire);
        mesh.wait_each_sees(MOUNT, "no source", |mount| mount.source.is_none());
    }
}

#[test]
fn answers_with_foreign_words_are_no_pages() {
    let node = node_with_mount();
    for line in [
        "GET /none.mp3",
        "GET /%3Cscript%3E.json",
        "GET /../x",
        "DELETE /radio.mp3",
        "BREW /%3Cscript%3E",
        "GET /radio.mp3.xspf",
        "GET /status.json",
        "GET /status-json.xsl",
        "GET /load.xsl",
        "GET /admin/metadata?mount=%3Cscript%3E",
        "GET /api/v1/mounts/%3Cscript%3E",
        "GET /api/v1/candidates?mount=%3Cscript%3E",
        "POST /api/v1/node/drain",
    ] {
        is_no_page(&node, line);
    }
    let mut source = source(
        &node,
        MOUNT,
        PASSWORD,
        "audio/mpeg\r\nice-url: javascript:alert(1)",
    );
    source.say("audio");
    wait_status(&node, "on air", is_on_air);
    let mut listener = Wire::to(&node);
    listener.say(format!("GET {MOUNT} HTTP/1.1\r\n\r\n"));
    let head = listener.head();
    assert_eq!(
        (head.status, head.header("icy-url")),
        (200, None),
        "{head:?}"
    );
}

/// The password that a node prints at its first start, once it is valid: it is stored after it was shown.
fn admin_password(node: &TestNode) -> String {
    const BEFORE: &str = "admin password, shown this once: ";
    wait_log(node, "the admin password", |log| log.contains(BEFORE));
    let log = node.log();
    let (_, shown) = log.split_once(BEFORE).expect("it was waited for");
    let password = shown.lines().next().expect("a line").to_owned();
    let login = basic("admin", &password);
    let head = format!("GET /api/v1/mounts HTTP/1.1\r\nHost: h\r\n{login}");
    eventually(PATIENCE, "the admin password is valid", || {
        let status = ask(node, &head).head.status;
        so(status == 200, status)
    });
    password
}

#[test]
fn a_remembered_password_alone_changes_nothing() {
    let node = node_with_mount();
    let login = basic("admin", &admin_password(&node));
    let host = node.address();
    let browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept-Language: en";
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b";
    let own = format!("Origin: http://{host}");
    let (own, mark) = (own.as_str(), "X-Antiphon-Request: 1");
    let both = format!("{own}\r\n{mark}");
    let undrain = "POST /api/v1/node/undrain";
    let title = format!("GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=x");
    let delete = format!("DELETE /api/v1/mounts{MOUNT}");
    let asked = |line: &str, headers: &str| {
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n{headers}");
        ask(&node, &head).head.status
    };
    for (line, headers, status) in [
        (undrain, "User-Agent: curl/8.5.0\r\nAccept: */*", 204),
        (undrain, form, 204),
        (undrain, &format!("{browser}\r\n{form}"), 403),
        (undrain, &format!("{browser}\r\n{own}\r\n{form}"), 403),
        (undrain, "Sec-Fetch-Site: same-origin", 403),
        (undrain, "Sec-Fetch-Site: none", 403),
        (
            undrain,
            &format!("Sec-Fetch-Site: cross-site\r\n{mark}"),
            403,
        ),
        (undrain, "Origin: null", 403),
        (
            undrain,
            &format!("Origin: http://evil.example\r\n{mark}"),
            403,
        ),
        (undrain, own, 403),
        (undrain, &both, 204),
        ("POST /api/v1/node/drain", own, 403),
        ("POST /api/v1/mounts", own, 403),
        ("PATCH /api/v1/policy", own, 403),
        (&delete, own, 403),
        ("GET /api/v1/mounts", own, 200),
        ("GET /api/v1/mounts", "Sec-Fetch-Site: cross-site", 403),
        // Nobody sends, so who may set a title reads 400.
        (&title, "User-Agent: (Mozilla Compatible)", 400),
        (&title, "Sec-Fetch-Site: none", 400),
        (&title, browser, 403),
        (&title, "Sec-Fetch-Site: cross-site", 403),
        (
            &title,
            &format!("{browser}\r\nReferer: http://evil.example/"),
            403,
        ),
    ] {
        assert_eq!(asked(line, headers), status, "{line}: {headers}");
    }
    assert_eq!(node.mounts(), [MOUNT]);
    assert_eq!(
        node.status().nodes[0].state,
        antiphon::model::status::NodeState::Alive
    );
    let log = node.log();
    assert!(
        log.contains("refused: a page of another site may not do this"),
        "{log}"
    );
}
