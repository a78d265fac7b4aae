//! The guard: this program, started by a node to become another program that cannot outlive the node.
//!
//! Must be the first thing that a process does: what it binds to the node's life is the thread that it runs on, and it
//! takes over standard input. See `docs/decisions/021-children.md`.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, nice,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::set_no_new_privs;
use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use signal_hook::flag;

use super::control;
use super::program::Program;

/// The first argument by which a process knows that it is a guard. No command of an operator begins so.
const NAME: &str = "__guard";
/// Written where there is no limit.
const NONE: &str = "-";
/// The last step; that it fails mostly is the operator's to mend.
pub(super) const RUN: &str = "run it";
/// The exit code of a guard that could not become the program.
const FAILED: u8 = 2;
/// How much sooner the kernel ends a child than the node when the machine is out of memory: as if it used half of it.
const OOM_SCORE: &str = "500";
/// The room that a program gets beyond twice the memory that it may hold: libraries, stacks and reserves count here, too.
/// This wall stands behind the limit of what is really held, at which the node looks from time to time only.
const ROOM_BYTES: u64 = 1 << 30;
/// The signals that whoever starts a node may let it ignore: `nohup` the first, a shell the next two.
const SIGNALS: [i32; 11] = [
    SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU,
];

/// An order for a guard.
#[derive(Debug, PartialEq, Eq)]
struct GuardOrder {
    /// The process that the program must not outlive.
    node: Pid,
    memory_bytes: Option<u64>,
    nice: u8,
    program: OsString,
    arguments: Vec<OsString>,
}

/// The arguments of the guard that becomes a program; the node is this process.
pub(super) fn arguments(program: &Program) -> impl Iterator<Item = OsString> {
    let memory = program.limits.memory_bytes;
    let order = [
        NAME.to_owned(),
        getpid().as_raw_nonzero().to_string(),
        memory.map_or_else(|| NONE.to_owned(), |bytes| bytes.to_string()),
        program.limits.nice.to_string(),
    ];
    let tool = std::iter::once(program.path.clone().into_os_string());
    let arguments = program.arguments.iter().cloned();
    order
        .into_iter()
        .map(OsString::from)
        .chain(tool)
        .chain(arguments)
}

/// Does what the arguments of this process tell a guard, and returns only if that failed; `None` if they tell nothing.
pub fn take_over(mut process_arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let named = process_arguments.nth(1)?;
    if named != NAME {
        return None;
    }
    let order = GuardOrder::read(process_arguments);
    let control = io::stdin().as_fd().try_clone_to_owned();
    let (Some(order), Ok(control)) = (order, control) else {
        eprintln!("antiphon: {NAME} is how a node starts its tools, not a command");
        return Some(ExitCode::from(FAILED));
    };
    let control = UnixStream::from(control);
    let Err(failure) = order.obey(&control);
    control::say_failed(&control, failure.step, &failure.error);
    Some(ExitCode::from(FAILED))
}

/// A step that failed.
struct GuardFailure {
    step: &'static str,
    error: io::Error,
}

impl GuardFailure {
    fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self {
            step,
            error: error.into(),
        }
    }
}

impl GuardOrder {
    /// Reads the arguments behind the guard's name.
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut word = || arguments.next()?.into_string().ok();
        let node = Pid::from_raw(word()?.parse().ok()?)?;
        let memory_bytes = match word()?.as_str() {
            NONE => None,
            bytes => Some(bytes.parse().ok()?),
        };
        let nice = word()?.parse().ok()?;
        Some(Self {
            node,
            memory_bytes,
            nice,
            program: arguments.next()?,
            arguments: arguments.collect(),
        })
    }

    fn obey(&self, control: &UnixStream) -> Result<Infallible, GuardFailure> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(GuardFailure::at("end with the node"))?;
        if getppid() != Some(self.node) {
            // The node died before it could take this process with it.
            return Err(GuardFailure::at("find the node")(Errno::SRCH));
        }
        set_no_new_privs(true).map_err(GuardFailure::at("give up rights"))?;
        limit(Resource::Core, 0).map_err(GuardFailure::at("forbid core files"))?;
        if let Some(held) = self.memory_bytes {
            let all = held.saturating_mul(2).saturating_add(ROOM_BYTES);
            limit(Resource::As, all).map_err(GuardFailure::at("limit its memory"))?;
        }
        nice(i32::from(self.nice)).map_err(GuardFailure::at("lower its priority"))?;
        hear_signals().map_err(GuardFailure::at("hear signals"))?;
        // Where the system does not let it, the kernel chooses as it likes.
        let _as_it_likes = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
        let input = control::receive_input(control).map_err(GuardFailure::at("take its input"))?;
        control::say_ready(control).map_err(GuardFailure::at("tell the node"))?;
        let mut program = Command::new(&self.program);
        let error = program.args(&self.arguments).stdin(input).exec();
        Err(GuardFailure::at(RUN)(error))
    }
}

/// Lets signals do to the program what they usually do. One that is ignored here would be ignored by the program, too; one
/// that has a handler is not, because no handler outlives `exec`.
fn hear_signals() -> io::Result<()> {
    for signal in SIGNALS {
        flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Lowers a limit, also for whoever might raise it again.
fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    // Nobody but root may raise the limit that the node has itself.
    let given = getrlimit(resource).maximum;
    let most = Some(given.map_or(most, |given| given.min(most)));
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(resource, limit)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::io::child::program::{ChildLimits, ChildPipes};

    fn read(words: &[&str]) -> Option<GuardOrder> {
        GuardOrder::read(words.iter().map(OsString::from))
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let program = Program {
            path: PathBuf::from("/usr/bin/ffmpeg"),
            arguments: vec!["-i".into(), "pipe:0".into(), "--".into(), "".into()],
            pipes: ChildPipes::Stream,
            user: None,
            limits: ChildLimits {
                memory_bytes: Some(512 << 20),
                nice: 5,
            },
        };
        let mut written = arguments(&program);
        assert_eq!(written.next(), Some(NAME.into()));
        let order = GuardOrder::read(written).unwrap();
        assert_eq!(order.node, getpid());
        assert_eq!((order.memory_bytes, order.nice), (Some(512 << 20), 5));
        assert_eq!(order.program, program.path);
        assert_eq!(order.arguments, program.arguments);
        assert_eq!(read(&["7", "-", "0", "sh"]).unwrap().memory_bytes, None);
    }

    #[test]
    fn nonsense_is_no_order() {
        for words in [
            &[][..],
            &["7", "-", "0"],
            &["0", "-", "0", "sh"],
            &["x", "-", "0", "sh"],
            &["7", "-1", "0", "sh"],
            &["7", "-", "256", "sh"],
        ] {
            assert_eq!(read(words), None, "{words:?}");
        }
        let take_over = |words: &[&str]| take_over(words.iter().map(OsString::from));
        assert!(take_over(&[]).is_none() && take_over(&["antiphon", "run", NAME]).is_none());
    }
}
