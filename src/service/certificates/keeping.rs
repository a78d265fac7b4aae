//! Lets TLS use the certificates of the document at this node, and warns when one is about to end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::MeshCertificates;
use crate::io::clock;
use crate::io::https::certificate::{BadCertificate, Certificate};
use crate::io::https::certificates::Certificates;
use crate::io::seal::{CannotUnseal, Seal};
use crate::logic::certificates::plan::is_used;
use crate::logic::certificates::precedence::Standing;
use crate::logic::certificates::renewal::{DAY_S, is_worrying};
use crate::logic::records::certificates::Issuance;
use crate::model::acme::KeptCertificate;
use crate::model::record::key::RecordKey;
use crate::model::status::certificates::span;
use crate::service::document::Documents;

/// How often certificates are looked at that may be about to end.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Why a certificate of the document cannot be used at this node.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Sealed(#[from] CannotUnseal),
    #[error(transparent)]
    Bad(#[from] BadCertificate),
}

/// Keeps the certificates of TLS as the document says.
pub(super) struct Keeping {
    documents: Documents,
    seal: Seal,
    store: Certificates,
    /// The certificates that are in use.
    opened: BTreeMap<RecordKey, Certificate>,
    /// The certificates that cannot be used, of which the log was told.
    told: BTreeSet<RecordKey>,
    /// When the log was warned last of a certificate that is about to end, by its serial number.
    warned_unix_s: BTreeMap<String, u64>,
}

impl Keeping {
    pub(super) fn new(config: &MeshCertificates) -> Self {
        Self {
            documents: config.mesh.documents.clone(),
            seal: config.seal.clone(),
            store: config.store.clone(),
            opened: BTreeMap::new(),
            told: BTreeSet::new(),
            warned_unix_s: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let (mut issuance, mut secret) = (self.documents.watch_issuance(), self.seal.changes());
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = BTreeMap::new();
        let mut is_new = true;
        loop {
            let now = issuance.borrow_and_update().clone();
            if is_new || now.certificates != known {
                self.use_these(&now);
                known = now.certificates.clone();
            }
            self.warn_of_ends(&now);
            is_new = tokio::select! {
                changed = issuance.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                changed = secret.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                _ = looks.tick() => false,
            };
        }
    }

    fn use_these(&mut self, issuance: &Issuance) {
        let mut usable = BTreeMap::new();
        let mut unusable = BTreeSet::new();
        for (key, kept) in &issuance.certificates {
            match self.open(key, kept) {
                Ok(certificate) => drop(usable.insert(key.clone(), certificate)),
                Err(why) => {
                    // Sealed under a secret that this node is not told of yet: it is the same key all the same.
                    if let Some(before) = self.opened.remove(key) {
                        usable.insert(key.clone(), before);
                    }
                    if !self.told.contains(key) {
                        warn!(%key, serial = kept.serial, %why, "a certificate of the mesh cannot be opened at this node");
                    }
                    unusable.insert(key.clone());
                }
            }
        }
        self.told = unusable;
        if !issuance.certificates.is_empty() {
            let certificates = usable.len();
            info!(certificates, "certificates of the mesh in use");
        }
        let in_use = usable.iter().filter_map(|(key, certificate)| {
            let kept = issuance.certificates.get(key)?;
            Some((certificate.clone(), Standing::of(kept)))
        });
        self.store.set_mesh(in_use.collect());
        self.opened = usable;
    }

    fn open(&self, key: &RecordKey, kept: &KeptCertificate) -> Result<Certificate, Unusable> {
        let opened = self.seal.open(key.as_str(), &kept.key.0)?;
        let pem = String::from_utf8_lossy(&opened.text);
        Ok(Certificate::from_pem(&kept.chain, &pem)?)
    }

    /// Warns once a day of each certificate that should have been renewed, unless another one is used in its place.
    fn warn_of_ends(&mut self, issuance: &Issuance) {
        let now = clock::unix_s();
        let certificates = issuance.certificates.values();
        let ending = certificates.filter(|it| is_used(issuance, it, now) && is_worrying(it, now));
        let mut warned = BTreeMap::new();
        for certificate in ending {
            let before = self.warned_unix_s.get(&certificate.serial).copied();
            let at = before.filter(|at| at.saturating_add(DAY_S) > now);
            if at.is_none() {
                let names = shown(certificate);
                let left = span(certificate.not_after_unix_s.saturating_sub(now));
                let serial = &certificate.serial;
                match certificate.not_after_unix_s < now {
                    true => warn!(
                        names,
                        serial,
                        "a certificate has ended and was not renewed: see antiphon cert list"
                    ),
                    false => warn!(
                        names,
                        serial,
                        left,
                        "a certificate is about to end and was not renewed: see antiphon cert list"
                    ),
                }
            }
            warned.insert(certificate.serial.clone(), at.unwrap_or(now));
        }
        self.warned_unix_s = warned;
    }
}

/// The names of a certificate, for the log.
pub(super) fn shown(certificate: &KeptCertificate) -> String {
    let names: Vec<&str> = certificate.names.iter().map(|it| it.as_str()).collect();
    names.join(",")
}
