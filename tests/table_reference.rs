//! The promise of the table: a crowd fills unequal nodes to one level, whoever redirects it.
//!
//! One run of what `make flash-crowd` runs more often, and for other ways of choosing too.

// It is the simulation's own code: the whole of it would make this package depend on one that depends on it.
#[allow(dead_code, reason = "not every figure is looked at here")]
#[path = "../simulations/src/flash_crowd/gauge.rs"]
mod gauge;
#[allow(dead_code, reason = "the tables are not printed here")]
#[path = "../simulations/src/flash_crowd/report.rs"]
mod report;
#[path = "../simulations/src/flash_crowd/scenario.rs"]
mod scenario;
#[allow(dead_code, reason = "only the usual policy is tried here")]
#[path = "../simulations/src/flash_crowd/way.rs"]
mod way;
#[path = "../simulations/src/flash_crowd/world.rs"]
mod world;

use antiphon::logic::policy::Policy;
use report::{Row, Summary};
use way::Way;
use world::World;

/// One run of each scenario: more take minutes, and the simulation is there for them.
const SEED: u64 = 0;

#[test]
fn the_usual_policy_keeps_its_promises_in_every_crowd() {
    let scenarios = scenario::all();
    let usual = Way::Policy(Policy::default());
    let run = |scenario: &scenario::Scenario| {
        let outcome = World::run(scenario, &usual, SEED);
        Row {
            scenario: scenario.title,
            way: usual.title(),
            summary: Summary::of(&[outcome]),
        }
    };
    let rows: Vec<Row> = scenarios.iter().map(run).collect();
    let missed = report::missed(&rows, &scenarios);
    assert!(missed.is_empty(), "{missed:#?}");
}
