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

impl StreamFormat {
    /// Whether it has pictures, and no sound of a coding that is known.
    pub fn is_silent(self) -> bool {
        self.video.is_some() && self.codec == CodecName::Unknown
    }

    /// The same with what another view of the stream adds: its codec, if it means the same container, and its figures.
    #[must_use]
    pub fn filled_from(self, other: Self) -> Self {
        let is_same = [self.container, Container::Unknown].contains(&other.container);
        Self {
            codec: match self.codec {
                CodecName::Unknown if is_same => other.codec,
                own => own,
            },
            bitrate_bps: match self.bitrate_bps {
                0 => other.bitrate_bps,
                own => own,
            },
            sample_rate_hz: match self.sample_rate_hz {
                0 => other.sample_rate_hz,
                own => own,
            },
            channels: match self.channels {
                0 => other.channels,
                own => own,
            },
            ..self
        }
    }

    /// The format in words, without its bitrate, such as `Ogg Opus, 48 kHz, stereo`; empty if nothing is known.
    pub fn in_words(self) -> String {
        let mut words = vec![self.coding()];
        if self.sample_rate_hz > 0 {
            words.push(format!("{} kHz", f64::from(self.sample_rate_hz) / 1e3));
        }
        match self.channels {
            0 => {}
            1 => words.push("mono".to_owned()),
            2 => words.push("stereo".to_owned()),
            channels => words.push(format!("{channels} channels")),
        }
        words.retain(|word| !word.is_empty());
        words.join(", ")
    }

    /// Container, pictures and sound, such as `WebM VP8 640×360, Vorbis`.
    fn coding(self) -> String {
        let sound = self.codec.title();
        let container = self.container.title(self.codec);
        let pictures = self.video.map(VideoFormat::in_words).unwrap_or_default();
        let words = [container, pictures.as_str()].into_iter();
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let begin = words.join(" ");
        match (begin.is_empty(), sound.is_empty(), pictures.is_empty()) {
            (true, ..) => sound.to_owned(),
            (_, true, _) => begin,
            (_, _, true) => format!("{begin} {sound}"),
            (..) => format!("{begin}, {sound}"),
        }
    }
}

impl VideoFormat {
    fn in_words(self) -> String {
        let codec = match self.codec.title() {
            "" => "video",
            known => known,
        };
        match (self.width, self.height) {
            (0, _) | (_, 0) => codec.to_owned(),
            (width, height) => format!("{codec} {width}×{height}"),
        }
    }
}

impl Container {
    /// The name as it is written for people; empty where the codec alone says it, and where nothing is known.
    fn title(self, codec: CodecName) -> &'static str {
        let is_known = codec != CodecName::Unknown;
        match self {
            Self::Mpeg | Self::Adts | Self::Flac if is_known => "",
            Self::Mpeg => "MPEG audio",
            Self::Adts => "AAC",
            Self::Loas => "LOAS",
            Self::Ogg => "Ogg",
            Self::Webm => "WebM",
            Self::Matroska => "Matroska",
            Self::Flac => "FLAC",
            Self::Mpegts => "MPEG-TS",
            Self::Unknown => "",
        }
    }

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
    /// The name as it is written for people; empty if it is not known.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mp1 => "MP1",
            Self::Mp2 => "MP2",
            Self::Mp3 => "MP3",
            Self::Aac => "AAC",
            Self::HeAac => "HE-AAC",
            Self::Vorbis => "Vorbis",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Speex => "Speex",
            Self::Ac3 => "AC-3",
            Self::Pcm => "PCM",
            Self::Theora => "Theora",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Mpeg2 => "MPEG-2",
            Self::Unknown => "",
        }
    }

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
    fn a_format_is_told_in_words() {
        let video = |codec, width| {
            Some(VideoFormat {
                codec,
                width,
                height: 360,
            })
        };
        for (container, codec, video, words) in [
            (Container::Mpeg, CodecName::Mp3, None, "MP3"),
            (Container::Mpeg, CodecName::Unknown, None, "MPEG audio"),
            (Container::Ogg, CodecName::Opus, None, "Ogg Opus"),
            (Container::Ogg, CodecName::Unknown, None, "Ogg"),
            (Container::Unknown, CodecName::Unknown, None, ""),
            (
                Container::Webm,
                CodecName::Vorbis,
                video(CodecName::Vp8, 640),
                "WebM VP8 640×360, Vorbis",
            ),
            (
                Container::Mpegts,
                CodecName::Unknown,
                video(CodecName::Unknown, 0),
                "MPEG-TS video",
            ),
        ] {
            let format = StreamFormat {
                container,
                codec,
                video,
                ..StreamFormat::default()
            };
            assert_eq!(format.in_words(), words);
        }
        let figures = |sample_rate_hz, channels| {
            let format = StreamFormat {
                sample_rate_hz,
                channels,
                ..StreamFormat::default()
            };
            format.in_words()
        };
        assert_eq!(figures(44_100, 2), "44.1 kHz, stereo");
        assert_eq!(figures(48_000, 1), "48 kHz, mono");
        assert_eq!(figures(0, 6), "6 channels");
    }

    #[test]
    fn what_bytes_do_not_tell_is_filled_from_what_was_said() {
        let seen = StreamFormat {
            container: Container::Ogg,
            sample_rate_hz: 48_000,
            ..StreamFormat::default()
        };
        let said = StreamFormat {
            container: Container::Ogg,
            codec: CodecName::Opus,
            bitrate_bps: 64_000,
            sample_rate_hz: 44_100,
            channels: 2,
            video: None,
        };
        let filled = StreamFormat {
            sample_rate_hz: 48_000,
            ..said
        };
        assert_eq!(seen.filled_from(said), filled);
        let lied = StreamFormat {
            container: Container::Mpeg,
            codec: CodecName::Mp3,
            ..said
        };
        assert_eq!(seen.filled_from(lied).codec, CodecName::Unknown);
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
