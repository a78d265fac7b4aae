//! The prologues of a stream, each with the first byte for which it holds.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::media::format::joining::Prologue;

/// The most prologues of a ring: two for each second of the longest window, 120 s. Each link of a chain has one, and its
/// beginning, that needs none; so has each keyframe within a cluster of WebM. Beyond it the oldest bytes can be joined no
/// more.
const MAX_PROLOGUES: usize = 256;

/// The most bytes of all prologues of a ring: as much as it holds of the stream itself.
const MAX_HELD_BYTES: usize = 8 << 20;

/// The prologues of the bytes that a ring holds, by offset.
#[derive(Debug, Default)]
pub(super) struct RingPrologues {
    held: VecDeque<Prologue>,
    /// The bytes of all of them; those that several share count once.
    held_bytes: usize,
    /// The first byte of which the prologue is known.
    oldest: u64,
}

impl RingPrologues {
    /// Sets what holds from an offset on that is not before that of the last one.
    pub(super) fn push(&mut self, prologue: Prologue) {
        let last = self.held.back().map(|last| &last.bytes[..]);
        if last.unwrap_or_default() == prologue.bytes {
            return;
        }
        self.held_bytes += self.own_bytes(&prologue.bytes);
        self.held.push_back(prologue);
        while self.held.len() > MAX_PROLOGUES || self.held_bytes > MAX_HELD_BYTES {
            self.drop_oldest();
            self.oldest = self.held.front().map_or(0, |first| first.offset);
        }
    }

    /// The prologue that holds at this byte.
    pub(super) fn at(&self, offset: u64) -> Bytes {
        let after = self.held.partition_point(|it| it.offset <= offset);
        let holding = after.checked_sub(1).and_then(|at| self.held.get(at));
        holding.map(|it| it.bytes.clone()).unwrap_or_default()
    }

    /// The first byte of which the prologue is known.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Forgets the prologues that ended before `offset`; the one that holds there stays.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while self.held.get(1).is_some_and(|next| next.offset <= offset) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.held.pop_front() {
            self.held_bytes -= self.own_bytes(&oldest.bytes);
        }
    }

    /// How many bytes a prologue has that is not held; none if a prologue that is held shares its memory.
    fn own_bytes(&self, bytes: &Bytes) -> usize {
        let is_same =
            |it: &Prologue| it.bytes.as_ptr() == bytes.as_ptr() && it.bytes.len() == bytes.len();
        match self.held.iter().any(is_same) {
            true => 0,
            false => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prologue(offset: u64, bytes: &'static [u8]) -> Prologue {
        Prologue {
            offset,
            bytes: Bytes::from_static(bytes),
        }
    }

    #[test]
    fn a_prologue_holds_from_its_byte_to_the_next_ones() {
        let mut prologues = RingPrologues::default();
        assert_eq!(prologues.at(5), "");
        for prologue in [
            prologue(10, b"one"),
            prologue(20, b""),
            prologue(30, b"two"),
        ] {
            prologues.push(prologue);
        }
        let at = [9, 10, 19, 20, 29, 30, 900].map(|offset| prologues.at(offset));
        assert_eq!(at, ["", "one", "one", "", "", "two", "two"]);
        prologues.forget_before(25);
        assert_eq!(prologues.held.len(), 2);
        prologues.forget_before(900);
        assert_eq!(prologues.at(900), "two");
    }

    #[test]
    fn an_empty_prologue_holds_no_memory() {
        let mut prologues = RingPrologues::default();
        prologues.push(prologue(0, b""));
        prologues.push(prologue(9, b""));
        assert!(prologues.held.is_empty());
    }

    #[test]
    fn prologues_are_bounded_in_number_and_bytes_without_one_are_known() {
        let mut prologues = RingPrologues::default();
        for at in 0..1_000 {
            prologues.push(prologue(at * 20, b"one"));
            prologues.push(prologue(at * 20 + 10, b""));
        }
        assert_eq!(prologues.held.len(), MAX_PROLOGUES);
        assert_eq!(prologues.oldest(), 20 * (1_000 - MAX_PROLOGUES as u64 / 2));
        assert_eq!(prologues.at(19_985), "one");
    }

    #[test]
    fn prologues_are_bounded_in_bytes_and_those_that_share_them_count_once() {
        let mut prologues = RingPrologues::default();
        let heads = Bytes::from(vec![1; MAX_HELD_BYTES / 2]);
        for at in 0..10 {
            let bytes = heads.clone();
            prologues.push(Prologue {
                offset: at * 20,
                bytes,
            });
            let entry = Prologue {
                offset: at * 20 + 10,
                bytes: vec![2; 1_000].into(),
            };
            prologues.push(entry);
        }
        assert_eq!(prologues.held_bytes, heads.len() + 10 * 1_000);
        assert_eq!(prologues.oldest(), 0);
        for at in 10..12 {
            prologues.push(Prologue {
                offset: at * 20,
                bytes: vec![at as u8; MAX_HELD_BYTES / 2].into(),
            });
        }
        assert_eq!(prologues.held_bytes, MAX_HELD_BYTES);
        assert_eq!(prologues.oldest(), 200, "what they push out is not known");
        prologues.forget_before(225);
        assert_eq!(prologues.held_bytes, MAX_HELD_BYTES / 2);
    }
}
