//! Nodes that an operator has removed from all lists, as records of the document.
//!
//! A record names the greatest life that is forgotten: a later one is shown again, dead or alive. The record expires
//! when no node can remember such a life any more, see [`RecordKey::is_passing`].

use std::collections::BTreeMap;

use crate::model::node::{Generation, NodeName};
use crate::model::record::Value;
use crate::model::record::key::{FORGOTTEN_PREFIX, RecordKey};

use crate::logic::document::Document;

const GENERATION: &str = "generation";

/// The lives up to which nodes are forgotten.
pub type Forgotten = BTreeMap<NodeName, Generation>;

/// The key of the record on a node.
pub fn key(node: &NodeName) -> RecordKey {
    let key = RecordKey::try_from(format!("{FORGOTTEN_PREFIX}{node}"));
    key.expect("a node's name is short and plain")
}

/// The fields that forget a node's lives up to this one.
pub fn fields(generation: Generation) -> BTreeMap<String, Value> {
    let number = i64::try_from(generation.0).unwrap_or(i64::MAX);
    BTreeMap::from([(GENERATION.to_owned(), Value::Number(number))])
}

/// The life up to which a node is forgotten, if it is.
pub fn generation(document: &Document, node: &NodeName) -> Option<Generation> {
    match document.get(&key(node))?.value(GENERATION)? {
        Value::Number(number) => Some(Generation(u64::try_from(*number).ok()?)),
        _ => None,
    }
}

/// The fields to write so that a node is forgotten up to the life that was `seen`, or in all lives up to now if none
/// was; `None` if the document has that already.
pub fn edit(
    document: &Document,
    node: &NodeName,
    seen: Option<Generation>,
    now_unix_ms: u64,
) -> Option<BTreeMap<String, Value>> {
    let up_to = seen.unwrap_or(Generation(now_unix_ms));
    let is_new = generation(document, node) < Some(up_to);
    is_new.then(|| fields(up_to))
}

/// All forgotten nodes. Invalid records are left out.
pub fn list(document: &Document) -> Forgotten {
    let names = document.live().filter_map(|(key, _)| {
        let name = key.as_str().strip_prefix(FORGOTTEN_PREFIX)?;
        NodeName::try_from(name).ok()
    });
    let found = names.filter_map(|name| Some((name.clone(), generation(document, &name)?)));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::document::TOMBSTONE_LIFE;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    #[test]
    fn a_forgotten_node_is_found_with_its_greatest_life() {
        let mut document = Document::new(name("a"));
        let gone = name("gone");
        for generation in [7, 9] {
            let fields = fields(Generation(generation));
            document.edit(&key(&gone), fields, 1_000).unwrap();
        }
        assert_eq!(list(&document), Forgotten::from([(gone, Generation(9))]));
        assert_eq!(edit(&document, &name("gone"), Some(Generation(9)), 5), None);
        assert_eq!(
            edit(&document, &name("gone"), None, 1_000),
            Some(fields(Generation(1_000))),
            "a node that is not known here"
        );
        let strange = RecordKey::try_from("forgotten/No Name").unwrap();
        let fields = fields(Generation(1));
        document.edit(&strange, fields, 1_000).unwrap();
        assert_eq!(list(&document).len(), 1);
    }

    #[test]
    fn a_forgotten_node_is_not_brought_back_by_a_peer() {
        let mut document = Document::new(name("a"));
        let gone = name("gone");
        let record = document.edit(&key(&gone), fields(Generation(7)), 1_000);
        let late_ms = 2_000 + TOMBSTONE_LIFE.as_millis() as u64;
        assert_eq!(document.prune(1_500), 0);
        assert_eq!(document.prune(late_ms), 1);
        assert!(list(&document).is_empty());
        document.apply(BTreeMap::from([(key(&gone), record.unwrap())]), late_ms);
        assert!(list(&document).is_empty());
    }
}
