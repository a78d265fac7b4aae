//! A server that is started, reloaded, silent and gone, in usual and unusual orders.

use super::*;

/// A server and its clock.
struct DaemonBench {
    daemon: Daemon,
    now: Instant,
}

impl DaemonBench {
    fn of(keeper: Keeper) -> Self {
        let now = Instant::now();
        Self {
            daemon: Daemon::new(keeper, 10, now),
            now,
        }
    }

    /// One of the node's that serves by its first configuration.
    fn serving() -> Self {
        let mut bench = Self::of(Keeper::Node);
        assert_eq!(bench.give(DaemonInput::Tick), [DaemonOutput::Write(10)]);
        assert_eq!(bench.give(DaemonInput::Written(10)), [DaemonOutput::Start]);
        assert_eq!(bench.give(DaemonInput::Started), []);
        assert_eq!(bench.give(DaemonInput::Answered(Some(10))), []);
        assert!(bench.daemon.is_serving(bench.now));
        bench
    }

    fn give(&mut self, input: DaemonInput) -> Vec<DaemonOutput> {
        let mut out = Vec::new();
        self.daemon.handle(input, self.now, 1.0, &mut out);
        out
    }

    /// Time passes without an answer.
    fn pass(&mut self, time: Duration) -> Vec<DaemonOutput> {
        self.now += time;
        self.give(DaemonInput::Tick)
    }

    /// Time passes, and the server answers in the end.
    fn pass_with(&mut self, time: Duration, number: Option<u64>) -> Vec<DaemonOutput> {
        self.now += time;
        self.give(DaemonInput::Answered(number))
    }

    fn trouble(&self) -> String {
        self.daemon.trouble(self.now).unwrap_or_default()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn it_is_started_once_its_configuration_is_on_disk() {
    let mut bench = DaemonBench::of(Keeper::Node);
    assert_eq!(bench.give(DaemonInput::Tick), [DaemonOutput::Write(10)]);
    assert_eq!(bench.pass(SECOND), []);
    let full = DaemonInput::NotWritten("the disk is full".to_owned());
    assert_eq!(bench.give(full), []);
    assert_eq!(bench.trouble(), "the disk is full");
    assert_eq!(bench.pass(SECOND), [DaemonOutput::Write(10)]);
    assert_eq!(bench.give(DaemonInput::Written(10)), [DaemonOutput::Start]);
    assert_eq!(bench.trouble(), "");
    assert!(!bench.daemon.is_serving(bench.now));
}

#[test]
fn many_changes_are_one_configuration() {
    let mut bench = DaemonBench::serving();
    bench.now += WRITE_INTERVAL;
    let mut out = Vec::new();
    for _ in 0..10 {
        out.extend(bench.give(DaemonInput::Changed));
    }
    assert_eq!(out, [DaemonOutput::Write(11)]);
    assert_eq!(bench.give(DaemonInput::Written(11)), [DaemonOutput::Reload]);
    assert_eq!(bench.pass_with(SECOND, Some(11)), []);
    assert_eq!(bench.pass_with(SECOND, Some(11)), [DaemonOutput::Write(20)]);
    assert_eq!(bench.give(DaemonInput::Written(20)), [DaemonOutput::Reload]);
    assert_eq!(bench.pass_with(WRITE_INTERVAL, Some(20)), []);
    assert_eq!(bench.trouble(), "");
}

#[test]
fn a_reload_without_effect_is_told_and_repeated() {
    let mut bench = DaemonBench::serving();
    bench.now += WRITE_INTERVAL;
    bench.give(DaemonInput::Answered(Some(10)));
    assert_eq!(bench.give(DaemonInput::Changed), [DaemonOutput::Write(11)]);
    assert_eq!(bench.give(DaemonInput::Written(11)), [DaemonOutput::Reload]);
    for _ in 1..RELOAD_LIMIT.as_secs() {
        assert_eq!(bench.pass_with(SECOND, Some(10)), []);
    }
    assert_eq!(bench.pass_with(SECOND, Some(10)), [DaemonOutput::Reload]);
    assert!(bench.trouble().contains("an older icecast.xml"));
    assert!(bench.daemon.is_serving(bench.now), "by the old one");
    assert_eq!(bench.pass_with(SECOND, Some(11)), []);
    assert_eq!(bench.trouble(), "");
}

#[test]
fn one_that_ends_is_started_again_ever_later() {
    let mut bench = DaemonBench::serving();
    let ended = || DaemonInput::Ended("ended with exit code 1".to_owned());
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(bench.give(ended()), []);
        assert!(!bench.daemon.is_serving(bench.now));
        assert_eq!(bench.trouble(), "ended with exit code 1");
        let down_at = bench.now;
        while bench.pass(Duration::from_millis(100)) != [DaemonOutput::Start] {}
        waits.push(bench.now - down_at);
        bench.give(DaemonInput::Started);
    }
    assert_eq!(waits[0], FIRST_WAIT);
    assert!(waits.is_sorted() && waits[8] == LONGEST_WAIT, "{waits:?}");
    for _ in 0..=STABLE.as_secs() {
        bench.pass_with(SECOND, Some(10));
    }
    bench.give(ended());
    assert_eq!(bench.pass(FIRST_WAIT), [DaemonOutput::Start]);
}

#[test]
fn one_that_is_silent_is_out_of_service_and_then_killed() {
    let mut bench = DaemonBench::serving();
    assert_eq!(bench.pass(ANSWER_LIMIT), []);
    let why = DaemonInput::Silent("it did not answer".to_owned());
    assert_eq!(bench.give(why), []);
    assert!(!bench.daemon.is_serving(bench.now));
    assert_eq!(bench.trouble(), "it did not answer");
    assert_eq!(
        bench.pass(SILENCE_LIMIT - ANSWER_LIMIT),
        [DaemonOutput::Kill]
    );
    assert_eq!(bench.pass(SILENCE_LIMIT), [], "once");
    bench.give(DaemonInput::Ended("was ended by signal 9".to_owned()));
    assert_eq!(bench.pass(FIRST_WAIT), [DaemonOutput::Start]);
    bench.give(DaemonInput::Started);
    assert_eq!(bench.pass(START_LIMIT - SECOND), []);
    assert_eq!(bench.pass(SECOND), [DaemonOutput::Kill]);
}

#[test]
fn an_adopted_one_is_reloaded_and_never_started_or_killed() {
    let mut bench = DaemonBench::of(Keeper::Other);
    assert_eq!(bench.give(DaemonInput::Tick), [DaemonOutput::Write(10)]);
    assert_eq!(bench.give(DaemonInput::Written(10)), [DaemonOutput::Reload]);
    let failed = DaemonInput::NotReloaded("no such unit".to_owned());
    assert_eq!(bench.give(failed), []);
    assert_eq!(bench.trouble(), "no such unit");
    assert_eq!(bench.pass(10 * SILENCE_LIMIT), []);
    // The configuration of an earlier life of the node, whose passwords are others.
    assert_eq!(bench.pass_with(SECOND, Some(9)), [DaemonOutput::Reload]);
    assert!(!bench.daemon.is_serving(bench.now));
    assert_eq!(bench.pass_with(SECOND, Some(10)), []);
    assert!(bench.daemon.is_serving(bench.now));
    assert_eq!(bench.trouble(), "");
}

#[test]
fn a_configuration_written_during_the_start_is_read_after_it() {
    let mut bench = DaemonBench::serving();
    bench.give(DaemonInput::Ended("killed".to_owned()));
    assert_eq!(bench.pass(WRITE_INTERVAL), [DaemonOutput::Start]);
    assert_eq!(bench.give(DaemonInput::Changed), [DaemonOutput::Write(11)]);
    assert_eq!(bench.give(DaemonInput::Written(11)), []);
    assert_eq!(bench.give(DaemonInput::Started), []);
    let older = DaemonInput::Answered(Some(10));
    assert_eq!(bench.give(older), [DaemonOutput::Reload]);
    assert_eq!(bench.trouble(), "");
    assert_eq!(bench.pass_with(SECOND, Some(11)), []);
}
