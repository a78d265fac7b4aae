//! A disk that is full or read-only: a node says so, promises nothing that it cannot keep, and serves all the same.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{PASSWORD, node, wait_log, wait_status};
use crate::support::http;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;

/// How much a small disk takes: what a node needs to begin, and some.
const DISK_BYTES: &str = "512k";

/// A disk of its own, so small that it can be filled.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with a word about it, if this user may not mount one.
    fn over(path: PathBuf) -> Option<Self> {
        let size = format!("size={DISK_BYTES},mode=700");
        let mounted = mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], &path);
        if !mounted {
            let test = std::thread::current();
            let test = test.name().unwrap_or("a test").to_owned();
            println!("{test}: skipped, because only root can mount a small disk");
        }
        mounted.then(|| Self(path))
    }

    /// Fills it to the last byte; gives the file that does.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = File::create(&filler).expect("there is room for a name");
        for size in [4_096, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        filler
    }

    fn make(&self, mode: &str) {
        let option = format!("remount,{mode}");
        assert!(mount(&["-o", &option], &self.0), "remounted {mode}");
    }
}

fn mount(arguments: &[&str], path: &PathBuf) -> bool {
    let mut mount = Command::new("mount");
    mount.args(arguments).arg(path).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the node that is killed after this still has it open.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

/// A request to create a mount; its status and what it says.
fn create(node: &TestNode, path: &str) -> (u16, String) {
    let body = format!("{{\"path\":\"{path}\",\"password\":\"{PASSWORD}\"}}");
    let answer = node
        .api("POST", "/api/v1/mounts", &body)
        .expect("it answers");
    (answer.head.status, answer.text())
}

fn ready(node: &TestNode) -> (u16, String) {
    let answer = http::get(&node.address(), "/readyz").expect("it answers");
    (answer.head.status, answer.text())
}

/// Expects that every kind of edit is refused with 507 and its reason, and that everybody can see why.
fn expect_refusals(node: &TestNode, why: &str) {
    let created = create(node, "/meanwhile.mp3");
    println!("an edit was answered {created:?}");
    for (method, target, body) in [
        ("PATCH", "/api/v1/mounts/before.mp3", "{\"name\":\"x\"}"),
        ("DELETE", "/api/v1/mounts/before.mp3", ""),
        ("PATCH", "/api/v1/policy", "{\"policy\":\"weight,water\"}"),
        ("PATCH", "/api/v1/nodes/n1", "{\"weight\":\"50\"}"),
        (
            "POST",
            "/api/v1/outside",
            "{\"name\":\"far\",\"public_url\":\"http://127.0.0.1:1\",\"mounts\":\"/before.mp3=/far.mp3\"}",
        ),
    ] {
        let answer = node.api(method, target, body).expect("it answers");
        assert_eq!(answer.head.status, 507, "{target}: {}", answer.text());
        assert!(answer.text().contains(why), "{target}: {}", answer.text());
    }
    assert_eq!(created.0, 507, "{}", created.1);
    assert!(created.1.contains("nothing was changed"), "{}", created.1);
    assert!(created.1.contains(why), "{}", created.1);
    assert_eq!(node.mounts(), ["/before.mp3"], "a refusal leaves no trace");
    let (status, text) = ready(node);
    assert!(
        status == 200 && text.contains(why),
        "/readyz: {status} {text}"
    );
    let seen = node.opinion_of("n1").expect("it knows itself").disk;
    assert_eq!(seen.as_deref(), Some(why));
    let shown = node.command("status", &[]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(why), "{shown}");
}

fn expect_service(node: &TestNode) {
    let source = KnownSource::start(node, "/before.mp3", PASSWORD);
    let player = Player::tune_in(&format!("{}/before.mp3", node.url()));
    player.wait_for_more(20 * FRAME_BYTES);
    assert!(!source.is_closed());
}

/// Expects that edits are taken again within a moment, and kept over a crash.
fn expect_recovery(node: &mut TestNode) {
    wait_log(node, "it saves again", |log| {
        log.contains("the document is saved again")
    });
    eventually(PATIENCE, "it says that all is well", || {
        let (status, text) = ready(node);
        so(status == 200 && text == "ok\n", text)
    });
    assert_eq!(create(node, "/after.mp3").0, 201);
    node.kill9();
    node.restart();
    assert_eq!(node.mounts(), ["/after.mp3", "/before.mp3"]);
}

#[test]
fn a_full_disk_is_said_in_the_answer() {
    let mut node = node();
    node.kill9();
    let Some(disk) = SmallDisk::over(node.data_dir()) else {
        return;
    };
    node.restart();
    node.create_mount("/before.mp3", PASSWORD);
    let filler = disk.fill();
    expect_refusals(&node, "the disk is full");
    let log = node.log();
    assert!(log.contains("No space left on device"), "{log}");
    expect_service(&node);

    node.kill9();
    node.restart();
    assert_eq!(node.mounts(), ["/before.mp3"], "it starts on a full disk");
    expect_refusals(&node, "the disk is full");
    expect_service(&node);
    assert_eq!(node.status().master, None, "it is no candidate for a seat");
    fs::remove_file(filler).expect("our own file");
    expect_recovery(&mut node);
    wait_status(&node, "it is the master", |it| it.master.is_some());
    node.kill9();
    drop(disk); // before the node's own folder goes, in which it is
}

#[test]
fn a_node_on_a_read_only_disk_starts_and_serves() {
    let mut node = node();
    node.kill9();
    let Some(disk) = SmallDisk::over(node.data_dir()) else {
        return;
    };
    node.restart();
    node.create_mount("/before.mp3", PASSWORD);
    node.kill9();
    disk.make("ro");
    node.restart();
    expect_refusals(&node, "the disk is read-only");
    expect_service(&node);
    assert_eq!(node.status().master, None, "it is no candidate for a seat");
    disk.make("rw");
    expect_recovery(&mut node);
    node.kill9();
    drop(disk);
}

#[test]
fn a_full_disk_costs_lines_of_the_logs_and_no_listener() {
    let mut node = node();
    node.kill9();
    let Some(disk) = SmallDisk::over(node.data_dir()) else {
        return;
    };
    node.restart();
    node.create_mount("/before.mp3", PASSWORD);
    let source = KnownSource::start(&node, "/before.mp3", PASSWORD);
    let player = Player::tune_in(&format!("{}/before.mp3", node.url()));
    let filler = disk.fill();
    let trouble = || {
        // Each is a line, and the block that the file has already is full at some time.
        for _ in 0..20 {
            http::get(&node.address(), "/livez").expect("it answers");
        }
        node.opinion_of("n1").and_then(|it| it.logs)
    };
    let (why, _) = eventually(PATIENCE, "the status says it", || {
        trouble().ok_or("nothing")
    });
    assert_eq!(why, "access.log is not written: no storage space");
    player.wait_for_more(20 * FRAME_BYTES);
    fs::remove_file(filler).expect("our own file");
    eventually(PATIENCE, "it is written again", || match trouble() {
        None => Ok(()),
        Some(why) => Err(why),
    });
    let log = node.log();
    assert_eq!(log.matches("a log is not written").count(), 1, "{log}");
    assert!(log.contains("a log is written again"), "{log}");
    let noted = fs::read_to_string(node.data_dir().join("logs/access.log")).unwrap();
    for line in noted.lines() {
        let is_whole = line.starts_with("127.0.0.0 - ") && line.ends_with(" 0");
        assert!(is_whole, "{line}");
    }
    assert!(!source.is_closed() && !player.is_closed());
    drop((source, player));
    node.kill9();
    drop(disk);
}

#[test]
fn a_full_disk_leaves_edits_to_the_peers() {
    let mut mesh = TestMesh::start(3);
    let full = 2; // of equal ranks the last name is the first heir
    mesh.nodes[full].kill9();
    let Some(disk) = SmallDisk::over(mesh.nodes[full].data_dir()) else {
        return;
    };
    mesh.nodes[full].restart();
    mesh.wait_agreed();
    if mesh.master() != full {
        mesh.nodes[mesh.master()].step_down();
        mesh.wait_agreed();
    }
    assert_eq!(mesh.master(), full);
    mesh.create_mount("/before.mp3", PASSWORD);
    let _filler = disk.fill();
    let (status, text) = create(&mesh.nodes[full], "/kept-elsewhere.mp3");
    println!("a node with a full disk answered {status}: {text}");
    assert_eq!(status, 201, "a peer has saved it: {text}");
    eventually(PATIENCE, "another node takes the seat over", || {
        let master = mesh.try_master();
        so(master.is_some_and(|it| it != full), format!("{master:?}"))
    });
    mesh.nodes[full].kill9();
    for node in &mut mesh.nodes[..full] {
        node.kill9();
    }
    for node in &mut mesh.nodes[..full] {
        node.restart();
    }
    eventually(PATIENCE, "what was promised is there", || {
        let known: Vec<Vec<String>> = mesh.nodes[..full].iter().map(TestNode::mounts).collect();
        let all = known
            .iter()
            .all(|it| it.contains(&"/kept-elsewhere.mp3".to_owned()));
        so(all, format!("{known:?}"))
    });
    mesh.nodes[full].restart();
    mesh.wait_agreed();
    assert_ne!(mesh.master(), full, "it does not stand for the seat");
    for node in &mesh.nodes {
        let name = mesh.nodes[full].name();
        wait_status(node, "every node shows the full disk", |status| {
            let mut nodes = status.nodes.iter();
            nodes.any(|it| it.name.as_str() == name && it.disk.is_some())
        });
    }
    mesh.nodes[full].kill9();
    drop(disk);
}
