//! One crowd in virtual time: every redirector is the product's own `Forecast` and `Chooser`, and gossip is late.
//!
//! No node refuses a listener: a peak of 400 % shows by how much it would have had to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use antiphon::logic::forecast::{Bulletin, Forecast, Life};
use antiphon::logic::policy::{Choice, Request};
use antiphon::model::geo::Whereabouts;
use antiphon::model::load::LoadReport;
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::status::NodeState;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::gauge::{Gauge, Outcome};
use crate::scenario::{SURGE_S, Scenario};
use crate::way::{Steersman, Way};

/// How long all nodes but a joining one have known each other when the surge begins.
const ACQUAINTANCE: Duration = Duration::from_secs(60);

/// The shortest way of a bulletin, seconds.
const GOSSIP_SOONEST_S: f64 = 0.02;

/// How long a player takes to follow a redirect, seconds.
const REDIRECT_S: (f64, f64) = (0.05, 0.35);

/// How long it takes until a node knows that another has died, seconds: four to eight rounds of gossip.
const DETECTION_S: (f64, f64) = (1.0, 2.0);

/// How long a player waits before it asks again when its node has died, seconds.
const RETRY_S: (f64, f64) = (0.5, 2.5);

/// After this nothing more is measured: all that were on the way have come.
const END_S: f64 = SURGE_S + 3.0;

enum Event {
    /// A listener of the mount with this number asks some node.
    Arrival {
        mount: usize,
    },
    Landing {
        redirector: usize,
        node: usize,
        mount: usize,
    },
    Departure {
        node: usize,
        mount: usize,
    },
    Publish {
        node: usize,
    },
    Delivery {
        from: usize,
        to: usize,
        bulletin: Bulletin,
    },
    Join {
        node: usize,
    },
    Death {
        node: usize,
    },
    Burial {
        of: usize,
        by: usize,
    },
}

/// A node in the middle of it.
struct Node {
    life: Life,
    forecast: Forecast,
    steersman: Steersman,
    state: NodeState,
}

/// One run.
pub(crate) struct World {
    scenario: Scenario,
    random: SmallRng,
    start: Instant,
    nodes: Vec<Node>,
    mounts: Vec<MountName>,
    gauge: Gauge,
    /// When, in which order of two at once, what.
    agenda: BTreeMap<(Duration, u64), Event>,
    planned: u64,
}

impl World {
    /// Lets a crowd come, and measures what came of it.
    pub(crate) fn run(scenario: &Scenario, way: &Way, seed: u64) -> Outcome {
        let mut world = Self::new(scenario.clone(), way, seed);
        world.acquaint();
        world.plan();
        let end = Duration::from_secs_f64(END_S);
        while let Some(((at, _), event)) = world.agenda.pop_first() {
            if at > end {
                break;
            }
            world.happen(event, at);
        }
        world.gauge.outcome()
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "it is only where virtual time begins"
    )]
    fn new(scenario: Scenario, way: &Way, seed: u64) -> Self {
        let start = Instant::now() + ACQUAINTANCE;
        let node = |index: usize| {
            let life = Life {
                node: NodeName::try_from(format!("node-{index:02}")).expect("a good name"),
                generation: Generation(1),
            };
            let joins = scenario.newcomers.iter().any(|(node, _)| *node == index);
            let began = if joins { start } else { start - ACQUAINTANCE };
            let never = Duration::from_secs(3_600); // heartbeats are not what is tried here
            let dice = seed.wrapping_mul(1_000) + index as u64;
            Node {
                forecast: Forecast::new(life.clone(), never, began),
                steersman: Steersman::new(life.node.clone(), way.clone(), dice),
                life,
                state: if joins {
                    NodeState::Dead
                } else {
                    NodeState::Alive
                },
            }
        };
        let mount = |index| MountName::try_from(format!("/{index}.mp3")).expect("a good name");
        Self {
            random: SmallRng::seed_from_u64(seed),
            start,
            nodes: (0..scenario.nodes.len()).map(node).collect(),
            mounts: (0..scenario.mounts.len()).map(mount).collect(),
            gauge: Gauge::new(&scenario),
            agenda: BTreeMap::new(),
            planned: 0,
            scenario,
        }
    }

    /// All nodes but the newcomers have long known each other and published once.
    fn acquaint(&mut self) {
        for (index, count) in self.scenario.before.clone().into_iter().enumerate() {
            (0..count).for_each(|_| self.gauge.seat(index, 0));
            if let Some(stay_s) = self.scenario.stay_s {
                for _ in 0..count {
                    let at = Duration::ZERO + self.stay(stay_s);
                    self.at(
                        at,
                        Event::Departure {
                            node: index,
                            mount: 0,
                        },
                    );
                }
            }
        }
        self.gauge.begin();
        let met_at = self.start - ACQUAINTANCE;
        let old: Vec<usize> = self.alive().collect();
        for own in &old {
            self.report_own(*own);
            for peer in old.iter().filter(|peer| *peer != own) {
                self.introduce(*own, *peer, met_at);
                let bulletin = Bulletin {
                    report: self.report(*peer),
                    ..Bulletin::default()
                };
                let life = self.nodes[*peer].life.clone();
                self.nodes[*own].forecast.hear(&life, &bulletin, met_at);
            }
        }
    }

    fn plan(&mut self) {
        for _ in 0..self.scenario.arrivals {
            let at = self.after((0.0, SURGE_S));
            let mount = self.any_mount();
            self.at(at, Event::Arrival { mount });
        }
        for node in self.alive().collect::<Vec<_>>() {
            let phase = self.after((0.0, self.scenario.publish_every_s));
            self.at(phase, Event::Publish { node });
        }
        for (node, at_s) in self.scenario.newcomers.clone() {
            self.at(Duration::from_secs_f64(at_s), Event::Join { node });
        }
        for (node, at_s) in self.scenario.deaths.clone() {
            self.at(Duration::from_secs_f64(at_s), Event::Death { node });
        }
    }

    fn happen(&mut self, event: Event, at: Duration) {
        let now = self.start + at;
        self.gauge.is(at);
        match event {
            Event::Arrival { mount } => self.arrival(mount, at),
            Event::Landing {
                redirector,
                node,
                mount,
            } => self.landing((redirector, node), mount, at),
            Event::Departure { node, mount } => {
                if self.nodes[node].state == NodeState::Alive {
                    self.gauge.leave(node, mount);
                    self.report_own(node);
                }
            }
            Event::Publish { node } => self.publish(node, at),
            Event::Delivery { from, to, bulletin } => {
                let life = self.nodes[from].life.clone();
                if self.nodes[to].state == NodeState::Alive {
                    self.nodes[to].forecast.hear(&life, &bulletin, now);
                }
            }
            Event::Join { node } => self.join(node, at),
            Event::Death { node } => self.die(node, at),
            Event::Burial { of, by } => {
                let life = self.nodes[of].life.clone();
                let forecast = &mut self.nodes[by].forecast;
                forecast.witness(&life, NodeState::Dead, now);
            }
        }
    }

    fn arrival(&mut self, mount: usize, at: Duration) {
        let now = self.start + at;
        let alive: Vec<usize> = self.alive().collect();
        let anywhere = alive[self.random.random_range(0..alive.len())];
        let entrance = self.scenario.entrance.unwrap_or(anywhere);
        let cost_bps = self.scenario.mounts[mount].0;
        let request = Request {
            mount: &self.mounts[mount],
            cost_bps,
            place: Whereabouts::default(),
        };
        let node = &mut self.nodes[entrance];
        let choice = node.steersman.choose(&node.forecast.table(now), &request);
        match choice {
            Choice::Here => {
                node.forecast.note_sent(&node.life.node, cost_bps, now);
                self.gauge.promise(entrance, mount);
                self.gauge.keep_promise(entrance, mount);
                self.sit_down(entrance, mount, at);
            }
            Choice::Redirect(name) => {
                node.forecast.note_sent(&name, cost_bps, now);
                let target = self.nodes.iter().position(|node| node.life.node == name);
                let target = target.expect("only known nodes are chosen");
                self.gauge.redirect(target, mount);
                let comes = !self.random.random_bool(self.scenario.vanished);
                let way = self.after(REDIRECT_S);
                if comes {
                    let landing = Event::Landing {
                        redirector: entrance,
                        node: target,
                        mount,
                    };
                    self.at(at + way, landing);
                } else {
                    self.gauge.keep_promise(target, mount);
                }
            }
            Choice::Full => self.gauge.refuse(),
        }
    }

    fn landing(&mut self, (redirector, node): (usize, usize), mount: usize, at: Duration) {
        self.gauge.keep_promise(node, mount);
        if self.nodes[node].state != NodeState::Alive {
            self.ask_again(mount, at);
            return;
        }
        let from = self.nodes[redirector].life.node.clone();
        self.nodes[node]
            .forecast
            .note_arrived(&from, self.start + at);
        self.sit_down(node, mount, at);
    }

    /// A listener begins to listen.
    fn sit_down(&mut self, node: usize, mount: usize, at: Duration) {
        self.gauge.seat(node, mount);
        self.report_own(node);
        if let Some(stay_s) = self.scenario.stay_s {
            let leaves = at + self.stay(stay_s);
            self.at(leaves, Event::Departure { node, mount });
        }
    }

    fn ask_again(&mut self, mount: usize, at: Duration) {
        let later = self.after(RETRY_S);
        self.at(at + later, Event::Arrival { mount });
    }

    fn publish(&mut self, node: usize, at: Duration) {
        if self.nodes[node].state != NodeState::Alive {
            return;
        }
        let bulletin = self.nodes[node].forecast.bulletin();
        for to in self.alive().filter(|to| *to != node).collect::<Vec<_>>() {
            if self.random.random_bool(self.scenario.lost) {
                continue;
            }
            let way = self.after((GOSSIP_SOONEST_S, self.scenario.gossip_s));
            let delivery = Event::Delivery {
                from: node,
                to,
                bulletin: bulletin.clone(),
            };
            self.at(at + way, delivery);
        }
        let next = at + Duration::from_secs_f64(self.scenario.publish_every_s);
        self.at(next, Event::Publish { node });
    }

    /// A node that was unknown: it and the others learn of each other, and it publishes at once.
    fn join(&mut self, node: usize, at: Duration) {
        let now = self.start + at;
        let old: Vec<usize> = self.alive().collect();
        self.nodes[node].state = NodeState::Alive;
        self.gauge.open(node);
        self.report_own(node);
        for peer in old {
            self.introduce(node, peer, now);
            self.introduce(peer, node, now);
        }
        self.publish(node, at);
    }

    /// A node dies: its listeners ask again elsewhere, and the others notice later.
    fn die(&mut self, node: usize, at: Duration) {
        self.nodes[node].state = NodeState::Dead;
        for (mount, count) in self.gauge.close(node).into_iter().enumerate() {
            (0..count).for_each(|_| self.ask_again(mount, at));
        }
        for by in self.alive().collect::<Vec<_>>() {
            let noticed = self.after(DETECTION_S);
            self.at(at + noticed, Event::Burial { of: node, by });
        }
    }

    fn introduce(&mut self, to: usize, peer: usize, now: Instant) {
        let life = self.nodes[peer].life.clone();
        self.nodes[to]
            .forecast
            .witness(&life, NodeState::Alive, now);
    }

    fn alive(&self) -> impl Iterator<Item = usize> + '_ {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| (node.state == NodeState::Alive).then_some(index))
    }

    fn report(&self, node: usize) -> LoadReport {
        let (load, size) = (self.gauge.load(node), self.scenario.nodes[node]);
        LoadReport {
            listeners: load.listeners,
            max_listeners: size.listeners,
            egress_bps: load.bps,
            max_bandwidth_bps: size.bps,
            cpu_permille: None,
        }
    }

    fn report_own(&mut self, node: usize) {
        let report = self.report(node);
        self.nodes[node].forecast.report_own(report);
    }

    fn any_mount(&mut self) -> usize {
        let mut drawn = self.random.random_range(0..100);
        let mounts = self.scenario.mounts.iter();
        let found = mounts.map(|(_, percent)| *percent).position(|percent| {
            let hit = drawn < percent;
            drawn = drawn.saturating_sub(percent);
            hit
        });
        found.expect("the shares of the mounts add up to a hundred")
    }

    fn after(&mut self, (soonest_s, latest_s): (f64, f64)) -> Duration {
        Duration::from_secs_f64(self.random.random_range(soonest_s..latest_s))
    }

    /// Some listeners leave soon, some stay long: at random.
    fn stay(&mut self, mean_s: f64) -> Duration {
        let share: f64 = self.random.random_range(f64::MIN_POSITIVE..1.0);
        Duration::from_secs_f64(-mean_s * share.ln())
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), event);
    }
}
