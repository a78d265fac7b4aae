//! Whether the listeners of one stream can go on with another, and how: what their decoders would say to it.
//!
//! The words of a source do not decide: `audio/ogg; codecs=opus` and `application/ogg` may be one format, and two streams
//! that are both called `audio/ogg` may need two decoders. The bytes decide, as soon as there are enough of them.

use super::format::detect::Format;
use super::format::layout::Layout;

/// How a decoder that plays one stream goes on with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splice {
    /// The next stream follows from a place where it may be joined, behind its prologue.
    WithPrologue,
    /// The next stream follows from a place where it may be joined, without its prologue: the decoder has one like it, and
    /// would take another for damage.
    Bare,
    /// The next stream cannot follow: the listener has to ask for it anew.
    Never,
}

/// Whether streams of two media types may turn out to go together. If not, there is nothing to wait for.
pub fn may_splice(told: &str, next: &str) -> bool {
    match (Format::of_media_type(told), Format::of_media_type(next)) {
        // One file has one header, and times only grow: nothing can follow in it.
        (Some(Format::Ebml), _) | (_, Some(Format::Ebml)) => false,
        (Some(told), Some(next)) => told == next,
        (None, None) => told.eq_ignore_ascii_case(next),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// How a decoder that was told one layout goes on with another.
pub fn splice(told: &Layout, next: &Layout) -> Splice {
    match (told, next) {
        (Layout::Ebml, _) | (_, Layout::Ebml) => Splice::Never,
        // A header in the middle is damage to a decoder of FLAC, but each frame says all that one needs.
        (Layout::Flac(told), Layout::Flac(next)) => match told == next {
            true => Splice::Bare,
            false => Splice::Never,
        },
        // Few players go on with another group of streams side by side: ffmpeg, mpv and VLC fall silent or end.
        (Layout::Ogg(told), Layout::Ogg(next)) if told.len() > 1 || next.len() > 1 => Splice::Never,
        // Without headers nobody knows what was heard: to go on with the same container is the best guess.
        (Layout::Ogg(told), Layout::Ogg(next)) if told.is_empty() || next.is_empty() => {
            Splice::WithPrologue
        }
        (Layout::Ogg(told), Layout::Ogg(next)) => {
            let mut pairs = told.iter().zip(next);
            match pairs.all(|(told, next)| told.takes(*next)) {
                true => Splice::WithPrologue,
                false => Splice::Never,
            }
        }
        (told, next) if told == next => Splice::WithPrologue,
        (Layout::Opaque(_), _) | (_, Layout::Opaque(_)) if has_one_type(told, next) => {
            Splice::WithPrologue
        }
        _ => Splice::Never,
    }
}

/// Whether one of the two is not recognised, but goes by the name of the other.
fn has_one_type(told: &Layout, next: &Layout) -> bool {
    match (told, next) {
        (Layout::Opaque(told), Layout::Opaque(next)) => told.eq_ignore_ascii_case(next),
        (Layout::Opaque(media_type), known) | (known, Layout::Opaque(media_type)) => {
            let format = Format::of_media_type(media_type);
            format.is_some() && format == format_of(known)
        }
        _ => false,
    }
}

fn format_of(layout: &Layout) -> Option<Format> {
    match layout {
        Layout::Mpeg(_) => Some(Format::Mpeg),
        Layout::Adts => Some(Format::Adts),
        Layout::Loas => Some(Format::Loas),
        Layout::Ogg(_) => Some(Format::Ogg),
        Layout::Flac(_) => Some(Format::Flac),
        Layout::Ts(_) => Some(Format::Ts),
        Layout::Ebml => Some(Format::Ebml),
        Layout::Opaque(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::format::layout::{FlacLayout, OggSetup, OggTrack, TsTrack};
    use crate::model::format::CodecName::{self, Aac, H264, Mp2, Mp3, Opus, Theora, Vorbis};

    fn opaque(media_type: &str) -> Layout {
        Layout::Opaque(media_type.to_owned())
    }

    fn flac(rate_hz: u32) -> Layout {
        Layout::Flac(FlacLayout {
            max_samples: 4_608,
            rate_hz,
            channels: 2,
            bits: 16,
        })
    }

    fn ogg(codec: CodecName) -> OggTrack {
        let setup = OggSetup::Free;
        OggTrack { codec, setup }
    }

    fn ogg_flac(bits: u8, max_samples: u16) -> Layout {
        let setup = OggSetup::Flac { bits, max_samples };
        Layout::Ogg(vec![OggTrack {
            codec: CodecName::Flac,
            setup,
        }])
    }

    fn programme(first_pid: u16) -> Layout {
        let tracks = [H264, Aac].into_iter().zip(first_pid..);
        let tracks = tracks.map(|(codec, pid)| TsTrack {
            pid,
            codec,
            channels: 0,
        });
        Layout::Ts(tracks.collect())
    }

    #[test]
    fn decoders_go_on_with_what_they_are_set_up_for() {
        let film = Layout::Ogg(vec![ogg(Vorbis), ogg(Theora)]);
        let (opus, unknown) = (Layout::Ogg(vec![ogg(Opus)]), Layout::Ogg(Vec::new()));
        let surround = Layout::Ogg(vec![OggTrack {
            codec: Opus,
            setup: OggSetup::Mapping {
                channels: 6,
                family: 1,
                streams: 4,
                coupled: 2,
            },
        }]);
        for (told, next, expected) in [
            (Layout::Mpeg(Mp3), Layout::Mpeg(Mp3), Splice::WithPrologue),
            (Layout::Mpeg(Mp3), Layout::Mpeg(Mp2), Splice::Never),
            (Layout::Adts, Layout::Adts, Splice::WithPrologue),
            (Layout::Adts, Layout::Loas, Splice::Never),
            (opus.clone(), opus.clone(), Splice::WithPrologue),
            (opus.clone(), film.clone(), Splice::Never),
            (film.clone(), film.clone(), Splice::Never),
            (film, unknown.clone(), Splice::Never),
            (opus.clone(), unknown.clone(), Splice::WithPrologue),
            (unknown, Layout::Adts, Splice::Never),
            (surround.clone(), surround.clone(), Splice::WithPrologue),
            (surround, opus, Splice::Never),
            (
                ogg_flac(16, 4_608),
                ogg_flac(16, 4_608),
                Splice::WithPrologue,
            ),
            (ogg_flac(16, 4_608), ogg_flac(24, 4_608), Splice::Never),
            (flac(44_100), flac(44_100), Splice::Bare),
            (flac(44_100), flac(48_000), Splice::Never),
            (programme(256), programme(256), Splice::WithPrologue),
            (programme(256), programme(257), Splice::Never),
            (Layout::Ebml, Layout::Ebml, Splice::Never),
            (
                opaque("video/nsv"),
                opaque("video/NSV"),
                Splice::WithPrologue,
            ),
            (opaque("video/nsv"), opaque("audio/wav"), Splice::Never),
            (opaque("audio/mp3"), Layout::Mpeg(Mp3), Splice::WithPrologue),
            (Layout::Mpeg(Mp3), opaque("audio/wav"), Splice::Never),
            (opaque("audio/webm"), Layout::Ebml, Splice::Never),
        ] {
            assert_eq!(splice(&told, &next), expected, "{told:?} {next:?}");
            assert_eq!(splice(&next, &told), expected, "{next:?} {told:?}");
        }
    }

    #[test]
    fn decoders_of_flac_in_ogg_go_on_with_shorter_frames_only() {
        let [short, long] = [1_152, 4_608].map(|samples| ogg_flac(16, samples));
        assert_eq!(splice(&long, &short), Splice::WithPrologue);
        assert_eq!(splice(&short, &long), Splice::Never);
    }

    #[test]
    fn media_types_decide_only_what_bytes_cannot_change() {
        for (told, next, may) in [
            ("audio/ogg; codecs=opus", "application/ogg", true),
            ("audio/aac", "audio/aacp", true),
            ("audio/mpeg", "Audio/MPEG; x=y", true),
            ("video/nsv", "video/nsv", true),
            ("video/nsv", "audio/wav", false),
            ("audio/mpeg", "audio/ogg", false),
            ("audio/mpeg", "text/plain", false),
            ("audio/webm", "audio/webm", false),
        ] {
            assert_eq!(may_splice(told, next), may, "{told} {next}");
        }
    }
}
