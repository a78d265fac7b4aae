//! Why there is no link to an address that is dialled.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use quinn::ConnectionError;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Why a link cannot be made, in words for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialTrouble {
    /// The machine says that nothing listens there.
    #[error("refused: nothing listens on that UDP port; does antiphon run there, with this port?")]
    Refused,
    /// Nothing came back.
    #[error("no answer: is the machine up, and is UDP let through to that port?")]
    Silent,
    /// The handshake failed.
    #[error("it does not have the same secret: compare `mesh` of the lines `starting`")]
    OtherSecret,
    /// The other side is another release, or not antiphon.
    #[error("it does not speak this version's protocol: run the same release on both")]
    OtherProtocol,
    /// The greeting broke off.
    #[error("it breaks off the greeting")]
    BadGreeting,
    /// The other side is already linked with another node of this node's name.
    #[error("a node with this one's name is in the mesh already: give this one another --name")]
    NameTaken,
    /// The target is this node.
    #[error("that is this node itself: name another one")]
    Ourselves,
    /// An IPv6 address, from a socket of IPv4.
    #[error("it has an IPv6 address and this node listens on IPv4 only: set listen = \"[::]:{port}\"", port = .0.port())]
    NoIpv6(SocketAddr),
    /// An IPv4 address, from a socket of one IPv6 address.
    #[error("it has an IPv4 address and this node listens on IPv6 only: set listen = \"[::]:{port}\"", port = .0.port())]
    NoIpv4(SocketAddr),
    /// Another machine, from a socket of the loopback.
    #[error("it is another machine and this node listens on {ip} only: set listen = \"0.0.0.0:{port}\"", ip = .0.ip(), port = .0.port())]
    LoopbackOnly(SocketAddr),
    /// Port 0, or another address to which nothing can be sent.
    #[error("nothing can be sent to such an address")]
    NoAddress,
}

impl DialTrouble {
    /// Whether another try can succeed without a change at this node.
    pub fn may_pass(self) -> bool {
        !matches!(
            self,
            Self::NoIpv6(_) | Self::NoIpv4(_) | Self::LoopbackOnly(_) | Self::NoAddress
        )
    }

    /// Why a socket that is bound `here` cannot reach `there`, whichever node is there; `None`: it can.
    pub(super) fn between(here: SocketAddr, there: SocketAddr) -> Option<Self> {
        let everywhere = here.ip().is_unspecified();
        match (here.ip(), there.ip().to_canonical()) {
            _ if there.port() == 0 || there.ip().is_unspecified() => Some(Self::NoAddress),
            (IpAddr::V4(_), IpAddr::V6(_)) => Some(Self::NoIpv6(here)),
            (IpAddr::V6(own), IpAddr::V4(_)) if !everywhere && own.to_ipv4_mapped().is_none() => {
                Some(Self::NoIpv4(here))
            }
            (own, other) if own.to_canonical().is_loopback() && !other.is_loopback() => {
                Some(Self::LoopbackOnly(here))
            }
            _ => None,
        }
    }

    /// The meaning of the end of a connection that never became a link.
    pub(super) fn of(error: &ConnectionError) -> Self {
        /// TLS's alert "no application protocol" (RFC 7301), as QUIC carries it.
        const NO_COMMON_PROTOCOL: u64 = 0x178;
        let code = match error {
            ConnectionError::TimedOut | ConnectionError::Reset => return Self::Silent,
            ConnectionError::VersionMismatch => return Self::OtherProtocol,
            ConnectionError::TransportError(error) => u64::from(error.code),
            ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
            _ => return Self::BadGreeting,
        };
        match code {
            NO_COMMON_PROTOCOL => Self::OtherProtocol,
            0x100..0x200 => Self::OtherSecret, // CRYPTO_ERROR, RFC 9000 section 20.1
            _ => Self::BadGreeting,
        }
    }
}

/// How long the answer that nothing listens may take: a round trip of a bad line.
const REFUSAL_LIMIT: Duration = Duration::from_millis(250);

/// Whether a machine that has not answered says that nothing listens at this port. QUIC's socket, which has many
/// peers, does not get that answer; one that is connected to a single peer does.
pub(super) async fn is_refused(address: SocketAddr) -> bool {
    let ask = async {
        let any: IpAddr = match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    let asked = timeout(REFUSAL_LIMIT, ask).await;
    asked.is_ok_and(|end| end.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_reaches_what_its_address_lets_it_reach() {
        let trouble = |here: &str, there: &str| {
            DialTrouble::between(here.parse().unwrap(), there.parse().unwrap())
        };
        for (here, there) in [
            ("0.0.0.0:1", "192.0.2.1:1"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "192.0.2.1:1"),
            ("[::]:1", "[2001:db8::1]:1"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("[::1]:1", "[::1]:2"),
            ("192.0.2.1:1", "198.51.100.1:1"),
        ] {
            assert_eq!(trouble(here, there), None, "{here} {there}");
        }
        for (here, there, word) in [
            (
                "0.0.0.0:8000",
                "[::1]:1",
                "listens on IPv4 only: set listen = \"[::]:8000\"",
            ),
            ("127.0.0.1:9", "[2001:db8::1]:1", "listen = \"[::]:9\""),
            (
                "[::1]:8000",
                "127.0.0.1:1",
                "listens on IPv6 only: set listen = \"[::]:8000\"",
            ),
            (
                "127.0.0.1:8000",
                "192.0.2.1:1",
                "on 127.0.0.1 only: set listen = \"0.0.0.0:8000\"",
            ),
            ("0.0.0.0:1", "192.0.2.1:0", "nothing can be sent"),
        ] {
            let found = trouble(here, there).expect(there);
            assert!(found.to_string().contains(word), "{found}");
            assert!(!found.may_pass());
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_told_from_a_silent_one() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        assert!(!is_refused(address).await);
        drop(socket);
        assert!(is_refused(address).await);
    }
}
