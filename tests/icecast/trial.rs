//! Tries rows at a server, several at a time, and compares what comes out with what is known.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::Start;
use crate::known::reason;
use crate::row::{Fault, Outcome, Row};
use crate::rows;
use crate::server::Server;
use crate::target::Target;
use crate::upstreams::Upstreams;

/// How many rows are tried at once. Most of the time they wait for audio.
const AT_ONCE: usize = 10;
/// The rows that take long by their nature: tried first.
const LONG: [u8; 4] = [18, 17, 49, 44];

/// A server, and how to start another one for a row that wants it for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand<'a> {
    /// The server of most rows.
    pub(crate) server: &'a Server,
    /// Starts a server of the same kind.
    pub(crate) start: Option<Start>,
    /// The servers from which it relays, if they are beside it.
    pub(crate) upstreams: Option<&'a Upstreams>,
}

impl Stand<'_> {
    /// Tries a row.
    fn attempt(&self, row: &Row) -> Outcome {
        if let Some(why) = self.server.lacks(row) {
            return Err(Fault::Skipped(why));
        }
        match self.start {
            Some(start) if row.needs.server.is_alone() => {
                let own = start(row.needs.server, None);
                (row.check)(&Target::prepared(&own, row, None)?)
            }
            _ => (row.check)(&Target::prepared(self.server, row, self.upstreams)?),
        }
    }

    /// Tries all rows; what came of each.
    pub(crate) fn attempt_all(&self) -> Vec<(&'static Row, Outcome)> {
        let mut rows: Vec<&Row> = wanted_rows().collect();
        let place = |row: &&Row| LONG.iter().position(|&it| it == row.number);
        rows.sort_by_key(|row| place(row).unwrap_or(LONG.len()));
        let open = Mutex::new(VecDeque::from(rows));
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(row) = next(&open) {
                        let begun = Instant::now();
                        let outcome = self.attempt(row);
                        println!(
                            "row {} after {:?}: {outcome:?}",
                            row.number,
                            begun.elapsed()
                        );
                        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                        results.push((row, outcome));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|result| result.0.number);
        results
    }

    /// Tries all rows and fails if a row does not hold that is not on the list, or one holds that is.
    pub(crate) fn prove(&self, list: &[(u8, &'static str)]) {
        let mut wrong = Vec::new();
        for (row, outcome) in self.attempt_all() {
            let number = row.number;
            match (outcome, reason(list, number)) {
                (Ok(()), None) | (Err(Fault::Deviates(_)), Some(_)) => {}
                (Ok(()), Some(why)) => wrong.push(format!(
                    "row {number} holds now: take it from the list, where it stands with: {why}"
                )),
                (Err(Fault::Deviates(seen)), None) => wrong.push(format!(
                    "row {number} does not hold: {seen}\n    expected: {}",
                    row.expected
                )),
                (Err(Fault::Skipped(why)), _) => println!("row {number} is skipped: {why}"),
            }
        }
        if wrong.is_empty() {
            return;
        }
        let log = self.server.log().unwrap_or_default();
        eprintln!("---- log of the server\n{log}");
        panic!("{}", wrong.join("\n"));
    }
}

/// All rows, or those that `ANTIPHON_CONFORMANCE_ROWS` names: `17,18`.
fn wanted_rows() -> impl Iterator<Item = &'static Row> {
    let named = std::env::var("ANTIPHON_CONFORMANCE_ROWS").unwrap_or_default();
    let named: Vec<u8> = named.split(',').filter_map(|it| it.parse().ok()).collect();
    rows::all().filter(move |row| named.is_empty() || named.contains(&row.number))
}

fn next(open: &Mutex<VecDeque<&'static Row>>) -> Option<&'static Row> {
    open.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front()
}
