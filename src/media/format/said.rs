//! The format of a stream by what its source says of it, until its bytes tell more.

use percent_encoding::percent_decode_str;

use super::adts::named_codec;
use super::detect::Format;
use crate::model::format::{CodecName, Container, StreamFormat};
use crate::model::stream::StreamHead;

/// No audio has more channels: 22.2 surround has 24, and a scene of third order 16.
const MAX_CHANNELS: u8 = 64;
/// No audio has a higher rate than 768 kHz.
const MAX_SAMPLE_RATE_HZ: u32 = 768_000;

/// The format that a head names: by its media type, and by `ice-audio-info`.
pub fn of_head(head: &StreamHead) -> StreamFormat {
    let audio_info = head.icy("audio-info").unwrap_or_default();
    StreamFormat {
        bitrate_bps: u64::from(head.declared_kbps()) * 1_000,
        ..of_words(&head.content_type, audio_info)
    }
}

/// The format that a media type and the words of `ice-audio-info` name.
pub fn of_words(media_type: &str, audio_info: &str) -> StreamFormat {
    let (container, codec) = of_media_type(media_type);
    let number = |names: [&str; 2]| names.into_iter().find_map(|name| figure(audio_info, name));
    let sample_rate_hz = number(["ice-samplerate", "samplerate"]).unwrap_or_default();
    let channels = number(["ice-channels", "channels"]).unwrap_or_default();
    let channels = u8::try_from(channels).unwrap_or_default();
    StreamFormat {
        container,
        codec,
        sample_rate_hz: within(sample_rate_hz, MAX_SAMPLE_RATE_HZ),
        channels: within(channels, MAX_CHANNELS),
        ..StreamFormat::default()
    }
}

/// A figure that is possible, else the one that says that it is not known.
fn within<N: PartialOrd + Default>(figure: N, most: N) -> N {
    if figure <= most { figure } else { N::default() }
}

fn of_media_type(media_type: &str) -> (Container, CodecName) {
    match Format::of_media_type(media_type) {
        Some(Format::Mpeg) => (Container::Mpeg, CodecName::Mp3),
        Some(Format::Adts) => (Container::Adts, named_codec(media_type)),
        Some(Format::Loas) => (Container::Loas, CodecName::Aac),
        Some(Format::Ogg) => (Container::Ogg, named_in(media_type)),
        Some(Format::Ebml) if names(media_type, "matroska") => {
            (Container::Matroska, named_in(media_type))
        }
        Some(Format::Ebml) => (Container::Webm, named_in(media_type)),
        Some(Format::Flac) => (Container::Flac, CodecName::Flac),
        Some(Format::Ts) => (Container::Mpegts, CodecName::Unknown),
        None => (Container::Unknown, CodecName::Unknown),
    }
}

/// The codec that a media type names, as its subtype or among its `codecs`.
fn named_in(media_type: &str) -> CodecName {
    let known = [
        ("opus", CodecName::Opus),
        ("vorbis", CodecName::Vorbis),
        ("flac", CodecName::Flac),
        ("speex", CodecName::Speex),
    ];
    let named = known.into_iter().find(|(word, _)| names(media_type, word));
    named.map_or(CodecName::Unknown, |(_, codec)| codec)
}

fn names(media_type: &str, word: &str) -> bool {
    media_type.to_ascii_lowercase().contains(word)
}

/// The number of a pair such as `ice-samplerate=44100`, of pairs that stand between semicolons.
fn figure(audio_info: &str, name: &str) -> Option<u32> {
    let mut pairs = audio_info
        .split(';')
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    let value = percent_decode_str(value.trim()).decode_utf8_lossy();
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_names_container_and_codec() {
        for (media_type, container, codec) in [
            ("audio/mpeg", Container::Mpeg, CodecName::Mp3),
            ("audio/aacp", Container::Adts, CodecName::HeAac),
            ("application/ogg", Container::Ogg, CodecName::Unknown),
            ("audio/ogg; codecs=opus", Container::Ogg, CodecName::Opus),
            ("Audio/Opus", Container::Ogg, CodecName::Opus),
            (
                "video/webm; codecs=\"vp8, vorbis\"",
                Container::Webm,
                CodecName::Vorbis,
            ),
            ("video/x-matroska", Container::Matroska, CodecName::Unknown),
            ("audio/flac", Container::Flac, CodecName::Flac),
            ("audio/midi", Container::Unknown, CodecName::Unknown),
            ("", Container::Unknown, CodecName::Unknown),
        ] {
            let said = of_words(media_type, "");
            assert_eq!((said.container, said.codec), (container, codec));
        }
    }

    #[test]
    fn the_audio_info_names_figures_and_impossible_ones_are_unknown() {
        for (audio_info, figures) in [
            ("ice-samplerate=44100; ice-channels=2%20;x=y", (44_100, 2)),
            ("samplerate=48000;channels=1", (48_000, 1)),
            ("ice-samplerate=4294967295;ice-channels=300", (0, 0)),
            ("ice-samplerate=fast;ice-channels", (0, 0)),
            ("", (0, 0)),
        ] {
            let said = of_words("audio/mpeg", audio_info);
            assert_eq!((said.sample_rate_hz, said.channels), figures);
        }
    }
}
