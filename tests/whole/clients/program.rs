//! Programs of this machine: what they are called, whether they are here, and how they are run and ended.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tempfile::TempDir;

use crate::support::tool::have;

/// The user of all programs if this is run by root, for whom some do not play.
const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups --";

/// A program as people know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The name in the tables.
    pub(super) name: &'static str,
    /// The command that has to be there.
    pub(super) command: &'static str,
    /// The Debian package that brings it.
    pub(super) package: &'static str,
}

impl Program {
    /// Whether it can be run; fails where a missing program is no excuse.
    pub(super) fn is_there(self) -> bool {
        have(self.command)
    }

    /// The name and the version of the package, without what the distribution adds.
    pub(super) fn titled(self) -> String {
        let mut query = Command::new("dpkg-query");
        query.args(["-W", "-f", "${Version}", self.package]);
        let version = query.output().ok().filter(|it| it.status.success());
        let version = version.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        let version = version.unwrap_or_default();
        let upstream = version.rsplit_once(':').map_or(&*version, |(_, it)| it);
        let upstream = upstream.split(['-', '+']).next().unwrap_or_default();
        format!("{} {upstream}", self.name).trim_end().to_owned()
    }
}

/// A folder that everybody may write into.
pub(crate) fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    folder
}

/// A running command line, perhaps of several processes. Dropping it kills all of them.
pub(crate) struct Launched {
    child: Child,
    log: PathBuf,
}

impl Launched {
    /// Starts a line of shell in a folder, as a user without rights. What it says goes into a log there.
    pub(crate) fn start(line: &str, folder: &Path) -> Self {
        let log = folder.join("log");
        let said = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut words = NOBODY.split(' ').filter(|_| geteuid().is_root());
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).args(["sh", "-c", line]);
        command.env("HOME", folder).current_dir(folder);
        command
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap());
        let child = command.stderr(said).process_group(0).spawn().unwrap();
        Self { child, log }
    }

    /// The words that it has said so far.
    pub(super) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How its first process ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills all its processes, without a word to anybody.
    pub(super) fn kill9(&mut self) {
        // Also after the end of the first one: others may still run.
        let _gone = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _end = self.child.wait();
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.kill9();
    }
}

impl fmt::Debug for Launched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}, which said: {}", self.child.id(), self.log())
    }
}
