//! The card of this node, gossiped anew when something on it has changed.

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::warn;

use crate::io::gossip::Gossip;
use crate::wire::gossip::{self, NodeCard};

/// The card of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OwnCard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gossip: Arc<Gossip>,
    /// The card as it was gossiped last. Held until the next one is: two changes at once must not lose one.
    card: Mutex<NodeCard>,
}

impl OwnCard {
    /// A card that is gossiped already.
    pub fn new(card: NodeCard, gossip: Arc<Gossip>) -> Self {
        let card = Mutex::new(card);
        Self(Arc::new(Inner { gossip, card }))
    }

    /// Changes the card, and tells the mesh if it is another one then.
    pub async fn change(&self, change: impl FnOnce(&mut NodeCard)) {
        let mut card = self.0.card.lock().await;
        let before = card.clone();
        change(&mut card);
        if *card == before {
            return;
        }
        let told = self
            .0
            .gossip
            .set(gossip::NODE, &gossip::write(&*card))
            .await;
        if let Err(error) = told {
            warn!(%error, "the mesh is not told what has changed at this node");
        }
    }
}
