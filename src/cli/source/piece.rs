//! The parts in which a file is sent.

use std::ops::Range;
use std::time::Duration;

/// A part of a file that a decoder wants whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which bytes of the file.
    pub(super) bytes: Range<usize>,
    /// For how long it plays.
    pub(super) duration: Duration,
}
