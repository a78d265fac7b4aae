//! Reads numbered frames as they come, and writes down what is missing, doubled or foreign instead of ending at it.

use super::signal::{FRAME_BYTES, Received, frame, number};

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

/// What one listener hears, as runs of frames that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pending: Vec<u8>,
    runs: Vec<Received>,
    foreign_bytes: u64,
}

impl Tape {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(chunk) = self.pending.get(at..at + FRAME_BYTES) {
            match number(chunk).filter(|it| chunk == frame(*it)) {
                Some(number) => {
                    self.append(number);
                    at += FRAME_BYTES;
                }
                None => {
                    self.foreign_bytes += 1;
                    at += 1;
                }
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

    /// What was wrong so far.
    pub(crate) fn flaws(&self) -> Flaws {
        let mut flaws = Flaws {
            foreign_bytes: self.foreign_bytes,
            ..Flaws::default()
        };
        for pair in self.runs.windows(2) {
            let (had, came) = (pair[0].next, pair[1].first);
            flaws.lost_bytes += came.saturating_sub(had) * FRAME_BYTES as u64;
            flaws.doubled_bytes += had.saturating_sub(came) * FRAME_BYTES as u64;
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
