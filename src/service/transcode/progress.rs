//! How far the stream has gone into a program, and how far out of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::io::clock;
use crate::logic::transcoding::watch::Watch;
use crate::model::title::TitleInfo;

/// The most titles that may wait for their place in the output. A program is never further behind than some seconds; a
/// source that sends more titles than that has its oldest ones skipped.
const MAX_TITLES: usize = 64;

/// The progress of one run of a program.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    watch: Watch,
    /// When audio was there last.
    heard_at: Option<Instant>,
    /// How much audio has gone in.
    sent: Duration,
    /// How much has come out, if the format tells.
    made: Option<Duration>,
    has_output: bool,
    titles: VecDeque<DueTitle>,
}

/// A title, and how much audio goes in before it.
#[derive(Debug)]
struct DueTitle {
    at: Duration,
    info: TitleInfo,
}

impl Progress {
    /// Audio is there for the program.
    pub(super) fn note_input(&self) {
        let (mut state, now) = (self.0.lock(), clock::now());
        state.watch.note_input(now);
        state.heard_at = Some(now);
    }

    /// When audio was there for the program last; `None`: never.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.0.lock().heard_at
    }

    /// The program has taken what there was.
    pub(super) fn note_taken(&self) {
        self.0.lock().watch.note_taken();
    }

    /// So much audio has gone in.
    pub(super) fn note_sent(&self, sent: Duration) {
        self.0.lock().sent = sent;
    }

    /// A title begins when so much audio has gone in.
    pub(super) fn note_title(&self, at: Duration, info: TitleInfo) {
        let mut state = self.0.lock();
        if state.titles.len() == MAX_TITLES {
            state.titles.pop_front();
        }
        state.titles.push_back(DueTitle { at, info });
    }

    /// Bytes have come out.
    pub(super) fn note_output(&self) {
        let mut state = self.0.lock();
        state.watch.note_output();
        state.has_output = true;
    }

    /// The title of what comes out next, when so much has come out; once.
    pub(super) fn take_title(&self, made: Option<Duration>) -> Option<TitleInfo> {
        let mut state = self.0.lock();
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
        self.0.lock().has_output
    }

    /// How much audio is in the program.
    pub(super) fn lag(&self) -> Option<Duration> {
        let state = self.0.lock();
        Some(state.sent.saturating_sub(state.made?))
    }

    /// Whether the program hangs.
    pub(super) fn hangs(&self, now: Instant) -> bool {
        let deadline = self.0.lock().watch.deadline();
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
        let (progress, second) = (Progress::default(), Duration::from_secs(1));
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
        let progress = Progress::default();
        assert_eq!(progress.lag(), None);
        progress.note_sent(Duration::from_secs(5));
        progress.take_title(Some(Duration::from_secs(4)));
        assert_eq!(progress.lag(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn titles_are_bounded() {
        let progress = Progress::default();
        for number in 0..=MAX_TITLES {
            let at = Duration::from_secs(number as u64);
            progress.note_title(at, title(&number.to_string()));
        }
        assert_eq!(progress.0.lock().titles.len(), MAX_TITLES);
        let last = progress.take_title(Some(Duration::MAX));
        assert_eq!(last, Some(title(&MAX_TITLES.to_string())));
    }
}
