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
    /// Ogg with this sound and these pictures. None are known if the stream is joined without its headers.
    Ogg(Vec<OggTrack>),
    /// FLAC without Ogg.
    Flac(FlacLayout),
    /// A programme of MPEG-TS with these streams: the number of their packets, and the codec.
    Ts(Vec<TsTrack>),
    /// Matroska or WebM.
    Ebml,
    /// None that is recognised; a source calls it by this media type.
    Opaque(String),
}

/// A stream of sound or pictures in Ogg, as far as decoders keep to it when another link begins. They follow another rate,
/// and most of them other channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OggTrack {
    /// The codec.
    pub codec: CodecName,
    /// The other values.
    pub setup: OggSetup,
}

/// The values of a header in Ogg that a decoder takes from the first link that it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OggSetup {
    /// None that matters.
    Free,
    /// FLAC: frames in other sizes of samples are refused, and so are longer ones.
    Flac {
        /// Bits per sample.
        bits: u8,
        /// The most samples that a frame has of each channel.
        max_samples: u16,
    },
    /// Speex.
    Speex {
        /// The number of frames in a packet.
        frames: u32,
    },
    /// The way in which Opus has its channels, if it is not the one that mono and stereo have in common.
    Mapping {
        /// The number of channels.
        channels: u8,
        /// The family: what the channels are for.
        family: u8,
        /// The number of streams in a packet.
        streams: u8,
        /// The number of those that have two channels.
        coupled: u8,
    },
}

impl OggTrack {
    /// Whether a decoder that is set up for this stream goes on with another one.
    pub fn takes(self, next: Self) -> bool {
        let is_free = match (self.setup, next.setup) {
            (
                OggSetup::Flac { bits, max_samples },
                OggSetup::Flac {
                    bits: next_bits,
                    max_samples: next_max,
                },
            ) => bits == next_bits && next_max <= max_samples,
            (told, next) => told == next,
        };
        self.codec == next.codec && is_free
    }

    /// The codec and what else matters, such as `FLAC with 24 bits in frames of 4608 samples`.
    pub fn in_words(self) -> String {
        let codec = self.codec.title();
        match self.setup {
            OggSetup::Free => codec.to_owned(),
            OggSetup::Flac { bits, max_samples } => {
                format!("{codec} with {bits} bits in frames of {max_samples} samples")
            }
            OggSetup::Speex { frames } => format!("{codec} with {frames} frames in a packet"),
            OggSetup::Mapping {
                channels, family, ..
            } => format!("{codec} with {channels} channels (family {family})"),
        }
    }
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
    /// The number of its channels, where decoders keep to it: of Opus with more than two. Otherwise 0.
    pub channels: u8,
}
