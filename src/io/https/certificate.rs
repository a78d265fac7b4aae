//! A certificate with its chain and its key, checked, and ready to be used by TLS.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::model::certificate::CertificateFacts;
use crate::wire::pem::{self, BadPem, PemSection};

/// The most certificates in a chain. Those of public authorities have two to four.
const MAX_CHAIN: usize = 16;

/// A certificate that TLS can be spoken with. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    /// The names and dates in it.
    pub facts: Arc<CertificateFacts>,
    /// The chain that is shown, and the key that it is for.
    pub key: Arc<CertifiedKey>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f) // never the key
    }
}

/// One of the two texts of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatePart {
    /// The certificate and those above it.
    Chain,
    /// The private key.
    Key,
}

impl fmt::Display for CertificatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "the certificate",
            Self::Key => "the key",
        })
    }
}

/// Why two texts are no certificate and its key: in which of them, and in which line from 1.
///
/// The error repeats nothing of the texts.
#[derive(Debug)]
pub struct BadCertificate {
    /// The text in question.
    pub part: CertificatePart,
    /// The line in question, if there is one.
    pub line: Option<usize>,
    /// The fault.
    pub fault: CertificateFault,
}

impl fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.part, self.fault),
            None => write!(f, "{}: {}", self.part, self.fault),
        }
    }
}

impl std::error::Error for BadCertificate {}

/// A fault of a certificate or its key, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// The text is no PEM.
    #[error(transparent)]
    Pem(#[from] BadPem),
    /// No section is a certificate.
    #[error("there is no certificate in it: a line -----BEGIN CERTIFICATE----- is missing")]
    NoCertificate,
    /// More certificates than any chain has.
    #[error(
        "more than {MAX_CHAIN} certificates: put the one for this node first, then those above it"
    )]
    TooLong,
    /// A section that says that it is a certificate is none.
    #[error("this is not a certificate that TLS can use")]
    NotACertificate,
    /// No section is a key.
    #[error("there is no private key in it: a line -----BEGIN PRIVATE KEY----- is missing")]
    NoKey,
    /// The key needs a password.
    #[error(
        "the key is encrypted, and nobody is there to type its password: decrypt it (openssl pkey)"
    )]
    EncryptedKey,
    /// The key is of a kind that is not supported, or damaged.
    #[error(
        "the key is damaged, or of a kind that is not supported: use ECDSA (P-256, P-384), Ed25519 or RSA of 2048 to 4096 bits"
    )]
    UnsupportedKey,
    /// The key belongs to another certificate.
    #[error("the key does not belong to the certificate: each certificate has a key of its own")]
    OtherKey,
    /// The key belongs to a certificate that is not the first.
    #[error("the key belongs to the certificate in line {0}, which must be the first one")]
    WrongOrder(usize),
}

impl Certificate {
    /// Reads a certificate, with those above it behind it, and its key. Both may stand in one text: what of each
    /// belongs to the other is passed over.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, BadCertificate> {
        let sections = pem::sections(chain).map_err(|bad| bad_pem(CertificatePart::Chain, bad))?;
        let chain = chain_of(sections)?;
        let facts = facts_of(&chain[0])?;
        let sections = pem::sections(key).map_err(|bad| bad_pem(CertificatePart::Key, bad))?;
        let (line, key) = key_of(sections)?;
        let bad_key = |fault| bad(CertificatePart::Key, Some(line), fault);
        let signing =
            any_supported_type(&key).map_err(|_| bad_key(CertificateFault::UnsupportedKey))?;
        let lines: Vec<usize> = chain.iter().map(|section| section.line).collect();
        let ders = chain.into_iter().map(|section| section.der.into());
        let certified = CertifiedKey::new(ders.collect(), signing);
        if !matches(&certified, lines[0])? {
            return Err(bad_key(mismatch(&certified, &lines)));
        }
        Ok(Self {
            facts: Arc::new(facts),
            key: Arc::new(certified),
        })
    }
}

fn bad(part: CertificatePart, line: Option<usize>, fault: CertificateFault) -> BadCertificate {
    BadCertificate { part, line, fault }
}

fn bad_pem(part: CertificatePart, error: BadPem) -> BadCertificate {
    bad(part, error.line(), CertificateFault::Pem(error))
}

/// The certificates among the sections; at least one.
fn chain_of(sections: Vec<PemSection>) -> Result<Vec<PemSection>, BadCertificate> {
    let mut chain = sections;
    chain.retain(PemSection::is_certificate);
    let bad = |line, fault| Err(bad(CertificatePart::Chain, line, fault));
    match chain.get(MAX_CHAIN) {
        _ if chain.is_empty() => bad(None, CertificateFault::NoCertificate),
        Some(beyond) => bad(Some(beyond.line), CertificateFault::TooLong),
        None => {
            for section in &chain {
                facts_of(section)?;
            }
            Ok(chain)
        }
    }
}

/// The first key among the sections, and its line.
fn key_of(sections: Vec<PemSection>) -> Result<(usize, PrivateKeyDer<'static>), BadCertificate> {
    let bad = |line, fault| Err(bad(CertificatePart::Key, line, fault));
    let mut keys = sections.into_iter();
    let Some(section) = keys.find(|section| section.label.ends_with("PRIVATE KEY")) else {
        return bad(None, CertificateFault::NoKey);
    };
    let line = section.line;
    if section.is_encrypted || section.label == "ENCRYPTED PRIVATE KEY" {
        return bad(Some(line), CertificateFault::EncryptedKey);
    }
    let key = match &section.label[..] {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(section.der.into()),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(section.der.into()),
        "EC PRIVATE KEY" => PrivateKeyDer::Sec1(section.der.into()),
        _ => return bad(Some(line), CertificateFault::UnsupportedKey),
    };
    Ok((line, key))
}

/// Whether the key belongs to the first certificate, which stands in this line.
fn matches(certified: &CertifiedKey, line: usize) -> Result<bool, BadCertificate> {
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(true),
        Err(Error::InconsistentKeys(_)) => Ok(false),
        Err(_) => {
            let fault = CertificateFault::NotACertificate;
            Err(bad(CertificatePart::Chain, Some(line), fault))
        }
    }
}

/// Why the key does not belong to the first certificate of the chain, whose certificates stand in these lines.
fn mismatch(certified: &CertifiedKey, lines: &[usize]) -> CertificateFault {
    let owner = certified.cert.iter().zip(lines).find(|(other, line)| {
        let alone = CertifiedKey::new(vec![CertificateDer::clone(other)], certified.key.clone());
        matches(&alone, **line).unwrap_or(false)
    });
    owner.map_or(CertificateFault::OtherKey, |(_, line)| {
        CertificateFault::WrongOrder(*line)
    })
}

/// The names and dates of the certificate in a section.
fn facts_of(section: &PemSection) -> Result<CertificateFacts, BadCertificate> {
    let der = CertificateDer::from(&section.der[..]);
    facts_of_der(&der).ok_or_else(|| {
        let line = Some(section.line);
        bad(
            CertificatePart::Chain,
            line,
            CertificateFault::NotACertificate,
        )
    })
}

fn facts_of_der(der: &CertificateDer<'_>) -> Option<CertificateFacts> {
    let (behind, read) = X509Certificate::from_der(der).ok()?;
    if !behind.is_empty() {
        return None;
    }
    let validity = read.validity();
    let unix_s = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    Some(CertificateFacts {
        names: names(&read),
        not_before_unix_s: unix_s(validity.not_before),
        not_after_unix_s: unix_s(validity.not_after),
        serial: read
            .raw_serial()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        issuer: read.issuer().to_string(),
    })
}

/// The hosts that a certificate is for. Old ones name theirs in the subject.
fn names(read: &X509Certificate<'_>) -> Vec<String> {
    let alternative = read.subject_alternative_name().ok().flatten();
    if let Some(names) = alternative {
        return names.value.general_names.iter().filter_map(name).collect();
    }
    let common = read.subject().iter_common_name();
    common
        .filter_map(|name| Some(name.as_str().ok()?.to_ascii_lowercase()))
        .collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match *name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes).map(|it| Ipv4Addr::from(it).to_string());
            let v6 = <[u8; 16]>::try_from(bytes).map(|it| Ipv6Addr::from(it).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

/// Certificates for tests.
#[cfg(test)]
pub(crate) mod samples {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate for these names and its key, as text; valid from 2020 until the end of a year.
    pub(crate) fn pem(names: &[&str], until: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Bytes as a section, in lines of 64 digits.
    pub(crate) fn section(label: &str, bytes: &[u8]) -> String {
        let digits = STANDARD.encode(bytes);
        let lines = digits
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap());
        let lines: Vec<&str> = lines.collect();
        let data = lines.join("\n");
        format!("-----BEGIN {label}-----\n{data}\n-----END {label}-----\n")
    }

    /// A certificate for these names, valid until the end of a year.
    pub(crate) fn certificate(names: &[&str], until: i32) -> Certificate {
        let (chain, key) = pem(names, until);
        Certificate::from_pem(&chain, &key).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{pem, section};
    use super::*;

    fn fault(chain: &str, key: &str) -> (CertificatePart, Option<usize>, CertificateFault) {
        let bad = Certificate::from_pem(chain, key).unwrap_err();
        (bad.part, bad.line, bad.fault)
    }

    #[test]
    fn names_and_dates_are_read() {
        let (chain, key) = pem(
            &[
                "Radio.example",
                "*.radio.example",
                "192.0.2.1",
                "2001:db8::1",
            ],
            2030,
        );
        let facts = Certificate::from_pem(&chain, &key).unwrap().facts;
        let names = [
            "radio.example",
            "*.radio.example",
            "192.0.2.1",
            "2001:db8::1",
        ];
        assert_eq!(facts.names, names);
        assert_eq!(facts.not_before_unix_s, 1_577_836_800);
        assert_eq!(facts.not_after_unix_s, 1_924_905_600);
        assert!(
            facts.serial.len() >= 8 && facts.issuer.starts_with("CN="),
            "{facts:?}"
        );
    }

    #[test]
    fn one_text_may_hold_both() {
        let (chain, key) = pem(&["a.example"], 2030);
        let (above, _) = pem(&["b.example"], 2030);
        let all = format!("{key}{chain}{above}");
        let read = Certificate::from_pem(&all, &all).unwrap();
        assert_eq!(
            (read.key.cert.len(), &read.facts.names[..]),
            (2, &["a.example".to_owned()][..])
        );
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let ((chain, key), (other, _)) = (pem(&["a"], 2030), pem(&["b"], 2030));
        let lines = other.lines().count();
        let wrong = (CertificatePart::Key, Some(1), CertificateFault::OtherKey);
        assert_eq!(fault(&other, &key), wrong);
        let order = CertificateFault::WrongOrder(lines + 1);
        assert_eq!(fault(&format!("{other}{chain}"), &key).2, order);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        use CertificatePart::{Chain, Key};
        let (chain, key) = pem(&["a"], 2030);
        let nonsense = section("CERTIFICATE", b"nonsense");
        let encrypted = section("ENCRYPTED PRIVATE KEY", b"x");
        let damaged = section("PRIVATE KEY", b"x");
        let ssh = section("OPENSSH PRIVATE KEY", b"x");
        let long = chain.repeat(MAX_CHAIN + 1);
        let at = |lines: usize| Some(lines + 1);
        let above = chain.lines().count();
        for (chain, key, wrong) in [
            (
                "",
                &key,
                (Chain, None, CertificateFault::Pem(BadPem::NoSection)),
            ),
            (&key, &key, (Chain, None, CertificateFault::NoCertificate)),
            (
                &nonsense,
                &key,
                (Chain, at(0), CertificateFault::NotACertificate),
            ),
            (
                &format!("{chain}{nonsense}"),
                &key,
                (Chain, at(above), CertificateFault::NotACertificate),
            ),
            (
                &long,
                &key,
                (Chain, at(above * MAX_CHAIN), CertificateFault::TooLong),
            ),
            (&chain, &chain, (Key, None, CertificateFault::NoKey)),
            (
                &chain,
                &encrypted,
                (Key, at(0), CertificateFault::EncryptedKey),
            ),
            (
                &chain,
                &damaged,
                (Key, at(0), CertificateFault::UnsupportedKey),
            ),
            (&chain, &ssh, (Key, at(0), CertificateFault::UnsupportedKey)),
        ] {
            assert_eq!(fault(chain, key), wrong);
        }
        let cut = &key[..key.len() - 30];
        let text = Certificate::from_pem(&chain, cut).unwrap_err().to_string();
        assert!(
            text.starts_with("the key, line ") && text.contains("line -----END"),
            "{text}"
        );
    }

    #[test]
    fn nothing_shows_the_key() {
        let (chain, key) = pem(&["a"], 2030);
        let certificate = Certificate::from_pem(&chain, &key).unwrap();
        let shown = format!("{certificate:?}");
        assert!(shown.starts_with("CertificateFacts"), "{shown}");
    }
}
