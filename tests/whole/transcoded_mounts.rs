//! Mounts that are transcoded from others, as an operator creates, changes and deletes them.

use std::process::Output;

use serde_json::Value;

use crate::support::http::get;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::knock;

const RADIO: &str = "/radio.mp3";
const SMALL: &str = "/radio-64.opus";
const PASSWORD: &str = "hackme-not";

fn antiphon_mount(node: &TestNode, arguments: &str) -> Output {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    node.command("mount", &arguments)
}

/// The reason why a command was refused by the node.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The answer of the API, as JSON, and its status.
fn asked(node: &TestNode, method: &str, target: &str, body: &str) -> (u16, Value) {
    let answer = node.api(method, target, body).unwrap();
    let json = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.head.status, json)
}

fn create_small(node: &TestNode) {
    let create = format!(
        "create {SMALL} --transcode-from {RADIO} --codec opus --bitrate 64k --sample-rate 48000 --channels 2 --on-demand"
    );
    let said = done(&antiphon_mount(node, &create));
    assert_eq!(said, format!("created {SMALL}, transcoded from {RADIO}\n"));
}

#[test]
fn a_playlist_names_the_family_of_a_mount() {
    let node = Setup::named("n1").start();
    node.create_mount_with(RADIO, PASSWORD, r#""name": "Radio Known""#);
    let playlist = || get(&node.address(), "/radio.m3u").unwrap();
    assert_eq!(playlist().head.status, 404, "nothing is transcoded yet");
    done(&antiphon_mount(&node, &format!("ladder {RADIO}")));
    let told = playlist();
    assert_eq!(told.head.header("content-type"), Some("audio/x-mpegurl"));
    let url = node.url();
    let members = [
        ("Radio Known", "/radio.mp3"),
        ("Radio Known, MP3, 128 kbit/s", "/radio-128.mp3"),
        ("Radio Known, AAC, 96 kbit/s", "/radio-96.aac"),
        ("Radio Known, MP3, 64 kbit/s", "/radio-64.mp3"),
        ("Radio Known, Opus, 64 kbit/s", "/radio-64.opus"),
    ];
    let lines = members.map(|(title, path)| format!("#EXTINF:-1,{title}\r\n{url}{path}\r\n"));
    assert_eq!(told.text(), format!("#EXTM3U\r\n{}", lines.concat()));
    let list = get(&node.address(), "/radio.pls").unwrap().text();
    assert!(list.contains("NumberOfEntries=5\r\n"), "{list}");
}

#[test]
fn a_transcoded_mount_is_shown_everywhere_and_takes_no_encoder() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    create_small(&mesh.nodes[1]);
    mesh.wait_for_mount(SMALL);
    for node in &mesh.nodes {
        let shown = done(&antiphon_mount(node, &format!("show {SMALL}")));
        for line in [
            "transcode_from      /radio.mp3\n",
            "codec               opus\n",
            "bitrate             64k\n",
            "sample_rate         48000\n",
            "channels            2\n",
            "quality             usual\n",
            "on_demand           true\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        let listed = done(&antiphon_mount(node, "list"));
        assert!(listed.contains("TRANSCODED FROM"), "{listed}");
        let target = format!("/api/v1/mounts{SMALL}");
        let (status, json) = asked(node, "GET", &target, "");
        assert_eq!((status, &json["bitrate"]), (200, &64_000.into()));
        let (_, head) = knock(&node.address(), SMALL, PASSWORD).unwrap();
        assert_eq!(head.status, 403, "{head:?}");
        let why = "/radio-64.opus is transcoded from /radio.mp3 and takes no encoder";
        assert!(head.lines[0].ends_with(why), "{head:?}");
    }
    // The name of a hidden mount is told to nobody.
    let node = &mesh.nodes[0];
    done(&antiphon_mount(node, &format!("set {RADIO} hidden=true")));
    let (_, head) = knock(&node.address(), SMALL, PASSWORD).unwrap();
    assert!(!head.lines[0].contains(RADIO), "{head:?}");

    let said = done(&antiphon_mount(
        node,
        &format!("set {SMALL} transcode_from= --verbose"),
    ));
    assert!(
        said.contains("\ncodec\n") && said.contains("on_demand           false\n"),
        "{said}"
    );
    assert!(
        said.ends_with("set one: antiphon mount set /radio-64.opus password=…\n"),
        "{said}"
    );
    let set = format!("set {SMALL} password={PASSWORD}");
    done(&antiphon_mount(node, &set));
    let look = || {
        let (_, head) = knock(&mesh.nodes[1].address(), SMALL, PASSWORD).unwrap();
        so(head.status == 200, format!("{head:?}"))
    };
    eventually(PATIENCE, "an ordinary mount takes an encoder", look);
}

#[test]
fn streams_that_cannot_be_made_are_refused_by_the_api() {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    for (body, said) in [
        (
            r#"{"path":"/a","transcode_from":"/radoi.mp3","codec":"mp3"}"#,
            "transcode_from: there is no mount /radoi.mp3; did you mean /radio.mp3?",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3"}"#,
            "codec: missing: say which one is made, mp3, aac, he-aac, vorbis, opus or flac",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"ogg"}"#,
            "codec: must be `mp3`, `aac`, `he-aac`, `vorbis`, `opus` or `flac`",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"mp3","bitrate":24000}"#,
            "bitrate: mp3 of 44100 Hz, stereo, has 32k, 40k,",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"opus","sample_rate":44100}"#,
            "sample_rate: opus has 48000, 24000, 16000, 12000 or 8000, not 44100",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"aac","channels":6}"#,
            "channels: must be a number, such as 1, from 1 to 2",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"mp3","bitrate":"64k","quality":2}"#,
            "quality: not together with bitrate",
        ),
        (
            r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"flac","bitrate":"64k"}"#,
            "bitrate: flac loses nothing",
        ),
        (
            r#"{"path":"/a","transcode_from":"/a","codec":"mp3"}"#,
            "transcode_from: a circle, /a from /a",
        ),
        (
            r#"{"path":"/a","codec":"mp3"}"#,
            "codec: only for a mount that is transcoded",
        ),
    ] {
        let (status, json) = asked(&node, "POST", "/api/v1/mounts", body);
        let error = json["error"].as_str().unwrap_or_default();
        assert!(
            status == 400 && error.starts_with(said),
            "{body}: {status} {error}"
        );
    }
    let created = r#"{"path":"/a","transcode_from":"/radio.mp3","codec":"mp3","bitrate":64000}"#;
    let (status, json) = asked(&node, "POST", "/api/v1/mounts", created);
    assert_eq!((status, json.get("password")), (201, None), "{json}");
    let circle = r#"{"transcode_from":"/a","codec":"mp3"}"#;
    let (status, json) = asked(&node, "PATCH", "/api/v1/mounts/radio.mp3", circle);
    let error = json["error"].as_str().unwrap_or_default();
    let said = "transcode_from: a circle, /radio.mp3 from /a from /radio.mp3: ";
    assert!(status == 400 && error.starts_with(said), "{status} {error}");
    assert_eq!(node.mounts(), ["/a", RADIO]);
}

#[test]
fn a_source_of_others_is_deleted_by_force_only() {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    create_small(&node);
    let why = refused(&antiphon_mount(&node, &format!("delete {RADIO}")));
    assert!(
        why.contains("/radio-64.opus is transcoded from /radio.mp3"),
        "{why}"
    );
    assert!(why.contains("--force"), "{why}");
    let target = format!("/api/v1/mounts{RADIO}");
    for (query, status) in [("", 409), ("?force=false", 409), ("?force=yes", 400)] {
        let (answered, json) = asked(&node, "DELETE", &format!("{target}{query}"), "");
        assert_eq!(answered, status, "{query} {json}");
    }
    done(&antiphon_mount(&node, &format!("delete {RADIO} --force")));
    assert_eq!(node.mounts(), [SMALL]);
    let look = || {
        let log = node.log();
        let said = log.contains("this mount cannot be transcoded");
        so(
            said && log.contains("there is no mount /radio.mp3"),
            "nothing is logged",
        )
    };
    eventually(PATIENCE, "the log says what is left without a stream", look);
    done(&antiphon_mount(&node, &format!("delete {SMALL}")));
    let gone = refused(&antiphon_mount(&node, &format!("delete {SMALL}")));
    assert!(gone.contains("there is no mount"), "{gone}");
}

#[test]
fn a_ladder_is_created_once() {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    let family = ["/radio-128.mp3", "/radio-64.mp3", SMALL, "/radio-96.aac"];
    let dry = done(&antiphon_mount(&node, &format!("ladder {RADIO} --dry-run")));
    assert!(family.iter().all(|path| dry.contains(path)), "{dry}");
    assert_eq!(dry.matches("would be created\n").count(), 4, "{dry}");
    assert_eq!(node.mounts(), [RADIO]);

    create_small(&node);
    let made = done(&antiphon_mount(&node, &format!("ladder {RADIO}")));
    assert_eq!(made.matches(" created\n").count(), 3, "{made}");
    assert_eq!(made.matches("is there already\n").count(), 1, "{made}");
    let again = done(&antiphon_mount(&node, &format!("ladder {RADIO}")));
    assert_eq!(again.matches("is there already\n").count(), 4, "{again}");
    for path in family {
        let (_, json) = asked(&node, "GET", &format!("/api/v1/mounts{path}"), "");
        assert_eq!(json["transcode_from"], RADIO, "{json}");
    }

    node.create_mount("/jazz", PASSWORD);
    node.create_mount("/jazz-96.aac", PASSWORD);
    let before = node.mounts();
    let why = refused(&antiphon_mount(&node, "ladder /jazz"));
    assert!(
        why.contains("/jazz-96.aac is another mount already"),
        "{why}"
    );
    assert_eq!(node.mounts(), before, "nothing was created");
    let why = refused(&antiphon_mount(&node, "ladder /jaz"));
    assert!(
        why.contains("there is no mount /jaz; did you mean /jazz?"),
        "{why}"
    );
}
