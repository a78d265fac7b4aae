//! Whether listeners reach the nodes that they are sent to: for the table, for operators, and for the next probe.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{LoadTable, lives};
use crate::model::finding::Finding;
use crate::model::node::NodeName;
use crate::proto::view::MeshView;

/// News about a node's address, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReachNews {
    /// Listeners do not reach a node: only a trial listener is sent there from time to time.
    Lost {
        /// The node.
        node: NodeName,
        /// The address that it gives to listeners.
        url: String,
        /// The reason.
        why: String,
    },
    /// Listeners reach it again, or the address is not probed any more.
    Restored(NodeName),
}

impl LoadTable {
    /// The troubles with the addresses of nodes, this one included.
    pub fn troubles(&self, view: &MeshView) -> BTreeMap<NodeName, String> {
        let mut troubles = self.reach.troubles();
        if let Some(Finding::Failed(found)) = view.findings().get(&self.me) {
            troubles.insert(self.me.clone(), found.clone());
        }
        troubles
    }

    /// Whether listeners that were sent to a node do not arrive.
    pub fn is_doubtful(&self, name: &NodeName, now: Instant) -> bool {
        self.reach.is_doubtful(name, now)
    }

    /// Applies the findings at the other nodes' addresses, and the arrivals there.
    pub(super) fn apply_findings(&mut self, view: &MeshView, now: Instant) {
        let findings = view.findings();
        for (life, node) in lives(view).filter(|(life, _)| life.node != self.me) {
            let found = findings.get(&life.node);
            let finding = match node.card.proves {
                true => found.map_or(Finding::Untried, |it| (*it).clone()),
                false => Finding::Unaskable,
            };
            let arrived = self.forecast.arrivals_at(&life.node);
            self.reach.hear(&life, &finding, arrived, now);
        }
    }

    /// The addresses whose trouble has begun or ended, once each.
    pub(super) fn reach_news(&mut self, view: &MeshView) -> Vec<ReachNews> {
        let troubles = self.reach.troubles();
        let new = troubles
            .iter()
            .filter(|(name, _)| !self.troubles.contains_key(*name));
        let lost = new.map(|(name, why)| {
            let url = view.nodes.get(name).map(|node| node.card.url.clone());
            ReachNews::Lost {
                node: name.clone(),
                url: url.unwrap_or_default(),
                why: why.clone(),
            }
        });
        let over = self.troubles.keys();
        let over = over.filter(|name| !troubles.contains_key(*name));
        let news = lost
            .chain(over.map(|name| ReachNews::Restored(name.clone())))
            .collect();
        self.troubles = troubles;
        news
    }
}
