//! Taking turns without dice: smooth weighted round robin over weights that change with each choice.
//!
//! Every redirector has its own turns, and they do not begin alike: otherwise their first listeners would all meet.

use crate::logic::forecast::Outlook;
use crate::model::node::NodeName;

/// The most that a node may be owed, or owe, in turns.
///
/// With steady proportions a credit stays within one turn. With changing ones it may grow with the logarithm of
/// their number, ln 300 = 5.7; a greater credit would only remember a load that is long gone.
const MAX_CREDIT: f64 = 8.0;

/// The most credits that are kept of nodes that are not candidates now: those that lack one mount but not another.
const MAX_ABSENT: usize = 256;

/// One redirector's turn-taking.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    own: NodeName,
    /// The turns that each node is owed; by name.
    credits: Vec<(NodeName, f64)>,
}

impl Turns {
    pub(super) fn new(own: NodeName) -> Self {
        Self {
            own,
            credits: Vec::new(),
        }
    }

    pub(super) fn own(&self) -> &NodeName {
        &self.own
    }

    /// The turns that a node is owed.
    pub(super) fn credit(&self, name: &NodeName) -> f64 {
        let found = self.credits.binary_search_by(|(it, _)| it.cmp(name));
        found.map_or_else(
            |_| first_credit(&self.own, name),
            |place| self.credits[place].1,
        )
    }

    /// Credits each node with its share of a turn, and gives the turn to the one that is owed most: returns its index.
    /// The names are in order; `None` if no weight is above 0.
    pub(super) fn draw<'a>(
        &mut self,
        names: impl Iterator<Item = &'a NodeName>,
        weights: &[f64],
    ) -> Option<usize> {
        let total: f64 = weights.iter().sum();
        // The credit of the node that is owed most, where that is kept, and its index.
        let mut most: Option<(f64, usize, usize)> = None;
        let mut next = 0;
        for (index, (name, weight)) in names.zip(weights).enumerate() {
            if *weight <= 0.0 {
                continue;
            }
            // Names come in order, so a new one moves none of the places that were found before.
            let place = self.account(name, next);
            next = place + 1;
            let credit = &mut self.credits[place].1;
            *credit = (*credit + weight / total).min(MAX_CREDIT);
            if most.is_none_or(|(credit_of_most, ..)| *credit > credit_of_most) {
                most = Some((*credit, place, index));
            }
        }
        let (_, place, index) = most?;
        let credit = &mut self.credits[place].1;
        *credit = (*credit - 1.0).max(-MAX_CREDIT);
        Some(index)
    }

    /// Forgets nodes that are gone, once many are.
    pub(super) fn tidy(&mut self, outlooks: &[Outlook<'_>]) {
        if self.credits.len() > outlooks.len() + MAX_ABSENT {
            let known = |name: &NodeName| outlooks.binary_search_by(|it| it.node.cmp(name));
            self.credits.retain(|(name, _)| known(name).is_ok());
        }
    }

    /// The index of a node's credit. The names come in the same order, so it usually is at the `guess`.
    fn account(&mut self, name: &NodeName, guess: usize) -> usize {
        let guessed = self.credits.get(guess);
        if guessed.is_some_and(|(found, _)| found == name) {
            return guess;
        }
        match self.credits.binary_search_by(|(found, _)| found.cmp(name)) {
            Ok(place) => place,
            Err(place) => {
                let credit = first_credit(&self.own, name);
                self.credits.insert(place, (name.clone(), credit));
                place
            }
        }
    }
}

/// The turns that a node is owed at first: up to half a turn more or less, different at each redirector.
///
/// If all began with zero, the first listener of each of thirty redirectors would go to the same node.
fn first_credit(own: &NodeName, name: &NodeName) -> f64 {
    // FNV-1a: the same on each machine and in each version, so that a run can be repeated.
    let bytes = own.as_str().bytes().chain([0]).chain(name.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // FNV's last bytes reach only the low bits; a golden-ratio multiplication lifts them to the top.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    mixed as f64 / f64::from(u32::MAX) - 0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(count: usize) -> Vec<NodeName> {
        let name = |index| NodeName::try_from(format!("n{index:03}")).unwrap();
        (0..count).map(name).collect()
    }

    #[test]
    fn each_gets_its_turns_spread_out() {
        let (names, mut turns) = (names(2), Turns::new(names(3).remove(2)));
        let drawn: Vec<usize> = (0..8)
            .map(|_| turns.draw(names.iter(), &[3.0, 1.0]).unwrap())
            .collect();
        for four in drawn.windows(4) {
            assert_eq!(four.iter().sum::<usize>(), 1, "{drawn:?}");
        }
        assert_eq!(turns.draw(names.iter(), &[0.0, 0.0]), None);
    }

    proptest! {
        #[test]
        fn credits_stay_bounded_whatever_the_weights(
            rounds in proptest::collection::vec(proptest::collection::vec(0.0..10.0, 1..12), 1..200)
        ) {
            let names = names(12);
            let mut turns = Turns::new(names[0].clone());
            for weights in rounds {
                if let Some(index) = turns.draw(names.iter(), &weights) {
                    prop_assert!(weights[index] > 0.0);
                }
                prop_assert!(turns.credits.iter().all(|(_, credit)| credit.abs() <= MAX_CREDIT));
                prop_assert!(turns.credits.is_sorted_by(|left, right| left.0 < right.0));
            }
        }
    }
}
