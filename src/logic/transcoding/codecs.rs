//! The bounds of each codec: its sample rates, its bitrates, and its own scale of quality.
//!
//! The bounds are those of the encoders that Liquidsoap and ffmpeg have in common (LAME, libvorbis, libopus, libFLAC,
//! and ffmpeg's own for AAC), and of the formats themselves. Whatever is within them, both tools make, but for AAC with
//! SBR: that is libfdk-aac's, which a build of ffmpeg or Liquidsoap has or has not.

use std::fmt;
use std::ops::RangeInclusive;

use crate::model::format::{CodecName, Container, StreamFormat};
use crate::model::transcoding::{TargetBitrate, TargetCodec};

/// Hz. Also the rates of AAC and FLAC that sound cards play; higher ones are for studios, not for listeners.
const USUAL_RATES: &[u32] = &[
    48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
];
/// Hz. Below, there is nothing left that SBR could leave out.
const HE_AAC_RATES: &[u32] = &[48_000, 44_100, 32_000];
/// Hz. Opus knows no others: its decoders always play at 48,000.
const OPUS_RATES: &[u32] = &[48_000, 24_000, 16_000, 12_000, 8_000];

/// The bitrates of MPEG-1 layer III, kbit/s: 32,000 Hz and more.
const MPEG_1_KBPS: &[u32] = &[
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
/// The bitrates of MPEG-2 layer III: 16,000 to 24,000 Hz.
const MPEG_2_KBPS: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// The bitrates of MPEG-2.5: 8,000 to 12,000 Hz. The format has the higher ones of MPEG-2, too; LAME makes none of them.
const MPEG_2_5_KBPS: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64];

/// The least that AAC is worth to be listened to, kbit/s for each channel.
const AAC_LEAST_KBPS: u32 = 8;
/// The most bits of AAC for a sample of a channel: its buffer holds 6,144 for a frame of 1,024 samples.
const AAC_BITS_PER_SAMPLE: u32 = 6;
/// The most of AAC with SBR, kbit/s for each channel: with more, AAC-LC sounds better, and libfdk-aac makes no more.
const HE_AAC_MOST_KBPS: u32 = 64;
/// The least that Opus can be made to be, kbit/s.
const OPUS_LEAST_KBPS: u32 = 6;
/// The most that Opus can be, kbit/s for each channel, and for two.
const OPUS_MOST_KBPS: [u32; 2] = [256, 510];

/// The audio that is made: its codec, sample rate and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetAudio {
    /// The codec.
    pub codec: TargetCodec,
    /// The sample rate, Hz.
    pub sample_rate_hz: u32,
    /// The channels: 1 or 2.
    pub channels: u32,
}

impl TargetAudio {
    /// The format of the stream that is made.
    pub fn format(self) -> StreamFormat {
        let (container, codec) = match self.codec {
            TargetCodec::Mp3 => (Container::Mpeg, CodecName::Mp3),
            TargetCodec::Aac => (Container::Adts, CodecName::Aac),
            TargetCodec::HeAac => (Container::Adts, CodecName::HeAac),
            TargetCodec::Vorbis => (Container::Ogg, CodecName::Vorbis),
            TargetCodec::Opus => (Container::Ogg, CodecName::Opus),
            TargetCodec::Flac => (Container::Ogg, CodecName::Flac),
        };
        StreamFormat {
            container,
            codec,
            sample_rate_hz: self.sample_rate_hz,
            channels: u8::try_from(self.channels).unwrap_or_default(),
            ..StreamFormat::default()
        }
    }
}

/// The bitrates that can be made, kbit/s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bitrates {
    /// None: the codec loses nothing, and takes what it needs.
    Lossless,
    /// Only these, from the lowest up.
    Listed(&'static [u32]),
    /// All between two bounds, which count as within.
    Between(RangeInclusive<u32>),
}

/// The sample rates that can be made, Hz, from the highest down.
pub fn sample_rates(codec: TargetCodec) -> &'static [u32] {
    match codec {
        TargetCodec::Opus => OPUS_RATES,
        TargetCodec::HeAac => HE_AAC_RATES,
        TargetCodec::Mp3 | TargetCodec::Aac | TargetCodec::Vorbis | TargetCodec::Flac => {
            USUAL_RATES
        }
    }
}

/// The sample rate that is made if none is set, Hz.
///
/// Always the same for a codec, and not that of the source: a listener has to decode on when another node, perhaps with
/// the other tool, makes the stream, or the source is another one.
pub fn usual_rate(codec: TargetCodec) -> u32 {
    match codec {
        TargetCodec::Opus => 48_000,
        TargetCodec::Mp3
        | TargetCodec::Aac
        | TargetCodec::HeAac
        | TargetCodec::Vorbis
        | TargetCodec::Flac => 44_100,
    }
}

/// The scale of quality of a codec, if it has one: the least and the greatest number.
pub fn qualities(codec: TargetCodec) -> Option<RangeInclusive<u32>> {
    match codec {
        TargetCodec::Mp3 => Some(0..=9),
        TargetCodec::Vorbis => Some(0..=10),
        TargetCodec::Flac => Some(0..=8),
        TargetCodec::Aac | TargetCodec::HeAac | TargetCodec::Opus => None,
    }
}

/// About how many kbit/s a quality of a codec takes, in stereo, to compare it with bitrates: those that LAME and libvorbis
/// tell of their own scales. 0 for a codec without a scale.
pub fn usual_kbps(codec: TargetCodec, quality: u32) -> u32 {
    let scale: &[u32] = match codec {
        TargetCodec::Mp3 => &[245, 225, 190, 175, 165, 130, 115, 100, 85, 65],
        TargetCodec::Vorbis => &[64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500],
        TargetCodec::Aac | TargetCodec::HeAac | TargetCodec::Opus | TargetCodec::Flac => &[],
    };
    scale.get(quality as usize).copied().unwrap_or_default()
}

impl TargetAudio {
    /// The bitrates that can be made of it.
    pub fn bitrates(&self) -> Bitrates {
        match self.codec {
            TargetCodec::Flac => Bitrates::Lossless,
            TargetCodec::Mp3 => Bitrates::Listed(match self.sample_rate_hz {
                32_000.. => MPEG_1_KBPS,
                16_000..32_000 => MPEG_2_KBPS,
                _ => MPEG_2_5_KBPS,
            }),
            TargetCodec::Aac => {
                let most_bps = AAC_BITS_PER_SAMPLE * self.sample_rate_hz * self.channels;
                Bitrates::Between(AAC_LEAST_KBPS * self.channels..=most_bps / 1_000)
            }
            TargetCodec::HeAac => {
                let [least, most] = [AAC_LEAST_KBPS, HE_AAC_MOST_KBPS];
                Bitrates::Between(least * self.channels..=most * self.channels)
            }
            TargetCodec::Vorbis => Bitrates::Between(self.vorbis_kbps()),
            TargetCodec::Opus if self.channels == 1 => {
                Bitrates::Between(OPUS_LEAST_KBPS..=OPUS_MOST_KBPS[0])
            }
            TargetCodec::Opus => Bitrates::Between(OPUS_LEAST_KBPS..=OPUS_MOST_KBPS[1]),
        }
    }

    /// The bitrate that is made if neither that nor a quality is set; `None` if the codec has none.
    pub fn usual_bitrate(&self) -> Option<TargetBitrate> {
        let usual_kbps = match self.codec {
            TargetCodec::Mp3 => 128,
            TargetCodec::HeAac => 48,
            _ => 96,
        };
        let kbps = match self.bitrates() {
            Bitrates::Lossless => return None,
            Bitrates::Listed(kbps) => *kbps.iter().rfind(|kbps| **kbps <= usual_kbps)?,
            Bitrates::Between(bounds) => usual_kbps.clamp(*bounds.start(), *bounds.end()),
        };
        Some(TargetBitrate::from_kbps(kbps))
    }

    /// The bounds of libvorbis, kbit/s: it has tables for ranges of sample rates, for each channel of two that are
    /// coupled, and for one alone.
    fn vorbis_kbps(&self) -> RangeInclusive<u32> {
        match (self.sample_rate_hz, self.channels) {
            (40_000.., 1) => 32..=240,
            (40_000.., _) => 45..=500,
            (26_000..40_000, 1) => 30..=190,
            (26_000..40_000, _) => 36..=380,
            (19_000..26_000, 1) => 16..=90,
            (19_000..26_000, _) => 30..=172,
            (15_000..19_000, 1) => 16..=100,
            (15_000..19_000, _) => 24..=172,
            (9_000..15_000, 1) => 12..=50,
            (9_000..15_000, _) => 16..=88,
            (_, 1) => 8..=42,
            (_, _) => 12..=64,
        }
    }
}

impl fmt::Display for TargetAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = match self.channels {
            1 => "mono",
            _ => "stereo",
        };
        write!(
            f,
            "{} of {} Hz, {channels},",
            self.codec, self.sample_rate_hz
        )
    }
}

impl Bitrates {
    /// Whether this one can be made.
    pub fn have(&self, bitrate: TargetBitrate) -> bool {
        match self {
            Self::Lossless => false,
            Self::Listed(kbps) => kbps.contains(&bitrate.kbps()),
            Self::Between(bounds) => bounds.contains(&bitrate.kbps()),
        }
    }
}

impl fmt::Display for Bitrates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lossless => f.write_str("none"),
            Self::Listed(kbps) => f.write_str(&listed(kbps.iter().map(|kbps| format!("{kbps}k")))),
            Self::Between(bounds) => write!(f, "{}k to {}k", bounds.start(), bounds.end()),
        }
    }
}

/// The words in a list that a sentence can go on with.
pub(super) fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(codec: TargetCodec, sample_rate_hz: u32, channels: u32) -> TargetAudio {
        TargetAudio {
            codec,
            sample_rate_hz,
            channels,
        }
    }

    fn has(audio: TargetAudio, kbps: u32) -> bool {
        audio.bitrates().have(TargetBitrate::from_kbps(kbps))
    }

    #[test]
    fn mp3_has_the_bitrates_of_its_version_of_mpeg() {
        let mp3 = |hz| audio(TargetCodec::Mp3, hz, 2);
        for (hz, kbps, possible) in [
            (44_100, 320, true),
            (44_100, 144, false),
            (44_100, 24, false),
            (48_000, 33, false),
            (32_000, 32, true),
            (24_000, 160, true),
            (22_050, 144, true),
            (16_000, 8, true),
            (24_000, 192, false),
            (12_000, 64, true),
            (8_000, 80, false),
        ] {
            assert_eq!(has(mp3(hz), kbps), possible, "{kbps} at {hz}");
        }
        let all = mp3(8_000).bitrates().to_string();
        assert_eq!(all, "8k, 16k, 24k, 32k, 40k, 48k, 56k or 64k");
    }

    #[test]
    fn other_codecs_have_bounds_that_depend_on_rate_and_channels() {
        let said = |codec, hz, channels| audio(codec, hz, channels).bitrates().to_string();
        assert_eq!(said(TargetCodec::Opus, 48_000, 2), "6k to 510k");
        assert_eq!(said(TargetCodec::Opus, 48_000, 1), "6k to 256k");
        assert_eq!(said(TargetCodec::Aac, 44_100, 2), "16k to 529k");
        assert_eq!(said(TargetCodec::Aac, 8_000, 1), "8k to 48k");
        assert_eq!(said(TargetCodec::Vorbis, 44_100, 2), "45k to 500k");
        assert_eq!(said(TargetCodec::Vorbis, 8_000, 1), "8k to 42k");
        assert_eq!(said(TargetCodec::Flac, 44_100, 2), "none");
        assert!(!has(audio(TargetCodec::Flac, 44_100, 2), 128));
    }

    #[test]
    fn what_is_usual_can_always_be_made() {
        for codec in TargetCodec::ALL {
            assert!(sample_rates(codec).contains(&usual_rate(codec)));
            for (hz, channels) in sample_rates(codec).iter().flat_map(|hz| [(hz, 1), (hz, 2)]) {
                let audio = audio(codec, *hz, channels);
                let usual = audio.usual_bitrate();
                let possible = usual.is_none_or(|usual| audio.bitrates().have(usual));
                assert!(possible, "{audio} {usual:?}");
                assert_eq!(usual.is_none(), codec == TargetCodec::Flac);
            }
        }
    }
}
