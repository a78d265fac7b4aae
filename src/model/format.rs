//! The format of a stream, as a listener, a page or a tool wants to know it: the container, the codec, and its figures.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The structure that audio is packed in. A word of a newer build reads as `Unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// Frames of MPEG audio, one after another.
    Mpeg,
    /// AAC with ADTS headers.
    Adts,
    /// AAC in the Low Overhead Audio Stream, of MPEG-4.
    Loas,
    /// Ogg.
    Ogg,
    /// WebM.
    Webm,
    /// Matroska.
    Matroska,
    /// FLAC without Ogg.
    Flac,
    /// MPEG transport stream.
    Mpegts,
    /// None that is recognised.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The coding of audio or of pictures. A word of a newer build reads as `Unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodecName {
    /// MPEG audio, layer I.
    Mp1,
    /// MPEG audio, layer II.
    Mp2,
    /// MPEG audio, layer III.
    Mp3,
    /// AAC, of any profile that is not told apart here.
    Aac,
    /// High-efficiency AAC.
    #[serde(rename = "he-aac")]
    HeAac,
    /// Vorbis.
    Vorbis,
    /// Opus.
    Opus,
    /// FLAC.
    Flac,
    /// Speex.
    Speex,
    /// AC-3.
    Ac3,
    /// Uncompressed samples.
    Pcm,
    /// Theora.
    Theora,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
    /// H.264, or AVC.
    H264,
    /// H.265, or HEVC.
    H265,
    /// MPEG-1 or MPEG-2 video.
    Mpeg2,
    /// None that is recognised.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The pictures of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFormat {
    /// The coding.
    pub codec: CodecName,
    /// Pixels from left to right; 0 if that is not known.
    pub width: u32,
    /// Pixels from top to bottom; 0 if that is not known.
    pub height: u32,
}

/// The format of a stream by its bytes. A figure is 0 while it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFormat {
    /// The structure of the stream.
    pub container: Container,
    /// The coding of its audio.
    pub codec: CodecName,
    /// Bits per second, measured; of the whole stream.
    pub bitrate_bps: u64,
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// The number of channels.
    pub channels: u8,
    /// The pictures, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoFormat>,
}

impl Container {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mpeg => "mpeg",
            Self::Adts => "adts",
            Self::Loas => "loas",
            Self::Ogg => "ogg",
            Self::Webm => "webm",
            Self::Matroska => "matroska",
            Self::Flac => "flac",
            Self::Mpegts => "mpegts",
            Self::Unknown => "unknown",
        }
    }
}

impl CodecName {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp1 => "mp1",
            Self::Mp2 => "mp2",
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::HeAac => "he-aac",
            Self::Vorbis => "vorbis",
            Self::Opus => "opus",
            Self::Flac => "flac",
            Self::Speex => "speex",
            Self::Ac3 => "ac3",
            Self::Pcm => "pcm",
            Self::Theora => "theora",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Mpeg2 => "mpeg2",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_display_and_unknown_ones_are_read() {
        for codec in [CodecName::HeAac, CodecName::Mp3, CodecName::H264] {
            let word = serde_json::to_string(&codec).unwrap();
            assert_eq!(word, format!("\"{codec}\""));
            assert_eq!(serde_json::from_str::<CodecName>(&word).unwrap(), codec);
        }
        for container in [Container::Mpegts, Container::Ogg] {
            let word = serde_json::to_string(&container).unwrap();
            assert_eq!(word, format!("\"{container}\""));
        }
        let newer: CodecName = serde_json::from_str("\"mpeg-h\"").unwrap();
        assert_eq!(newer, CodecName::Unknown);
    }

    #[test]
    fn a_format_without_pictures_does_not_speak_of_them() {
        let format = StreamFormat {
            container: Container::Mpeg,
            codec: CodecName::Mp3,
            bitrate_bps: 128_000,
            sample_rate_hz: 44_100,
            channels: 2,
            video: None,
        };
        let json = serde_json::to_string(&format).unwrap();
        assert_eq!(
            json,
            r#"{"container":"mpeg","codec":"mp3","bitrate_bps":128000,"sample_rate_hz":44100,"channels":2}"#
        );
        assert_eq!(serde_json::from_str::<StreamFormat>(&json).unwrap(), format);
    }
}
