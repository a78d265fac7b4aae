//! Tells the mesh of this node's load and streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::warn;

use super::sources::Sources;
use super::streams::Streams;
use crate::io::gossip::{Gossip, MAX_VALUE_BYTES};
use crate::logic::forecast::Bulletin;
use crate::model::stream::StreamId;
use crate::proto::view::MeshView;
use crate::wire::gossip::{self, Origin};

/// Publishes what has changed, and deletes what is no longer true.
pub(super) struct Publisher {
    gossip: Arc<Gossip>,
    streams: Streams,
    sources: Sources,
    said: BTreeSet<String>,
    /// The streams whose sources were here at the last look.
    sourced: BTreeSet<StreamId>,
}

impl Publisher {
    pub(super) fn new(gossip: Arc<Gossip>, streams: Streams, sources: Sources) -> Self {
        Self {
            gossip,
            streams,
            sources,
            said: BTreeSet::new(),
            sourced: BTreeSet::new(),
        }
    }

    /// Whether the sources connected here have changed since this was asked last.
    pub(super) fn has_other_sources(&mut self) -> bool {
        let held = self.streams.all().into_iter();
        let sourced = held.filter(|(_, held)| held.origin == Origin::Source);
        let sourced: BTreeSet<StreamId> = sourced.map(|(_, held)| held.feed.stream_id()).collect();
        let before = std::mem::replace(&mut self.sourced, sourced);
        before != self.sourced
    }

    /// Notes how many listeners the streams of the sources here have on all nodes.
    pub(super) fn note_listeners(&self, view: &MeshView) {
        let held = self.streams.all().into_iter();
        for (mount, held) in held.filter(|(_, held)| held.origin == Origin::Source) {
            let others = view.listeners(&mount).filter(|(name, _)| **name != view.me);
            let elsewhere = others.fold(0_u32, |sum, (_, listeners)| sum.saturating_add(listeners));
            held.note_listeners_elsewhere(elsewhere);
        }
    }

    /// Gossips with all nodes that are up.
    pub(super) fn tell_at_once(&self, view: &MeshView) {
        let up = view.nodes.iter().filter(|(_, node)| node.is_up());
        for (_, node) in up.filter(|(name, _)| **name != view.me) {
            self.gossip.greet(node.mesh_address);
        }
    }

    pub(super) async fn publish_streams(&mut self, view: &MeshView) {
        self.sources.forget_outlived(view);
        let held = self.streams.all();
        let cards = held
            .iter()
            .map(|(mount, held)| (gossip::stream_key(mount), gossip::write(&held.card())));
        let ours = held.iter().filter(|(_, held)| held.speaks_for_it());
        let about = ours.map(|(mount, held)| {
            let found = self.sources.findings(mount, held.feed.stream_id());
            let about = held.about(found);
            (gossip::about_key(mount), gossip::write(&about))
        });
        let waiting = self.sources.standby().into_iter();
        let waiting =
            waiting.map(|(mount, card)| (gossip::standby_key(&mount), gossip::write(&card)));
        let closed = self.sources.closed().into_iter();
        let closed = closed.map(|(mount, card)| (gossip::closed_key(&mount), gossip::write(&card)));
        let rungs = self.streams.rung_cards().into_iter();
        let rungs = rungs.map(|(mount, card)| (gossip::rung_key(&mount), gossip::write(&card)));
        let files = self.streams.file_cards().into_iter();
        let files = files.map(|(file, card)| (gossip::file_key(&file), gossip::write(&card)));
        let yielding = self.sources.yielding().into_iter();
        let yielding = yielding
            .map(|(mount, stream_id)| (gossip::yielding_key(&mount), gossip::write(&stream_id)));
        let saying = cards
            .chain(about)
            .chain(waiting)
            .chain(closed)
            .chain(rungs)
            .chain(files)
            .chain(yielding);
        let saying: BTreeMap<String, String> = saying.collect();
        for key in self.said.iter().filter(|key| !saying.contains_key(*key)) {
            self.gossip.delete(key).await;
        }
        for (key, value) in &saying {
            if let Err(error) = self.gossip.set(key, value).await {
                warn!(%error, "not gossiped");
            }
        }
        self.said = saying.into_keys().collect();
    }

    /// Publishes the load, with as many of the latest counters as fit into one value.
    pub(super) async fn publish_load(&self, mut bulletin: Bulletin) {
        let mut text = gossip::write(&bulletin);
        while text.len() > MAX_VALUE_BYTES && bulletin.shorten() {
            text = gossip::write(&bulletin);
        }
        if let Err(error) = self.gossip.set(gossip::LOAD, &text).await {
            warn!(%error, "the load is not gossiped");
        }
    }
}
