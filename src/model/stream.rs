//! A stream: one life of a source on a mount.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::seat::Epoch;

/// Names one life of a source. Minted by the ingest node from 128 random bits.
///
/// `(stream id, offset)` names one byte for ever: two nodes that hold it hold the same byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u128);

/// Why a text is no stream id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream id is 32 hexadecimal digits")]
pub struct BadStreamId;

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for StreamId {
    type Err = BadStreamId;

    fn from_str(text: &str) -> Result<Self, BadStreamId> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = digits.then(|| u128::from_str_radix(text, 16));
        value.and_then(Result::ok).map(Self).ok_or(BadStreamId)
    }
}

impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a source says of its stream when it connects; the same for every byte of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHead {
    /// The media type, such as `audio/mpeg`, lower-case, with its parameters.
    pub content_type: String,
    /// The `icy-…` headers for listeners, names in lower case without the prefix: `name`, `genre`, `br`…
    /// Values are free of control characters.
    pub icy: Vec<(String, String)>,
    /// The source's own name for itself, from `User-Agent`.
    pub user_agent: String,
    /// When its source connected, unix milliseconds by the ingest node's clock.
    pub started_unix_ms: u64,
    /// The epoch of the master that accepted the source.
    pub accept_epoch: Epoch,
}

impl StreamHead {
    /// The value of one `icy-…` header.
    pub fn icy(&self, name: &str) -> Option<&str> {
        let found = self.icy.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Why a stream has no more bytes. A mount that waits for its source to come back has not ended its stream yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The source closed its connection, or it broke.
    SourceLeft,
    /// The source sent nothing for too long.
    SourceSilent,
    /// Its mount was deleted.
    MountDeleted,
    /// Another stream of the same mount goes on in its place.
    Replaced,
    /// The ingest node stops.
    NodeStops,
    /// No node that holds it can be reached.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_survives_its_text() {
        let id = StreamId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "12", &"g".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert_eq!(bad.parse::<StreamId>(), Err(BadStreamId), "{bad}");
        }
    }
}
