//! Who tries to log in, and the one line of the log that says that somebody may not.
//!
//! Every entrance says it in the same form, because fail2ban reads it: what a stranger chose stands behind the
//! addresses, and in no span before them.

use std::net::{IpAddr, SocketAddr};

use tracing::info;

use crate::io::door::Visitor;
use crate::wire::http::forwarded::Client;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// The client behind it: another one than the address if a trusted proxy is between.
    pub client: IpAddr,
}

impl Caller {
    /// Whoever sent the last head of this visitor.
    pub fn of(visitor: &Visitor) -> Self {
        Self::new(visitor.peer, visitor.client)
    }

    /// A client at the other end of a connection, or behind it.
    pub fn new(address: SocketAddr, client: Client) -> Self {
        let client = client.ip;
        Self { address, client }
    }

    /// Says that a login was refused. `mount` is empty where the login was for the whole mesh.
    pub fn note_refused(&self, user: &str, mount: &str, why: &str) {
        let Self { address, client } = self;
        info!(parent: None, %client, %address, user, mount, why, "login refused");
    }

    /// Says that a login was not looked at, because too many wait for that: no reason to ban anybody.
    pub fn note_put_off(&self, user: &str, mount: &str) {
        let Self { address, client } = self;
        info!(parent: None, %client, %address, user, mount, "login put off: too many wait");
    }
}
