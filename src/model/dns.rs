//! What is asked of our zone and what is answered, before it becomes bytes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

use super::domain::DomainName;

/// A question of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The labels of the name, in lower case, the most special one first. A byte that is no UTF-8 is
    /// replaced: no name of ours has one, so none is confused with another.
    pub labels: Vec<String>,
    /// What is wanted to be known of it.
    pub kind: RecordKind,
}

/// What is wanted to be known of a name.
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
    /// Who may issue certificates.
    Caa,
    /// Whatever there is, which is never much (RFC 8482).
    Any,
    /// Anything else, of which we have nothing.
    Other,
}

/// What the zone has to say to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Records.
    Records {
        /// What was asked for.
        answers: Vec<Record>,
        /// The addresses of names that stand in them; may be left out where there is no room.
        glue: Vec<Record>,
    },
    /// The name is there and has nothing of this kind; the record says for how long that is true.
    NoData(Record),
    /// There is no such name; the record says for how long that is true.
    NoSuchName(Record),
    /// The name is not in our zone.
    Outside,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: DomainName,
    /// For how long it may be kept, seconds.
    pub ttl_s: u32,
    /// What it says.
    pub data: RecordData,
}

/// What a record says.
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
    /// Who may issue certificates.
    Caa(Caa),
    /// That whoever asks for everything is told nothing more than this (RFC 8482).
    NotEverything,
}

/// The start of the zone's authority. Nobody copies the zone, so only the serial and the last number are ever read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The first name server.
    pub primary: DomainName,
    /// The mailbox of whoever cares for the zone, as a name.
    pub contact: DomainName,
    /// Rises with time.
    pub serial: u32,
    /// How long "there is no such thing" may be kept, seconds.
    pub negative_ttl_s: u32,
}

/// A sentence about who may issue certificates for the zone (RFC 8659), written `issue letsencrypt.org`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Caa {
    /// What it is about: `issue`, `issuewild` or `iodef`.
    pub tag: CaaTag,
    /// The issuer with its parameters, `;` for nobody, or where to complain. Visible ASCII and spaces.
    pub value: String,
}

/// What a sentence about certificates is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaaTag {
    /// Who may issue any certificate.
    Issue,
    /// Who may issue one with a wildcard.
    IssueWild,
    /// Where attempts of others are to be reported.
    Iodef,
}

impl CaaTag {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::IssueWild => "issuewild",
            Self::Iodef => "iodef",
        }
    }
}

/// Why a text is no CAA record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no CAA record: issue, issuewild or iodef, a space and a value, such as \"issue letsencrypt.org\""
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
