//! How listeners and the order to stop reach a pacer's thread, which is woken at once.
//!
//! Once closed it takes nobody: a listener is either refused or hears why it left, never lost in between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Listener;

/// The door of one thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    newcomers: VecDeque<Listener>,
    order: PacerOrder,
}

/// What the thread is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PacerOrder {
    #[default]
    Serve,
    /// Close all listeners over this time, then end.
    Drain(Duration),
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
        if state.order != PacerOrder::Serve || state.newcomers.len() == QUEUE {
            return Err(listener);
        }
        state.newcomers.push_back(listener);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// From now on nobody is taken. Ordered again, the last time given counts.
    pub(super) fn drain(&self, over: Duration) {
        self.state.lock().order = PacerOrder::Drain(over);
        self.wake.notify_one();
    }

    /// Waits for newcomers or another order than the one that is `known`, at most until `until`.
    pub(super) fn take(
        &self,
        until: Option<Instant>,
        known: PacerOrder,
    ) -> (Vec<Listener>, PacerOrder) {
        let mut state = self.state.lock();
        while state.newcomers.is_empty() && state.order == known {
            let Some(until) = until else {
                self.wake.wait(&mut state);
                continue;
            };
            if until <= Instant::now() {
                break;
            }
            self.wake.wait_until(&mut state, until);
        }
        let count = state.newcomers.len().min(AT_ONCE);
        (state.newcomers.drain(..count).collect(), state.order)
    }

    /// Closes for good and hands out who is still waiting.
    pub(super) fn close(&self) -> VecDeque<Listener> {
        let mut state = self.state.lock();
        state.order = PacerOrder::Drain(Duration::ZERO);
        std::mem::take(&mut state.newcomers)
    }
}
