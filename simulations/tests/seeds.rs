//! A thousand worlds keep every rule, and those that once broke one keep it now.

use simulations::calibrate::{MEASURED, TOLERANCE, detection_s};
use simulations::log::Trace;
use simulations::report::reproduce;
use simulations::run;
use simulations::scenario::{SCENARIOS, Scenario};

/// Every seed that has ever broken a rule: scenario and seed on a line, `#` begins a comment.
const FAILED_ONCE: &str = include_str!("../seeds.txt");

fn keeps_every_rule(scenario: &Scenario, seed: u64) {
    let (findings, _) = run(scenario, seed, Trace::Silent);
    let (violations, again) = (findings.violations, reproduce(scenario, seed));
    assert!(violations.is_empty(), "{violations:#?}\n{again}");
}

/// Every scenario's share, the even or the odd seeds of it: two tests, one for each core.
fn share_keeps_every_rule(parity: u64) {
    for scenario in SCENARIOS {
        for seed in (0..scenario.share).filter(|seed| seed % 2 == parity) {
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
fn the_scenarios_share_a_thousand_seeds() {
    let seeds: u64 = SCENARIOS.iter().map(|scenario| scenario.share).sum();
    assert!(seeds >= 1_000, "{seeds}");
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
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.share > 1) {
        let [(_, first), (_, second)] = [0; 2].map(|_| run(scenario, 7, Trace::Silent));
        assert_eq!(first, second, "{}", scenario.name);
        let (_, other) = run(scenario, 8, Trace::Silent);
        assert_ne!(first, other, "{}", scenario.name);
    }
}

#[test]
fn the_gossip_model_detects_as_fast_as_the_real_crate() {
    for (nodes, measured_s) in MEASURED {
        let times_s = detection_s(nodes, 12);
        let median_s = times_s[times_s.len() / 2];
        let deviation = (median_s / measured_s - 1.0).abs();
        assert!(deviation <= TOLERANCE, "{nodes} nodes: {median_s} s");
    }
}
