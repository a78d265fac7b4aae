//! When a server that a node keeps is started, is given another configuration, and counts as dead.
//!
//! The server is a program of the node's own, or an adopted one, which somebody else starts and stops. It shows by what
//! configuration it runs: only that tells whether a reload has happened.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::backoff::Backoff;

/// The least time between two configurations: an operator who sets ten mounts in a row has the server read once or twice.
pub const WRITE_INTERVAL: Duration = Duration::from_secs(2);
/// How old the last answer may be for the server to be in service: it is asked each second, so this is two answers missed.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// How long a server that was started may be silent: it needs a tenth of a second. One start of Icecast in some dozens
/// stands still for ever.
pub const START_LIMIT: Duration = Duration::from_secs(5);
/// How long a server that has answered may be silent before it is killed. Its listeners hear nothing meanwhile, or all is
/// well and the machine is overloaded.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// How long a reload may take before it counts as failed, and is tried again.
pub const RELOAD_LIMIT: Duration = Duration::from_secs(5);
/// How long a server has to run for its failures to be forgotten: longer than one that ends again and again lives.
const STABLE: Duration = Duration::from_secs(30);
/// The first wait before it is started again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest one: an operator who has mended the cause does not wait longer than it takes to look.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The one who starts and stops the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The node.
    Node,
    /// Somebody else, such as systemd.
    Other,
}

/// News of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonInput {
    /// Time has passed.
    Tick,
    /// The configuration has to be another one.
    Changed,
    /// The configuration of this number is on disk.
    Written(u64),
    /// The configuration could not be written, and why.
    NotWritten(String),
    /// The program runs.
    Started,
    /// The program could not be started, and why.
    NotStarted(String),
    /// The program has ended, and how.
    Ended(String),
    /// The server has answered, and runs by the configuration of this number; `None`: by one that is not the node's.
    Answered(Option<u64>),
    /// The server has not answered, and why.
    Silent(String),
    /// The server could not be told to read its configuration, and why.
    NotReloaded(String),
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonOutput {
    /// Write the configuration as it has to be now, under this number; answer [`DaemonInput::Written`] or `NotWritten`.
    Write(u64),
    /// Start the program; answer [`DaemonInput::Started`] or `NotStarted`.
    Start,
    /// Have the server read its configuration again.
    Reload,
    /// Kill the program; its end is told as always.
    Kill,
}

/// The state of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DaemonProcess {
    /// Not there; may be started from this time on.
    Down(Instant),
    /// About to start.
    Starting,
    /// Runs since then.
    Up(Instant),
    /// About to end.
    Ending,
}

/// A server that a node keeps.
#[derive(Debug)]
pub struct Daemon {
    keeper: Keeper,
    /// The first number of this life of the node: what is below is of an earlier one.
    first: u64,
    /// The number of the configuration as it has to be.
    wanted: u64,
    written: Option<u64>,
    is_writing: bool,
    /// When it was last written, or tried to.
    wrote_at: Option<Instant>,
    process: DaemonProcess,
    answered_at: Option<Instant>,
    /// The number in the last answer.
    seen: Option<u64>,
    reloaded_at: Option<Instant>,
    waits: Backoff,
    write_trouble: Option<String>,
    start_trouble: Option<String>,
    silence: Option<String>,
    reload_trouble: Option<String>,
}

impl Daemon {
    /// A server that has not been seen yet. Its configurations are numbered from `first` on, greater than in any life
    /// of the node before.
    pub fn new(keeper: Keeper, first: u64, now: Instant) -> Self {
        Self {
            keeper,
            first,
            wanted: first,
            written: None,
            is_writing: false,
            wrote_at: None,
            process: match keeper {
                Keeper::Node => DaemonProcess::Down(now),
                Keeper::Other => DaemonProcess::Up(now),
            },
            answered_at: None,
            seen: None,
            reloaded_at: None,
            waits: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            write_trouble: None,
            start_trouble: None,
            silence: None,
            reload_trouble: None,
        }
    }

    /// Takes in news; `random` from 0 to 1 spreads the waits.
    pub fn handle(
        &mut self,
        input: DaemonInput,
        now: Instant,
        random: f64,
        out: &mut Vec<DaemonOutput>,
    ) {
        match input {
            DaemonInput::Tick => {}
            DaemonInput::Changed => self.wanted += 1,
            DaemonInput::Written(number) => {
                (self.is_writing, self.written) = (false, Some(number));
                self.write_trouble = None;
                if matches!(self.process, DaemonProcess::Up(_)) {
                    self.reload(now, out);
                }
            }
            DaemonInput::NotWritten(why) => {
                self.is_writing = false;
                self.write_trouble = Some(why);
            }
            DaemonInput::Started => self.note_up(now),
            DaemonInput::NotStarted(why) | DaemonInput::Ended(why) => {
                self.note_down(why, now, random)
            }
            DaemonInput::Answered(number) => self.note_answer(number, now),
            DaemonInput::Silent(why) => self.silence = Some(why),
            DaemonInput::NotReloaded(why) => self.reload_trouble = Some(why),
        }
        self.proceed(now, out);
    }

    /// Whether listeners can be served by it.
    pub fn is_serving(&self, now: Instant) -> bool {
        let is_up = matches!(self.process, DaemonProcess::Up(_));
        let is_heard = self
            .answered_at
            .is_some_and(|at| now.saturating_duration_since(at) < ANSWER_LIMIT);
        is_up && is_heard && self.seen.is_some_and(|number| number >= self.first)
    }

    /// The problem that an operator has to solve, if there is one.
    pub fn trouble(&self, now: Instant) -> Option<String> {
        let silence = self.silence.as_ref().filter(|_| self.is_silent(now));
        let first = self.write_trouble.as_ref();
        let first = first.or(self.start_trouble.as_ref()).or(silence);
        first.or(self.reload_trouble.as_ref()).cloned()
    }

    /// Whether it should have answered by now: one that has just started may take a moment.
    fn is_silent(&self, now: Instant) -> bool {
        let DaemonProcess::Up(since) = self.process else {
            return false;
        };
        let heard_at = self.answered_at.map_or(since, |at| at.max(since));
        now.saturating_duration_since(heard_at) >= ANSWER_LIMIT
    }

    fn note_up(&mut self, now: Instant) {
        self.process = DaemonProcess::Up(now);
        (self.answered_at, self.seen, self.reloaded_at) = (None, None, None);
        (self.silence, self.reload_trouble) = (None, None);
    }

    fn note_down(&mut self, why: String, now: Instant, random: f64) {
        let has_been_stable = match self.process {
            DaemonProcess::Up(since) => now.saturating_duration_since(since) >= STABLE,
            _ => false,
        };
        if has_been_stable {
            self.waits.succeed();
        }
        self.process = DaemonProcess::Down(now + self.waits.fail(random));
        self.start_trouble = Some(why);
        (self.answered_at, self.seen) = (None, None);
    }

    fn note_answer(&mut self, number: Option<u64>, now: Instant) {
        (self.answered_at, self.seen) = (Some(now), number);
        (self.start_trouble, self.silence) = (None, None);
        if number.is_some() && number == self.written {
            self.reload_trouble = None;
        }
    }

    fn reload(&mut self, now: Instant, out: &mut Vec<DaemonOutput>) {
        self.reloaded_at = Some(now);
        out.push(DaemonOutput::Reload);
    }

    /// Does what is due.
    fn proceed(&mut self, now: Instant, out: &mut Vec<DaemonOutput>) {
        let may_write = self.wrote_at.is_none_or(|at| now >= at + WRITE_INTERVAL);
        if !self.is_writing && self.written != Some(self.wanted) && may_write {
            (self.is_writing, self.wrote_at) = (true, Some(now));
            out.push(DaemonOutput::Write(self.wanted));
        }
        match self.process {
            DaemonProcess::Down(until) if self.written.is_some() && now >= until => {
                self.process = DaemonProcess::Starting;
                out.push(DaemonOutput::Start);
            }
            DaemonProcess::Up(since) => {
                self.insist_on_reload(now, out);
                self.kill_if_hung(since, now, out);
            }
            DaemonProcess::Down(_) | DaemonProcess::Starting | DaemonProcess::Ending => {}
        }
    }

    /// Tells the server again to read its configuration, if it has answered and runs by another one.
    fn insist_on_reload(&mut self, now: Instant, out: &mut Vec<DaemonOutput>) {
        let is_other = self.answered_at.is_some() && self.seen != self.written;
        let is_due = self.reloaded_at.is_none_or(|at| now >= at + RELOAD_LIMIT);
        if self.written.is_none() || !is_other || !is_due {
            return;
        }
        if self.reloaded_at.is_some() && self.reload_trouble.is_none() {
            let by = match self.seen {
                Some(_) => "an older icecast.xml",
                None => "an icecast.xml that this node has not written",
            };
            self.reload_trouble = Some(format!(
                "it still runs by {by}, although it was told to read the new one: see its log"
            ));
        }
        self.reload(now, out);
    }

    fn kill_if_hung(&mut self, since: Instant, now: Instant, out: &mut Vec<DaemonOutput>) {
        let deadline = match self.answered_at {
            None => since + START_LIMIT,
            Some(at) => at + SILENCE_LIMIT,
        };
        if self.keeper == Keeper::Node && now >= deadline {
            self.process = DaemonProcess::Ending;
            out.push(DaemonOutput::Kill);
        }
    }
}
