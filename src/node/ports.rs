//! The ports of this node, opened before anything else is begun, and the room that the system gives it.

use std::io;
use std::net::SocketAddr;

use anyhow::{Error, anyhow};
use tracing::warn;

use crate::io::descriptors::Descriptors;
use crate::io::dns::DnsSockets;
use crate::io::door::Door;
use crate::io::link::LinkError;
use crate::service::load::Capacity;
use crate::settings::Settings;
use crate::wire::icecast::shoutcast::PortUse;

/// How far above a port that needs a privilege one is named that needs none: 8080 for 80 is what people use.
const UNPRIVILEGED: u16 = 8_000;

/// The open ports.
pub(super) struct Ports {
    /// The door for listeners, sources and operators.
    pub(super) door: Door,
    /// Further doors.
    pub(super) further_doors: Vec<Door>,
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
        // Through an Icecast a listener costs the connection to that, too.
        let each = 1 + usize::from(settings.icecast.is_some());
        let capacity = Capacity {
            max_listeners: descriptors.listeners(settings.max_listeners, each),
            max_bandwidth_bps: settings.max_bandwidth_bps,
        };
        if capacity.max_listeners == 0 || capacity.max_bandwidth_bps == 0 {
            warn!(
                "this node is allowed no listeners (max_listeners or max_bandwidth is 0): all are sent elsewhere"
            );
        }
        let door = Door::bind(settings.listen, &settings.trusted_proxies, descriptors)
            .map_err(|error| cannot_listen("listen", settings.listen, &error))?;
        let further_doors = further_doors(settings, &door)?;
        let dns = settings.dns.as_ref();
        let dns = dns.map(|dns| DnsSockets::bind(&dns.listen, descriptors.of_dns()));
        Ok(Self {
            bound: door.local_address()?,
            door,
            further_doors,
            dns: dns.transpose()?,
            capacity,
        })
    }
}

/// Opens the doors beside the first one.
fn further_doors(settings: &Settings, door: &Door) -> anyhow::Result<Vec<Door>> {
    let named = [
        (
            "shoutcast-listen",
            settings.shoutcast_listen,
            PortUse::Shoutcast,
        ),
        ("listen-http", settings.listen_http, PortUse::Http),
        ("listen-https", settings.listen_https, PortUse::Https),
    ];
    let wanted = named
        .into_iter()
        .filter_map(|(flag, address, port)| Some((flag, address?, port)));
    wanted
        .map(|(flag, address, port)| {
            door.bind_beside(address, port)
                .map_err(|error| cannot_listen(flag, address, &error))
        })
        .collect()
}

/// Why a node cannot open the port of a flag, and what to do about it.
fn cannot_listen(flag: &str, listen: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = hint(flag, listen, error.kind());
    anyhow!("cannot listen on TCP {listen}: {error}{hint}")
}

/// Why the port for the other nodes cannot be opened, and what to do about it.
pub(super) fn cannot_link(error: LinkError) -> anyhow::Error {
    match error {
        LinkError::Bind(listen, error) => {
            let hint = hint("listen", listen, error.kind());
            anyhow!("cannot listen on UDP {listen}, where the other nodes connect: {error}{hint}")
        }
        error => error.into(),
    }
}

/// The way out of an error where a port was opened; empty if none is known.
fn hint(flag: &str, listen: SocketAddr, error: io::ErrorKind) -> String {
    let other = |port: u16| SocketAddr::new(listen.ip(), port);
    match error {
        io::ErrorKind::AddrInUse => format!(
            "; if an Icecast or another antiphon runs there, stop it, or choose another port: --{flag} {}",
            other(listen.port().saturating_add(1))
        ),
        io::ErrorKind::PermissionDenied => format!(
            "; ports below 1024 need a privilege: give it to the service by AmbientCapabilities=CAP_NET_BIND_SERVICE and \
             CapabilityBoundingSet=CAP_NET_BIND_SERVICE in its systemd unit, or to the program by `setcap cap_net_bind_service=+ep`, or choose another port: \
             --{flag} {}",
            other(listen.port().saturating_add(UNPRIVILEGED))
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "; this machine has no such address: name one of its own, or all: --{flag} 0.0.0.0:{}",
            listen.port()
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_not_opened_has_a_next_step() {
        for (kind, at, way_out) in [
            (
                io::ErrorKind::AddrInUse,
                "127.0.0.1:8000",
                "--listen 127.0.0.1:8001",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "127.0.0.1:80",
                "--listen 127.0.0.1:8080",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "192.0.2.1:8000",
                "--listen 0.0.0.0:8000",
            ),
        ] {
            let at: SocketAddr = at.parse().unwrap();
            let told = cannot_listen("listen", at, &kind.into()).to_string();
            assert!(
                told.starts_with(&format!("cannot listen on TCP {at}: ")),
                "{told}"
            );
            assert!(told.ends_with(way_out), "{told}");
            let told = cannot_link(LinkError::Bind(at, kind.into())).to_string();
            assert!(
                told.starts_with(&format!("cannot listen on UDP {at}, ")),
                "{told}"
            );
            assert!(told.ends_with(way_out), "{told}");
        }
    }
}
