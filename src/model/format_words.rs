//! The format that words tell, such as those in the record of a kept file: the way back of [`StreamFormat::in_words`].

use super::format::{CodecName, Container, StreamFormat};

/// The codings of sound, as words name them.
const CODECS: [CodecName; 11] = [
    CodecName::Mp1,
    CodecName::Mp2,
    CodecName::Mp3,
    CodecName::Aac,
    CodecName::HeAac,
    CodecName::Vorbis,
    CodecName::Opus,
    CodecName::Flac,
    CodecName::Speex,
    CodecName::Ac3,
    CodecName::Pcm,
];

/// Container, coding and figures of a format in words, such as `Ogg Opus, 48 kHz, stereo`; `None`: neither container nor coding
/// is known. What no word tells is unknown, pictures and bitrate among it.
pub fn format_of_words(words: &str) -> Option<StreamFormat> {
    let mut format = StreamFormat::default();
    let mut before = "";
    for word in words.split([' ', ',']).filter(|word| !word.is_empty()) {
        let codec = CODECS.iter().find(|codec| codec.title() == word);
        match (word, codec) {
            (_, Some(codec)) => format.codec = *codec,
            ("audio", None) if before == "MPEG" => format.container = Container::Mpeg,
            ("Ogg", None) => format.container = Container::Ogg,
            ("LOAS", None) => format.container = Container::Loas,
            ("WebM", None) => format.container = Container::Webm,
            ("Matroska", None) => format.container = Container::Matroska,
            ("MPEG-TS", None) => format.container = Container::Mpegts,
            ("kHz", None) => format.sample_rate_hz = hertz(before),
            ("mono", None) => format.channels = 1,
            ("stereo", None) => format.channels = 2,
            ("channels", None) => format.channels = before.parse().unwrap_or_default(),
            _ => {}
        }
        before = word;
    }
    if format.container == Container::Unknown {
        format.container = alone(format.codec);
    }
    (format.container != Container::Unknown || format.codec != CodecName::Unknown).then_some(format)
}

/// The container that words leave out, because the codec alone says it.
fn alone(codec: CodecName) -> Container {
    match codec {
        CodecName::Mp1 | CodecName::Mp2 | CodecName::Mp3 => Container::Mpeg,
        CodecName::Aac | CodecName::HeAac => Container::Adts,
        CodecName::Flac => Container::Flac,
        _ => Container::Unknown,
    }
}

/// A rate such as `44.1`, in thousands; 0 if it is none.
fn hertz(thousands: &str) -> u32 {
    let (whole, part) = thousands.split_once('.').unwrap_or((thousands, ""));
    let digits = format!("{whole}{part:0<3}");
    match part.len() {
        0..=3 => digits.parse().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_words_tell_is_read_again() {
        for (container, codec) in [
            (Container::Mpeg, CodecName::Mp3),
            (Container::Mpeg, CodecName::Mp2),
            (Container::Mpeg, CodecName::Unknown),
            (Container::Adts, CodecName::Aac),
            (Container::Adts, CodecName::HeAac),
            (Container::Loas, CodecName::Aac),
            (Container::Ogg, CodecName::Opus),
            (Container::Ogg, CodecName::Vorbis),
            (Container::Ogg, CodecName::Flac),
            (Container::Ogg, CodecName::Unknown),
            (Container::Flac, CodecName::Flac),
            (Container::Webm, CodecName::Opus),
            (Container::Matroska, CodecName::Pcm),
            (Container::Mpegts, CodecName::Ac3),
        ] {
            for (sample_rate_hz, channels) in [(0, 0), (44_100, 2), (11_025, 1), (48_000, 6)] {
                let format = StreamFormat {
                    container,
                    codec,
                    sample_rate_hz,
                    channels,
                    ..StreamFormat::default()
                };
                let words = format.in_words();
                assert_eq!(format_of_words(&words), Some(format), "{words}");
            }
        }
    }

    #[test]
    fn words_that_tell_nothing_are_no_format() {
        for words in ["", "44.1 kHz, stereo", "Opus2, 48 kHz", ",", "kHz", "MPEG"] {
            assert_eq!(format_of_words(words), None, "{words}");
        }
        let odd = format_of_words("MP3, 99999999999.1 kHz, 900 channels").unwrap();
        assert_eq!((odd.sample_rate_hz, odd.channels), (0, 0));
    }
}
