//! The ports of this node, opened before anything else is begun, and the room that the system gives it.

use std::io;
use std::net::SocketAddr;

use anyhow::{Error, anyhow};
use tracing::warn;

use crate::io::descriptors::Descriptors;
use crate::io::dns::DnsSockets;
use crate::io::door::Door;
use crate::service::load::Capacity;
use crate::settings::Settings;

/// The open ports.
pub(super) struct Ports {
    /// The door for listeners, sources and operators.
    pub(super) door: Door,
    /// The second door, for sources that speak Shoutcast, if there is one.
    pub(super) shoutcast_door: Option<Door>,
    /// The address of the door.
    pub(super) bound: SocketAddr,
    /// The sockets of the resolver, if this node answers DNS queries.
    pub(super) dns: Option<DnsSockets>,
    /// The capacity that the settings and the system allow.
    pub(super) capacity: Capacity,
}

impl Ports {
    /// Raises the limit of open files, and opens the ports.
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let descriptors = Descriptors::raise();
        descriptors.check().map_err(Error::msg)?;
        let capacity = Capacity {
            max_listeners: descriptors.listeners(settings.max_listeners),
            max_bandwidth_bps: settings.max_bandwidth_bps,
        };
        if capacity.max_listeners == 0 || capacity.max_bandwidth_bps == 0 {
            warn!(
                "this node is allowed no listeners (max_listeners or max_bandwidth is 0): all are sent elsewhere"
            );
        }
        let door = Door::bind(settings.listen, &settings.trusted_proxies, descriptors)
            .map_err(|error| cannot_listen("listen", settings.listen, &error))?;
        let shoutcast_door = settings.shoutcast_listen.map(|address| {
            door.bind_shoutcast(address)
                .map_err(|error| cannot_listen("shoutcast-listen", address, &error))
        });
        let dns = settings.dns.as_ref();
        let dns = dns.map(|dns| DnsSockets::bind(&dns.listen, descriptors.of_dns()));
        Ok(Self {
            bound: door.local_address()?,
            door,
            shoutcast_door: shoutcast_door.transpose()?,
            dns: dns.transpose()?,
            capacity,
        })
    }
}

/// Why a node cannot open the port of a flag, and what to do about it.
fn cannot_listen(flag: &str, listen: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; if an Icecast or another antiphon runs there, stop it, or choose another port: --{flag} {}",
            SocketAddr::new(listen.ip(), listen.port().saturating_add(1))
        ),
        _ => String::new(),
    };
    anyhow!("cannot listen on TCP {listen}: {error}{hint}")
}
