//! One child process of the demo, with its own log file.
//!
//! A child writes to the file itself and not to a pipe of the demo, so that it keeps running even if the demo is
//! killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::terminal::printable;

/// How long children may take to end when they are asked to; after Ctrl-C nobody wants to wait longer. A node takes
/// longer to end its listeners one by one, which is not needed at the end of a demo.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long a child may take to be ready: a loaded machine with one core needs a few seconds.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How often the log is read meanwhile.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How many lines of the log are shown when something goes wrong.
const LAST_LINES: usize = 8;

/// A child process, running or ended.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    /// `None` once its end has been seen: from then on another process may have its pid.
    child: Option<Child>,
}

impl Process {
    /// Starts this very program again, as `name`, with other arguments.
    pub(super) fn start<A: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(name, command, logs)
    }

    /// Starts a command as `name`.
    pub(super) fn spawn(name: &str, mut command: Command, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context("cannot share the log")?;
        let ours = std::env::vars_os().map(|(variable, _)| variable);
        for variable in ours.filter(|it| is_setting(&it.to_string_lossy())) {
            command.env_remove(variable);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in the terminal is for the demo, which then ends its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().context("a new process has an id")?;
        Ok(Self {
            name: name.to_owned(),
            pid,
            log,
            child: Some(child),
        })
    }

    /// The name of the process.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The process id, for a user who wants to kill the process.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether its end has not been seen yet.
    pub(super) fn lives(&self) -> bool {
        self.child.is_some()
    }

    /// Returns, once, that the process has ended and how.
    pub(super) fn report_ended(&mut self) -> anyhow::Result<Option<String>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let ended = child.try_wait().context("cannot look at a child process")?;
        let Some(status) = ended else {
            return Ok(None);
        };
        self.child = None;
        Ok(Some(format!(
            "{} (pid {}) {}",
            self.name,
            self.pid,
            how(status)
        )))
    }

    /// Waits until the process has logged a line with this word in it.
    pub(super) async fn wait_for(&mut self, word: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let log = fs::read(&self.log).unwrap_or_default();
            if has_word(&String::from_utf8_lossy(&log), word) {
                return Ok(());
            }
            if let Some(told) = self.report_ended()? {
                bail!("{told} while it started");
            }
            if Instant::now() > deadline {
                bail!("{} was not ready within {START_LIMIT:?}", self.name);
            }
            sleep(LOOK_PERIOD).await;
        }
    }

    /// The last lines of the log, if there are any.
    pub(super) fn last_log_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let shown = last
            .iter()
            .map(|line| format!("  {}: {}\n", self.name, printable(line)));
        shown.collect()
    }

    /// Asks the process to end, if it runs.
    pub(super) fn ask_to_end(&self) {
        // Its end has not been waited for yet, so no other process can have the pid.
        let id = self.child.as_ref().and_then(Child::id);
        let pid = id.and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // The process may end at this very moment, which is fine.
            let _gone = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for the end of the process, and kills it if it has not ended by then.
    pub(super) async fn wait_or_kill(&mut self, deadline: Instant) {
        let Some(child) = &mut self.child else {
            return;
        };
        if timeout_at(deadline, child.wait()).await.is_err() {
            // Fails only for a process that has ended already.
            let _gone = child.kill().await;
        }
        self.child = None;
    }
}

/// Whether a variable would change what a node does: a demo is the same on every machine.
fn is_setting(variable: &str) -> bool {
    variable.starts_with("ANTIPHON_") && variable != "ANTIPHON_LOG"
}

fn has_word(log: &str, word: &str) -> bool {
    // The last line may be half written.
    let lines = log.split_inclusive('\n').filter(|it| it.ends_with('\n'));
    lines
        .flat_map(str::split_whitespace)
        .any(|written| written == word)
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, logs: &Path) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::spawn("child", command, logs).unwrap()
    }

    #[tokio::test]
    async fn a_child_is_awaited_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = shell(
            "echo is ready now; while :; do sleep 0.01; done",
            dir.path(),
        );
        child.wait_for("ready").await.unwrap();
        assert!(child.lives());
        assert_eq!(child.report_ended().unwrap(), None);
        child.ask_to_end();
        child.wait_or_kill(Instant::now() + GRACE).await;
        assert!(!child.lives());
    }

    #[tokio::test]
    async fn a_child_that_ends_too_early_says_how_and_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = shell("echo port already in use >&2; exit 3", dir.path());
        let error = child.wait_for("ready").await.unwrap_err().to_string();
        assert!(error.contains("ended with exit code 3"), "{error}");
        assert_eq!(child.last_log_lines(), "  child: port already in use\n");
        assert_eq!(child.report_ended().unwrap(), None);
    }

    #[test]
    fn a_word_counts_when_alone_in_a_whole_line() {
        assert!(has_word("INFO ready listen=127.0.0.1:8000\n", "ready"));
        assert!(!has_word("INFO read", "ready"));
        assert!(!has_word("INFO ready", "ready"));
        assert!(!has_word("already in use\n", "ready"));
    }
}
