//! How far the epochs have come, in memory and on disk.
//!
//! Only what is on disk is told to others as this node's own: an epoch that was seen and is not yet
//! written is used to choose a greater one, and a crash may forget it without harm.

use std::time::{Duration, Instant};

use super::message::ElectionOutput;
use crate::model::seat::Epoch;

/// The greatest epoch that is believed. An election each microsecond would take nine years to get
/// here, so a greater one is damaged data; to adopt it would leave no epoch for the next election.
pub(super) const MAX_EPOCH: Epoch = Epoch(1 << 48);

/// How many gossip intervals a write to disk may take until it counts as failed. A slow disk needs
/// 100 ms for an fsync; eight intervals are 2 s, and peers try again after about that time.
const WRITE_INTERVALS: u32 = 8;

/// The longest time between two tries to write, in gossip intervals (32 s at 250 ms): long enough
/// not to flood a log, short enough that a disk with room again is found within a minute.
const MAX_RETRY_INTERVALS: u32 = 128;

/// The epochs of one seat on one node.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    interval: Duration,
    seen: Epoch,
    durable: Epoch,
    /// The epoch being written, and when that counts as failed.
    writing: Option<(Epoch, Instant)>,
    /// After a failure: when to try again.
    retry_at: Option<Instant>,
    failures: u32,
}

impl Ledger {
    pub(super) fn new(durable: Epoch, interval: Duration) -> Self {
        let durable = durable.min(MAX_EPOCH);
        Self {
            interval,
            seen: durable,
            durable,
            writing: None,
            retry_at: None,
            failures: 0,
        }
    }

    /// The greatest epoch seen, written or not.
    pub(super) fn seen(&self) -> Epoch {
        self.seen
    }

    /// The greatest epoch that survives a crash.
    pub(super) fn durable(&self) -> Epoch {
        self.durable
    }

    /// Whether the last write succeeded, as far as is known.
    pub(super) fn is_writable(&self) -> bool {
        self.failures == 0
    }

    pub(super) fn note(&mut self, epoch: Epoch) {
        if epoch <= MAX_EPOCH {
            self.seen = self.seen.max(epoch);
        }
    }

    /// Takes an epoch that is greater than all seen, for a claim once it is durable.
    pub(super) fn take_next(&mut self) -> Epoch {
        self.seen = self.seen.next();
        self.seen
    }

    /// Asks for a write if one is due and none is open.
    pub(super) fn write(&mut self, now: Instant, out: &mut Vec<ElectionOutput>) {
        let waiting = self.writing.is_some() || self.retry_at.is_some_and(|at| now < at);
        if waiting || self.seen <= self.durable {
            return;
        }
        self.retry_at = None;
        self.writing = Some((self.seen, now + self.interval * WRITE_INTERVALS));
        out.push(ElectionOutput::Persist(self.seen));
    }

    pub(super) fn persisted(&mut self, epoch: Epoch) {
        if epoch > self.seen {
            return; // No write was asked for.
        }
        self.durable = self.durable.max(epoch);
        if self.writing.is_some_and(|(asked, _)| asked <= epoch) {
            self.writing = None;
        }
        if self.writing.is_none() {
            self.retry_at = None;
            self.failures = 0;
        }
    }

    pub(super) fn failed(&mut self, epoch: Epoch, now: Instant) {
        if self.writing.is_some_and(|(asked, _)| asked == epoch) {
            self.give_up(now);
        }
    }

    /// Gives up a write that has not been answered for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.writing.is_some_and(|(_, until)| now >= until) {
            self.give_up(now);
        }
    }

    fn give_up(&mut self, now: Instant) {
        self.writing = None;
        self.failures = self.failures.saturating_add(1);
        let intervals = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.retry_at = Some(now + self.interval * intervals.clamp(1, MAX_RETRY_INTERVALS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(250);

    #[test]
    fn one_write_is_open_at_a_time_then_the_latest() {
        let (now, mut out) = (Instant::now(), Vec::new());
        let mut ledger = Ledger::new(Epoch(1), INTERVAL);
        for epoch in [3, 2, 5] {
            ledger.note(Epoch(epoch));
            ledger.write(now, &mut out);
        }
        ledger.persisted(Epoch(3));
        ledger.write(now, &mut out);
        assert_eq!(
            out,
            [
                ElectionOutput::Persist(Epoch(3)),
                ElectionOutput::Persist(Epoch(5))
            ]
        );
        assert_eq!((ledger.durable(), ledger.seen()), (Epoch(3), Epoch(5)));
    }

    #[test]
    fn a_failed_write_is_tried_again_ever_more_seldom() {
        let (mut now, mut waits) = (Instant::now(), Vec::new());
        let mut ledger = Ledger::new(Epoch(0), INTERVAL);
        ledger.note(Epoch(1));
        for _ in 0..9 {
            let mut out = Vec::new();
            ledger.write(now, &mut out);
            assert_eq!(out, [ElectionOutput::Persist(Epoch(1))]);
            ledger.failed(Epoch(1), now);
            assert!(!ledger.is_writable());
            let until = ledger.retry_at.unwrap();
            waits.push(until.duration_since(now));
            now = until;
        }
        assert_eq!(waits[0], INTERVAL * 2);
        assert_eq!(waits[8], INTERVAL * MAX_RETRY_INTERVALS);
        ledger.write(now, &mut Vec::new());
        ledger.persisted(Epoch(1));
        assert!(ledger.is_writable());
    }

    #[test]
    fn a_write_without_an_answer_counts_as_failed() {
        let now = Instant::now();
        let mut ledger = Ledger::new(Epoch(0), INTERVAL);
        ledger.note(Epoch(1));
        ledger.write(now, &mut Vec::new());
        ledger.expire(now + INTERVAL * WRITE_INTERVALS);
        assert!(!ledger.is_writable());
    }

    #[test]
    fn an_absurd_epoch_is_not_adopted() {
        let mut ledger = Ledger::new(Epoch(4), INTERVAL);
        ledger.note(Epoch(u64::MAX));
        assert_eq!(ledger.take_next(), Epoch(5));
    }
}
