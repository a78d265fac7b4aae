//! The frames of a link between two nodes.
//!
//! A frame is one version byte, the length of its body as four bytes (little-endian), and the body in
//! bincode 2's standard configuration. Both lengths and collections are bounded before anything is read
//! into memory. No file outside this folder names bincode.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::kept_file::FileHash;
use crate::model::mount::MountName;
use crate::model::node::{Generation, NodeName};
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::model::record::summary::Summary;
use crate::model::seat::{Fence, Message, Seat};
use crate::model::source::SourceOrigin;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::model::title::TitleInfo;
use crate::wire::audience::{AudienceQuestion, ListenerPage};

/// The version of these frames. A change of a known frame raises it, and [`crate::io::tls::ALPN`] with it; a new frame does
/// not, and is sent only to nodes whose card says that they read it.
pub const VERSION: u8 = 1;
/// The longest body: sixteen times what a DATA frame carries, so that a page of records fits too.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// Version byte and length.
pub const HEADER_BYTES: usize = 5;
/// The most of a stream in one DATA frame: a second of 128 kbit/s, or half a loop of a fast replay.
pub const MAX_DATA_BYTES: usize = 16 * 1024;

/// The longest prologue in one PROLOGUE frame: with its other fields it fits into a body.
pub const MAX_WHOLE_PROLOGUE_BYTES: usize = 240 * 1024;
/// The most of a prologue in one PROLOGUE-PART: 64 parts of the longest one, each a sign of life on a slow link.
pub const MAX_PROLOGUE_PART_BYTES: usize = 64 * 1024;

/// The most of a file in one FILE-PART: each is a sign of life on a slow link.
pub const MAX_FILE_PART_BYTES: usize = 64 * 1024;

/// A number that no byte of a stream has. To SUBSCRIBE from here asks whether the stream's source is still connected to
/// that node: the answer is DONE if it is, and DENIED if not. A node that does not know the question denies.
pub const NO_BYTE: u64 = u64::MAX;

/// The identity of a node; the first frame of a link, in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The name of the node, the same as in its certificate.
    pub name: NodeName,
    /// The number of its life.
    pub generation: Generation,
    /// The address at which other nodes reach it.
    pub mesh_address: SocketAddr,
    /// The URL at which listeners and sources reach it.
    pub public_url: String,
    /// The version of its program.
    pub version: String,
}

/// Why a link is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkRefusal {
    /// A node of that name is already alive.
    NameInUse {
        /// The address of that node.
        holder: SocketAddr,
    },
    /// The asked node is the asking one.
    Yourself,
    /// The name in the HELLO is not the one in the certificate, or the HELLO came late or malformed.
    BadHello,
}

/// Why a source may not begin, or a stream is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denial {
    /// Another source has the mount.
    MountInUse,
    /// The mount does not exist.
    NoSuchMount,
    /// The asked node does not hold the stream.
    NotHere,
    /// The asked node does not hold the master's seat.
    NotMaster,
    /// The asked node holds the stream, but no longer the byte that is asked for.
    Overrun,
}

/// An operator's order to another node than the one that was asked. Sent only to nodes whose card says that they
/// take orders: an older one does not know this frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Leave service.
    Drain {
        /// How long listeners and sources may stay.
        deadline_s: u64,
    },
    /// Come back into service.
    Undrain,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain { deadline_s } => write!(f, "drain within {deadline_s} s"),
            Self::Undrain => f.write_str("undrain"),
        }
    }
}

/// One message of a link. Unidirectional streams carry one frame each; a conversation
/// (PUBLISH, PRESENCE, SUBSCRIBE, SUMMARY, DESCRIBE, ANNOUNCE, ORDER, AUDIENCE, DISMISS, FILE-ASK) is a bidirectional stream that begins
/// with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// The first frame of a link.
    Hello(Hello),
    /// The answer to a HELLO that is refused; the link is closed after it.
    Refused(LinkRefusal),
    /// The sender leaves on purpose: it must not be suspected or waited for.
    Goodbye,
    /// An operator wants this dead node to be shown no more. The document says so too; this is for nodes of a version
    /// that does not read it there.
    Forget(NodeName),
    /// A chitchat message.
    Gossip(Bytes),
    /// A chitchat message, compressed by zstd.
    GossipZstd(Bytes),
    /// A message of the election of a seat.
    Seat {
        /// The seat.
        seat: Seat,
        /// The message.
        message: Message,
    },
    /// Records of the document: pushed after a change, or sent to settle a difference.
    Records(BTreeMap<RecordKey, Record>),
    /// The records that the sender holds in a range of keys. Answered by RECORDS and ASK; then come
    /// RECORDS and DONE, and perhaps the next SUMMARY.
    Summary(Summary),
    /// The sender asks for these records.
    Ask(Vec<RecordKey>),
    /// The ingest node asks the master to accept a source.
    Publish {
        /// The mount.
        mount: MountName,
        /// The stream of the source.
        stream_id: StreamId,
    },
    /// The sender's source has gone, before gossip tells.
    Unpublish {
        /// The mount.
        mount: MountName,
        /// The stream of the source.
        stream_id: StreamId,
    },
    /// The master's order to a source's node: this source gives way to another.
    GiveWay {
        /// The mount.
        mount: MountName,
        /// The source that gives way.
        stream_id: StreamId,
        /// The fence of the order.
        fence: Fence,
    },
    /// The master accepts the source.
    Granted(Fence),
    /// The request is denied.
    Denied(Denial),
    /// The sender wants a mount's stream. Answered by DENIED, or by OPENED, perhaps PROLOGUE, then DATA, TITLE
    /// or CAPTION, and ALIVE, then END.
    Subscribe {
        /// The mount.
        mount: MountName,
        /// The only stream that will do, with the first byte wanted; `None`: the one on air, from a join point.
        resume: Option<(StreamId, u64)>,
    },
    /// The stream that the sender is about to send.
    Opened {
        /// The stream.
        stream_id: StreamId,
        /// The words of the source when it connected.
        head: StreamHead,
        /// The number of the first byte that will be sent.
        offset: u64,
    },
    /// Bytes of the stream.
    Data {
        /// The number of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// The title on air from this byte on.
    Title {
        /// The first byte under this title.
        offset: u64,
        /// The title, as listeners see it.
        text: String,
    },
    /// The end of the stream: no byte has this number or a greater one.
    End {
        /// The number that the next byte would have had.
        offset: u64,
        /// The reason.
        reason: EndReason,
    },
    /// Sets the title of a mount, on the node of its source. Answered by DONE or DENIED.
    Describe {
        /// The mount.
        mount: MountName,
        /// The title.
        title: String,
    },
    /// The conversation has ended well.
    Done,
    /// No new bytes, but the stream is alive: the node of its source was heard at this time of its own clock.
    Alive {
        /// Milliseconds from the beginning of the stream, by the node of its source. Relays pass it on unchanged:
        /// only a rising number is a sign of life, so that a circle of relays falls silent.
        beat_ms: u64,
    },
    /// An order of an operator to the receiver. Answered by DONE when it is being carried out.
    Order(Order),
    /// A question about the listeners of the receiver. Answered by LISTENERS, or by DONE or DENIED.
    Audience(AudienceQuestion),
    /// A part of the sender's listeners.
    Listeners(ListenerPage),
    /// How the stream stands at the first byte that will be sent, in its middle. Only to nodes whose card says that they
    /// read it.
    Prologue {
        /// The first byte.
        offset: u64,
        /// How much of the stream's time is before the first join point from there on, in microseconds.
        media_time_us: u64,
        /// The bytes that a decoder needs before those there; empty if it needs nothing.
        bytes: Bytes,
    },
    /// The title on air from this byte on, with its parts: TITLE for nodes whose card says that they read it.
    Caption {
        /// The first byte under this title.
        offset: u64,
        /// The title.
        title: TitleInfo,
    },
    /// Sets the title of a mount with its parts: DESCRIBE for nodes whose card says that they read it.
    Announce {
        /// The mount.
        mount: MountName,
        /// The title.
        title: TitleInfo,
    },
    /// The beginning of a PROLOGUE that is too long for one frame: PROLOGUE-PARTs follow until it is complete, and nothing
    /// else comes before. Only to nodes whose card says that they read it.
    LongPrologue {
        /// The first byte.
        offset: u64,
        /// How much of the stream's time is before the first join point from there on, in microseconds.
        media_time_us: u64,
        /// The length of all parts together.
        total_bytes: u32,
    },
    /// The next bytes of a long prologue.
    ProloguePart(Bytes),
    /// Whether a source is still connected, asked for another one that wants its place: one of the same origin makes a
    /// dead connection show itself. Answered by DONE or DENIED. Only to nodes whose card says that they read it.
    Presence {
        /// The mount.
        mount: MountName,
        /// The stream of the source in question.
        stream_id: StreamId,
        /// The source that wants the place.
        claimant: SourceOrigin,
    },
    /// No decoder can begin at the first byte that will be sent: the sender holds no keyframe of the film. Only to nodes
    /// whose card says that they read it.
    Midway,
    /// An operator ends the source of this stream, which is connected to the receiver. Answered by DONE, or by DENIED if it is
    /// not there. Only to nodes whose card says that they read it.
    Dismiss {
        /// The mount.
        mount: MountName,
        /// The stream of the source.
        stream_id: StreamId,
    },
    /// The sender asks for the bytes of a file that the document names. Answered by FILE-PARTs up to the end of the
    /// conversation, or by DENIED. Only to nodes whose card says that they read it.
    FileAsk(FileHash),
    /// The next bytes of a file.
    FilePart(Bytes),
}

impl Frame {
    /// The kind of the frame in a word, for the log: its content may be long.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Refused(_) => "REFUSED",
            Self::Goodbye => "GOODBYE",
            Self::Forget(_) => "FORGET",
            Self::Gossip(_) | Self::GossipZstd(_) => "GOSSIP",
            Self::Seat { .. } => "SEAT",
            Self::Records(_) => "RECORDS",
            Self::Summary(_) => "SUMMARY",
            Self::Ask(_) => "ASK",
            Self::Publish { .. } => "PUBLISH",
            Self::Unpublish { .. } => "UNPUBLISH",
            Self::GiveWay { .. } => "GIVE-WAY",
            Self::Granted(_) => "GRANTED",
            Self::Denied(_) => "DENIED",
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Opened { .. } => "OPENED",
            Self::Data { .. } => "DATA",
            Self::Title { .. } => "TITLE",
            Self::End { .. } => "END",
            Self::Describe { .. } => "DESCRIBE",
            Self::Done => "DONE",
            Self::Alive { .. } => "ALIVE",
            Self::Order(_) => "ORDER",
            Self::Prologue { .. } => "PROLOGUE",
            Self::LongPrologue { .. } => "LONG-PROLOGUE",
            Self::ProloguePart(_) => "PROLOGUE-PART",
            Self::Presence { .. } => "PRESENCE",
            Self::Audience(_) => "AUDIENCE",
            Self::Listeners(_) => "LISTENERS",
            Self::Caption { .. } => "CAPTION",
            Self::Announce { .. } => "ANNOUNCE",
            Self::Midway => "MIDWAY",
            Self::Dismiss { .. } => "DISMISS",
            Self::FileAsk(_) => "FILE-ASK",
            Self::FilePart(_) => "FILE-PART",
        }
    }
}

/// Why a value could not become a frame.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The frame is longer than [`MAX_BODY_BYTES`]. Nothing was sent.
    #[error("a frame of {0} bytes is over the limit of {MAX_BODY_BYTES}")]
    TooLong(usize),
    /// The serialiser refused it.
    #[error("cannot encode a frame")]
    Bincode(#[from] bincode::error::EncodeError),
}

/// Why bytes are not a frame. The link that they came from must be closed.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The sender speaks another version.
    #[error("unknown frame version {0}: this node speaks {VERSION}")]
    Version(u8),
    /// The announced length is over [`MAX_BODY_BYTES`].
    #[error("a frame of {0} bytes is over the limit of {MAX_BODY_BYTES}")]
    TooLong(usize),
    /// The body does not fit its kind.
    #[error("malformed frame")]
    Bincode(#[from] bincode::error::DecodeError),
    /// Bytes are left over after the value.
    #[error("a frame has {0} bytes too many")]
    Trailing(usize),
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BODY_BYTES>()
}

/// A frame as bytes, header and body.
pub fn encode(frame: &Frame) -> Result<Bytes, EncodeError> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0];
    bincode::serde::encode_into_std_write(frame, &mut bytes, configuration())?;
    let body_bytes = bytes.len() - HEADER_BYTES;
    if body_bytes > MAX_BODY_BYTES {
        return Err(EncodeError::TooLong(body_bytes));
    }
    bytes[1..HEADER_BYTES].copy_from_slice(&(body_bytes as u32).to_le_bytes());
    Ok(bytes.into())
}

/// How many bytes of body follow this header.
pub fn body_bytes(header: [u8; HEADER_BYTES]) -> Result<usize, DecodeError> {
    let [version, length @ ..] = header;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_BODY_BYTES {
        return Err(DecodeError::TooLong(length));
    }
    Ok(length)
}

/// The frame in a body.
pub fn decode(body: &[u8]) -> Result<Frame, DecodeError> {
    let (frame, read) = bincode::serde::decode_from_slice(body, configuration())?;
    match body.len() - read {
        0 => Ok(frame),
        trailing => Err(DecodeError::Trailing(trailing)),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    impl Hello {
        /// The greeting of a node of this name that is alone on loopback.
        pub(crate) fn sample(name: &str) -> Self {
            Self {
                name: NodeName::try_from(name).unwrap(),
                generation: Generation(1),
                mesh_address: "127.0.0.1:0".parse().unwrap(),
                public_url: "http://127.0.0.1".into(),
                version: "test".into(),
            }
        }
    }
}
