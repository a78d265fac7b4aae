//! The name of a node, and the number of its life.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a node: lower-case letters, digits and inner hyphens, 1 to 63 of them.
///
/// The name is a DNS label because it is used in the node's certificate and in URLs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// Why a text is not a node name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid node name {0:?}: write 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end"
)]
pub struct BadNodeName(pub String);

impl NodeName {
    /// The longest name, the limit of a DNS label.
    pub const MAX_BYTES: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeName {
    type Error = BadNodeName;

    fn try_from(text: String) -> Result<Self, BadNodeName> {
        let letters = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let edges = !text.starts_with('-') && !text.ends_with('-');
        if letters && fits && edges {
            Ok(Self(text))
        } else {
            Err(BadNodeName(text))
        }
    }
}

impl TryFrom<&str> for NodeName {
    type Error = BadNodeName;

    fn try_from(text: &str) -> Result<Self, BadNodeName> {
        Self::try_from(text.to_owned())
    }
}

impl std::str::FromStr for NodeName {
    type Err = BadNodeName;

    fn from_str(text: &str) -> Result<Self, BadNodeName> {
        Self::try_from(text)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a node's life: `max(unix milliseconds at its start, the last one + 1)`, so it always rises.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label() {
        for good in ["a", "node-1", "0", &"x".repeat(63)] {
            assert!(NodeName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "é", &"x".repeat(64)] {
            assert!(NodeName::try_from(bad).is_err(), "{bad}");
        }
    }
}
