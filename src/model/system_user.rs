//! A user of the machine, as the files of the system know it.

use std::path::PathBuf;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    /// The name, or the numbers if they were given.
    pub name: String,
    /// The number of the user.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// The home; empty if it has none.
    pub home: PathBuf,
}

impl SystemUser {
    /// The file that lists the users.
    pub const LIST: &str = "/etc/passwd";

    /// Finds a user in a list of lines such as `nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin`.
    pub fn find(list: &str, name: &str) -> Option<Self> {
        list.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let _password = fields.next()?;
            let uid = fields.next()?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            let home = fields.nth(1).unwrap_or_default();
            Some(Self {
                name: name.to_owned(),
                uid,
                gid,
                home: home.into(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let table = "root:x:0:0:root:/root:/bin/bash\n\
            # a comment\n\
            broken:x:many\n\
            liquidsoap:x:107:115::/usr/share/liquidsoap:/usr/sbin/nologin\n\
            liquid:x:108:116:a name:/home/liquid:/bin/sh\n";
        let found = SystemUser::find(table, "liquidsoap").unwrap();
        assert_eq!((found.uid, found.gid), (107, 115));
        assert_eq!(found.home, Path::new("/usr/share/liquidsoap"));
        assert_eq!(SystemUser::find(table, "liquid").unwrap().uid, 108);
        for nobody in ["", "liq", "x", "broken", "# a comment"] {
            assert_eq!(SystemUser::find(table, nobody), None, "{nobody}");
        }
    }
}
