//! How many listeners of one address are expected somewhere because of a redirect.
//!
//! A redirect costs whoever asks for it nothing, and makes a place on some node count as taken for five seconds. So
//! one address takes a village's worth of places at most; beyond that it is still sent to where there is room, and
//! counts when it arrives.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::forecast::RESERVATION;

/// The most places that one address has reserved: a village behind one address, all at once.
const MAX_PER_ADDRESS: u32 = 64;
/// The most addresses that are counted. Beyond, newcomers reserve nothing until some of them are forgotten.
const MAX_ADDRESSES: usize = 16_384;
/// What a household gets of IPv6: everybody in it is one address.
const HOUSEHOLD_BITS: u32 = 64;

/// What has been reserved of late, by address.
#[derive(Clone, Debug, Default)]
pub struct Reservations(BTreeMap<IpAddr, Window>);

/// The places that were reserved since some moment.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    places: u32,
}

impl Reservations {
    /// Whether a listener from this address may have a place reserved; it is counted then. Loopback has no bound:
    /// behind it stands the machine's own proxy, with everybody in it.
    pub fn reserve(&mut self, address: IpAddr, now: Instant) -> bool {
        if address.is_loopback() {
            return true;
        }
        let is_over = |window: &Window| now.saturating_duration_since(window.since) >= LIFE;
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain(|_, window| !is_over(window));
        }
        let address = household(address);
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&address) {
            return false;
        }
        let fresh = Window {
            since: now,
            places: 0,
        };
        let window = self.0.entry(address).or_insert(fresh);
        if is_over(window) {
            *window = fresh;
        }
        window.places = window.places.saturating_add(1);
        window.places <= MAX_PER_ADDRESS
    }
}

/// How long places are counted: as long as they stay reserved.
const LIFE: Duration = RESERVATION;

fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let kept = u128::MAX << (u128::BITS - HOUSEHOLD_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_reserves_so_many_places_and_more_when_they_are_free_again() {
        let (mut reservations, now) = (Reservations::default(), Instant::now());
        let stranger = ip("192.0.2.7");
        let granted = (0..200).filter(|_| reservations.reserve(stranger, now));
        assert_eq!(granted.count() as u32, MAX_PER_ADDRESS);
        assert!(reservations.reserve(ip("192.0.2.8"), now), "another one");
        assert!(reservations.reserve(stranger, now + LIFE));
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
    fn memory_is_bounded_whoever_asks() {
        let (mut reservations, now) = (Reservations::default(), Instant::now());
        let address = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        for number in 0..MAX_ADDRESSES as u32 {
            assert!(reservations.reserve(address(number), now));
        }
        assert!(!reservations.reserve(ip("192.0.2.7"), now));
        assert!(reservations.reserve(ip("192.0.2.7"), now + LIFE));
        assert!(reservations.0.len() <= MAX_ADDRESSES);
    }
}
