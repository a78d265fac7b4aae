//! The dealings of a service manager with a node: signals, reloads, and a log for its journal.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::mesh::TestMesh;
use crate::support::mmdb::{database, place};
use crate::support::node::{Setup, TestNode, new_secret};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::port::free_port;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// A file beside a node's data directory.
fn beside_data(node: &TestNode, name: &str) -> PathBuf {
    node.data_dir().with_file_name(name)
}

fn wait_log(node: &TestNode, words: &[&str]) {
    let look = || {
        let log = node.log();
        let found = log
            .lines()
            .any(|line| words.iter().all(|it| line.contains(it)));
        so(found, "its log")
    };
    let what = format!("{} logs a line with {words:?}", node.name());
    eventually(PATIENCE, &what, look);
}

#[test]
fn other_signals_do_not_end_a_node() {
    let mut node = Setup::named("n1").start();
    for (signal, name) in [
        (Signal::HUP, "settings reloaded"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::IO, "SIGIO"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::POWER, "SIGPWR"),
        (Signal::STKFLT, "SIGSTKFLT"),
    ] {
        node.signal(signal);
        wait_log(&node, &[name]);
    }
    // The C library's kill, as a person's shell has it: rustix knows no names for real-time signals.
    let sent = std::process::Command::new("kill")
        .args(["-s", "RTMIN+3", &node.pid().to_string()])
        .status();
    assert!(sent.expect("kill is everywhere").success());
    wait_log(&node, &["a real-time signal"]);
    node.signal(Signal::PIPE);
    assert_eq!(node.alive(), ["n1"], "it serves");
    assert!(!node.has_ended());
    node.signal(Signal::QUIT);
    let ended = node.wait_end(PATIENCE);
    assert!(ended.success(), "it left in order: {ended}");
}

#[test]
fn a_reload_names_settings_that_need_a_restart() {
    let node = Setup::named("n1")
        .configured("rank = 5\nlog = 'warn'\n")
        .start();
    let file = beside_data(&node, "settings.toml");
    assert!(!node.log().contains("INFO"), "{}", node.log());

    fs::write(&file, "rank = 6\nlog = 'info'\n").unwrap();
    node.signal(Signal::HUP);
    wait_log(&node, &["INFO", "settings reloaded", "log=info"]);
    wait_log(&node, &["WARN", "need a restart", "settings=rank"]);

    for (bad, why) in [
        ("rank = 6\nlog = 'warm'", "did you mean \"warn\"?"),
        ("rank = 'six'", ":1:8: rank is a number, such as 100"),
        ("log = ", ":1:7: "),
    ] {
        fs::write(&file, bad).unwrap();
        node.signal(Signal::HUP);
        wait_log(&node, &["WARN", "not reloaded", why]);
    }
    fs::remove_file(&file).unwrap();
    node.signal(Signal::HUP);
    wait_log(&node, &["not reloaded", "cannot read the settings file"]);
    assert_eq!(node.alive(), ["n1"], "it serves");
}

#[test]
fn a_reload_reads_the_geo_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("geo.mmdb");
    let write = |kind: &str| {
        let known = [(("192.0.2.0", 24), place("DE", (52.5, 13.4)))];
        fs::write(&file, database(kind, &known)).unwrap();
    };
    write("Test-1");
    let path = file.display().to_string();
    let node = Setup::named("n1").with(&["--geo-database", &path]).start();
    write("Test-2");
    node.signal(Signal::HUP);
    let kind = || node.status().geo.and_then(|geo| geo.database);
    let look = || so(kind().as_deref() == Some("Test-2"), format!("{:?}", kind()));
    // It looks by itself only each half minute.
    let (_, taken) = eventually(Duration::from_secs(15), "the new one is used", look);
    println!("the new database was in use {taken:?} after the reload");
}

#[test]
fn a_secret_is_rotated_without_a_restart() {
    let mut mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[1].url()));
    player.wait_for_more(40 * FRAME_BYTES);
    let old = fs::read_to_string(beside_data(&mesh.nodes[0], "cluster-secret")).unwrap();
    let new = new_secret() + "\n";
    for keyring in [format!("{old}{new}"), format!("{new}{old}"), new.clone()] {
        let before: Vec<usize> = mesh.nodes.iter().map(times_read).collect();
        for (node, before) in mesh.nodes.iter().zip(before) {
            fs::write(beside_data(node, "cluster-secret"), &keyring).unwrap();
            node.signal(Signal::HUP);
            let look = || so(times_read(node) > before, "its log");
            eventually(PATIENCE, "the secret is read again", look);
        }
        mesh.wait_agreed();
        player.wait_for_more(40 * FRAME_BYTES);
    }
    signal::check(&player.bytes());
    let clusters: Vec<String> = mesh.nodes.iter().map(|it| it.status().cluster).collect();
    assert_eq!(clusters[0], clusters[1]);

    // A peer with only the old key is refused, and one with the new key is accepted.
    let peer = mesh.nodes[0].address();
    let thief = Setup::named("thief").secret(old.trim()).join(&peer).start();
    wait_log(&thief, &["does not have the same secret"]);
    let guest = Setup::named("n3").secret(new.trim()).join(&peer).start();
    mesh.nodes.push(guest);
    mesh.wait_agreed();
}

/// How often a node has said that its secret is another one.
fn times_read(node: &TestNode) -> usize {
    node.log().matches("the secret was read again").count()
}

/// A node that is started as a test likes, killed in the end.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// `antiphon run` alone in a folder, at a port; and that port's address.
fn run(folder: &tempfile::TempDir) -> (Command, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.env_clear().env("HOME", folder.path());
    command.args(["run", "--name", "n1", "--listen", &address]);
    // Left to itself, root's node lives in a directory of the whole machine.
    command.arg("--data-dir").arg(folder.path().join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    (command, address)
}

#[test]
fn the_journal_is_told_the_priority_of_each_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let stderr = File::create(&log).unwrap();
    let seen = stderr.metadata().unwrap();
    let (mut command, _) = run(&folder);
    command.env("JOURNAL_STREAM", format!("{}:{}", seen.dev(), seen.ino()));
    command
        .env("ANTIPHON_LISTN", "x")
        .args(["--geo-database", "/no/such/file"]);
    let _node = Running(command.stderr(stderr).spawn().unwrap());
    let read = || fs::read_to_string(&log).unwrap();
    let look = || so(read().contains("geo database not read"), read());
    eventually(PATIENCE, "its log", look);
    for line in read().lines() {
        let right = match line {
            it if it.contains("INFO") => it.starts_with("<6>"),
            it if it.contains("WARN") => it.starts_with("<4>"),
            it => it.starts_with("<4>antiphon: the environment variable ANTIPHON_LISTN"),
        };
        assert!(right, "{line}");
    }
    assert!(read().contains("<4> WARN"), "{}", read());

    // A child of a service that writes elsewhere has the variable too, and no journal.
    let other = folder.path().join("other");
    let (mut command, _) = run(&folder);
    command
        .env("JOURNAL_STREAM", "1:1")
        .args(["--secret-file", "/no/such/file"]);
    let ended = command
        .stderr(File::create(&other).unwrap())
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(1));
    let said = fs::read_to_string(&other).unwrap();
    assert!(said.starts_with("antiphon: "), "{said}");
}

#[test]
fn a_node_outlives_whoever_read_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, address) = run(&folder);
    let mut node = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    drop(node.0.stderr.take());
    let status = || crate::support::http::get(&address, "/status.json").map(|it| it.head.status);
    let serves = || match status() {
        Ok(200) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    eventually(PATIENCE, "it serves", serves);
    for _ in 0..3 {
        node.signal(Signal::USR1); // each is a line of the log
        eventually(PATIENCE, "it serves", serves);
    }
    assert!(node.0.try_wait().unwrap().is_none(), "it runs");
}

#[test]
fn the_log_has_no_lines_of_libraries() {
    let mut mesh = TestMesh::start(3);
    mesh.nodes[2].kill9();
    mesh.wait_agreed_without(&[2]);
    mesh.nodes[2].restart();
    mesh.wait_agreed();
    for node in &mesh.nodes {
        for word in ["gc", "reset", "delta", "chitchat", "ConnectionError"] {
            assert!(!node.log().contains(word), "{word}");
        }
    }
}
