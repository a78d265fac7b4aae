//! Whether listeners get to where they are sent: told to the table, to operators, and to whoever asks nodes again.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{LoadTable, lives};
use crate::model::finding::Finding;
use crate::model::node::NodeName;
use crate::proto::view::MeshView;

/// What operators are told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReachNews {
    /// Listeners do not get to a node: nobody is sent there but one now and then.
    Lost {
        /// The node.
        node: NodeName,
        /// The address that it gives to listeners.
        url: String,
        /// What was found there.
        why: String,
    },
    /// They get there again, or it is no longer asked for.
    Restored(NodeName),
}

impl LoadTable {
    /// What is wrong with the addresses of nodes, this one's too.
    pub fn troubles(&self, view: &MeshView) -> BTreeMap<NodeName, String> {
        let mut troubles = self.reach.troubles();
        if let Some(Finding::Failed(found)) = view.findings().get(&self.me) {
            troubles.insert(self.me.clone(), found.clone());
        }
        troubles
    }

    /// Whether those whom we have sent to a node stay out.
    pub fn is_doubtful(&self, name: &NodeName, now: Instant) -> bool {
        self.reach.is_doubtful(name, now)
    }

    /// Takes in what is found at the addresses of all others, and who has arrived there.
    pub(super) fn hear_reach(&mut self, view: &MeshView, now: Instant) {
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

    /// Each address that begins or ceases to be in trouble, once.
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
