//! A node as it is read from gossip, key by key: each value is parsed once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::view::MeshNode;
use crate::model::node::Generation;
use crate::wire::gossip;

/// The most values of one node that are read. A node has a handful, and one per stream and per peer.
const MAX_VALUES: usize = 4_096;

/// A node as its gossip tells it.
#[derive(Clone, Debug)]
pub struct NodeReader {
    /// The values that were read last.
    values: BTreeMap<String, String>,
    /// Whether it gossips a card that can be read.
    has_card: bool,
    node: MeshNode,
}

impl NodeReader {
    /// A node in a new life that has gossiped nothing yet.
    pub fn new(generation: Generation, mesh_address: SocketAddr, now: Instant) -> Self {
        Self {
            values: BTreeMap::new(),
            has_card: false,
            node: MeshNode {
                mesh_address,
                ..MeshNode::unheard(generation, now)
            },
        }
    }

    /// Whether it is this life, at this address.
    pub fn is_life(&self, generation: Generation, mesh_address: SocketAddr) -> bool {
        (self.node.generation, self.node.mesh_address) == (generation, mesh_address)
    }

    /// Applies all values that it gossips now, and parses those that are new.
    pub fn hear(&mut self, values: &BTreeMap<String, String>) {
        let gone = self
            .values
            .extract_if(.., |key, _| !values.contains_key(key));
        let gone: Vec<String> = gone.map(|(key, _)| key).collect();
        for key in gone {
            self.apply(&key, None);
        }
        for (key, value) in values.iter().take(MAX_VALUES) {
            if self.values.get(key) != Some(value) {
                self.apply(key, Some(value));
                self.values.insert(key.clone(), value.clone());
            }
        }
    }

    fn apply(&mut self, key: &str, value: Option<&str>) {
        match key {
            gossip::NODE => self.has_card = self.node.hear_card(value),
            _ => self.node.hear(key, value),
        }
    }

    /// The node. `None` without a card: it has neither address nor rank.
    pub fn node(&self) -> Option<&MeshNode> {
        self.has_card.then_some(&self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeReader {
        let address = "127.0.0.1:1".parse().unwrap();
        NodeReader::new(Generation(1), address, Instant::now())
    }

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn card() -> String {
        let unheard = MeshNode::unheard(Generation(1), Instant::now());
        gossip::write(&unheard.card)
    }

    #[test]
    fn values_are_read_and_garbled_ones_are_skipped() {
        let mut node = node();
        let mut said = values(&[("stream/a", "no card"), ("load", "{}"), ("document", "00")]);
        node.hear(&said);
        assert!(node.node().is_none(), "no card yet");
        said.insert(gossip::NODE.into(), "no card".into());
        node.hear(&said);
        assert!(node.node().is_none(), "none that can be read");
        said.insert(gossip::NODE.into(), card());
        node.hear(&said);
        let seen = node.node().unwrap();
        assert!(seen.streams.is_empty() && seen.bulletin.is_none());
        assert_eq!(seen.document.as_deref(), Some("00"));
    }

    #[test]
    fn values_that_are_gone_are_forgotten() {
        let mut node = node();
        let card = card();
        let said = values(&[
            ("node", &card),
            ("document", "00"),
            ("disk", "full"),
            ("clock", "5"),
            ("standby/a.mp3", ""),
        ]);
        node.hear(&said);
        let seen = node.node().unwrap();
        assert_eq!(seen.clock_unix_ms, Some(5));
        assert_eq!(seen.standby.len(), 1, "{:?}", seen.standby);
        node.hear(&values(&[
            ("node", &card),
            ("clock", "a clock that is garbled"),
        ]));
        let seen = node.node().unwrap();
        assert!(seen.document.is_none() && seen.disk.is_none() && seen.clock_unix_ms.is_none());
        assert!(seen.standby.is_empty());
        node.hear(&BTreeMap::new());
        assert!(node.node().is_none());
    }

    #[test]
    fn an_unchanged_value_is_not_parsed_again() {
        let mut node = node();
        let said = values(&[("node", &card()), ("document", "00")]);
        node.hear(&said);
        node.node.document = Some("as it was left".into());
        node.hear(&said);
        let document = node.node().unwrap().document.as_deref();
        assert_eq!(document, Some("as it was left"));
    }
}
