//! Pages for programs that know Icecast: names, types and numbers are the same, and stations have their names
//! everywhere.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::http::{ask, get};
use crate::support::icecast::{self, Icecast};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The headers by which a trusted proxy tells that its client speaks HTTPS.
const HTTPS: &str = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n";

fn stats_at(address: &str, target: &str, headers: &str) -> Value {
    let asked = format!("GET {target} HTTP/1.0\r\nHost: radio.example\r\n{headers}\r\n");
    let answer = ask(address, &asked).unwrap();
    assert_eq!(answer.head.status, 200, "{answer:?}");
    let mut read: Value = serde_json::from_slice(&answer.body).unwrap();
    read["icestats"].take()
}

fn stats(node: &TestNode, target: &str) -> Value {
    stats_at(&node.address(), target, "")
}

/// The kind of each value, by its name.
fn kinds(object: &Value) -> BTreeMap<&str, &'static str> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() => "whole number",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let fields = object.as_object().unwrap().iter();
    fields
        .map(|(key, value)| (key.as_str(), kind(value)))
        .collect()
}

/// A text with each digit as a 0: what a date looks like.
fn shape(text: &Value) -> String {
    let text = text.as_str().unwrap();
    let words = text.split(' ').map(|word| match word.parse::<u32>() {
        Ok(_) => "0".to_owned(),
        Err(_) if word.len() == 3 && word.chars().all(char::is_alphabetic) => "Mmm".to_owned(),
        Err(_) => word.replace(|letter: char| letter.is_ascii_digit(), "0"),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn one_node(more: &[&str]) -> TestMesh {
    TestMesh::start_with(1, |_, setup| setup.with(more))
}

#[test]
fn the_fields_of_streams_are_those_of_icecast() {
    if !have("icecast2") {
        return;
    }
    let theirs = Icecast::start(20, &[]);
    let _their_source = KnownSource::start_at(&theirs.address(), RADIO, icecast::PASSWORD);
    let look = || so(theirs.is_on_air(RADIO), "not yet");
    eventually(PATIENCE, "on air at icecast2", look);
    let mesh = one_node(&[]);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    let player = Player::tune_in(&format!("{}{RADIO}", node.url()));
    player.wait_for_more(60 * FRAME_BYTES);
    let (ours, theirs) = (
        stats(node, "/status-json.xsl"),
        stats_at(&theirs.address(), "/status-json.xsl", ""),
    );
    println!("icecast2: {theirs}\nantiphon: {ours}");
    assert_eq!(kinds(&ours), kinds(&theirs));
    let (our, their) = (&ours["source"], &theirs["source"]);
    // Icecast repeats the header in which a bitrate was declared.
    let mut expected = kinds(their);
    expected.remove("ice-bitrate");
    // Icecast has the sound only if the source says it, where here the bytes tell, and the slow ones on other pages.
    expected.extend(
        ["samplerate", "channels", "slow_listeners"].map(|figure| (figure, "whole number")),
    );
    assert_eq!(kinds(our), expected);
    for same in [
        "bitrate",
        "genre",
        "server_description",
        "server_name",
        "server_type",
        "server_url",
    ] {
        assert_eq!(our[same], their[same], "{same}");
    }
    for date in ["server_start", "server_start_iso8601"] {
        assert_eq!(shape(&ours[date]), shape(&theirs[date]), "{date}");
    }
    for date in ["stream_start", "stream_start_iso8601"] {
        assert_eq!(shape(&our[date]), shape(&their[date]), "{date}");
    }
    assert_eq!(our["listenurl"], format!("{}{RADIO}", node.url()));
    assert_eq!(
        (&our["listeners"], &our["listener_peak"]),
        (&1.into(), &1.into())
    );
    assert_eq!(ours["host"], "127.0.0.1");
    let measured_bps = node.status().mounts[0].bitrate_bps;
    println!(
        "declared 128 kbit/s, measured {measured_bps} bit/s, shown {}",
        our["bitrate"]
    );
    assert!(
        measured_bps < 128_000,
        "a frame without padding is a little short"
    );
    assert_eq!(our["bitrate"], 128);
}

#[test]
fn sources_are_an_object_or_a_list() {
    let mesh = one_node(&[]);
    let node = &mesh.nodes[0];
    assert!(stats(node, "/status-json.xsl").get("source").is_none());
    mesh.create_mount(RADIO, PASSWORD);
    mesh.create_mount("/b.mp3", PASSWORD);
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    assert!(stats(node, "/status-json.xsl")["source"].is_object());
    let _second = KnownSource::start(node, "/b.mp3", PASSWORD);
    mesh.wait_on_air("/b.mp3");
    let all = stats(node, "/status-json.xsl");
    assert_eq!(all["source"].as_array().unwrap().len(), 2);
    for target in [
        "/status-json.xsl?mount=/b.mp3",
        "/status-json.xsl?mount=%2Fb.mp3",
    ] {
        let one = stats(node, target);
        assert_eq!(one["source"]["listenurl"], format!("{}/b.mp3", node.url()));
    }
    let none = stats(node, "/status-json.xsl?mount=/none.mp3");
    assert!(none.get("source").is_none() && none.get("dummy").is_some());
}

#[test]
fn clients_by_https_are_led_to_https() {
    let trusting = [
        "--trusted-proxies",
        "127.0.0.1",
        "--admin",
        "me@radio.example",
        "--location",
        "Graz",
    ];
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&trusting),
        _ => setup.with(&["--public-https-url", "https://two.example"]),
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let address = mesh.nodes[0].address();
    let listen_url = |headers: &str| {
        stats_at(&address, "/status-json.xsl", headers)["source"]["listenurl"].take()
    };
    assert_eq!(listen_url(HTTPS), "https://radio.example/radio.mp3");
    let told = stats_at(&address, "/status-json.xsl", "");
    assert_eq!(
        (&told["admin"], &told["location"]),
        (&"me@radio.example".into(), &"Graz".into())
    );
    assert_eq!(listen_url(""), format!("http://{address}/radio.mp3"));
    for part in ["/", "/?part=mesh"] {
        let asked = format!("GET {part} HTTP/1.0\r\nHost: radio.example\r\n{HTTPS}\r\n");
        let page = ask(&address, &asked).unwrap().text();
        assert!(page.contains("href=\"https://two.example/\""), "{page}");
        assert!(!page.contains("href=\"http://"), "{page}");
    }
    // A node that trusts no proxy does not believe it.
    let second = stats_at(&mesh.nodes[1].address(), "/status-json.xsl", HTTPS);
    let wanted = format!("{}{RADIO}", mesh.nodes[1].url());
    assert_eq!(second["source"]["listenurl"], wanted);
}

#[test]
fn a_station_is_shown_by_its_name_everywhere() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[1];
    // What the source is called, told by another node.
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_each_sees(RADIO, "the source's name", |mount| mount.name == "Known");
    assert_shown(node, "Known");
    let edit = node.api(
        "PATCH",
        "/api/v1/mounts/radio.mp3",
        r#"{"name":"Radio <Own> & more"}"#,
    );
    assert_eq!(edit.unwrap().head.status, 200);
    mesh.wait_each_sees(RADIO, "its own name", |mount| {
        mount.name == "Radio <Own> & more"
    });
    assert_shown(node, "Radio <Own> & more");
}

fn assert_shown(node: &TestNode, name: &str) {
    let escaped = name
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    for (target, wanted) in [
        ("/", format!("<h3><bdi>{escaped}</bdi></h3>")),
        (
            "/?part=mesh",
            format!("<bdi>{escaped}</bdi><small>{RADIO}</small>"),
        ),
        ("/status.json", format!("\"name\": \"{name}\"")),
        ("/status-json.xsl", format!("\"server_name\": \"{name}\"")),
        ("/radio.mp3.m3u", format!("#EXTINF:-1,{name}\r\nhttp://")),
        ("/radio.mp3.pls", format!("Title1={name}\r\n")),
        ("/radio.mp3.xspf", format!("<title>{escaped}</title>")),
    ] {
        let shown = get(&node.address(), target).unwrap().text();
        assert!(shown.contains(&wanted), "{wanted} in {target}: {shown}");
    }
    let shown = done(&node.command("status", &[]));
    assert!(shown.contains(name), "{shown}");
}

#[test]
fn the_peak_is_that_of_the_whole_mesh() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let listen =
        |node: usize| Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[node].url()));
    let seen = |listeners: u32, peak: u32| {
        let what = format!("{listeners} listeners and a peak of {peak}");
        mesh.wait_each_sees(RADIO, &what, |mount| {
            (mount.listeners, mount.listener_peak) == (listeners, peak)
        });
        println!("{what}");
    };
    let first: Vec<Player> = (0..3).map(|_| listen(0)).collect();
    seen(3, 3);
    drop(first);
    seen(0, 3);
    let second: Vec<Player> = (0..3).map(|_| listen(1)).collect();
    seen(3, 3);
    let third = [listen(0), listen(1)];
    seen(5, 5);
    drop(third);
    seen(3, 5);
    drop(second);
    seen(0, 5);
}

#[test]
fn an_unnamed_stream_is_shown_as_by_icecast() {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    let address = node.address();
    let login = crate::support::http::basic("source", PASSWORD);
    let mut source = node.connect();
    let head = format!("SOURCE {RADIO} HTTP/1.0\r\nAuthorization: {login}\r\n\r\n");
    source.send(head).unwrap();
    assert_eq!(source.head().unwrap().status, 200);
    for number in 0..20 {
        source.send(crate::support::signal::frame(number)).unwrap();
    }
    let look = || {
        let told = stats_at(&address, "/status-json.xsl", "");
        so(told["source"]["bitrate"] == 128, told)
    };
    eventually(PATIENCE, "a bitrate that was measured", look);
    let told = stats_at(&address, "/status-json.xsl", "");
    assert_eq!(told["source"]["server_name"], "Unspecified name");
    assert_eq!(told["source"]["genre"], "various");
    assert!(told["source"].get("title").is_none() && told["source"].get("server_url").is_none());
}
