//! Headers that operators add to answers: for a node, for a mount, for one status.

use crate::support::http::{Head, ask, get};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::player::ask_for_stream;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
const OF_NODES: &str = r#"http_headers = ["X-Node: 1", "404 X-Lost: yes", "X-Both: node"]"#;
const OF_MOUNT: &str = r#""http_headers":
    "X-Mount: 2 | x-both: mount | 302 X-Sent: on | 403 X-Full: yes | access-control-allow-origin: http://a.example""#;

fn told(head: &Head, name: &str) -> Vec<String> {
    let pairs = head.lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'));
    let named = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim().to_owned()).collect()
}

fn asked(node: &TestNode, path: &str) -> Head {
    let url = format!("{}{path}", node.url());
    ask_for_stream(&url).unwrap().1
}

#[test]
fn k67_headers_are_added_where_they_belong() {
    let mesh = TestMesh::start_with(2, |index, setup| {
        let setup = setup.configured(OF_NODES);
        match index {
            0 => setup.with(&["--max-listeners", "0"]),
            _ => setup,
        }
    });
    let (front, back) = (&mesh.nodes[0], &mesh.nodes[1]);
    front.create_mount_with(
        RADIO,
        PASSWORD,
        &format!("\"max_listeners\": 1, {OF_MOUNT}"),
    );
    mesh.wait_for_mount(RADIO);
    let missing = asked(back, RADIO);
    let _source = KnownSource::start(front, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let sent = asked(front, RADIO);
    let at_back = format!("/_stream/n1{RADIO}");
    let (_listener, stream) = ask_for_stream(&format!("{}{at_back}", back.url())).unwrap();
    mesh.wait_each_sees(RADIO, "its only listener", |mount| mount.listeners == 1);
    let full = asked(back, RADIO);
    let list = asked(back, "/radio.mp3.m3u");
    for (head, status) in [
        (&missing, 404),
        (&sent, 302),
        (&stream, 200),
        (&full, 403),
        (&list, 200),
    ] {
        assert_eq!(head.status, status, "{head:?}");
        assert_eq!(told(head, "x-node"), ["1"], "{head:?}");
        assert_eq!(told(head, "x-mount"), ["2"], "{head:?}");
        assert_eq!(told(head, "x-both"), ["mount"], "{head:?}");
        let origins = told(head, "access-control-allow-origin");
        assert_eq!(origins, ["http://a.example"], "{head:?}");
        for (name, only) in [("x-lost", 404), ("x-sent", 302), ("x-full", 403)] {
            let times = told(head, name).len();
            assert_eq!(times, usize::from(status == only), "{name}: {head:?}");
        }
    }
    // A browser asks before it plays; and a source that is refused is answered too.
    for (method, path, status) in [
        ("OPTIONS", RADIO, 204),
        ("OPTIONS", at_back.as_str(), 204),
        ("OPTIONS", "/radio.mp3.m3u", 204),
        ("PUT", RADIO, 401),
        ("DELETE", RADIO, 405),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let head = ask(&back.address(), &request).unwrap().head;
        assert_eq!(head.status, status, "{method} {path}: {head:?}");
        let origins = told(&head, "access-control-allow-origin");
        assert_eq!(origins, ["http://a.example"], "{method} {path}: {head:?}");
        assert_eq!(
            told(&head, "x-both"),
            ["mount"],
            "{method} {path}: {head:?}"
        );
    }
    for (path, status) in [
        ("/none.mp3", 404),
        ("/", 200),
        ("/status.json", 200),
        ("/x.json", 404),
    ] {
        let head = get(&back.address(), path).unwrap().head;
        assert_eq!(head.status, status, "{path}");
        assert_eq!(told(&head, "x-node"), ["1"], "{path}: {head:?}");
        assert_eq!(told(&head, "x-both"), ["node"], "{path}: {head:?}");
        assert_eq!(
            told(&head, "x-lost").len(),
            usize::from(status == 404),
            "{path}"
        );
        assert!(told(&head, "x-mount").is_empty(), "{path}: {head:?}");
    }
    // An edit holds at once, and what players need cannot be replaced.
    let edit = r#"{"http_headers": ""}"#;
    let edited = back
        .api("PATCH", &format!("/api/v1/mounts{RADIO}"), edit)
        .unwrap();
    assert_eq!(edited.head.status, 200, "{}", edited.text());
    assert_eq!(told(&asked(back, RADIO), "x-mount"), [""; 0]);
    for bad in ["Content-Length: 5", "302 Location: /", "X", "A: 1\nB: 2"] {
        let edit = serde_json::json!({ "http_headers": bad }).to_string();
        let refused = back
            .api("PATCH", &format!("/api/v1/mounts{RADIO}"), &edit)
            .unwrap();
        assert_eq!(refused.head.status, 400, "{bad}: {}", refused.text());
    }
}
