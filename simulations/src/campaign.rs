//! Many worlds on all cores: each on one thread, and what comes out does not depend on how many threads there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::checkers::Findings;
use crate::log::Trace;
use crate::run;
use crate::scenario::Scenario;

/// One world to be run.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The seed.
    pub seed: u64,
}

/// How many threads a machine has for worlds.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The jobs of `seeds` seeds, spread over scenarios by their shares; one scenario gets them all.
pub fn spread(scenarios: &[&'static Scenario], seeds: u64) -> Vec<Job> {
    let total: u64 = scenarios.iter().map(|scenario| scenario.share).sum();
    let jobs = |scenario: &&'static Scenario| {
        let (scenario, share) = (*scenario, (seeds * scenario.share).div_ceil(total.max(1)));
        (0..share).map(move |seed| Job { scenario, seed })
    };
    scenarios.iter().flat_map(jobs).collect()
}

/// Runs every job, on so many threads; the findings are in the order of the jobs.
pub fn run_all(jobs: &[Job], threads: usize) -> Vec<Findings> {
    each(jobs, threads, |job| survive(*job))
}

/// Does something with each of these, on so many threads; what comes out is in their order.
pub fn each<T: Sync, R: Send>(items: &[T], threads: usize, act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, (send, done)) = (AtomicUsize::new(0), mpsc::channel());
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let (next, act, send) = (&next, &act, send.clone());
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { return };
                    // The receiver outlives all senders.
                    let _ = send.send((place, act(item)));
                }
            });
        }
        drop(send);
        let mut results: Vec<(usize, R)> = done.into_iter().collect();
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    })
}

/// Runs one world. A panic in it is a broken rule like any other, so that its seed is told.
fn survive(job: Job) -> Findings {
    let world = || run(job.scenario, job.seed, Trace::Silent).0;
    catch_unwind(AssertUnwindSafe(world)).unwrap_or_else(|_| Findings {
        violations: vec!["P0: the world panicked".to_owned()],
        ..Findings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_do_not_depend_on_the_threads() {
        let scenario = Scenario::find("kill-master").unwrap();
        let jobs = spread(&[scenario], 6);
        let settled = |threads| -> Vec<_> {
            let findings = run_all(&jobs, threads).into_iter();
            findings.map(|found| found.settled_after).collect()
        };
        assert_eq!(settled(1), settled(3));
        assert_eq!(settled(1).len(), 6);
    }

    #[test]
    fn every_scenario_gets_its_share() {
        let all: Vec<_> = crate::scenario::all().iter().collect();
        let jobs = spread(&all, 1_000);
        assert!(jobs.len() >= 1_000);
        for scenario in all {
            assert!(jobs.iter().any(|job| job.scenario.name == scenario.name));
        }
    }
}
