//! Whether listeners get to where they are sent: told to the table, to operators, and to whoever asks nodes again.

use std::collections::BTreeMap;
use std::time::Instant;

use tracing::{info, warn};

use super::{Load, State};
use crate::logic::forecast::Life;
use crate::model::finding::Finding;
use crate::model::node::NodeName;

impl Load {
    /// What is wrong with the addresses of nodes, this one's too.
    pub fn troubles(&self) -> BTreeMap<NodeName, String> {
        let state = self.0.lock();
        let mut troubles = state.reach.troubles();
        if let Some(Finding::Failed(found)) = state.view.findings().get(&state.view.me) {
            troubles.insert(state.view.me.clone(), found.clone());
        }
        troubles
    }

    /// Whether those whom we have sent to a node stay out.
    pub fn is_doubtful(&self, name: &NodeName) -> bool {
        let now = tokio::time::Instant::now().into_std();
        self.0.lock().reach.is_doubtful(name, now)
    }
}

impl State {
    /// Takes in what is found at the addresses of all others, and who has arrived there.
    pub(super) fn hear_reach(&mut self, now: Instant) {
        let view = self.view.clone();
        let findings = view.findings();
        for (name, node) in view.nodes.iter().filter(|(name, _)| **name != view.me) {
            let finding = match node.card.proves {
                true => findings
                    .get(name)
                    .map_or(Finding::Untried, |it| (*it).clone()),
                false => Finding::Unaskable,
            };
            let life = Life {
                node: name.clone(),
                generation: node.generation,
            };
            let arrived = self.forecast.arrivals_at(name);
            self.reach.hear(&life, &finding, arrived, now);
        }
        self.tell_troubles();
    }

    /// Tells the operator once of each address that begins or ceases to be in trouble.
    fn tell_troubles(&mut self) {
        let troubles = self.reach.troubles();
        let url = |name: &NodeName| self.view.nodes.get(name).map(|it| it.card.url.clone());
        let new = troubles
            .iter()
            .filter(|(name, _)| !self.troubles.contains_key(*name));
        for (node, why) in new {
            let url = url(node).unwrap_or_default();
            warn!(
                %node, url, why,
                "listeners do not get to a node: nobody is sent there but one now and then; check its public_url"
            );
        }
        let over = self
            .troubles
            .keys()
            .filter(|name| !troubles.contains_key(*name));
        for node in over {
            info!(%node, "listeners get to a node again");
        }
        self.troubles = troubles;
    }
}
