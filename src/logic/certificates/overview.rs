//! The certificates as operators see them: what there is, what should be, and what is wrong.

use super::claim::claimed;
use super::names::{ProofWay, WantedCertificate};
use super::plan::{IssuerView, due_at, held, is_used};
use super::renewal::is_worrying;
use crate::model::acme::KeptCertificate;
use crate::model::status::certificates::{CertificateState, CertificateStatus, span};

/// A line for each certificate that is used, and for each that is wanted and not there.
pub fn overview(view: IssuerView<'_>) -> Vec<CertificateStatus> {
    let (issuance, now) = (view.issuance, view.now_unix_s);
    let mut lines: Vec<(Option<&KeptCertificate>, CertificateStatus)> = Vec::new();
    for wanted in view.wanted {
        let held = held(issuance, &wanted.names, now);
        let known = lines
            .iter_mut()
            .find(|(it, _)| held.is_some() && *it == held);
        let line = match known {
            Some((_, line)) => line,
            None => {
                let line = held.map_or_else(|| missing(wanted), |it| of(it, now));
                lines.push((held, line));
                &mut lines.last_mut().expect("it was pushed just now").1
            }
        };
        add_order(view, wanted, line);
    }
    let others = issuance.certificates.values().filter(|it| {
        let is_shown = lines.iter().any(|(shown, _)| *shown == Some(*it));
        !is_shown && (it.is_upcoming(now) || is_used(issuance, it, now))
    });
    let others = others
        .map(|it| of(it, now))
        .chain(view.locked.values().map(locked));
    let others: Vec<CertificateStatus> = others.collect();
    lines
        .into_iter()
        .map(|(_, line)| line)
        .chain(others)
        .collect()
}

/// The line of a certificate that nobody can use.
fn locked(certificate: &KeptCertificate) -> CertificateStatus {
    CertificateStatus {
        state: CertificateState::Locked,
        fault: Some(
            "no key of this node's secret opens the key of this certificate, so it is not used: put the secret back under \
             which it was sealed, as a further line, or import it again"
                .to_owned(),
        ),
        ..described(certificate)
    }
}

fn missing(wanted: &WantedCertificate) -> CertificateStatus {
    CertificateStatus {
        names: wanted.names.iter().map(ToString::to_string).collect(),
        state: CertificateState::Missing,
        ..CertificateStatus::default()
    }
}

/// Says of a line what is known of the order of a certificate for these names: one that was imported may be there for several.
fn add_order(view: IssuerView<'_>, wanted: &WantedCertificate, line: &mut CertificateStatus) {
    let name = wanted.first_name();
    let order = view.issuance.orders.get(name);
    let is_on = view.issuance.settings.is_on;
    let claimed = claimed(view.issuance, view.holder, name, view.now_unix_s);
    let fault = match (is_on, wanted.way) {
        (true, ProofWay::No) => Some(
            "a wildcard needs a zone that the mesh serves; name the hosts one by one, or see docs/dns.md"
                .to_owned(),
        ),
        (true, _) if claimed.is_some() => claimed.as_ref().map(|it| {
            let wait = span(it.until_unix_s.saturating_sub(view.now_unix_s));
            format!("{} has begun the order by a later claim, as after a restart of all nodes; it is gone on with in {wait}", it.node)
        }),
        _ => order.and_then(|order| order.fault.clone()),
    };
    let is_first = line.names.first().map(String::as_str) == Some(name.as_str());
    let fault = fault.map(|fault| match is_first {
        true => fault,
        false => format!("{name}: {fault}"),
    });
    let next = due_at(view, wanted).filter(|_| is_on);
    line.is_ordering |= claimed.is_none()
        && order.is_some_and(|order| order.open.is_some() && order.fault.is_none());
    line.next_unix_s = line.next_unix_s.into_iter().chain(next).min();
    line.failures = line.failures.max(order.map_or(0, |order| order.failures));
    line.fault = line.fault.take().or(fault);
}

fn of(certificate: &KeptCertificate, now_unix_s: u64) -> CertificateStatus {
    let state = match certificate.not_after_unix_s.checked_sub(now_unix_s) {
        None => CertificateState::Expired,
        Some(_) if certificate.is_upcoming(now_unix_s) => CertificateState::Upcoming,
        Some(_) if is_worrying(certificate, now_unix_s) => CertificateState::Ending,
        Some(_) => CertificateState::Valid,
    };
    CertificateStatus {
        state,
        begins_unix_s: certificate
            .is_upcoming(now_unix_s)
            .then_some(certificate.not_before_unix_s),
        ..described(certificate)
    }
}

/// The line of a certificate, but for its state.
fn described(certificate: &KeptCertificate) -> CertificateStatus {
    CertificateStatus {
        names: certificate.hosts(),
        until_unix_s: Some(certificate.not_after_unix_s),
        serial: Some(certificate.serial.clone()),
        issuer: Some(certificate.issuer.clone()),
        source: Some(certificate.source.word().to_owned()),
        ..CertificateStatus::default()
    }
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
            certificate("a.example", 1_500, 400),
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
        let sealed = certificate("c.example", 1_000, 900);
        let locked = BTreeMap::from([(certificate_key(&sealed.chain), sealed)]);
        let view = |now_unix_s| IssuerView {
            issuance: &issuance,
            locked: &locked,
            wanted: &wanted,
            windows: &windows,
            holder: None,
            is_minority: false,
            now_unix_s,
        };
        let shown: Vec<String> = overview(view(1_080))
            .iter()
            .map(|it| it.in_words(1_080))
            .collect();
        assert_eq!(shown.len(), 6, "{shown:?}");
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
        let others = &shown[3..5];
        assert!(others.contains(&"other.example: about to end, 10 s left".to_owned()));
        let upcoming = "a.example: not valid yet, begins in 7 min, 13 min left";
        assert!(others.contains(&upcoming.to_owned()), "{others:?}");
        assert!(
            shown[5].starts_with("c.example: its key cannot be opened, 13 min left; no key of"),
            "{}",
            shown[5]
        );
        let states = overview(view(2_000)).into_iter().map(|it| it.state);
        let expired = states.filter(|it| *it == CertificateState::Expired);
        assert_eq!(expired.count(), 2);
    }

    fn overview_names(issuance: &Issuance, wanted: &[WantedCertificate]) -> Vec<String> {
        let lines = overview(IssuerView {
            issuance,
            locked: &BTreeMap::new(),
            wanted,
            windows: &BTreeMap::new(),
            holder: None,
            is_minority: false,
            now_unix_s: 1_010,
        });
        let mut names: Vec<String> = lines.iter().map(|it| it.names.join("+")).collect();
        names.sort();
        names
    }

    #[test]
    fn one_that_is_used_for_any_of_its_hosts_is_shown_once_with_all_of_them() {
        let mut issuance = Issuance::default();
        issuance.settings.is_on = true;
        let address = "192.0.2.1".parse().unwrap();
        let first = KeptCertificate {
            addresses: vec![address],
            ..certificate("a.example", 1_000, 900)
        };
        let (second, third) = (
            certificate("a.example+b.example", 1_001, 900),
            certificate("a.example", 1_002, 900),
        );
        for kept in [first, second, third] {
            issuance
                .certificates
                .insert(certificate_key(&kept.chain), kept);
        }
        let listed = "a.example,b.example".parse().unwrap();
        let wanted = wanted(&Default::default(), [], &listed);
        let all = ["a.example", "a.example+192.0.2.1", "a.example+b.example"];
        assert_eq!(overview_names(&issuance, &wanted), all);
        assert_eq!(overview_names(&issuance, &[]), all);
        issuance
            .certificates
            .retain(|_, it| it.obtained_unix_s == 1_001);
        assert_eq!(overview_names(&issuance, &wanted), ["a.example+b.example"]);
    }
}
