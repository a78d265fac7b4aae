//! How likely each of the nodes left is, and in which order they would be tried.
//!
//! Without known loads, or with scores that are all zero, every selector draws by size, which is always known.

use std::cmp::Ordering;

use super::Selector;
use super::basin::{Basin, level};
use super::shortlist::{Candidate, Shortlist};

/// The weights that a selector gives to a shortlist.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// The share of each candidate, in any unit; at least one is above 0.
    pub(super) shares: Vec<f64>,
    /// How one is taken by these shares.
    pub(super) taking: Taking,
    /// The level to which the listeners to come will fill all nodes, if it was computed.
    pub(super) level: Option<f64>,
}

/// How one of several weighted nodes is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// In turns.
    Turns,
    /// By a throw of dice.
    Dice,
    /// By two throws, of which the emptier node counts.
    TwoDice,
}

/// The facts that a selector needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct SelectorFacts {
    /// The bitrate of the mount, bits per second.
    pub(super) cost_bps: u64,
    /// The listeners to come.
    pub(super) listeners: f64,
    /// The level of the last choice: the next one is close to it.
    pub(super) guess: f64,
}

impl Weights {
    /// How likely each candidate is in the long run, as long as nothing changes.
    pub(super) fn probabilities(&self, shortlist: &Shortlist<'_>) -> Vec<f64> {
        let total: f64 = self.shares.iter().sum();
        let single: Vec<f64> = self.shares.iter().map(|share| share / total).collect();
        if self.taking != Taking::TwoDice {
            return single;
        }
        // Drawn as one of two, a node is taken unless the other one is emptier; of equals the first one is.
        let fullness: Vec<f64> = shortlist.candidates.iter().map(fullness).collect();
        let taken = |one: usize| {
            let against = |other: usize| match fullness[one].total_cmp(&fullness[other]) {
                Ordering::Less => 2.0,
                Ordering::Equal => 1.0,
                Ordering::Greater => 0.0,
            };
            let others = single.iter().enumerate();
            single[one]
                * others
                    .map(|(other, share)| share * against(other))
                    .sum::<f64>()
        };
        (0..single.len()).map(taken).collect()
    }
}

/// Weighs a shortlist that is not empty.
pub(super) fn weigh(
    selector: Selector,
    shortlist: &Shortlist<'_>,
    facts: SelectorFacts,
) -> Weights {
    let candidates = &shortlist.candidates;
    let by_size = |it: &Candidate<'_>| Basin::of(&it.load, facts.cost_bps, 1.0).capacity();
    let each = |share: &dyn Fn(&Candidate<'_>) -> f64| candidates.iter().map(share).collect();
    let mut reached = None;
    let (shares, taking): (Vec<f64>, _) = match selector {
        _ if shortlist.blind => (each(&|it| by_size(it) * it.warm_score()), Taking::Turns),
        Selector::Water => {
            let (shares, level) = water(candidates, facts);
            reached = Some(level);
            (shares, Taking::Turns)
        }
        Selector::Random => (each(&|it| it.outlook.warmth), Taking::Dice),
        Selector::Weighted => (each(&|it| it.warm_score()), Taking::Dice),
        Selector::Best => (only_the_best(candidates), Taking::Dice),
        Selector::TwoChoices => (each(&|it| by_size(it) * it.warm_score()), Taking::TwoDice),
    };
    if shares.iter().any(|share| *share > 0.0) {
        return Weights {
            shares,
            taking,
            level: reached,
        };
    }
    let sizes: Vec<f64> = each(&|it| by_size(it));
    let sized = sizes.iter().any(|size| *size > 0.0);
    Weights {
        shares: if sized {
            sizes
        } else {
            vec![1.0; candidates.len()]
        },
        taking: Taking::Turns,
        level: reached,
    }
}

/// The shares that fill all nodes to the same level, and that level.
fn water(candidates: &[Candidate<'_>], facts: SelectorFacts) -> (Vec<f64>, f64) {
    let greatest = candidates.iter().map(|it| it.score).fold(0.0, f64::max);
    let greatest = if greatest > 0.0 { greatest } else { 1.0 };
    let basin = |it: &Candidate<'_>| {
        Basin::of(&it.load, facts.cost_bps, it.warm_score() / greatest).without(it.outlook.ahead)
    };
    let basins: Vec<Basin> = candidates.iter().map(basin).collect();
    let level = level(&basins, facts.listeners, facts.guess);
    let shares = basins.iter().map(|it| it.room(level)).collect();
    (shares, level)
}

fn only_the_best(candidates: &[Candidate<'_>]) -> Vec<f64> {
    let best = (0..candidates.len()).min_by(|a, b| by_merit(&candidates[*a], &candidates[*b]));
    let share = |index| if Some(index) == best { 1.0 } else { 0.0 };
    (0..candidates.len()).map(share).collect()
}

/// The greater score first, then the emptier node.
fn by_merit(left: &Candidate<'_>, right: &Candidate<'_>) -> Ordering {
    right
        .warm_score()
        .total_cmp(&left.warm_score())
        .then_with(|| left.load.utilization().total_cmp(&right.load.utilization()))
}

/// How full a node is relative to its score: one with half the score counts as twice as full.
pub(super) fn fullness(candidate: &Candidate<'_>) -> f64 {
    candidate.load.utilization() / candidate.warm_score().max(f64::MIN_POSITIVE)
}

/// The candidates in the order that the selector prefers, the best one first.
pub(super) fn order(
    selector: Selector,
    shortlist: &Shortlist<'_>,
    weights: &Weights,
) -> Vec<usize> {
    let candidates = &shortlist.candidates;
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|left, right| {
        let (a, b) = (&candidates[*left], &candidates[*right]);
        let by_share = || weights.shares[*right].total_cmp(&weights.shares[*left]);
        let by_use = || fullness(a).total_cmp(&fullness(b));
        match selector {
            _ if shortlist.blind => by_share(),
            Selector::Best => by_merit(a, b),
            Selector::TwoChoices => by_use().then_with(by_share),
            Selector::Random | Selector::Weighted | Selector::Water => by_share().then_with(by_use),
        }
    });
    order
}
