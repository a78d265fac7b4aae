//! The bytes of a ring: numbered, contiguous, and handed out without copying.
//!
//! Incoming bytes are copied once into blocks of the ring. A piece from the network may be a small view of
//! a large buffer; to keep the view would keep the buffer, and the ring would exceed its bound.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// A window of a stream's bytes. Grows at the new end, shrinks at the old one.
#[derive(Debug)]
pub(super) struct Blocks {
    blocks: VecDeque<Block>,
    oldest: u64,
    next: u64,
}

#[derive(Debug)]
struct Block {
    start: u64,
    arrived: Duration,
    bytes: Bytes,
}

impl Block {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// A new piece joins the last block up to this length. Encoders write single frames of some 400 bytes;
/// ten of them in a block save nine tenths of the work for every reader, at the price of copying 2 kB per piece.
/// The length also limits a ring of 8 MiB to 4,096 blocks, even when a source sends byte by byte.
pub(super) const MERGED_BYTES: usize = 4 << 10;

/// The longest block: what a ring drops at once, so it is small compared with the ring.
pub(super) const BLOCK_BYTES: usize = 16 << 10;

impl Blocks {
    pub(super) fn new(start: u64) -> Self {
        Self {
            blocks: VecDeque::new(),
            oldest: start,
            next: start,
        }
    }

    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.next - self.oldest
    }

    /// The offset of the first byte once the oldest block is dropped; `None` if there is no second block.
    pub(super) fn second_start(&self) -> Option<u64> {
        self.blocks.get(1).map(|block| block.start)
    }

    /// When the bytes behind the oldest block began to arrive. Until then a reader may have had to stay in that block: the
    /// last page in it was not whole.
    pub(super) fn second_arrived(&self) -> Option<Duration> {
        self.blocks.get(1).map(|block| block.arrived)
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], arrived: Duration) {
        if let Some(last) = self.blocks.back_mut()
            && last.bytes.len() + bytes.len() <= MERGED_BYTES
        {
            last.bytes = [&last.bytes, bytes].concat().into();
            self.next += bytes.len() as u64;
            bytes = &[];
        }
        for piece in bytes.chunks(BLOCK_BYTES) {
            self.blocks.push_back(Block {
                start: self.next,
                arrived,
                bytes: Bytes::copy_from_slice(piece),
            });
            self.next += piece.len() as u64;
        }
    }

    pub(super) fn drop_oldest(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.oldest = block.end();
        }
    }

    /// At most `max_bytes` from `from` on, which must not be before the oldest byte.
    pub(super) fn read(&self, from: u64, max_bytes: usize) -> Vec<Bytes> {
        let first = self.blocks.partition_point(|block| block.end() <= from);
        let (mut pieces, mut room) = (Vec::new(), max_bytes);
        for block in self.blocks.range(first..) {
            if room == 0 {
                break;
            }
            let skipped = from.saturating_sub(block.start) as usize;
            let taken = room.min(block.bytes.len() - skipped);
            pieces.push(block.bytes.slice(skipped..skipped + taken));
            room -= taken;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bytes_fill_few_blocks() {
        let mut blocks = Blocks::new(0);
        for byte in 0..20_000u32 {
            blocks.push(&[byte as u8], Duration::ZERO);
        }
        assert_eq!(blocks.blocks.len(), 5);
        assert_eq!(blocks.read(0, usize::MAX).concat().len(), 20_000);
    }

    #[test]
    fn a_huge_piece_is_cut_and_dropped_in_parts() {
        let mut blocks = Blocks::new(7);
        blocks.push(&vec![1; 100_000], Duration::ZERO);
        blocks.drop_oldest();
        assert_eq!(blocks.oldest(), 7 + BLOCK_BYTES as u64);
        assert_eq!(blocks.held_bytes(), 100_000 - BLOCK_BYTES as u64);
    }

    #[test]
    fn a_reader_keeps_the_bytes_that_the_ring_has_dropped() {
        let mut blocks = Blocks::new(0);
        blocks.push(b"abc", Duration::ZERO);
        let read = blocks.read(1, 1);
        blocks.push(b"d", Duration::ZERO);
        blocks.drop_oldest();
        assert_eq!(read, ["b"]);
        assert_eq!(blocks.oldest(), 4);
    }
}
