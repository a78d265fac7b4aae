//! The sockets for DNS: UDP for usual questions, TCP for clients that were told to ask again.
//!
//! Each address has a socket of both kinds. The answer is decided elsewhere, at once and without waiting; a datagram
//! that cannot be sent at once is lost, as datagrams may be, and nothing waits for it.

mod datagrams;
mod streams;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use self::datagrams::Datagrams;
use self::streams::TcpStreams;
use crate::io::tasks::Tasks;
use crate::wire::dns::Carrier;

/// Connections that the kernel keeps while the node is busy.
const BACKLOG: i32 = 128;

/// The function that answers: from a message, its sender and its carrier to the bytes of an answer, or to none.
pub type Responder = Arc<dyn Fn(&[u8], IpAddr, Carrier) -> Option<Vec<u8>> + Send + Sync>;

/// Bound sockets that are not read yet.
#[derive(Debug)]
pub struct DnsSockets {
    datagrams: Vec<Datagrams>,
    streams: Vec<TcpStreams>,
}

/// Why a socket could not be bound. The ones bound before are closed again.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for DNS on {protocol} {address}: {error}{}", advice(error, *address))]
pub struct BindError {
    /// `UDP` or `TCP`.
    protocol: &'static str,
    address: SocketAddr,
    error: io::Error,
}

/// The advice for an error, where one is known.
fn advice(error: &io::Error, address: SocketAddr) -> impl fmt::Display {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege: give it to the service by \
             AmbientCapabilities=CAP_NET_BIND_SERVICE and CapabilityBoundingSet=CAP_NET_BIND_SERVICE in its systemd unit, or to the program by \
             `setcap cap_net_bind_service=+ep`, or let the setting listen of [dns] name another port"
                .to_owned()
        }
        io::ErrorKind::AddrInUse if address.ip().is_unspecified() => {
            "; another program has the port, on a desktop often systemd-resolved at 127.0.0.53: let the setting listen \
             of [dns] name the public address of this machine instead of all"
                .to_owned()
        }
        _ => String::new(),
    }
}

impl DnsSockets {
    /// Binds both kinds on each address, for so many connections on all of them.
    pub fn bind(addresses: &[SocketAddr], connections: usize) -> Result<Self, BindError> {
        let mut bound = Self {
            datagrams: Vec::new(),
            streams: Vec::new(),
        };
        for address in addresses {
            let failed = |protocol| {
                move |error| BindError {
                    protocol,
                    address: *address,
                    error,
                }
            };
            let socket = bound_socket(*address, Type::DGRAM).map_err(failed("UDP"))?;
            let datagrams = Datagrams::new(UdpSocket::from(socket)).map_err(failed("UDP"))?;
            // The same port for both, also where the system has chosen it.
            let address = datagrams.local_address().map_err(failed("UDP"))?;
            let socket = bound_socket(address, Type::STREAM).map_err(failed("TCP"))?;
            let share = connections / addresses.len();
            let streams =
                TcpStreams::new(TcpListener::from(socket), share).map_err(failed("TCP"))?;
            bound.datagrams.push(datagrams);
            bound.streams.push(streams);
        }
        Ok(bound)
    }

    /// Answers on all sockets until the node stops.
    pub fn serve(self, answering: &Responder, tasks: &Tasks) {
        for datagrams in self.datagrams {
            let answering = answering.clone();
            tasks.spawn_until_end(async move { datagrams.serve(answering).await });
        }
        for streams in self.streams {
            let serving = streams.serve(answering.clone(), tasks.clone());
            tasks.spawn(serving);
        }
    }
}

/// A socket that does not block. One for all addresses of IPv6 takes IPv4 too, whatever the system's default is.
fn bound_socket(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = match kind {
        Type::STREAM => Protocol::TCP,
        _ => Protocol::UDP,
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests;
