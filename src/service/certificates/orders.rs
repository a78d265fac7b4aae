//! Orders of operators about certificates: one from elsewhere for the mesh, and new ones before their time.

use std::net::IpAddr;

use super::kept::{Obtained, kept};
use super::sealing::SealedKeys;
use crate::io::clock;
use crate::io::https::certificate::{BadCertificate, Certificate};
use crate::io::seal::Seal;
use crate::logic::certificates::names::{ProofWay, WantedCertificate, meant_by};
use crate::logic::certificates::plan::{held, rationed_until};
use crate::logic::records::certificates::{Issuance, MAX_CHAIN_BYTES};
use crate::model::acme::{CertificateSource, KeptCertificate};
use crate::model::https::CertificateName;
use crate::model::status::certificates::span;
use crate::model::suggest::listed;
use crate::proto::certificates::wanted_by;
use crate::service::document::{ChangeError, Documents};
use crate::service::mesh::Mesh;

/// The most names in an error.
const MAX_SHOWN_NAMES: usize = 8;
/// The longest part of an unknown name that is repeated.
const MAX_SHOWN_LETTERS: usize = 64;

/// Why a certificate is not imported. Nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    /// The certificate or its key is damaged, or they do not belong together.
    #[error(transparent)]
    Bad(#[from] BadCertificate),
    /// The certificate is for no host.
    #[error("the certificate is for no name of a host, such as radio.example, and for no address")]
    NoName,
    /// The chain is longer than those of authorities.
    #[error(
        "the certificates have more than {MAX_CHAIN_BYTES} bytes: leave out what players know, such as the root"
    )]
    TooLong,
    /// The certificate has ended so many seconds ago.
    #[error("the certificate has ended {} ago", span(*.0))]
    Expired(u64),
    /// The document does not take it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// Why a certificate is not ordered anew.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    /// No certificate is ordered at all.
    #[error("the mesh gets no certificates from an authority: see antiphon cert enable --help")]
    Off,
    /// The name is none for which a certificate is ordered.
    #[error("no certificate for {name:?} is ordered here; these are: {known}")]
    Unknown {
        /// The beginning of the name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The ration of the day is used up.
    #[error(
        "two certificates for {name} were got within a day, which is the most; the next can be ordered in {}",
        span(*.wait_s)
    )]
    Rationed {
        /// The name.
        name: CertificateName,
        /// The seconds until the next one.
        wait_s: u64,
    },
    /// The name cannot be proven.
    #[error("{0} cannot be proven: a wildcard needs a zone that the mesh serves")]
    Unprovable(CertificateName),
    /// An operator has given the mesh a certificate for the name, and has not named it now.
    #[error(
        "{0} has a certificate that was imported; antiphon cert renew {0} orders one in its place"
    )]
    Imported(CertificateName),
    /// The document does not take it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// The orders that a wish for new certificates has led to.
#[derive(Debug, Default)]
pub struct RenewalOrders {
    /// The first name of each certificate that is ordered.
    pub ordered: Vec<String>,
    /// The first name of each other one, and why it is not ordered.
    pub left_out: Vec<(String, NotRenewed)>,
}

/// Gives a certificate (PEM) with its key (PEM) to the mesh.
pub async fn import(
    documents: &Documents,
    seal: &Seal,
    chain: String,
    key: &str,
) -> Result<KeptCertificate, NotImported> {
    if chain.len() > MAX_CHAIN_BYTES {
        return Err(NotImported::TooLong);
    }
    let facts = Certificate::from_pem(&chain, key)?.facts;
    let names = facts.names.iter().filter_map(|name| name.parse().ok());
    let names: Vec<CertificateName> = names.collect();
    let has_address = facts
        .names
        .iter()
        .any(|name| name.parse::<IpAddr>().is_ok());
    if names.is_empty() && !has_address {
        return Err(NotImported::NoName);
    }
    let now = clock::unix_s();
    if facts.not_after_unix_s <= now {
        return Err(NotImported::Expired(now - facts.not_after_unix_s));
    }
    let unix_s = documents.issuance().last_unix_s(&names, now);
    let obtained = Obtained {
        names,
        directory: None,
        unix_s,
    };
    let kept = kept(seal, &facts, chain, key, obtained);
    // An order that is under way would take the place of what the operator has just given, unless that has to wait.
    let issuance = documents.issuance();
    let is_ended = |names: &[CertificateName]| !kept.is_upcoming(now) && kept.covers(names);
    let ended = issuance.orders.values().filter(|it| is_ended(&it.names));
    let ended = ended.map(|order| order.first_name().clone()).collect();
    documents.keep_certificate(kept.clone(), ended).await?;
    Ok(kept)
}

/// Has the certificate for a name ordered anew, or all that can be.
pub async fn renew(
    mesh: &Mesh,
    seal: &Seal,
    name: Option<&str>,
) -> Result<RenewalOrders, NotRenewed> {
    let issuance = SealedKeys::of(&mesh.documents.issuance(), seal).usable;
    if !issuance.settings.is_on {
        return Err(NotRenewed::Off);
    }
    let wanted = wanted_by(&mesh.cluster.view(), &issuance.settings);
    let now = clock::unix_s();
    let mut renewed = RenewalOrders::default();
    for certificate in meant(&wanted, name)? {
        let first = certificate.first_name();
        let imported = held(&issuance, &certificate.names, now)
            .filter(|it| {
                it.source == CertificateSource::Imported && name.is_none() && !it.is_upcoming(now)
            })
            .map(|_| NotRenewed::Imported(first.clone()));
        match refusal(&issuance, certificate, now).or(imported) {
            Some(why) if name.is_some() => return Err(why),
            Some(why) => renewed.left_out.push((first.to_string(), why)),
            None => {
                mesh.documents.wish_certificate(first, now).await?;
                renewed.ordered.push(first.to_string());
            }
        }
    }
    Ok(renewed)
}

/// Has failed orders tried again at once: what was wrong may be mended by new settings.
pub async fn retry_failed(documents: &Documents) -> Result<(), ChangeError> {
    let (issuance, now) = (documents.issuance(), clock::unix_s());
    let failed = issuance.orders.values().filter(|order| order.failures > 0);
    for order in failed.filter(|_| issuance.settings.is_on) {
        documents.wish_certificate(order.first_name(), now).await?;
    }
    Ok(())
}

/// The certificates that are for a name, or all.
fn meant<'a>(
    wanted: &'a [WantedCertificate],
    name: Option<&str>,
) -> Result<Vec<&'a WantedCertificate>, NotRenewed> {
    let Some(text) = name else {
        return Ok(wanted.iter().collect());
    };
    let unknown = || {
        let known: Vec<&str> = wanted.iter().map(|it| it.first_name().as_str()).collect();
        NotRenewed::Unknown {
            name: text.chars().take(MAX_SHOWN_LETTERS).collect(),
            known: listed(&known, MAX_SHOWN_NAMES),
        }
    };
    let name: CertificateName = text.parse().map_err(|_| unknown())?;
    let found = meant_by(wanted, &name).ok_or_else(unknown)?;
    Ok(vec![found])
}

/// Why a certificate cannot be ordered now.
fn refusal(
    issuance: &Issuance,
    certificate: &WantedCertificate,
    now_unix_s: u64,
) -> Option<NotRenewed> {
    let name = certificate.first_name().clone();
    if certificate.way == ProofWay::No {
        return Some(NotRenewed::Unprovable(name));
    }
    let wait_s = rationed_until(issuance, certificate, now_unix_s).saturating_sub(now_unix_s);
    (wait_s > 0).then_some(NotRenewed::Rationed { name, wait_s })
}
