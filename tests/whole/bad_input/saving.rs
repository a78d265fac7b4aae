//! Damaged files, a full disk, and a node that is killed while it saves.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{PASSWORD, node, wait_log};
use crate::support::http;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};

/// How often a node is killed between edits.
const KILLS: usize = 5;
/// How much a small disk takes: what a node needs to begin, and some.
const DISK_BYTES: &str = "512k";

/// The mounts that a saved document names.
fn mounts_in(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap_or_default();
    let names = text
        .split('"')
        .filter_map(|word| word.strip_prefix("mount/"));
    let mut names: Vec<String> = names.map(|name| format!("/{name}")).collect();
    names.sort();
    names.dedup();
    names
}

fn wait_saved(document: &Path, mount: &str) {
    eventually(PATIENCE, &format!("{mount} is on disk"), || {
        let saved = mounts_in(document);
        so(saved.iter().any(|it| it == mount), format!("{saved:?}"))
    });
}

/// A node that was killed when its disk held two mounts, and one in the version before.
fn killed_after_two_saves() -> TestNode {
    let mut node = node();
    let document = node.data_dir().join("document");
    for mount in ["/one.mp3", "/two.mp3"] {
        node.create_mount(mount, PASSWORD);
        wait_saved(&document, mount);
    }
    node.kill9();
    node
}

/// Spoils the document of a killed node, and expects that it goes on with the version before.
fn expect_previous(spoil: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let mut node = killed_after_two_saves();
    let document = node.data_dir().join("document");
    let before = mounts_in(&document.with_extension("previous"));
    assert!(before.contains(&"/one.mp3".to_owned()), "{before:?}");
    let spoiled = spoil(fs::read(&document).expect("it was saved"));
    fs::write(&document, &spoiled).expect("our own file");
    node.restart();
    assert_eq!(node.mounts(), before);
    let said =
        "the document's file is damaged (kept as document.damaged): using the previous version";
    assert!(node.log().contains(said), "{}", node.log());
    let aside = fs::read(document.with_extension("damaged")).expect("it is kept");
    assert_eq!(aside, spoiled);
    node.create_mount("/three.mp3", PASSWORD);
    wait_saved(&document, "/three.mp3");
}

#[test]
fn a_truncated_document_is_replaced_by_the_version_before() {
    expect_previous(|whole| whole[..whole.len() / 2].to_vec());
}

#[test]
fn a_document_with_a_flipped_bit_is_replaced_by_the_version_before() {
    expect_previous(|mut whole| {
        let middle = whole.len() / 2;
        whole[middle] ^= 1;
        whole
    });
}

#[test]
fn a_node_whose_files_are_all_damaged_begins_anew_and_says_so() {
    let mut node = killed_after_two_saves();
    for name in [
        "document",
        "document.previous",
        "node",
        "node.previous",
        "peers",
    ] {
        fs::write(node.data_dir().join(name), "noise").expect("our own file");
    }
    node.restart();
    assert_eq!(node.mounts(), Vec::<String>::new());
    let log = node.log();
    assert!(
        log.contains("the document is lost (kept as document.damaged)"),
        "{log}"
    );
    assert!(log.contains("the file `node` is lost"), "{log}");
    node.create_mount("/one.mp3", PASSWORD);
}

/// A disk of its own, so small that it can be filled.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` if this user may not mount one.
    fn over(path: PathBuf) -> Option<Self> {
        let size = format!("size={DISK_BYTES},mode=700");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
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

const NOT_SAVED: &str = "the document is not saved; the node goes on and tries again";

#[test]
fn a_full_disk_is_complained_about_and_survived() {
    let mut node = node();
    node.kill9();
    let data = node.data_dir();
    let disk = SmallDisk::over(data.clone());
    node.restart();
    node.create_mount("/before.mp3", PASSWORD);
    let document = data.join("document");
    wait_saved(&document, "/before.mp3");
    let full = match &disk {
        Some(disk) => disk.fill(),
        None => {
            // Who may not mount a disk has every write of the next save fail as on a full one.
            let full = data.join("document.new");
            std::os::unix::fs::symlink("/dev/full", &full).expect("our own folder");
            full
        }
    };
    node.create_mount("/meanwhile.mp3", PASSWORD);
    wait_log(&node, "it says that it cannot save", |log| {
        log.contains(NOT_SAVED)
    });
    assert!(
        node.log().contains("No space left on device"),
        "{}",
        node.log()
    );
    assert_eq!(
        node.mounts(),
        ["/before.mp3", "/meanwhile.mp3"],
        "it goes on"
    );
    assert_eq!(
        mounts_in(&document),
        ["/before.mp3"],
        "the old file is whole"
    );
    drop(fs::remove_file(full));
    wait_log(&node, "it saves again", |log| {
        log.contains("the document is saved again")
    });
    node.kill9();
    node.restart();
    assert_eq!(
        node.mounts(),
        ["/before.mp3", "/meanwhile.mp3"],
        "both are on disk"
    );
    node.kill9();
    drop(disk); // before the node's own folder goes, in which it is
}

/// Makes one mount after the other until the node is gone; counts those that it has promised.
fn edit_until_killed((address, token): (String, String), round: usize, made: &AtomicUsize) {
    for number in 0.. {
        let body = format!("{{\"path\":\"/r{round}/m{number}\",\"password\":\"x\"}}");
        let length = body.len();
        let request = format!(
            "POST /api/v1/mounts HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        match http::ask(&address, &request) {
            Ok(answer) => assert_eq!(answer.head.status, 201, "{}", answer.text()),
            Err(_) => return,
        }
        made.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_node_killed_between_edits_comes_back_with_a_whole_document() {
    let mut node = node();
    let mut kept = 0;
    for round in 0..KILLS {
        let made = AtomicUsize::new(0);
        let door = (node.address(), node.token());
        thread::scope(|scope| {
            scope.spawn(|| edit_until_killed(door, round, &made));
            // Not always at the same moment of a save.
            eventually(PATIENCE, "some edits are made", || {
                let made = made.load(Ordering::Relaxed);
                so(made > 3 * round, made)
            });
            node.kill9();
        });
        node.restart();
        let found = node.mounts();
        let log = node.log();
        assert!(!log.contains("the document is lost"), "{log}");
        let of_round = |round: usize| {
            let prefix = format!("/r{round}/");
            found
                .iter()
                .filter(|mount| mount.starts_with(&prefix))
                .count()
        };
        assert!(
            found.len() >= kept,
            "nothing old is lost: {kept}, then {found:?}"
        );
        for number in 0..of_round(round) {
            let mount = format!("/r{round}/m{number}");
            assert!(
                found.contains(&mount),
                "{mount} is missing before later ones: {found:?}"
            );
        }
        kept = found.len();
    }
    assert!(kept > 0, "something was saved in {KILLS} rounds");
}
