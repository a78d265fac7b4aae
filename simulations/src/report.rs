//! The table that the command prints, and the command that reproduces a failure.

use std::fmt::Write;

use crate::calibrate::{MEASURED, TOLERANCE, detection_s};
use crate::checkers::Findings;
use crate::scenario::Scenario;

/// What the seeds of one scenario have shown.
#[derive(Debug, Default)]
pub struct Summary {
    seeds: u64,
    settled_s: Vec<f64>,
    dual_s: Vec<f64>,
    changes: u32,
    violations: usize,
}

impl Summary {
    /// Adds one run.
    pub fn add(&mut self, findings: &Findings) {
        self.seeds += 1;
        let settled = findings.settled_after.map(|after| after.as_secs_f64());
        self.settled_s.extend(settled);
        self.dual_s.push(findings.dual.as_secs_f64());
        self.changes += findings.changes;
        self.violations += findings.violations.len();
    }

    /// One line of the table.
    pub fn line(&mut self, name: &str) -> String {
        let changes = f64::from(self.changes) / (self.seeds.max(1) as f64);
        format!(
            "| {name} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {changes:.2} | {} |",
            self.seeds,
            quantile(&mut self.settled_s, 0.5),
            quantile(&mut self.settled_s, 0.99),
            quantile(&mut self.dual_s, 0.5),
            quantile(&mut self.dual_s, 1.0),
            self.violations,
        )
    }
}

/// The table's head.
pub const HEAD: &str = "\
| scenario | seeds | agreement median, s | p99, s | two claims median, s | max, s | master changes | violations |
|---|---|---|---|---|---|---|---|";

/// The table of the gossip model against measurements, and whether it is within tolerance.
pub fn calibration(seeds: u64) -> (String, bool) {
    let mut table = String::from(
        "| nodes | detections | median, s | p99, s | measured median, s | deviation |\n\
         |---|---|---|---|---|---|\n",
    );
    let mut is_close = true;
    for (nodes, measured_s) in MEASURED {
        let mut times_s = detection_s(nodes, seeds);
        let median_s = quantile(&mut times_s, 0.5);
        let p99_s = quantile(&mut times_s, 0.99);
        let deviation = median_s / measured_s - 1.0;
        is_close &= deviation.abs() <= TOLERANCE;
        let detections = times_s.len();
        let percent = deviation * 100.0;
        writeln!(
            table,
            "| {nodes} | {detections} | {median_s:.2} | {p99_s:.2} | {measured_s:.2} | {percent:+.0} % |"
        )
        .expect("a String takes every text");
    }
    (table, is_close)
}

/// The one command that shows a failed run again.
pub fn reproduce(scenario: &Scenario, seed: u64) -> String {
    let name = scenario.name;
    format!("cargo run --release -p simulations -- --scenario {name} --seed {seed} --trace")
}

/// The value below which this share of all values lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}
