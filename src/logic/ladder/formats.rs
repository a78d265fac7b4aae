//! Formats: whether players can go on from one to another, and the one that a name promises.
//!
//! A format may be known in part only. What is not known speaks against nothing.

use crate::model::file_name::PlayedFile;
use crate::model::format::{CodecName, Container, StreamFormat};
use crate::model::rung_name::RungName;

/// The endings of names that promise a format.
const ENDINGS: &[(&str, Container, CodecName)] = &[
    ("mp3", Container::Mpeg, CodecName::Mp3),
    ("mp2", Container::Mpeg, CodecName::Mp2),
    // ADTS or LATM.
    ("aac", Container::Unknown, CodecName::Aac),
    ("aacp", Container::Unknown, CodecName::Aac),
    ("flac", Container::Unknown, CodecName::Flac),
    ("opus", Container::Ogg, CodecName::Opus),
    ("spx", Container::Ogg, CodecName::Speex),
    ("ogg", Container::Ogg, CodecName::Unknown),
    ("oga", Container::Ogg, CodecName::Unknown),
    ("webm", Container::Webm, CodecName::Unknown),
    ("mka", Container::Matroska, CodecName::Unknown),
    ("mkv", Container::Matroska, CodecName::Unknown),
];

/// The format that the name of a rung promises; `None`: none that is known.
pub fn promised_format(rung: &RungName) -> Option<StreamFormat> {
    let name = match rung {
        RungName::Mount(mount) => mount.as_str(),
        RungName::File(PlayedFile::Kept(file)) => file.as_str(),
        RungName::File(PlayedFile::Path(path)) => path.as_str(),
    };
    let (_, ending) = name.rsplit_once('.')?;
    let mut endings = ENDINGS.iter();
    let (_, container, codec) = endings.find(|(known, ..)| known.eq_ignore_ascii_case(ending))?;
    Some(StreamFormat {
        container: *container,
        codec: *codec,
        ..StreamFormat::default()
    })
}

/// Whether players that hear one format could go on with the other, as far as both are known. Most decoders follow another
/// rate, and other channels; those of FLAC without Ogg do not, and nothing can follow in WebM.
pub fn may_follow(heard: StreamFormat, next: StreamFormat) -> bool {
    let agree = |heard: u32, next: u32| heard == next || heard == 0 || next == 0;
    let containers = [heard.container, next.container];
    let codecs = [heard, next].map(|format| match format.codec {
        CodecName::HeAac => CodecName::Aac,
        codec => codec,
    });
    let fits_container = match containers {
        [Container::Unknown, _] | [_, Container::Unknown] => true,
        [Container::Webm | Container::Matroska, _] => false,
        [heard, next] => heard == next,
    };
    let fits_codec = codecs.contains(&CodecName::Unknown) || codecs[0] == codecs[1];
    let fits_figures = containers != [Container::Flac; 2]
        || agree(heard.sample_rate_hz, next.sample_rate_hz)
            && agree(heard.channels.into(), next.channels.into());
    fits_container && fits_codec && fits_figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(container: Container, codec: CodecName, sample_rate_hz: u32) -> StreamFormat {
        StreamFormat {
            container,
            codec,
            sample_rate_hz,
            channels: 2,
            ..StreamFormat::default()
        }
    }

    #[test]
    fn players_go_on_with_the_same_format_only() {
        let mp3 = format(Container::Mpeg, CodecName::Mp3, 44_100);
        let opus = format(Container::Ogg, CodecName::Opus, 48_000);
        let flac = format(Container::Flac, CodecName::Flac, 44_100);
        let aac = format(Container::Adts, CodecName::Aac, 44_100);
        for (heard, next, may) in [
            (mp3, mp3, true),
            (mp3, format(Container::Mpeg, CodecName::Mp3, 48_000), true),
            (mp3, format(Container::Mpeg, CodecName::Mp2, 44_100), false),
            (mp3, opus, false),
            (
                opus,
                format(Container::Ogg, CodecName::Vorbis, 48_000),
                false,
            ),
            (
                flac,
                format(Container::Flac, CodecName::Flac, 48_000),
                false,
            ),
            (flac, format(Container::Flac, CodecName::Flac, 0), true),
            (aac, format(Container::Adts, CodecName::HeAac, 22_050), true),
            (mp3, StreamFormat::default(), true),
            (StreamFormat::default(), opus, true),
        ] {
            assert_eq!(may_follow(heard, next), may, "{heard:?}, {next:?}");
        }
        let webm = format(Container::Webm, CodecName::Opus, 48_000);
        assert!(!may_follow(webm, webm));
    }

    #[test]
    fn names_promise_formats() {
        for (one, other, may) in [
            ("/live.mp3", "file:loop.mp3", true),
            ("/live.mp3", "file:loop.MP3", true),
            ("/live.mp3", "/auto.opus", false),
            ("/live.mp3", "file:/srv/loop.ogg", false),
            ("/live.ogg", "/auto.opus", true),
            ("/live.aac", "/auto.mp3", false),
            ("/live.flac", "/auto.ogg", true),
            ("/live.flac", "/auto.opus", false),
            ("/live.webm", "/auto.webm", false),
        ] {
            let promised =
                [one, other].map(|name| promised_format(&name.parse().unwrap()).unwrap());
            assert_eq!(may_follow(promised[0], promised[1]), may, "{one} {other}");
        }
        for silent in ["/live", "/mp3", "/a.mp3/live", "/live.xyz"] {
            assert_eq!(promised_format(&silent.parse().unwrap()), None, "{silent}");
        }
    }
}
