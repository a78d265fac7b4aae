//! The whole mesh as this node sees it, put together from gossip and the document.

mod certificates;
mod outside;
mod outside_relay;
mod title;
mod transcoder;

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::watch;

use self::title::ShownTitle;
use super::cluster::seeking::Unreached;
use super::geo::Geo;
use super::ladders::Ladders;
use super::load::Load;
use super::mesh::Mesh;
use super::sources::Sources;
use super::streams::Streams;
use crate::io::clock;
use crate::io::https::certificates::Certificates;
use crate::io::seal::Seal;
use crate::logic::ladder;
use crate::logic::source::closed::is_outlived;
use crate::media::format::said;
use crate::model::caption::caption;
use crate::model::format::StreamFormat;
use crate::model::import::ImportStatus;
use crate::model::load::LoadReport;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::seat::Seat;
use crate::model::sound::SoundState;
use crate::model::status::rung::{RungState, RungStatus};
use crate::model::status::{
    ClosedSource, EngineStatus, MountStatus, NodeStatus, NowPlaying, SourceStatus, Status,
    WaitingSource,
};
use crate::model::stream::nominal_kbps;
use crate::model::switch::Switch;
use crate::model::traits::NodeTraits;
use crate::proto::on_air;
use crate::proto::view::{MeshNode, MeshView};
use crate::wire::gossip::{StandbyCard, StreamCard};

/// The services that the status is put together from.
#[derive(Clone, Debug)]
pub struct StatusConfig {
    /// Members and master, mounts, steering, clocks.
    pub mesh: Mesh,
    /// The load of the nodes.
    pub load: Load,
    /// The streams that this node holds.
    pub streams: Streams,
    /// Know the rungs that listeners here could not go on with.
    pub ladders: Ladders,
    /// The sources that are connected to it.
    pub sources: Sources,
    /// The database of places in use.
    pub geo: Geo,
    /// The peers that this node was told to join and has not reached.
    pub unreached: Unreached,
    /// The certificates that this node uses for TLS.
    pub certificates: Certificates,
    /// Opens the keys of those of the mesh.
    pub seal: Seal,
    /// The cluster's fingerprint.
    pub fingerprint: watch::Receiver<String>,
}

/// The right of whoever sees a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Anybody: hidden mounts are left out.
    Public,
    /// Whoever may manage the mesh.
    Operator,
}

/// Puts the status together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Statuses {
    config: StatusConfig,
    started: Instant,
    started_unix_s: u64,
}

impl Statuses {
    /// Puts the status together from these.
    pub fn new(config: StatusConfig) -> Self {
        Self {
            config,
            started: clock::now(),
            started_unix_s: clock::unix_s(),
        }
    }

    /// The mesh now, as this viewer may see it.
    pub fn status(&self, viewer: Viewer) -> Status {
        let mut view = (*self.config.mesh.cluster.view()).clone();
        self.freshen(&mut view);
        let predicted: BTreeMap<NodeName, f64> = self.config.load.predicted().into_iter().collect();
        let troubles = self.address_troubles(&view);
        let master = view.master.as_ref().map(|claim| claim.node.clone());
        let clocks = self.config.mesh.documents.clock_offsets();
        let (mounts, steering) = (
            self.config.mesh.documents.mounts(),
            self.config.mesh.documents.steering(),
        );
        let node = |(name, node): (&NodeName, &MeshNode)| {
            let is_master = master.as_ref() == Some(name);
            NodeStatus {
                traits: steering.traits(name),
                clock_offset_ms: match *name == view.me {
                    true => Some(0),
                    false => clocks.get(name).copied(),
                },
                address_trouble: troubles.get(name).cloned(),
                ..node_status(name, node, is_master, predicted.get(name).copied())
            }
        };
        Status {
            node: view.me.clone(),
            cluster: self.config.fingerprint.borrow().clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: clock::now()
                .saturating_duration_since(self.started)
                .as_secs(),
            started_unix_s: self.started_unix_s,
            nodes: view.nodes.iter().map(node).collect(),
            mounts: mounts
                .values()
                .filter(|spec| viewer == Viewer::Operator || !spec.hidden)
                .map(|spec| self.mount(&view, spec, viewer))
                .collect(),
            outside: self.outside(),
            import: self.import().filter(|_| viewer == Viewer::Operator),
            certificates: self.certificates_if_any(viewer),
            unreached: self.config.unreached.all(),
            epoch: view
                .master
                .as_ref()
                .map_or(view.max_epoch, |claim| claim.epoch),
            master,
            geo: self.config.geo.status(),
            clock: self.config.mesh.documents.clock_trouble(),
        }
    }

    /// The cluster's fingerprint.
    pub fn fingerprint(&self) -> String {
        self.config.fingerprint.borrow().clone()
    }

    /// The imports of the mesh; `None` if nothing is imported.
    pub fn import(&self) -> Option<ImportStatus> {
        let mesh = &self.config.mesh;
        if mesh.documents.import().lists.is_empty() {
            return None;
        }
        let view = mesh.cluster.view();
        let node = view
            .seats
            .get(&Seat::Import)
            .map(|claim| claim.node.clone());
        let report = node
            .as_ref()
            .and_then(|name| view.nodes.get(name)?.import.clone());
        let mut report = report.unwrap_or_default();
        for list in &mut report.lists {
            list.address = caption(&list.address);
            list.first_left_out = caption(&list.first_left_out);
            list.trouble = list.trouble.as_deref().map(caption);
        }
        Some(ImportStatus { node, report })
    }

    fn mount(&self, view: &MeshView, spec: &MountSpec, viewer: Viewer) -> MountStatus {
        let status = mount_status(view, spec);
        let held = self.config.streams.get(&spec.path);
        let told = ShownTitle {
            text: status.title,
            parts: status.now_playing,
        };
        let shown = told.lengthened(held.and_then(|held| held.feed.title()).as_ref());
        let mounts = self.config.mesh.documents.mounts();
        MountStatus {
            title: shown.text,
            now_playing: shown.parts,
            transcoder: transcoder::status(view, spec, &mounts, viewer),
            rungs: self.rungs(view, spec, viewer),
            circle: match viewer {
                Viewer::Operator => ladder::circle(&spec.path, &mounts).unwrap_or_default(),
                Viewer::Public => Vec::new(),
            },
            switched_to: switched_to(spec, viewer),
            outside_relay: outside_relay::status(view, spec, viewer),
            ..status
        }
    }

    /// The rungs of a mount that a viewer may see.
    fn rungs(&self, view: &MeshView, spec: &MountSpec, viewer: Viewer) -> Vec<RungStatus> {
        let mounts = self.config.mesh.documents.mounts();
        let misfits = self.config.ladders.misfits(&spec.path);
        let is_hidden = |rung: &RungStatus| {
            let mount = rung.rung.mount().and_then(|mount| mounts.get(mount));
            mount.is_some_and(|it| it.hidden)
        };
        let mut rungs = on_air::rungs(clock::unix_s(), spec, &mounts, view);
        rungs.retain(|rung| viewer == Viewer::Operator || !is_hidden(rung));
        for rung in rungs.iter_mut().filter(|rung| misfits.contains(&rung.rung)) {
            rung.state = RungState::OtherFormat;
        }
        if viewer == Viewer::Public {
            // It may name what only operators may see.
            rungs.iter_mut().for_each(|rung| rung.why_not_made = None);
        }
        rungs
    }

    /// The problems with the addresses of nodes: listeners do not get there, or several nodes have the same.
    fn address_troubles(&self, view: &MeshView) -> BTreeMap<NodeName, String> {
        let mut troubles = self.config.load.troubles();
        for nodes in view.shared_addresses().into_values() {
            for name in &nodes {
                let others = nodes.iter().filter(|it| *it != name).map(NodeName::as_str);
                let others: Vec<&str> = others.collect();
                let shared = format!("{} announces the same address", others.join(", "));
                let trouble = troubles.entry(name.clone()).or_default();
                match trouble.is_empty() {
                    true => *trouble = shared,
                    false => *trouble += &format!("; {shared}"),
                }
            }
        }
        troubles
    }

    /// Replaces what gossip says of this node by what it knows itself.
    fn freshen(&self, view: &mut MeshView) {
        let own = self.config.streams.all();
        let report = self.config.load.report();
        if let Some(node) = view.nodes.get_mut(&view.me) {
            node.disk = self.config.mesh.documents.disk_trouble();
            let told = own.iter().map(|(mount, held)| {
                let stream_id = held.feed.stream_id();
                let found = self.config.sources.findings(mount, stream_id);
                (mount.clone(), held.about(found))
            });
            node.about = told.collect();
            node.rungs = self.config.streams.rung_cards().into_iter().collect();
            node.files = self.config.streams.file_cards().into_iter().collect();
            node.closed = self.config.sources.closed();
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
    name: &NodeName,
    node: &MeshNode,
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
        https_url: node.card.https_url.clone(),
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
        logs: node.logs.clone(),
        engine: node.engine.clone().map(cleaned),
        clock_offset_ms: None,
        address_trouble: None,
    }
}

/// The state of an engine in one line of printable letters: another node has written it.
fn cleaned(engine: EngineStatus) -> EngineStatus {
    EngineStatus {
        name: caption(&engine.name),
        trouble: engine.trouble.as_deref().map(caption),
        ..engine
    }
}

fn mount_status(view: &MeshView, spec: &MountSpec) -> MountStatus {
    let path: &MountName = &spec.path;
    let about = view.about(path).cloned().unwrap_or_default();
    let source = view.source(path);
    let best = source.or_else(|| view.holders(path).max_by_key(|(_, card)| card.offset));
    let card = best.map(|(_, card)| card);
    let up = view.nodes.iter().filter(|(_, node)| node.is_up());
    let standby = up.filter_map(|(name, node)| Some((name, node.standby.get(path)?)));
    let standby: Vec<(&NodeName, &StandbyCard)> = standby.collect();
    let waiting = standby.iter().flat_map(|(name, card)| {
        card.told().map(|card| WaitingSource {
            node: (*name).clone(),
            priority: card.priority,
            sends: card.sends,
            fitness: card.fitness,
        })
    });
    let mut waiting: Vec<WaitingSource> = waiting.collect();
    waiting.sort_by_key(|it| (!it.sends, it.priority));
    let untold = standby.iter().map(|(_, card)| card.untold);
    let sum = |of: fn(&StreamCard) -> u32| {
        let counts = view.holders(path).map(|(_, card)| of(card));
        counts.fold(0, u32::saturating_add)
    };
    let told = view.listeners(path).map(|(_, listeners)| listeners);
    let listeners = told.fold(0, u32::saturating_add);
    let peak = card.map_or(0, |card| card.listener_peak);
    let bitrate_bps = card.map_or(0, |card| card.bitrate_bps);
    let sound = about.sound.as_deref().and_then(SoundState::of_word);
    let silent_since = about.silent_since_unix_ms;
    let silent_s = silent_since.map(|since| clock::unix_ms().saturating_sub(since) / 1_000);
    MountStatus {
        path: path.clone(),
        name: view.station_name(spec).to_owned(),
        description: own_or(&spec.description, about.description),
        genre: own_or(&spec.genre, about.genre),
        url: own_or(&spec.url, about.url),
        listener_auth: spec.listener_auth,
        format: card.map(|card| format(view, card, path, &about.audio_info)),
        audio_info: about.audio_info,
        stated_type: about.false_type.as_deref().map(caption),
        trouble: about.trouble.as_deref().map(caption),
        sound: source.and(sound),
        silent_s: source.and(silent_s),
        closed: closed(view, path),
        intro_troubles: view
            .holders(path)
            .filter_map(|(name, card)| Some((name.clone(), caption(card.intro_trouble.as_ref()?))))
            .collect(),
        bitrate_kbps: nominal_kbps(about.bitrate_kbps, bitrate_bps),
        // A listener that has just come is counted in the peak a moment later.
        listener_peak: peak.max(listeners),
        content_type: card
            .map(|card| card.content_type.clone())
            .unwrap_or_default(),
        bitrate_bps,
        source: source.map(|(node, card)| SourceStatus {
            priority: about.priority,
            node: node.clone(),
            stream_id: card.stream_id,
            offset: card.offset,
            connected_s: clock::unix_ms().saturating_sub(card.started_unix_ms) / 1_000,
            started_unix_s: card.started_unix_ms / 1_000,
        }),
        listeners,
        slow_listeners: sum(|card| card.slow_listeners),
        holders: view.holders(path).map(|(name, _)| name.clone()).collect(),
        title: card.map(|card| caption(&card.title)).unwrap_or_default(),
        now_playing: card.and_then(|card| now_playing(view, card, path)),
        standby: standby.iter().map(|(name, _)| (*name).clone()).collect(),
        waiting,
        waiting_untold: untold.fold(0, u32::saturating_add),
        transcoder: None,
        rungs: Vec::new(),
        circle: Vec::new(),
        switched_to: None,
        outside_relay: None,
    }
}

/// The last source of a mount that a node has closed for what it had sent, unless a later one stays on air.
fn closed(view: &MeshView, mount: &MountName) -> Option<ClosedSource> {
    let nodes = view.nodes.iter();
    let cards = nodes.filter_map(|(name, node)| Some((name, node.closed.get(mount)?)));
    let (node, last) = cards.max_by_key(|(_, card)| card.unix_s)?;
    let source = view.source(mount).map(|(_, card)| card.started_unix_ms);
    if source.is_some_and(|started| is_outlived(last.unix_s, started, clock::unix_ms())) {
        return None;
    }
    Some(ClosedSource {
        node: node.clone(),
        why: caption(&last.why),
        ago_s: clock::unix_s().saturating_sub(last.unix_s),
    })
}

/// The parts of the title that a card tells, as the node of the source knows them. If that is of an older version, or
/// already at another title, only the line is known.
fn now_playing(view: &MeshView, card: &StreamCard, mount: &MountName) -> Option<NowPlaying> {
    if card.title.is_empty() {
        return None;
    }
    let is_of = |it: &StreamCard| it.stream_id == card.stream_id && it.title == card.title;
    let mut told = view.holders(mount).filter(|(_, it)| is_of(it));
    let own = card.now_playing.clone();
    let told = own.or_else(|| told.find_map(|(_, it)| it.now_playing.clone()));
    let parts = told.unwrap_or_default();
    let clean = |text: &str| caption(text);
    Some(NowPlaying {
        artist: clean(&parts.artist),
        title: clean(&parts.title),
        album: clean(&parts.album),
        url: clean(&parts.url),
        ..parts
    })
}

/// The format of a mount's stream as the node of its source tells it. An older one does not: then what the source says
/// counts.
fn format(view: &MeshView, card: &StreamCard, mount: &MountName, audio_info: &str) -> StreamFormat {
    let mut told = view
        .holders(mount)
        .filter(|(_, it)| it.stream_id == card.stream_id);
    let told = card.format.or_else(|| told.find_map(|(_, it)| it.format));
    StreamFormat {
        bitrate_bps: card.bitrate_bps,
        ..told.unwrap_or_else(|| said::of_words(&card.content_type, audio_info))
    }
}

/// The text of the operator about a mount, or else that of its source.
fn own_or(own: &str, said: String) -> String {
    match own {
        "" => said,
        own => own.to_owned(),
    }
}
/// The order of an operator that holds now which stream the listeners of a mount hear, for operators.
fn switched_to(spec: &MountSpec, viewer: Viewer) -> Option<Switch> {
    let order = spec.switched_to.clone();
    order.filter(|it| viewer == Viewer::Operator && it.is_in_force(clock::unix_s()))
}
