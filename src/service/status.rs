//! The whole mesh as this node sees it, put together from gossip and the document.

mod outside;

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::cluster::view::{MeshNode, MeshView};
use super::document::Documents;
use super::geo::Geo;
use super::load::Load;
use super::streams::Streams;
use crate::io::clock;
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::status::{MountStatus, NodeStatus, SourceStatus, Status};
use crate::model::traits::NodeTraits;

/// Puts the status together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Statuses {
    cluster: Cluster,
    documents: Documents,
    load: Load,
    streams: Streams,
    geo: Geo,
    fingerprint: String,
    started: Instant,
}

impl Statuses {
    /// The status comes from these; `fingerprint` is the cluster's.
    pub fn new(
        (cluster, documents): (Cluster, Documents),
        (load, streams): (Load, Streams),
        geo: Geo,
        fingerprint: String,
    ) -> Self {
        Self {
            cluster,
            documents,
            load,
            streams,
            geo,
            fingerprint,
            started: Instant::now(),
        }
    }

    /// The mesh now.
    pub fn status(&self) -> Status {
        let mut view = (*self.cluster.view()).clone();
        self.freshen(&mut view);
        let predicted: BTreeMap<NodeName, f64> = self.load.predicted().into_iter().collect();
        let master = view.master.as_ref().map(|claim| claim.node.clone());
        let (mounts, steering) = (self.documents.mounts(), self.documents.steering());
        let node = |(name, node): (&NodeName, &MeshNode)| {
            let is_master = master.as_ref() == Some(name);
            NodeStatus {
                traits: steering.traits(name),
                ..node_status((name, node), is_master, predicted.get(name).copied())
            }
        };
        Status {
            node: view.me.clone(),
            cluster: self.fingerprint.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            nodes: view.nodes.iter().map(node).collect(),
            mounts: mounts
                .keys()
                .map(|path| mount_status(&view, path))
                .collect(),
            outside: self.outside(),
            epoch: view
                .master
                .as_ref()
                .map_or(view.max_epoch, |claim| claim.epoch),
            master,
            geo: self.geo.status(),
        }
    }

    /// What this node knows of itself needs no gossip.
    fn freshen(&self, view: &mut MeshView) {
        let own = self.streams.all();
        let report = self.load.report();
        if let Some(node) = view.nodes.get_mut(&view.me) {
            node.disk = self.documents.disk_trouble();
            node.streams = own
                .into_iter()
                .map(|(mount, held)| (mount, held.card()))
                .collect();
            let bulletin = node.bulletin.get_or_insert_default();
            bulletin.report = report;
        }
    }
}

fn node_status(
    (name, node): (&NodeName, &MeshNode),
    master: bool,
    predicted: Option<f64>,
) -> NodeStatus {
    let report = node
        .bulletin
        .as_ref()
        .map_or(LoadReport::default(), |bulletin| bulletin.report);
    let utilization = match node.bulletin {
        Some(_) => report.utilization(),
        None => 0.0, // nothing is known yet, which is not the same as full
    };
    NodeStatus {
        name: name.clone(),
        url: node.card.url.clone(),
        state: node.state,
        master,
        rank: node.card.rank.0,
        listeners: report.listeners,
        max_listeners: report.max_listeners,
        bandwidth_bps: report.egress_bps,
        max_bandwidth_bps: report.max_bandwidth_bps,
        utilization,
        predicted_utilization: predicted.unwrap_or(utilization),
        version: node.card.version.clone(),
        dns: node.card.serves_dns,
        traits: NodeTraits::default(),
        place: node.card.place,
        disk: node.disk.clone(),
    }
}

fn mount_status(view: &MeshView, path: &MountName) -> MountStatus {
    let source = view.source(path);
    let best = source.or_else(|| view.holders(path).max_by_key(|(_, card)| card.offset));
    let card = best.map(|(_, card)| card);
    let waiting = view
        .nodes
        .iter()
        .filter(|(_, node)| node.is_up() && node.standby.contains(path));
    MountStatus {
        path: path.clone(),
        content_type: card
            .map(|card| card.content_type.clone())
            .unwrap_or_default(),
        bitrate_bps: card.map_or(0, |card| card.bitrate_bps),
        source: source.map(|(node, card)| SourceStatus {
            node: node.clone(),
            stream_id: card.stream_id,
            offset: card.offset,
            connected_s: clock::unix_ms().saturating_sub(card.started_unix_ms) / 1_000,
        }),
        listeners: view
            .holders(path)
            .fold(0, |sum, (_, card)| card.listeners.saturating_add(sum)),
        holders: view.holders(path).map(|(name, _)| name.clone()).collect(),
        title: card.map(|card| card.title.clone()).unwrap_or_default(),
        standby: waiting.map(|(name, _)| name.clone()).collect(),
    }
}
