//! The lines of a log, of which each and all together are bounded.

use std::time::Instant;

use crate::model::caption::caption;

/// The most bytes of a line that are kept: longer ones of ffmpeg and liquidsoap are dumps of their settings.
const MOST_LINE_BYTES: usize = 512;
/// How many lines a child may say at once: enough for the report of a crash, or of all errors in a script.
const BURST_LINES: f64 = 50.0;
/// How many it may say for good: nobody reads more, and a node with many children has one log.
const LINES_PER_S: f64 = 10.0;

/// Cuts bytes into lines, and decides which are kept.
#[derive(Debug)]
pub(super) struct LogLines {
    /// The beginning of a line that has not ended.
    open: RawLine,
    /// The line before that, if it said anything.
    last: RawLine,
    allowance: f64,
    looked: Instant,
}

/// The first bytes of a line, as they came.
#[derive(Debug, Default)]
struct RawLine {
    bytes: Vec<u8>,
    cut: bool,
}

/// A line that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogLine {
    /// To be told.
    Kept(String),
    /// One too many.
    Dropped,
}

impl LogLines {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            open: RawLine::default(),
            last: RawLine::default(),
            allowance: BURST_LINES,
            looked: now,
        }
    }

    /// Takes in what a child said, and hands out the lines that end in it. A carriage return ends a line, too: programs
    /// show their progress with it.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant, mut each: impl FnMut(LogLine)) {
        self.refill(now);
        for part in bytes.split_inclusive(|byte| is_end(*byte)) {
            match part.split_last() {
                Some((end, text)) if is_end(*end) => {
                    self.open.extend(text);
                    self.close().into_iter().for_each(&mut each);
                }
                _ => self.open.extend(part),
            }
        }
    }

    /// The end of all: what is left is a line, too. Returns the last line that said anything, kept or not.
    pub(super) fn finish(&mut self, each: impl FnMut(LogLine)) -> Option<String> {
        self.close().into_iter().for_each(each);
        self.last.cleaned()
    }

    fn refill(&mut self, now: Instant) {
        let gone = now.saturating_duration_since(self.looked);
        self.allowance = BURST_LINES.min(self.allowance + gone.as_secs_f64() * LINES_PER_S);
        self.looked = self.looked.max(now);
    }

    /// Ends the open line. Costs little where it is dropped, so that a flood is no work.
    fn close(&mut self) -> Option<LogLine> {
        if self.open.bytes.is_empty() {
            return None;
        }
        std::mem::swap(&mut self.open, &mut self.last);
        self.open.clear();
        if self.allowance < 1.0 {
            return Some(LogLine::Dropped);
        }
        let line = self.last.cleaned()?;
        self.allowance -= 1.0;
        Some(LogLine::Kept(line))
    }
}

impl RawLine {
    fn extend(&mut self, bytes: &[u8]) {
        let room = MOST_LINE_BYTES - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.cut = false;
    }

    /// The line as it may be shown; `None` if it says nothing.
    fn cleaned(&self) -> Option<String> {
        let mut line = caption(&String::from_utf8_lossy(&self.bytes));
        if self.cut {
            // A letter that was cut in two is none.
            line.truncate(line.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
            line.push('…');
        }
        (!line.is_empty()).then_some(line)
    }
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn said(pieces: &[&[u8]]) -> (Vec<LogLine>, Option<String>) {
        let now = Instant::now();
        let (mut lines, mut said) = (LogLines::new(now), Vec::new());
        for piece in pieces {
            lines.feed(piece, now, |line| said.push(line));
        }
        let last = lines.finish(|line| said.push(line));
        (said, last)
    }

    fn kept(texts: &[&str]) -> Vec<LogLine> {
        let owned = texts.iter().map(|it| (*it).to_owned());
        owned.map(LogLine::Kept).collect()
    }

    #[test]
    fn lines_are_put_together_and_ends_of_all_kinds_cut_them() {
        let (lines, last) = said(&[b"one\ntw", b"o\r\n", b"\n\n", b"size=1\rsize=2\r", b"rest"]);
        assert_eq!(lines, kept(&["one", "two", "size=1", "size=2", "rest"]));
        assert_eq!(last.as_deref(), Some("rest"));
        assert_eq!(said(&[b"", b"\n\r\n"]), (Vec::new(), None));
    }

    #[test]
    fn garbage_becomes_text() {
        let (lines, last) = said(&[b"\x1b[31mred\x1b[0m\x00\x07\n\xff\xfe\x80 x\n\x01\x02\n"]);
        assert_eq!(
            lines,
            kept(&["[31mred[0m", "\u{fffd}\u{fffd}\u{fffd} x"]),
            "a line of nothing but control characters says nothing"
        );
        assert_eq!(last, None, "the very last line said nothing");
    }

    #[test]
    fn a_long_line_is_cut_between_letters() {
        let long = format!("x{}", "é".repeat(400));
        let (lines, last) = said(&[
            &long.as_bytes()[..300],
            &long.as_bytes()[300..],
            b"\nnext\n",
        ]);
        let shown = format!("x{}…", "é".repeat(255));
        assert_eq!(lines, kept(&[&shown, "next"]));
        assert_eq!(last.as_deref(), Some("next"));
        let exact = "y".repeat(MOST_LINE_BYTES);
        assert_eq!(said(&[exact.as_bytes()]).0, kept(&[&exact]));
    }

    #[test]
    fn a_flood_is_dropped_and_its_last_line_known() {
        let begun = Instant::now();
        let mut lines = LogLines::new(begun);
        let (mut kept, mut dropped) = (0, 0);
        let mut count = |line| match line {
            LogLine::Kept(_) => kept += 1,
            LogLine::Dropped => dropped += 1,
        };
        for second in 0..10 {
            let now = begun + Duration::from_secs(second);
            for number in 0..1_000 {
                lines.feed(format!("line {number}\n").as_bytes(), now, &mut count);
            }
        }
        let last = lines.finish(&mut count);
        assert_eq!(last.as_deref(), Some("line 999"));
        assert_eq!(kept, 50 + 9 * 10);
        assert_eq!(kept + dropped, 10_000);
    }
}
