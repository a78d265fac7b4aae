//! The promise of the table: ten thousand listeners in ten seconds fill unequal nodes to one level.
//!
//! Every redirector is its own `Forecast` and `Balancer` and knows of the others only what gossip would bring, late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use antiphon::logic::balance::{Balancer, Choice};
use antiphon::logic::forecast::{Bulletin, Forecast, Life};
use antiphon::model::load::LoadReport;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::status::NodeState;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The bitrate of the only mount.
const COST_BPS: u64 = 128_000;
/// How long listeners keep coming.
const SURGE: Duration = Duration::from_secs(10);
/// How long all nodes but a joining one have known each other when the surge begins.
const ACQUAINTANCE: Duration = Duration::from_secs(60);
/// Runs of each scenario, each with its own seed.
const SEEDS: u64 = 10;

/// One situation in which the surge arrives.
#[derive(Clone)]
struct Scenario {
    name: &'static str,
    capacities: Vec<u32>,
    /// Listeners that each node has before.
    loads: Vec<u32>,
    arrivals: u32,
    /// Everybody asks this node first; otherwise a random one.
    entrance: Option<usize>,
    /// The node that nobody has met before.
    newcomer: Option<usize>,
    publish_every_s: f64,
    /// The shortest and the longest way of a bulletin.
    gossip_s: (f64, f64),
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    peak: f64,
    /// The greatest max / mean of utilisation once a fifth of the listeners had come.
    unevenness: f64,
    refused: u32,
    redirected: u32,
}

enum Event {
    Arrival,
    Landing {
        redirector: usize,
        node: usize,
    },
    Publish {
        node: usize,
    },
    Delivery {
        from: usize,
        to: usize,
        bulletin: Bulletin,
    },
}

struct World {
    scenario: Scenario,
    random: SmallRng,
    start: Instant,
    lives: Vec<Life>,
    listeners: Vec<u32>,
    tables: Vec<(Forecast, Balancer)>,
    /// When, in which order of two at once, what.
    agenda: BinaryHeap<Reverse<(Duration, usize)>>,
    events: Vec<Option<Event>>,
    arrived: u32,
    outcome: Outcome,
}

impl World {
    fn new(scenario: Scenario, seed: u64) -> Self {
        let names = (0..scenario.capacities.len()).map(|index| format!("node-{index:02}"));
        let life = |name: String| Life {
            node: NodeName::try_from(name).expect("a good name"),
            generation: Generation(1),
        };
        let lives: Vec<Life> = names.map(life).collect();
        let start = Instant::now() + ACQUAINTANCE;
        let mut world = Self {
            random: SmallRng::seed_from_u64(seed),
            start,
            listeners: scenario.loads.clone(),
            tables: Vec::new(),
            agenda: BinaryHeap::new(),
            events: Vec::new(),
            arrived: 0,
            outcome: Outcome::default(),
            scenario,
            lives,
        };
        world.acquaint();
        world.schedule();
        world
    }

    /// All nodes have long known each other and published once, but for the newcomer, who begins now.
    fn acquaint(&mut self) {
        for own in 0..self.lives.len() {
            let is_new = |node: usize| self.scenario.newcomer == Some(node);
            let began = |node| {
                if is_new(node) {
                    self.start
                } else {
                    self.start - ACQUAINTANCE
                }
            };
            let stale_after = Duration::from_secs(3_600); // heartbeats are not what is tested here
            let mut forecast = Forecast::new(self.lives[own].clone(), stale_after, began(own));
            forecast.report_own(self.report(own));
            for peer in (0..self.lives.len()).filter(|peer| *peer != own) {
                let met_at = began(own).max(began(peer));
                forecast.witness(&self.lives[peer], NodeState::Alive, met_at);
                if !is_new(peer) {
                    let report = self.report(peer);
                    let bulletin = Bulletin {
                        report,
                        ..Bulletin::default()
                    };
                    forecast.hear(&self.lives[peer], &bulletin, met_at);
                }
            }
            self.tables
                .push((forecast, Balancer::new(self.lives[own].node.clone())));
        }
    }

    fn schedule(&mut self) {
        for _ in 0..self.scenario.arrivals {
            let at = self.random.random_range(Duration::ZERO..SURGE);
            self.at(at, Event::Arrival);
        }
        for node in 0..self.lives.len() {
            let phase_s = self.random.random_range(0.0..self.scenario.publish_every_s);
            self.at(Duration::from_secs_f64(phase_s), Event::Publish { node });
        }
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.agenda.push(Reverse((at, self.events.len())));
        self.events.push(Some(event));
    }

    fn report(&self, node: usize) -> LoadReport {
        let max_listeners = self.scenario.capacities[node];
        LoadReport {
            listeners: self.listeners[node],
            max_listeners,
            egress_bps: u64::from(self.listeners[node]) * COST_BPS,
            max_bandwidth_bps: u64::from(max_listeners) * COST_BPS * 2,
        }
    }

    fn run(mut self) -> Outcome {
        while let Some(Reverse((at, number))) = self.agenda.pop() {
            match self.events[number].take() {
                Some(Event::Arrival) => self.arrival(at),
                Some(Event::Landing { redirector, node }) => {
                    self.seat(node);
                    let from = self.lives[redirector].node.clone();
                    self.tables[node].0.note_arrived(&from, self.start + at);
                }
                Some(Event::Publish { node }) => self.publish(node, at),
                Some(Event::Delivery { from, to, bulletin }) => {
                    self.tables[to]
                        .0
                        .hear(&self.lives[from], &bulletin, self.start + at);
                }
                None => unreachable!("an event happens once"),
            }
        }
        self.outcome
    }

    fn arrival(&mut self, at: Duration) {
        let now = self.start + at;
        let anywhere = self.random.random_range(0..self.lives.len());
        let entrance = self.scenario.entrance.unwrap_or(anywhere);
        let (forecast, balancer) = &mut self.tables[entrance];
        let choice = balancer.choose(&forecast.table(now), COST_BPS);
        match choice {
            Choice::Here => {
                let own = self.lives[entrance].node.clone();
                forecast.note_sent(&own, COST_BPS, now);
                self.seat(entrance);
            }
            Choice::Redirect(name) => {
                forecast.note_sent(&name, COST_BPS, now);
                let node = self.lives.iter().position(|life| life.node == name);
                let node = node.expect("only known nodes are chosen");
                let later = Duration::from_secs_f64(self.random.random_range(0.05..0.35));
                let redirector = entrance;
                self.outcome.redirected += 1;
                self.at(at + later, Event::Landing { redirector, node });
            }
            Choice::Full => self.outcome.refused += 1,
        }
    }

    /// A listener begins to listen.
    fn seat(&mut self, node: usize) {
        self.listeners[node] += 1;
        self.arrived += 1;
        let report = self.report(node);
        self.tables[node].0.report_own(report);
        let used: Vec<f64> = (0..self.lives.len())
            .map(|node| f64::from(self.listeners[node]) / f64::from(self.scenario.capacities[node]))
            .collect();
        let peak = used.iter().copied().fold(0.0, f64::max);
        self.outcome.peak = self.outcome.peak.max(peak);
        if self.arrived * 5 >= self.scenario.arrivals {
            let mean = used.iter().sum::<f64>() / used.len() as f64;
            self.outcome.unevenness = self.outcome.unevenness.max(peak / mean);
        }
    }

    fn publish(&mut self, node: usize, at: Duration) {
        let bulletin = self.tables[node].0.bulletin();
        let (soonest_s, latest_s) = self.scenario.gossip_s;
        for to in (0..self.lives.len()).filter(|to| *to != node) {
            let way = Duration::from_secs_f64(self.random.random_range(soonest_s..latest_s));
            let bulletin = bulletin.clone();
            self.at(
                at + way,
                Event::Delivery {
                    from: node,
                    to,
                    bulletin,
                },
            );
        }
        if at < SURGE {
            let next = at + Duration::from_secs_f64(self.scenario.publish_every_s);
            self.at(next, Event::Publish { node });
        }
    }
}

/// The worst of each figure over all seeds, and the mean peak.
fn worst(scenario: &Scenario) -> (f64, Outcome) {
    let mut worst = Outcome::default();
    let mut peaks = 0.0;
    for seed in 0..SEEDS {
        let outcome = World::new(scenario.clone(), seed).run();
        peaks += outcome.peak;
        worst.peak = worst.peak.max(outcome.peak);
        worst.unevenness = worst.unevenness.max(outcome.unevenness);
        worst.refused = worst.refused.max(outcome.refused);
        worst.redirected = worst.redirected.max(outcome.redirected);
    }
    let mean = peaks / SEEDS as f64;
    println!(
        "{}: peak {mean:.4} mean, {:.4} worst; max/mean {:.3}; {} refused; {} redirected",
        scenario.name, worst.peak, worst.unevenness, worst.refused, worst.redirected
    );
    (mean, worst)
}

fn unequal() -> Scenario {
    Scenario {
        name: "B unequal",
        capacities: vec![500, 1_000, 2_000, 4_000, 5_000],
        loads: vec![0; 5],
        arrivals: 10_000,
        entrance: None,
        newcomer: None,
        publish_every_s: 1.0,
        gossip_s: (0.02, 1.0),
    }
}

#[test]
fn explore() {
    worst(&Scenario {
        name: "A",
        capacities: vec![2_500; 5],
        ..unequal()
    });
    worst(&unequal());
    worst(&Scenario {
        name: "C",
        capacities: vec![2_500; 5],
        loads: vec![1_500, 1_500, 1_500, 1_500, 0],
        arrivals: 4_000,
        newcomer: Some(4),
        ..unequal()
    });
    worst(&Scenario {
        name: "C0",
        capacities: vec![2_500; 5],
        loads: vec![1_500, 1_500, 1_500, 1_500, 0],
        arrivals: 4_000,
        ..unequal()
    });
    worst(&Scenario {
        name: "D",
        entrance: Some(0),
        ..unequal()
    });
    worst(&Scenario {
        name: "E every2",
        publish_every_s: 2.0,
        ..unequal()
    });
    worst(&Scenario {
        name: "E every2 0.02-2",
        publish_every_s: 2.0,
        gossip_s: (0.02, 2.0),
        ..unequal()
    });
    worst(&Scenario {
        name: "E late2",
        gossip_s: (1.02, 2.0),
        ..unequal()
    });
    worst(&Scenario {
        name: "E every1 +2",
        gossip_s: (2.02, 3.0),
        ..unequal()
    });
    worst(&Scenario {
        name: "F",
        capacities: (0..20).map(|i| 300 + 650 * i / 19).collect(),
        loads: vec![0; 20],
        ..unequal()
    });
}
