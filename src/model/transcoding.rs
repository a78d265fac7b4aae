//! Transcoding: the codecs and bitrates that are made, and the programs that make them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::format::CodecName;

/// A codec that transcoders make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetCodec {
    /// MPEG audio, layer III.
    Mp3,
    /// AAC-LC in ADTS.
    Aac,
    /// AAC with SBR (HE-AAC) in ADTS, which only some builds of the programs make.
    #[serde(rename = "he-aac")]
    HeAac,
    /// Vorbis in Ogg.
    Vorbis,
    /// Opus in Ogg.
    Opus,
    /// FLAC in Ogg, which loses nothing.
    Flac,
}

/// Why a word is not a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `mp3`, `aac`, `he-aac`, `vorbis`, `opus` or `flac`")]
pub struct BadTargetCodec;

impl TargetCodec {
    /// All codecs.
    pub const ALL: [Self; 6] = [
        Self::Mp3,
        Self::Aac,
        Self::HeAac,
        Self::Vorbis,
        Self::Opus,
        Self::Flac,
    ];

    /// The word for it in settings, which is the ending of files with it, too, except for HE-AAC, and Vorbis and FLAC in Ogg.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::HeAac => "he-aac",
            Self::Vorbis => "vorbis",
            Self::Opus => "opus",
            Self::Flac => "flac",
        }
    }
}

impl From<TargetCodec> for CodecName {
    fn from(codec: TargetCodec) -> Self {
        match codec {
            TargetCodec::Mp3 => Self::Mp3,
            TargetCodec::Aac => Self::Aac,
            TargetCodec::HeAac => Self::HeAac,
            TargetCodec::Vorbis => Self::Vorbis,
            TargetCodec::Opus => Self::Opus,
            TargetCodec::Flac => Self::Flac,
        }
    }
}

impl FromStr for TargetCodec {
    type Err = BadTargetCodec;

    fn from_str(word: &str) -> Result<Self, BadTargetCodec> {
        let known = Self::ALL.into_iter().find(|known| known.word() == word);
        known.ok_or(BadTargetCodec)
    }
}

impl fmt::Display for TargetCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A bitrate that is made: whole kbit/s, because some tools know no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct TargetBitrate {
    kbps: u32,
}

/// Why a text is not a bitrate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTargetBitrate {
    /// The text is not a number of kbit/s.
    #[error("must be whole kbit/s, such as 64k or 64000")]
    Shape,
    /// The `k` was forgotten.
    #[error("{0} bit/s is too little for a stream: write {0}k for {0} kbit/s")]
    Slow(u32),
}

impl TargetBitrate {
    /// A bitrate of so many kbit/s.
    pub const fn from_kbps(kbps: u32) -> Self {
        Self { kbps }
    }

    /// The bitrate in kbit/s.
    pub const fn kbps(self) -> u32 {
        self.kbps
    }
}

impl TryFrom<u32> for TargetBitrate {
    type Error = BadTargetBitrate;

    fn try_from(bps: u32) -> Result<Self, BadTargetBitrate> {
        match (bps, bps % 1_000) {
            (1..1_000, _) => Err(BadTargetBitrate::Slow(bps)),
            (1_000.., 0) => Ok(Self { kbps: bps / 1_000 }),
            _ => Err(BadTargetBitrate::Shape),
        }
    }
}

impl From<TargetBitrate> for u32 {
    fn from(bitrate: TargetBitrate) -> Self {
        bitrate.kbps * 1_000
    }
}

impl FromStr for TargetBitrate {
    type Err = BadTargetBitrate;

    fn from_str(text: &str) -> Result<Self, BadTargetBitrate> {
        let (digits, unit) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1_000),
            None => (text, 1),
        };
        // `u32` would accept a leading plus.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| digits.parse::<u32>().ok()).flatten();
        let bps = number.and_then(|number| number.checked_mul(unit));
        Self::try_from(bps.ok_or(BadTargetBitrate::Shape)?)
    }
}

impl fmt::Display for TargetBitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}k", self.kbps)
    }
}

/// A program that transcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscodeEngine {
    /// Liquidsoap.
    Liquidsoap,
    /// ffmpeg.
    Ffmpeg,
}

impl TranscodeEngine {
    /// All programs, in the order in which they are preferred.
    pub const ALL: [Self; 2] = [Self::Liquidsoap, Self::Ffmpeg];

    /// The word for it in settings, which is the name of the program, too.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Liquidsoap => "liquidsoap",
            Self::Ffmpeg => "ffmpeg",
        }
    }
}

impl fmt::Display for TranscodeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How far a transcoder is. A word of a newer version reads as unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscoderStage {
    /// No source is to be heard.
    Waiting,
    /// Nobody listens, and so nothing is made.
    Idle,
    /// The program runs, and has made nothing yet.
    Starting,
    /// The stream is made.
    Running,
    /// The program has failed, and is started again a little later.
    Failing,
    /// None that is known here.
    #[default]
    #[serde(other)]
    Unknown,
}

impl TranscoderStage {
    /// Whether the program runs.
    pub fn runs(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// A transcoder, as the node tells that has its seat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscoderReport {
    /// The program that does the work, such as `ffmpeg`; empty while no node runs it.
    pub engine: String,
    /// How far it is.
    pub stage: TranscoderStage,
    /// Why there is no stream, and what to do about it, while there is a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How often its program was started again after a failure, since the node has run it.
    #[serde(default)]
    pub restarts: u32,
    /// How much of the other mount's audio it has and has not made into its own stream yet, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// How much of one processor its program uses, thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_permille: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_is_written_with_or_without_its_thousands() {
        for (text, kbps) in [("64k", 64), ("64000", 64), ("320K", 320), ("1k", 1)] {
            let read: TargetBitrate = text.parse().unwrap();
            assert_eq!(read, TargetBitrate::from_kbps(kbps), "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
        for bad in [
            "", "k", "0", "0k", "64M", "+64k", "-64k", "64.5k", "64500", " 64k", "64kbit",
            "9999999k",
        ] {
            let why = bad.parse::<TargetBitrate>();
            assert_eq!(why, Err(BadTargetBitrate::Shape), "{bad:?}");
        }
        let why = "64".parse::<TargetBitrate>().unwrap_err().to_string();
        assert!(why.contains("write 64k"), "{why}");
    }

    #[test]
    fn a_codec_is_known_by_its_word() {
        for codec in TargetCodec::ALL {
            assert_eq!(codec.word().parse(), Ok(codec));
            let json = serde_json::to_string(&codec).unwrap();
            assert_eq!(json, format!("{:?}", codec.word()));
            assert!(BadTargetCodec.to_string().contains(codec.word()));
        }
        assert_eq!("MP3".parse::<TargetCodec>(), Err(BadTargetCodec));
    }
}
