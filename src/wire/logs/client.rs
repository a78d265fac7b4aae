//! The address of a client, as far as the operator wants it written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::model::access_log::AddressPrivacy;
use crate::model::network::shared_by;

/// The bits of an address that many people share: a network of IPv4 with 254 machines, and what one customer of a provider
/// has at most of IPv6.
const SHARED_BITS: [u8; 2] = [24, 48];

/// The first half of the addresses that lead nowhere (RFC 6666): a hash that is written behind it is an address to every
/// reader of logs, and nobody's.
const DISCARDED: [u16; 4] = [0x100, 0, 0, 0];

/// The key under which addresses are hashed. Once it is gone nobody can find out whose a hash was, by trying all addresses.
pub struct ClientKey([u8; 32]);

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(***)")
    }
}

/// A client's address as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownClient(Option<IpAddr>);

impl ShownClient {
    /// The address in words; `None` if nothing of it is to be written.
    pub(super) fn known(self) -> Option<String> {
        self.0.map(|ip| ip.to_string())
    }
}

/// Always an address, since readers of logs take no other word for one.
impl fmt::Display for ShownClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = self.0.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        ip.fmt(f)
    }
}

impl ClientKey {
    /// The key of these random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As much of an address as is to be written.
    pub fn shown(&self, ip: IpAddr, privacy: AddressPrivacy) -> ShownClient {
        let ip = ip.to_canonical();
        let [v4_bits, v6_bits] = SHARED_BITS;
        ShownClient(match privacy {
            AddressPrivacy::Full => Some(ip),
            AddressPrivacy::Truncated => Some(shared_by(ip, v4_bits, v6_bits)),
            AddressPrivacy::Hashed => Some(self.hashed(ip)),
            AddressPrivacy::None => None,
        })
    }

    fn hashed(&self, ip: IpAddr) -> IpAddr {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of HMAC may have any length");
        match ip {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let hash = mac.finalize().into_bytes();
        let [a, b, c, d] = DISCARDED;
        let pair = |at: usize| u16::from_be_bytes([hash[at], hash[at + 1]]);
        Ipv6Addr::new(a, b, c, d, pair(0), pair(2), pair(4), pair(6)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ip: &str, privacy: AddressPrivacy, key: u8) -> String {
        let key = ClientKey::new([key; 32]);
        key.shown(ip.parse().unwrap(), privacy).to_string()
    }

    #[test]
    fn an_address_is_written_as_far_as_it_may_be() {
        for (ip, full, truncated) in [
            ("192.0.2.17", "192.0.2.17", "192.0.2.0"),
            ("::ffff:192.0.2.17", "192.0.2.17", "192.0.2.0"),
            (
                "2001:db8:1:2:3:4:5:6",
                "2001:db8:1:2:3:4:5:6",
                "2001:db8:1::",
            ),
        ] {
            assert_eq!(shown(ip, AddressPrivacy::Full, 0), full);
            assert_eq!(shown(ip, AddressPrivacy::Truncated, 0), truncated);
            assert_eq!(shown(ip, AddressPrivacy::None, 0), "0.0.0.0");
        }
        let none = ClientKey::new([0; 32]).shown([192, 0, 2, 1].into(), AddressPrivacy::None);
        assert_eq!(none.known(), None);
    }

    #[test]
    fn a_hash_is_the_same_for_one_address_and_one_key() {
        let hashed = |ip, key| shown(ip, AddressPrivacy::Hashed, key);
        let first = hashed("192.0.2.17", 1);
        assert_eq!(first, hashed("::ffff:192.0.2.17", 1));
        assert_ne!(first, hashed("192.0.2.18", 1));
        assert_ne!(first, hashed("192.0.2.17", 2));
        let ip: Ipv6Addr = first.parse().unwrap();
        assert_eq!(ip.segments()[..4], DISCARDED);
    }

    #[test]
    fn the_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", ClientKey::new([7; 32])), "ClientKey(***)");
    }
}
