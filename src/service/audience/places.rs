//! How many listeners of a mount each address and each account has at this node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::mount::MountName;
use crate::model::network::customer;

/// The counts. Each is at least 1, so they are never more than there are listeners.
#[derive(Debug)]
pub(super) struct PlaceCounts<K: Ord>(Arc<Mutex<BTreeMap<K, u32>>>);

/// A mount, and an address as far as customers of a provider can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountAddress {
    ip: IpAddr,
    mount: MountName,
}

/// A mount, and the name by which a listener was let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountAccount {
    name: String,
    mount: MountName,
}

/// Counts one listener among those that have the same key until it is dropped.
#[derive(Debug)]
pub struct CountedPlace<K: Ord> {
    places: PlaceCounts<K>,
    of: K,
}

/// Counts one listener among those of its address until it is dropped.
pub type AddressPlace = CountedPlace<MountAddress>;
/// Counts one listener among those of its account until it is dropped.
pub type AccountPlace = CountedPlace<MountAccount>;

impl MountAddress {
    /// An address that listens to a mount.
    pub(super) fn new(mount: &MountName, ip: IpAddr) -> Self {
        let (ip, mount) = (customer(ip), mount.clone());
        Self { ip, mount }
    }
}

impl MountAccount {
    /// An account of a mount.
    pub(super) fn new(mount: &MountName, name: &str) -> Self {
        let (name, mount) = (name.to_owned(), mount.clone());
        Self { name, mount }
    }
}

impl<K: Ord + Clone> PlaceCounts<K> {
    /// A place for one more listener; `None` if there are as many with this key as there may be. The look and the count are
    /// one step, so that two that come at once do not both get the last place.
    pub(super) fn enter(&self, of: K, most: Option<u32>) -> Option<CountedPlace<K>> {
        let mut counts = self.0.lock();
        let listeners = counts.get(&of).copied().unwrap_or_default();
        if most.is_some_and(|most| listeners >= most) {
            return None;
        }
        counts.insert(of.clone(), listeners + 1);
        drop(counts);
        let places = self.clone();
        Some(CountedPlace { places, of })
    }
}

impl<K: Ord> Clone for PlaceCounts<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Ord> Default for PlaceCounts<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord> Drop for CountedPlace<K> {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock();
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
        let addresses = PlaceCounts::default();
        let [a, b] = ["/a.mp3", "/b.mp3"].map(|mount| mount.parse::<MountName>().unwrap());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let place = |mount: &MountName, from: &str, most| {
            addresses.enter(MountAddress::new(mount, ip(from)), most)
        };
        let enter = |mount: &MountName, from: &str| place(mount, from, Some(2));
        let first = enter(&a, "192.0.2.1").unwrap();
        let _second = enter(&a, "::ffff:192.0.2.1").unwrap();
        assert!(enter(&a, "192.0.2.1").is_none());
        let unlimited = place(&a, "192.0.2.1", None);
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
        let accounts = PlaceCounts::default();
        let mount = "/a.mp3".parse().unwrap();
        let places: Vec<_> = (0..5)
            .map(|_| accounts.enter(MountAccount::new(&mount, "alice"), None))
            .collect();
        assert_eq!(accounts.0.lock().values().sum::<u32>(), 5);
        drop(places);
        assert!(accounts.0.lock().is_empty());
    }
}
