//! The life of a child: one task looks after it from its first moment until it is reaped.

use std::io;
use std::time::Duration;

use rustix::process::{PidfdFlags, pidfd_open};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::end::{ChildEnd, ChildExit};
use super::log::LogPipe;
use super::process::ChildProcess;
use super::program::ChildLimits;
use super::start::Started;
use super::usage::ChildUsage;
use super::{Child, ChildStream, Spawned};
use crate::io::tasks::Tasks;

/// How often the memory of a child is looked at: a program that fills memory as fast as it can takes some 100 MiB
/// meanwhile. A look costs some 20 µs.
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// How much of its log is read in that time: a child that says more waits, so that it cannot keep a processor of the
/// node busy with reading. 10 MiB/s are a hundred thousand lines, of which ten are kept.
const MOST_LOG_BYTES: usize = 1 << 20;
/// How long the rest of the log is waited for once the child has ended. It is in the pipe already; but a process that
/// has left the group may hold the pipe open.
const LOG_GRACE: Duration = Duration::from_millis(500);

/// A child that runs.
#[derive(Debug)]
pub(super) struct ChildLife {
    process: ChildProcess,
    /// Ends with the process, which is not reaped by that.
    ended: JoinHandle<()>,
    kill: CancellationToken,
    memory_bytes: Option<u64>,
    outgrown: Option<ChildExit>,
    log: LogPipe,
    usage: watch::Sender<ChildUsage>,
    end: watch::Sender<Option<ChildEnd>>,
}

impl ChildLife {
    /// Takes over a child within a runtime. If that fails, the child ends.
    pub(super) fn begin(
        started: Started,
        limits: ChildLimits,
        tasks: &Tasks,
    ) -> io::Result<(Self, Spawned)> {
        let pid = started.process.pid();
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        let (log, told) = LogPipe::new(started.log)?;
        let stream = match started.stream {
            Some(ends) => Some(ChildStream {
                stdin: pipe::Sender::from_owned_fd(ends.stdin)?,
                stdout: pipe::Receiver::from_owned_fd(ends.stdout)?,
            }),
            None => None,
        };
        let kill = CancellationToken::new();
        let (usage, seen) = watch::channel(ChildUsage::default());
        let (end, awaited) = watch::channel(None);
        let child = Child {
            pid,
            handle,
            killer: kill.clone().drop_guard(),
            usage: seen,
            end: awaited,
        };
        let life = Self {
            process: started.process,
            ended: tasks.spawn_blocking(move || ChildProcess::wait_for_end(pid)),
            kill,
            memory_bytes: limits.memory_bytes,
            outgrown: None,
            log,
            usage,
            end,
        };
        let spawned = Spawned {
            child,
            log: told,
            stream,
        };
        Ok((life, spawned))
    }

    /// Looks after the child until it has ended.
    pub(super) async fn run(mut self) {
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut killed, mut room) = (false, MOST_LOG_BYTES);
        loop {
            tokio::select! {
                _ended = &mut self.ended => break,
                () = self.kill.cancelled(), if !killed => {
                    self.process.kill_group();
                    killed = true;
                }
                _now = looks.tick() => {
                    self.look();
                    room = MOST_LOG_BYTES;
                }
                bytes = self.log.read(), if room > 0 && self.log.is_open() => {
                    room = room.saturating_sub(bytes);
                }
            }
        }
        self.finish().await;
    }

    fn look(&mut self) {
        let Some(usage) = ChildUsage::of(self.process.pid()) else {
            return;
        };
        self.usage.send_replace(usage);
        let limit = self
            .memory_bytes
            .filter(|limit| usage.resident_bytes > *limit);
        if let Some(limit_bytes) = limit {
            self.outgrown = Some(ChildExit::Memory { limit_bytes });
            self.process.kill_group();
        }
    }

    /// Ends what is left of the group, and tells how the child ended.
    async fn finish(mut self) {
        // Still says how much time it has used.
        self.look();
        self.process.kill_group();
        let drain = async {
            while self.log.is_open() {
                self.log.read().await;
            }
        };
        // What comes later is of a process that is not the child's any more.
        let _held_open = timeout(LOG_GRACE, drain).await;
        let exit = match (self.outgrown, self.process.reap()) {
            (Some(outgrown), _) => outgrown,
            (None, Ok(status)) => status.into(),
            // Reaped by the system itself, as where the node was started with SIGCHLD ignored.
            (None, Err(_)) => ChildExit::Signal(0),
        };
        let end = ChildEnd {
            exit,
            last_line: self.log.finish(),
        };
        self.end.send_replace(Some(end));
    }
}
