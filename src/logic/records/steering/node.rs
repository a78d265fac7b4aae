//! The settings of one node: read from an operator's text, checked, and made a field.

use std::collections::BTreeSet;

use super::{BadSteering, switch};
use crate::logic::records::fields::{flag, number, text};
use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};
use crate::model::suggest::nearest;
use crate::model::traits::{BadTag, NodeTraits, Tag};

/// The prefix of the keys of nodes.
const KEY_PREFIX: &str = "node/";

/// One setting of a node, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraitEdit {
    /// The share of listeners compared with the node's size, per cent.
    Weight(u32),
    /// The tags that policies name.
    Tags(BTreeSet<Tag>),
    /// Whether the node is not to be chosen now.
    Maintenance(bool),
}

/// Why a setting of a node is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrait {
    /// There is no such setting.
    #[error("a node has no {0:?}; {1}")]
    Unknown(String, String),
    /// The weight is invalid.
    #[error(
        "weight: must be a number from 0 (never chosen) to {} (ten times its size); 100 is usual",
        NodeTraits::MAX_WEIGHT_PERCENT
    )]
    Weight,
    /// One of the tags is invalid.
    #[error("tags: {0}")]
    Tag(#[from] BadTag),
    /// The list of tags is too long.
    #[error("tags: too many, {0} of at most {most}", most = NodeTraits::MAX_TAGS)]
    ManyTags(usize),
    /// The text is neither `on` nor `off`.
    #[error("maintenance: must be `on` or `off`")]
    Maintenance,
}

impl TraitEdit {
    /// The settings of a node.
    pub const KEYS: [&str; 3] = ["weight", "tags", "maintenance"];

    /// The edit that gives the setting `key` the value `value`.
    pub fn of(key: &str, value: &str) -> Result<Self, BadTrait> {
        match key {
            "weight" => match value.parse() {
                Ok(percent) if percent <= NodeTraits::MAX_WEIGHT_PERCENT => {
                    Ok(Self::Weight(percent))
                }
                _ => Err(BadTrait::Weight),
            },
            "tags" => Ok(Self::Tags(tags(value)?)),
            "maintenance" => switch(value)
                .map(Self::Maintenance)
                .ok_or(BadTrait::Maintenance),
            _ => {
                let key: String = key.chars().take(64).collect(); // Enough to recognise the name, and few to compare.
                let hint = match nearest(&key, &Self::KEYS) {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => format!("it has {}", Self::KEYS.join(", ")),
                };
                Err(BadTrait::Unknown(key, hint))
            }
        }
    }
}

impl From<TraitEdit> for (String, Value) {
    fn from(edit: TraitEdit) -> Self {
        let (key, value) = match edit {
            TraitEdit::Weight(percent) => ("weight", Value::Number(i64::from(percent))),
            TraitEdit::Tags(tags) => {
                let words: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                ("tags", Value::Text(words.join(",")))
            }
            TraitEdit::Maintenance(on) => ("maintenance", Value::Flag(on)),
        };
        (key.to_owned(), value)
    }
}

fn tags(text: &str) -> Result<BTreeSet<Tag>, BadTrait> {
    let words = text.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    let tags: BTreeSet<Tag> = words.map(str::parse::<Tag>).collect::<Result<_, _>>()?;
    match tags.len() {
        count if count > NodeTraits::MAX_TAGS => Err(BadTrait::ManyTags(count)),
        _ => Ok(tags),
    }
}

/// The key of a node's record.
pub fn node_key(name: &NodeName) -> RecordKey {
    RecordKey::try_from(format!("{KEY_PREFIX}{name}")).expect("a node's name fits a key")
}

/// The node that a key names; `None` if it is not the key of a node.
pub(super) fn name(key: &RecordKey) -> Option<Result<NodeName, BadSteering>> {
    let name = key.as_str().strip_prefix(KEY_PREFIX)?;
    Some(NodeName::try_from(name).map_err(|_| BadSteering::Key))
}

pub(super) fn read(record: &Record) -> Result<NodeTraits, BadSteering> {
    let usual = NodeTraits::default();
    let weight = number(record, "weight")?.map_or(Ok(usual.weight_percent), u32::try_from);
    let weight = weight
        .ok()
        .filter(|it| *it <= NodeTraits::MAX_WEIGHT_PERCENT);
    Ok(NodeTraits {
        weight_percent: weight.ok_or(BadTrait::Weight)?,
        tags: tags(&text(record, "tags")?.unwrap_or_default())?,
        maintenance: flag(record, "maintenance")?.unwrap_or(usual.maintenance),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (key, value, hint) in [
            ("weight", "1001", "weight: must be a number from 0"),
            ("weight", "heavy", "weight: must be"),
            ("tags", "Fast", "tags: invalid tag \"Fast\""),
            ("maintenance", "maybe", "`on` or `off`"),
            ("wieght", "1", "did you mean \"weight\"?"),
            ("colour", "red", "it has weight, tags, maintenance"),
        ] {
            let error = TraitEdit::of(key, value).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        let many: Vec<String> = (0..17).map(|index| format!("t{index}")).collect();
        assert_eq!(
            TraitEdit::of("tags", &many.join(",")),
            Err(BadTrait::ManyTags(17))
        );
        assert_eq!(
            TraitEdit::of("tags", ""),
            Ok(TraitEdit::Tags(BTreeSet::new()))
        );
        assert_eq!(
            TraitEdit::of("maintenance", "off"),
            Ok(TraitEdit::Maintenance(false))
        );
    }
}
