//! The stories that worlds live through. A seed decides the details, never the rules.

use std::time::Duration;

use antiphon::logic::election::Quorum;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::faults::{Fault, Who};

/// When the first fault comes: after the longest start that the checkers allow.
const SETTLED_S: f64 = 9.0;
/// What a world gets after its last fault: the 4 s of the agreement bound, and 2 s to keep it.
const QUIET_S: f64 = 7.0;

/// A named story.
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// How many of a thousand seeds it gets; the hour costs as much as a hundred others.
    pub share: u64,
    plan: fn(&mut SmallRng) -> Plan,
}

/// A story with its details.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// The guard of every node.
    pub quorum: Quorum,
    /// The share of lost messages at the start.
    pub loss: f64,
    /// What happens when.
    pub steps: Vec<(Duration, Fault)>,
    /// When it ends.
    pub end: Duration,
}

impl Plan {
    fn new(rng: &mut SmallRng, steps: &[(f64, Fault)]) -> Self {
        let start_s = SETTLED_S + rng.random::<f64>();
        let at = |after_s: f64| Duration::from_secs_f64(start_s + after_s);
        let last_s = steps.last().map_or(0.0, |(after_s, _)| *after_s);
        Self {
            nodes: 5,
            quorum: Quorum::Off,
            loss: *[0.0, 0.02, 0.1].choose(rng).expect("three choices"),
            steps: steps.iter().map(|(s, fault)| (at(*s), *fault)).collect(),
            end: at(last_s + QUIET_S),
        }
    }
}

impl Scenario {
    /// The story of one seed.
    pub fn plan(&self, rng: &mut SmallRng) -> Plan {
        (self.plan)(rng)
    }

    /// The scenario of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    scenario("kill-master", 100, |rng| {
        Plan::new(rng, &[(0.0, Fault::Crash(Who::Master))])
    }),
    scenario("master-returns", 100, |rng| {
        let crash = Fault::Crash(Who::Master);
        Plan::new(rng, &[(0.0, crash), (7.0, Fault::Restart)])
    }),
    scenario("quick-restart", 100, |rng| {
        let down_s = rng.random_range(0.05..2.5);
        let crash = Fault::Crash(Who::Master);
        Plan::new(rng, &[(0.0, crash), (down_s, Fault::Restart)])
    }),
    scenario("pause", 80, |rng| {
        Plan::new(
            rng,
            &[(0.0, Fault::Pause(Who::Master)), (15.0, Fault::Resume)],
        )
    }),
    scenario("short-pause", 100, |rng| {
        let pause_s = rng.random_range(0.3..4.0);
        let pause = Fault::Pause(Who::Master);
        Plan::new(rng, &[(0.0, pause), (pause_s, Fault::Resume)])
    }),
    scenario("partition", 70, |rng| {
        Plan::new(rng, &[(0.0, Fault::Split(2)), (20.0, Fault::Heal)])
    }),
    scenario("guarded-partition", 70, |rng| Plan {
        quorum: Quorum::Majority,
        ..Plan::new(rng, &[(0.0, Fault::Split(2)), (20.0, Fault::Heal)])
    }),
    scenario("one-way-mute", 70, |rng| {
        Plan::new(rng, &[(0.0, Fault::Mute(Who::Master)), (10.0, Fault::Heal)])
    }),
    scenario("one-way-deaf", 70, |rng| {
        Plan::new(
            rng,
            &[(0.0, Fault::Deafen(Who::Master)), (10.0, Fault::Heal)],
        )
    }),
    scenario("bridge", 70, |rng| {
        Plan::new(rng, &[(0.0, Fault::Bridge), (10.0, Fault::Heal)])
    }),
    scenario("hand-over", 80, |rng| Plan {
        loss: 0.0,
        ..Plan::new(rng, &[(0.0, Fault::Resign(Who::Master))])
    }),
    scenario("broken-disk", 40, |rng| {
        let broken = Fault::BreakDisk(Who::NotMaster);
        let crash = Fault::Crash(Who::Master);
        Plan::new(rng, &[(0.0, broken), (1.0, crash)])
    }),
    scenario("rolling-restart", 30, |rng| {
        let steps = (0..5).flat_map(|node| {
            let at_s = f64::from(node) * 8.0;
            let crash = Fault::Crash(Who::Node(node as usize));
            [(at_s, crash), (at_s + 2.0, Fault::Restart)]
        });
        Plan::new(rng, &steps.collect::<Vec<_>>())
    }),
    scenario("chaos", 119, chaos),
    scenario("lossy-hour", 1, |rng| {
        let mut plan = Plan::new(rng, &[(0.0, Fault::Loss(0.1))]);
        plan.end = Duration::from_secs(3_600);
        plan
    }),
];

const fn scenario(name: &'static str, share: u64, plan: fn(&mut SmallRng) -> Plan) -> Scenario {
    Scenario { name, share, plan }
}

/// Anything, at any time, and in the end everything is well again.
fn chaos(rng: &mut SmallRng) -> Plan {
    let (mut steps, mut at_s) = (Vec::new(), 0.0);
    let nodes = rng.random_range(3..=7);
    for _ in 0..rng.random_range(4..16) {
        let node = Who::Node(rng.random_range(0..nodes));
        let who = *[Who::Master, Who::NotMaster, node]
            .choose(rng)
            .expect("three");
        let fault = match rng.random_range(0..14) {
            0 | 1 => Fault::Crash(who),
            2 | 3 => Fault::Restart,
            4 => Fault::Pause(who),
            5 => Fault::Resume,
            6 => Fault::Split(rng.random_range(1..nodes)),
            7 => Fault::Mute(who),
            8 => Fault::Deafen(who),
            9 => Fault::Bridge,
            10 => Fault::Heal,
            11 => Fault::Resign(who),
            12 => Fault::Unresign,
            _ => Fault::BreakDisk(who),
        };
        steps.push((at_s, fault));
        let long = rng.random::<f64>() < 0.2;
        at_s += rng.random_range(0.02..if long { 12.0 } else { 2.5 });
    }
    let well = [Fault::Heal, Fault::FixDisks, Fault::Unresign, Fault::Resume];
    steps.extend(well.map(|fault| (at_s, fault)));
    steps.push((at_s + 0.01, Fault::Restart));
    let plan = Plan::new(rng, &steps);
    Plan { nodes, ..plan }
}
