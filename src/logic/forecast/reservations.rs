//! How many listeners of one address, and of one network, are expected somewhere because of a redirect.
//!
//! A redirect costs a client nothing, and makes a place on some node count as taken for five seconds. So the places
//! that one address reserves are bounded, and those of all addresses of a network too; beyond that, a listener is
//! still sent to where there is room, and counts when it arrives.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::RESERVATION;
use crate::model::network::shared_by;

/// The most places that one address reserves: all customers of a small provider behind one address, at once.
const MAX_PER_ADDRESS: u32 = 64;
/// The most places that one network reserves, whatever the addresses in it: as many as four full addresses. A
/// network of this size is often given to a single machine.
const MAX_PER_NETWORK: u32 = 4 * MAX_PER_ADDRESS;
/// The most addresses and networks that are counted. Beyond, newcomers reserve nothing until some are forgotten.
const MAX_COUNTED: usize = 32_768;
/// How often addresses that may be forgotten are looked for, once there is no room for more.
const TIDYING: Duration = Duration::from_millis(250);

/// The clients whose reservations are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ReservedBy {
    /// One address of IPv4; for IPv6 what a household gets, a /64.
    Address,
    /// The network around it: /24 of IPv4, /48 of IPv6.
    Network,
}

/// Recent reservations, by address and by network.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    windows: BTreeMap<(ReservedBy, IpAddr), ReservedSince>,
    tidied_at: Option<Instant>,
}

/// The places that were reserved since some moment.
#[derive(Clone, Copy, Debug)]
struct ReservedSince {
    since: Instant,
    places: u32,
}

impl Reservations {
    /// Whether a listener from this address may have a place reserved, which is then counted. Loopback has no bound:
    /// the machine's own proxy, with all its clients, uses that address.
    pub fn reserve(&mut self, address: IpAddr, now: Instant) -> bool {
        if address.is_loopback() {
            return true;
        }
        self.tidy(now);
        self.count(ReservedBy::Address, address, now)
            && self.count(ReservedBy::Network, address, now)
    }

    fn count(&mut self, scope: ReservedBy, address: IpAddr, now: Instant) -> bool {
        let key = (scope, scope.of(address));
        if self.windows.len() >= MAX_COUNTED && !self.windows.contains_key(&key) {
            return false;
        }
        let fresh = ReservedSince {
            since: now,
            places: 0,
        };
        let window = self.windows.entry(key).or_insert(fresh);
        if window.is_over(now) {
            *window = fresh;
        }
        window.places = window.places.saturating_add(1);
        window.places <= scope.most()
    }

    fn tidy(&mut self, now: Instant) {
        let lately = |at: Instant| now.saturating_duration_since(at) < TIDYING;
        if self.windows.len() >= MAX_COUNTED && !self.tidied_at.is_some_and(lately) {
            self.windows.retain(|_, window| !window.is_over(now));
            self.tidied_at = Some(now);
        }
    }
}

impl ReservedSince {
    /// Places are counted as long as they stay reserved.
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= RESERVATION
    }
}

impl ReservedBy {
    fn most(self) -> u32 {
        match self {
            Self::Address => MAX_PER_ADDRESS,
            Self::Network => MAX_PER_NETWORK,
        }
    }

    /// The address that stands for all that count together with this one.
    fn of(self, address: IpAddr) -> IpAddr {
        let (v4_bits, v6_bits) = match self {
            Self::Address => (32, 64),
            Self::Network => (24, 48),
        };
        shared_by(address, v4_bits, v6_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_reserves_a_bounded_number_of_places() {
        let (mut reservations, now) = (Reservations::default(), Instant::now());
        let stranger = ip("192.0.2.7");
        let granted = (0..200).filter(|_| reservations.reserve(stranger, now));
        assert_eq!(granted.count() as u32, MAX_PER_ADDRESS);
        assert!(reservations.reserve(ip("192.0.2.8"), now), "another one");
        assert!(reservations.reserve(stranger, now + RESERVATION));
        assert!((0..200).all(|_| reservations.reserve(ip("127.0.0.1"), now)));
    }

    #[test]
    fn a_household_of_ipv6_is_one_address() {
        let (mut reservations, now) = (Reservations::default(), Instant::now());
        let address = |number: u32| ip(&format!("2001:db8::{number:x}"));
        let granted = (1..200).filter(|number| reservations.reserve(address(*number), now));
        assert_eq!(granted.count() as u32, MAX_PER_ADDRESS);
        assert!(reservations.reserve(ip("2001:db8:0:1::1"), now));
    }

    #[test]
    fn a_network_reserves_as_much_as_a_few_addresses() {
        for address in [
            |number: u32| ip(&format!("192.0.2.{}", number % 256)),
            |number: u32| ip(&format!("2001:db8:0:{number:x}::1")),
        ] {
            let (mut reservations, now) = (Reservations::default(), Instant::now());
            let granted = (0..2_000).filter(|number| reservations.reserve(address(*number), now));
            assert_eq!(granted.count() as u32, MAX_PER_NETWORK);
            assert!(reservations.reserve(ip("198.51.100.1"), now));
            assert!(reservations.reserve(ip("2001:db8:1::1"), now));
            assert!(reservations.reserve(address(1), now + RESERVATION));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (mut reservations, now) = (Reservations::default(), Instant::now());
        // Each in a network of its own, which is counted too.
        let address = |number: u32| IpAddr::from((0x0a00_0000 + (number << 8)).to_be_bytes());
        for number in 0..MAX_COUNTED as u32 / 2 {
            assert!(reservations.reserve(address(number), now));
        }
        assert!(!reservations.reserve(ip("192.0.2.7"), now));
        assert!(reservations.reserve(ip("192.0.2.7"), now + RESERVATION));
        assert!(reservations.windows.len() <= MAX_COUNTED);
    }
}
