//! The promises of the seats of outside servers: each has one holder, whom all follow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon::model::node::NodeName;
use antiphon::model::seat::Seat;

use super::Violations;
use super::election::START_INTERVALS;
use crate::tools::Tools;

/// How long after a fault a seat may have no holder, or several, in gossip intervals: 16 as for the master's, and 4
/// because nothing wakes a node for what these wait for but its rounds and looks.
pub(super) const AGREEMENT_INTERVALS: u32 = 20;

/// The rules' view of a node.
#[derive(Clone, Debug)]
pub struct Sitter {
    /// The node's name.
    pub name: NodeName,
    /// The number of its part of the mesh: nodes that reach each other, over others too, have the same.
    pub component: usize,
    /// Whether it is out of service.
    pub is_draining: bool,
    /// Whether it may still be looking for its peers.
    pub is_young: bool,
    /// The tools of the node for transcoding.
    pub tools: Tools,
    /// The holder that it follows, of each seat that is held.
    pub follows: BTreeMap<Seat, NodeName>,
    /// The seats that it holds itself.
    pub holds: BTreeSet<Seat>,
}

impl Sitter {
    /// Whether it may take a seat: it is in service, and old enough to know its peers.
    pub(super) fn is_eligible(&self) -> bool {
        !self.is_draining && !self.is_young
    }
}

/// The judge of the seats of outside servers.
#[derive(Debug)]
pub struct SeatRules {
    seats: BTreeSet<Seat>,
    interval: Duration,
    deadline: Duration,
    violations: Violations,
}

impl SeatRules {
    /// The judge of these seats in a world that is about to start.
    pub fn new(seats: BTreeSet<Seat>, interval: Duration) -> Self {
        Self {
            seats,
            interval,
            deadline: interval * (START_INTERVALS + AGREEMENT_INTERVALS),
            violations: Violations::default(),
        }
    }

    /// Something is about to happen to this world, or hides nodes from each other.
    pub fn fault(&mut self, now: Duration) {
        let bound = now + self.interval * AGREEMENT_INTERVALS;
        self.deadline = self.deadline.max(bound);
    }

    /// Looks at all running nodes.
    pub fn look(&mut self, now: Duration, sitters: &[Sitter]) {
        if now <= self.deadline {
            return;
        }
        for group in groups(sitters) {
            for seat in &self.seats {
                if let Some(what) = wrong(&group, seat) {
                    self.violations.note("O1", now, || what);
                }
            }
        }
    }

    /// The rules that were broken.
    pub fn finish(self) -> Vec<String> {
        self.violations.0
    }
}

/// The groups of nodes that hear each other.
pub(super) fn groups(sitters: &[Sitter]) -> Vec<Vec<&Sitter>> {
    let components: BTreeSet<usize> = sitters.iter().map(|it| it.component).collect();
    let group = |component: usize| {
        let group = sitters.iter().filter(|it| it.component == component);
        group.collect()
    };
    components.into_iter().map(group).collect()
}

/// The fault of a seat among those who hear each other, if it has one.
fn wrong(group: &[&Sitter], seat: &Seat) -> Option<String> {
    let followed: BTreeSet<Option<&NodeName>> =
        group.iter().map(|it| it.follows.get(seat)).collect();
    let holders = group.iter().filter(|it| it.holds.contains(seat));
    let holders: Vec<&NodeName> = holders.map(|it| &it.name).collect();
    let is_right = match holders[..] {
        [] => followed == [None].into() && !group.iter().any(|it| it.is_eligible()),
        [holder] => followed == [Some(holder)].into(),
        _ => false,
    };
    (!is_right).then(|| format!("{seat} is held by {holders:?}, and {followed:?} are followed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: Duration = Duration::from_millis(250);

    fn seat() -> Seat {
        Seat::Outside(NodeName::try_from("o0").unwrap())
    }

    fn sitter(name: &str, follows: &str) -> Sitter {
        let [name, follows] = [name, follows].map(|it| NodeName::try_from(it).unwrap());
        Sitter {
            component: 0,
            is_draining: false,
            is_young: false,
            tools: Tools::Missing,
            holds: (name == follows).then(seat).into_iter().collect(),
            follows: [(seat(), follows)].into(),
            name,
        }
    }

    fn broken(sitters: &[Sitter], at: Duration) -> usize {
        let mut rules = SeatRules::new([seat()].into(), G);
        rules.look(at, sitters);
        rules.finish().len()
    }

    #[test]
    fn a_seat_has_one_holder_whom_all_follow() {
        let late = G * 60;
        assert_eq!(broken(&[sitter("a", "a"), sitter("b", "a")], late), 0);
        assert_eq!(broken(&[sitter("a", "a"), sitter("b", "b")], late), 1);
        assert_eq!(broken(&[sitter("a", "b")], late), 1, "b is not there");
        assert_eq!(
            broken(&[sitter("a", "b")], G * 40),
            0,
            "it is just starting"
        );
    }

    #[test]
    fn a_seat_stays_empty_only_where_nobody_may_take_it() {
        let mut alone = sitter("a", "a");
        (alone.follows, alone.holds) = Default::default();
        assert_eq!(broken(std::slice::from_ref(&alone), G * 60), 1);
        alone.is_draining = true;
        assert_eq!(broken(&[alone], G * 60), 0);
    }
}
