//! How the model of gossip compares with what was measured on the real crate.
//!
//! Measured: real chitchat under a paused clock, one-way latency 10 to 50 ms, 10 % of datagrams
//! lost independently, 250 ms, φ 8; the time until one observer drops a crashed node.

use std::time::Duration;

use antiphon::logic::election::Quorum;

use crate::faults::{Fault, Who};
use crate::log::Trace;
use crate::scenario::Plan;
use crate::world::World;

/// Nodes, and the median of the measured detection times in seconds.
pub const MEASURED: [(usize, f64); 2] = [(3, 1.35), (10, 1.40)];
/// How far the model's median may be from it: the spread between runs of the real crate.
pub const TOLERANCE: f64 = 0.15;

/// How long gossip runs before the crash: its window of 100 samples is full by then.
const WARM: Duration = Duration::from_secs(30);
/// How long an observer is watched, far beyond any sane detection.
const WATCHED: Duration = Duration::from_secs(10);
/// How exactly it is watched.
const STEP: Duration = Duration::from_millis(10);

/// The times in seconds, sorted, after which observers dropped a crashed node.
pub fn detection_s(nodes: usize, seeds: u64) -> Vec<f64> {
    let mut times_s: Vec<f64> = (0..seeds).flat_map(|seed| one(nodes, seed)).collect();
    times_s.sort_by(f64::total_cmp);
    times_s
}

fn one(nodes: usize, seed: u64) -> Vec<f64> {
    let plan = Plan {
        nodes,
        quorum: Quorum::Off,
        loss: 0.1,
        steps: vec![(WARM, Fault::Crash(Who::Node(nodes - 1)))],
        end: WARM + WATCHED,
    };
    let mut world = World::new(plan, seed, Trace::Silent).over_datagrams();
    let mut dropped = vec![None; nodes - 1];
    let mut after = Duration::ZERO;
    while after < WATCHED && dropped.contains(&None) {
        after += STEP;
        world.run_until(WARM + after);
        for (observer, time_s) in dropped.iter_mut().enumerate() {
            if time_s.is_none() && world.is_live(observer, nodes - 1) == Some(false) {
                *time_s = Some(after.as_secs_f64());
            }
        }
    }
    dropped.into_iter().flatten().collect()
}
