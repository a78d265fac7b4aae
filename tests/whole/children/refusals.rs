//! Programs that cannot be started: the error says why, and what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use antiphon::io::child::{Program, SpawnError, Spawner, user_named};
use antiphon::io::tasks::Tasks;
use rustix::process::geteuid;

use super::{program, soon, spawner};
use crate::support::executable::write_script;

/// Set for the process that tries to be somebody else.
const IS_NOBODY: &str = "CHILDREN_OF_NOBODY";

async fn refused(program: Program) -> SpawnError {
    soon(spawner().spawn(program)).await.unwrap_err()
}

fn with_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_missing_program_is_told() {
    for path in ["/no/such/tool", "/etc/passwd/tool"] {
        let error = refused(program(path, &[])).await;
        let told = error.to_string();
        assert!(matches!(error, SpawnError::Missing(_)), "{told}");
        let beginning = format!("there is no program {path}: install it, or set where it is");
        assert!(told.starts_with(&beginning), "{told}");
    }
}

#[tokio::test]
async fn a_program_that_its_user_may_not_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    with_mode(folder.path(), 0o755);
    let tool = folder.path().join("tool");
    write_script(&tool, "exit 0");
    with_mode(&tool, 0o644);
    let path = tool.to_str().unwrap();
    let error = refused(program(path, &[])).await;
    let told = error.to_string();
    assert!(matches!(error, SpawnError::Forbidden { .. }), "{told}");
    assert!(told.contains(&format!("may not run {path}: chmod a+rx")));

    with_mode(&tool, 0o755);
    let spawned = spawner().spawn(program(path, &[])).await.unwrap();
    assert!(soon(spawned.child.wait()).await.exit.is_success());

    if geteuid().is_root() {
        with_mode(folder.path(), 0o700);
        let told = refused(program(path, &[])).await.to_string();
        assert!(told.starts_with("nobody may not run "), "{told}");
    }
}

#[tokio::test]
async fn no_program_runs_as_root() {
    let mut as_root = program("/bin/true", &[]);
    as_root.user = Some(user_named("root").unwrap());
    let mut programs = vec![as_root];
    if geteuid().is_root() {
        let mut as_the_node = program("/bin/true", &[]);
        as_the_node.user = None;
        programs.push(as_the_node);
    }
    for program in programs {
        assert_eq!(
            refused(program).await.to_string(),
            "/bin/true would run as root: set another user for it, such as nobody"
        );
    }
}

#[tokio::test]
#[ignore = "is a process of the other test, which is not root"]
async fn a_node_that_is_not_root() {
    if std::env::var_os(IS_NOBODY).is_none() {
        return;
    }
    // What it may not do comes before the guard, whose file this user may be unable to reach.
    let spawner = Spawner::with_guard_of(Path::new("/bin/true"), &Tasks::default()).unwrap();
    let mut program = program("/bin/true", &[]);
    program.user = Some(user_named("daemon").unwrap());
    let told = spawner.spawn(program).await.unwrap_err().to_string();
    assert_eq!(
        told,
        "the node is not root and cannot run /bin/true as daemon: start the node as root or as daemon, or set no user"
    );
}

#[test]
fn only_root_runs_programs_as_others() {
    let mut node = Command::new("/proc/self/exe");
    node.args(["--exact", "children::refusals::a_node_that_is_not_root"]);
    node.args(["--ignored", "--nocapture"]).env(IS_NOBODY, "1");
    if geteuid().is_root() {
        node.uid(65_534).gid(65_534).current_dir("/");
    }
    let output = node.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_refused_program_leaves_nothing() {
    let tasks = Tasks::default();
    let spawner = Spawner::with_guard_of(Path::new(super::ANTIPHON), &tasks).unwrap();
    for _ in 0..20 {
        assert!(spawner.spawn(program("/no/such/tool", &[])).await.is_err());
    }
    assert_eq!(tasks.count(), 0);
    let spawned = spawner.spawn(program("/bin/true", &[])).await.unwrap();
    assert!(soon(spawned.child.wait()).await.exit.is_success());
    soon(tasks.all_ended()).await;
}
