//! Gossip and election against the size of the mesh: 3 to 1,000 nodes, with the interval of the profile for each.
//!
//! One world for each size and seed: it warms up, its bytes are counted, values are written, and its master dies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use antiphon::model::status::NodeState;

use crate::calibrate::spread_of;
use crate::chart::{Chart, Series};
use crate::faults::{Fault, Who};
use crate::log::Trace;
use crate::plan::Plan;
use crate::report::quantile;
use crate::world::World;
/// The sizes, and from how many seeds each is measured: the large ones have many observers in one world.
pub const SIZES: [(usize, u64); 8] = [
    (3, 60),
    (5, 40),
    (10, 30),
    (32, 12),
    (100, 4),
    (200, 3),
    (500, 2),
    (1_000, 1),
];
/// The loss under which all of it is measured.
const LOSS: f64 = 0.1;
/// For how many intervals a world runs first: a thousand nodes find each other, and gossip's windows fill.
const WARM_INTERVALS: u32 = 60;
/// Over how many intervals bytes are counted.
const COUNTED_INTERVALS: u32 = 20;
/// How long everybody is watched after the death, in intervals.
const WATCHED_INTERVALS: u32 = 60;
/// How exactly.
const STEP: Duration = Duration::from_millis(10);
/// How many values are written in each world.
const VALUES: usize = 3;

/// The measurements at one size; times in seconds.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// How many nodes.
    pub nodes: usize,
    /// The gossip interval.
    pub interval: Duration,
    /// Until gossip alone dropped the dead master, at each node.
    detected_s: Vec<f64>,
    /// Until both witnesses together took it for dead, at each node.
    buried_s: Vec<f64>,
    /// Until a value was seen, at each node.
    seen_s: Vec<f64>,
    /// Until all nodes followed one new master.
    elected_s: Vec<f64>,
    /// Gossip sent by a node, bytes per second, before any compression.
    bytes_per_s: Vec<f64>,
}

/// The gossip interval of a mesh of this size; as in the profiles that operators are told.
pub fn interval(nodes: usize) -> Duration {
    Duration::from_millis(match nodes {
        ..=32 => 250,
        33..=200 => 500,
        _ => 1_000,
    })
}

/// Measures one size from one seed.
pub fn measure(nodes: usize, seed: u64) -> Measured {
    let interval = interval(nodes);
    let plan = Plan {
        loss: LOSS,
        ..Plan::quiet(nodes, interval, Duration::MAX)
    };
    let mut world = World::new(plan, seed, Trace::Silent).unjudged();
    world.run_until(interval * WARM_INTERVALS);
    let before = world.gossip_bytes();
    let counted = interval * COUNTED_INTERVALS;
    world.run_until(world.now + counted);
    let sent = (world.gossip_bytes() - before) as f64;
    let values = (0..VALUES).flat_map(|number| spread_of(&mut world, (number, nodes)));
    let mut measured = Measured {
        nodes,
        interval,
        seen_s: values.collect(),
        bytes_per_s: vec![sent / counted.as_secs_f64() / nodes as f64],
        ..Measured::default()
    };
    if let Some(master) = world.master() {
        measured.bury(&mut world, master);
    }
    measured
}

impl Measured {
    /// Kills the master, and looks until everybody follows another one.
    fn bury(&mut self, world: &mut World, master: usize) {
        world.strike(Fault::Crash(Who::Node(master)));
        let (died_at, limit) = (world.now, self.interval * WATCHED_INTERVALS);
        let all: Vec<usize> = (0..self.nodes).filter(|node| *node != master).collect();
        let (mut continuity, mut hoping, mut agreed_s) = (all.clone(), all.clone(), None);
        while world.now < died_at + limit {
            world.run_until(world.now + STEP);
            let after_s = (world.now - died_at).as_secs_f64();
            let note =
                |open: &mut Vec<usize>, times_s: &mut Vec<f64>, is_so: &dyn Fn(usize) -> bool| {
                    let before = open.len();
                    open.retain(|node| !is_so(*node));
                    times_s.extend(std::iter::repeat_n(after_s, before - open.len()));
                };
            note(&mut continuity, &mut self.detected_s, &|node| {
                world.is_live(node, master) == Some(false)
            });
            note(&mut hoping, &mut self.buried_s, &|node| {
                world.verdict(node, master) == Some(NodeState::Dead)
            });
            if agreed_s.is_none() && agree(world, &all, master) {
                agreed_s = Some(after_s);
            }
            if agreed_s.is_some() && continuity.is_empty() && hoping.is_empty() {
                break;
            }
        }
        self.elected_s.extend(agreed_s);
    }

    /// Adds what another seed has shown of the same size.
    fn add(&mut self, other: Self) {
        (self.nodes, self.interval) = (other.nodes, other.interval);
        self.detected_s.extend(other.detected_s);
        self.buried_s.extend(other.buried_s);
        self.seen_s.extend(other.seen_s);
        self.elected_s.extend(other.elected_s);
        self.bytes_per_s.extend(other.bytes_per_s);
    }
}

/// Whether all of these follow the same node, and not the one that is dead.
fn agree(world: &World, all: &[usize], dead: usize) -> bool {
    let first = world.followed(all[0]).filter(|master| *master != dead);
    first.is_some() && all.iter().all(|node| world.followed(*node) == first)
}

/// One size, summed up; times in seconds.
#[derive(Clone, Debug)]
pub struct Row {
    /// How many nodes.
    pub nodes: usize,
    /// The gossip interval, milliseconds.
    pub interval_ms: u128,
    /// The numbers, in the order of [`COLUMNS`].
    pub values: [f64; 12],
}

/// The names of a row's numbers.
pub const COLUMNS: [&str; 12] = [
    "gossip_drops_median_s",
    "gossip_drops_p99_s",
    "gossip_drops_last_s",
    "both_witnesses_median_s",
    "both_witnesses_p99_s",
    "both_witnesses_last_s",
    "value_seen_p50_s",
    "value_seen_p99_s",
    "value_seen_by_all_s",
    "kB_per_node_and_s",
    "election_median_s",
    "election_worst_s",
];

/// Sums up what the seeds of each size have shown, sizes in order.
pub fn rows(all: Vec<Measured>) -> Vec<Row> {
    let mut by_size: BTreeMap<usize, Measured> = BTreeMap::new();
    for measured in all {
        by_size.entry(measured.nodes).or_default().add(measured);
    }
    by_size.into_values().map(row).collect()
}

fn row(mut all: Measured) -> Row {
    let of = |which: &mut Vec<f64>, share| quantile(which, share).unwrap_or(f64::NAN);
    let values = [
        of(&mut all.detected_s, 0.5),
        of(&mut all.detected_s, 0.99),
        of(&mut all.detected_s, 1.0),
        of(&mut all.buried_s, 0.5),
        of(&mut all.buried_s, 0.99),
        of(&mut all.buried_s, 1.0),
        of(&mut all.seen_s, 0.5),
        of(&mut all.seen_s, 0.99),
        of(&mut all.seen_s, 1.0),
        of(&mut all.bytes_per_s, 0.5) / 1_000.0,
        of(&mut all.elected_s, 0.5),
        of(&mut all.elected_s, 1.0),
    ];
    Row {
        nodes: all.nodes,
        interval_ms: all.interval.as_millis(),
        values,
    }
}

/// The rows as comma-separated values.
pub fn csv(rows: &[Row]) -> String {
    let mut text = format!("nodes,interval_ms,{}\n", COLUMNS.join(","));
    for row in rows {
        let values: Vec<String> = row.values.iter().map(|it| format!("{it:.3}")).collect();
        let values = values.join(",");
        writeln!(text, "{},{},{values}", row.nodes, row.interval_ms).expect("a text has room");
    }
    text
}

/// The rows as a table for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| nodes | gossip interval, ms | gossip drops a dead node: median, s | p99 | last | both witnesses: median, s \
         | p99 | last | a value is seen: p50, s | p99 | by all | gossip, kB per node and s | new master agreed: median, s | worst |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let values: Vec<String> = row.values.iter().map(|it| format!("{it:.2}")).collect();
        let values = values.join(" | ");
        writeln!(text, "| {} | {} | {values} |", row.nodes, row.interval_ms)
            .expect("a text has room");
    }
    text
}

/// The plots: a file's name, and what is in it.
pub fn plots(rows: &[Row]) -> Vec<(&'static str, String)> {
    PLOTS
        .iter()
        .map(|plot| (plot.file, plot.draw(rows)))
        .collect()
}

/// A plot of some columns.
struct Plot {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    /// The legend's text for each line, and its place in [`COLUMNS`].
    lines: &'static [(&'static str, usize)],
}

const PLOTS: [Plot; 4] = [
    Plot {
        file: "detection.svg",
        title: "Until a dead node is missed",
        unit: "seconds",
        lines: &[
            ("gossip alone, median", 0),
            ("gossip alone, p99", 1),
            ("both witnesses, median", 3),
            ("both witnesses, p99", 4),
        ],
    },
    Plot {
        file: "propagation.svg",
        title: "Until a value is seen",
        unit: "seconds",
        lines: &[("half of the nodes", 6), ("99 of 100", 7), ("all", 8)],
    },
    Plot {
        file: "bytes.svg",
        title: "Gossip that a node sends, before compression",
        unit: "kB per second",
        lines: &[("one node", 9)],
    },
    Plot {
        file: "election.svg",
        title: "From the death of the master until all agree on another",
        unit: "seconds",
        lines: &[("median", 10), ("worst", 11)],
    },
];

impl Plot {
    fn draw(&self, rows: &[Row]) -> String {
        let line = |(name, column): &(&'static str, usize)| Series {
            name,
            points: rows
                .iter()
                .map(|row| (row.nodes as f64, row.values[*column]))
                .collect(),
        };
        Chart {
            title: self.title,
            across: "nodes",
            up: self.unit,
            series: self.lines.iter().map(line).collect(),
        }
        .draw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_mesh_fills_all_columns_and_twice_alike() {
        let twice = [(); 2].map(|()| csv(&rows(vec![measure(3, 1), measure(3, 2)])));
        assert_eq!(twice[0], twice[1]);
        let [row] = rows(vec![measure(3, 1)]).try_into().unwrap();
        let Row { values, .. } = row;
        assert!(values.iter().all(|value| *value > 0.0), "{values:?}");
        assert!(values[11] < 2.5, "a new master within 2.5 s: {values:?}");
    }
}
