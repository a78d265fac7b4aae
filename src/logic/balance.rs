//! Which node a new listener goes to.
//!
//! Not the one that is least used: everybody would choose the same one until its next report. Each redirector
//! sends in proportions that fill all nodes to one level, like water, so that the errors of many do not add up.

mod basin;

use super::forecast::{Outlook, Standing, Table};
use crate::model::node::NodeName;
use basin::{Basin, level};

/// Where a new listener goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It stays here: answer 200.
    Here,
    /// To another node: answer 302.
    Redirect(NodeName),
    /// No node has room for it: answer 503.
    Full,
}

/// The most that a node may be owed, or owe, in turns.
///
/// With steady proportions a credit stays within one turn. With changing ones it may grow with the logarithm of
/// their number, ln 300 = 5.7; beyond that it would be the memory of a load that is long gone.
const MAX_CREDIT: f64 = 8.0;

/// Credits kept of nodes that are no candidates now: those that lack the format of one mount but not of another.
const MAX_ABSENT: usize = 256;

/// One redirector's turn-taking: smooth weighted round robin over weights that change with each choice.
#[derive(Clone, Debug)]
pub struct Balancer {
    own: NodeName,
    /// What each node is owed, in turns; by name.
    credits: Vec<(NodeName, f64)>,
    /// The level of the last choice: the next one is close to it.
    level: f64,
    /// The candidates of the present choice; kept for its memory.
    candidates: Vec<Candidate>,
}

/// A node with room for the listener.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Its place in the table.
    outlook: usize,
    standing: Standing,
    basin: Basin,
    weight: f64,
}

impl Balancer {
    /// The balancer of this node.
    pub fn new(own: NodeName) -> Self {
        Self {
            own,
            credits: Vec::new(),
            level: 0.0,
            candidates: Vec::new(),
        }
    }

    /// Chooses a node for a listener of a mount with this bitrate. The same calls give the same choices.
    ///
    /// Remove from the table beforehand who must not be chosen for other reasons, such as a missing format; tell
    /// the forecast of the choice afterwards, unless it is [`Choice::Full`].
    pub fn choose(&mut self, table: &Table<'_>, cost_bps: u64) -> Choice {
        let outlooks = &table.outlooks;
        self.gather(outlooks, cost_bps);
        self.weigh(outlooks, table.expected_listeners);
        match self.draw(outlooks) {
            Some(node) if *node == self.own => Choice::Here,
            Some(node) => Choice::Redirect(node.clone()),
            None => Choice::Full,
        }
    }

    /// Finds everybody with room for one more in both dimensions.
    fn gather(&mut self, outlooks: &[Outlook<'_>], cost_bps: u64) {
        let fits = |outlook: &Outlook<'_>| {
            let predicted = &outlook.predicted;
            predicted.listeners < predicted.max_listeners
                && predicted.egress_bps.saturating_add(cost_bps) <= predicted.max_bandwidth_bps
        };
        self.candidates.clear();
        for (place, outlook) in outlooks.iter().enumerate() {
            if outlook.standing != Standing::Closed && fits(outlook) {
                self.candidates.push(Candidate {
                    outlook: place,
                    standing: outlook.standing,
                    basin: Basin::of(outlook, cost_bps),
                    weight: 0.0,
                });
            }
        }
    }

    /// Gives each candidate its share of the listeners to come.
    fn weigh(&mut self, outlooks: &[Outlook<'_>], expected_listeners: f64) {
        let is_peer = |outlook: &&Outlook<'_>| *outlook.node != self.own;
        let mut peers = outlooks.iter().filter(is_peer);
        let sees = peers.any(|peer| peer.standing == Standing::Ready);
        let blind = !sees
            && self
                .candidates
                .iter()
                .any(|it| it.standing == Standing::Stale);
        let ready = self
            .candidates
            .iter()
            .any(|it| it.standing == Standing::Ready);
        if ready && !blind {
            self.candidates.retain(|it| it.standing == Standing::Ready);
            let basins = self.candidates.iter().map(|it| it.basin);
            self.level = level(basins, expected_listeners, self.level);
            for candidate in &mut self.candidates {
                candidate.weight = candidate.basin.room(self.level);
            }
        } else {
            // Nobody's load is known: then size is all that tells nodes apart. To take an unknown load for none
            // would send everybody to the node that fell silent.
            for candidate in &mut self.candidates {
                candidate.weight = candidate.basin.capacity();
            }
        }
    }

    /// Credits everybody with its share of a turn, and gives the turn to the one that is owed most.
    fn draw<'a>(&mut self, outlooks: &[Outlook<'a>]) -> Option<&'a NodeName> {
        if self.credits.len() > outlooks.len() + MAX_ABSENT {
            let present = |name: &NodeName| outlooks.iter().any(|outlook| outlook.node == name);
            self.credits.retain(|(name, _)| present(name));
        }
        let total: f64 = self.candidates.iter().map(|it| it.weight).sum();
        let mut most: Option<(f64, &NodeName)> = None;
        let mut next = 0;
        for candidate in self.candidates.iter().filter(|it| it.weight > 0.0) {
            let name = outlooks[candidate.outlook].node;
            let place = account(&mut self.credits, &self.own, name, next);
            next = place + 1;
            let credit = &mut self.credits[place].1;
            *credit = (*credit + candidate.weight / total).min(MAX_CREDIT);
            if most.is_none_or(|(credit_of_most, _)| *credit > credit_of_most) {
                most = Some((*credit, name));
            }
        }
        let (_, name) = most?;
        let place = account(&mut self.credits, &self.own, name, 0);
        let credit = &mut self.credits[place].1;
        *credit = (*credit - 1.0).max(-MAX_CREDIT);
        Some(name)
    }
}

/// Where the credit of a node is kept. The table is in the same order, so it mostly is at the `guess`.
fn account(
    credits: &mut Vec<(NodeName, f64)>,
    own: &NodeName,
    name: &NodeName,
    guess: usize,
) -> usize {
    if credits.get(guess).is_some_and(|(found, _)| found == name) {
        return guess;
    }
    match credits.binary_search_by(|(found, _)| found.cmp(name)) {
        Ok(place) => place,
        Err(place) => {
            credits.insert(place, (name.clone(), first_credit(own, name)));
            place
        }
    }
}

/// What a node is owed at first: up to half a turn more or less, another at each redirector.
///
/// If all began with nothing, the first listener of each of thirty redirectors would go to the same node.
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
    use crate::model::load::LoadReport;
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
        }
    }

    fn outlook(node: &NodeName, standing: Standing, predicted: LoadReport) -> Outlook<'_> {
        Outlook {
            node,
            standing,
            predicted,
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
        }
    }

    fn names(count: usize) -> Vec<NodeName> {
        (0..count).map(name).collect()
    }

    /// How many of `listeners` go to each node when nothing is learnt meanwhile.
    fn spread(balancer: &mut Balancer, table: &Table<'_>, listeners: usize) -> Vec<usize> {
        let mut counts = vec![0; table.outlooks.len()];
        for _ in 0..listeners {
            let chosen = match balancer.choose(table, 100) {
                Choice::Here => balancer.own.clone(),
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
        let mut balancer = Balancer::new(name(0));
        let mut choose = |node| balancer.choose(&table(&names, &[node]), 100);
        assert_eq!(choose((Ready, report(999, 1_000))), Choice::Here);
        assert_eq!(choose((Ready, report(1_000, 1_000))), Choice::Full);
        assert_eq!(choose((Closed, report(0, 1_000))), Choice::Full);
    }

    #[test]
    fn empty_nodes_get_listeners_by_their_size() {
        let names = names(3);
        let nodes = [100, 200, 700].map(|size| (Ready, report(0, size)));
        let counts = spread(&mut Balancer::new(name(0)), &table(&names, &nodes), 1_000);
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
        let counts = spread(&mut Balancer::new(name(0)), &table(&names, &nodes), 100);
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
        let counts = spread(&mut Balancer::new(name(0)), &table, 100);
        assert_eq!(counts, [10, 90]);
        let brim = LoadReport {
            egress_bps: 9_901,
            ..narrow
        };
        let table = Table {
            outlooks: vec![outlook(&names[0], Ready, brim)],
            ..table
        };
        let mut balancer = Balancer::new(name(0));
        assert_eq!(balancer.choose(&table, 100), Choice::Full);
        assert_eq!(balancer.choose(&table, 99), Choice::Here);
    }

    #[test]
    fn a_node_that_is_warming_up_gets_a_smaller_share() {
        let names = names(2);
        let mut table = table(&names, &[(Ready, report(0, 100)), (Ready, report(0, 100))]);
        table.outlooks[1].warmth = 0.25;
        assert_eq!(spread(&mut Balancer::new(name(0)), &table, 100), [80, 20]);
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
        let counts = spread(&mut Balancer::new(name(0)), &table(&names, &nodes), 100);
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
        let mut balancer = Balancer::new(name(0));
        assert_eq!(balancer.choose(&table(&names, &nodes), 100), Choice::Here);
        nodes[0] = nodes[1];
        assert_eq!(
            balancer.choose(&table(&names, &nodes), 100),
            Choice::Redirect(name(2))
        );
    }

    #[test]
    fn first_listeners_of_many_redirectors_do_not_meet() {
        let names = names(30);
        let table = table(&names, &vec![(Ready, report(0, 100)); 30]);
        let mut counts = vec![0; 30];
        for redirector in 0..30 {
            let one = spread(&mut Balancer::new(name(redirector)), &table, 1);
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
        fn nobody_is_overfilled_and_full_means_full(
            rounds in proptest::collection::vec(
                (proptest::collection::vec(any_node(), 1..12), 0usize..12, 0u64..400), 1..20)
        ) {
            let names = names(24);
            let (mut balancer, mut twin) = (Balancer::new(name(3)), Balancer::new(name(3)));
            for (nodes, first, cost_bps) in rounds {
                let table = table(&names[first..], &nodes);
                let choice = balancer.choose(&table, cost_bps);
                prop_assert_eq!(&choice, &twin.choose(&table, cost_bps));
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
                prop_assert!(balancer.credits.iter().all(|(_, credit)| credit.abs() <= MAX_CREDIT));
            }
        }
    }
}
