//! The format of a stream by its first bytes: sources often state a wrong one.
//!
//! `ffmpeg` without `-content_type` sends Ogg as `audio/mpeg`. A recognised format counts; what the source states
//! counts where nothing is recognised, or where it names the same format in other words.

use super::mpeg::FrameHeader;

/// How many bytes are looked at: two of the longest ADTS frames, and three MPEG frames of 320 kbit/s after a tag.
pub const LOOK_BYTES: usize = 16 << 10;

/// The formats of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// MPEG audio: MP3 and its relatives.
    Mpeg,
    /// AAC with ADTS headers.
    Adts,
    /// Ogg, with any codec in it.
    Ogg,
    /// Matroska, or WebM, which has the same structure.
    Ebml,
    /// FLAC without Ogg.
    Flac,
}

/// The result of looking at the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Not known yet: more bytes are needed.
    More,
    /// The format is recognised.
    Is(Format),
    /// The format is not recognised.
    Unknown,
}

impl Format {
    /// The media type that listeners get where the source has stated that of another format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Mpeg => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::Ogg => "application/ogg",
            Self::Ebml => "audio/webm",
            Self::Flac => "audio/flac",
        }
    }

    /// Whether titles stand in the stream itself; into all others they are woven.
    pub fn has_own_titles(self) -> bool {
        matches!(self, Self::Ogg | Self::Ebml)
    }

    /// The format of a media type, whatever its parameters and case; `None`: one that is not recognised by bytes.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let name = media_type.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = name.split_once('/')?;
        let subtype = subtype.to_ascii_lowercase();
        let subtype = subtype.strip_prefix("x-").unwrap_or(&subtype);
        match (kind.to_ascii_lowercase().as_str(), subtype) {
            ("audio", "mpeg" | "mp3" | "mpeg3" | "mpg" | "mpa" | "mpeg-3") => Some(Self::Mpeg),
            ("audio", "aac" | "aacp" | "aac-adts" | "hx-aac-adts") => Some(Self::Adts),
            ("audio", "opus" | "vorbis" | "speex" | "ogg+flac") => Some(Self::Ogg),
            ("audio" | "video" | "application", "ogg") => Some(Self::Ogg),
            ("audio" | "video", "webm" | "matroska") => Some(Self::Ebml),
            ("audio", "flac") => Some(Self::Flac),
            _ => None,
        }
    }
}

/// Whether the listeners of a stream of one media type can go on with a stream of another: they have been told the
/// first one's, and their decoders may have been chosen by its parameters.
pub fn splices(told: &str, next: &str) -> bool {
    told == next
}

/// Looks at the beginning of a stream whose source states the media type `told`.
///
/// A source may begin in the middle of a frame. Its first whole frames are only searched for where the source states
/// audio in frames, or a format that is recognised at its very beginning: a film may contain MPEG frames too.
pub fn look(begun: &[u8], told: &str) -> Look {
    let magic: [(&[u8], Format); 3] = [
        (b"OggS", Format::Ogg),
        (b"\x1A\x45\xDF\xA3", Format::Ebml),
        (b"fLaC", Format::Flac),
    ];
    if let Some((_, format)) = magic.iter().find(|(magic, _)| begun.starts_with(magic)) {
        return Look::Is(*format);
    }
    let is_full = begun.len() >= LOOK_BYTES;
    let open = if is_full { Look::Unknown } else { Look::More };
    if magic.iter().any(|(magic, _)| magic.starts_with(begun)) {
        return open; // Fewer bytes than the magic number has.
    }
    let Some(audio) = after_tags(begun) else {
        return open;
    };
    if let Some(format) = frames_at(audio, 2) {
        return Look::Is(format);
    }
    if Format::of_media_type(told).is_none() {
        let may_begin = audio.first().is_none_or(|first| *first == 0xFF);
        return if may_begin { open } else { Look::Unknown };
    }
    let starts = (1..audio.len()).filter(|at| audio[*at] == 0xFF);
    let found = starts.filter_map(|at| frames_at(&audio[at..], 3)).next();
    found.map_or(open, Look::Is)
}

/// The bytes after the ID3v2 tags at the beginning; `None` if the last of them does not end here.
fn after_tags(mut bytes: &[u8]) -> Option<&[u8]> {
    while bytes.starts_with(b"ID3") {
        let [_, _, _, _, _, flags, size @ ..] = bytes.first_chunk::<10>()?;
        let body = size
            .iter()
            .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
        let footer = if flags & 0x10 != 0 { 10 } else { 0 };
        bytes = bytes.get(10 + body + footer..)?;
    }
    Some(bytes)
}

/// The format with so many headers here, each where the frame before it ends.
fn frames_at(bytes: &[u8], wanted: usize) -> Option<Format> {
    let mpeg = |bytes: &[u8]| {
        let header = FrameHeader::parse(*bytes.first_chunk()?)?;
        let kind = (header.version, header.layer, header.sample_rate_hz);
        Some((header.frame_bytes(), kind))
    };
    let adts = |bytes: &[u8]| adts_header(*bytes.first_chunk()?);
    if chain(bytes, wanted, mpeg) {
        Some(Format::Mpeg)
    } else if chain(bytes, wanted, adts) {
        Some(Format::Adts)
    } else {
        None
    }
}

/// Whether so many headers of one kind follow each other; `header` reads the length of a frame, and the values that are
/// the same in the whole stream.
fn chain<K: PartialEq>(
    mut bytes: &[u8],
    wanted: usize,
    header: impl Fn(&[u8]) -> Option<(usize, K)>,
) -> bool {
    let mut kind = None;
    for _ in 0..wanted {
        let Some((frame_bytes, this)) = header(bytes) else {
            return false;
        };
        if kind.as_ref().is_some_and(|kind| *kind != this) {
            return false;
        }
        kind = Some(this);
        bytes = bytes.get(frame_bytes..).unwrap_or_default();
    }
    true
}

/// The length of an ADTS frame, and what is the same in the whole stream: version, profile, sample rate, channels.
fn adts_header(header: [u8; 6]) -> Option<(usize, [u8; 3])> {
    let [sync, kind, rates, channels, length, end] = header;
    let is_adts = sync == 0xFF && kind & 0xF6 == 0xF0 && (rates >> 2) & 0x0F < 13;
    let frame_bytes =
        usize::from(channels & 0b11) << 11 | usize::from(length) << 3 | usize::from(end >> 5);
    (is_adts && frame_bytes > 7).then_some((frame_bytes, [kind, rates & 0xFD, channels & 0xC0]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::mpeg::samples;
    use super::*;

    /// So many ADTS frames of AAC-LC, 44.1 kHz, stereo.
    fn adts(frames: usize) -> Vec<u8> {
        let frame = |length: u16| {
            let [middle, end] = [length >> 3, (length & 0b111) << 5 | 0x1F].map(|it| it as u8);
            let mut frame = vec![0xFF, 0xF1, 0x50, 0x80, middle, end, 0xFC];
            frame.resize(usize::from(length), 0x21);
            frame
        };
        (0..frames).flat_map(|at| frame(300 + at as u16)).collect()
    }

    #[test]
    fn formats_are_known_by_their_first_bytes_whatever_is_said() {
        for told in [
            "audio/mpeg",
            "application/ogg",
            "audio/aac",
            "text/html",
            "video/nsv",
        ] {
            for (begun, format) in [
                (b"OggS\0\x02".to_vec(), Format::Ogg),
                (b"\x1A\x45\xDF\xA3\x9F".to_vec(), Format::Ebml),
                (b"fLaC\0\0\0\x22".to_vec(), Format::Flac),
                (samples::frames(3), Format::Mpeg),
                (adts(2), Format::Adts),
                (
                    [b"ID3\x04\0\0\0\0\0\x03abc".to_vec(), samples::frames(2)].concat(),
                    Format::Mpeg,
                ),
                (
                    [b"ID3\x04\0\0\0\0\0\x01a".to_vec(), adts(3)].concat(),
                    Format::Adts,
                ),
            ] {
                assert_eq!(look(&begun, told), Look::Is(format), "{told}");
            }
        }
    }

    #[test]
    fn a_stream_begun_within_a_frame_is_known_later() {
        for (stream, format) in [(samples::frames(6), Format::Mpeg), (adts(6), Format::Adts)] {
            assert_eq!(look(&stream[100..], "audio/mpeg"), Look::Is(format));
            assert_eq!(look(&stream[100..], "video/nsv"), Look::Unknown);
        }
    }

    #[test]
    fn an_unknown_format_is_possible_first_and_then_not() {
        for begun in [&b""[..], b"O", b"Ogg", b"ID3", &samples::frame(0)[..100]] {
            assert_eq!(look(begun, "audio/mpeg"), Look::More, "{begun:x?}");
        }
        let noise = vec![0xA5; LOOK_BYTES];
        assert_eq!(look(&noise[1..], "audio/mpeg"), Look::More);
        assert_eq!(look(&noise, "audio/mpeg"), Look::Unknown);
        assert_eq!(look(b"\xA5\xA5\xA5\xA5", "video/nsv"), Look::Unknown);
        let cover = [b"ID3\x04\0\0\0\x7F\0\0".to_vec(), vec![0; LOOK_BYTES]].concat();
        assert_eq!(look(&cover, "audio/mpeg"), Look::Unknown);
    }

    #[test]
    fn titles_are_woven_where_the_format_has_none() {
        for (told, is_woven) in [
            ("audio/mpeg", true),
            ("audio/aac", true),
            ("audio/flac", true),
            ("video/nsv", true),
            ("audio/ogg; codecs=opus", false),
            ("audio/opus", false),
            ("video/webm", false),
            ("audio/x-matroska", false),
        ] {
            let format = Format::of_media_type(told);
            assert_eq!(
                !format.is_some_and(Format::has_own_titles),
                is_woven,
                "{told}"
            );
        }
    }

    #[test]
    fn a_media_type_stands_for_a_format() {
        for (told, format) in [
            ("Audio/MPEG; codecs=mp3", Some(Format::Mpeg)),
            ("audio/x-mp3", Some(Format::Mpeg)),
            ("audio/aacp", Some(Format::Adts)),
            ("audio/ogg; codecs=opus", Some(Format::Ogg)),
            ("application/x-ogg", Some(Format::Ogg)),
            ("video/x-matroska", Some(Format::Ebml)),
            ("audio/mpegurl", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Format::of_media_type(told), format, "{told}");
        }
        for format in [
            Format::Mpeg,
            Format::Adts,
            Format::Ogg,
            Format::Ebml,
            Format::Flac,
        ] {
            assert_eq!(Format::of_media_type(format.media_type()), Some(format));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(begun in prop::collection::vec(any::<u8>(), 0..400), tag in any::<bool>()) {
            let begun = if tag { [b"ID3".to_vec(), begun].concat() } else { begun };
            look(&begun, "audio/mpeg");
        }
    }
}
