//! A pacer's thread: when it visits whom.
//!
//! Time is cut into slots. In each the thread visits an equal share of its listeners, so that their
//! writes are spread over the period instead of leaving in one burst that fills the line.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::member::{Member, VisitResult};
use super::queue::PacerOrder;
use super::{Left, Listener, PacerThread};

/// The thread's own state.
pub(super) struct Round {
    shared: Arc<PacerThread>,
    running: watch::Sender<usize>,
    members: Vec<Member>,
    /// The next one to visit.
    cursor: usize,
    draining: Option<SpreadEnd>,
    /// How much of the time between two ends of a drain this thread is before the others, so that they do not end
    /// their listeners in pairs.
    before_others: f64,
}

/// An end that is spread over time.
#[derive(Clone, Copy)]
struct SpreadEnd {
    began: Instant,
    over: Duration,
    listeners: usize,
    before_others: f64,
}

/// How often the thread wakes while it has listeners, and the shortest period: about one MP3 frame,
/// so that few listeners hear the stream as early as it can be had.
pub(super) const SLOT: Duration = Duration::from_millis(25);

/// Up to so many listeners are visited in each slot; with more of them the period grows instead.
///
/// A write costs 5 to 8 µs whether it carries 400 bytes or 4,000, so that this bounds what haste may cost:
/// 2,000 writes a second, some 1.5 % of a core. Nobody hears the difference: a burst of seconds is
/// ahead of everybody. Measured with 1,000 listeners of 128 kbit/s on two threads: 250 in a slot
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

impl SpreadEnd {
    /// How many listeners may still be there.
    fn keeps(&self, now: Instant) -> usize {
        let elapsed = now.saturating_duration_since(self.began);
        let left = self.over.saturating_sub(elapsed);
        if left.is_zero() {
            return 0;
        }
        let evenly = self.listeners as f64 * left.div_duration_f64(self.over);
        (evenly - self.before_others).ceil().max(0.0) as usize
    }
}

impl Round {
    pub(super) fn new(
        shared: Arc<PacerThread>,
        running: watch::Sender<usize>,
        before_others: f64,
    ) -> Self {
        running.send_modify(|threads| *threads += 1);
        Self {
            shared,
            running,
            members: Vec::new(),
            cursor: 0,
            draining: None,
            before_others,
        }
    }

    /// Serves until it is ordered to stop and everybody has left.
    pub(super) fn run(mut self) {
        let (mut next_slot, mut order) = (Instant::now(), PacerOrder::Serve);
        loop {
            let until = self.wakes_at(next_slot);
            let newcomers;
            (newcomers, order) = self.shared.queue.take(until, order);
            let now = Instant::now();
            self.admit(newcomers, now);
            if let PacerOrder::Drain(over) = order {
                self.drain(over, now);
                if self.members.is_empty() {
                    return;
                }
            }
            if now >= next_slot {
                self.slot(now);
                // After an idle time or an overlong slot it goes on from now: nothing is made up for.
                next_slot = (next_slot + SLOT).max(now);
            }
        }
    }

    /// Without listeners it sleeps until somebody comes.
    fn wakes_at(&self, next_slot: Instant) -> Option<Instant> {
        (!self.members.is_empty()).then_some(next_slot)
    }

    fn admit(&mut self, newcomers: Vec<Listener>, now: Instant) {
        for listener in newcomers {
            let member = Member::new(listener, now);
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

    /// Visits one member. Returns how far it is from here to the next: none if the last one took its place.
    fn visit(&mut self, place: usize, now: Instant) -> usize {
        match self.members[place].visit(now) {
            VisitResult::Stay(written) => {
                let sent_bytes = &self.shared.sent_bytes;
                sent_bytes.fetch_add(written as u64, Ordering::Relaxed);
                1
            }
            VisitResult::Leave(why) => {
                if why == Left::TooSlow {
                    self.shared.too_slow.fetch_add(1, Ordering::Relaxed);
                }
                let member = self.members.swap_remove(place);
                self.count_out();
                member.leave(why);
                0
            }
        }
    }

    fn drain(&mut self, over: Duration, now: Instant) {
        let listeners = self.members.len();
        let drain = self.draining.get_or_insert(SpreadEnd {
            began: now,
            over,
            listeners,
            before_others: self.before_others,
        });
        drain.over = over;
        let keeps = drain.keeps(now);
        while self.members.len() > keeps {
            self.stop_last();
        }
    }

    fn stop_last(&mut self) {
        if let Some(member) = self.members.pop() {
            self.count_out();
            member.leave(Left::Stopped);
        }
    }

    fn count_out(&self) {
        self.shared.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Round {
    /// Nobody is left behind, even after a panic: who is still here or in the queue hears that it ends.
    fn drop(&mut self) {
        while !self.members.is_empty() {
            self.stop_last();
        }
        for listener in self.shared.queue.close() {
            self.count_out();
            drop(listener.socket);
            listener.leave.left(Left::Stopped, 0);
        }
        self.running.send_modify(|threads| *threads -= 1);
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

    #[test]
    fn a_drain_is_even() {
        let began = Instant::now();
        let drain = SpreadEnd {
            began,
            over: Duration::from_secs(10),
            listeners: 100,
            before_others: 0.0,
        };
        let keeps = |s| drain.keeps(began + Duration::from_secs(s));
        assert_eq!([0, 1, 5, 9, 10, 11].map(keeps), [100, 90, 50, 10, 0, 0]);
    }

    #[test]
    fn threads_end_their_listeners_in_turn() {
        let began = Instant::now();
        let of_thread = |before_others| SpreadEnd {
            began,
            over: Duration::from_secs(4),
            listeners: 2,
            before_others,
        };
        let keeps = |ms| {
            let now = began + Duration::from_millis(ms);
            [0.0, 0.5].map(|thread| of_thread(thread).keeps(now))
        };
        assert_eq!(keeps(0), [2, 2]);
        assert_eq!(keeps(1_500), [2, 1]);
        assert_eq!(keeps(2_500), [1, 1]);
        assert_eq!(keeps(3_500), [1, 0]);
        assert_eq!(keeps(4_000), [0, 0]);
    }
}
