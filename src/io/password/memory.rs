//! The memory in which hashes are computed: kept from hash to hash, since an allocator that gets blocks of 19 MiB
//! back from many threads keeps them all.

use argon2::Block;
use parking_lot::Mutex;

use super::{MEMORY_KIB, PARALLEL};

/// The blocks, 1 KiB each, of a hash of our own; a foreign hash with as much or less is computed in them, too.
const KEPT_BLOCKS: usize = MEMORY_KIB as usize;
/// An allocation of more than that is a mapping of its own, which goes back to the system at once: 32 MiB is the most
/// that glibc's threshold for it ever becomes, and the unused rest of the mapping is never touched.
const MAPPED_BLOCKS: usize = 33 * 1024;

/// At most [`PARALLEL`] buffers, each made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    /// Lends so many blocks to `work`, which overwrites whatever is in them.
    pub(super) fn lend<R>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> R) -> R {
        if blocks > KEPT_BLOCKS {
            let mut passing = Vec::with_capacity(blocks.max(MAPPED_BLOCKS));
            passing.resize(blocks, Block::default());
            return work(&mut passing);
        }
        let kept = self.kept(Vec::pop);
        let mut buffer = kept.unwrap_or_else(|| vec![Block::default(); KEPT_BLOCKS]);
        let done = work(&mut buffer[..blocks]);
        self.kept(|kept| {
            if kept.len() < PARALLEL {
                kept.push(buffer);
            }
        });
        done
    }

    /// The lock is held for one push or pop.
    fn kept<R>(&self, change: impl FnOnce(&mut Vec<Vec<Block>>) -> R) -> R {
        change(&mut self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_unless_larger_than_ours() {
        let memory = Memory::default();
        let first = memory.lend(8, |blocks| (blocks.len(), blocks.as_ptr()));
        let second = memory.lend(KEPT_BLOCKS, |blocks| (blocks.len(), blocks.as_ptr()));
        assert_eq!((first.0, second.0), (8, KEPT_BLOCKS));
        assert_eq!(first.1, second.1);
        let large = memory.lend(KEPT_BLOCKS + 1, |blocks| blocks.len());
        assert_eq!(large, KEPT_BLOCKS + 1);
        assert_eq!(memory.kept(|kept| kept.len()), 1);
    }

    #[test]
    fn as_many_buffers_are_kept_as_hashes_run_at_once() {
        let memory = Memory::default();
        memory.lend(8, |_| memory.lend(8, |_| memory.lend(8, |_| ())));
        assert_eq!(memory.kept(|kept| kept.len()), PARALLEL);
    }
}
