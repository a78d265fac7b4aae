//! A network of addresses, written `10.0.0.0/8` or `2001:db8::/32`.
//!
//! An IPv4 address counts as the same one when it is written as IPv6 (`::ffff:10.0.0.1`), as on a socket that listens
//! on `[::]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// The length of the prefix `::ffff:0:0/96`, below which IPv6 has the IPv4 addresses.
const MAPPED_BITS: u8 = 96;

/// All addresses that begin with the same bits. Only parsing makes one, so it is always well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    first: IpAddr,
    prefix_bits: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// The text is neither an address nor a network.
    #[error(
        "invalid network {0:?}: write an address and the length of its prefix, such as 10.0.0.0/8 or ::1"
    )]
    Text(String),
    /// Bits after the prefix are set, so that it is unclear whether the network or the address was meant.
    #[error(
        "{text:?} has bits after its prefix: write the network {network}, or the address alone"
    )]
    Ambiguous {
        /// The text.
        text: String,
        /// The network around it.
        network: Network,
    },
}

impl Network {
    /// Whether an address is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4()
            && first_of(address, self.prefix_bits) == self.first
    }
}

/// The customer of a provider that has an address, as far as customers can be told apart: an address of IPv4, or the
/// first address of a /64 of IPv6, which is the smallest network that a line gets.
pub fn customer(address: IpAddr) -> IpAddr {
    shared_by(address.to_canonical(), 32, 64)
}

/// The first address of the network around an address, which has so many bits in IPv4 and so many in IPv6.
pub fn shared_by(address: IpAddr, v4_bits: u8, v6_bits: u8) -> IpAddr {
    let prefix_bits = match address {
        IpAddr::V4(_) => v4_bits,
        IpAddr::V6(_) => v6_bits,
    };
    first_of(address, prefix_bits)
}

/// The first address that begins with the same bits as this one.
fn first_of(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let prefix_bits = u32::from(prefix_bits);
    match address {
        IpAddr::V4(address) => {
            let ignored = u32::MAX.checked_shr(prefix_bits).unwrap_or_default();
            IpAddr::V4((address.to_bits() & !ignored).into())
        }
        IpAddr::V6(address) => {
            let ignored = u128::MAX.checked_shr(prefix_bits).unwrap_or_default();
            IpAddr::V6((address.to_bits() & !ignored).into())
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork::Text(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if written.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            // `u8` would accept a leading plus.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| bad())?
            }
            Some(_) => return Err(bad()),
            None => most,
        };
        if prefix_bits > most {
            return Err(bad());
        }
        let mut network = Self {
            first: first_of(written, prefix_bits),
            prefix_bits,
        };
        let first = network.first;
        // A network is only IPv4 if the whole mapped prefix is within its own.
        if written.is_ipv6() && first.to_canonical().is_ipv4() && prefix_bits >= MAPPED_BITS {
            network.first = first.to_canonical();
            network.prefix_bits -= MAPPED_BITS;
        }
        if first != written {
            let text = text.to_owned();
            return Err(BadNetwork::Ambiguous { text, network });
        }
        Ok(network)
    }
}

impl TryFrom<String> for Network {
    type Error = BadNetwork;

    fn try_from(text: String) -> Result<Self, BadNetwork> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

/// The two families of IP addresses. A client that has only one of them does not reach the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_customer_is_an_address_or_a_64() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let [one, other] = [one, other].map(|text| customer(address(text)));
            assert_eq!(one == other, same, "{one} {other}");
        }
    }

    #[test]
    fn a_network_is_an_address_and_the_bits_that_count() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1/128", "::1", "::2"),
            ("127.0.0.0/9", "127.127.0.1", "127.128.0.1"),
        ] {
            assert!(network(text).contains(address(inside)), "{text} {inside}");
            assert!(
                !network(text).contains(address(outside)),
                "{text} {outside}"
            );
        }
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_clothes_of_ipv6() {
        let private = network("10.0.0.0/8");
        assert!(private.contains(address("::ffff:10.1.2.3")));
        assert!(!private.contains(address("::ffff:11.1.2.3")));
        assert_eq!(network("::ffff:10.0.0.0/104"), private);
        assert_eq!(network("::ffff:10.0.0.1").to_string(), "10.0.0.1/32");
        assert!(network("::/90").first.is_ipv6());
    }

    #[test]
    fn a_bad_network_is_refused_with_a_good_example() {
        for bad in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "localhost",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "::1%eth0",
        ] {
            let refused = bad.parse::<Network>();
            assert_eq!(refused, Err(BadNetwork::Text(bad.to_owned())), "{bad}");
        }
        let said = "10.0.0.1/8".parse::<Network>().unwrap_err().to_string();
        assert!(said.contains("write the network 10.0.0.0/8"), "{said}");
    }

    proptest! {
        #[test]
        fn a_network_survives_its_text_and_contains_its_first_address(bits: u128, four: bool, length: u8) {
            let (address, most) = match four {
                true => (IpAddr::V4((bits as u32).into()), 32),
                false => (IpAddr::V6(bits.into()), 128),
            };
            let prefix_bits = length % (most + 1);
            let first = first_of(address, prefix_bits);
            let network: Network = format!("{first}/{prefix_bits}").parse().unwrap();
            prop_assert!(network.contains(address) && network.contains(first));
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }

        #[test]
        fn no_text_breaks_the_parser(text: String) {
            let _network = text.parse::<Network>();
        }
    }
}
