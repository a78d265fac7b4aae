//! The sender of a source, which may come back while its old connection is not known to be dead.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::mount::MountSpec;
use super::source_user::SourceUser;

/// The sender of a source. Two sources of one mount with the same origin are one encoder that has connected anew, or two
/// encoders in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOrigin {
    /// The address of the client; that behind the proxy, if the proxy is trusted.
    pub ip: IpAddr,
    /// The user that it has logged in as.
    pub user: SourceUser,
}

impl SourceOrigin {
    /// The origin of a source that has logged in from there at this mount, as the user of the mount's sources.
    pub fn new(ip: IpAddr, mount: &MountSpec) -> Self {
        let user = mount.user.clone();
        Self { ip, user }
    }
}

/// Origins for the tests of all code that has sources.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    impl SourceOrigin {
        /// The origin of the user `source` at the last number of an address for documentation (RFC 5737).
        pub(crate) fn sample(last: u8) -> Self {
            Self {
                ip: [192, 0, 2, last].into(),
                user: SourceUser::default(),
            }
        }
    }
}
