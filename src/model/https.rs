//! The settings of HTTPS of the whole mesh, and the names that certificates are for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::domain::DomainName;

/// A name in a certificate: a host, such as `a.radio.example`, or all hosts one label below a domain, `*.radio.example`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateName(String);

/// The beginning of a name that stands for many.
const WILDCARD: &str = "*.";

/// Why a text is not a name for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid name {0:?}: write the name of a host with a domain, such as radio.example or *.radio.example; no address, no port"
)]
pub struct BadCertificateName(pub String);

impl CertificateName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain: the name itself, or what all the names that a wildcard stands for end with.
    pub fn domain(&self) -> &str {
        self.0.strip_prefix(WILDCARD).unwrap_or(&self.0)
    }

    /// Whether it stands for all hosts one label below a domain.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(WILDCARD)
    }

    /// The wildcard of a domain.
    pub fn below(zone: &DomainName) -> Result<Self, BadCertificateName> {
        format!("{WILDCARD}{zone}").parse()
    }

    /// Whether a certificate with this name is valid for another name.
    pub fn covers(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let below = other.0.split_once('.').map(|(_, above)| above);
        self.is_wildcard() && !other.is_wildcard() && below == Some(self.domain())
    }

    /// The name at which a certificate authority looks for the answer to its question by DNS.
    pub fn challenge_name(&self) -> String {
        format!("_acme-challenge.{}", self.domain())
    }
}

impl FromStr for CertificateName {
    type Err = BadCertificateName;

    fn from_str(text: &str) -> Result<Self, BadCertificateName> {
        let bad = || BadCertificateName(text.chars().take(64).collect());
        let lower = text.trim().to_ascii_lowercase();
        let (star, domain) = match lower.strip_prefix(WILDCARD) {
            Some(domain) => (WILDCARD, domain),
            None => ("", &*lower),
        };
        let domain: DomainName = domain.parse().map_err(|_| bad())?;
        let labels: Vec<&str> = domain.labels().collect();
        // Addresses are numbers at their end; underscores are for names that are no hosts.
        let is_number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
        let is_host = labels.len() > 1
            && !labels.last().is_some_and(is_number)
            && !domain.as_str().contains('_')
            && star.len() + domain.as_str().len() <= DomainName::MAX_BYTES;
        is_host
            .then(|| Self(format!("{star}{domain}")))
            .ok_or_else(bad)
    }
}

impl TryFrom<String> for CertificateName {
    type Error = BadCertificateName;

    fn try_from(text: String) -> Result<Self, BadCertificateName> {
        text.parse()
    }
}

impl From<CertificateName> for String {
    fn from(name: CertificateName) -> Self {
        name.0
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The most names that an operator lists: each may be a certificate of its own, and an authority gives some 50 a week
/// for the names of one domain.
const MAX_NAMES: usize = 32;

/// Names for certificates, as an operator lists them: with commas, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateNames(Vec<CertificateName>);

/// Why a text is not a list of names for certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificateNames {
    /// One of the names is invalid.
    #[error(transparent)]
    Name(#[from] BadCertificateName),
    /// The list is too long.
    #[error("{0} names: at most {MAX_NAMES}; a wildcard such as *.radio.example stands for many")]
    TooMany(usize),
}

impl CertificateNames {
    /// The names in their order.
    pub fn as_slice(&self) -> &[CertificateName] {
        &self.0
    }
}

impl FromStr for CertificateNames {
    type Err = BadCertificateNames;

    fn from_str(text: &str) -> Result<Self, BadCertificateNames> {
        let mut names: Vec<CertificateName> = Vec::new();
        for name in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let name = name.parse()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.len() {
            count if count > MAX_NAMES => Err(BadCertificateNames::TooMany(count)),
            _ => Ok(Self(names)),
        }
    }
}

impl TryFrom<String> for CertificateNames {
    type Error = BadCertificateNames;

    fn try_from(text: String) -> Result<Self, BadCertificateNames> {
        text.parse()
    }
}

impl From<CertificateNames> for String {
    fn from(names: CertificateNames) -> Self {
        names.to_string()
    }
}

impl fmt::Display for CertificateNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(CertificateName::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// The mail address that an authority writes to when something is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContactAddress(String);

/// Why a text is not a mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid mail address {0:?}: write one such as mail@radio.example")]
pub struct BadContactAddress(pub String);

impl ContactAddress {
    /// The longest address (RFC 5321: 64 bytes, the sign, 255 bytes, less two brackets).
    const MAX_BYTES: usize = 254;

    /// The address without `mailto:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

impl FromStr for ContactAddress {
    type Err = BadContactAddress;

    fn from_str(text: &str) -> Result<Self, BadContactAddress> {
        let bad = || BadContactAddress(text.chars().take(64).collect());
        let address = text.trim();
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        let (user, domain) = address.rsplit_once('@').ok_or_else(bad)?;
        // What would end the address within a URL, or begin another one, is not in any that is in use.
        let is_letter =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-/=^_`{|}~.".contains(&byte);
        let is_user = (1..=64).contains(&user.len()) && user.bytes().all(is_letter);
        let is_domain = domain
            .parse::<CertificateName>()
            .is_ok_and(|it| !it.is_wildcard());
        let fits = address.len() <= Self::MAX_BYTES;
        (is_user && is_domain && fits)
            .then(|| Self(address.to_owned()))
            .ok_or_else(bad)
    }
}

impl TryFrom<String> for ContactAddress {
    type Error = BadContactAddress;

    fn try_from(text: String) -> Result<Self, BadContactAddress> {
        text.parse()
    }
}

impl From<ContactAddress> for String {
    fn from(contact: ContactAddress) -> Self {
        contact.0
    }
}

impl fmt::Display for ContactAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The settings by which the mesh gets certificates; the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsSettings {
    /// Whether certificates are got from an authority.
    #[serde(rename = "https")]
    pub is_on: bool,
    /// The address to which the authority writes; `None`: it gets none.
    #[serde(rename = "https_contact")]
    pub contact: Option<ContactAddress>,
    /// The address of the authority's directory.
    #[serde(rename = "https_directory")]
    pub directory: String,
    /// The certificates (PEM) by which the authority's server is trusted; empty: those that the machine trusts.
    #[serde(rename = "https_directory_ca")]
    pub directory_ca: String,
    /// Names for certificates besides those that the nodes have.
    #[serde(rename = "https_names")]
    pub names: CertificateNames,
}

impl HttpsSettings {
    /// Let's Encrypt: free, trusted by every player, and known to every operator.
    pub const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
}

impl Default for HttpsSettings {
    /// No certificates are got.
    fn default() -> Self {
        Self {
            is_on: false,
            contact: None,
            directory: Self::DEFAULT_DIRECTORY.to_owned(),
            directory_ca: String::new(),
            names: CertificateNames::default(),
        }
    }
}

/// The settings of HTTPS that are the same on all nodes, and the commands that set them.
const COMMANDS: [(&str, &str); 4] = [
    ("https_contact", "antiphon cert enable --contact MAIL"),
    ("https_directory", "antiphon cert enable --directory URL"),
    (
        "https_directory_ca",
        "antiphon cert enable --directory-ca FILE",
    ),
    ("https_names", "antiphon cert enable --names NAMES"),
];

/// The command that sets a setting of HTTPS on all nodes; `None`: it is none of them.
pub fn command_of(key: &str) -> Option<&'static str> {
    let found = COMMANDS.iter().find(|(known, _)| *known == key);
    found.map(|(_, command)| *command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CertificateName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_a_host_with_a_domain() {
        for (text, kept) in [
            ("radio.example", "radio.example"),
            ("A.Radio.Example.", "a.radio.example"),
            ("*.radio.example", "*.radio.example"),
        ] {
            assert_eq!(name(text).as_str(), kept);
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            "localhost",
            "192.0.2.7",
            "[::1]",
            "a.example:80",
            "*",
            "*.*.example",
            "a.*.example",
            "*.example.1",
            "_a.example",
            "a..example",
            "é.example",
            &long,
        ] {
            assert!(bad.parse::<CertificateName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let wild = name("*.radio.example");
        assert!(wild.covers(&name("a.radio.example")));
        for other in [
            "radio.example",
            "a.b.radio.example",
            "a.other.example",
            "*.b.radio.example",
        ] {
            assert!(!wild.covers(&name(other)), "{other}");
        }
        assert!(wild.covers(&wild) && !name("a.radio.example").covers(&wild));
        assert_eq!(wild.challenge_name(), "_acme-challenge.radio.example");
    }

    #[test]
    fn a_list_has_each_name_once() {
        let names: CertificateNames = "b.example, a.example,b.example,".parse().unwrap();
        assert_eq!(names.to_string(), "b.example,a.example");
        let many: Vec<String> = (0..=MAX_NAMES).map(|it| format!("n{it}.example")).collect();
        assert!(many.join(",").parse::<CertificateNames>().is_err());
    }

    #[test]
    fn a_contact_is_a_mail_address() {
        for good in ["mail@radio.example", "mailto:mail@radio.example"] {
            assert_eq!(
                good.parse::<ContactAddress>().unwrap().url(),
                "mailto:mail@radio.example"
            );
        }
        for bad in [
            "",
            "radio.example",
            "@radio.example",
            "a@localhost",
            "a b@x.example",
            "a@b.example,c@d.example",
            "a?b@x.example",
        ] {
            assert!(bad.parse::<ContactAddress>().is_err(), "{bad}");
        }
    }
}
