//! The table: what was promised, and what was measured.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::blow::{Harm, Kind};
use super::ms;
use crate::support::times::Times;

/// The marks around the documentation's table.
const BEGIN: &str = "<!-- chaos: begin -->\n";
const END: &str = "<!-- chaos: end -->";
/// How much longer than in calm times a byte may take where nothing at all should be noticed: a slot of the
/// pacer, and what a machine with two cores needs to start a process beside five nodes and all listeners.
const UNNOTICED: Duration = Duration::from_millis(150);
/// Of the bytes of a node that is killed: what it had taken and not yet handed on. A third of a second at 128 kbit/s.
const IN_THE_NODE_BYTES: u64 = 5_333;
/// How late 99 of 100 pieces may be that come over a line with losses.
const LATE: Duration = Duration::from_millis(500);
/// How late all of them may be.
const LATEST: Duration = Duration::from_secs(2);
/// By how much all times may be longer when other tests run at the same time.
pub(super) const BUSY: u32 = 4;

/// The promise for one kind of blow.
struct Promise {
    source_drops: u32,
    lost_bytes: u64,
    /// At the 99th percentile.
    stall: Duration,
    new_master: Option<Duration>,
    /// Claims to the seat per blow.
    claims: u64,
}

/// The promise for a kind, given what its blows have done: a mount whose encoder is away is silent for so long.
fn promise(kind: Kind, harms: &[Harm]) -> Promise {
    let elected = Some(Duration::from_millis(2_500));
    let noticed = Duration::from_millis(700);
    let nothing = Promise {
        source_drops: 0,
        lost_bytes: 0,
        stall: UNNOTICED,
        new_master: None,
        claims: 0,
    };
    match kind {
        Kind::Relay => nothing,
        Kind::Ingest => Promise {
            source_drops: 1,
            lost_bytes: IN_THE_NODE_BYTES,
            stall: harms
                .iter()
                .map(|harm| harm.outage)
                .max()
                .unwrap_or_default(),
            ..nothing
        },
        Kind::Master | Kind::Freeze => Promise {
            stall: noticed,
            new_master: elected,
            claims: 1,
            ..nothing
        },
        Kind::MasterAndRelay => Promise {
            stall: Duration::from_millis(1_200),
            new_master: elected,
            claims: 1,
            ..nothing
        },
        // The time after the heal until those on the side without a source hear it again.
        Kind::Partition => Promise {
            stall: Duration::from_secs(2),
            ..nothing
        },
        Kind::Restart => Promise {
            source_drops: 1,
            stall: Duration::from_millis(200),
            new_master: Some(Duration::from_millis(200)),
            claims: 1,
            ..nothing
        },
    }
}

/// The harm that all blows have done.
pub(super) struct Report {
    listeners: usize,
    harms: BTreeMap<Kind, Vec<Harm>>,
    /// How late a stream was that came over a line with losses.
    late: Option<Times>,
}

impl Report {
    /// A report of a run with so many listeners, without blows yet.
    pub(super) fn of(listeners: usize) -> Self {
        Self {
            listeners,
            harms: BTreeMap::new(),
            late: None,
        }
    }

    /// Takes note of how late a stream was that came over a line with losses.
    pub(super) fn note_late(&mut self, late: Times) {
        self.late = Some(late);
    }

    /// Takes note of a blow.
    pub(super) fn note(&mut self, kind: Kind, harm: Harm) {
        self.harms.entry(kind).or_default().push(harm);
    }

    /// The promises that were not kept.
    pub(super) fn broken(&self) -> Vec<String> {
        self.broken_within(1)
    }

    /// The same, with more time for everything.
    pub(super) fn broken_on_a_busy_machine(&self) -> Vec<String> {
        self.broken_within(BUSY)
    }

    fn broken_within(&self, patience: u32) -> Vec<String> {
        let check = |(kind, harms): (&Kind, &Vec<Harm>)| {
            let (promise, sums) = (promise(*kind, harms), Sums::of(harms));
            let at_most = |time: Option<Duration>, bound: Option<Duration>| {
                time.is_none_or(|time| bound.is_some_and(|bound| time <= bound * patience))
            };
            let checks = [
                (
                    "source disconnects",
                    sums.source_drops <= promise.source_drops,
                ),
                ("listener disconnects elsewhere", sums.closed == 0),
                ("lost bytes", sums.lost_bytes <= promise.lost_bytes),
                ("doubled bytes", sums.doubled_bytes == 0),
                ("foreign bytes", sums.foreign_bytes <= promise.lost_bytes),
                ("stall", at_most(sums.stalls.p99(), Some(promise.stall))),
                (
                    "new master",
                    at_most(sums.masters.p99(), promise.new_master),
                ),
                ("claims", sums.claims <= promise.claims || patience > 1),
            ];
            let broken = checks.into_iter().filter(|(_, kept)| !kept);
            broken
                .map(|(what, _)| format!("{kind}: {what}"))
                .collect::<Vec<_>>()
        };
        let mut broken: Vec<String> = self.harms.iter().flat_map(check).collect();
        if let Some(late) = &self.late
            && (late.p99() > Some(LATE) || late.longest() > Some(LATEST))
        {
            broken.push("losses: late".to_owned());
        }
        broken
    }

    /// Puts the table into `docs/failover.md`.
    pub(super) fn write_into_the_documentation(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failover.md");
        let text = fs::read_to_string(&path).expect("the documentation is there");
        let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
        let (_, after) = rest.split_once(END).expect("its end");
        let table = format!("{before}{BEGIN}\n{self}\n{END}{after}");
        fs::write(&path, table).expect("the documentation can be written");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| event | times | source disconnects | listener disconnects elsewhere | lost bytes | doubled bytes \
             | stall at relays, median / p99 | new master, median / p99 |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
        for (kind, harms) in &self.harms {
            let (promise, sums) = (promise(*kind, harms), Sums::of(harms));
            let master = match promise.new_master {
                Some(bound) => format!("{} (≤ {})", sums.masters, ms(bound)),
                None => sums.masters.to_string(),
            };
            writeln!(
                f,
                "| {kind} | {} | {} (≤ {}) | {} (0) | {} (≤ {}) | {} (0) | {} (≤ {}) | {master} |",
                harms.len(),
                sums.source_drops,
                promise.source_drops,
                sums.closed,
                sums.lost_bytes,
                promise.lost_bytes,
                sums.doubled_bytes,
                sums.stalls,
                ms(promise.stall),
            )?;
        }
        writeln!(
            f,
            "\n{} listeners on 5 nodes; in brackets what is promised. Disconnects, lost and doubled bytes are those \
             of the worst event, and of the listener who was worst off in it. A stall is how much longer than before \
             the event a byte was on its way from the encoder to a listener; after a partition, the time from the \
             heal until all listeners hear the source. When an ingest node is killed, the stall that is promised is \
             the longest time that the encoder needed to come back. A killed node may take with it what it had not \
             handed on.",
            self.listeners
        )?;
        let Some(late) = &self.late else {
            return Ok(());
        };
        writeln!(
            f,
            "\nOver a line that loses 10 % in each direction, with a round trip of 50 ms, at 320 kbit/s for a minute: \
             0 bytes lost, late by {late} (median / p99, ≤ 500 ms), at most {} (≤ 2000 ms).",
            ms(late.longest().unwrap_or_default())
        )
    }
}

/// All blows of a kind.
struct Sums {
    source_drops: u32,
    closed: u32,
    lost_bytes: u64,
    doubled_bytes: u64,
    foreign_bytes: u64,
    claims: u64,
    stalls: Times,
    masters: Times,
}

impl Sums {
    fn of(harms: &[Harm]) -> Self {
        let most = |of: fn(&Harm) -> u64| harms.iter().map(of).max().unwrap_or_default();
        let stalls = harms.iter().flat_map(|harm| harm.stalls.iter().copied());
        let masters = harms.iter().filter_map(|harm| harm.new_master);
        Self {
            source_drops: most(|harm| harm.source_dropped().into()) as u32,
            closed: most(|harm| harm.closed_elsewhere.into()) as u32,
            lost_bytes: most(|harm| harm.lost_bytes),
            doubled_bytes: most(|harm| harm.doubled_bytes),
            foreign_bytes: most(|harm| harm.foreign_bytes),
            claims: most(|harm| harm.claims),
            stalls: Times::of(stalls),
            masters: Times::of(masters),
        }
    }
}
