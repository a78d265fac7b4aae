//! The control of a listener, shared by its pacer and the rest of the node: the bytes sent, and the order to leave.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Left;

/// The counter and the switch of one listener.
///
/// Only the listener's own thread counts. The alignment gives each listener a cache line of its own, because two
/// listeners of two threads would otherwise slow each other down by counting.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Control {
    sent_bytes: AtomicU64,
    ended: OnceLock<Left>,
}

impl Control {
    /// Orders the listener to leave with its next visit, within half a second. The first reason given is kept.
    pub fn end(&self, why: Left) {
        // Fails if the listener is leaving already, which is what is wanted.
        let _ = self.ended.set(why);
    }

    /// Why the listener was ordered to leave, if it was.
    pub fn ended(&self) -> Option<Left> {
        self.ended.get().copied()
    }

    /// The bytes that the kernel has taken for the listener, head and titles too.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes. Called by the listener's thread only, so that a load and a store will do.
    pub(super) fn count_sent(&self, bytes: u64) {
        let before = self.sent_bytes.load(Ordering::Relaxed);
        self.sent_bytes.store(before + bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_to_leave_is_kept() {
        let control = Control::default();
        assert_eq!(control.ended(), None);
        control.end(Left::Killed);
        control.end(Left::Stopped);
        assert_eq!(control.ended(), Some(Left::Killed));
    }

    #[test]
    fn no_two_listeners_share_a_cache_line() {
        assert_eq!(align_of::<Control>(), 64);
        let control = Control::default();
        control.count_sent(5);
        control.count_sent(7);
        assert_eq!(control.sent_bytes(), 12);
    }
}
