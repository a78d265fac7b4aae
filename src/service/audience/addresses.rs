//! How many listeners of a mount each address has at this node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::mount::MountName;
use crate::model::network::customer;

/// The counts. Each is at least 1, so they are never more than there are listeners.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<BTreeMap<MountAddress, u32>>>);

/// A mount, and an address as far as customers of a provider can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct MountAddress {
    ip: IpAddr,
    mount: MountName,
}

/// Counts one listener among those of its address until it is dropped.
#[derive(Debug)]
pub struct AddressPlace {
    addresses: Addresses,
    of: MountAddress,
}

impl Addresses {
    /// A place for one more listener; `None` if the address has as many as it may have. The look and the count are one
    /// step, so that two that come at once do not both get the last place.
    pub(super) fn enter(
        &self,
        mount: &MountName,
        ip: IpAddr,
        most: Option<u32>,
    ) -> Option<AddressPlace> {
        let of = MountAddress {
            ip: customer(ip),
            mount: mount.clone(),
        };
        let mut counts = self.0.lock();
        let listeners = counts.get(&of).copied().unwrap_or_default();
        if most.is_some_and(|most| listeners >= most) {
            return None;
        }
        counts.insert(of.clone(), listeners + 1);
        drop(counts);
        let addresses = self.clone();
        Some(AddressPlace { addresses, of })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock();
        match counts.get_mut(&self.of) {
            Some(listeners) if *listeners > 1 => *listeners -= 1,
            _ => drop(counts.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_on_each_mount() {
        let addresses = Addresses::default();
        let [a, b] = ["/a.mp3", "/b.mp3"].map(|mount| mount.parse::<MountName>().unwrap());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let enter = |mount: &MountName, from: &str| addresses.enter(mount, ip(from), Some(2));
        let first = enter(&a, "192.0.2.1").unwrap();
        let _second = enter(&a, "::ffff:192.0.2.1").unwrap();
        assert!(enter(&a, "192.0.2.1").is_none());
        let unlimited = addresses.enter(&a, ip("192.0.2.1"), None);
        assert!(unlimited.is_some() && enter(&a, "192.0.2.1").is_none());
        drop(unlimited);
        let _others = [enter(&b, "192.0.2.1"), enter(&a, "192.0.2.2")].map(Option::unwrap);
        drop(first);
        assert!(enter(&a, "192.0.2.1").is_some());
        let _line = ["2001:db8::1", "2001:db8::2"].map(|from| enter(&a, from).unwrap());
        assert!(enter(&a, "2001:db8::3").is_none(), "one line has a /64");
    }

    #[test]
    fn nothing_is_left_of_those_that_have_gone() {
        let addresses = Addresses::default();
        let mount = "/a.mp3".parse().unwrap();
        let places: Vec<_> = (0..5)
            .map(|_| addresses.enter(&mount, [192, 0, 2, 1].into(), None))
            .collect();
        assert_eq!(addresses.0.lock().values().sum::<u32>(), 5);
        drop(places);
        assert!(addresses.0.lock().is_empty());
    }
}
