//! How listeners and the order to stop reach a pacer's thread, which is woken at once.
//!
//! Once closed it takes no listener: each is either refused or told why it left, never lost in between.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::Listener;

/// The way to one thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    newcomers: VecDeque<Listener>,
    is_closed: bool,
}

/// Newcomers that wait for one thread. It takes them as they come, so a full queue means that they come
/// faster than a core can write bursts: by estimate, not measured, 20 µs each, or 50,000 in a second.
const QUEUE: usize = 1_024;

/// The most newcomers taken at once, so that their bursts delay those who already listen by some
/// 3 ms only: a small part of a slot.
const AT_ONCE: usize = 128;

impl Queue {
    #[expect(
        clippy::result_large_err,
        reason = "it is the caller's own value that comes back"
    )]
    pub(super) fn push(&self, listener: Listener) -> Result<(), Listener> {
        let mut state = self.state.lock();
        if state.is_closed || state.newcomers.len() == QUEUE {
            return Err(listener);
        }
        state.newcomers.push_back(listener);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes no more listeners, and orders the thread to stop.
    pub(super) fn stop(&self) {
        self.state.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// Waits for newcomers, at most until `until`; `None` is the order to stop.
    pub(super) fn take(&self, until: Option<Instant>) -> Option<Vec<Listener>> {
        let mut state = self.state.lock();
        while state.newcomers.is_empty() && !state.is_closed {
            let Some(until) = until else {
                self.wake.wait(&mut state);
                continue;
            };
            if until <= Instant::now() {
                break;
            }
            self.wake.wait_until(&mut state, until);
        }
        if state.is_closed {
            return None;
        }
        let count = state.newcomers.len().min(AT_ONCE);
        Some(state.newcomers.drain(..count).collect())
    }

    /// Closes for good and hands out the listeners that still wait.
    pub(super) fn close(&self) -> VecDeque<Listener> {
        let mut state = self.state.lock();
        state.is_closed = true;
        std::mem::take(&mut state.newcomers)
    }
}
