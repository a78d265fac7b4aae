//! How many answers a network gets: a bucket of tokens for each, so that no sender can use a node to flood another
//! machine.
//!
//! Buckets are found by a keyed hash among a fixed number, so that any number of forged senders costs no more memory.
//! Two networks may share one; a client that is limited by this asks by TCP, which is not limited.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::model::network::shared_by;

/// How many buckets there are: 128 KiB, and a thousand busy resolvers seldom share one.
const BUCKETS: usize = 16_384;
/// The time for which a network may use its whole rate at once: resolvers ask in bursts.
const BURST_S: f64 = 2.0;
/// One in so many of the queries that get no answer gets "ask by TCP" instead, so that a real resolver behind a forged
/// flood is not cut off (two, as in BIND and NSD).
const SLIP: u32 = 2;

/// The fate of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleVerdict {
    /// Answer it.
    Answer,
    /// Tell the client to ask by TCP.
    Slip,
    /// Do not answer.
    Drop,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f32,
    filled_ms: u32,
}

/// The buckets of all networks.
#[derive(Debug)]
pub struct Throttle {
    per_s: f64,
    begun: Instant,
    hash: RandomState,
    buckets: Vec<Bucket>,
    refused: u32,
}

impl Throttle {
    /// So many answers per second and network in the long run. The caller draws the key of the hash.
    pub fn new(per_s: u32, hash: RandomState, now: Instant) -> Self {
        let per_s = f64::from(per_s);
        let full = Bucket {
            tokens: (per_s * BURST_S) as f32,
            filled_ms: 0,
        };
        Self {
            per_s,
            begun: now,
            hash,
            buckets: vec![full; BUCKETS],
            refused: 0,
        }
    }

    /// Judges a query from this address.
    pub fn judge(&mut self, from: IpAddr, now: Instant) -> ThrottleVerdict {
        let at = self.hash.hash_one(network(from)) as usize % BUCKETS;
        // A clock of milliseconds in 32 bits wraps in 49 days; a bucket that was not used for so long is only
        // taken for less full than it is.
        let now_ms = now.saturating_duration_since(self.begun).as_millis() as u32;
        let bucket = &mut self.buckets[at];
        let passed = Duration::from_millis(now_ms.wrapping_sub(bucket.filled_ms).into());
        let filled = f64::from(bucket.tokens) + passed.as_secs_f64() * self.per_s;
        bucket.tokens = filled.min(self.per_s * BURST_S) as f32;
        bucket.filled_ms = now_ms;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return ThrottleVerdict::Answer;
        }
        self.refused = self.refused.wrapping_add(1);
        match self.refused % SLIP {
            0 => ThrottleVerdict::Slip,
            _ => ThrottleVerdict::Drop,
        }
    }
}

/// The addresses that count as one network: what one customer usually gets, a /24 of IPv4 and a /56 of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    shared_by(ip.to_canonical(), 24, 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn answered(throttle: &mut Throttle, from: &str, queries: usize, now: Instant) -> usize {
        let verdicts = (0..queries).map(|_| throttle.judge(ip(from), now));
        verdicts.filter(|it| *it == ThrottleVerdict::Answer).count()
    }

    #[test]
    fn a_network_gets_its_burst_and_then_its_rate() {
        let now = Instant::now();
        let mut throttle = Throttle::new(10, RandomState::new(), now);
        assert_eq!(answered(&mut throttle, "192.0.2.1", 100, now), 20);
        let later = now + Duration::from_secs(1);
        assert_eq!(answered(&mut throttle, "192.0.2.200", 100, later), 10);
        let much_later = now + Duration::from_secs(3_600);
        assert_eq!(answered(&mut throttle, "192.0.2.9", 100, much_later), 20);
    }

    #[test]
    fn queries_that_trickle_in_are_all_answered() {
        let now = Instant::now();
        let mut throttle = Throttle::new(10, RandomState::new(), now);
        for query in 0..1_000 {
            let now = now + Duration::from_millis(100 * query);
            assert_eq!(
                throttle.judge(ip("2001:db8::1"), now),
                ThrottleVerdict::Answer
            );
        }
    }

    #[test]
    fn every_second_of_those_held_up_is_told_of_tcp() {
        let now = Instant::now();
        let mut throttle = Throttle::new(1, RandomState::new(), now);
        answered(&mut throttle, "192.0.2.1", 2, now);
        let next: Vec<ThrottleVerdict> = (0..4)
            .map(|_| throttle.judge(ip("192.0.2.1"), now))
            .collect();
        let [drop, slip] = [ThrottleVerdict::Drop, ThrottleVerdict::Slip];
        assert_eq!(next, [drop, slip, drop, slip]);
    }

    #[test]
    fn one_network_does_not_hold_up_another() {
        let now = Instant::now();
        let mut throttle = Throttle::new(5, RandomState::new(), now);
        assert_eq!(answered(&mut throttle, "192.0.2.1", 1_000, now), 10);
        // One bucket of 16,384 is empty: of a hundred others at most a few can share it.
        let others = (0..100).map(|it| ip(&format!("198.51.{it}.1")));
        let mut judged = others.map(|from| throttle.judge(from, now));
        assert!(
            judged
                .by_ref()
                .filter(|it| *it == ThrottleVerdict::Answer)
                .count()
                >= 98
        );
    }

    #[test]
    fn networks_are_what_a_customer_has() {
        for (one, other) in [
            ("192.0.2.1", "192.0.2.255"),
            ("::ffff:192.0.2.1", "192.0.2.9"),
            ("2001:db8:0:ff::1", "2001:db8:0:1::2"),
        ] {
            assert_eq!(network(ip(one)), network(ip(other)), "{one} {other}");
        }
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.3.1")));
        assert_ne!(network(ip("2001:db8:0:100::")), network(ip("2001:db8::")));
    }
}
