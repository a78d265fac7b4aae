//! The dealings of the mesh with a certificate authority: the account, an order, and the certificates.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::https::CertificateName;
use super::seat::Fence;

/// A private key, encrypted under the secret of the mesh: only nodes can read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedKey(pub String);

/// The account of the mesh with an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeAccount {
    /// The address of the authority's directory.
    pub directory: String,
    /// The address by which the authority knows the account.
    pub id: String,
    /// The account's key.
    pub key: SealedKey,
}

/// An order for a certificate, from the first try to its end. When it has succeeded, the certificate is all that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateOrder {
    /// The names that the certificate is to have.
    pub names: Vec<CertificateName>,
    /// The seat of the node that wrote this last: a holder with a lower one changes nothing any more.
    pub fence: Fence,
    /// When the last try began, unix seconds.
    pub began_unix_s: u64,
    /// The order at the authority, while a try is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenOrder>,
    /// How many tries have failed, one after the other.
    #[serde(default)]
    pub failures: u32,
    /// When the next try may begin, unix seconds.
    #[serde(default)]
    pub next_unix_s: u64,
    /// How long the wait for the next try was when it began, seconds; 0: there is none, or an older version wrote this.
    #[serde(default)]
    pub wait_s: u64,
    /// Why the last try failed, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl CertificateOrder {
    /// The name by which the order is kept.
    pub fn first_name(&self) -> &CertificateName {
        self.names.first().expect("an order is for a name")
    }
}

/// An order that the authority works on: with this any node goes on with it, and any node answers the authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// The address of the order at the authority.
    pub url: String,
    /// The account that has ordered.
    pub account: String,
    /// The key of the certificate to come.
    pub key: SealedKey,
    /// The fingerprint of the account's key (RFC 7638), which is the second half of the answer to each question by HTTP.
    pub thumbprint: String,
    /// The answers to questions by DNS, while there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<DnsProof>,
}

/// The answer to an authority's question by DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsProof {
    /// The name at which the authority looks.
    pub owner: String,
    /// The text that has to be there.
    pub text: String,
}

/// The origin of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateSource {
    /// The mesh has ordered it.
    Ordered,
    /// An operator has given it to the mesh.
    Imported,
}

impl CertificateSource {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Imported => "imported",
        }
    }
}

/// A certificate that the mesh keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCertificate {
    /// The names that it is for.
    pub names: Vec<CertificateName>,
    /// The addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// The certificate and those above it, as PEM.
    pub chain: String,
    /// The key, as PEM, encrypted.
    pub key: SealedKey,
    /// When it begins to be valid, unix seconds.
    pub not_before_unix_s: u64,
    /// When it ends to be valid, unix seconds.
    pub not_after_unix_s: u64,
    /// The authority's number of it, hexadecimal.
    pub serial: String,
    /// The name of the authority.
    pub issuer: String,
    /// The address of the directory by which it was ordered; `None`: it was not, or by an older version.
    pub directory: Option<String>,
    /// The origin.
    pub source: CertificateSource,
    /// When the mesh got it, unix seconds.
    pub obtained_unix_s: u64,
}

impl KeptCertificate {
    /// How long it is valid in all, seconds.
    pub fn lifetime_s(&self) -> u64 {
        self.not_after_unix_s.saturating_sub(self.not_before_unix_s)
    }

    /// Whether its time has not come yet.
    pub fn is_upcoming(&self, now_unix_s: u64) -> bool {
        now_unix_s < self.not_before_unix_s
    }

    /// The names and addresses that it is for, as texts.
    pub fn hosts(&self) -> Vec<String> {
        let names = self.names.iter().map(ToString::to_string);
        let addresses = self.addresses.iter().map(ToString::to_string);
        names.chain(addresses).collect()
    }

    /// Whether it is for all these names.
    pub fn covers(&self, names: &[CertificateName]) -> bool {
        let has = |name| self.names.iter().any(|own| own.covers(name));
        names.iter().all(has)
    }
}
