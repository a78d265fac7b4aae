//! The table of what the worlds of each scenario have shown, and the command that reproduces a failure.

use std::time::Duration;

use crate::checkers::Findings;
use crate::scenario::Scenario;

/// The findings of the seeds of one scenario.
#[derive(Debug, Default)]
pub struct Summary {
    seeds: u64,
    settled_s: Vec<f64>,
    dual_s: Vec<f64>,
    stalls_s: Vec<f64>,
    changes: u32,
    differed: Duration,
    violations: usize,
}

impl Summary {
    /// Adds one run.
    pub fn add(&mut self, findings: &Findings) {
        self.seeds += 1;
        let settled = findings.settled_after.map(|after| after.as_secs_f64());
        self.settled_s.extend(settled);
        self.dual_s.push(findings.dual.as_secs_f64());
        let stalls = findings.stalls.iter().map(Duration::as_secs_f64);
        self.stalls_s.extend(stalls);
        self.changes += findings.changes;
        self.differed = self.differed.max(findings.differed);
        self.violations += findings.violations.len();
    }

    /// One line of the table.
    pub fn line(&mut self, name: &str) -> String {
        let changes = f64::from(self.changes) / (self.seeds.max(1) as f64);
        let differed = match self.differed {
            Duration::ZERO => "–".to_owned(),
            differed => format!("{:.2}", differed.as_secs_f64()),
        };
        format!(
            "| {name} | {} | {} | {} | {} | {changes:.2} | {} | {} | {} | {differed} | {} |",
            self.seeds,
            shown(&mut self.settled_s, 0.5),
            shown(&mut self.settled_s, 0.99),
            shown(&mut self.dual_s, 1.0),
            shown(&mut self.stalls_s, 0.5),
            shown(&mut self.stalls_s, 0.99),
            shown(&mut self.stalls_s, 1.0),
            self.violations,
        )
    }
}

/// The table's head.
pub const HEAD: &str = "\
| scenario | seeds | agreement median, s | p99, s | two claims max, s | master changes | silence median, s | p99, s | max, s | documents differ max, s | violations |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

/// The one command that shows a failed run again.
pub fn reproduce(scenario: &Scenario, seed: u64) -> String {
    let name = &scenario.name;
    let chosen = if name.ends_with(".toml") {
        "--file"
    } else {
        "--scenario"
    };
    format!("cargo run --release -p simulations -- {chosen} {name} --seed {seed} --trace")
}

/// A quantile as text; a dash if there is nothing.
fn shown(values: &mut [f64], share: f64) -> String {
    match quantile(values, share) {
        Some(value) => format!("{value:.2}"),
        None => "–".to_owned(),
    }
}

/// The value below which this share of all values lies.
pub fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let index = (last as f64 * share).round() as usize;
    values.get(index).copied()
}
