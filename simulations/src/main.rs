//! Runs worlds and prints what they have shown.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use simulations::log::Trace;
use simulations::report::{HEAD, Summary, calibration, reproduce};
use simulations::run;
use simulations::scenario::{SCENARIOS, Scenario};

/// Runs whole antiphon clusters in virtual time, from seeds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds in all, spread over the scenarios.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Only this scenario; it gets all the seeds.
    #[arg(long)]
    scenario: Option<String>,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Print what happens.
    #[arg(long)]
    trace: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let chosen = match &arguments.scenario {
        Some(name) => vec![Scenario::find(name).with_context(|| format!("no scenario {name}"))?],
        None => SCENARIOS.iter().collect(),
    };
    println!("{HEAD}");
    let mut failed = false;
    for scenario in &chosen {
        failed |= show(scenario, &arguments);
    }
    if arguments.scenario.is_none() && arguments.seed.is_none() {
        let (table, is_close) = calibration(40);
        println!("\n{table}");
        failed |= !is_close;
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs a scenario's seeds, prints its line, and says whether a rule was broken.
fn show(scenario: &Scenario, arguments: &Arguments) -> bool {
    let share = match arguments.scenario {
        Some(_) => arguments.seeds,
        None => (arguments.seeds * scenario.share).div_ceil(1_000),
    };
    let seeds = arguments.seed.map_or(0..share, |seed| seed..seed + 1);
    let trace = if arguments.trace {
        Trace::Printed
    } else {
        Trace::Silent
    };
    let (mut summary, mut failures) = (Summary::default(), Vec::new());
    for seed in seeds {
        let (findings, _) = run(scenario, seed, trace);
        summary.add(&findings);
        if !findings.violations.is_empty() {
            failures.push((seed, findings.violations));
        }
    }
    println!("{}", summary.line(scenario.name));
    for (seed, violations) in failures.iter().take(5) {
        println!("  {}", violations.join("\n  "));
        println!("  {}", reproduce(scenario, *seed));
    }
    !failures.is_empty()
}
