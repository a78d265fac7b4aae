//! The certificates of the mesh, and those of this node alone, as the status shows them.

use std::collections::BTreeMap;

use super::{Statuses, Viewer};
use crate::io::clock;
use crate::io::https::certificates::Origin;
use crate::logic::certificates::overview::overview;
use crate::logic::certificates::plan::IssuerView;
use crate::model::caption::caption;
use crate::model::certificate::CertificateFacts;
use crate::model::seat::Seat;
use crate::model::status::certificates::{CertificateState, CertificateStatus, CertificatesStatus};
use crate::proto::certificates::{is_minority, wanted_by};
use crate::service::certificates::sealing::SealedKeys;

impl Statuses {
    /// The same; `None` where there are none, and should be none.
    pub(super) fn certificates_if_any(&self, viewer: Viewer) -> Option<CertificatesStatus> {
        let status = self.certificates(viewer);
        (status.https || !status.certificates.is_empty()).then_some(status)
    }

    /// The certificates as a viewer may see them: faults are for operators.
    pub fn certificates(&self, viewer: Viewer) -> CertificatesStatus {
        let mesh = &self.config.mesh;
        let (view, issuance) = (mesh.cluster.view(), mesh.documents.issuance());
        let now_unix_s = clock::unix_s();
        let is_on = issuance.settings.is_on;
        let wanted = wanted_by(&view, &issuance.settings);
        let holder = view.seats.get(&Seat::Certificates).filter(|_| is_on);
        let fence = holder.map(|claim| claim.fence());
        let keys = SealedKeys::of(&issuance, &self.config.seal);
        let mut certificates = overview(IssuerView {
            issuance: &keys.usable,
            locked: &keys.locked,
            wanted: &wanted,
            windows: &BTreeMap::new(), // the issuer's own knowledge, and seldom far from the usual time
            holder: fence.as_ref(),
            is_minority: is_minority(&view),
            now_unix_s,
        });
        let held = self.config.certificates.list();
        let of_files = held.iter().filter(|held| held.origin == Origin::Files);
        certificates.extend(of_files.map(|it| of_file(&it.certificate.facts, now_unix_s)));
        for certificate in &mut certificates {
            let fault = certificate.fault.as_deref().map(caption);
            certificate.fault = fault.filter(|_| viewer == Viewer::Operator);
            certificate.issuer = certificate.issuer.as_deref().map(caption);
        }
        CertificatesStatus {
            https: is_on,
            node: holder.map(|claim| claim.node.clone()),
            keys_to_seal: keys.outdated,
            certificates,
        }
    }
}

/// The line of a certificate from files of this node.
fn of_file(facts: &CertificateFacts, now_unix_s: u64) -> CertificateStatus {
    let left = facts.not_after_unix_s.checked_sub(now_unix_s);
    let state = match left {
        None => CertificateState::Expired,
        Some(_) if now_unix_s < facts.not_before_unix_s => CertificateState::Upcoming,
        Some(left) if left < facts.lifetime_s() / 3 => CertificateState::Ending,
        Some(_) => CertificateState::Valid,
    };
    CertificateStatus {
        names: facts.names.iter().map(|name| caption(name)).collect(),
        state,
        begins_unix_s: Some(facts.not_before_unix_s).filter(|at| now_unix_s < *at),
        until_unix_s: Some(facts.not_after_unix_s),
        serial: Some(facts.serial.clone()),
        issuer: Some(facts.issuer.clone()),
        source: Some("file".to_owned()),
        ..CertificateStatus::default()
    }
}
