//! Finds the user that a child runs as.

use std::fs;
use std::io;

use crate::model::system_user::SystemUser;

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UnknownUser {
    /// The list does not have it.
    #[error("there is no user {0} in {list}: make one (useradd --system {0}), or name another", list = SystemUser::LIST)]
    Missing(String),
    /// The list cannot be read.
    #[error("cannot read the users of this machine in {list}: {0}", list = SystemUser::LIST)]
    Unreadable(#[source] io::Error),
}

/// The user of this name, as the machine's list has it now.
pub fn user_named(name: &str) -> Result<SystemUser, UnknownUser> {
    let list = fs::read(SystemUser::LIST).map_err(UnknownUser::Unreadable)?;
    let found = SystemUser::find(&String::from_utf8_lossy(&list), name);
    found.ok_or_else(|| UnknownUser::Missing(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_told_with_the_next_step() {
        let error = user_named("no-such-user").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no user no-such-user in /etc/passwd: make one (useradd --system no-such-user), or name another"
        );
        assert_eq!(user_named("root").unwrap().uid, 0);
    }
}
