//! From where an address can be reached, as far as the address itself tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The machines that can reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All machines that have a route to it.
    Everybody,
    /// Only this machine.
    Machine,
    /// The machines on the same link.
    Link,
    /// The machines of a private network.
    Private,
    /// The customers of one provider, behind its NAT (RFC 6598).
    Provider,
    /// No machine: it is not the address of one machine.
    Nobody,
}

impl Reach {
    /// The machines that can reach this address.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_unspecified() || ip.is_multicast() => Self::Nobody,
            ip if ip.is_loopback() => Self::Machine,
            IpAddr::V4(ip) => of_ipv4(ip),
            IpAddr::V6(ip) => of_ipv6(ip),
        }
    }

    /// The kind of such an address, in words; `None` if every machine can reach it.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Everybody => None,
            Self::Machine => Some("it leads back to the machine that asks"),
            Self::Link => Some("it is a link-local address"),
            Self::Private => Some("it is a private address"),
            Self::Provider => Some("it is an address behind a provider's NAT"),
            Self::Nobody => Some("it is not the address of a machine"),
        }
    }
}

fn of_ipv4(ip: Ipv4Addr) -> Reach {
    let [first, second, ..] = ip.octets();
    match (first, second) {
        (0, _) | (240.., _) => Reach::Nobody,
        (100, 64..=127) => Reach::Provider,
        (169, 254) => Reach::Link,
        _ if ip.is_private() => Reach::Private,
        _ => Reach::Everybody,
    }
}

fn of_ipv6(ip: Ipv6Addr) -> Reach {
    if ip.is_unicast_link_local() {
        Reach::Link
    } else if ip.is_unique_local() {
        Reach::Private
    } else {
        Reach::Everybody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_which_machines_reach_it() {
        for (ip, reach) in [
            ("203.0.113.5", Reach::Everybody),
            ("100.128.0.1", Reach::Everybody),
            ("172.32.0.1", Reach::Everybody),
            ("2001:db8::1", Reach::Everybody),
            ("127.0.0.2", Reach::Machine),
            ("::1", Reach::Machine),
            ("::ffff:127.0.0.1", Reach::Machine),
            ("169.254.1.1", Reach::Link),
            ("fe80::1", Reach::Link),
            ("10.0.0.1", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("192.168.1.5", Reach::Private),
            ("fd00::1", Reach::Private),
            ("100.64.0.1", Reach::Provider),
            ("100.127.255.255", Reach::Provider),
            ("0.0.0.0", Reach::Nobody),
            ("::", Reach::Nobody),
            ("255.255.255.255", Reach::Nobody),
            ("224.0.0.1", Reach::Nobody),
        ] {
            assert_eq!(Reach::of(ip.parse().unwrap()), reach, "{ip}");
        }
    }
}
