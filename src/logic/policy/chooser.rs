//! The choice of the node that a new listener goes to.
//!
//! The least used node is not the best choice: all redirectors would choose the same one until its next report. By
//! default each redirector sends in proportions that fill all nodes to the same level, like water, so that the errors
//! of many do not add up.

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::facts::{Request, Scene};
use super::select::{self, SelectorFacts, Taking, Weights};
use super::shortlist::{Candidate, Shortlist};
use super::turns::Turns;
use super::{Policy, Selector};
use crate::logic::forecast::Basis;
use crate::model::node::NodeName;

/// The place for a new listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The listener stays here: answer 200.
    Here,
    /// The listener goes to another node or an outside server: answer 302.
    Redirect(NodeName),
    /// No node that the policy allows has room: answer 503.
    Full,
}

/// The choosing of one redirector: what it remembers from one choice to the next.
///
/// The same for all policies: a node that got its turn for one mount is not due for another.
#[derive(Clone, Debug)]
pub struct Chooser {
    pub(super) turns: Turns,
    dice: Dice,
    /// The level of the last choice: the next one is close to it.
    level: f64,
}

impl Chooser {
    /// The chooser of this node. The seed is for the policies that draw lots; any number will do.
    pub fn new(own: NodeName, seed: u64) -> Self {
        Self {
            turns: Turns::new(own),
            dice: Dice::new(seed),
            level: 0.0,
        }
    }

    /// Chooses a node for a listener. The same calls give the same choices.
    ///
    /// Tell the forecast of the choice afterwards, unless it is [`Choice::Full`].
    pub fn choose(&mut self, policy: &Policy, scene: Scene<'_>, request: &Request<'_>) -> Choice {
        let shortlist = self.shortlist(policy, scene, request);
        if shortlist.candidates.is_empty() {
            return Choice::Full;
        }
        self.turns.tidy(&scene.table.outlooks);
        let weights = self.weigh(policy.selector(), scene, request, &shortlist);
        self.take(scene.table.basis, &shortlist, &weights)
    }

    /// The nodes for this listener in the order that the policy prefers, at most `most`. Nothing is
    /// reserved: if each listener were sent to the first one, it would fill up until the next report.
    pub fn rank(
        &self,
        policy: &Policy,
        scene: Scene<'_>,
        request: &Request<'_>,
        most: usize,
    ) -> Vec<NodeName> {
        let shortlist = self.shortlist(policy, scene, request);
        if shortlist.candidates.is_empty() {
            return Vec::new();
        }
        let weights = self.weigh(policy.selector(), scene, request, &shortlist);
        let order = select::order(policy.selector(), &shortlist, &weights).into_iter();
        let names = order.map(|index| shortlist.candidates[index].outlook.node.clone());
        names.take(most).collect()
    }

    /// The nodes that the policy leaves.
    fn shortlist<'a>(
        &self,
        policy: &Policy,
        scene: Scene<'a>,
        request: &Request<'_>,
    ) -> Shortlist<'a> {
        let mut shortlist = Shortlist::gather(scene, self.turns.own(), request);
        for stage in policy.stages() {
            shortlist.pass(stage, scene, request);
        }
        shortlist
    }

    pub(super) fn weigh(
        &self,
        selector: Selector,
        scene: Scene<'_>,
        request: &Request<'_>,
        shortlist: &Shortlist<'_>,
    ) -> Weights {
        let facts = SelectorFacts {
            cost_bps: request.cost_bps,
            listeners: scene.table.expected_listeners,
            guess: self.level,
        };
        select::weigh(selector, shortlist, facts)
    }

    /// Takes one node of a shortlist that is not empty.
    pub(super) fn take(
        &mut self,
        basis: Basis,
        shortlist: &Shortlist<'_>,
        weights: &Weights,
    ) -> Choice {
        self.level = weights.level.unwrap_or(self.level);
        let candidates = &shortlist.candidates;
        let is_here = |it: &Candidate<'_>| it.outlook.node == self.turns.own();
        if basis == Basis::Reported && candidates.iter().any(is_here) {
            // The others' reports are a second old, and all redirectors would fill the same room; this node's own is
            // current.
            return Choice::Here;
        }
        let index = match weights.taking {
            Taking::Turns => {
                let names = candidates.iter().map(|it| it.outlook.node);
                let drawn = self.turns.draw(names, &weights.shares);
                drawn.expect("the shares of a shortlist are never all zero")
            }
            Taking::Dice => self.dice.draw(&weights.shares),
            Taking::TwoDice => {
                let [one, other] = [(); 2].map(|()| self.dice.draw(&weights.shares));
                match select::fullness(&candidates[one]) <= select::fullness(&candidates[other]) {
                    true => one,
                    false => other,
                }
            }
        };
        let node = candidates[index].outlook.node;
        if node == self.turns.own() {
            Choice::Here
        } else {
            Choice::Redirect(node.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::forecast::{Outlook, Standing, Table, Tally};
    use crate::logic::policy::Facts;
    use crate::model::geo::Whereabouts;
    use crate::model::load::LoadReport;
    use crate::model::mount::MountName;
    use proptest::prelude::*;

    fn name(index: usize) -> NodeName {
        NodeName::try_from(format!("n{index:03}")).unwrap()
    }

    fn report(listeners: u32, max_listeners: u32) -> LoadReport {
        LoadReport {
            listeners,
            max_listeners,
            egress_bps: u64::from(listeners) * 100,
            max_bandwidth_bps: u64::from(max_listeners) * 200,
            cpu_permille: None,
        }
    }

    fn outlook(node: &NodeName, standing: Standing, predicted: LoadReport) -> Outlook<'_> {
        Outlook {
            node,
            standing,
            predicted,
            reported: predicted,
            pending: Tally::default(),
            ahead: 0,
            warmth: 1.0,
        }
    }

    fn table<'a>(names: &'a [NodeName], nodes: &[(Standing, LoadReport)]) -> Table<'a> {
        let outlooks = names.iter().zip(nodes);
        Table {
            outlooks: outlooks
                .map(|(name, node)| outlook(name, node.0, node.1))
                .collect(),
            expected_listeners: 10.0,
            basis: Basis::Predicted,
        }
    }

    fn names(count: usize) -> Vec<NodeName> {
        (0..count).map(name).collect()
    }

    fn choose(chooser: &mut Chooser, table: &Table<'_>, cost_bps: u64) -> Choice {
        let facts = Facts::default();
        let scene = Scene {
            table,
            facts: &facts,
        };
        let request = Request {
            mount: &MountName::try_from("/a.mp3").unwrap(),
            cost_bps,
            place: Whereabouts::default(),
        };
        chooser.choose(&Policy::default(), scene, &request)
    }

    /// How many of `listeners` go to each node when no news comes meanwhile.
    fn spread(chooser: &mut Chooser, table: &Table<'_>, listeners: usize) -> Vec<usize> {
        let mut counts = vec![0; table.outlooks.len()];
        for _ in 0..listeners {
            let chosen = match choose(chooser, table, 100) {
                Choice::Here => chooser.turns.own().clone(),
                Choice::Redirect(node) => node,
                Choice::Full => panic!("there is room"),
            };
            let place = table.outlooks.iter().position(|it| *it.node == chosen);
            counts[place.unwrap()] += 1;
        }
        counts
    }

    use Standing::{Closed, Ready, Stale};

    #[test]
    fn a_single_node_keeps_its_listeners_until_it_is_full() {
        let names = names(1);
        let mut chooser = Chooser::new(name(0), 0);
        let mut one = |node| choose(&mut chooser, &table(&names, &[node]), 100);
        assert_eq!(one((Ready, report(999, 1_000))), Choice::Here);
        assert_eq!(one((Ready, report(1_000, 1_000))), Choice::Full);
        assert_eq!(one((Closed, report(0, 1_000))), Choice::Full);
    }

    #[test]
    fn empty_nodes_get_listeners_by_their_size() {
        let names = names(3);
        let nodes = [100, 200, 700].map(|size| (Ready, report(0, size)));
        let counts = spread(&mut Chooser::new(name(0), 0), &table(&names, &nodes), 1_000);
        for (count, ideal) in counts.into_iter().zip([100_usize, 200, 700]) {
            assert!(count.abs_diff(ideal) <= 1, "{count} for {ideal}");
        }
    }

    #[test]
    fn the_lower_ones_are_filled_up_first() {
        let names = names(3);
        let nodes = [
            (Ready, report(50, 100)),
            (Ready, report(20, 100)),
            (Ready, report(18, 100)),
        ];
        let counts = spread(&mut Chooser::new(name(0), 0), &table(&names, &nodes), 100);
        assert_eq!(
            counts,
            [0, 40, 60],
            "to the level of 24: 4 and 6 of the 10 expected"
        );
    }

    #[test]
    fn the_scarcer_dimension_decides() {
        let names = names(2);
        let narrow = LoadReport {
            max_bandwidth_bps: 10_000,
            ..report(0, 1_000)
        };
        let wide = LoadReport {
            max_bandwidth_bps: 90_000,
            ..report(0, 1_000)
        };
        let table = table(&names, &[(Ready, narrow), (Ready, wide)]);
        let counts = spread(&mut Chooser::new(name(0), 0), &table, 100);
        assert_eq!(counts, [10, 90]);
        let brim = LoadReport {
            egress_bps: 9_901,
            ..narrow
        };
        let table = Table {
            outlooks: vec![outlook(&names[0], Ready, brim)],
            ..table
        };
        let mut chooser = Chooser::new(name(0), 0);
        assert_eq!(choose(&mut chooser, &table, 100), Choice::Full);
        assert_eq!(choose(&mut chooser, &table, 99), Choice::Here);
    }

    #[test]
    fn a_node_that_is_warming_up_gets_a_smaller_share() {
        let names = names(2);
        let mut table = table(&names, &[(Ready, report(0, 100)), (Ready, report(0, 100))]);
        table.outlooks[1].warmth = 0.25;
        assert_eq!(spread(&mut Chooser::new(name(0), 0), &table, 100), [80, 20]);
    }

    #[test]
    fn nodes_are_compared_as_of_one_moment() {
        let names = names(2);
        let nodes = [(Ready, report(60, 100)), (Ready, report(50, 100))];
        let mut table = table(&names, &nodes);
        table.outlooks[0].ahead = 10;
        assert_eq!(spread(&mut Chooser::new(name(0), 0), &table, 100), [50, 50]);
    }

    #[test]
    fn a_listener_is_served_where_it_asks_while_room_lasts() {
        let names = names(3);
        let mut table = table(&names, &[(Ready, report(100, 100)); 3]);
        table.outlooks[0].reported = report(90, 100);
        table.outlooks[1].reported = report(10, 100);
        let mut chooser = Chooser::new(name(0), 0);
        assert_eq!(choose(&mut chooser, &table, 100), Choice::Full);
        let mut table = table.as_reported();
        assert_eq!(choose(&mut chooser, &table, 100), Choice::Here);
        table.outlooks[0].predicted = report(100, 100);
        let elsewhere = choose(&mut chooser, &table, 100);
        assert_eq!(elsewhere, Choice::Redirect(name(1)));
    }

    #[test]
    fn blindness_falls_back_to_size() {
        let names = names(4);
        let stale = |listeners, size| (Stale, report(listeners, size));
        let nodes = [
            (Ready, report(0, 100)),
            stale(0, 100),
            stale(100, 200),
            (Closed, report(0, 900)),
        ];
        let counts = spread(&mut Chooser::new(name(0), 0), &table(&names, &nodes), 100);
        assert_eq!(counts, [25, 25, 50, 0]);
    }

    #[test]
    fn a_stale_node_is_the_last_resort_of_the_seeing() {
        let names = names(3);
        let mut nodes = [
            (Ready, report(99, 100)),
            (Ready, report(100, 100)),
            (Stale, report(0, 100)),
        ];
        let mut chooser = Chooser::new(name(0), 0);
        assert_eq!(
            choose(&mut chooser, &table(&names, &nodes), 100),
            Choice::Here
        );
        nodes[0] = nodes[1];
        assert_eq!(
            choose(&mut chooser, &table(&names, &nodes), 100),
            Choice::Redirect(name(2))
        );
    }

    #[test]
    fn first_listeners_of_many_redirectors_do_not_meet() {
        let names = names(30);
        let table = table(&names, &vec![(Ready, report(0, 100)); 30]);
        let mut counts = vec![0; 30];
        for redirector in 0..30 {
            let one = spread(&mut Chooser::new(name(redirector), 0), &table, 1);
            counts
                .iter_mut()
                .zip(one)
                .for_each(|(sum, one)| *sum += one);
        }
        assert!(counts.iter().all(|count| *count <= 5), "{counts:?}");
    }

    fn any_node() -> impl Strategy<Value = (Standing, LoadReport)> {
        let standing = prop_oneof![Just(Ready), Just(Ready), Just(Stale), Just(Closed)];
        let load = (0u32..120, 0u32..110, 0u64..12_000, 0u64..12_000);
        (standing, load).prop_map(|(standing, load)| {
            let (listeners, max_listeners, egress_bps, max_bandwidth_bps) = load;
            let report = LoadReport {
                listeners,
                max_listeners,
                egress_bps,
                max_bandwidth_bps,
                cpu_permille: None,
            };
            (standing, report)
        })
    }

    fn fits(node: &(Standing, LoadReport), cost_bps: u64) -> bool {
        let load = &node.1;
        node.0 != Closed
            && load.listeners < load.max_listeners
            && load.egress_bps + cost_bps <= load.max_bandwidth_bps
    }

    proptest! {
        #[test]
        fn no_node_is_overfilled_and_full_means_full(
            rounds in proptest::collection::vec(
                (proptest::collection::vec(any_node(), 1..12), 0usize..12, 0u64..400), 1..20)
        ) {
            let names = names(24);
            let (mut chooser, mut twin) = (Chooser::new(name(3), 0), Chooser::new(name(3), 0));
            for (nodes, first, cost_bps) in rounds {
                let table = table(&names[first..], &nodes);
                let choice = choose(&mut chooser, &table, cost_bps);
                prop_assert_eq!(&choice, &choose(&mut twin, &table, cost_bps));
                let chosen = match choice {
                    Choice::Here => Some(name(3)),
                    Choice::Redirect(node) => Some(node),
                    Choice::Full => None,
                };
                let place = chosen.map(|it| names.iter().position(|name| *name == it).unwrap() - first);
                match place {
                    Some(place) => prop_assert!(fits(&nodes[place], cost_bps)),
                    None => prop_assert!(!nodes.iter().any(|node| fits(node, cost_bps))),
                }
            }
        }
    }
}
