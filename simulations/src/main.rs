//! Runs worlds and prints what they have shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use simulations::campaign::{self, Job};
use simulations::log::Trace;
use simulations::report::{HEAD, Summary, reproduce};
use simulations::scenario::{self, Scenario};
use simulations::{calibrate, pages, run, scale};

/// How many failed seeds of a scenario are shown.
const SHOWN: usize = 5;
/// The folder for the files of the scale.
const FILES: &str = "target/simulations";

/// Runs whole antiphon clusters in virtual time, from seeds.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    seeds: SeedsArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures gossip and election from 3 to 1,000 nodes; writes a table, values and plots.
    Scale(ScaleArguments),
}

#[derive(Debug, Args)]
struct SeedsArguments {
    /// How many seeds in all, spread over the scenarios.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Only this scenario; it gets all the seeds.
    #[arg(long)]
    scenario: Option<String>,
    /// Only the scenario in this file.
    #[arg(long, conflicts_with = "scenario")]
    file: Option<PathBuf>,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Print what happens in it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// On so many threads; usually one for each core.
    #[arg(long)]
    threads: Option<usize>,
    /// Write the table into this page too.
    #[arg(long)]
    page: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ScaleArguments {
    /// No mesh larger than this.
    #[arg(long, default_value_t = 1_000)]
    up_to: usize,
    /// Write the tables into this page too.
    #[arg(long)]
    page: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Scale(scale)) => measure_scale(&scale).map(|()| ExitCode::SUCCESS),
        None => run_seeds(&arguments.seeds),
    }
}

fn run_seeds(arguments: &SeedsArguments) -> anyhow::Result<ExitCode> {
    let chosen = chosen(arguments)?;
    let jobs = match arguments.seed {
        None => campaign::spread(&chosen, arguments.seeds),
        Some(seed) => {
            let one = |scenario: &&'static Scenario| Job { scenario, seed };
            chosen.iter().map(one).collect()
        }
    };
    if arguments.trace {
        // Once more below, silently and judged alike: a trace is only to be read.
        for job in &jobs {
            run(job.scenario, job.seed, Trace::Printed);
        }
    }
    let threads = arguments.threads.unwrap_or_else(campaign::threads);
    let findings = campaign::run_all(&jobs, threads);
    let (mut table, mut failures) = (format!("{HEAD}\n"), Vec::new());
    for scenario in chosen {
        let mut summary = Summary::default();
        let of_it = |(job, _): &(&Job, _)| job.scenario.name == scenario.name;
        let mut shown = 0;
        for (job, found) in jobs.iter().zip(&findings).filter(of_it) {
            summary.add(found);
            if !found.violations.is_empty() && shown < SHOWN {
                shown += 1;
                failures.extend(found.violations.iter().cloned());
                failures.push(format!("  {}", reproduce(scenario, job.seed)));
            }
        }
        table += &format!("{}\n", summary.line(&scenario.name));
    }
    println!("{table}");
    if let Some(page) = &arguments.page {
        write_into(page, &[("simulations", &table)])?;
    }
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", failures.join("\n"));
    Ok(ExitCode::FAILURE)
}

/// The scenarios that are asked for. They are needed to the end, so one of a file stays in memory too.
fn chosen(arguments: &SeedsArguments) -> anyhow::Result<Vec<&'static Scenario>> {
    Ok(match (&arguments.scenario, &arguments.file) {
        (Some(name), _) => {
            vec![Scenario::find(name).with_context(|| format!("no scenario {name}"))?]
        }
        (None, Some(path)) => vec![Box::leak(Box::new(Scenario::load(path)?))],
        (None, None) => scenario::all().iter().collect(),
    })
}

fn measure_scale(arguments: &ScaleArguments) -> anyhow::Result<()> {
    let sizes = scale::SIZES.iter();
    let sizes = sizes.filter(|(nodes, _)| *nodes <= arguments.up_to);
    // The largest first, so that no core is left with one of them in the end.
    let jobs: Vec<(usize, u64)> = sizes
        .rev()
        .flat_map(|(nodes, seeds)| (0..*seeds).map(|seed| (*nodes, seed)))
        .collect();
    if jobs.is_empty() {
        bail!("no mesh is as small as {} nodes", arguments.up_to);
    }
    let measured = campaign::each(&jobs, campaign::threads(), |(nodes, seed)| {
        scale::measure(*nodes, *seed)
    });
    let rows = scale::rows(measured);
    let (table, calibration) = (scale::table(&rows), calibrate::table(campaign::threads()));
    println!("{table}\n{calibration}");
    let folder = Path::new(FILES);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {FILES}"))?;
    let values = ("scale.csv", scale::csv(&rows));
    for (name, text) in scale::plots(&rows).into_iter().chain([values]) {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    match &arguments.page {
        Some(page) => write_into(page, &[("scale", &table), ("calibration", &calibration)]),
        None => Ok(()),
    }
}

/// Writes what was measured between its markers in a page.
fn write_into(page: &Path, contents: &[(&str, &str)]) -> anyhow::Result<()> {
    let reading = || format!("cannot read {}", page.display());
    let mut text = fs::read_to_string(page).with_context(reading)?;
    for (name, content) in contents {
        text = pages::put(&text, name, content).with_context(|| page.display().to_string())?;
    }
    fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}
