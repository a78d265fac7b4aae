//! The settings that say where listeners are sent, as records of the document.
//!
//! One record for the whole mesh, and one for each node that has settings.

mod mesh;
mod node;

use std::collections::BTreeMap;

pub use self::mesh::{MESH_KIND, MeshSettings};
pub use self::node::NODE_KIND;
use super::kind::BadRecord;
use crate::logic::document::Document;
use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;
use crate::model::traits::NodeTraits;

/// The settings of the mesh and of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// The settings of the whole mesh.
    pub mesh: MeshSettings,
    /// The nodes that have settings.
    pub nodes: BTreeMap<NodeName, NodeTraits>,
}

impl Steering {
    /// The settings in a document, and the records that are not used, or not all of them.
    pub fn of(document: &Document) -> (Self, Vec<(RecordKey, BadRecord)>) {
        let (mut steering, mut skipped) = (Self::default(), Vec::new());
        for found in NODE_KIND.records(document) {
            let name = NodeName::try_from(found.name);
            let read = match name {
                Ok(name) => NODE_KIND.spec(found.record).map(|traits| (name, traits)),
                Err(_) => Err(BadRecord::Key(NODE_KIND.noun)),
            };
            match read {
                Ok((name, traits)) => drop(steering.nodes.insert(name, traits)),
                Err(why) => skipped.push((found.key.clone(), why)),
            }
        }
        let key = mesh_key();
        if let Some(record) = document.get(&key) {
            // A word of a newer version costs only its own setting.
            let loaded = MESH_KIND.load(&mut steering.mesh, record);
            skipped.extend(loaded.err().map(|why| (key, why)));
        }
        (steering, skipped)
    }

    /// The settings of a node, or the defaults.
    pub fn traits(&self, node: &NodeName) -> NodeTraits {
        self.nodes.get(node).cloned().unwrap_or_default()
    }
}

/// The key of a node's record.
pub fn node_key(name: &NodeName) -> RecordKey {
    NODE_KIND.key(name.as_str())
}

/// The key of the record on the whole mesh.
pub fn mesh_key() -> RecordKey {
    MESH_KIND.key("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Value;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    #[test]
    fn settings_come_back_as_written_and_nonsense_is_skipped() {
        let mut document = Document::new(name("a"));
        let settings = [
            ("weight", "50"),
            ("tags", "fast, big"),
            ("maintenance", "on"),
        ];
        let fields = NODE_KIND.changes(settings).unwrap().into_fields();
        document.edit(&node_key(&name("b")), fields, 1).unwrap();
        let agents = MESH_KIND
            .changes([("proxy_agents", "ESP32\nSonos")])
            .unwrap();
        let mut fields = agents.into_fields();
        let newer = Value::Text("unknown_yet,water".to_owned());
        fields.insert("policy".to_owned(), newer);
        document.edit(&mesh_key(), fields, 1).unwrap();
        let nonsense = BTreeMap::from([("weight".to_owned(), Value::Number(-1))]);
        document
            .edit(&node_key(&name("c")), nonsense.clone(), 1)
            .unwrap();
        let key = RecordKey::try_from("node/No Node").unwrap();
        document.edit(&key, nonsense, 1).unwrap();
        let (steering, skipped) = Steering::of(&document);
        assert_eq!(steering.mesh.proxy_agents, ["ESP32", "Sonos"]);
        assert_eq!(steering.mesh.policy, MeshSettings::default().policy);
        let traits = steering.traits(&name("b"));
        assert_eq!((traits.weight_percent, traits.maintenance), (50, true));
        assert_eq!(traits.tags.len(), 2);
        assert_eq!(steering.traits(&name("c")), NodeTraits::default());
        let why: Vec<_> = skipped.iter().map(|(_, why)| why.to_string()).collect();
        assert_eq!(why[0], "its key is not the name of a node");
        assert!(why[1].starts_with("weight: "), "{why:?}");
        assert!(why[2].starts_with("policy: "), "{why:?}");
    }
}
