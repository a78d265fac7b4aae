//! The prologues of a stream, each with the first byte for which it holds.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::media::format::joining::Prologue;

/// The most prologues of a ring: eight links of a chain, each with one and with its beginning, that needs none. At most
/// 2 MiB, a quarter of what a ring holds. With shorter tracks than 4 s the oldest bytes can be joined no more.
const MAX_PROLOGUES: usize = 16;

/// The prologues of the bytes that a ring holds, by offset.
#[derive(Debug, Default)]
pub(super) struct RingPrologues {
    held: VecDeque<Prologue>,
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
        self.held.push_back(prologue);
        if self.held.len() > MAX_PROLOGUES {
            self.held.pop_front();
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
            self.held.pop_front();
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
    fn prologues_are_bounded_and_bytes_without_one_are_known() {
        let mut prologues = RingPrologues::default();
        for at in 0..100 {
            prologues.push(prologue(at * 20, b"one"));
            prologues.push(prologue(at * 20 + 10, b""));
        }
        assert_eq!(prologues.held.len(), MAX_PROLOGUES);
        assert_eq!(prologues.oldest(), 1_840);
        assert_eq!(prologues.at(1_845), "one");
    }
}
