//! Children of the node: programs such as `ffmpeg`, `liquidsoap` and `icecast2`, of which none outlives the node.
//!
//! The [`Spawner`] starts a [`Program`] by way of the [`guard`], which is this program again: it binds its life to the
//! node's, lowers what it may use, and then becomes the program. So not even `kill -9` of the node leaves one behind.
//!
//! A child leads a process group. Whatever ends the child ends the group: its own exit, [`Child::kill`], or that nobody
//! holds its [`Child`] any longer.

mod control;
mod end;
pub mod guard;
mod life;
mod lines;
mod log;
mod paced;
mod process;
mod program;
mod spawner;
mod start;
mod usage;
mod user;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, Signal, pidfd_send_signal};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

pub use self::end::{ChildEnd, ChildExit};
pub use self::log::ChildLog;
pub use self::paced::{NextLook, PacedOutput};
pub use self::program::{ChildLimits, ChildPipes, Program, find_program};
pub use self::spawner::Spawner;
pub use self::start::SpawnError;
pub use self::usage::ChildUsage;
pub use self::user::{UnknownUser, user_named};

/// A check that takes too long is not asked to end in order: it has nothing to lose.
const NO_GRACE: Duration = Duration::ZERO;

/// A program that runs, and what connects the node with it.
#[derive(Debug)]
pub struct Spawned {
    /// Ends the program when dropped.
    pub child: Child,
    /// The lines that the program says. Need not be read: those that nobody reads are counted and forgotten.
    pub log: ChildLog,
    /// The standard input and output of the program, for [`ChildPipes::Stream`].
    pub stream: Option<ChildStream>,
}

/// The pipes of a program through which a stream goes.
#[derive(Debug)]
pub struct ChildStream {
    /// Leads to its standard input, which ends when this is dropped.
    pub stdin: pipe::Sender,
    /// Comes from its standard output.
    pub stdout: pipe::Receiver,
}

/// The result of a program that was run to its end.
#[derive(Debug)]
pub struct Finished {
    /// How the program ended.
    pub end: ChildEnd,
    /// Whether it took too long, and was killed.
    pub late: bool,
    /// The first lines that it said: as many as it may say at once.
    pub lines: Vec<String>,
}

/// Writes to the standard input of a program, and waits for as long as its pipe is full.
pub async fn hand_over(stdin: &mut pipe::Sender, bytes: &[u8]) -> io::Result<()> {
    stdin.write_all(bytes).await
}

impl Spawned {
    /// Waits for the end of a program that has one, such as a check, and kills it after this time.
    pub async fn finish(mut self, limit: Duration) -> Finished {
        drop(self.stream);
        let in_time = timeout(limit, self.child.wait()).await.ok();
        let late = in_time.is_none();
        let end = match in_time {
            Some(end) => end,
            None => self.child.stop(NO_GRACE).await,
        };
        Finished {
            end,
            late,
            lines: self.log.told(),
        }
    }
}

/// A handle to a running program. When it is dropped, the program's whole group is killed, and reaped.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    handle: OwnedFd,
    killer: DropGuard,
    usage: watch::Receiver<ChildUsage>,
    end: watch::Receiver<Option<ChildEnd>>,
}

impl Child {
    /// The process id, for logs: once the end has been told, another process may have it.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The time and memory that the program uses, as seen a moment ago; what its own children use is not in it.
    pub fn usage(&self) -> ChildUsage {
        *self.usage.borrow()
    }

    /// Sends SIGHUP, at which daemons read their configuration again. Fails if the program has ended.
    pub fn reload(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.handle, Signal::HUP)?)
    }

    /// Kills the whole group, stopped processes too. [`Self::wait`] tells when that is done.
    pub fn kill(&self) {
        self.killer.token().cancel();
    }

    /// Asks the program to end by SIGTERM, kills the group after `grace`, and returns when it has ended.
    pub async fn stop(&self, grace: Duration) -> ChildEnd {
        // Fails only for a program that has ended, which is what is wanted.
        let _ended = pidfd_send_signal(&self.handle, Signal::TERM);
        match timeout(grace, self.wait()).await {
            Ok(end) => end,
            Err(_) => {
                self.kill();
                self.wait().await
            }
        }
    }

    /// Waits for the end of the program; told at once if it is over. May be dropped and called again.
    pub async fn wait(&self) -> ChildEnd {
        let mut end = self.end.clone();
        let told = end.wait_for(Option::is_some).await;
        let told = told.ok().and_then(|end| end.clone());
        // The runtime has ended, and with it the task that looked after the program: both are gone.
        told.unwrap_or(ChildEnd {
            exit: ChildExit::Signal(Signal::KILL.as_raw()),
            last_line: None,
        })
    }
}
