//! The promise of the table: ten thousand listeners in ten seconds fill unequal nodes to one level.
//!
//! Every redirector is its own `Forecast` and `Chooser` and knows of the others only what gossip would bring, late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use antiphon::logic::forecast::{Bulletin, Forecast, Life};
use antiphon::logic::policy::{Choice, Chooser, Facts, Policy, Request, Scene};
use antiphon::model::geo::Whereabouts;
use antiphon::model::load::LoadReport;
use antiphon::model::mount::MountName;
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
    /// The share of bulletins that do not come.
    lost: f64,
    /// The share of redirected listeners that do not come.
    vanished: f64,
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
    mount: MountName,
    listeners: Vec<u32>,
    tables: Vec<(Forecast, Chooser)>,
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
            mount: MountName::try_from("/radio.mp3").expect("a good name"),
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
            let chooser = Chooser::new(self.lives[own].node.clone(), 0);
            self.tables.push((forecast, chooser));
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
            cpu_permille: None,
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
        let (forecast, chooser) = &mut self.tables[entrance];
        let request = Request {
            mount: &self.mount,
            cost_bps: COST_BPS,
            place: Whereabouts::default(),
        };
        let scene = Scene {
            table: &forecast.table(now),
            facts: &Facts::default(),
        };
        let choice = chooser.choose(&Policy::default(), scene, &request);
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
                if !self.random.random_bool(self.scenario.vanished) {
                    self.at(at + later, Event::Landing { redirector, node });
                }
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
            if self.random.random_bool(self.scenario.lost) {
                continue;
            }
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

/// The worst of each figure over all seeds. Shown with `--nocapture`, as the table in `docs/decisions/004-table.md`.
fn worst_of_seeds(scenario: &Scenario) -> Outcome {
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
    println!(
        "| {} | {:.3} | {:.3} | {:.2} | {} | {:.0} % |",
        scenario.name,
        peaks / SEEDS as f64,
        worst.peak,
        worst.unevenness,
        worst.refused,
        100.0 * f64::from(worst.redirected) / f64::from(scenario.arrivals)
    );
    assert_eq!(worst.refused, 0, "{}", scenario.name);
    worst
}

/// Three points above the ideal of 0.80, in the worst of all seeds.
const MOST: f64 = 0.83;

/// The most that the fullest node may stand above the mean, where all begin alike.
const MOST_UNEVEN: f64 = 1.10;

fn unequal() -> Scenario {
    Scenario {
        name: "B: 500, 1,000, 2,000, 4,000, 5,000",
        capacities: vec![500, 1_000, 2_000, 4_000, 5_000],
        loads: vec![0; 5],
        arrivals: 10_000,
        entrance: None,
        newcomer: None,
        publish_every_s: 1.0,
        gossip_s: (0.02, 1.0),
        lost: 0.0,
        vanished: 0.0,
    }
}

#[test]
fn a_equal_nodes_fill_evenly() {
    let worst = worst_of_seeds(&Scenario {
        name: "A: 5 equal nodes",
        capacities: vec![2_500; 5],
        ..unequal()
    });
    assert!(
        worst.peak <= MOST && worst.unevenness <= MOST_UNEVEN,
        "{worst:?}"
    );
}

#[test]
fn b_unequal_nodes_fill_evenly() {
    let worst = worst_of_seeds(&unequal());
    assert!(
        worst.peak <= MOST && worst.unevenness <= MOST_UNEVEN,
        "{worst:?}"
    );
}

#[test]
fn c_an_empty_node_that_joins_takes_the_most() {
    let worst = worst_of_seeds(&Scenario {
        name: "C: an empty node joins, others at 60 %",
        capacities: vec![2_500; 5],
        loads: vec![1_500, 1_500, 1_500, 1_500, 0],
        arrivals: 4_000,
        newcomer: Some(4),
        ..unequal()
    });
    assert!(worst.peak <= MOST, "{worst:?}");
}

#[test]
fn d_all_enter_at_the_smallest_node() {
    let worst = worst_of_seeds(&Scenario {
        name: "D: as B, all enter at the smallest node",
        entrance: Some(0),
        ..unequal()
    });
    assert!(worst.peak <= MOST, "{worst:?}");
}

#[test]
fn e_reports_are_twice_as_late() {
    let worst = worst_of_seeds(&Scenario {
        name: "E: as B, publications each 2 s, seen after 0.02 to 2 s",
        publish_every_s: 2.0,
        gossip_s: (0.02, 2.0),
        ..unequal()
    });
    assert!(worst.peak <= MOST, "{worst:?}");
}

#[test]
fn f_twenty_unequal_redirectors() {
    let worst = worst_of_seeds(&Scenario {
        name: "F: 20 nodes of 300 to 950",
        capacities: (0..20).map(|index| 300 + 650 * index / 19).collect(),
        loads: vec![0; 20],
        ..unequal()
    });
    assert!(worst.peak <= MOST, "{worst:?}");
}

#[test]
fn g_a_tenth_of_the_bulletins_is_lost() {
    let worst = worst_of_seeds(&Scenario {
        name: "G: as B, a tenth of the bulletins lost",
        lost: 0.1,
        ..unequal()
    });
    assert!(worst.peak <= MOST, "{worst:?}");
}

#[test]
fn h_a_tenth_of_the_redirected_never_arrives() {
    let worst = worst_of_seeds(&Scenario {
        name: "H: as B, a tenth of the redirected never arrives",
        vanished: 0.1,
        ..unequal()
    });
    assert!(worst.peak <= MOST && worst.peak >= 0.70, "{worst:?}");
}
