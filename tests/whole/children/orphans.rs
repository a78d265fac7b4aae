//! No child outlives its node, whatever ends the node and whatever the child is up to.

use std::future::pending;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{number, script, soon, spawner, state, wait_for_end};
use crate::support::patience::{PATIENCE, eventually};

/// Set for the process that is killed in these tests.
const IS_NODE: &str = "CHILDREN_OF_A_NODE";
/// Begins a line in which that process names a child.
const CHILD: &str = "child ";
/// Children of all kinds; each is one process, of which the log is the pid.
const CHILDREN: [&str; 3] = [
    "echo $$; exec sleep 1000",
    "trap '' TERM HUP INT QUIT; echo $$; exec sleep 1000",
    "echo $$; kill -STOP $$; exec sleep 1000",
];

#[tokio::test]
#[ignore = "is a process of the other tests, as whose node it lives until it is killed"]
async fn a_node_with_children() {
    if std::env::var_os(IS_NODE).is_none() {
        return;
    }
    let spawner = spawner();
    let mut held = Vec::new();
    for text in CHILDREN {
        let mut spawned = spawner.spawn(script(text)).await.unwrap();
        println!("\n{CHILD}{}", number(&mut spawned.log).await);
        held.push(spawned);
    }
    pending().await
}

/// Starts the node, and returns it with the pids of its children.
fn node_with_children() -> (std::process::Child, Vec<i32>) {
    let own = std::env::current_exe().unwrap();
    let mut node = Command::new(own)
        .args(["--exact", "children::orphans::a_node_with_children"])
        .args(["--ignored", "--nocapture"])
        .env(IS_NODE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(node.stdout.take().unwrap());
    let lines = output.lines().map(Result::unwrap);
    let pids = lines.filter_map(|line| line.strip_prefix(CHILD).map(str::to_owned));
    let pids = pids.take(CHILDREN.len()).map(|pid| pid.parse().unwrap());
    let pids = pids.collect();
    (node, pids)
}

fn is(pid: i32, wanted: &str) -> Result<(), String> {
    match state(pid) {
        Some(state) if state == wanted => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_killed_node_leaves_no_child() {
    let (mut node, children) = node_with_children();
    assert_eq!(children.len(), CHILDREN.len());
    for pid in &children[..2] {
        eventually(PATIENCE, "it sleeps", || is(*pid, "S"));
    }
    eventually(PATIENCE, "it has stopped itself", || is(children[2], "T"));
    // SIGKILL.
    node.kill().unwrap();
    node.wait().unwrap();
    for pid in children {
        wait_for_end(pid);
        let left = state(pid);
        assert!(
            matches!(left.as_deref(), None | Some("Z" | "X")),
            "{left:?}"
        );
    }
}

#[test]
fn a_node_that_ends_in_any_other_way_leaves_no_child() {
    let (mut node, children) = node_with_children();
    let pid = Pid::from_child(&node);
    // The end of a process that panics while it panics, and of one that the system cannot help any more.
    kill_process(pid, Signal::ABORT).unwrap();
    node.wait().unwrap();
    children.into_iter().for_each(wait_for_end);
}

#[tokio::test]
async fn a_child_that_nobody_holds_is_gone() {
    let spawner = spawner();
    for text in CHILDREN {
        let mut spawned = spawner.spawn(script(text)).await.unwrap();
        let pid = number(&mut spawned.log).await;
        let mut log = spawned.log;
        drop(spawned.child);
        assert_eq!(soon(log.next()).await, None);
        assert_eq!(state(pid), None, "it is reaped");
    }
}

#[test]
fn a_child_ends_with_the_runtime_that_looks_after_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pid = runtime.block_on(async {
        let mut spawned = spawner().spawn(script(CHILDREN[1])).await.unwrap();
        let pid = number(&mut spawned.log).await;
        // As in a node that leaves without waiting for its tasks.
        std::mem::forget(spawned);
        pid
    });
    drop(runtime);
    assert_eq!(state(pid), None, "it is reaped");
}
