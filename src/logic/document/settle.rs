//! How two nodes find out which records differ: a digest of the whole, then hashes of ranges.
//!
//! A summary says what its sender holds in a range of keys, and thereby also what it does not hold: therefore the range
//! is part of it. The [`Summary`](crate::model::record::summary::Summary) itself is sent, so it belongs to the model.

use std::fmt;

use crate::model::record::key::RecordKey;

/// The SHA-256 of a whole document: two nodes hold the same one if theirs are equal.
///
/// Shown as 64 hexadecimal digits, which is how gossip carries it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The task of the receiver of a [`Summary`](crate::model::record::summary::Summary), so that both sides hold the
/// same.
///
/// A record that both have and that differs is in both lists: each may have the newer half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Records to send to the summary's sender.
    pub send: Vec<RecordKey>,
    /// Records to ask the summary's sender for.
    pub ask: Vec<RecordKey>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shown_in_hexadecimal() {
        assert_eq!(Digest([0xab; 32]).to_string(), "ab".repeat(32));
    }
}
