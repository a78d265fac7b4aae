//! How much of what one listener hears it has in store, because it was sent before its time.
//!
//! A listener gets some seconds at once when it joins, and from then on as much as time passes. That changes when streams are
//! left for others: a source may have sent ahead of its time, stood still, or have been away, and streams come in pieces,
//! of a second perhaps. What was given too much or too little is made up for at the next switch, so nothing adds up.

use std::time::{Duration, Instant};

use crate::media::ring::RingEdge;

/// The most that is made up for at one switch: as much as a listener is sent at once when it joins.
const MOST_MADE_UP: Duration = Duration::from_secs(5);

/// How much more than it should have in store a listener has who is to hear that first, before the next stream: less is made up for
/// by and by.
const SPENT_FROM: Duration = Duration::from_secs(1);
/// The most that is spent so at one switch: what is left is spent at the next one.
const MOST_SPENT: Duration = MOST_MADE_UP;

/// The account of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store {
    /// The time in the stream that is heard at which the listener has begun with it.
    begun: Duration,
    /// Milliseconds that it was given of the streams before.
    given_ms: i64,
    /// When it joined.
    since: Instant,
    /// Milliseconds that it should have in store; known when the stream that it joined is left.
    wanted_ms: Option<i64>,
}

impl Store {
    /// The account of one that joins at this time of a stream whose edge was there then.
    pub(super) fn join(begun: Duration, edge: RingEdge) -> Self {
        Self {
            begun,
            given_ms: 0,
            since: edge.at,
            wanted_ms: None,
        }
    }

    /// The same when all of the stream up to this edge was given. `burst` is what is given at once to one that joins: nobody
    /// should have more than that in store.
    pub(super) fn leave(self, cut: RingEdge, burst: Duration) -> Self {
        let given_ms = self.given_ms + milliseconds(cut.time) - milliseconds(self.begun);
        let in_store_ms = given_ms - passed_ms(self.since, cut.at);
        let wanted_ms = self.wanted_ms.unwrap_or(in_store_ms);
        Self {
            given_ms,
            wanted_ms: Some(wanted_ms.clamp(0, milliseconds(burst))),
            ..self
        }
    }

    /// How far behind this edge of the next stream the listener should begin, once it has left the one before.
    pub(super) fn behind(self, next: RingEdge) -> Duration {
        let in_store_ms = self.given_ms - passed_ms(self.since, next.at);
        let lacks_ms = self.wanted_ms.unwrap_or_default() - in_store_ms;
        Duration::from_millis(lacks_ms.max(0).unsigned_abs()).min(MOST_MADE_UP)
    }

    /// How far beyond this edge of the next stream the listener should begin, because it has so much more in store than it should: the
    /// source of the one before had sent that ahead.
    pub(super) fn beyond(self, next: RingEdge) -> Duration {
        let in_store_ms = self.given_ms - passed_ms(self.since, next.at);
        let surplus_ms = in_store_ms - self.wanted_ms.unwrap_or(in_store_ms);
        let surplus = Duration::from_millis(surplus_ms.max(0).unsigned_abs());
        match surplus < SPENT_FROM {
            true => Duration::ZERO,
            false => surplus.min(MOST_SPENT),
        }
    }

    /// The same when it begins at this time of the next stream.
    pub(super) fn enter(self, begun: Duration) -> Self {
        Self { begun, ..self }
    }
}

/// Less than zero if the end is before the beginning: the pieces of two streams come when they come.
fn passed_ms(from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(passed) => milliseconds(passed),
        None => -milliseconds(from.saturating_duration_since(to)),
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: Duration = Duration::from_secs(5);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// An edge at this time of its stream, which came so long after the beginning of the test.
    fn edge(begun: Instant, time_ms: u64, at_ms: u64) -> RingEdge {
        RingEdge {
            offset: 0,
            time: ms(time_ms),
            at: begun + ms(at_ms),
        }
    }

    #[test]
    fn a_pause_is_made_up_for() {
        let begun = Instant::now();
        let store = Store::join(ms(5_000), edge(begun, 10_000, 0));
        let left = store.leave(edge(begun, 20_000, 10_000), BURST);
        assert_eq!(left.behind(edge(begun, 1, 12_000)), ms(2_000));
        assert_eq!(left.behind(edge(begun, 1, 9_900)), ms(0));
        assert_eq!(left.behind(edge(begun, 1, 99_000)), MOST_MADE_UP);
    }

    #[test]
    fn who_has_more_in_store_hears_that_first() {
        let begun = Instant::now();
        // Ten seconds came at once, and the end of the stream ten seconds later.
        let cut = edge(begun, 20_000, 10_000);
        let early = Store::join(ms(0), edge(begun, 0, 0)).leave(cut, BURST);
        let late = Store::join(ms(15_000), cut).leave(cut, BURST);
        let next = edge(begun, 900_000, 13_000);
        assert_eq!((early.behind(next), early.beyond(next)), (ms(0), ms(2_000)));
        assert_eq!((late.behind(next), late.beyond(next)), (ms(3_000), ms(0)));
        let soon = edge(begun, 900_000, 14_100);
        assert_eq!(
            early.beyond(soon),
            ms(0),
            "a moment is made up for by and by"
        );
    }

    #[test]
    fn what_was_sent_ahead_is_not_sent_again() {
        let begun = Instant::now();
        let mut store =
            Store::join(ms(0), edge(begun, 5_000, 0)).leave(edge(begun, 5_000, 0), BURST);
        for turn in 0..50 {
            // Five seconds at once, then ten as they sound; the other stream is heard when all of that has sounded.
            let at_ms = turn * 20_000;
            store = store
                .enter(ms(0))
                .leave(edge(begun, 15_000, at_ms + 10_000), BURST);
            let next = edge(begun, 900_000, at_ms + 15_000);
            assert_eq!(store.behind(next), ms(0), "turn {turn}");
            store = store
                .enter(next.time)
                .leave(edge(begun, 905_000, at_ms + 20_000), BURST);
        }
    }

    #[test]
    fn what_a_late_burst_has_brought_stays_in_store() {
        let begun = Instant::now();
        // A relay gets the last five seconds of the stream just after its first listener has come.
        let store = Store::join(ms(60_000), edge(begun, 60_030, 0));
        let left = store.leave(edge(begun, 75_000, 10_000), BURST);
        assert_eq!(left.behind(edge(begun, 1, 11_000)), ms(1_000));
    }

    #[test]
    fn nobody_is_given_more_than_a_burst_to_keep() {
        let begun = Instant::now();
        let store = Store::join(ms(0), edge(begun, 0, 0));
        let left = store.leave(edge(begun, 40_000, 10_000), BURST);
        assert_eq!(left.behind(edge(begun, 1, 30_000)), ms(0));
        assert_eq!(left.behind(edge(begun, 1, 40_000)), ms(5_000));
    }
}
