//! When the authority would like certificates to be renewed, as far as it says that: asked now and then, never waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::io::acme::Authority;
use crate::logic::certificates::renewal::RenewalWindow;
use crate::logic::records::certificates::Issuance;
use crate::model::acme::CertificateSource;

/// The least and the most time until the authority is asked again, seconds: the standard says that six hours are usual.
const ASK_AGAIN_S: [u64; 2] = [3_600, 86_400];

/// The windows, by the serial numbers of certificates.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) known: BTreeMap<String, RenewalWindow>,
    ask_at_unix_s: BTreeMap<String, u64>,
}

impl Windows {
    /// Forgets certificates that are gone.
    pub(super) fn retain(&mut self, issuance: &Issuance) {
        let is_kept = |serial: &String| {
            issuance
                .certificates
                .values()
                .any(|it| it.serial == *serial)
        };
        self.known.retain(|serial, _| is_kept(serial));
        self.ask_at_unix_s.retain(|serial, _| is_kept(serial));
    }

    /// A certificate that the authority is to be asked about now: its serial number and its chain.
    pub(super) fn next(&self, issuance: &Issuance, now_unix_s: u64) -> Option<(String, String)> {
        let is_due = |serial: &String| {
            // A time further away than we ever wait was noted by a clock that was ahead.
            let latest = now_unix_s.saturating_add(ASK_AGAIN_S[1]);
            let at = self.ask_at_unix_s.get(serial);
            at.is_none_or(|at| *at <= now_unix_s || *at > latest)
        };
        let mut certificates = issuance.certificates.values();
        let due = certificates.find(|it| {
            let is_valid = it.not_after_unix_s > now_unix_s;
            it.source == CertificateSource::Ordered && is_valid && is_due(&it.serial)
        })?;
        Some((due.serial.clone(), due.chain.clone()))
    }

    /// Asks about one certificate. An authority that does not answer is asked again in a day.
    pub(super) async fn ask(
        &mut self,
        authority: Option<&Authority>,
        certificate: (String, String),
        now_unix_s: u64,
    ) {
        let (serial, chain) = certificate;
        let answer = match authority {
            Some(authority) => authority.renewal_window(&chain).await,
            None => None,
        };
        let [least, most] = ASK_AGAIN_S.map(Duration::from_secs);
        let again = answer.map_or(most, |(_, again)| again.clamp(least, most));
        self.ask_at_unix_s
            .insert(serial.clone(), now_unix_s + again.as_secs());
        match answer {
            Some((window, _)) => self.known.insert(serial, window),
            None => self.known.remove(&serial),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::certificates::renewal::samples::certificate;
    use crate::logic::records::certificates::certificate_key;

    #[test]
    fn the_authority_is_asked_again_after_a_wrong_clock() {
        let (mut issuance, now) = (Issuance::default(), 1_000_000);
        let kept = certificate("a.example", now - 10, 900_000);
        let serial = kept.serial.clone();
        let key = certificate_key(&kept.chain);
        issuance.certificates.insert(key, kept);
        let mut windows = Windows::default();
        for (wait_s, is_due) in [(0, true), (86_400, false), (200_000, true)] {
            windows.ask_at_unix_s.insert(serial.clone(), now + wait_s);
            let next = windows.next(&issuance, now);
            assert_eq!(next.is_some(), is_due, "{wait_s}");
        }
    }
}
