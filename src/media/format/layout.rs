//! The layout of a stream: what a decoder that plays it is set up for, and cannot change on the way.

use crate::model::format::CodecName;

/// A layout. Two streams with the same one can be played one after the other by one decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Frames of MPEG audio of one layer. Each has its own rate and channels, and decoders follow them.
    Mpeg(CodecName),
    /// Frames of AAC with ADTS headers.
    Adts,
    /// Frames of AAC in LOAS.
    Loas,
    /// Ogg with sound and pictures in these codecs, in the order of their streams. None are known if the stream is joined
    /// without its headers.
    Ogg(Vec<CodecName>),
    /// FLAC without Ogg.
    Flac(FlacLayout),
    /// A programme of MPEG-TS with these streams: the number of their packets, and the codec.
    Ts(Vec<TsTrack>),
    /// Matroska or WebM.
    Ebml,
    /// None that is recognised; a source calls it by this media type.
    Opaque(String),
}

/// The values that all frames of FLAC in one stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlacLayout {
    /// The most samples that a frame has of each channel.
    pub max_samples: u32,
    /// Samples per second and channel.
    pub rate_hz: u32,
    /// The number of channels.
    pub channels: u8,
    /// Bits per sample.
    pub bits: u8,
}

/// A stream of sound or pictures in MPEG-TS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TsTrack {
    /// The number of its packets. Decoders stay with the one that they have begun with.
    pub pid: u16,
    /// The codec.
    pub codec: CodecName,
}
