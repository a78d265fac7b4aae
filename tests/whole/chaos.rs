//! Chaos: nodes are killed, frozen and restarted under a mesh that plays, and every byte is counted.
//!
//! `make chaos` runs `everything`, prints the table of what was promised and what was measured, and writes it
//! into `docs/failover.md`. The short tests strike once or twice in each way, and hold the same promises.

pub(crate) mod blow;
mod pictures;
mod report;
mod stage;

use std::env;
use std::time::Duration;

use self::blow::Kind;
use self::pictures::PROGRAMMES;
use self::report::Report;
use self::stage::Stage;
use crate::support::tool::have;
use crate::{loss, partition};

/// How many times each kind of blow falls in a full run, unless `ROUNDS` says otherwise.
const ROUNDS: usize = 20;
/// Of the blows that take a minute each, only every so many-th falls.
const RARE: usize = 5;
/// How long the network is cut in a full run.
const CUT: Duration = Duration::from_secs(30);
/// How long a stream comes over a line with losses in a full run.
const LOSSES: Duration = Duration::from_secs(60);
/// Listeners of the full run.
const LISTENERS: usize = 200;
/// Listeners of a short one: other tests keep both cores busy meanwhile.
const FEW_LISTENERS: usize = 40;

#[test]
fn kills_are_not_heard_elsewhere() {
    strike(&[
        (Kind::Master, 1),
        (Kind::Relay, 1),
        (Kind::Ingest, 1),
        (Kind::MasterAndRelay, 1),
    ]);
}

#[test]
fn a_rolling_restart_is_not_heard_elsewhere() {
    strike(&[(Kind::Restart, 5)]);
}

#[test]
fn a_frozen_master_is_replaced_and_obeyed_no_more() {
    strike(&[(Kind::Freeze, 1)]);
}

/// A few blows, with bounds on times that hold on a machine that is busy with other tests.
fn strike(blows: &[(Kind, usize)]) {
    if !have("ffmpeg") {
        return;
    }
    let mut stage = Stage::set(FEW_LISTENERS);
    let mut report = Report::of(stage.listeners());
    for (kind, rounds) in blows {
        for _ in 0..*rounds {
            report.note(*kind, stage.strike(*kind));
        }
    }
    println!("{report}");
    let broken = report.broken_on_a_busy_machine();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
#[ignore = "takes half an hour: make chaos"]
fn everything() {
    assert!(have("ffmpeg"), "chaos needs it");
    let rounds = rounds();
    let mut stage = Stage::set(LISTENERS);
    let mut report = Report::of(stage.listeners());
    for kind in Kind::ALL {
        let rounds = match kind {
            Kind::Partition => rounds.div_ceil(RARE),
            // Five nodes, one after the other.
            Kind::Restart => rounds.div_ceil(RARE) * stage.nodes(),
            _ => rounds,
        };
        for round in 1..=rounds {
            let harm = match kind {
                Kind::Partition => partition::strike(CUT),
                _ => Some(stage.strike(kind)),
            };
            let Some(harm) = harm else { break };
            println!("{kind} {round}/{rounds}: {harm}");
            report.note(kind, harm);
        }
    }
    report.note_late(loss::measure(LOSSES));
    println!("\n{report}");
    report.write_into_the_documentation();
    let broken = report.broken();
    if !broken.is_empty() {
        stage.keep_logs();
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_stream_in_ogg_decodes_on_when_the_master_is_killed() {
    if !have("ffmpeg") {
        return;
    }
    let [opus, _] = PROGRAMMES;
    let broken = pictures::strike(opus, 1).broken(report::BUSY);
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
#[ignore = "takes some minutes: make chaos"]
fn streams_in_ogg() {
    assert!(have("ffmpeg"), "chaos needs it");
    let rounds = rounds().div_ceil(RARE);
    let rows = PROGRAMMES.map(|programme| pictures::strike(programme, rounds));
    pictures::write_into_the_documentation(&rows);
    let broken: Vec<String> = rows.iter().flat_map(|row| row.broken(1)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// How many times each kind of blow falls.
fn rounds() -> usize {
    let rounds = env::var("ROUNDS");
    let rounds = rounds.map(|it| it.parse().expect("ROUNDS is a number"));
    rounds.unwrap_or(ROUNDS)
}

/// Milliseconds, as a table shows them.
fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
