//! `flash-crowd`: ten thousand listeners in ten seconds, for every way to choose a node.
//!
//! Prints a table, draws it, and fails when the usual policy misses what is promised for it.

mod gauge;
mod picture;
mod report;
mod scenario;
mod way;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use report::{Row, Summary};
use scenario::Scenario;
use way::Way;
use world::World;

/// Lets flash crowds come to simulated meshes and compares the ways to choose a node.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Runs of each scenario, each from a seed of its own
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// Only the usual policy
    #[arg(long)]
    default_only: bool,
    /// Folder for the CSV and the SVG
    #[arg(long, default_value = "target/simulations")]
    out: PathBuf,
    /// A Markdown file in which the table is renewed, between its two markers
    #[arg(long)]
    update: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mut ways = Way::all();
    if args.default_only {
        ways.truncate(1);
    }
    let scenarios = scenario::all();
    let mut rows = Vec::new();
    for scenario in &scenarios {
        for way in &ways {
            rows.push(run(scenario, way, args.seeds));
        }
    }
    let table = report::markdown(&rows, args.seeds);
    println!("{table}");
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    let files = [
        ("flash-crowd.csv", report::csv(&rows)),
        ("flash-crowd.svg", picture::svg(&rows)),
    ];
    for (name, text) in files {
        let path = args.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = args.update {
        report::update(&path, &table)?;
    }
    let missed = report::missed(&rows, &scenarios);
    missed.iter().for_each(|it| eprintln!("missed: {it}"));
    Ok(match missed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn run(scenario: &Scenario, way: &Way, seeds: u64) -> Row {
    let outcomes: Vec<_> = (0..seeds)
        .map(|seed| World::run(scenario, way, seed))
        .collect();
    Row {
        scenario: scenario.title,
        way: way.title(),
        summary: Summary::of(&outcomes),
    }
}
