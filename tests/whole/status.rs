//! Any node answers for the whole mesh, in the fields that scripts rely on.

use serde_json::Value;

use crate::support::http::get;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::player::Player;
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

const STATUS_FIELDS: [&str; 9] = [
    "cluster",
    "epoch",
    "master",
    "mounts",
    "node",
    "nodes",
    "started_unix_s",
    "uptime_s",
    "version",
];
const NODE_FIELDS: [&str; 18] = [
    "bandwidth_bps",
    "clock_offset_ms",
    "dns",
    "listeners",
    "maintenance",
    "master",
    "max_bandwidth_bps",
    "max_listeners",
    "name",
    "place",
    "predicted_utilization",
    "rank",
    "state",
    "tags",
    "url",
    "utilization",
    "version",
    "weight_percent",
];
const MOUNT_FIELDS: [&str; 14] = [
    "bitrate_bps",
    "bitrate_kbps",
    "content_type",
    "description",
    "genre",
    "holders",
    "listener_peak",
    "listeners",
    "name",
    "path",
    "slow_listeners",
    "source",
    "title",
    "url",
];
/// The fields that a mount on air has besides.
const ON_AIR_FIELDS: [&str; 1] = ["format"];
const SOURCE_FIELDS: [&str; 5] = [
    "connected_s",
    "node",
    "offset",
    "started_unix_s",
    "stream_id",
];

/// The names of an object's fields, in order of the alphabet.
fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}

fn status(node: &TestNode) -> Value {
    let answer = get(&node.address(), "/status.json").unwrap();
    let content_type = answer.head.header("content-type").unwrap();
    assert!(content_type.starts_with("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn the_status_has_exactly_the_documented_fields() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    mesh.create_mount("/silent.mp3", PASSWORD);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[2].url()));
    player.wait_for_more(60 * FRAME_BYTES);
    mesh.wait_each_sees(RADIO, "its listener and its bitrate", |mount| {
        mount.listeners == 1 && (120_000..136_000).contains(&mount.bitrate_bps)
    });
    for node in &mesh.nodes {
        let status = status(node);
        assert_eq!(fields(&status), STATUS_FIELDS);
        assert_eq!(status["node"], node.name());
        assert!(
            status["epoch"].is_u64() && status["uptime_s"].is_u64(),
            "{status}"
        );
        let nodes = status["nodes"].as_array().unwrap();
        let names: Vec<&str> = nodes.iter().filter_map(|it| it["name"].as_str()).collect();
        assert_eq!(names, ["n1", "n2", "n3"]);
        for (shown, real) in nodes.iter().zip(&mesh.nodes) {
            assert_eq!(fields(shown), NODE_FIELDS);
            assert_eq!(shown["url"], real.url());
            assert_eq!(shown["state"], "alive");
            assert_eq!(shown["master"], shown["name"] == status["master"]);
            assert_eq!(shown["max_listeners"], 1_000);
        }
        let mounts = status["mounts"].as_array().unwrap();
        assert_eq!(mounts.len(), 2);
        let (radio, silent) = (&mounts[0], &mounts[1]);
        assert_eq!(fields(silent), MOUNT_FIELDS);
        let of_radio = fields(radio).into_iter();
        let (more, usual): (Vec<_>, Vec<_>) =
            of_radio.partition(|name| ON_AIR_FIELDS.contains(name));
        assert_eq!(
            (more.as_slice(), usual.as_slice()),
            (&ON_AIR_FIELDS[..], &MOUNT_FIELDS[..])
        );
        let format = &radio["format"];
        assert_eq!(format["bitrate_bps"], radio["bitrate_bps"]);
        let (container, codec) = (&format["container"], &format["codec"]);
        assert_eq!(
            (container.as_str(), codec.as_str()),
            (Some("mpeg"), Some("mp3"))
        );
        assert_eq!(
            (&format["sample_rate_hz"], &format["channels"]),
            (&44_100.into(), &2.into())
        );
        assert_eq!(
            (radio["path"].as_str(), silent["path"].as_str()),
            (Some(RADIO), Some("/silent.mp3"))
        );
        assert_eq!(radio["content_type"], "audio/mpeg");
        assert_eq!(fields(&radio["source"]), SOURCE_FIELDS);
        assert_eq!(radio["source"]["node"], "n1");
        assert!(radio["source"]["offset"].as_u64() <= Some(source.frames() * FRAME_BYTES as u64));
        assert_eq!(silent["source"], Value::Null);
    }
}

#[test]
fn a_playlist_names_the_address_that_was_asked() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    for node in &mesh.nodes {
        let answer = get(&node.address(), "/radio.mp3.m3u").unwrap();
        assert_eq!(answer.head.status, 200, "{answer:?}");
        assert_eq!(answer.head.header("content-type"), Some("audio/x-mpegurl"));
        let url = format!("{}{RADIO}", node.url());
        assert!(
            answer.text().lines().any(|line| line == url),
            "{}",
            answer.text()
        );
        let missing = get(&node.address(), "/nothing.mp3.m3u").unwrap();
        assert_eq!(missing.head.status, 404);
    }
}
