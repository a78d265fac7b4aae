//! Programs that must not run as root, such as liquidsoap and VLC.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::geteuid;
use tempfile::TempDir;

/// A command of a user without rights, if this is run by root, for whom VLC does not play.
pub(crate) fn as_nobody() -> Command {
    if !geteuid().is_root() {
        return Command::new("env");
    }
    let mut command = Command::new("setpriv");
    command.args("--reuid 65534 --regid 65534 --clear-groups --".split(' '));
    command
}

/// A folder that everybody may write into.
pub(crate) fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    folder
}
