//! The types of `GET /status.json`: the whole mesh as one node sees it.
//!
//! The JSON of these types is a promise to users' scripts: fields are added, never renamed.

pub mod certificates;
pub mod file;
pub mod outside;
pub mod outside_relay;
pub mod rung;
#[cfg(test)]
mod samples;
pub mod transcoder;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::certificates::CertificatesStatus;
use self::outside::OutsideStatus;
use self::outside_relay::OutsideRelayStatus;
use self::rung::{RungState, RungStatus};
use self::transcoder::TranscoderStatus;
use super::fitness::SourceFitness;
use super::format::StreamFormat;
use super::geo::Whereabouts;
use super::import::ImportStatus;
use super::listener_auth::ListenerAuth;
use super::mount::MountName;
use super::node::NodeName;
use super::seat::Epoch;
use super::sound::SoundState;
use super::source_priority::SourcePriority;
use super::stream::StreamId;
use super::switch::Switch;
use super::traits::NodeTraits;

/// The whole mesh, as the answering node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node that answers.
    pub node: NodeName,
    /// The cluster's fingerprint: the same on all nodes that hold the same secret.
    pub cluster: String,
    /// The answering node's version.
    pub version: String,
    /// Seconds since the answering node started.
    pub uptime_s: u64,
    /// When it started, unix seconds by its own clock.
    #[serde(default)]
    pub started_unix_s: u64,
    /// The node that holds the master's seat.
    pub master: Option<NodeName>,
    /// The epoch of the master's claim, or the highest ever seen when no node holds the seat.
    pub epoch: Epoch,
    /// Every node that is known, by name.
    pub nodes: Vec<NodeStatus>,
    /// Every mount, by path.
    pub mounts: Vec<MountStatus>,
    /// How the answering node finds out where listeners are; `None` without a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<GeoStatus>,
    /// The fault of the answering node's clock; while it is set, edits are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Every outside server, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<OutsideStatus>,
    /// The imports, for an operator; `None` if nothing is imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportStatus>,
    /// The certificates of the mesh; `None` if there are none and should be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<CertificatesStatus>,
    /// The peers that the answering node was told to join and has no link to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<UnreachedPeer>,
}

/// A peer that a node was told to join, and has no link to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreachedPeer {
    /// The peer as it was named: `HOST:PORT`.
    pub peer: String,
    /// Why there is no link.
    pub why: String,
}

/// The database that tells the places of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoStatus {
    /// The name of the database in use; `None` if none could be read.
    pub database: Option<String>,
    /// When the database was made, seconds since 1970.
    pub built_unix_s: Option<u64>,
    /// Why the file cannot be used as it is now.
    pub trouble: Option<String>,
}

/// Whether a node is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Gossip and link both hear the node.
    Alive,
    /// One of gossip and link does not hear the node.
    Suspect,
    /// Other nodes hear the node; it has no link to the answering node.
    Unlinked,
    /// No node hears the node, or it has said goodbye.
    Dead,
    /// The node refuses new sources, is sent no listeners, and is about to leave.
    Draining,
}

impl NodeState {
    /// Whether listeners may be sent to a node in this state.
    pub fn takes_listeners(self) -> bool {
        matches!(self, Self::Alive | Self::Unlinked)
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The name of the node.
    pub name: NodeName,
    /// The URL at which listeners and sources reach the node.
    pub url: String,
    /// The URL at which listeners that speak HTTPS reach the node, if they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_url: Option<String>,
    /// Whether the node is alive.
    pub state: NodeState,
    /// Whether the node holds the master's seat.
    pub master: bool,
    /// The rank of the node in the master's election.
    pub rank: u64,
    /// Listeners connected to the node.
    pub listeners: u32,
    /// The most listeners that the node takes.
    pub max_listeners: u32,
    /// The bandwidth to the node's listeners, bits per second.
    pub bandwidth_bps: u64,
    /// The most that the node may send, bits per second.
    pub max_bandwidth_bps: u64,
    /// The share of the node's capacity in use, by its own report; 1 is full.
    pub utilization: f64,
    /// The same with the listeners on their way to the node.
    pub predicted_utilization: f64,
    /// The version that the node runs.
    pub version: String,
    /// Whether the node answers for the zone of the mesh.
    #[serde(default)]
    pub dns: bool,
    /// The settings of operators for the node.
    #[serde(flatten)]
    pub traits: NodeTraits,
    /// The place of the node, as far as it knows.
    #[serde(default)]
    pub place: Whereabouts,
    /// Why the node cannot write to its disk, while it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Why the node cannot write its logs of requests or titles, while it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// The server that serves the node's listeners; `None`: the node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineStatus>,
    /// How far the node's clock is ahead of the answering node's, milliseconds; `None` if unknown.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
    /// The fault of the node's address, because of which listeners do not get there, in words for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_trouble: Option<String>,
}

/// The server that serves the listeners of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStatus {
    /// The kind: `icecast`.
    pub name: String,
    /// Whether listeners can be served.
    pub serving: bool,
    /// The problem that the operator has to solve, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MountStatus {
    /// The path of the mount.
    pub path: MountName,
    /// The station's name: the mount's own, else what its source says; empty if neither has one.
    #[serde(default)]
    pub name: String,
    /// The description, found in the same way.
    #[serde(default)]
    pub description: String,
    /// The genre, found in the same way.
    #[serde(default)]
    pub genre: String,
    /// The station's page, found in the same way.
    #[serde(default)]
    pub url: String,
    /// The rule for who may listen.
    #[serde(default, skip_serializing_if = "ListenerAuth::is_open")]
    pub listener_auth: ListenerAuth,
    /// The media type of the stream; empty while there is none.
    pub content_type: String,
    /// The measured bitrate of the stream, bits per second; 0 while there is none.
    pub bitrate_bps: u64,
    /// The bitrate to show, kbit/s: what the source declares, if what is measured agrees with it.
    #[serde(default)]
    pub bitrate_kbps: u32,
    /// The format by the bytes of the stream, and by what its source says until they tell; `None` while there is no stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<StreamFormat>,
    /// The words of the source on samplerate, channels and the like.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audio_info: String,
    /// The media type that the source states, if its bytes are of another format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_type: Option<String>,
    /// Why listeners that come late may not be able to decode the stream, in words for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether the source sounds, if the mount asks for its silence to be noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<SoundState>,
    /// Seconds since anything was to be heard, while the source is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_s: Option<u64>,
    /// The last source that was closed for what it had sent, for some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedSource>,
    /// Why listeners hear no intro although the mount has one, in words for an operator, by the node that serves them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intro_troubles: BTreeMap<NodeName, String>,
    /// The source, if one is connected.
    pub source: Option<SourceStatus>,
    /// The listeners on all nodes.
    pub listeners: u32,
    /// The most listeners at once since the source connected, in the whole mesh.
    #[serde(default)]
    pub listener_peak: u32,
    /// The listeners of the stream that were dropped because they were too slow, at the nodes that hold it.
    #[serde(default)]
    pub slow_listeners: u32,
    /// The nodes that hold the stream in memory.
    pub holders: Vec<NodeName>,
    /// The title on air; empty if the source names none.
    pub title: String,
    /// The title in its parts; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_playing: Option<NowPlaying>,
    /// The nodes at which another source waits for its turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<NodeName>,
    /// The sources that wait there, the next one first: a few of each node. Of a node of an older version it is the best one only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingSource>,
    /// How many wait beside these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting_untold: u32,
    /// The transcoder that makes the stream; `None` for a mount whose stream an encoder sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcoder: Option<TranscoderStatus>,
    /// The streams that its listeners may hear, the best first: its own, then those of its fallbacks. Empty: it has no fallback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<RungStatus>,
    /// The mounts over which it falls back to itself, with it at both ends; empty: it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub circle: Vec<MountName>,
    /// The stream to which an operator has switched its listeners, while that order holds; heard if it is on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_to: Option<Switch>,
    /// The outside relay that gets the stream while no encoder sends it; `None` for a mount without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_relay: Option<OutsideRelayStatus>,
}

impl MountStatus {
    /// Whether the source has gone and the listeners are kept for the next one.
    pub fn is_lingering(&self) -> bool {
        self.source.is_none() && !self.holders.is_empty() && self.fallback_heard().is_none()
    }

    /// The fallback that its listeners hear now, at any node.
    pub fn fallback_heard(&self) -> Option<&RungStatus> {
        let mut fallbacks = self.rungs.iter().filter(|it| !it.rung.is_mount(&self.path));
        fallbacks.find(|rung| !rung.heard_on.is_empty())
    }

    /// The best stream that would be heard by who comes now, if the mount has no source: of a fallback.
    pub fn fallback_offered(&self) -> Option<&RungStatus> {
        let mut flowing = self.rungs.iter().filter(|it| it.state == RungState::Flows);
        flowing.find(|_| self.source.is_none())
    }

    /// Whether who comes now hears something.
    pub fn can_be_heard(&self) -> bool {
        self.source.is_some() || self.fallback_offered().is_some()
    }

    /// The format in words; the media type if nothing else is known.
    pub fn format_in_words(&self) -> String {
        let words = self.format.map(StreamFormat::in_words).unwrap_or_default();
        match words.is_empty() {
            true => self.content_type.clone(),
            false => words,
        }
    }
}

/// The parts of the title on air. A part that was not given apart is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NowPlaying {
    /// The artist.
    pub artist: String,
    /// The title of the piece.
    pub title: String,
    /// The album.
    pub album: String,
    /// The address that belongs to it.
    pub url: String,
    /// The first byte of the stream under this title.
    pub offset: u64,
}

/// A source that was closed for what it had sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedSource {
    /// The node that it was connected to.
    pub node: NodeName,
    /// The fault in its bytes, in words for an operator.
    pub why: String,
    /// Seconds since it was closed.
    pub ago_s: u64,
}

/// The source of a mount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// The node that the source is connected to.
    pub node: NodeName,
    /// The stream of the source.
    pub stream_id: StreamId,
    /// Bytes taken from the source.
    pub offset: u64,
    /// Seconds since the source connected.
    pub connected_s: u64,
    /// When the source connected, unix seconds by the clock of its node.
    #[serde(default)]
    pub started_unix_s: u64,
    /// The order of the source among those of the mount.
    #[serde(default, skip_serializing_if = "SourcePriority::is_first")]
    pub priority: SourcePriority,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A source that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSource {
    /// The node that the source is connected to.
    pub node: NodeName,
    /// The order of the source among those of the mount.
    pub priority: SourcePriority,
    /// Whether the source sends audio, so that it could be heard. Unknown of a node of an older version, and `false` then.
    pub sends: bool,
    /// Whether it could be heard, and why not.
    #[serde(default, skip_serializing_if = "SourceFitness::is_fit")]
    pub fitness: SourceFitness,
}
