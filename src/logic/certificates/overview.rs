//! The certificates as operators see them: what there is, what should be, and what is wrong.

use super::names::{ProofWay, WantedCertificate};
use super::plan::{IssuerView, due_at, held};
use super::renewal::is_worrying;
use crate::model::acme::KeptCertificate;
use crate::model::https::CertificateName;
use crate::model::status::certificates::{CertificateState, CertificateStatus};

/// A line for each certificate that is wanted, and for each other one that is used.
pub fn overview(view: IssuerView<'_>) -> Vec<CertificateStatus> {
    let issuance = view.issuance;
    let mut lines: Vec<CertificateStatus> = view.wanted.iter().map(|it| line(view, it)).collect();
    let others = issuance.certificates.values().filter(|certificate| {
        let is_wanted = view.wanted.iter().any(|it| certificate.covers(&it.names));
        let is_used = held(issuance, &certificate.names) == Some(*certificate);
        is_used && !is_wanted
    });
    lines.extend(others.map(|it| of(it, view.now_unix_s)));
    lines
}

fn line(view: IssuerView<'_>, wanted: &WantedCertificate) -> CertificateStatus {
    let issuance = view.issuance;
    let missing = || CertificateStatus {
        state: CertificateState::Missing,
        ..CertificateStatus::default()
    };
    let held = held(issuance, &wanted.names);
    let held = held.map_or_else(missing, |held| of(held, view.now_unix_s));
    let order = issuance.orders.get(wanted.first_name());
    let is_on = issuance.settings.is_on;
    let fault = match (is_on, wanted.way) {
        (true, ProofWay::No) => Some(
            "a wildcard needs a zone that the mesh serves; name the hosts one by one, or see docs/dns.md"
                .to_owned(),
        ),
        _ => order.and_then(|order| order.fault.clone()),
    };
    CertificateStatus {
        names: texts(&wanted.names),
        is_ordering: order.is_some_and(|order| order.open.is_some() && order.fault.is_none()),
        next_unix_s: due_at(view, wanted).filter(|_| is_on),
        failures: order.map_or(0, |order| order.failures),
        fault,
        ..held
    }
}

fn of(certificate: &KeptCertificate, now_unix_s: u64) -> CertificateStatus {
    let state = match certificate.not_after_unix_s.checked_sub(now_unix_s) {
        None => CertificateState::Expired,
        Some(_) if is_worrying(certificate, now_unix_s) => CertificateState::Ending,
        Some(_) => CertificateState::Valid,
    };
    CertificateStatus {
        names: texts(&certificate.names),
        state,
        until_unix_s: Some(certificate.not_after_unix_s),
        serial: Some(certificate.serial.clone()),
        issuer: Some(certificate.issuer.clone()),
        source: Some(certificate.source.word().to_owned()),
        ..CertificateStatus::default()
    }
}

fn texts(names: &[CertificateName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::names::wanted;
    use super::super::renewal::samples::certificate;
    use super::*;
    use crate::logic::records::certificates::{Issuance, certificate_key};

    #[test]
    fn every_certificate_has_a_line() {
        let mut issuance = Issuance::default();
        issuance.settings.is_on = true;
        for kept in [
            certificate("a.example", 1_000, 900),
            certificate("other.example", 1_000, 90),
            certificate("other.example", 900, 90),
        ] {
            issuance
                .certificates
                .insert(certificate_key(&kept.chain), kept);
        }
        let listed = "a.example,b.example,*.c.example".parse().unwrap();
        let wanted = wanted(&Default::default(), [], &listed);
        let windows = BTreeMap::new();
        let view = |now_unix_s| IssuerView {
            issuance: &issuance,
            wanted: &wanted,
            windows: &windows,
            is_minority: false,
            now_unix_s,
        };
        let shown: Vec<String> = overview(view(1_080))
            .iter()
            .map(|it| it.in_words(1_080))
            .collect();
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert!(
            shown[0].starts_with("*.c.example: no certificate yet; a wildcard needs a zone"),
            "{}",
            shown[0]
        );
        assert!(
            shown[1].starts_with("a.example: valid, 13 min left, next order in "),
            "{}",
            shown[1]
        );
        assert_eq!(shown[2], "b.example: no certificate yet, to be ordered");
        assert_eq!(shown[3], "other.example: about to end, 10 s left");
        let states = overview(view(2_000)).into_iter().map(|it| it.state);
        let expired = states.filter(|it| *it == CertificateState::Expired);
        assert_eq!(expired.count(), 2);
    }
}
