//! The values that a node gossips: short JSON, so that a person can read them too.
//!
//! | key | value | when |
//! | --- | --- | --- |
//! | `node` | [`NodeCard`] | at its start, and when its place becomes another |
//! | `load` | a bulletin: the node's load, and whom it has sent where | each second, and on jumps |
//! | `claim/SEAT` | [`Claim`](crate::model::seat::Claim) | while it holds the seat |
//! | `document` | the digest of its document | on change |
//! | `stream/PATH` | [`StreamCard`] | while it holds the stream, each second |
//! | `about/PATH` | [`StreamAbout`] | while the stream's source is connected to it, or has just gone |
//! | `standby/PATH` | [`StandbyCard`]: the sources that wait for their turn there, the best one first | while one does |
//! | `closed/PATH` | [`ClosedCard`] | for some minutes after it has closed a source for what that had sent |
//! | `outside/NAME` | an outside server's load | after each question, while it holds that server's seat |
//! | `reach/NAME` | [`ReachCard`]: what came back from that node's public address | on change, while it is the one that asks |
//! | `draining` | `true` | when it refuses new sources and no listener is to be sent to it |
//! | `clock` | the time, unix milliseconds by its own clock | each second |
//! | `engine` | [`EngineStatus`](crate::model::status::EngineStatus) of the server that serves its listeners | on change, if that is not the node itself |
//! | `disk` | why it cannot write to its disk | while it cannot |
//! | `logs` | why it cannot write its logs of requests or titles | while it cannot |
//! | `transcoding` | [`TranscodingCard`]: what it could transcode | while it may |
//! | `rung/PATH` | [`RungCard`]: what that mount's listeners hear there | while it is a fallback |
//! | `file/NAME` | [`FileCard`]: whether it can play that file | while a mount or the document names the file |
//! | `wanted/PATH` | `true` | while a listener there waits for a stream that is made on demand, or a transcoder there hears one |
//! | `outside-relay/PATH` | [`OutsideRelayReport`](crate::model::outside_relay::OutsideRelayReport) | while it holds the seat of that mount's outside relay, on change |
//! | `import` | [`ImportReport`](crate::model::import::ImportReport) | after each reading, while it reads the lists of streams of other servers |
//! | `yielding/PATH` | the id of the stream that its outside relay has on air: any encoder gets its place | while it is on air |
//! | `transcoder/PATH` | [`TranscoderReport`](crate::model::transcoding::TranscoderReport) | while it runs that mount's transcoder, at most each five seconds |

mod file;
mod outside_relays;
mod rung;
mod standby;
#[cfg(test)]
mod tests;
mod transcoding;

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::caption::beginning;
use crate::model::finding::Finding;
use crate::model::format::StreamFormat;
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::node::{Generation, NodeName};
use crate::model::seat::{Epoch, Rank, Seat};
use crate::model::sound::StreamSound;
use crate::model::source_priority::SourcePriority;
use crate::model::status::NowPlaying;
use crate::model::stream::{StreamHead, StreamId};
use crate::model::title::TitleInfo;

pub use self::file::{FileCard, file_key, played_file};
pub use self::outside_relays::{
    outside_relay_key, outside_relay_mount, yielding_key, yielding_mount,
};
pub use self::rung::{RungCard, rung_key, rung_mount};
pub use self::standby::{StandbyCard, WaitingCard, standby_key, standby_mount};
pub use self::transcoding::{
    TRANSCODING, TranscodingCard, transcoder_key, transcoder_mount, wanted_key, wanted_mount,
};

/// The key of a [`NodeCard`].
pub const NODE: &str = "node";
/// The key of the bulletin: load, and the listeners sent to each node, in one value because they belong together.
pub const LOAD: &str = "load";
/// The key of the document's digest.
pub const DOCUMENT: &str = "document";
/// The key that says that a node refuses new sources, and no listener is to be sent to it.
pub const DRAINING: &str = "draining";
/// The key of the node's own time.
pub const CLOCK: &str = "clock";
/// The key that says why a node cannot write to its disk.
pub const DISK: &str = "disk";
/// The key that says why a node cannot write its logs of requests or titles.
pub const LOGS: &str = "logs";
/// The key of the node's words on the lists of streams that it reads.
pub const IMPORT: &str = "import";
/// The key of the state of the server that serves the node's listeners.
pub const ENGINE: &str = "engine";
const CLAIM_PREFIX: &str = "claim/";
const OUTSIDE_PREFIX: &str = "outside/";
const STREAM_PREFIX: &str = "stream";
const ABOUT_PREFIX: &str = "about";
const CLOSED_PREFIX: &str = "closed";
const REACH_PREFIX: &str = "reach/";

/// The longest title in gossip; listeners get the whole title with the stream.
const MAX_TITLE_BYTES: usize = 512;
/// The longest description in gossip. With all other texts of a source, escaped, it fits into one value.
const MAX_DESCRIPTION_BYTES: usize = 512;
/// The longest word on what is wrong with a stream: a media type, or one of our own sentences.
const MAX_FINDING_BYTES: usize = 128;
/// The longest trouble of an engine: a path, the last line of a log and the next step.
const MAX_TROUBLE_BYTES: usize = 512;
/// The most serial numbers of a link: it has no more streams than that.
const MAX_SERIALS: usize = 8;
/// The longest name, genre, address or other text of a source in gossip: what fits a line of a table.
const MAX_WORD_BYTES: usize = 256;

/// A node's card: its words on itself, seldom changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeCard {
    /// The URL at which listeners and sources reach the node.
    pub url: String,
    /// The version of its program.
    pub version: String,
    /// The rank in the master's election.
    pub rank: Rank,
    /// When the node started, unix milliseconds by its own clock.
    pub started_unix_ms: u64,
    /// The URL at which listeners that speak HTTPS reach the node, if they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_url: Option<String>,
    /// The place of the node, as far as it knows.
    #[serde(default)]
    pub place: Whereabouts,
    /// The addresses that DNS gives for the node, the best of each family first; empty from an older version.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Whether the node answers for the zone of the mesh.
    #[serde(default)]
    pub serves_dns: bool,
    /// The zone that the node answers for; an older version does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<crate::model::domain::DomainName>,
    /// Whether the node takes orders of operators over its links.
    #[serde(default)]
    pub takes_orders: bool,
    /// Whether the node reads PROLOGUE, the frame that says how a stream stands in its middle.
    #[serde(default)]
    pub reads_prologues: bool,
    /// Whether the node reads CAPTION and ANNOUNCE, the frames of titles with parts.
    #[serde(default)]
    pub reads_captions: bool,
    /// Whether the node reads LONG-PROLOGUE and its parts.
    #[serde(default)]
    pub reads_long_prologues: bool,
    /// Whether the node proves its identity to a peer that asks at its address.
    #[serde(default)]
    pub proves: bool,
    /// Whether the node lists and ends its listeners for other nodes.
    #[serde(default)]
    pub lists_listeners: bool,
    /// Whether the node reads PRESENCE, the frame that says who wants the place of a source.
    #[serde(default)]
    pub reads_presence: bool,
    /// Whether the node reads MIDWAY, the frame that says that a stream cannot be joined at its first byte.
    #[serde(default)]
    pub reads_midway: bool,
    /// Whether the node knows the seats of transcoders, and reads messages about them.
    #[serde(default)]
    pub reads_transcoders: bool,
    /// Whether the node knows the seats of outside relays, and reads messages about them.
    #[serde(default)]
    pub reads_outside_relays: bool,
    /// Whether the node reads DISMISS, the frame by which an operator ends a source.
    #[serde(default)]
    pub reads_dismissals: bool,
    /// Whether the node reads FILE-ASK, and keeps files.
    #[serde(default)]
    pub reads_files: bool,
    /// Whether the node knows the seat of imports, and reads messages about it.
    #[serde(default)]
    pub reads_imports: bool,
    /// Whether the node knows the seat of certificates, and reads messages about it.
    #[serde(default)]
    pub reads_certificates: bool,
}

/// The finding of a node at the address that another one announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachCard {
    /// The life that was asked for.
    pub generation: Generation,
    /// The address.
    pub url: String,
    /// The result.
    pub finding: Finding,
}

/// The origin of a node's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The source is connected to this node.
    Source,
    /// The stream is pulled from that node; `None` while one is looked for, or once the source has gone.
    Relay(Option<NodeName>),
}

/// A stream that a node holds, as it tells others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCard {
    /// The id of the stream.
    pub stream_id: StreamId,
    /// The origin of the node's bytes.
    pub origin: Origin,
    /// The media type.
    pub content_type: String,
    /// Measured bits per second.
    pub bitrate_bps: u64,
    /// The number of the next byte.
    pub offset: u64,
    /// When the source connected, unix milliseconds by the ingest node's clock.
    pub started_unix_ms: u64,
    /// The epoch of the master that accepted the source.
    pub accept_epoch: Epoch,
    /// Listeners on this node.
    pub listeners: u32,
    /// The title on air, shortened.
    pub title: String,
    /// The most listeners at once in the whole mesh, as counted by the node of the source.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub listener_peak: u32,
    /// The listeners that the node has dropped from the stream because they were too slow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slow_listeners: u32,
    /// The format, without its bitrate, as the node of the source sees it; a relay does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<StreamFormat>,
    /// The parts of the title, shortened, as the node of the source knows them; a relay does not say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_playing: Option<NowPlaying>,
    /// Why listeners at the node hear no intro, shortened, while the mount has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intro_trouble: Option<String>,
}

impl StreamCard {
    /// The title on air, as far as the card tells it.
    pub fn title_info(&self) -> TitleInfo {
        let parts = self.now_playing.clone().unwrap_or_default();
        let info = TitleInfo {
            text: self.title.clone(),
            artist: parts.artist,
            title: parts.title,
            album: parts.album,
            url: parts.url,
        };
        info.cleaned()
    }
}

/// The words of a source on its stream, for the nodes that do not hold it. It changes with the stream only, so it
/// is not in the card, which is published each second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamAbout {
    /// The station's name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The genre.
    pub genre: String,
    /// The station's page.
    pub url: String,
    /// The bitrate in kbit/s; 0 if the source states none.
    pub bitrate_kbps: u32,
    /// Samplerate, channels and the like: `ice-samplerate=44100;ice-channels=2`.
    pub audio_info: String,
    /// The media type that the source states, if its bytes are of another format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_type: Option<String>,
    /// Why listeners that come late may not decode the stream, while that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The serial numbers in the stream's last link of Ogg: the next stream of the mount must have others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<u32>,
    /// The word for the [`SoundState`](crate::model::sound::SoundState) of the stream, while its node watches it for silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// Since when the stream is silent, unix milliseconds by the node's clock, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since_unix_ms: Option<u64>,
    /// The order of the source among those of its mount.
    #[serde(skip_serializing_if = "SourcePriority::is_first")]
    pub priority: SourcePriority,
}

/// The findings of a node in the bytes of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFindings {
    /// The media type that the source states, if its bytes are of another format.
    pub false_type: Option<String>,
    /// Why listeners that come late may not decode the stream.
    pub trouble: Option<String>,
    /// The serial numbers in the last link of Ogg.
    pub serials: Vec<u32>,
    /// Whether it sounds, while it is watched for silence.
    pub sound: Option<StreamSound>,
    /// The order of the source among those of its mount.
    pub priority: SourcePriority,
}

impl StreamAbout {
    /// The texts in a stream's head, shortened.
    pub fn of(head: &StreamHead) -> Self {
        let word = |name| cut(head.icy(name).unwrap_or_default(), MAX_WORD_BYTES);
        Self {
            name: word("name"),
            description: cut(
                head.icy("description").unwrap_or_default(),
                MAX_DESCRIPTION_BYTES,
            ),
            genre: word("genre"),
            url: word("url"),
            bitrate_kbps: head.declared_kbps(),
            audio_info: word("audio-info"),
            false_type: None,
            trouble: None,
            serials: Vec::new(),
            sound: None,
            silent_since_unix_ms: None,
            priority: SourcePriority::FIRST,
        }
    }

    /// The same with what its node has found in the bytes.
    pub fn with_findings(self, findings: StreamFindings) -> Self {
        Self {
            false_type: findings.false_type.as_deref().map(short_finding),
            trouble: findings.trouble.as_deref().map(short_finding),
            serials: findings.serials.into_iter().take(MAX_SERIALS).collect(),
            sound: findings.sound.map(|sound| sound.state.word().to_owned()),
            silent_since_unix_ms: findings.sound.and_then(|sound| sound.silent_since_unix_ms),
            priority: findings.priority,
            ..self
        }
    }
}

/// The last source of a mount that a node has closed for what it had sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedCard {
    /// The fault in its bytes.
    pub why: String,
    /// When it was closed, unix seconds by the node's clock.
    pub unix_s: u64,
}

impl ClosedCard {
    /// A card with these words, shortened.
    pub fn new(why: &str, unix_s: u64) -> Self {
        let why = beginning(why, MAX_FINDING_BYTES);
        Self { why, unix_s }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The key of the claim to a seat.
pub fn claim_key(seat: &Seat) -> String {
    format!("{CLAIM_PREFIX}{seat}")
}

/// The seat of such a key.
pub fn claim_seat(key: &str) -> Option<Seat> {
    key.strip_prefix(CLAIM_PREFIX)?.parse().ok()
}

/// The key of an outside server's load.
pub fn outside_key(server: &NodeName) -> String {
    format!("{OUTSIDE_PREFIX}{server}")
}

/// The server of such a key.
pub fn outside_server(key: &str) -> Option<NodeName> {
    NodeName::try_from(key.strip_prefix(OUTSIDE_PREFIX)?).ok()
}

/// The key of the finding at a node's address.
pub fn reach_key(node: &NodeName) -> String {
    format!("{REACH_PREFIX}{node}")
}

/// The node of such a key.
pub fn reached_node(key: &str) -> Option<NodeName> {
    NodeName::try_from(key.strip_prefix(REACH_PREFIX)?).ok()
}

/// The key of a stream.
pub fn stream_key(mount: &MountName) -> String {
    format!("{STREAM_PREFIX}{mount}")
}

/// The mount of a stream's key.
pub fn stream_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(STREAM_PREFIX)?).ok()
}

/// The key of what the source of a mount's stream says of it.
pub fn about_key(mount: &MountName) -> String {
    format!("{ABOUT_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn about_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(ABOUT_PREFIX)?).ok()
}

/// The key of the last source of a mount that was closed for what it had sent.
pub fn closed_key(mount: &MountName) -> String {
    format!("{CLOSED_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn closed_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(CLOSED_PREFIX)?).ok()
}

/// A title for gossip: cut at the end of a character.
pub fn short_title(title: &str) -> String {
    cut(title, MAX_TITLE_BYTES)
}

/// A word on what is wrong, for gossip.
pub fn short_finding(finding: &str) -> String {
    beginning(finding, MAX_FINDING_BYTES)
}

/// The trouble of an engine, for gossip: with the next step, it is longer than a word on a stream.
pub fn short_trouble(trouble: &str) -> String {
    beginning(trouble, MAX_TROUBLE_BYTES)
}

/// The parts of a title for gossip, and the byte that it begins at.
pub fn short_parts(info: &TitleInfo, offset: u64) -> NowPlaying {
    let part = |text: &str| cut(text, MAX_WORD_BYTES);
    NowPlaying {
        artist: part(&info.artist),
        title: part(&info.title),
        album: part(&info.album),
        url: part(&info.url),
        offset,
    }
}

fn cut(text: &str, most_bytes: usize) -> String {
    let end = text.floor_char_boundary(most_bytes);
    text[..end].to_owned()
}

/// A value as text.
pub fn write<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("gossiped values have text keys and no failing serialiser")
}

/// The value in a text; `None` if the text is invalid, which only a broken or much newer peer sends.
pub fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    impl StreamCard {
        /// The card of an MP3 source that has sent nothing yet.
        pub(crate) fn sample(stream_id: StreamId) -> Self {
            Self {
                stream_id,
                origin: Origin::Source,
                content_type: "audio/mpeg".to_owned(),
                bitrate_bps: 0,
                offset: 0,
                started_unix_ms: 0,
                accept_epoch: Epoch(1),
                listeners: 0,
                title: String::new(),
                listener_peak: 0,
                slow_listeners: 0,
                format: None,
                now_playing: None,
                intro_trouble: None,
            }
        }
    }
}
