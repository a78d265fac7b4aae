//! A program that the node can run, and in which bounds.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::model::system_user::SystemUser;

/// The folders of programs, where the node was not told any.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The home of a child whose user has none: always there, and not writable.
const NO_HOME: &str = "/";
/// English, so that its words mean the same on every machine, and UTF-8 in and out.
const LANGUAGE: &str = "C.UTF-8";

/// A program, and how it is to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file, with the folders that it is in: see [`find_program`].
    pub path: PathBuf,
    /// The arguments, without the name in front.
    pub arguments: Vec<OsString>,
    /// How it is connected with the node.
    pub pipes: ChildPipes,
    /// The user that it runs as; the node's own if not given, which must not be root.
    pub user: Option<SystemUser>,
    /// The bounds that it gets.
    pub limits: ChildLimits,
}

/// How a program is connected with the node; its standard error always is its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildPipes {
    /// A stream goes in at its standard input and comes out at its standard output.
    Stream,
    /// Nothing goes in, and all that is printed belongs to the log.
    Log,
}

/// The bounds of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildLimits {
    /// The most memory that it may hold before it is killed.
    pub memory_bytes: Option<u64>,
    /// How much more than the node it stands back behind others for the processors, from 0 to 19.
    pub nice: u8,
}

/// The file of the program of this name, in the folders where the node looks for programs.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let folders = search_path();
    env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn search_path() -> OsString {
    let given = env::var_os("PATH").filter(|path| !path.is_empty());
    given.unwrap_or_else(|| USUAL_PATH.into())
}

impl Program {
    /// The user that it runs as, if that is not the node's own.
    pub(super) fn other_user(&self) -> Option<&SystemUser> {
        let own = geteuid().as_raw();
        self.user.as_ref().filter(|user| user.uid != own)
    }

    /// Whether it would run as root.
    pub(super) fn as_root(&self) -> bool {
        let own = geteuid().as_raw();
        self.user.as_ref().map_or(own, |user| user.uid) == 0
    }

    /// The name of the user that it runs as, for messages.
    pub(super) fn user_name(&self) -> String {
        match &self.user {
            Some(user) => user.name.clone(),
            None => format!("the user of the node (uid {})", geteuid().as_raw()),
        }
    }

    /// All that it learns of the node's environment, in which there may be secrets.
    pub(super) fn environment(&self) -> [(&'static str, OsString); 3] {
        let home = match &self.user {
            Some(user) => user.home.as_os_str().to_owned(),
            None => env::var_os("HOME").unwrap_or_default(),
        };
        let home = match home.is_empty() {
            true => NO_HOME.into(),
            false => home,
        };
        [
            ("PATH", search_path()),
            ("HOME", home),
            ("LANG", LANGUAGE.into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        let shell = find_program("sh").unwrap();
        assert!(shell.is_absolute() && shell.ends_with("sh"), "{shell:?}");
        assert_eq!(find_program("no-such-program"), None);
        assert_eq!(find_program(""), None, "a folder is no program");
    }
}
