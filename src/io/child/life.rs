//! The life of a child: one task looks after it from its first moment until it is reaped.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, pidfd_open};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::end::{ChildEnd, ChildExit};
use super::log::LogPipe;
use super::process::ChildProcess;
use super::program::ChildLimits;
use super::start::Started;
use super::usage::{ChildUsage, UsageMeter};
use super::{Child, ChildStream, Spawned};
use crate::io::clock;
use crate::io::tasks::Tasks;

/// How long the next look at the memory of a child is put off, at least and at most.
const LOOK_PERIODS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
/// How fast a program fills memory that does nothing else, bytes in a millisecond: 1 GiB in a second.
const FILL_BYTES_PER_MS: u64 = 1 << 20;
/// How much of its log is read between two looks: a child that says more waits, so that it cannot keep a processor of the
/// node busy with reading. 10 MiB/s at most are a hundred thousand lines, of which ten are kept.
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
    meter: UsageMeter,
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
            meter: UsageMeter::new(pid)?,
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
        let mut next_look = pin!(sleep(Duration::ZERO));
        let (mut killed, mut room) = (false, MOST_LOG_BYTES);
        loop {
            tokio::select! {
                _ended = &mut self.ended => break,
                () = self.kill.cancelled(), if !killed => {
                    self.process.kill_group();
                    killed = true;
                }
                () = &mut next_look => {
                    let at = self.look();
                    next_look.as_mut().reset(at.into());
                    room = MOST_LOG_BYTES;
                }
                bytes = self.log.read(), if room > 0 && self.log.is_open() => {
                    room = room.saturating_sub(bytes);
                }
            }
        }
        self.finish().await;
    }

    /// Looks at what the child uses, and says when to look again: before it can use more than it may.
    fn look(&mut self) -> Instant {
        let [shortest, longest] = LOOK_PERIODS;
        let Some(usage) = self.meter.look() else {
            return clock::next_beat(longest);
        };
        self.usage.send_replace(usage);
        let Some(limit_bytes) = self.memory_bytes else {
            return clock::next_beat(longest);
        };
        if usage.resident_bytes > limit_bytes {
            self.outgrown = Some(ChildExit::Memory { limit_bytes });
            self.process.kill_group();
        }
        let left_bytes = limit_bytes.saturating_sub(usage.resident_bytes);
        let until_full = Duration::from_millis(left_bytes / FILL_BYTES_PER_MS);
        let at = clock::now() + until_full.max(shortest);
        at.min(clock::next_beat(longest))
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
