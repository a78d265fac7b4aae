//! How long one decision takes: the table as of now, the choice, and its entry into the counters.

use std::hint::black_box;
use std::time::{Duration, Instant};

use antiphon::logic::balance::{Balancer, Choice};
use antiphon::logic::forecast::{Bulletin, Forecast, Life, Sent, Tally};
use antiphon::model::load::LoadReport;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::status::NodeState;
use criterion::{BenchmarkId, Criterion};

const COST_BPS: u64 = 128_000;

/// When peers go stale: far beyond the millions of virtual milliseconds that a run takes.
const NEVER: Duration = Duration::from_secs(1 << 30);

fn life(index: usize) -> Life {
    Life {
        node: NodeName::try_from(format!("node-{index:03}")).expect("a good name"),
        generation: Generation(1),
    }
}

/// What a node of a mesh in the middle of a surge publishes: unequal sizes and loads, and 32 counters.
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
        },
        sent: (0..nodes.min(31)).map(sent).collect(),
        arrived: Vec::new(),
    }
}

fn mesh(nodes: usize, now: Instant) -> (Forecast, Balancer) {
    let mut forecast = Forecast::new(life(0), NEVER, now);
    forecast.report_own(bulletin(0, nodes).report);
    for index in 1..nodes {
        forecast.witness(&life(index), NodeState::Alive, now);
    }
    for index in 1..nodes {
        forecast.hear(&life(index), &bulletin(index, nodes), now);
    }
    (forecast, Balancer::new(life(0).node))
}

fn decide(forecast: &mut Forecast, balancer: &mut Balancer, now: Instant) -> Choice {
    let choice = balancer.choose(&forecast.table(now), COST_BPS);
    if let Choice::Redirect(node) = &choice {
        forecast.note_sent(node, COST_BPS, now);
    }
    choice
}

fn decision(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    for nodes in [3, 30, 300] {
        // 1,000 listeners per second: sweeps come as often as they would, one in 250 decisions.
        let mut now = Instant::now();
        let (mut forecast, mut balancer) = mesh(nodes, now);
        group.bench_function(BenchmarkId::new("decision", nodes), |bencher| {
            bencher.iter(|| {
                now += Duration::from_millis(1);
                black_box(decide(&mut forecast, &mut balancer, now))
            });
        });
        let (mut forecast, _) = mesh(nodes, now);
        let (from, bulletin) = (life(1), bulletin(1, nodes));
        group.bench_function(BenchmarkId::new("bulletin", nodes), |bencher| {
            bencher.iter(|| {
                now += Duration::from_millis(1);
                forecast.hear(&from, black_box(&bulletin), now);
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
