//! The user that a child runs as.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The table of the users of this machine.
const USERS: &str = "/etc/passwd";

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildUser {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UnknownUser {
    /// The table does not have it.
    #[error("there is no user {0} in {USERS}: make one (useradd --system {0}), or name another")]
    Missing(String),
    /// The table cannot be read.
    #[error("cannot read the users of this machine in {USERS}: {0}")]
    Unreadable(#[source] io::Error),
}

impl ChildUser {
    /// The user of this name.
    pub fn named(name: &str) -> Result<Self, UnknownUser> {
        let table = fs::read(USERS).map_err(UnknownUser::Unreadable)?;
        let found = Self::find(&String::from_utf8_lossy(&table), name);
        found.ok_or_else(|| UnknownUser::Missing(name.to_owned()))
    }

    /// Finds a user in a table of lines such as `nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin`.
    fn find(table: &str, name: &str) -> Option<Self> {
        table.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let _password = fields.next()?;
            let uid = fields.next()?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            let home = fields.nth(1)?;
            Some(Self {
                name: name.to_owned(),
                uid,
                gid,
                home: home.into(),
            })
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::io) fn uid(&self) -> u32 {
        self.uid
    }

    pub(in crate::io) fn gid(&self) -> u32 {
        self.gid
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let table = "root:x:0:0:root:/root:/bin/bash\n\
            # a comment\n\
            broken:x:many\n\
            liquidsoap:x:107:115::/usr/share/liquidsoap:/usr/sbin/nologin\n\
            liquid:x:108:116:a name:/home/liquid:/bin/sh\n";
        let found = ChildUser::find(table, "liquidsoap").unwrap();
        assert_eq!((found.uid(), found.gid()), (107, 115));
        assert_eq!(found.home(), Path::new("/usr/share/liquidsoap"));
        assert_eq!(ChildUser::find(table, "liquid").unwrap().uid(), 108);
        for nobody in ["", "liq", "x", "broken", "# a comment"] {
            assert_eq!(ChildUser::find(table, nobody), None, "{nobody}");
        }
    }

    #[test]
    fn an_unknown_user_is_told_with_the_next_step() {
        let error = ChildUser::named("no-such-user").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no user no-such-user in /etc/passwd: make one (useradd --system no-such-user), or name another"
        );
        assert_eq!(ChildUser::named("root").unwrap().uid(), 0);
    }
}
