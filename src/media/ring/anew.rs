//! The new streams in the middle of one, before which listeners are ended.

use std::collections::VecDeque;

use crate::media::format::joining::Anew;

/// The most that are kept: as many as prologues. Beyond it the oldest are forgotten, and a listener that is so far behind
/// is ended at the next one that is known.
const MAX_ANEW: usize = 256;

/// The new streams in the bytes that a ring holds, in order.
#[derive(Debug, Default)]
pub(super) struct RingAnew(VecDeque<Anew>);

impl RingAnew {
    /// Takes one that begins behind all others.
    pub(super) fn push(&mut self, anew: Anew) {
        if self.0.len() == MAX_ANEW {
            self.0.pop_front();
        }
        self.0.push_back(anew);
    }

    /// The end for a listener that began at this byte; `None` if no new stream has begun since.
    pub(super) fn end_for(&self, began: u64) -> Option<u64> {
        let before = self.0.partition_point(|anew| anew.begins <= began);
        self.0.get(before).map(|anew| anew.ends)
    }

    /// The first byte that may be joined: that of the last new stream.
    pub(super) fn first_joined(&self) -> u64 {
        self.0.back().map_or(0, |last| last.begins)
    }

    /// Forgets those that begin before `offset` or there: whoever was to be ended by them has lost its place.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while self.0.front().is_some_and(|anew| anew.begins <= offset) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_ended_before_the_first_new_stream_since_it_began() {
        let mut streams = RingAnew::default();
        assert_eq!((streams.end_for(0), streams.first_joined()), (None, 0));
        for begins in [10, 20] {
            let ends = begins - 1;
            streams.push(Anew { ends, begins });
        }
        let ends = [0, 9, 10, 19, 20].map(|began| streams.end_for(began));
        assert_eq!(ends, [Some(9), Some(9), Some(19), Some(19), None]);
        assert_eq!(streams.first_joined(), 20);
        streams.forget_before(10);
        assert_eq!(streams.end_for(0), Some(19));
    }

    #[test]
    fn new_streams_are_bounded_in_number() {
        let mut streams = RingAnew::default();
        for begins in 1..2_000 {
            streams.push(Anew {
                ends: begins,
                begins,
            });
        }
        assert_eq!(streams.0.len(), MAX_ANEW);
        assert_eq!(streams.first_joined(), 1_999);
    }
}
