//! Takes a certificate out of the mesh, as an operator has asked for.

use std::net::IpAddr;
use std::slice;

use tracing::info;

use super::keeping::shown;
use crate::io::clock;
use crate::logic::certificates::names::{ProofWay, WantedCertificate};
use crate::logic::certificates::plan::held;
use crate::logic::certificates::precedence::precedence;
use crate::logic::records::certificates::Issuance;
use crate::model::acme::{CertificateSource, KeptCertificate};
use crate::model::https::CertificateName;
use crate::model::record::key::RecordKey;
use crate::model::suggest::listed;
use crate::proto::certificates::wanted_by;
use crate::service::document::ChangeError;
use crate::service::mesh::Mesh;

/// The most certificates in an error.
const MAX_SHOWN: usize = 8;
/// The longest part of an unknown name that is repeated.
const MAX_SHOWN_LETTERS: usize = 64;

/// Why a certificate is not deleted. Nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum NotDeleted {
    /// The mesh has no such certificate.
    #[error(
        "the mesh keeps no certificate for {which:?}, and none with that serial number; there are: {known}. One of tls_cert is \
         a file of its node"
    )]
    Unknown {
        /// The beginning of what was asked for.
        which: String,
        /// The certificates that there are.
        known: String,
    },
    /// The mesh would order it anew within seconds.
    #[error(
        "the mesh would order another one for {0} at once: antiphon cert renew {0} replaces it, and antiphon cert disable ends \
         all orders"
    )]
    Wanted(CertificateName),
    /// The document does not take it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// A certificate that was taken out.
#[derive(Debug)]
pub struct DeletedCertificate {
    /// The certificate.
    pub certificate: KeptCertificate,
    /// The names and addresses for which the mesh has no other one.
    pub bare: Vec<String>,
}

/// Deletes the certificate with this serial number, or the one that is used for this name or address.
pub async fn delete(mesh: &Mesh, which: &str) -> Result<DeletedCertificate, NotDeleted> {
    let issuance = mesh.documents.issuance();
    let found = of_host(&issuance, which).or_else(|| of_serial(&issuance, which));
    let (key, certificate) = found.ok_or_else(|| unknown(&issuance, which))?;
    let mut left = Issuance::clone(&issuance);
    left.certificates.remove(key);
    let wanted = wanted_by(&mesh.cluster.view(), &issuance.settings);
    if let Some(name) = ordered_anew(&issuance, &left, certificate, &wanted) {
        return Err(NotDeleted::Wanted(name));
    }
    mesh.documents.remove_issuance(key).await?;
    let (names, serial) = (shown(certificate), &certificate.serial);
    info!(names, serial, "a certificate is deleted");
    Ok(DeletedCertificate {
        bare: bare(&left, certificate),
        certificate: certificate.clone(),
    })
}

type Entry<'a> = (&'a RecordKey, &'a KeptCertificate);

fn of_serial<'a>(issuance: &'a Issuance, which: &str) -> Option<Entry<'a>> {
    // openssl shows it in capitals, with colons, and without the zero that may be in front.
    let plain = |serial: &str| {
        let digits = serial.replace(':', "").to_ascii_lowercase();
        digits.trim_start_matches('0').to_owned()
    };
    let (which, mut all) = (plain(which), issuance.certificates.iter());
    all.find(|(_, it)| !which.is_empty() && plain(&it.serial) == which)
}

fn of_host<'a>(issuance: &'a Issuance, which: &str) -> Option<Entry<'a>> {
    let name: Option<CertificateName> = which.parse().ok();
    let address: Option<IpAddr> = which.parse().ok();
    let named = issuance.certificates.iter().filter(|(_, it)| {
        let has_name = name.as_ref().is_some_and(|name| it.names.contains(name));
        has_name || address.is_some_and(|ip| it.addresses.contains(&ip))
    });
    let (names, now) = (name.as_slice(), clock::unix_s());
    named.max_by_key(|(key, it)| (precedence(it, names, now), *key))
}

fn unknown(issuance: &Issuance, which: &str) -> NotDeleted {
    let certificates = issuance.certificates.values();
    let known: Vec<String> = certificates
        .map(|it| format!("{} ({})", it.hosts().join(","), it.serial))
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    NotDeleted::Unknown {
        which: which.chars().take(MAX_SHOWN_LETTERS).collect(),
        known: match known.is_empty() {
            true => "none".to_owned(),
            false => listed(&known, MAX_SHOWN),
        },
    }
}

/// The name for which the mesh would order a certificate because of this one's end.
fn ordered_anew(
    issuance: &Issuance,
    left: &Issuance,
    certificate: &KeptCertificate,
    wanted: &[WantedCertificate],
) -> Option<CertificateName> {
    if certificate.source == CertificateSource::Imported {
        return None;
    }
    let now = clock::unix_s();
    let is_only = |it: &&WantedCertificate| {
        let is_used = held(issuance, &it.names, now) == Some(certificate);
        it.way != ProofWay::No && is_used && held(left, &it.names, now).is_none()
    };
    let wanted = wanted.iter().find(is_only)?;
    Some(wanted.first_name().clone())
}

/// The hosts of a certificate that none of those that are left is for.
fn bare(left: &Issuance, certificate: &KeptCertificate) -> Vec<String> {
    let others = || left.certificates.values();
    let is_bare = |name: &&CertificateName| !others().any(|it| it.covers(slice::from_ref(name)));
    let names = certificate.names.iter().filter(is_bare);
    let addresses = certificate.addresses.iter();
    let addresses = addresses.filter(|ip| !others().any(|it| it.addresses.contains(ip)));
    let addresses = addresses.map(IpAddr::to_string);
    names.map(ToString::to_string).chain(addresses).collect()
}
