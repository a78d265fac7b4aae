//! The address of an outside relay that is asked next: the best one that is not to be left alone for a while.
//!
//! While an address plays, only better ones are asked, beside it. An address that fails is left alone for longer each time, so that
//! one which always breaks off does not move the listeners for ever.

use std::time::{Duration, Instant};

use crate::logic::backoff::Backoff;

/// How long an address is left alone after its first failure: a server that was restarted is back in about that time, and
/// listeners have five seconds in hand.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long it is left alone at most: a station that is back is heard within a minute, and its server sees sixty questions an hour.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long an address has played that counts as one that works: its next failure is the first one again.
pub const GOOD_RUN: Duration = Duration::from_secs(30);

/// How long an address plays at least before a better one is asked beside it: by then every node has its stream. Of one that was
/// left sooner the others would lack what only that stream had.
pub const SETTLED: Duration = Duration::from_secs(5);

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAddress {
    /// Ask this address.
    Ask(usize),
    /// Ask again what to do at that time.
    Wait(Instant),
    /// Ask nothing: the best address plays.
    Nothing,
}

/// The addresses of one outside relay, by their places among those of the mount, 0 the best.
#[derive(Clone, Debug)]
pub struct AddressRota {
    addresses: Vec<AddressRecord>,
    /// The address that plays, and since when.
    playing: Option<(usize, Instant)>,
}

#[derive(Clone, Debug)]
struct AddressRecord {
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl AddressRota {
    /// So many addresses that were never asked.
    pub fn new(addresses: usize) -> Self {
        let record = AddressRecord {
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            not_before: None,
        };
        Self {
            addresses: vec![record; addresses],
            playing: None,
        }
    }

    /// The next step.
    pub fn next(&self, now: Instant) -> NextAddress {
        let better = self
            .playing
            .map_or(self.addresses.len(), |(place, _)| place);
        let settled = self.playing.map(|(_, since)| since + SETTLED);
        let candidates = self.addresses.iter().take(better).enumerate();
        let waits = candidates.map(|(place, it)| {
            let from = it.not_before.max(settled);
            (place, from.filter(|at| *at > now))
        });
        let waits: Vec<(usize, Option<Instant>)> = waits.collect();
        if let Some((place, _)) = waits.iter().find(|(_, wait)| wait.is_none()) {
            return NextAddress::Ask(*place);
        }
        let first = waits.iter().filter_map(|(_, wait)| *wait).min();
        first.map_or(NextAddress::Nothing, NextAddress::Wait)
    }

    /// Whether the best address plays, and has played for long enough.
    pub fn is_at_its_best(&self, now: Instant) -> bool {
        self.playing
            .is_some_and(|(place, since)| place == 0 && now >= since + GOOD_RUN)
    }

    /// Notes that an address plays from now on.
    pub fn note_playing(&mut self, place: usize, now: Instant) {
        self.note_stopped(now);
        self.playing = Some((place, now));
    }

    /// Notes that no address plays any more, by no fault of the one that did.
    pub fn note_stopped(&mut self, now: Instant) {
        if let Some((place, since)) = self.playing.take()
            && now >= since + GOOD_RUN
        {
            self.addresses[place].backoff.succeed();
            self.addresses[place].not_before = None;
        }
    }

    /// Notes that an address has failed, whether it played or was only asked. Returns how long it is left alone; `chance` is a
    /// random number from 0 to 1.
    pub fn note_failed(&mut self, place: usize, now: Instant, chance: f64) -> Duration {
        if self.playing.is_some_and(|(playing, _)| playing == place) {
            self.note_stopped(now);
        }
        let record = &mut self.addresses[place];
        let wait = record.backoff.fail(chance);
        record.not_before = Some(now + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        rota: AddressRota,
        now: Instant,
    }

    impl Bench {
        fn new(addresses: usize) -> Self {
            Self {
                rota: AddressRota::new(addresses),
                now: Instant::now(),
            }
        }

        fn next_after(&mut self, time: Duration) -> NextAddress {
            self.now += time;
            self.rota.next(self.now)
        }

        fn next(&mut self) -> NextAddress {
            self.next_after(Duration::ZERO)
        }

        fn fail(&mut self, place: usize) -> Duration {
            self.rota.note_failed(place, self.now, 1.0)
        }

        fn play(&mut self, place: usize) {
            self.rota.note_playing(place, self.now);
        }
    }

    #[test]
    fn the_next_best_is_asked_at_once_when_one_fails() {
        let mut bench = Bench::new(2);
        assert_eq!(bench.next(), NextAddress::Ask(0));
        let wait = bench.fail(0);
        assert_eq!(wait, FIRST_WAIT);
        assert_eq!(bench.next(), NextAddress::Ask(1));
        bench.fail(1);
        assert_eq!(bench.next(), NextAddress::Wait(bench.now + FIRST_WAIT));
        assert_eq!(bench.next_after(FIRST_WAIT), NextAddress::Ask(0));
    }

    #[test]
    fn only_better_addresses_are_asked_beside_one_that_plays() {
        let mut bench = Bench::new(3);
        bench.fail(0);
        bench.play(1);
        // Every node is to have the stream that plays now before that is left.
        assert_eq!(bench.next(), NextAddress::Wait(bench.now + SETTLED));
        assert_eq!(bench.next_after(SETTLED), NextAddress::Ask(0));
        bench.play(0);
        assert_eq!(bench.next_after(LONGEST_WAIT), NextAddress::Nothing);
    }

    #[test]
    fn an_address_that_always_breaks_off_is_asked_ever_later() {
        let mut bench = Bench::new(2);
        let mut waits = Vec::new();
        for _ in 0..8 {
            bench.play(0);
            bench.now += GOOD_RUN / 2;
            waits.push(bench.fail(0).as_secs());
            assert_eq!(bench.next(), NextAddress::Ask(1));
            bench.play(1);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        bench.play(0);
        bench.now += GOOD_RUN;
        assert!(bench.rota.is_at_its_best(bench.now));
        assert_eq!(bench.fail(0), FIRST_WAIT, "it had played for long enough");
        assert!(!bench.rota.is_at_its_best(bench.now));
    }

    #[test]
    fn one_that_was_stopped_may_be_asked_at_once() {
        let mut bench = Bench::new(1);
        bench.play(0);
        bench.rota.note_stopped(bench.now);
        assert_eq!(bench.next(), NextAddress::Ask(0));
        bench.fail(0);
        bench.now += FIRST_WAIT;
        bench.play(0);
        bench.now += FIRST_WAIT;
        bench.rota.note_stopped(bench.now);
        assert_eq!(bench.fail(0), FIRST_WAIT * 2, "a short run mends nothing");
    }
}
