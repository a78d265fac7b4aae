//! A child when it begins: with pipes, a user and an environment of its own, and nothing of the node.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use antiphon::io::child::{ChildPipes, Program, Spawned, Spawner};
use antiphon::io::tasks::Tasks;
use rustix::process::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ANTIPHON, GRACE, program, script, soon, spawn, state, status};
use crate::support::executable::copy_executable;

fn streaming(text: &str) -> Program {
    Program {
        pipes: ChildPipes::Stream,
        ..script(text)
    }
}

/// Sends bytes through a program, and returns what comes out, with the lines of its log.
async fn through(mut spawned: Spawned, bytes: &'static [u8]) -> (Vec<u8>, Vec<String>) {
    let mut stream = spawned.stream.take().unwrap();
    let send = async {
        stream.stdin.write_all(bytes).await.unwrap();
        drop(stream.stdin);
    };
    let mut came = Vec::new();
    let receive = stream.stdout.read_to_end(&mut came);
    let (_sent, received) = soon(async { tokio::join!(send, receive) }).await;
    received.unwrap();
    let finished = spawned.finish(GRACE).await;
    assert!(finished.end.exit.is_success(), "{}", finished.end);
    (came, finished.lines)
}

#[tokio::test]
async fn a_stream_goes_in_and_comes_out() {
    static AUDIO: [u8; 300_000] = [0xFF; 300_000];
    let (came, lines) = through(spawn(streaming("exec cat")).await, &AUDIO).await;
    assert_eq!((came.len(), lines.len()), (AUDIO.len(), 0));
}

#[tokio::test]
async fn a_program_of_another_user_opens_its_pipes_anew() {
    let text = "cat < /dev/stdin > /dev/stdout; echo as $(id -un) > /dev/stderr";
    let (came, lines) = through(spawn(streaming(text)).await, b"bytes").await;
    assert_eq!(came, b"bytes");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let finished = spawn(script("echo said > /dev/stdout; cat < /dev/stdin")).await;
    assert_eq!(finished.finish(GRACE).await.lines, ["said"]);
}

#[tokio::test]
async fn a_child_has_a_clean_environment() {
    let finished = spawn(program("/usr/bin/env", &[]))
        .await
        .finish(GRACE)
        .await;
    let pairs = finished
        .lines
        .iter()
        .filter_map(|line| line.split_once('='));
    let environment: BTreeMap<&str, &str> = pairs.collect();
    let names: Vec<&str> = environment.keys().copied().collect();
    assert_eq!(names, ["HOME", "LANG", "PATH"], "{:?}", finished.lines);
    assert_eq!(environment["LANG"], "C.UTF-8");
    if geteuid().is_root() {
        assert_eq!(environment["HOME"], "/nonexistent");
    }
    let spawned = spawn(program("/bin/pwd", &[])).await;
    assert_eq!(spawned.finish(GRACE).await.lines, ["/"]);
}

/// Whether a descriptor of this process was given to it by its own parent, to be handed on. Everything that Rust opens
/// is closed where another program begins.
fn is_inherited(number: &str) -> bool {
    const CLOSED_ON_EXEC: u32 = 0o2_000_000;
    let Ok(about) = fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else {
        return false;
    };
    let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
    u32::from_str_radix(flags.unwrap().trim(), 8).unwrap() & CLOSED_ON_EXEC == 0
}

/// The fields of a process whose name has no blank in it.
fn stat(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_child_has_nothing_of_the_node() {
    let _socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let _file = fs::File::open("/etc/passwd").unwrap();
    let mut limited = program("/bin/sleep", &["1000"]);
    limited.limits.memory_bytes = Some(64 << 20);
    limited.limits.nice = 7;
    let spawned = spawn(limited).await;
    let pid = spawned.child.pid();
    let open = |pid: &str| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let numbers = open.map(|it| it.unwrap().file_name().into_string().unwrap());
        numbers.collect::<BTreeSet<String>>()
    };
    let mut inherited = open("self");
    inherited.retain(|number| is_inherited(number));
    assert_eq!(open(&pid.to_string()), inherited, "all else is the node's");

    assert_eq!(status(pid, "NoNewPrivs:"), "1");
    // The library of C ignores a signal of its own above them, 32.
    let ignored = u64::from_str_radix(&status(pid, "SigIgn:"), 16).unwrap();
    assert_eq!(ignored & 0x7FFF_FFFF, 0, "a closed pipe ends it");
    assert_eq!(status(pid, "SigBlk:"), "0000000000000000");
    if geteuid().is_root() {
        assert!(status(pid, "Uid:").ends_with("65534"));
        assert!(status(pid, "Gid:").ends_with("65534"));
        assert_eq!(status(pid, "Groups:"), "");
    }
    let fields = stat(pid);
    let own = stat(std::process::id())[18].parse::<u8>().unwrap();
    let lower = (own + 7).min(19);
    assert_eq!(fields[4], pid.to_string(), "it leads its group");
    assert_eq!(fields[18], lower.to_string(), "its niceness");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(
        limit("Max address space"),
        ((1 << 30) + (128 << 20)).to_string()
    );
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(),
        "500\n"
    );
}

/// A copy of antiphon in a folder of its own.
fn copied(folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("antiphon");
    copy_executable(Path::new(ANTIPHON), &copy);
    copy
}

/// Puts another file in the place of antiphon, and closes its folder to all but its owner.
fn replace(copy: &Path, folder: &Path) {
    let newer = folder.join("newer");
    fs::write(&newer, "not a program").unwrap();
    fs::rename(&newer, copy).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_node_whose_file_was_replaced_starts_children() {
    let folder = tempfile::tempdir().unwrap();
    let copy = copied(folder.path());
    let spawner = Spawner::with_guard_of(&copy, &Tasks::default()).unwrap();
    replace(&copy, folder.path());
    let spawned = spawner.spawn(script("echo runs")).await.unwrap();
    assert_eq!(spawned.finish(GRACE).await.lines, ["runs"]);
}

#[tokio::test]
async fn the_file_of_a_running_process_is_a_guard() {
    let folder = tempfile::tempdir().unwrap();
    let copy = copied(folder.path());
    // Waits for an order that never comes.
    let mut running = Command::new(&copy);
    let own = std::process::id().to_string();
    running.args(["__guard", &own, "-", "0", "/bin/true"]);
    let (input, _held) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut running = running
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(input)))
        .spawn()
        .unwrap();
    replace(&copy, folder.path());
    let file = format!("/proc/{}/exe", running.id());
    let spawner = Spawner::with_guard_of(Path::new(&file), &Tasks::default()).unwrap();
    let spawned = spawner.spawn(script("echo runs")).await.unwrap();
    assert_eq!(spawned.finish(GRACE).await.lines, ["runs"]);
    running.kill().unwrap();
    running.wait().unwrap();
}

#[tokio::test]
async fn many_children_at_once_each_have_their_own() {
    let spawner = super::spawner();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..40 {
        let spawner = spawner.clone();
        running.spawn(async move {
            let spawned = spawner.spawn(script(&format!("echo {number}"))).await;
            let spawned = spawned.unwrap();
            let pid = spawned.child.pid();
            let finished = spawned.finish(GRACE).await;
            assert_eq!(finished.lines, [number.to_string()]);
            pid
        });
    }
    while let Some(pid) = soon(running.join_next()).await {
        assert_eq!(state(pid.unwrap().cast_signed()), None, "it is reaped");
    }
}
