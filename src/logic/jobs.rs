//! The jobs of one kind that this node does now: each is begun when its seat is won, begun again when it fails or is
//! described anew, and ended when the seat is lost.
//!
//! Two tasks of one seat never run at once. A seat that is lost and won again while its task still ends is begun right
//! after that end. What a job has told others is taken back when it has ended and is still not wanted here; a seat that is
//! won again meanwhile waits for that. A restart and a new description take nothing back: the next task says it anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use crate::model::seat::Seat;

/// The wait before a job that has failed once is begun again: short enough that no listener misses a job that fails by
/// chance, long enough that one that fails at once costs nothing.
pub const FIRST_RESTART_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait: an operator who has removed the cause looks at the node for as long.
///
/// A job that has run for this long before its end counts as one that works: its next wait is the first one again.
pub const LONGEST_RESTART_WAIT: Duration = Duration::from_secs(30);

/// A job that exactly one node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job<S> {
    /// The seat; the node that holds it does the job.
    pub seat: Seat,
    /// The data of the job.
    pub spec: S,
}

/// An event for the jobs.
#[derive(Clone, Debug)]
pub enum JobEvent<S> {
    /// From now on these jobs are to be done here, and no others.
    Own(BTreeMap<Seat, S>),
    /// The task of this seat has ended, whatever it was begun for.
    Ended {
        /// The seat.
        seat: Seat,
        /// A random number from 0 to 1, which spreads the restarts of many nodes.
        chance: f64,
    },
    /// Time has gone by.
    Tick,
}

/// A task of the driver of the jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOrder<S> {
    /// Begin a task that does this job.
    Begin(Job<S>),
    /// Ask the task of this seat to end.
    End(Seat),
    /// Begin a task that takes back what the job has told others.
    Withdraw(Job<S>),
    /// Tell the operator that a job has ended by itself, and that it is begun again after this time.
    Rest(Seat, Duration),
}

/// The jobs of one kind at one node. Holds those that are this node's own, and those that still end.
#[derive(Clone, Debug)]
pub struct Roster<S>(BTreeMap<Seat, JobState<S>>);

#[derive(Clone, Debug)]
struct JobState<S> {
    /// The job's data now; `None` when it is not this node's any more.
    wanted: Option<S>,
    stage: JobStage<S>,
    backoff: Backoff,
}

#[derive(Clone, Debug)]
enum JobStage<S> {
    /// No task runs, and nothing has to be taken back.
    Idle,
    /// The job runs, by this description.
    Works { spec: S, since: Instant },
    /// The job was asked to end.
    Ends(S),
    /// The job has ended by itself.
    Rests { spec: S, until: Instant },
    /// The job's words to others are taken back.
    Withdraws,
}

impl<S> Default for Roster<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Clone + PartialEq> Roster<S> {
    /// Takes in what happens, and appends what follows from it.
    pub fn handle(&mut self, event: JobEvent<S>, now: Instant, out: &mut Vec<JobOrder<S>>) {
        match event {
            JobEvent::Own(own) => self.own(own, now, out),
            JobEvent::Ended { seat, chance } => self.ended(&seat, chance, now, out),
            JobEvent::Tick => self.step(now, out),
        }
    }

    /// When time alone changes something.
    pub fn wake_at(&self) -> Option<Instant> {
        let rests = self.0.values().filter_map(|entry| match entry.stage {
            JobStage::Rests { until, .. } => Some(until),
            _ => None,
        });
        rests.min()
    }

    fn own(&mut self, mut own: BTreeMap<Seat, S>, now: Instant, out: &mut Vec<JobOrder<S>>) {
        for (seat, entry) in &mut self.0 {
            entry.wanted = own.remove(seat);
        }
        let new = own.into_iter();
        self.0
            .extend(new.map(|(seat, spec)| (seat, JobState::new(spec))));
        self.step(now, out);
    }

    fn ended(&mut self, seat: &Seat, chance: f64, now: Instant, out: &mut Vec<JobOrder<S>>) {
        if let Some(entry) = self.0.get_mut(seat) {
            entry.ended(seat, chance, now, out);
        }
        self.step(now, out);
    }

    fn step(&mut self, now: Instant, out: &mut Vec<JobOrder<S>>) {
        for (seat, entry) in &mut self.0 {
            entry.step(seat, now, out);
        }
        self.0.retain(|_, entry| !entry.is_over());
    }
}

impl<S: Clone + PartialEq> JobState<S> {
    fn new(spec: S) -> Self {
        Self {
            wanted: Some(spec),
            stage: JobStage::Idle,
            backoff: Backoff::new(FIRST_RESTART_WAIT, LONGEST_RESTART_WAIT),
        }
    }

    fn is_over(&self) -> bool {
        self.wanted.is_none() && matches!(self.stage, JobStage::Idle)
    }

    /// Does what is due now.
    fn step(&mut self, seat: &Seat, now: Instant, out: &mut Vec<JobOrder<S>>) {
        match (&self.stage, &self.wanted) {
            (JobStage::Idle, Some(_)) => self.begin(seat, now, out),
            (JobStage::Works { spec, .. }, wanted) if wanted.as_ref() != Some(spec) => {
                self.stage = JobStage::Ends(spec.clone());
                out.push(JobOrder::End(seat.clone()));
            }
            (JobStage::Rests { spec, .. }, None) => {
                let spec = spec.clone();
                self.withdraw(seat, spec, out);
            }
            (JobStage::Rests { spec, .. }, Some(wanted)) if wanted != spec => {
                self.backoff.succeed();
                self.begin(seat, now, out);
            }
            (JobStage::Rests { until, .. }, Some(_)) if now >= *until => self.begin(seat, now, out),
            _ => {}
        }
    }

    /// Takes note that the task has ended.
    fn ended(&mut self, seat: &Seat, chance: f64, now: Instant, out: &mut Vec<JobOrder<S>>) {
        match std::mem::replace(&mut self.stage, JobStage::Idle) {
            JobStage::Works { spec, since } => {
                if now.saturating_duration_since(since) >= LONGEST_RESTART_WAIT {
                    self.backoff.succeed();
                }
                let wait = self.backoff.fail(chance);
                let until = now + wait;
                self.stage = JobStage::Rests { spec, until };
                out.push(JobOrder::Rest(seat.clone(), wait));
            }
            JobStage::Ends(spec) => {
                self.backoff.succeed();
                if self.wanted.is_none() {
                    self.withdraw(seat, spec, out);
                }
            }
            JobStage::Withdraws => {}
            unchanged @ (JobStage::Idle | JobStage::Rests { .. }) => self.stage = unchanged,
        }
    }

    fn begin(&mut self, seat: &Seat, now: Instant, out: &mut Vec<JobOrder<S>>) {
        let Some(spec) = self.wanted.clone() else {
            return;
        };
        self.stage = JobStage::Works {
            spec: spec.clone(),
            since: now,
        };
        let seat = seat.clone();
        out.push(JobOrder::Begin(Job { seat, spec }));
    }

    fn withdraw(&mut self, seat: &Seat, spec: S, out: &mut Vec<JobOrder<S>>) {
        self.stage = JobStage::Withdraws;
        let seat = seat.clone();
        out.push(JobOrder::Withdraw(Job { seat, spec }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    /// The jobs of a node, its clock, and what is to be done since it was last asked.
    struct Bench {
        roster: Roster<u8>,
        now: Instant,
        out: Vec<JobOrder<u8>>,
    }

    fn seat(name: &str) -> Seat {
        Seat::Outside(NodeName::try_from(name).unwrap())
    }

    fn job(name: &str, spec: u8) -> Job<u8> {
        let seat = seat(name);
        Job { seat, spec }
    }

    impl Bench {
        fn new() -> Self {
            Self {
                roster: Roster::default(),
                now: Instant::now(),
                out: Vec::new(),
            }
        }

        fn give(&mut self, event: JobEvent<u8>) -> Vec<JobOrder<u8>> {
            self.roster.handle(event, self.now, &mut self.out);
            std::mem::take(&mut self.out)
        }

        fn own(&mut self, jobs: &[Job<u8>]) -> Vec<JobOrder<u8>> {
            let own = jobs.iter().map(|job| (job.seat.clone(), job.spec));
            self.give(JobEvent::Own(own.collect()))
        }

        fn ended(&mut self, name: &str) -> Vec<JobOrder<u8>> {
            let seat = seat(name);
            self.give(JobEvent::Ended { seat, chance: 1.0 })
        }

        fn tick_after(&mut self, time: Duration) -> Vec<JobOrder<u8>> {
            self.now += time;
            self.give(JobEvent::Tick)
        }
    }

    #[test]
    fn a_job_begins_once_and_others_do_not_disturb_it() {
        let mut bench = Bench::new();
        assert_eq!(bench.own(&[job("a", 1)]), [JobOrder::Begin(job("a", 1))]);
        assert_eq!(bench.own(&[job("a", 1)]), []);
        let both = [job("a", 1), job("b", 1)];
        assert_eq!(bench.own(&both), [JobOrder::Begin(job("b", 1))]);
        assert_eq!(bench.own(&[job("a", 1)]), [JobOrder::End(seat("b"))]);
        assert_eq!(bench.tick_after(LONGEST_RESTART_WAIT), []);
        assert_eq!(bench.roster.wake_at(), None);
    }

    #[test]
    fn a_lost_job_ends_before_its_words_are_taken_back() {
        let mut bench = Bench::new();
        bench.own(&[job("a", 1)]);
        assert_eq!(bench.own(&[]), [JobOrder::End(seat("a"))]);
        assert_eq!(bench.own(&[]), [], "asked to end once");
        assert_eq!(bench.ended("a"), [JobOrder::Withdraw(job("a", 1))]);
        assert_eq!(bench.ended("a"), []);
        assert!(bench.roster.0.is_empty());
        assert_eq!(bench.ended("a"), [], "an unknown seat");
    }

    #[test]
    fn a_seat_won_again_waits_until_its_task_ended() {
        let mut bench = Bench::new();
        bench.own(&[job("a", 1)]);
        bench.own(&[]);
        assert_eq!(bench.own(&[job("a", 1)]), []);
        assert_eq!(bench.ended("a"), [JobOrder::Begin(job("a", 1))]);
        bench.own(&[]);
        bench.ended("a");
        assert_eq!(bench.own(&[job("a", 2)]), [], "it is being taken back");
        assert_eq!(bench.ended("a"), [JobOrder::Begin(job("a", 2))]);
    }

    #[test]
    fn a_job_described_anew_ends_and_begins_by_the_latest() {
        let mut bench = Bench::new();
        bench.own(&[job("a", 1)]);
        assert_eq!(bench.own(&[job("a", 2)]), [JobOrder::End(seat("a"))]);
        assert_eq!(bench.own(&[job("a", 3)]), []);
        assert_eq!(bench.ended("a"), [JobOrder::Begin(job("a", 3))]);
    }

    #[test]
    fn a_job_that_fails_is_begun_again_ever_later() {
        let mut bench = Bench::new();
        bench.own(&[job("a", 1)]);
        let waits_s = (0..7).map(|_| {
            let [JobOrder::Rest(_, wait)] = bench.ended("a")[..] else {
                panic!("it rests first");
            };
            assert_eq!(bench.roster.wake_at(), Some(bench.now + wait));
            assert_eq!(bench.tick_after(wait / 2), []);
            assert_eq!(bench.ended("a"), [], "nothing runs");
            let begun = bench.tick_after(wait - wait / 2);
            assert_eq!(begun, [JobOrder::Begin(job("a", 1))]);
            wait.as_secs()
        });
        assert_eq!(waits_s.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30]);
        bench.now += LONGEST_RESTART_WAIT;
        let rest = JobOrder::Rest(seat("a"), FIRST_RESTART_WAIT);
        assert_eq!(bench.ended("a"), [rest], "it had worked for long enough");
    }

    #[test]
    fn a_resting_job_begins_at_once_when_described_anew() {
        let mut bench = Bench::new();
        bench.own(&[job("a", 1)]);
        bench.ended("a");
        assert_eq!(bench.own(&[job("a", 2)]), [JobOrder::Begin(job("a", 2))]);
        let rest = JobOrder::Rest(seat("a"), FIRST_RESTART_WAIT);
        assert_eq!(bench.ended("a"), [rest], "its failures are forgotten");
        assert_eq!(bench.own(&[]), [JobOrder::Withdraw(job("a", 2))]);
        assert_eq!(bench.roster.wake_at(), None);
        assert_eq!(bench.ended("a"), []);
        assert!(bench.roster.0.is_empty());
    }
}
