//! The facts that a choice depends on besides the table: settings of the nodes, and the request.
//!
//! Facts change when the mesh or its document does, so they are collected then and only read for each listener.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::logic::forecast::{Outlook, Table};
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::Slots;
use crate::model::traits::NodeTraits;

/// The facts about all nodes and outside servers.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The facts of each; a missing node has none, which is neutral.
    pub nodes: BTreeMap<NodeName, NodeFacts>,
    /// The nodes that carry each mount already.
    pub holders: BTreeMap<MountName, BTreeSet<NodeName>>,
}

/// The facts of one node or outside server.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// The weight, the tags, and whether it is in maintenance.
    pub traits: NodeTraits,
    /// The place.
    pub place: Whereabouts,
    /// The mounts that an outside server has, with the room for each; `None` for a node, which serves any mount.
    pub mounts: Option<BTreeMap<MountName, Slots>>,
}

/// One listener's request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The mount that is asked for.
    pub mount: &'a MountName,
    /// The bitrate of the mount, bits per second.
    pub cost_bps: u64,
    /// The place of the listener.
    pub place: Whereabouts,
}

/// All that a choice is made from, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The predicted load.
    pub table: &'a Table<'a>,
    /// The facts about the nodes.
    pub facts: &'a Facts,
}

/// The facts of a node for which nothing is set.
static NEUTRAL: NodeFacts = NodeFacts {
    traits: NodeTraits {
        weight_percent: NodeTraits::DEFAULT_WEIGHT_PERCENT,
        tags: BTreeSet::new(),
        maintenance: false,
    },
    place: Whereabouts {
        country: None,
        position: None,
    },
    mounts: None,
};

impl<'a> Scene<'a> {
    /// Every node of the table with its facts. Both are in the order of names, so one walk joins them.
    pub(super) fn rows(self) -> impl Iterator<Item = (&'a Outlook<'a>, &'a NodeFacts)> {
        let mut said = self.facts.nodes.iter().peekable();
        self.table.outlooks.iter().map(move |outlook| {
            while let Some((name, facts)) = said.peek() {
                match name.as_str().cmp(outlook.node.as_str()) {
                    Ordering::Less => said.next(),
                    Ordering::Equal => return (outlook, *facts),
                    Ordering::Greater => break,
                };
            }
            (outlook, &NEUTRAL)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::forecast::{Basis, Standing, Tally};
    use crate::model::load::LoadReport;

    #[test]
    fn facts_join_the_rows_of_their_names() {
        let name = |text: &str| NodeName::try_from(text).unwrap();
        let names = ["b", "c", "e"].map(name);
        let outlook = |node| Outlook {
            node,
            standing: Standing::Ready,
            predicted: LoadReport::default(),
            reported: LoadReport::default(),
            pending: Tally::default(),
            ahead: 0,
            warmth: 1.0,
        };
        let table = Table {
            outlooks: names.iter().map(outlook).collect(),
            expected_listeners: 1.0,
            basis: Basis::Predicted,
        };
        let weighing = |(index, text)| {
            let mut facts = NodeFacts::default();
            facts.traits.weight_percent = index;
            (name(text), facts)
        };
        let facts = Facts {
            nodes: (1..).zip(["a", "c", "d", "e"]).map(weighing).collect(),
            holders: BTreeMap::new(),
        };
        let scene = Scene {
            table: &table,
            facts: &facts,
        };
        let weights: Vec<u32> = scene
            .rows()
            .map(|(_, facts)| facts.traits.weight_percent)
            .collect();
        assert_eq!(weights, [100, 2, 4]);
    }
}
