//! How far the stream has gone into a program, and how far out of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::io::clock;
use crate::logic::transcoding::watch::Watch;
use crate::model::title::TitleInfo;

/// How often audio goes into a program and what it makes is taken: each time wakes the node, and a listener hears no
/// difference, for whom much more is kept ready.
const PACE: Duration = Duration::from_millis(500);
/// The same until a program has made something, and for [`FIRST_TIME`] longer: then somebody may wait for it.
const FIRST_PACE: Duration = Duration::from_millis(100);
const FIRST_TIME: Duration = Duration::from_secs(2);
/// The most titles that may wait for their place in the output. A program is never further behind than some seconds; a
/// source that sends more titles than that has its oldest ones skipped.
const MAX_TITLES: usize = 64;

/// The progress of one run of a program.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    beat: Notify,
}

#[derive(Debug)]
struct State {
    started_at: Instant,
    watch: Watch,
    /// When audio was there last.
    heard_at: Option<Instant>,
    /// How much audio has gone in.
    sent: Duration,
    /// How much has come out, if the format tells.
    made: Option<Duration>,
    /// When the first of it came out.
    begun_at: Option<Instant>,
    titles: VecDeque<DueTitle>,
}

/// A title, and how much audio goes in before it.
#[derive(Debug)]
struct DueTitle {
    at: Duration,
    info: TitleInfo,
}

impl Progress {
    /// Of a program that starts now.
    pub(super) fn begin() -> Self {
        let state = State {
            started_at: clock::now(),
            watch: Watch::default(),
            heard_at: None,
            sent: Duration::ZERO,
            made: None,
            begun_at: None,
            titles: VecDeque::new(),
        };
        Self {
            state: Mutex::new(state),
            beat: Notify::new(),
        }
    }

    /// Has what the program has made taken.
    pub(super) fn beat(&self) {
        self.beat.notify_one();
    }

    /// Waits until what the program has made is to be taken: soon, if nobody says so.
    pub(super) async fn next_beat(&self) {
        let _late = timeout(2 * PACE, self.beat.notified()).await;
    }

    /// When the next audio is to go into the program.
    pub(super) fn next_input(&self) -> Instant {
        let (begun_at, now) = (self.state.lock().begun_at, clock::now());
        match begun_at.is_some_and(|at| now >= at + FIRST_TIME) {
            true => clock::next_beat(PACE),
            false => now + FIRST_PACE,
        }
    }

    /// Audio is there for the program.
    pub(super) fn note_input(&self) {
        let (mut state, now) = (self.state.lock(), clock::now());
        state.watch.note_input(now);
        state.heard_at = Some(now);
    }

    /// Since when no audio has come for the program; `None` while there is some that it has not taken.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        let heard_at = state.heard_at.unwrap_or(state.started_at);
        (!state.watch.is_full()).then_some(heard_at)
    }

    /// The program has taken what there was.
    pub(super) fn note_taken(&self) {
        self.state.lock().watch.note_taken();
    }

    /// So much audio has gone in.
    pub(super) fn note_sent(&self, sent: Duration) {
        self.state.lock().sent = sent;
    }

    /// A title begins when so much audio has gone in.
    pub(super) fn note_title(&self, at: Duration, info: TitleInfo) {
        let mut state = self.state.lock();
        if state.titles.len() == MAX_TITLES {
            state.titles.pop_front();
        }
        state.titles.push_back(DueTitle { at, info });
    }

    /// Bytes have come out.
    pub(super) fn note_output(&self) {
        let mut state = self.state.lock();
        state.watch.note_output();
        state.begun_at.get_or_insert_with(clock::now);
    }

    /// The title of what comes out next, when so much has come out; once.
    pub(super) fn take_title(&self, made: Option<Duration>) -> Option<TitleInfo> {
        let mut state = self.state.lock();
        state.made = made;
        let is_due = |title: &DueTitle| made.is_none_or(|made| title.at <= made);
        let mut last = None;
        while state.titles.front().is_some_and(is_due) {
            last = state.titles.pop_front();
        }
        Some(last?.info)
    }

    /// Whether the program has made anything.
    pub(super) fn has_output(&self) -> bool {
        self.state.lock().begun_at.is_some()
    }

    /// How much audio is in the program.
    pub(super) fn lag(&self) -> Option<Duration> {
        let state = self.state.lock();
        Some(state.sent.saturating_sub(state.made?))
    }

    /// Whether the program hangs.
    pub(super) fn hangs(&self, now: Instant) -> bool {
        let deadline = self.state.lock().watch.deadline();
        deadline.is_some_and(|deadline| now >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(text: &str) -> TitleInfo {
        TitleInfo {
            text: text.to_owned(),
            ..TitleInfo::default()
        }
    }

    #[test]
    fn a_title_comes_out_where_its_audio_does() {
        let (progress, second) = (Progress::begin(), Duration::from_secs(1));
        progress.note_title(Duration::ZERO, title("a"));
        progress.note_title(3 * second, title("b"));
        progress.note_title(4 * second, title("c"));
        assert_eq!(progress.take_title(Some(Duration::ZERO)), Some(title("a")));
        assert_eq!(progress.take_title(Some(2 * second)), None);
        assert_eq!(progress.take_title(Some(5 * second)), Some(title("c")));
        assert_eq!(progress.take_title(Some(5 * second)), None);
        progress.note_title(9 * second, title("d"));
        assert_eq!(progress.take_title(None), Some(title("d")), "no time known");
    }

    #[test]
    fn what_is_in_the_program_is_its_lag() {
        let progress = Progress::begin();
        assert_eq!(progress.lag(), None);
        progress.note_sent(Duration::from_secs(5));
        progress.take_title(Some(Duration::from_secs(4)));
        assert_eq!(progress.lag(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn titles_are_bounded() {
        let progress = Progress::begin();
        for number in 0..=MAX_TITLES {
            let at = Duration::from_secs(number as u64);
            progress.note_title(at, title(&number.to_string()));
        }
        assert_eq!(progress.state.lock().titles.len(), MAX_TITLES);
        let last = progress.take_title(Some(Duration::MAX));
        assert_eq!(last, Some(title(&MAX_TITLES.to_string())));
    }
}
