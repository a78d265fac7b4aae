//! A thousand worlds keep every rule, and those that once broke one keep it now.

use simulations::calibrate::{DETECTION_S, PROPAGATION_S, TOLERANCE, median, seeds};
use simulations::calibrate::{detection_s, propagation_s, propagation_tolerance};
use simulations::log::Trace;
use simulations::report::reproduce;
use simulations::run;
use simulations::scenario::{self, Scenario};

/// Every seed that has ever broken a rule: scenario and seed on a line, `#` begins a comment.
const FAILED_ONCE: &str = include_str!("../seeds.txt");
/// How many seeds the quick part has.
const SEEDS: u64 = 1_000;

fn keeps_every_rule(scenario: &Scenario, seed: u64) {
    let (findings, _) = run(scenario, seed, Trace::Silent);
    let (violations, again) = (findings.violations, reproduce(scenario, seed));
    assert!(violations.is_empty(), "{violations:#?}\n{again}");
}

/// Every scenario's share of a thousand, the even or the odd seeds of it: two tests, one for each core.
fn share_keeps_every_rule(parity: u64) {
    let total: u64 = scenario::all().iter().map(|scenario| scenario.share).sum();
    for scenario in scenario::all() {
        let share = (SEEDS * scenario.share).div_ceil(total);
        for seed in (0..share).filter(|seed| seed % 2 == parity) {
            keeps_every_rule(scenario, seed);
        }
    }
}

#[test]
fn the_even_seeds_of_a_thousand_keep_every_rule() {
    share_keeps_every_rule(0);
}

#[test]
fn the_odd_seeds_of_a_thousand_keep_every_rule() {
    share_keeps_every_rule(1);
}

#[test]
fn a_seed_that_failed_once_never_fails_again() {
    for line in FAILED_ONCE.lines() {
        let words = line.split('#').next().unwrap_or_default();
        let Some((name, seed)) = words.trim().split_once(' ') else {
            continue;
        };
        let scenario = Scenario::find(name).unwrap_or_else(|| panic!("no scenario {name}"));
        keeps_every_rule(scenario, seed.trim().parse().unwrap());
    }
}

#[test]
fn a_seed_does_the_same_things_at_the_same_times() {
    for scenario in scenario::all().iter().filter(|scenario| scenario.share > 1) {
        let [(_, first), (_, second)] = [0; 2].map(|_| run(scenario, 7, Trace::Silent));
        assert_eq!(first, second, "{}", scenario.name);
        let (_, other) = run(scenario, 8, Trace::Silent);
        assert_ne!(first, other, "{}", scenario.name);
    }
}

#[test]
fn tables_are_compared_with_the_truth_and_players_are_redirected() {
    let scenario = Scenario::find("placed").unwrap();
    for seed in 0..3 {
        let (findings, _) = run(scenario, seed, Trace::Silent);
        assert_eq!(findings.proven, 25, "five nodes know five");
        assert!(findings.sent > 100, "{}", findings.sent);
    }
}

fn deviation(model_s: f64, real_s: f64) -> f64 {
    (model_s / real_s - 1.0).abs()
}

#[test]
fn the_gossip_model_detects_as_fast_as_the_real_crate() {
    for (conditions, real_s) in DETECTION_S {
        let model_s = median(&detection_s(conditions, seeds(conditions.nodes)));
        let is_close = deviation(model_s, real_s) <= TOLERANCE;
        assert!(is_close, "{conditions:?}: {model_s} s");
    }
}

#[test]
fn the_gossip_model_spreads_values_as_fast_as_the_real_crate() {
    for (conditions, real_s) in PROPAGATION_S {
        let model_s = median(&propagation_s(conditions, seeds(conditions.nodes)));
        let is_close = deviation(model_s, real_s) <= propagation_tolerance(conditions);
        assert!(is_close, "{conditions:?}: {model_s} s");
    }
}
