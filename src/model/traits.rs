//! The settings of an operator for a node: its weight, its tags, and whether it is in maintenance.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word by which policies choose nodes, such as `fast`: 1 to 63 lower-case letters, digits, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// Why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid tag {0:?}: write 1 to 63 lower-case letters, digits, dots, underscores and hyphens"
)]
pub struct BadTag(pub String);

impl Tag {
    /// The longest tag: as long as a node's name, which counts as one.
    pub const MAX_BYTES: usize = 63;

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = BadTag;

    fn from_str(text: &str) -> Result<Self, BadTag> {
        let letter = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let good = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(letter);
        let beginning = || text.chars().take(Self::MAX_BYTES).collect();
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| BadTag(beginning()))
    }
}

impl TryFrom<String> for Tag {
    type Error = BadTag;

    fn try_from(text: String) -> Result<Self, BadTag> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The settings of an operator for a node; the same on every node, and kept while the node is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeTraits {
    /// The share of listeners compared with the node's size, per cent; 100 unless the operator says otherwise, 0:
    /// never chosen.
    pub weight_percent: u32,
    /// Tags that policies name. The node's own name counts as a tag without being here.
    pub tags: BTreeSet<Tag>,
    /// Whether the node is not to be chosen now. Its listeners stay, unlike when it drains.
    pub maintenance: bool,
}

impl NodeTraits {
    /// The weight of a node for which none is set.
    pub const DEFAULT_WEIGHT_PERCENT: u32 = 100;
    /// The greatest weight: ten times the node's size.
    pub const MAX_WEIGHT_PERCENT: u32 = 1_000;
    /// The most tags of a node.
    pub const MAX_TAGS: usize = 16;
}

impl Default for NodeTraits {
    fn default() -> Self {
        Self {
            weight_percent: Self::DEFAULT_WEIGHT_PERCENT,
            tags: BTreeSet::new(),
            maintenance: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_short_plain_word() {
        for good in ["fast", "eu-west.1", "a_b", &"x".repeat(63)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", "Fast", "a b", "a,b", "é", &"x".repeat(64)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
    }
}
