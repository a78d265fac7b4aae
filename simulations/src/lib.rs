//! Whole clusters in virtual time, from a seed.
//!
//! The decisions of a node are made by production code; its surroundings (gossip, links, disks, time) are a
//! model. A seed and a scenario give the same world on every machine.

pub mod calibrate;
pub mod campaign;
pub mod chart;
pub mod checkers;
mod clock;
pub mod encoder;
pub mod faults;
pub mod gossip;
mod happening;
mod host;
pub mod log;
mod net;
pub mod node;
pub mod pages;
pub mod plan;
pub mod report;
pub mod scale;
pub mod scenario;
mod strike;
mod talk;
pub mod tools;
pub mod world;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use self::checkers::Findings;
use self::log::Trace;
use self::scenario::Scenario;
use self::world::World;

/// Runs one scenario from one seed: what the checkers found, and the hash of its log.
pub fn run(scenario: &Scenario, seed: u64, trace: Trace) -> (Findings, u64) {
    // The story has its own dice, so that a change of the network's does not change the story.
    let plan = scenario.plan(&mut SmallRng::seed_from_u64(!seed));
    World::new(plan, seed, trace).run()
}
