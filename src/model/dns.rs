//! Questions about the mesh's zone and the answers to them, before they become bytes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

use super::domain::DomainName;

/// A question of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuestion {
    /// The labels of the name, in lower case, the most specific one first. A byte that is not valid UTF-8 is
    /// replaced: no name of the zone has one, so no names are confused.
    pub labels: Vec<String>,
    /// The type of record that is asked for.
    pub kind: RecordKind,
}

/// The type of record that a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The name servers of the zone.
    Ns,
    /// The start of the zone's authority.
    Soa,
    /// Text.
    Txt,
    /// The authorities that may issue certificates.
    Caa,
    /// Any type; the answer is always short (RFC 8482).
    Any,
    /// Any other type; the zone has no records of it.
    Other,
}

/// The answer of the zone to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneAnswer {
    /// Records.
    Records {
        /// The records that were asked for.
        answers: Vec<DnsRecord>,
        /// The addresses of names in the answers; may be left out where there is no room.
        glue: Vec<DnsRecord>,
    },
    /// The name exists and has no record of this type; the SOA record says how long clients may remember that.
    NoData(DnsRecord),
    /// The name does not exist; the SOA record says how long clients may remember that.
    NoSuchName(DnsRecord),
    /// The name is not in the zone of the mesh.
    Outside,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// The name that the record belongs to.
    pub owner: DomainName,
    /// How long clients may keep the record, seconds.
    pub ttl_s: u32,
    /// The content of the record.
    pub data: RecordData,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A name server.
    Ns(DomainName),
    /// The start of authority.
    Soa(Soa),
    /// Text of at most 255 bytes.
    Txt(String),
    /// The authorities that may issue certificates.
    Caa(Caa),
    /// The answer to a question of type ANY: this record and nothing else (RFC 8482).
    NotEverything,
}

/// The start of the zone's authority. No server copies the zone, so only the serial and the last number are ever read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The first name server.
    pub primary: DomainName,
    /// The mailbox of the zone's operator, written as a name.
    pub contact: DomainName,
    /// Rises with time.
    pub serial: u32,
    /// How long clients may keep the answer that a name or record does not exist, seconds.
    pub negative_ttl_s: u32,
}

/// A rule on which authorities may issue certificates for the zone (RFC 8659), written `issue letsencrypt.org`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Caa {
    /// The kind of rule: `issue`, `issuewild` or `iodef`.
    pub tag: CaaTag,
    /// The issuer with its parameters, `;` for none, or the address for reports. Visible ASCII and spaces.
    pub value: String,
}

/// The kind of a rule on certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaaTag {
    /// The authorities that may issue any certificate.
    Issue,
    /// The authorities that may issue a wildcard certificate.
    IssueWild,
    /// The address to report attempts by other authorities to.
    Iodef,
}

impl CaaTag {
    /// The word for it in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::IssueWild => "issuewild",
            Self::Iodef => "iodef",
        }
    }
}

/// Why a text is not a CAA record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid CAA record {0:?}: write issue, issuewild or iodef, a space and a value, such as \"issue letsencrypt.org\""
)]
pub struct BadCaa(pub String);

impl Caa {
    /// The longest value; an issuer with all its parameters is half as long.
    const MAX_VALUE_BYTES: usize = 200;
}

impl FromStr for Caa {
    type Err = BadCaa;

    fn from_str(text: &str) -> Result<Self, BadCaa> {
        let bad = || BadCaa(text.chars().take(64).collect());
        let (tag, value) = text.trim().split_once(' ').ok_or_else(bad)?;
        let tags = [CaaTag::Issue, CaaTag::IssueWild, CaaTag::Iodef];
        let tag = tags.into_iter().find(|it| it.as_str() == tag);
        let value = value.trim().trim_matches('"');
        let written = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let fits = (1..=Self::MAX_VALUE_BYTES).contains(&value.len());
        match tag {
            Some(tag) if written && fits => Ok(Self {
                tag,
                value: value.to_owned(),
            }),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Caa {
    type Error = BadCaa;

    fn try_from(text: String) -> Result<Self, BadCaa> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caa_record_is_a_word_and_a_value() {
        let caa: Caa = "issue letsencrypt.org; validationmethods=dns-01"
            .parse()
            .unwrap();
        assert_eq!(caa.tag, CaaTag::Issue);
        assert_eq!(caa.value, "letsencrypt.org; validationmethods=dns-01");
        assert_eq!("issuewild \";\"".parse::<Caa>().unwrap().value, ";");
        for bad in ["", "issue", "issue ", "Issue a", "issue é", "deny a"] {
            assert!(bad.parse::<Caa>().is_err(), "{bad:?}");
        }
    }
}
