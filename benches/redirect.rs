//! How long one decision takes: the table as of now, the choice, and its entry into the counters.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use antiphon::logic::forecast::{Bulletin, Forecast, Life, Sent, Tally};
use antiphon::logic::policy::{Choice, Chooser, Facts, NodeFacts, Policy, Request, Scene};
use antiphon::model::geo::{Position, Whereabouts};
use antiphon::model::load::LoadReport;
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::status::NodeState;
use criterion::{BenchmarkId, Criterion};

const COST_BPS: u64 = 128_000;

/// The usual policy, and one with something of everything.
const POLICIES: [(&str, &str); 2] = [
    ("default", "weight,water"),
    (
        "rich",
        "not_tag(slow),geo(country),geo(distance),holds_mount,listeners_score,bandwidth_score,cpu_score,weight,water",
    ),
];

/// When peers go stale: far beyond the millions of virtual milliseconds that a run takes.
const NEVER: Duration = Duration::from_secs(1 << 30);

fn life(index: usize) -> Life {
    Life {
        node: NodeName::try_from(format!("node-{index:03}")).expect("a good name"),
        generation: Generation(1),
    }
}

/// The bulletin of a node of a mesh in the middle of a surge: unequal sizes and loads, and 32 counters.
fn bulletin(index: usize, nodes: usize) -> Bulletin {
    let max_listeners = 100_000 + 1_000 * (index as u32 % 90);
    let listeners = 500 * (index as u32 % 70);
    let sent = |offset: usize| {
        let Life { node, generation } = life((index + offset) % nodes);
        let listeners = 10 + offset as u64;
        let total = Tally {
            listeners,
            bps: listeners * COST_BPS,
        };
        Sent {
            to: node,
            generation,
            total,
        }
    };
    Bulletin {
        report: LoadReport {
            listeners,
            max_listeners,
            egress_bps: u64::from(listeners) * COST_BPS,
            max_bandwidth_bps: u64::from(max_listeners) * COST_BPS,
            cpu_permille: None,
        },
        sent: (0..nodes.min(31)).map(sent).collect(),
        ..Bulletin::default()
    }
}

/// The facts of each node: weights, tags and places that differ, and the mount on every third one.
fn facts(nodes: usize, mount: &MountName) -> Facts {
    let names = (0..nodes).map(|index| life(index).node);
    let said = names.enumerate().map(|(index, node)| {
        let mut facts = NodeFacts::default();
        facts.traits.weight_percent = 50 + 10 * (index as u32 % 10);
        let tag = if index % 2 == 0 { "fast" } else { "slow" };
        let tag = tag.parse().expect("a good tag");
        facts.traits.tags.insert(tag);
        let country = ["de", "fr", "us"][index % 3];
        facts.place = place(country, -60.0 + (index % 120) as f64);
        (node, facts)
    });
    let holders = (0..nodes).step_by(3).map(|index| life(index).node);
    Facts {
        nodes: said.collect(),
        holders: BTreeMap::from([(mount.clone(), holders.collect())]),
    }
}

fn place(country: &str, longitude_deg: f64) -> Whereabouts {
    Whereabouts {
        country: country.parse().ok(),
        position: Position::new(50.0, longitude_deg).ok(),
    }
}

/// One node of a mesh, as it is while it redirects.
struct Redirector {
    forecast: Forecast,
    chooser: Chooser,
    facts: Facts,
    mount: MountName,
}

impl Redirector {
    fn new(nodes: usize, now: Instant) -> Self {
        let mut forecast = Forecast::new(life(0), NEVER, now);
        forecast.report_own(bulletin(0, nodes).report);
        for index in 1..nodes {
            forecast.witness(&life(index), NodeState::Alive, now);
        }
        for index in 1..nodes {
            forecast.hear(&life(index), &bulletin(index, nodes), now);
        }
        let mount = MountName::try_from("/radio.mp3").expect("a good name");
        Self {
            forecast,
            chooser: Chooser::new(life(0).node, 1),
            facts: facts(nodes, &mount),
            mount,
        }
    }

    fn decide(&mut self, policy: &Policy, now: Instant) -> Choice {
        let scene = Scene {
            table: &self.forecast.table(now),
            facts: &self.facts,
        };
        let request = Request {
            mount: &self.mount,
            cost_bps: COST_BPS,
            place: place("de", 13.4),
        };
        let choice = self.chooser.choose(policy, scene, &request);
        if let Choice::Redirect(node) = &choice {
            self.forecast.note_sent(node, COST_BPS, now);
        }
        choice
    }
}

fn decision(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("redirect");
    for nodes in [3, 30, 300] {
        for (name, text) in POLICIES {
            let policy: Policy = text.parse().expect("a good policy");
            // 1,000 listeners per second: sweeps come as often as they would, one in 250 decisions.
            let mut now = Instant::now();
            let mut redirector = Redirector::new(nodes, now);
            group.bench_function(BenchmarkId::new(name, nodes), |bencher| {
                bencher.iter(|| {
                    now += Duration::from_millis(1);
                    black_box(redirector.decide(&policy, now))
                });
            });
        }
        let mut now = Instant::now();
        let mut redirector = Redirector::new(nodes, now);
        let (from, bulletin) = (life(1), bulletin(1, nodes));
        group.bench_function(BenchmarkId::new("bulletin", nodes), |bencher| {
            bencher.iter(|| {
                now += Duration::from_millis(1);
                redirector.forecast.hear(&from, black_box(&bulletin), now);
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decision(&mut criterion);
    criterion.final_summary();
}
