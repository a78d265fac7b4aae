//! The machine's own values where no setting gives one: its variables, its name, and the user of the node.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use crate::model::node::NodeName;
use crate::model::system_user::SystemUser;

/// The environment of this process, read once so that settings depend on nothing else.
#[derive(Clone, Debug)]
pub struct Machine {
    variables: BTreeMap<OsString, OsString>,
    host_name: String,
    user: User,
    /// The number of the user of this process.
    uid: u32,
    /// The list of users, as in `/etc/passwd`.
    users: String,
    processors: u32,
}

/// The user of this process, as far as the usual places of files depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    /// The system's files belong to this user.
    Root,
    /// The files are below the user's home.
    Ordinary,
}

impl Machine {
    /// The environment that this process runs in.
    pub fn here() -> Self {
        let host_name = fs::read_to_string("/proc/sys/kernel/hostname");
        let uid = rustix::process::geteuid();
        let user = if uid.is_root() {
            User::Root
        } else {
            User::Ordinary
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            variables: env::vars_os().collect(),
            host_name: host_name.unwrap_or_default(),
            user,
            uid: uid.as_raw(),
            users: fs::read_to_string(SystemUser::LIST).unwrap_or_default(),
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
        }
    }

    /// An imagined environment, with an ordinary user.
    #[cfg(test)]
    pub(crate) fn new(variables: &[(&str, &str)], host_name: &str) -> Self {
        let pairs = variables.iter();
        Self {
            variables: pairs.map(|(k, v)| (k.into(), v.into())).collect(),
            host_name: host_name.to_owned(),
            user: User::Ordinary,
            uid: 1_000,
            users: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nodd:x\n"
                .to_owned(),
            processors: 4,
        }
    }

    /// The same environment with root as its user.
    #[cfg(test)]
    pub(super) fn of_root(self) -> Self {
        let (user, uid) = (User::Root, 0);
        Self { user, uid, ..self }
    }

    /// A variable as a path; an empty one counts as unset.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(Path::new(name).as_os_str());
        value.filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A variable as text; a byte that is not valid UTF-8 becomes a mark, so that an error can show the value.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.path(name)?;
        Some(value.to_string_lossy().into_owned())
    }

    /// Whether a variable is set and empty.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        let value = self.variables.get(Path::new(name).as_os_str());
        value.is_some_and(|value| value.is_empty())
    }

    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let names = self.variables.keys();
        names.map(|name| name.to_string_lossy().into_owned())
    }

    /// How many programs can run at the same time.
    pub(super) fn processors(&self) -> u32 {
        self.processors
    }

    /// The user of this name, if the machine's own list has it.
    pub(super) fn user_named(&self, name: &str) -> Option<SystemUser> {
        SystemUser::find(&self.users, name)
    }

    /// Whether this process can start programs as another user.
    pub(super) fn can_run_as(&self, uid: u32) -> bool {
        self.user == User::Root || self.uid == uid
    }

    /// The data directory unless one is set; `None` without a home.
    pub(super) fn default_data_dir(&self) -> Option<PathBuf> {
        match self.user {
            User::Root => Some(PathBuf::from("/var/lib/antiphon")),
            User::Ordinary => self.below("XDG_DATA_HOME", ".local/share", "antiphon"),
        }
    }

    /// The settings file in the usual place, if there is one.
    pub(super) fn default_config_file(&self) -> Option<PathBuf> {
        let place = match self.user {
            User::Root => Some(PathBuf::from("/etc/antiphon/antiphon.toml")),
            User::Ordinary => self.below("XDG_CONFIG_HOME", ".config", "antiphon/antiphon.toml"),
        };
        place.filter(|path| path.is_file())
    }

    /// A file below a directory that a variable names, or else below one in the home.
    fn below(&self, variable: &str, in_home: &str, file: &str) -> Option<PathBuf> {
        // The XDG specification says to ignore relative paths.
        let named = self.path(variable).filter(|path| path.is_absolute());
        let base = named.or_else(|| Some(self.path("HOME")?.join(in_home)))?;
        Some(base.join(file))
    }

    /// The machine's name made into a node's: its first label, with hyphens for characters that a node name cannot
    /// have.
    pub(super) fn node_name(&self) -> NodeName {
        let label = self.host_name.trim().split('.').next().unwrap_or_default();
        let fitting = label.chars().map(|letter| {
            let lower = letter.to_ascii_lowercase();
            if lower.is_ascii_alphanumeric() {
                lower
            } else {
                '-'
            }
        });
        let fitting: String = fitting.collect();
        let start = fitting.trim_start_matches('-');
        let cut = &start[..start.len().min(NodeName::MAX_BYTES)];
        let name = NodeName::try_from(cut.trim_end_matches('-'));
        name.unwrap_or_else(|_| NodeName::try_from("node").expect("a valid node name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_machine_becomes_a_node_name() {
        for (host_name, name) in [
            ("studio", "studio"),
            ("Studio_PC.example.org\n", "studio-pc"),
            ("-x-", "x"),
            ("", "node"),
            ("___", "node"),
            ("ünïcode", "n-code"),
            (&"a".repeat(80), &"a".repeat(63)),
        ] {
            let machine = Machine::new(&[], host_name);
            assert_eq!(machine.node_name().as_str(), name, "{host_name}");
        }
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let machine = Machine::new(&[], "h");
        let nobody = machine.user_named("nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65_534, 65_534));
        for other in ["", "nobod", "nobody:x", "odd", "NOBODY"] {
            assert_eq!(machine.user_named(other), None, "{other:?}");
        }
    }

    #[test]
    fn data_is_kept_where_the_user_keeps_data() {
        let place = |variables: &[(&str, &str)]| Machine::new(variables, "h").default_data_dir();
        assert_eq!(
            place(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]),
            Some("/x/antiphon".into())
        );
        assert_eq!(
            place(&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/share/antiphon".into())
        );
        assert_eq!(place(&[]), None);
        let root = Machine::new(&[("HOME", "/root")], "h").of_root();
        assert_eq!(root.default_data_dir(), Some("/var/lib/antiphon".into()));
    }
}
