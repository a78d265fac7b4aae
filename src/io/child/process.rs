//! The process of a child, which leads a group: ended with all of the group, at the latest when dropped.

use std::io;
use std::process::{Child, ExitStatus};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// A process that has not been reaped: until then no other process and no other group can have its number.
#[derive(Debug)]
pub(super) struct ChildProcess {
    child: Child,
    reaped: bool,
}

impl ChildProcess {
    /// Takes over a process that leads its group.
    pub(super) fn new(child: Child) -> Self {
        Self {
            child,
            reaped: false,
        }
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Blocks until the process has ended, and leaves it to be reaped.
    pub(super) fn wait_for_end(pid: Pid) {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Fails if it was reaped meanwhile, so it has ended, too.
        let _ended = retry_on_intr(|| waitid(WaitId::Pid(pid), how));
    }

    /// Kills all processes of the group, stopped ones too.
    pub(super) fn kill_group(&self) {
        // Fails if no process is left, which is what is wanted.
        let _gone = kill_process_group(self.pid(), Signal::KILL);
    }

    /// Kills what is left of the group, and says how its leader ended. Blocks until it has, so call it afterwards.
    pub(super) fn reap(mut self) -> io::Result<ExitStatus> {
        self.end()
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        self.kill_group();
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if !self.reaped {
            // What was killed is gone within milliseconds; whoever drops it wants it gone.
            let _gone = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{ChildStdout, Command, Stdio};

    use super::*;

    /// A shell, and its output, which ends when no process of its group is left.
    fn shell(script: &str) -> (ChildProcess, BufReader<ChildStdout>) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (ChildProcess::new(child), output)
    }

    fn rest(mut output: BufReader<ChildStdout>) -> String {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest
    }

    #[test]
    fn a_dropped_process_is_gone_with_its_group() {
        let stubborn = "trap '' TERM HUP INT; sleep 1000 & sleep 1000 & echo ready; wait; wait";
        let (process, mut output) = shell(stubborn);
        output.read_line(&mut String::new()).unwrap();
        drop(process);
        assert_eq!(rest(output), "");
    }

    #[test]
    fn a_stopped_process_is_gone_too() {
        let (process, mut output) = shell("sleep 1000 & echo ready; kill -STOP $$");
        output.read_line(&mut String::new()).unwrap();
        assert_eq!(process.reap().unwrap().signal(), Some(9));
        assert_eq!(rest(output), "");
    }

    #[test]
    fn an_end_is_told_and_what_is_left_of_the_group_ends() {
        let (process, output) = shell("sleep 1000 & exit 3");
        ChildProcess::wait_for_end(process.pid());
        assert_eq!(process.reap().unwrap().code(), Some(3));
        assert_eq!(rest(output), "");
    }
}
