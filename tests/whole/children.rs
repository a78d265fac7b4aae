//! Programs that a node runs: bounded, told of, and never left behind. The tests are the node; its guard is antiphon's.

mod ends;
mod logs;
mod orphans;
mod refusals;
mod surroundings;
mod tools;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use antiphon::io::child::{
    ChildLimits, ChildLog, ChildPipes, Program, Spawned, Spawner, user_named,
};
use antiphon::io::tasks::Tasks;
use antiphon::model::system_user::SystemUser;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};
use tokio::time::timeout;

use crate::support::patience::PATIENCE;

/// The program whose guard is used.
const ANTIPHON: &str = env!("CARGO_BIN_EXE_antiphon");

/// A starter of programs, as a node has one.
fn spawner() -> Spawner {
    Spawner::with_guard_of(Path::new(ANTIPHON), &Tasks::default()).unwrap()
}

/// The user of a program in these tests: none of them runs as root.
fn nobody() -> Option<SystemUser> {
    geteuid().is_root().then(|| user_named("nobody").unwrap())
}

/// A program of which only the log is connected.
fn program(path: &str, arguments: &[&str]) -> Program {
    Program {
        path: path.into(),
        arguments: arguments.iter().map(OsString::from).collect(),
        pipes: ChildPipes::Log,
        user: nobody(),
        limits: ChildLimits::default(),
    }
}

/// A script of which only the log is connected.
fn script(text: &str) -> Program {
    program("/bin/sh", &["-c", text])
}

async fn spawn(program: Program) -> Spawned {
    spawner().spawn(program).await.unwrap()
}

/// Waits for something that has to come.
async fn soon<F: Future>(coming: F) -> F::Output {
    timeout(PATIENCE, coming).await.expect("not in time")
}

/// The next line of a log, as a number.
async fn number(log: &mut ChildLog) -> i32 {
    let line = soon(log.next()).await.expect("the log goes on");
    line.parse().unwrap()
}

/// Waits until a process of any parent has ended, by an event of the kernel; at once if there is none.
fn wait_for_end(pid: i32) {
    let Ok(process) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else {
        return;
    };
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    let limit: Timespec = PATIENCE.try_into().unwrap();
    assert_eq!(poll(&mut ended, Some(&limit)).unwrap(), 1, "{pid} lives on");
}

/// The state of a process, such as `S`, `T` or `Z`; `None` if there is no such process.
fn state(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').next().map(str::to_owned)
}

/// A line of a process's `status`, behind its key.
fn status(pid: u32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim().to_owned()
}

/// A time that is enough for a program that is ended, on a busy machine.
const GRACE: Duration = Duration::from_secs(10);
