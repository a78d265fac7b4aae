//! Reads numbered frames as they come, and writes down what is missing, doubled or foreign instead of ending at it.

use super::signal::{Bitrate, Received, number};

/// Flaws between two frames that were heard one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flaws {
    /// Bytes of frames that were left out.
    pub(crate) lost_bytes: u64,
    /// Bytes of frames that came again.
    pub(crate) doubled_bytes: u64,
    /// Bytes that belong to no whole frame.
    pub(crate) foreign_bytes: u64,
}

/// The sound of one listener, as runs of frames that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pending: Vec<u8>,
    runs: Vec<Received>,
    foreign_bytes: u64,
    /// The length of the last frame.
    frame_bytes: usize,
}

/// The thing that some bytes begin with.
enum Next {
    Frame(Bitrate, u64),
    Foreign,
    /// More bytes are needed to tell.
    More,
}

impl Next {
    fn of(bytes: &[u8]) -> Self {
        const HEADER: usize = 4;
        if bytes.len() < HEADER {
            return Self::More;
        }
        let Some(bitrate) = Bitrate::of(bytes) else {
            return Self::Foreign;
        };
        let Some(frame) = bytes.get(..bitrate.frame_bytes()) else {
            return Self::More;
        };
        let number = number(frame).filter(|it| bitrate.frame(*it) == frame);
        number.map_or(Self::Foreign, |number| Self::Frame(bitrate, number))
    }
}

impl Tape {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            match Next::of(&self.pending[at..]) {
                Next::Frame(bitrate, number) => {
                    self.frame_bytes = bitrate.frame_bytes();
                    self.append(number);
                    at += self.frame_bytes;
                }
                Next::Foreign => {
                    self.foreign_bytes += 1;
                    at += 1;
                }
                Next::More => break,
            }
        }
        self.pending.drain(..at);
    }

    fn append(&mut self, number: u64) {
        match self.runs.last_mut() {
            Some(run) if run.next == number => run.next += 1,
            _ => self.runs.push(Received {
                first: number,
                next: number + 1,
            }),
        }
    }

    /// The number of the frame that is awaited now.
    pub(crate) fn next(&self) -> Option<u64> {
        self.runs.last().map(|run| run.next)
    }

    /// The runs of frames so far.
    pub(crate) fn runs(&self) -> &[Received] {
        &self.runs
    }

    /// The flaws so far.
    pub(crate) fn flaws(&self) -> Flaws {
        let mut flaws = Flaws {
            foreign_bytes: self.foreign_bytes,
            ..Flaws::default()
        };
        for pair in self.runs.windows(2) {
            let (had, came) = (pair[0].next, pair[1].first);
            flaws.lost_bytes += came.saturating_sub(had) * self.frame_bytes as u64;
            flaws.doubled_bytes += had.saturating_sub(came) * self.frame_bytes as u64;
        }
        flaws
    }

    /// Forgets all flaws, and goes on from the frame that is awaited now.
    pub(crate) fn forget(&mut self) {
        self.foreign_bytes = 0;
        if let Some(last) = self.runs.pop() {
            self.runs.clear();
            self.runs.push(Received {
                first: last.next,
                next: last.next,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::signal::{FRAME_BYTES, frame};

    #[test]
    fn a_tape_tells_what_is_missing_doubled_and_foreign() {
        let mut tape = Tape::default();
        let heard = [3, 4, 7, 8, 6, 7].map(frame).concat();
        for bytes in heard.chunks(100) {
            tape.take(bytes);
        }
        tape.take(b"noise");
        tape.take(&frame(8));
        let bytes = FRAME_BYTES as u64;
        let wanted = Flaws {
            lost_bytes: 2 * bytes,
            doubled_bytes: 3 * bytes,
            foreign_bytes: 5,
        };
        assert_eq!(tape.flaws(), wanted);
        assert_eq!(tape.runs().len(), 3);
        tape.forget();
        tape.take(&frame(9));
        assert_eq!((tape.next(), tape.flaws()), (Some(10), Flaws::default()));
    }
}
