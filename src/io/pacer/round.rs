//! A pacer's thread: when it visits which listener.
//!
//! Time is cut into slots. In each the thread visits an equal share of its listeners, so that their
//! writes are spread over the period instead of leaving in one burst that fills the line.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::connection::VisitResult;
use super::occupant::Occupant;
use super::relayed::RELAY_BYTES;
use super::{Left, Listener, PacerThread};

/// The thread's own state.
pub(super) struct Round {
    shared: Arc<PacerThread>,
    members: Vec<Occupant>,
    /// For the bytes of listeners that hear another server.
    buffer: Box<[u8]>,
    /// The next one to visit.
    cursor: usize,
}

/// How often the thread wakes while it has listeners, and the shortest period: about one MP3 frame,
/// so that few listeners hear the stream as early as it can be had.
pub(super) const SLOT: Duration = Duration::from_millis(25);

/// Up to so many listeners are visited in each slot; with more of them the period grows instead.
///
/// A write costs 5 to 8 µs whether it carries 400 bytes or 4,000, so that this bounds what haste may cost:
/// 2,000 writes a second, some 1.5 % of a core. No listener hears the difference: a burst of seconds is
/// ahead of every player. Measured with 1,000 listeners of 128 kbit/s on two threads: 250 in a slot
/// cost 8 CPU-seconds per GB, twice what Icecast takes.
const SLOT_LISTENERS: usize = 50;

/// The most slots in a period: 500 ms, reached at 1,000 listeners. Measured at 128 kbit/s, a write per 500 ms
/// costs 1.0 CPU-second per GB, and per 100 ms 3.3; 1 s would cost 0.55, but players with
/// small buffers begin to stutter and a socket's send buffer no longer holds a period of 1 Mbit/s.
const MOST_SLOTS: usize = 20;

/// How many of so many listeners are visited in one slot.
fn share_of_slot(listeners: usize) -> usize {
    let slots = listeners.div_ceil(SLOT_LISTENERS).clamp(1, MOST_SLOTS);
    listeners.div_ceil(slots)
}

impl Round {
    pub(super) fn new(shared: Arc<PacerThread>) -> Self {
        Self {
            shared,
            members: Vec::new(),
            buffer: vec![0; RELAY_BYTES].into(),
            cursor: 0,
        }
    }

    /// Serves until it is ordered to stop. The listeners that are still there are told when it is dropped.
    pub(super) fn run(mut self) {
        let mut next_slot = Instant::now();
        while let Some(newcomers) = self.shared.queue.take(self.wakes_at(next_slot)) {
            let now = Instant::now();
            self.admit(newcomers, now);
            if now >= next_slot {
                self.slot(now);
                // After an idle time or an overlong slot it goes on from now: nothing is made up for.
                next_slot = (next_slot + SLOT).max(now);
            }
        }
    }

    /// Without listeners it sleeps until one comes.
    fn wakes_at(&self, next_slot: Instant) -> Option<Instant> {
        (!self.members.is_empty()).then_some(next_slot)
    }

    fn admit(&mut self, newcomers: Vec<Listener>, now: Instant) {
        for listener in newcomers {
            let member = Occupant::new(listener, now);
            if member.prepare().is_ok() {
                self.members.push(member);
                self.visit(self.members.len() - 1, now);
            } else {
                self.count_out();
                member.leave(Left::Gone);
            }
        }
    }

    fn slot(&mut self, now: Instant) {
        for _ in 0..share_of_slot(self.members.len()) {
            if self.cursor >= self.members.len() {
                self.cursor = 0;
            }
            if self.members.is_empty() {
                return;
            }
            self.cursor += self.visit(self.cursor, now);
        }
    }

    /// Visits one member. Returns how far it is from here to the next: none if the last member took its place.
    fn visit(&mut self, place: usize, now: Instant) -> usize {
        match self.members[place].visit(now, &mut self.buffer) {
            VisitResult::Stay => 1,
            VisitResult::Leave(why) => {
                let member = self.members.swap_remove(place);
                self.count_out();
                member.leave(why);
                0
            }
        }
    }

    fn count_out(&self) {
        self.shared.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Round {
    /// No listener is left behind, even after a panic: those that are still here or in the queue are told of the end.
    fn drop(&mut self) {
        for member in std::mem::take(&mut self.members) {
            self.count_out();
            member.leave(Left::Stopped);
        }
        for listener in self.shared.queue.close() {
            self.count_out();
            drop(listener.socket);
            listener.leave.left(Left::Stopped, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_grows_with_the_listeners_up_to_half_a_second() {
        for (listeners, share) in [
            (0, 0),
            (1, 1),
            (50, 50),
            (51, 26),
            (1_000, 50),
            (5_000, 250),
            (10_000, 500),
        ] {
            assert_eq!(share_of_slot(listeners), share, "{listeners}");
        }
    }
}
