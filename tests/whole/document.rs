//! The settings that an operator makes on any node are known to every node, and kept.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon::io::disk::DataDir;
use antiphon::logic::document::{Document, TOMBSTONE_LIFE};
use antiphon::logic::records::admin;
use antiphon::logic::records::mounts;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use serde_json::{Value, json};

use crate::support::http::get;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::{KnownSource, knock};

const PASSWORD: &str = "hackme-not";

/// A mount is usable everywhere within a second; other tests keep both cores busy meanwhile.
const SPREAD_LIMIT: Duration = Duration::from_secs(3);

/// Whether a source with this password is let in; it leaves at once.
fn lets_in(node: &TestNode, mount: &str, password: &str) -> u16 {
    knock(&node.address(), mount, password).unwrap().1.status
}

/// Path, name and limit of each mount that a node knows.
fn told(node: &TestNode) -> Value {
    let answer = node.api("GET", "/api/v1/mounts", "").unwrap();
    let specs: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    let told = specs
        .iter()
        .map(|it| json!([it["path"], it["name"], it["max_listeners"]]));
    told.collect()
}

#[test]
fn a_mount_is_usable_on_every_node() {
    let mesh = TestMesh::start(3);
    for (index, creator) in mesh.nodes.iter().enumerate() {
        let path = format!("/of-{}.mp3", creator.name());
        creator.create_mount(&path, PASSWORD);
        let known = mesh.wait_for_mount(&path);
        println!("{path} was known everywhere after {known:?}");
        assert!(known <= SPREAD_LIMIT, "{known:?}");
        let user = &mesh.nodes[(index + 1) % 3];
        let _source = KnownSource::start(user, &path, PASSWORD);
        let elsewhere = &mesh.nodes[(index + 2) % 3];
        assert_eq!(lets_in(elsewhere, &path, "wrong"), 401);
        mesh.wait_on_air(&path);
        let player = Player::tune_in(&format!("{}{path}", elsewhere.url()));
        player.wait_for_more(20 * FRAME_BYTES);
        signal::check(&player.bytes());
    }
}

#[test]
fn a_node_that_joins_empty_learns_all() {
    let mut mesh = TestMesh::start(1);
    let paths: Vec<String> = (0..40)
        .map(|index| format!("/radio-{index:02}.mp3"))
        .collect();
    for path in &paths {
        mesh.nodes[0].create_mount(path, PASSWORD);
    }
    mesh.nodes[0].delete_mount(&paths[39]);
    let newcomer = mesh.add_joining(0);
    let look = || {
        let known = newcomer.mounts();
        so(known == paths[..39], format!("{known:?}"))
    };
    let (_, learnt) = eventually(PATIENCE, "the newcomer knows all mounts", look);
    println!("39 mounts were learnt after {learnt:?}");
    assert_eq!(lets_in(newcomer, &paths[0], PASSWORD), 200);
    assert_eq!(lets_in(newcomer, &paths[39], PASSWORD), 404);
}

#[test]
fn a_full_restart_keeps_the_whole_document() {
    let mut mesh = TestMesh::start(3);
    for path in ["/a.mp3", "/b.mp3", "/gone.mp3"] {
        mesh.create_mount(path, PASSWORD);
    }
    mesh.nodes[1].delete_mount("/gone.mp3");
    let named = "{\"name\":\"Radio A\",\"max_listeners\":5}";
    let changed = mesh.nodes[2]
        .api("PATCH", "/api/v1/mounts/a.mp3", named)
        .unwrap();
    assert_eq!(changed.head.status, 200, "{}", changed.text());
    // What must come of it is said here, and not asked of a node: none has to have heard of everything yet.
    let wanted = json!([["/a.mp3", "Radio A", 5], ["/b.mp3", "", null]]);
    let same = |mesh: &TestMesh| {
        for node in &mesh.nodes {
            let seen = told(node);
            so(seen == wanted, format!("{} has {seen}", node.name()))?;
        }
        Ok::<_, String>(())
    };
    // Not yet everywhere when they stop: a node that has not heard of it learns it in its next life.
    for node in &mut mesh.nodes {
        assert!(node.stop().success());
    }
    for node in &mut mesh.nodes {
        node.restart();
    }
    eventually(PATIENCE, "every node has every mount", || same(&mesh));
    assert_eq!(lets_in(&mesh.nodes[0], "/b.mp3", PASSWORD), 200);

    for node in &mut mesh.nodes {
        node.kill9();
    }
    for node in &mut mesh.nodes {
        node.restart();
    }
    eventually(PATIENCE, "and after a crash", || same(&mesh));
}

#[test]
fn a_deletion_ends_source_and_listeners_everywhere() {
    let mesh = TestMesh::start(3);
    mesh.create_mount("/kept.mp3", PASSWORD);
    mesh.create_mount("/doomed.mp3", PASSWORD);
    let source = KnownSource::start(&mesh.nodes[0], "/doomed.mp3", PASSWORD);
    let kept = KnownSource::start(&mesh.nodes[0], "/kept.mp3", PASSWORD);
    mesh.wait_on_air("/doomed.mp3");
    mesh.wait_on_air("/kept.mp3");
    let tune_in = |path: &str| {
        let urls = mesh
            .nodes
            .iter()
            .map(|it| format!("{}/_stream/n1{path}", it.url()));
        urls.map(|url| Player::tune_in(&url)).collect::<Vec<_>>()
    };
    let (doomed, spared) = (tune_in("/doomed.mp3"), tune_in("/kept.mp3"));
    for player in doomed.iter().chain(&spared) {
        player.wait_for_more(20 * FRAME_BYTES);
    }
    mesh.nodes[2].delete_mount("/doomed.mp3");
    let look = || {
        so(source.is_closed(), "the source sends on")?;
        let on = doomed.iter().find(|player| !player.is_closed());
        on.map_or(Ok(()), |player| Err(format!("{} plays on", player.url)))
    };
    let (_, gone) = eventually(PATIENCE, "its source and listeners are gone", look);
    println!("all were gone after {gone:?}");
    for node in &mesh.nodes {
        let answer = get(&node.address(), "/doomed.mp3").unwrap();
        assert_eq!(answer.head.status, 404, "{answer:?}");
        assert_eq!(lets_in(node, "/doomed.mp3", PASSWORD), 404);
    }
    for player in &spared {
        player.wait_for_more(20 * FRAME_BYTES);
    }
    assert!(!kept.is_closed());
}

#[test]
fn a_mounts_name_keeps_to_its_alphabet() {
    let mesh = TestMesh::start(2);
    let long = format!("/{}/{}", "x".repeat(64), "y".repeat(64));
    for path in ["/a", "/A.Mp3", "/~user/live-1_hq.v2.mp3", "/1/2/3/4", &long] {
        mesh.create_mount(path, PASSWORD);
        let _source = KnownSource::start(&mesh.nodes[0], path, PASSWORD);
        mesh.wait_on_air(path);
        let escape = |letter: char| format!("%{:02x}", u32::from(letter));
        let escaped: String = path[1..].chars().map(escape).collect();
        let escaped = format!("/{}", escaped.replace("%2f", "/"));
        for target in [path, &escaped] {
            let player = Player::tune_in(&format!("{}{target}", mesh.nodes[1].url()));
            player.wait_for_more(FRAME_BYTES);
        }
        mesh.nodes[1].delete_mount(path);
    }
    let too_long = format!("/{}", "x".repeat(65));
    for path in [
        "/",
        "",
        "x.mp3",
        "//",
        "/a//b",
        "/a/",
        "/.",
        "/../x",
        "/a/./b",
        "/a b",
        "/ü.mp3",
        "/a%20b",
        "/a?b",
        "/a#b",
        "/a\\nb",
        "/1/2/3/4/5",
        "/admin/x",
        "/_stream/x",
        "/x.m3u",
        "/x.json",
        &too_long,
    ] {
        let body = format!("{{\"path\":\"{path}\",\"password\":\"{PASSWORD}\"}}");
        let answer = mesh.nodes[0].api("POST", "/api/v1/mounts", &body).unwrap();
        assert_eq!(answer.head.status, 400, "{path:?}: {}", answer.text());
        assert!(
            answer.text().contains("error"),
            "says why: {}",
            answer.text()
        );
    }
    assert_eq!(mesh.nodes[0].mounts(), [""; 0]);
}

/// A document with one mount that was deleted at each of these times, unix milliseconds; saved just now.
fn document_of_deletions(deleted: &[(&str, u64)], now_ms: u64) -> Vec<u8> {
    let mut document = Document::new(NodeName::try_from("n1").unwrap());
    for (path, at_ms) in deleted {
        let key = mounts::key(&MountName::try_from(*path).unwrap());
        let fields = admin::changes("$argon2id$x").into_fields();
        document.edit(&key, fields, at_ms - 1).unwrap();
        document.delete(&key, *at_ms).unwrap();
    }
    serde_json::to_vec(&document.saved(now_ms)).unwrap()
}

#[test]
fn old_deletions_are_forgotten() {
    let mut node = Setup::named("n1").start();
    node.stop();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = now.as_millis() as u64;
    let old_ms = now_ms - TOMBSTONE_LIFE.as_millis() as u64 - 60_000;
    let deleted = [("/old.mp3", old_ms), ("/new.mp3", now_ms - 60_000)];
    let data_dir = DataDir::open(&node.data_dir()).unwrap();
    let bytes = document_of_deletions(&deleted, now_ms);
    data_dir.save("document", &bytes).unwrap();
    drop(data_dir);
    node.restart();
    let file = node.data_dir().join("document");
    let look = || {
        let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        so(!text.contains("mount/old.mp3"), text.clone())?;
        so(text.contains("mount/new.mp3"), text)
    };
    eventually(PATIENCE, "only the old deletion is forgotten", look);
}
