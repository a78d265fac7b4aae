//! Domain names as people write them into settings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::node::NodeName;

/// A domain name such as `radio.example`: kept in lower case, without the dot at its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid domain name {0:?}: write labels of letters, digits and hyphens, such as radio.example"
)]
pub struct BadDomainName(pub String);

impl DomainName {
    /// The longest name that DNS carries, as text (RFC 1035: 255 bytes with a length before each label and the root).
    pub const MAX_BYTES: usize = 253;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels of the name, the most specific one first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether the name is `zone` or below it.
    pub fn is_in(&self, zone: &Self) -> bool {
        let above = self.0.strip_suffix(&zone.0);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    /// The name of a node in this zone; `None` if it would be too long for DNS.
    pub fn child(&self, node: &NodeName) -> Option<Self> {
        let text = format!("{node}.{self}");
        (text.len() <= Self::MAX_BYTES).then_some(Self(text))
    }
}

impl FromStr for DomainName {
    type Err = BadDomainName;

    fn from_str(text: &str) -> Result<Self, BadDomainName> {
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let fits = lower.len() <= Self::MAX_BYTES;
        if fits && lower.split('.').all(is_label) {
            Ok(Self(lower))
        } else {
            Err(BadDomainName(text.chars().take(64).collect()))
        }
    }
}

/// Whether a text may be a label. Host names have no underscores, but names of mailboxes and keys do.
fn is_label(label: &str) -> bool {
    let letters = label
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    let edges = !label.starts_with('-') && !label.ends_with('-');
    letters && edges && (1..=63).contains(&label.len())
}

impl TryFrom<String> for DomainName {
    type Error = BadDomainName;

    fn try_from(text: String) -> Result<Self, BadDomainName> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn a_domain_name_is_labels_between_dots() {
        assert_eq!(name("Radio.Example.").as_str(), "radio.example");
        let longest = "x".repeat(63);
        for good in ["a", "1.a", "_key.a", &longest] {
            assert!(good.parse::<DomainName>().is_ok(), "{good}");
        }
        let too_long = ["x".repeat(64), "x.".repeat(128)];
        for bad in ["", ".", "a..b", "-a", "a-.b", "a b", "é.b", ".a"]
            .iter()
            .copied()
            .chain(too_long.iter().map(String::as_str))
        {
            assert!(bad.parse::<DomainName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_in_a_zone_by_whole_labels() {
        let zone = name("radio.example");
        assert!(name("radio.example").is_in(&zone));
        assert!(name("a.b.radio.example").is_in(&zone));
        assert!(!name("myradio.example").is_in(&zone));
        assert!(!name("example").is_in(&zone));
        let node = NodeName::try_from("n1").unwrap();
        assert_eq!(zone.child(&node), Some(name("n1.radio.example")));
    }
}
