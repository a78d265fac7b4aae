//! How children end: by themselves, killed with their group, asked to, or because they eat memory.

use std::time::Duration;

use antiphon::io::child::{ChildExit, ChildLimits};

use super::{GRACE, number, program, script, soon, spawn, state, wait_for_end};

/// The memory that a hungry program may hold.
const FEW_BYTES: u64 = 64 << 20;

#[tokio::test]
async fn an_end_is_told_with_the_last_line() {
    let spawned = spawn(script("echo begun; echo cannot do it >&2; exit 3")).await;
    let end = soon(spawned.child.wait()).await;
    assert_eq!(end.exit, ChildExit::Code(3));
    assert_eq!(end.to_string(), "ended with exit code 3: cannot do it");
    assert_eq!(soon(spawned.child.wait()).await, end, "told again");
    assert!(spawned.child.reload().is_err(), "nobody is there");
    let spawned = spawn(script("kill -SEGV $$")).await;
    let end = soon(spawned.child.wait()).await;
    assert_eq!(end.exit, ChildExit::Signal(11));
    let spawned = spawn(program("/bin/true", &[])).await;
    assert!(soon(spawned.child.wait()).await.exit.is_success());
}

#[tokio::test]
async fn a_killed_child_takes_its_own_children_with_it() {
    for text in [
        "sleep 1000 & echo $!; wait",
        "trap '' TERM; sleep 1000 & echo $!; kill -STOP $$",
    ] {
        let mut spawned = spawn(script(text)).await;
        let grandchild = number(&mut spawned.log).await;
        assert!(state(grandchild).is_some());
        spawned.child.kill();
        let end = soon(spawned.child.wait()).await;
        assert_eq!(end.exit, ChildExit::Signal(9));
        wait_for_end(grandchild);
    }
}

#[tokio::test]
async fn a_child_that_ends_by_itself_takes_its_own_children_with_it() {
    let mut spawned = spawn(script("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    let grandchild = number(&mut spawned.log).await;
    assert!(soon(spawned.child.wait()).await.exit.is_success());
    wait_for_end(grandchild);
}

#[tokio::test]
async fn a_child_that_left_a_pipe_open_is_not_waited_for() {
    // Leaves the group, and is the one process that may stay: it ends by itself.
    let mut spawned = spawn(script("setsid sleep 2 & echo $!; exit 0")).await;
    let grandchild = number(&mut spawned.log).await;
    assert!(soon(spawned.child.wait()).await.exit.is_success());
    wait_for_end(grandchild);
}

#[tokio::test]
async fn a_daemon_reloads_and_ends_when_it_is_asked_to() {
    let text = "trap 'echo read again' HUP; trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.02; done";
    let mut spawned = spawn(script(text)).await;
    assert_eq!(soon(spawned.log.next()).await.as_deref(), Some("up"));
    spawned.child.reload().unwrap();
    assert_eq!(
        soon(spawned.log.next()).await.as_deref(),
        Some("read again")
    );
    let end = soon(spawned.child.stop(GRACE)).await;
    assert_eq!(end.exit, ChildExit::Code(7));
    assert_eq!(end.last_line.as_deref(), Some("bye"));
}

#[tokio::test]
async fn a_daemon_that_does_not_end_is_killed() {
    let mut spawned = spawn(script("trap '' TERM; echo up; exec sleep 1000")).await;
    soon(spawned.log.next()).await;
    let end = soon(spawned.child.stop(Duration::from_millis(100))).await;
    assert_eq!(end.exit, ChildExit::Signal(9));
}

#[tokio::test]
async fn a_child_that_eats_memory_is_killed_and_says_so() {
    // Looks for the end of a line that has none, and keeps it.
    let mut hungry = program("/usr/bin/tail", &["/dev/zero"]);
    hungry.limits = ChildLimits {
        memory_bytes: Some(FEW_BYTES),
        nice: 0,
    };
    let end = soon(spawn(hungry).await.child.wait()).await;
    let eaten = ChildExit::Memory {
        limit_bytes: FEW_BYTES,
    };
    assert_eq!(end.exit, eaten, "{end}");
}

#[tokio::test]
async fn a_child_with_a_limit_that_it_keeps_lives() {
    let mut modest = script("exec sleep 0.5");
    modest.limits.memory_bytes = Some(FEW_BYTES);
    assert!(
        soon(spawn(modest).await.child.wait())
            .await
            .exit
            .is_success()
    );
}

#[tokio::test]
async fn time_and_memory_are_counted() {
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo counted; exec sleep 1000";
    let mut spawned = spawn(script(busy)).await;
    soon(spawned.log.next()).await;
    spawned.child.kill();
    soon(spawned.child.wait()).await;
    let usage = spawned.child.usage();
    assert!(usage.cpu >= Duration::from_millis(10), "{usage:?}");
    let spawned = spawn(program("/bin/sleep", &["1000"])).await;
    let holds_memory = async {
        while spawned.child.usage().resident_bytes == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(holds_memory).await;
}

#[tokio::test]
async fn a_check_is_run_to_its_end_within_bounds() {
    let text = "for i in 1 2 3; do echo line $i; done; echo wrong >&2; exit 1";
    let finished = spawn(script(text)).await.finish(GRACE).await;
    assert_eq!(finished.lines, ["line 1", "line 2", "line 3", "wrong"]);
    assert!(!finished.late && finished.end.exit == ChildExit::Code(1));

    let hangs = spawn(script("trap '' TERM; echo begun; exec sleep 1000")).await;
    let finished = soon(hangs.finish(Duration::from_millis(300))).await;
    assert!(finished.late && finished.end.exit == ChildExit::Signal(9));

    let floods = spawn(program("/usr/bin/yes", &["flood"])).await;
    let finished = soon(floods.finish(Duration::from_millis(300))).await;
    assert!(finished.late && finished.lines.len() <= 64);
}
