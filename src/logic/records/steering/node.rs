//! The settings of one node, each said once.

use std::collections::BTreeSet;

use crate::logic::records::field::{Field, FieldKind, FlagWords};
use crate::logic::records::kind::Kind;
use crate::logic::records::mistake::Mistake;
use crate::model::traits::{NodeTraits, Tag};

/// The nodes that have settings.
pub static NODE_KIND: Kind<NodeTraits> = Kind {
    noun: "a node",
    prefix: "node/",
    fields: FIELDS,
    unset: NodeTraits::default,
};

/// In the order in which they are shown.
const FIELDS: &[Field<NodeTraits>] = &[
    Field {
        key: "weight",
        help: "its share of what its size would give it, per cent: 0 to 1000; 100 is usual, 50 fills it half as far as \
               the others, 0 keeps listeners away",
        required: false,
        kind: FieldKind::Number {
            bounds: [0, NodeTraits::MAX_WEIGHT_PERCENT],
            example: 50,
            put: |node, percent| node.weight_percent = percent,
            get: |node| node.weight_percent,
        },
    },
    Field {
        key: "tags",
        help: "words for policies such as `tag(fast)`, with commas: `fast,berlin`; at most 16; empty takes them away",
        required: false,
        kind: FieldKind::Text {
            word: "LIST",
            clears: false,
            read: |text| Ok(written(&tags(text)?)),
            put: |node, text| {
                node.tags = tags(text)?;
                Ok(())
            },
            show: |node| written(&node.tags),
        },
    },
    Field {
        key: "maintenance",
        help: "`on`: no new listener is sent there; listeners that are there stay, and sources may still come",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::OnOff,
            put: |node, flag| node.maintenance = flag,
            get: |node| node.maintenance,
        },
    },
];

fn tags(text: &str) -> Result<BTreeSet<Tag>, Mistake> {
    let words = text.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    let tags: BTreeSet<Tag> = words.map(str::parse::<Tag>).collect::<Result<_, _>>()?;
    match tags.len() {
        count if count > NodeTraits::MAX_TAGS => Err(Mistake::new(format!(
            "too many, {count} of at most {}",
            NodeTraits::MAX_TAGS
        ))),
        _ => Ok(tags),
    }
}

fn written(tags: &BTreeSet<Tag>) -> String {
    let words: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Value;

    #[test]
    fn a_senseless_value_is_refused_with_a_good_example() {
        let many: Vec<String> = (0..17).map(|index| format!("t{index}")).collect();
        for (key, value, hint) in [
            (
                "weight",
                "1001",
                "weight: must be a number, such as 50, from 0 to 1000",
            ),
            ("weight", "heavy", "weight: must be"),
            ("tags", "Fast", "tags: invalid tag \"Fast\""),
            ("tags", &many.join(","), "tags: too many, 17 of at most 16"),
            ("maintenance", "maybe", "`on` or `off`"),
            (
                "wieght",
                "1",
                "a node has no \"wieght\"; did you mean \"weight\"?",
            ),
            ("colour", "red", "it has weight, tags, maintenance"),
        ] {
            let error = NODE_KIND.changes([(key, value)]).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn tags_are_kept_once_and_in_order() {
        for (text, kept) in [("", ""), ("fast, big,fast", "big,fast")] {
            let fields = NODE_KIND.changes([("tags", text)]).unwrap().into_fields();
            assert_eq!(fields["tags"], Value::Text(kept.to_owned()));
        }
    }
}
