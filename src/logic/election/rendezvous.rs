//! The rank of a node for a seat where no operator has ranked the nodes: every node computes the same.
//!
//! Each seat has an order of its own, so that many seats are spread over all nodes, and the end of a node moves only
//! its own.

use sha2::{Digest as _, Sha256};

use crate::model::node::NodeName;
use crate::model::seat::{Rank, Seat};

/// A node's rank in the election of a seat, the same on every machine and in every version.
pub fn rendezvous(seat: &Seat, node: &NodeName) -> Rank {
    let mut hasher = Sha256::new();
    hasher.update(seat.to_string());
    hasher.update([0]); // A byte that no name has.
    hasher.update(node.as_str());
    let hash = hasher.finalize();
    let beginning = hash.first_chunk().expect("a SHA-256 has 32 bytes");
    Rank(u64::from_be_bytes(*beginning))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    #[test]
    fn seats_spread_over_the_nodes() {
        let nodes = ["n1", "n2", "n3", "n4"].map(name);
        let mut seats_of: BTreeMap<&NodeName, u32> = BTreeMap::new();
        for number in 0..200 {
            let seat = Seat::Outside(name(&format!("relay-{number}")));
            let first = nodes.iter().max_by_key(|node| rendezvous(&seat, node));
            *seats_of.entry(first.unwrap()).or_default() += 1;
        }
        assert!(
            seats_of.len() == 4 && seats_of.values().all(|seats| *seats > 25),
            "{seats_of:?}"
        );
    }

    #[test]
    fn a_rank_is_the_same_in_each_version() {
        let seat = Seat::Outside(name("relay"));
        assert_eq!(
            rendezvous(&seat, &name("n1")),
            rendezvous(&seat, &name("n1"))
        );
        assert_ne!(
            rendezvous(&seat, &name("n1")),
            rendezvous(&seat, &name("n2"))
        );
        assert_ne!(
            rendezvous(&seat, &name("n1")),
            rendezvous(&Seat::Master, &name("n1"))
        );
    }
}
