//! The figures of a crowd: how full the nodes became, and how well that was foreseen.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon::logic::policy::explain::Prediction;

use crate::support::rush::Story;

/// The page that has the table.
const PAGE: &str = "docs/policy-figures.md";
/// The marks around the table.
const BEGIN: &str = "<!-- crowd: begin -->\n";
const END: &str = "<!-- crowd: end -->";

/// The forecast of a node at a moment.
pub(super) struct Sample {
    /// When it said so.
    pub(super) at: Instant,
    /// For each node, in their order.
    pub(super) predictions: Vec<Prediction>,
}

/// The figures of one crowd. All but counts are in points: per cent of a node's capacity.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// How many listeners each node has in the end.
    pub(super) counts: Vec<usize>,
    limits: Vec<usize>,
    /// From the first that was told where to listen to the last.
    took: Duration,
    /// How far off each prediction was while they came, the least first.
    errors: Vec<f64>,
}

impl Figures {
    /// Compares what was foreseen with what became true.
    ///
    /// A node's prediction is its share in use once all listeners on their way have arrived. It is compared with
    /// those who had been told by that moment, by whatever node, to listen there: they do arrive, and the share
    /// that they fill is the truth. Those told elsewhere a moment ago, of whom the foreseeing node cannot have heard
    /// yet, are in the truth all the same: gossip's delay is part of the error.
    pub(super) fn of(limits: &[usize], stories: &[Story], samples: &[Sample]) -> Self {
        let told: Vec<(usize, Instant)> = stories.iter().filter_map(|it| it.told).collect();
        let moments = || told.iter().map(|(_, at)| *at);
        let first = moments().min().expect("somebody came");
        let last = moments().max().expect("somebody came");
        let count = |node: usize, by: Instant| {
            let there = told.iter().filter(|(at, when)| *at == node && *when <= by);
            there.count()
        };
        let points = |node: usize, listeners: usize| share(listeners, limits[node]);
        let mut errors = Vec::new();
        let meanwhile = |it: &&Sample| (first..=last).contains(&it.at);
        for sample in samples.iter().filter(meanwhile) {
            for (node, prediction) in sample.predictions.iter().enumerate() {
                let foreseen = prediction
                    .listeners_utilization
                    .max(prediction.bandwidth_utilization);
                let truth = points(node, count(node, sample.at));
                errors.push((foreseen * 100.0 - truth).abs());
            }
        }
        errors.sort_unstable_by(f64::total_cmp);
        Self {
            counts: (0..limits.len()).map(|node| count(node, last)).collect(),
            limits: limits.to_vec(),
            took: last - first,
            errors,
        }
    }

    /// How full the fullest node became. Nobody left, so that it is the fullest at the end.
    pub(super) fn peak(&self) -> f64 {
        self.shares().fold(0.0, f64::max)
    }

    /// How full all would be if all were as full as each other.
    pub(super) fn level(&self) -> f64 {
        share(self.listeners(), self.limits.iter().sum())
    }

    fn listeners(&self) -> usize {
        self.counts.iter().sum()
    }

    fn shares(&self) -> impl Iterator<Item = f64> {
        let nodes = self.counts.iter().zip(&self.limits);
        nodes.map(|(count, limit)| share(*count, *limit))
    }

    /// The error that this share of all predictions did not exceed.
    fn error(&self, share: f64) -> f64 {
        let last = self.errors.len().checked_sub(1);
        last.map_or(f64::NAN, |last| {
            self.errors[(last as f64 * share).ceil() as usize]
        })
    }

    /// The same crowd come twice: how full the nodes became the worse time, and all predictions.
    fn and(self, other: Self) -> Self {
        let (mut errors, more) = (self.errors.clone(), other.errors.clone());
        errors.extend(more);
        errors.sort_unstable_by(f64::total_cmp);
        let worse = if other.peak() > self.peak() {
            other
        } else {
            self
        };
        Self { errors, ..worse }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} listeners in {:.1} s, at each node",
            self.listeners(),
            self.took.as_secs_f64()
        )?;
        for share in self.shares() {
            write!(f, " {share:.1}")?;
        }
        write!(
            f,
            " %, the level is {:.1} %; {} predictions were off by {:.1} / {:.1} / {:.1} points (median, p95, worst)",
            self.level(),
            self.errors.len(),
            self.error(0.5),
            self.error(0.95),
            self.error(1.0)
        )
    }
}

/// All crowds that came: those of the same size together. Of each all were served, and nobody was sent on twice, or
/// its test would have ended there.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<usize, (usize, Figures)>);

impl Table {
    /// Takes note of a crowd.
    pub(super) fn note(&mut self, figures: Figures) {
        let listeners = figures.listeners();
        let (times, figures) = match self.0.remove(&listeners) {
            Some((times, before)) => (times + 1, before.and(figures)),
            None => (1, figures),
        };
        self.0.insert(listeners, (times, figures));
    }

    /// The promises that were not kept, given how far the fullest node may stand above the level, and how far off 95
    /// of 100 predictions may be.
    pub(super) fn broken(&self, level_points: f64, prediction_points: f64) -> Vec<String> {
        let check = |(_, figures): &(usize, Figures)| {
            let level = figures.peak() <= figures.level() + level_points;
            let prediction = figures.error(0.95) <= prediction_points;
            (!level || !prediction).then(|| figures.to_string())
        };
        self.0.values().filter_map(check).collect()
    }

    /// Puts the table into the documentation.
    pub(super) fn write_into_the_documentation(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        let text = fs::read_to_string(&path).expect("the documentation is there");
        let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
        let (_, after) = rest.split_once(END).expect("its end");
        let text = format!("{before}{BEGIN}{self}{END}{after}");
        fs::write(&path, text).expect("the documentation can be written");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| listeners | times | refused | sent on twice | all nodes at one level, % | fullest node, % \
             | predictions | off by, points: median | p95 | worst |"
        )?;
        writeln!(f, "|{}", " --- |".repeat(10))?;
        for (listeners, (times, figures)) in &self.0 {
            writeln!(
                f,
                "| {listeners} | {times} | 0 | 0 | {:.1} | {:.1} | {} | {:.1} | {:.1} | {:.1} |",
                figures.level(),
                figures.peak(),
                figures.errors.len(),
                figures.error(0.5),
                figures.error(0.95),
                figures.error(1.0)
            )?;
        }
        Ok(())
    }
}

/// Per cent.
fn share(listeners: usize, limit: usize) -> f64 {
    listeners as f64 * 100.0 / limit as f64
}
