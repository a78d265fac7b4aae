//! The table of all runs: for people, for programs, and against what was promised.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::gauge::Outcome;
use crate::scenario::{Peak, Scenario};

/// Before the table in a file that holds it.
const BEGIN: &str = "<!-- flash-crowd: begin -->\n";
/// Behind it.
const END: &str = "<!-- flash-crowd: end -->";

/// The runs of one way in one scenario.
pub(crate) struct Row {
    /// The name of the scenario.
    pub(crate) scenario: &'static str,
    /// The name of the way.
    pub(crate) way: String,
    /// The results of the runs.
    pub(crate) summary: Summary,
}

/// The results of several runs, figure by figure.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    /// On average; counts are of the worst run.
    pub(crate) mean: Outcome,
    /// At worst.
    pub(crate) worst: Outcome,
}

impl Summary {
    /// Of at least one run.
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let most = |figure: fn(&Outcome) -> u32| outcomes.iter().map(figure).max().unwrap_or(0);
        let counted = Outcome {
            wronged: most(|it| it.wronged),
            refused: most(|it| it.refused),
            overfilled: most(|it| it.overfilled),
            redirected: most(|it| it.redirected),
            ..Outcome::default()
        };
        let mean = |figure: fn(&Outcome) -> f64| {
            outcomes.iter().map(figure).sum::<f64>() / outcomes.len() as f64
        };
        let worst = |figure: fn(&Outcome) -> f64| outcomes.iter().map(figure).fold(0.0, f64::max);
        let measured = |of: &dyn Fn(fn(&Outcome) -> f64) -> f64| Outcome {
            peak: of(|it| it.peak),
            ideal: of(|it| it.ideal),
            unevenness: of(|it| it.unevenness),
            seated_unevenness: of(|it| it.seated_unevenness),
            unevenness_at_end: of(|it| it.unevenness_at_end),
            ..counted
        };
        Self {
            mean: measured(&mean),
            worst: measured(&worst),
        }
    }
}

/// The letter by which a scenario is called.
fn letter(title: &str) -> &str {
    &title[..1]
}

/// The rows of the first way, the usual policy.
fn usual(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let way = rows.first().map(|row| &row.way);
    rows.iter().filter(move |row| Some(&row.way) == way)
}

/// Two tables: the usual policy in detail, and the peaks of all.
pub(crate) fn markdown(rows: &[Row], seeds: u64) -> String {
    let mut text = format!(
        "{seeds} runs of each. A peak is the utilisation of the fullest node at any time: on average / in the worst run.\n\n\
         | scenario | ideal | peak | max / mean after a fifth | at the end | listening only | wrongly refused | redirected |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in usual(rows) {
        let Summary { mean, worst } = row.summary;
        writeln!(
            text,
            "| {} | {:.3} | {:.3} / {:.3} | {:.2} / {:.2} | {:.2} / {:.2} | {:.2} / {:.2} | {} | {} |",
            row.scenario,
            mean.ideal,
            mean.peak,
            worst.peak,
            mean.unevenness,
            worst.unevenness,
            mean.unevenness_at_end,
            worst.unevenness_at_end,
            mean.seated_unevenness,
            worst.seated_unevenness,
            worst.wronged,
            worst.redirected,
        )
        .expect("a string takes everything");
    }
    text + "\n" + &peaks(rows)
}

/// The peaks of all ways.
fn peaks(rows: &[Row]) -> String {
    let letters: Vec<&str> = usual(rows).map(|row| letter(row.scenario)).collect();
    let mut text = format!(
        "| peak | {} |\n|{}\n",
        letters.join(" | "),
        " --- |".repeat(letters.len() + 1)
    );
    let mut ways: Vec<&str> = Vec::new();
    for row in rows {
        if !ways.contains(&row.way.as_str()) {
            ways.push(&row.way);
        }
    }
    for way in ways {
        let of_way = rows.iter().filter(|row| row.way == way);
        let cell = |row: &Row| {
            format!(
                "{:.2} / {:.2}",
                row.summary.mean.peak, row.summary.worst.peak
            )
        };
        let cells: Vec<String> = of_way.map(cell).collect();
        writeln!(text, "| {way} | {} |", cells.join(" | ")).expect("a string takes everything");
    }
    text
}

/// All figures.
pub(crate) fn csv(rows: &[Row]) -> String {
    let mut text = String::from(
        "scenario,way,ideal,peak_mean,peak_worst,unevenness_mean,unevenness_worst,unevenness_at_end_mean,\
         unevenness_at_end_worst,seated_unevenness_mean,seated_unevenness_worst,wronged,refused,overfilled,redirected\n",
    );
    for row in rows {
        let Summary { mean, worst } = row.summary;
        let figures = [
            mean.ideal,
            mean.peak,
            worst.peak,
            mean.unevenness,
            worst.unevenness,
            mean.unevenness_at_end,
            worst.unevenness_at_end,
            mean.seated_unevenness,
            worst.seated_unevenness,
        ];
        let figures = figures.map(|figure| format!("{figure:.4}")).join(",");
        let counts = [
            worst.wronged,
            worst.refused,
            worst.overfilled,
            worst.redirected,
        ];
        let counts = counts.map(|count| count.to_string()).join(",");
        let way = row.way.replace('`', "");
        writeln!(text, "\"{}\",\"{way}\",{figures},{counts}", row.scenario)
            .expect("a string takes everything");
    }
    text
}

/// Renews the table in a file, between its markers.
pub(crate) fn update(path: &Path, table: &str) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("{} has no line {BEGIN}", path.display()))?;
    let behind = rest.find(END);
    ensure!(behind.is_some(), "{} has no {END}", path.display());
    let behind = &rest[behind.unwrap_or_default()..];
    std::fs::write(path, format!("{before}{BEGIN}{table}{behind}"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The promises for the usual policy that were not kept.
pub(crate) fn missed(rows: &[Row], scenarios: &[Scenario]) -> Vec<String> {
    let mut missed = Vec::new();
    for (row, scenario) in usual(rows).zip(scenarios) {
        let Summary { mean, worst } = row.summary;
        let most = match scenario.goal.peak {
            Peak::AboveIdeal(points) => mean.ideal + points,
            Peak::Absolute(peak) => peak,
        };
        let mut say = |what: &str, measured: f64, promised: f64| {
            if measured > promised {
                let title = scenario.title;
                missed.push(format!(
                    "{title}: {what} {measured:.3}, promised {promised:.3}"
                ));
            }
        };
        say("peak", mean.peak, most);
        if let Some(promised) = scenario.goal.unevenness {
            say("max / mean", mean.unevenness, promised);
        }
        say(
            "max / mean at the end",
            mean.unevenness_at_end,
            scenario.goal.unevenness_at_end,
        );
        say("wrongly refused", f64::from(worst.wronged), 0.0);
    }
    missed
}
