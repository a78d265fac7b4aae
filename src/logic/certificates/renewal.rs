//! When a certificate is renewed, when that is urgent, and when its end is a reason to worry.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::logic::backoff::Backoff;
use crate::model::acme::{CertificateOrder, KeptCertificate};

/// The wait after the first failure: the network may have been away for a moment.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait. Twice a day is what authorities ask for, and a fault of DNS that is mended in the evening is no fault in
/// the morning.
const LONGEST_WAIT: Duration = Duration::from_hours(12);
/// The longest wait that an authority may ask for: its limits are counted over a week at most.
const LONGEST_ASKED_WAIT: Duration = Duration::from_hours(7 * 24);
/// The part of the lifetime by which a certificate may be renewed before its time: names that began together drift apart.
const SPREAD: f64 = 1.0 / 20.0;
/// The seconds before the end from which also a minority of the mesh renews a certificate: partitions end within a week, and
/// there is still time to try again.
const URGENT_S: u64 = 7 * DAY_S;
/// How much the clocks of two nodes may differ, seconds: one wait more or less is no harm, but each try costs.
const CLOCKS_APART_S: u64 = 60;
/// The seconds of a day.
pub const DAY_S: u64 = 86_400;

/// The time in which an authority would like a certificate to be renewed, unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalWindow {
    /// The beginning.
    pub start_unix_s: u64,
    /// The end.
    pub end_unix_s: u64,
}

/// When a certificate is to be renewed: within the authority's window, or else after two thirds of its lifetime or a little
/// before. The place within that time depends on its names and number only, so every node says the same.
pub fn renew_at_unix_s(certificate: &KeptCertificate, window: Option<RenewalWindow>) -> u64 {
    let share = share(certificate);
    if let Some(window) = window {
        let length = window.end_unix_s.saturating_sub(window.start_unix_s);
        return window.start_unix_s + part(length, share);
    }
    let lifetime = certificate.lifetime_s();
    let latest = certificate.not_before_unix_s + part(lifetime, 2.0 / 3.0);
    latest.saturating_sub(part(lifetime, SPREAD * share))
}

/// From when on also a minority of the mesh renews a certificate.
pub fn urgent_at_unix_s(certificate: &KeptCertificate) -> u64 {
    let left = URGENT_S.min(certificate.lifetime_s() / 10);
    certificate.not_after_unix_s.saturating_sub(left)
}

/// Whether so little is left that somebody should look: less than a third. It should have been renewed before.
pub fn is_worrying(certificate: &KeptCertificate, now_unix_s: u64) -> bool {
    let left = certificate.not_after_unix_s.saturating_sub(now_unix_s);
    left < certificate.lifetime_s() / 3
}

/// How long to wait after so many failures; `chance` is a number from 0 to 1. What the authority asks for counts if it is
/// more.
pub fn wait_after(failures: u32, chance: f64, asked: Option<Duration>) -> Duration {
    let earlier = failures.saturating_sub(1);
    let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT).having_failed(earlier);
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED_WAIT);
    { backoff }.fail(chance).max(asked)
}

/// When the next try of an order may begin, unix seconds. A time that is further away than the wait was long was noted by a
/// clock that was ahead, and waits for nothing.
pub fn next_try_unix_s(order: &CertificateOrder, now_unix_s: u64) -> u64 {
    let wait_s = match order.wait_s {
        0 => LONGEST_ASKED_WAIT.as_secs(), // an older version does not say
        wait_s => wait_s,
    };
    let latest = now_unix_s
        .saturating_add(wait_s)
        .saturating_add(CLOCKS_APART_S);
    match order.next_unix_s > latest {
        true => 0,
        false => order.next_unix_s,
    }
}

/// When the mesh got a certificate, unix seconds. Where its own note is from a clock that was ahead, the authority's counts;
/// `None` if that was ahead, too.
pub fn got_at_unix_s(certificate: &KeptCertificate, now_unix_s: u64) -> Option<u64> {
    let times = [certificate.obtained_unix_s, certificate.not_before_unix_s];
    times.into_iter().find(|at| *at <= now_unix_s)
}

/// A number from 0 to 1 that is the same for the same certificate.
fn share(certificate: &KeptCertificate) -> f64 {
    let mut hasher = Sha256::new();
    for name in &certificate.names {
        hasher.update(name.as_str());
        hasher.update([0]); // A byte that no name has.
    }
    hasher.update(&certificate.serial);
    let hash = hasher.finalize();
    let beginning = hash.first_chunk().expect("a SHA-256 has 32 bytes");
    f64::from(u32::from_be_bytes(*beginning)) / f64::from(u32::MAX)
}

fn part(seconds: u64, share: f64) -> u64 {
    (seconds as f64 * share) as u64
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::model::acme::{CertificateSource, SealedKey};

    /// A certificate that is valid for so long from a time on.
    pub(crate) fn certificate(name: &str, from_unix_s: u64, lifetime_s: u64) -> KeptCertificate {
        KeptCertificate {
            names: name.split('+').map(|it| it.parse().unwrap()).collect(),
            addresses: Vec::new(),
            chain: format!("{name} {from_unix_s}"),
            key: SealedKey::default(),
            not_before_unix_s: from_unix_s,
            not_after_unix_s: from_unix_s + lifetime_s,
            serial: format!("{from_unix_s:x}"),
            issuer: "CA".to_owned(),
            directory: None,
            source: CertificateSource::Ordered,
            obtained_unix_s: from_unix_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::certificate;
    use super::*;

    #[test]
    fn names_that_began_together_are_renewed_apart() {
        let times: std::collections::BTreeSet<u64> = (0..50)
            .map(|it| renew_at_unix_s(&certificate(&format!("n{it}.example"), 0, 90 * DAY_S), None))
            .collect();
        assert!(times.len() > 45, "{times:?}");
    }

    #[test]
    fn a_third_left_is_a_reason_to_worry() {
        let certificate = certificate("a.example", 0, 90);
        assert!(!is_worrying(&certificate, 60));
        assert!(is_worrying(&certificate, 61) && is_worrying(&certificate, 1_000));
    }

    #[test]
    fn waits_double_from_seconds_to_half_a_day() {
        let waits: Vec<u64> = (1..=4)
            .map(|it| wait_after(it, 1.0, None).as_secs())
            .collect();
        assert_eq!(waits, [5, 10, 20, 40]);
        assert_eq!(wait_after(u32::MAX, 1.0, None), LONGEST_WAIT);
        let asked = |s| wait_after(1, 1.0, Some(Duration::from_secs(s)));
        assert_eq!(asked(3_600).as_secs(), 3_600);
        assert_eq!(asked(1).as_secs(), 5);
        assert_eq!(asked(u64::MAX), LONGEST_ASKED_WAIT);
    }

    proptest! {
        #[test]
        fn a_renewal_is_in_its_time(lifetime in 60_u64..400 * DAY_S, from in 0_u64..4_000_000_000, start: u32, length: u32) {
            let certificate = certificate("a.example", from, lifetime);
            let at = renew_at_unix_s(&certificate, None);
            prop_assert!(at >= from + lifetime * 6 / 10 && at <= from + lifetime * 2 / 3);
            prop_assert!(!is_worrying(&certificate, at));
            prop_assert!(urgent_at_unix_s(&certificate) >= at);
            let window = RenewalWindow {
                start_unix_s: start.into(),
                end_unix_s: u64::from(start) + u64::from(length),
            };
            let at = renew_at_unix_s(&certificate, Some(window));
            prop_assert!((window.start_unix_s..=window.end_unix_s).contains(&at));
        }
    }
}
