//! What `GET /status.json` answers: the whole mesh as one node sees it.
//!
//! The JSON of these types is a promise to users' scripts: fields are added, never renamed.

pub mod outside;

use serde::{Deserialize, Serialize};

use self::outside::OutsideStatus;
use super::geo::Whereabouts;
use super::mount::MountName;
use super::node::NodeName;
use super::seat::Epoch;
use super::stream::StreamId;
use super::traits::NodeTraits;

/// The whole mesh, as the answering node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Who answers.
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
    /// Who holds the master's seat.
    pub master: Option<NodeName>,
    /// The epoch of the master's claim, or the highest ever seen when nobody holds the seat.
    pub epoch: Epoch,
    /// Every node that is known, by name.
    pub nodes: Vec<NodeStatus>,
    /// Every mount, by path.
    pub mounts: Vec<MountStatus>,
    /// How the answering node finds out where listeners are; nothing if it is not to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<GeoStatus>,
    /// What is wrong with the answering node's clock, so that it refuses edits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Every outside server, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<OutsideStatus>,
    /// The peers that the answering node was told to join and has no link to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<UnreachedPeer>,
}

/// A peer that a node was told to join, and has no link to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreachedPeer {
    /// As it was named: `HOST:PORT`.
    pub peer: String,
    /// Why there is no link.
    pub why: String,
}

/// The database that tells where addresses are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoStatus {
    /// What the one in use calls itself; nothing if none could be read.
    pub database: Option<String>,
    /// When it was made, seconds since 1970.
    pub built_unix_s: Option<u64>,
    /// Why the file cannot be used as it is now.
    pub trouble: Option<String>,
}

/// How a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Both witnesses, gossip and link, hear it.
    Alive,
    /// One of the two witnesses does not hear it.
    Suspect,
    /// Others hear it; there is no link between it and the answering node.
    Unlinked,
    /// Nobody hears it, or it has said goodbye.
    Dead,
    /// It takes nobody new and is about to leave.
    Draining,
}

impl NodeState {
    /// Whether listeners may be sent there, as far as its life goes.
    pub fn takes_listeners(self) -> bool {
        matches!(self, Self::Alive | Self::Unlinked)
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Where listeners and sources reach it.
    pub url: String,
    /// Where listeners who speak HTTPS reach it, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_url: Option<String>,
    /// How it is doing.
    pub state: NodeState,
    /// Whether it holds the master's seat.
    pub master: bool,
    /// Its rank in the master's election.
    pub rank: u64,
    /// Listeners connected to it.
    pub listeners: u32,
    /// The most listeners it takes.
    pub max_listeners: u32,
    /// What it sends to listeners, bits per second.
    pub bandwidth_bps: u64,
    /// The most it may send, bits per second.
    pub max_bandwidth_bps: u64,
    /// The share of its capacity in use, by its own report; 1 is full.
    pub utilization: f64,
    /// The same with those who are on their way to it.
    pub predicted_utilization: f64,
    /// The version it runs.
    pub version: String,
    /// Whether it answers for the zone of the mesh.
    #[serde(default)]
    pub dns: bool,
    /// What operators say of it.
    #[serde(flatten)]
    pub traits: NodeTraits,
    /// Where it stands, as far as it knows.
    #[serde(default)]
    pub place: Whereabouts,
    /// Why it cannot write to its disk, while it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// How far its clock is ahead of the answering node's, milliseconds; nothing if it has not said.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
    /// What is wrong with its address, so that listeners do not get there, in words for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_trouble: Option<String>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MountStatus {
    /// Its path.
    pub path: MountName,
    /// The station's name: the mount's own, else what its source says; empty if neither has one.
    #[serde(default)]
    pub name: String,
    /// A sentence about it, found in the same way.
    #[serde(default)]
    pub description: String,
    /// Its genre, found in the same way.
    #[serde(default)]
    pub genre: String,
    /// The station's page, found in the same way.
    #[serde(default)]
    pub url: String,
    /// The media type of its stream; empty while there is none.
    pub content_type: String,
    /// The measured bitrate of its stream, bits per second; 0 while there is none.
    pub bitrate_bps: u64,
    /// Its bitrate as people write it, kbit/s: what its source declares, if what is measured agrees with it.
    #[serde(default)]
    pub bitrate_kbps: u32,
    /// What its source says of samplerate, channels and the like.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audio_info: String,
    /// Its source, if one is connected.
    pub source: Option<SourceStatus>,
    /// Its listeners on all nodes.
    pub listeners: u32,
    /// The most that it has had at once since its source connected, in the whole mesh.
    #[serde(default)]
    pub listener_peak: u32,
    /// The nodes whose memory holds its stream.
    pub holders: Vec<NodeName>,
    /// What is on air; empty if its source does not say.
    pub title: String,
    /// The nodes at which another source waits for its turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<NodeName>,
}

impl MountStatus {
    /// Whether its source has gone and its listeners are kept for the next one.
    pub fn is_lingering(&self) -> bool {
        self.source.is_none() && !self.holders.is_empty()
    }
}

/// The source of a mount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// The node that it is connected to.
    pub node: NodeName,
    /// This life of the source.
    pub stream_id: StreamId,
    /// Bytes taken from it.
    pub offset: u64,
    /// Seconds since it connected.
    pub connected_s: u64,
    /// When it connected, unix seconds by the clock of its node.
    #[serde(default)]
    pub started_unix_s: u64,
}
