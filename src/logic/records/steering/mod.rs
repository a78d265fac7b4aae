//! The settings that say where listeners are sent, as records of the document.
//!
//! One record for the whole mesh, and one for each node that has settings.

mod mesh;
mod node;

use std::collections::BTreeMap;

pub use self::mesh::{BadMeshSetting, MAX_AGENTS, MeshEdit, mesh_key};
pub use self::node::{BadTrait, TraitEdit, node_key};
use super::fields::WrongKind;
use crate::logic::document::Document;
use crate::logic::policy::Policy;
use crate::model::node::NodeName;
use crate::model::record::Value;
use crate::model::record::key::RecordKey;
use crate::model::traits::NodeTraits;

/// Why a record is not used: the defaults are used in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSteering {
    /// The key names no node.
    #[error("its key names no node")]
    Key,
    /// A field holds another kind of value.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// A setting of a node breaks a rule.
    #[error(transparent)]
    Trait(#[from] BadTrait),
    /// A setting of the mesh breaks a rule.
    #[error(transparent)]
    Mesh(#[from] BadMeshSetting),
}

/// The settings of the mesh and of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// The policy by which a node is chosen, unless the mount has its own.
    pub policy: Policy,
    /// Players whose `User-Agent` holds one of these, in any case, are never redirected.
    pub proxy_agents: Vec<String>,
    /// The nodes that have settings.
    pub nodes: BTreeMap<NodeName, NodeTraits>,
}

impl Steering {
    /// The settings in a document, and the records that are not used.
    pub fn of(document: &Document) -> (Self, Vec<(RecordKey, BadSteering)>) {
        let (mut steering, mut skipped) = (Self::default(), Vec::new());
        for (key, record) in document.live() {
            let read = if *key == mesh_key() {
                mesh::read(record, &mut steering)
            } else if let Some(name) = node::name(key) {
                name.and_then(|name| {
                    let traits = node::read(record)?;
                    steering.nodes.insert(name, traits);
                    Ok(())
                })
            } else {
                continue;
            };
            if let Err(why) = read {
                skipped.push((key.clone(), why));
            }
        }
        (steering, skipped)
    }

    /// The settings of a node, or the defaults.
    pub fn traits(&self, node: &NodeName) -> NodeTraits {
        self.nodes.get(node).cloned().unwrap_or_default()
    }
}

/// The fields of some edits, for [`Document::edit`].
pub fn fields<E: Into<(String, Value)>>(
    edits: impl IntoIterator<Item = E>,
) -> BTreeMap<String, Value> {
    edits.into_iter().map(Into::into).collect()
}

/// Reads a word for on or off.
fn switch(word: &str) -> Option<bool> {
    match word {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    #[test]
    fn what_is_said_comes_back_and_nonsense_is_skipped() {
        let mut document = Document::new(name("a"));
        let edits = ["weight=50", "tags=fast, big", "maintenance=on"].map(|edit| {
            let (key, value) = edit.split_once('=').unwrap();
            TraitEdit::of(key, value).unwrap()
        });
        document
            .edit(&node_key(&name("b")), fields(edits), 1)
            .unwrap();
        let agents = MeshEdit::of("proxy_agents", "ESP32\nSonos").unwrap();
        document.edit(&mesh_key(), fields([agents]), 1).unwrap();
        let nonsense = BTreeMap::from([("weight".to_owned(), Value::Number(-1))]);
        document
            .edit(&node_key(&name("c")), nonsense.clone(), 1)
            .unwrap();
        let key = RecordKey::try_from("node/No Node").unwrap();
        document.edit(&key, nonsense, 1).unwrap();
        let (steering, skipped) = Steering::of(&document);
        assert_eq!(steering.proxy_agents, ["ESP32", "Sonos"]);
        let traits = steering.traits(&name("b"));
        assert_eq!((traits.weight_percent, traits.maintenance), (50, true));
        assert_eq!(traits.tags.len(), 2);
        assert_eq!(steering.traits(&name("c")), NodeTraits::default());
        let why: Vec<_> = skipped.into_iter().map(|(_, why)| why).collect();
        assert_eq!(why, [BadSteering::Key, BadTrait::Weight.into()]);
    }
}
