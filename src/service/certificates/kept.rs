//! Makes the record of a certificate, with its key sealed for its place in the document.

use crate::io::seal::Seal;
use crate::logic::records::certificates::certificate_key;
use crate::model::acme::{CertificateSource, KeptCertificate, SealedKey};
use crate::model::certificate::CertificateFacts;
use crate::model::https::CertificateName;

/// How a certificate came to the mesh.
pub(super) struct Obtained {
    /// The names that it is kept for.
    pub(super) names: Vec<CertificateName>,
    /// The address of the authority's directory, if the mesh has ordered it.
    pub(super) directory: Option<String>,
    pub(super) unix_s: u64,
}

/// The record of a certificate (PEM) that says this of itself, and of its key (PEM).
pub(super) fn kept(
    seal: &Seal,
    facts: &CertificateFacts,
    chain: String,
    key: &str,
    obtained: Obtained,
) -> KeptCertificate {
    let place = certificate_key(&chain);
    KeptCertificate {
        names: obtained.names,
        addresses: facts
            .names
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect(),
        key: SealedKey(seal.seal(place.as_str(), key.as_bytes())),
        not_before_unix_s: facts.not_before_unix_s,
        not_after_unix_s: facts.not_after_unix_s,
        serial: facts.serial.clone(),
        issuer: facts.issuer.clone(),
        source: match obtained.directory {
            Some(_) => CertificateSource::Ordered,
            None => CertificateSource::Imported,
        },
        directory: obtained.directory,
        obtained_unix_s: obtained.unix_s,
        chain,
    }
}
