//! A stream: what a source sends to a mount in one connection.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::seat::Epoch;

/// The name of one life of a source. Made by the ingest node from 128 random bits.
///
/// `(stream id, offset)` always names the same byte: two nodes that hold it hold the same byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u128);

/// Why a text is not a stream id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream id must have 32 hexadecimal digits")]
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

/// The words of a source on its stream when it connects; the same for every byte of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHead {
    /// The media type, such as `audio/mpeg`, lower-case, with its parameters.
    pub content_type: String,
    /// The `icy-…` headers for listeners, names in lower case without the prefix: `name`, `genre`, `br`…
    /// Values have no control characters.
    pub icy: Vec<(String, String)>,
    /// The name and version of the encoder, from `User-Agent`.
    pub user_agent: String,
    /// When the source connected, unix milliseconds by the ingest node's clock.
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

    /// The bitrate that the source names, kbit/s; 0 if it names no possible one.
    pub fn declared_kbps(&self) -> u32 {
        let kbps = self.icy("br").and_then(|br| br.trim().parse::<u32>().ok());
        kbps.filter(|kbps| *kbps <= MAX_DECLARED_KBPS).unwrap_or(0)
    }
}

/// The bitrate to show, kbit/s: the declared one if what was measured agrees with it, else what was measured.
///
/// A frame has whole bytes, and some frames are padded: 128 kbit/s are measured as 127.7 or 128.2, which no encoder is
/// set to.
pub fn nominal_kbps(declared_kbps: u32, measured_bps: u64) -> u32 {
    let measured_kbps = (measured_bps as f64 / 1e3).round() as u32;
    let declared_bps = u64::from(declared_kbps) * 1_000;
    // Within 2 %: more than framing and a short window change, and less than the step between two usual bitrates.
    let agrees = measured_bps.abs_diff(declared_bps).saturating_mul(50) <= declared_bps;
    match agrees && declared_kbps > 0 {
        true => declared_kbps,
        false => measured_kbps,
    }
}

/// More than any audio has, uncompressed surround included: a greater number is invalid.
const MAX_DECLARED_KBPS: u32 = 100_000;

/// Why a stream has no more bytes. A mount that waits for its source to come back has not ended its stream yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The source closed its connection, or it broke.
    SourceLeft,
    /// The source sent nothing for too long.
    SourceSilent,
    /// The mount of the stream was deleted.
    MountDeleted,
    /// Another stream of the same mount follows in its place.
    Replaced,
    /// The ingest node stops, or is drained.
    NodeStops,
    /// No node that holds the stream can be reached.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_is_shown_as_it_was_set() {
        for (declared_kbps, measured_bps, shown_kbps) in [
            (128, 127_706, 128),
            (128, 130_560, 128),
            (128, 125_440, 128),
            (128, 125_439, 125),
            (128, 130_561, 131),
            (128, 96_000, 96),
            (0, 127_706, 128),
            (0, 127_400, 127),
            (0, 0, 0),
            (64, 0, 0),
            (MAX_DECLARED_KBPS, u64::MAX / 64, u32::MAX),
        ] {
            let shown = nominal_kbps(declared_kbps, measured_bps);
            assert_eq!(shown, shown_kbps, "{declared_kbps} {measured_bps}");
        }
    }

    #[test]
    fn a_stream_id_survives_its_text() {
        let id = StreamId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "12", &"g".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert_eq!(bad.parse::<StreamId>(), Err(BadStreamId), "{bad}");
        }
    }
}
