//! The format of a stream by its first bytes: sources often state a wrong one.
//!
//! `ffmpeg` without `-content_type` sends Ogg as `audio/mpeg`. A recognised format counts; what the source states
//! counts where nothing is recognised, or where it names the same format in other words.

use memchr::{memchr_iter, memchr2_iter, memmem};

use super::adts::AdtsHead;
use super::ebml;
use super::frames::{FrameHead, Proof, prove};
use super::loas::LoasHead;
use super::mpeg::MpegHead;
use super::tags::head::{TagLook, id3v2};

/// How many bytes are looked at: two of the longest ADTS frames, and three MPEG frames of 320 kbit/s after a tag.
pub const LOOK_BYTES: usize = 16 << 10;

/// The first byte of each packet of an MPEG transport stream, and how long a packet is.
const TS_SYNC: u8 = 0x47;
const TS_PACKET_BYTES: usize = 188;
/// So many packets follow each other in a transport stream. The byte is a letter: `G`.
const TS_PACKETS: usize = 4;

/// The first bytes of formats that have any of their own.
const MAGIC: [(&[u8], Format); 3] = [
    (b"OggS", Format::Ogg),
    (b"\x1A\x45\xDF\xA3", Format::Ebml),
    (b"fLaC", Format::Flac),
];

/// The formats of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// MPEG audio: MP3 and its relatives.
    Mpeg,
    /// AAC with ADTS headers.
    Adts,
    /// AAC in LOAS, of MPEG-4.
    Loas,
    /// Ogg, with any codec in it.
    Ogg,
    /// Matroska, or WebM, which has the same structure.
    Ebml,
    /// FLAC without Ogg.
    Flac,
    /// MPEG transport stream, with any codec in it.
    Ts,
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
    /// Every format, for the tests that go through them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 7] = [
        Self::Mpeg,
        Self::Adts,
        Self::Loas,
        Self::Ogg,
        Self::Ebml,
        Self::Flac,
        Self::Ts,
    ];

    /// The media type that listeners get where the source has stated that of another format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Mpeg => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::Loas => "audio/mp4a-latm",
            Self::Ogg => "application/ogg",
            Self::Ebml => "audio/webm",
            Self::Flac => "audio/flac",
            Self::Ts => "video/mp2t",
        }
    }

    /// The same for a stream that begins so: of WebM and Matroska the headers tell which it is, and whether it is a film.
    pub fn media_type_of(self, begun: &[u8]) -> &'static str {
        match self {
            Self::Ebml => ebml::media_type(begun),
            _ => self.media_type(),
        }
    }

    /// Whether a listener that comes late needs something first that stands at the stream's beginning.
    pub fn has_prologues(self) -> bool {
        match self {
            Self::Ogg | Self::Ebml | Self::Flac | Self::Ts => true,
            Self::Mpeg | Self::Adts | Self::Loas => false,
        }
    }

    /// The usual name of the format, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mpeg => "MP3",
            Self::Adts => "AAC",
            Self::Loas => "AAC in LATM",
            Self::Ogg => "Ogg",
            Self::Ebml => "WebM",
            Self::Flac => "FLAC",
            Self::Ts => "MPEG-TS",
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
            ("audio", "mp4a-latm" | "loas" | "latm") => Some(Self::Loas),
            ("audio", "opus" | "vorbis" | "speex" | "ogg+flac") => Some(Self::Ogg),
            ("audio" | "video" | "application", "ogg") => Some(Self::Ogg),
            ("audio" | "video", "webm" | "matroska") => Some(Self::Ebml),
            ("audio", "flac") => Some(Self::Flac),
            ("audio" | "video", "mp2t" | "mpegts") => Some(Self::Ts),
            _ => None,
        }
    }
}

/// Looks at the beginning of a stream whose source states the media type `told`.
///
/// A source may begin in the middle of a frame. Its first whole frames are only searched for where the source states
/// audio in frames, or a format that is recognised at its very beginning: a film may contain MPEG frames too.
pub fn look(begun: &[u8], told: &str) -> Look {
    let is_full = begun.len() >= LOOK_BYTES;
    let open = if is_full { Look::Unknown } else { Look::More };
    let Some(audio) = after_tags(begun) else {
        return open;
    };
    if let Some((_, format)) = MAGIC.iter().find(|(magic, _)| audio.starts_with(magic)) {
        return Look::Is(*format);
    }
    if MAGIC.iter().any(|(magic, _)| magic.starts_with(audio)) {
        return open; // Fewer bytes than the magic number has.
    }
    match packets_at(audio) {
        Look::Unknown => {}
        Look::More => return open,
        Look::Is(format) => return Look::Is(format),
    }
    if let Some(format) = frames_at(audio, None) {
        return Look::Is(format);
    }
    if Format::of_media_type(told).is_none() {
        let may_begin = |first: &u8| [MpegHead::SYNC, LoasHead::SYNC].contains(first);
        let may_begin = audio.first().is_some_and(may_begin);
        return if may_begin { open } else { Look::Unknown };
    }
    frames_within(audio).map_or(open, Look::Is)
}

/// The place and the format of audio in what a source sends that states the media type `told`, if any is found: frames or packets that
/// follow each other, or what begins a stream of the format that it states.
pub fn find(bytes: &[u8], told: &str) -> Option<(usize, Format)> {
    let stated = Format::of_media_type(told);
    let mut magic = MAGIC.iter().filter(|(_, format)| stated == Some(*format));
    let begins = magic.find_map(|(magic, format)| Some((memmem::find(bytes, magic)?, *format)));
    let is_packet = |at: &usize| {
        let packets = packets_at(bytes.get(*at..).unwrap_or_default());
        stated == Some(Format::Ts) && packets == Look::Is(Format::Ts)
    };
    let packets = || Some((memchr_iter(TS_SYNC, bytes).find(is_packet)?, Format::Ts));
    begins
        .or_else(packets)
        .or_else(|| Some((0, frames_within(bytes)?)))
}

/// The format of frames or packets that follow each other anywhere in these bytes.
pub fn within(bytes: &[u8]) -> Option<Format> {
    let has_packets = |at| packets_at(bytes.get(at..).unwrap_or_default()) == Look::Is(Format::Ts);
    let is_ts = (0..TS_PACKET_BYTES).any(has_packets);
    let packets = is_ts.then_some(Format::Ts);
    packets.or_else(|| frames_within(bytes))
}

fn frames_within(bytes: &[u8]) -> Option<Format> {
    let starts = memchr2_iter(MpegHead::SYNC, LoasHead::SYNC, bytes);
    let mut found = starts.filter_map(|at| frames_at(bytes.get(at..)?, Some(2)));
    found.next()
}

/// The bytes after the ID3v2 tags at the beginning; `None` if the last of them does not end here.
pub(in crate::media) fn after_tags(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        bytes = match id3v2(bytes) {
            TagLook::Is(tag_bytes) => bytes.get(usize::try_from(tag_bytes).ok()?..)?,
            TagLook::Open(_) => return None,
            TagLook::No => return Some(bytes),
        };
    }
}

/// Whether packets of a transport stream are here.
fn packets_at(bytes: &[u8]) -> Look {
    let mut syncs = bytes.iter().step_by(TS_PACKET_BYTES).take(TS_PACKETS);
    if !syncs.all(|sync| *sync == TS_SYNC) {
        Look::Unknown
    } else if bytes.len() > TS_PACKET_BYTES * (TS_PACKETS - 1) {
        Look::Is(Format::Ts)
    } else {
        Look::More
    }
}

/// The format with a header here that is followed by so many others, each where the frame before it ends; `None`: by as
/// many as its format asks for.
fn frames_at(bytes: &[u8], followers: Option<usize>) -> Option<Format> {
    if is_proved::<MpegHead>(bytes, followers) {
        Some(Format::Mpeg)
    } else if is_proved::<AdtsHead>(bytes, followers) {
        Some(Format::Adts)
    } else if is_proved::<LoasHead>(bytes, followers) {
        Some(Format::Loas)
    } else {
        None
    }
}

fn is_proved<H: FrameHead>(bytes: &[u8], followers: Option<usize>) -> bool {
    let proof = prove::<H>(bytes, followers.unwrap_or(H::FOLLOWERS));
    // In the middle of a frame, the free format would be looked for too often.
    let is_wanted = |head: &H| followers.is_none() || head.frame_bytes().is_some();
    matches!(proof, Proof::Given { head, .. } if is_wanted(&head))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{adts, loas, mpeg, tags};
    use super::*;

    /// So many packets of a transport stream.
    fn packets(count: usize) -> Vec<u8> {
        let mut packet = [0xFF; TS_PACKET_BYTES];
        packet[..3].copy_from_slice(b"\x47\x1F\xFF");
        packet.repeat(count)
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
                (mpeg::samples::frames(3), Format::Mpeg),
                (mpeg::samples::free_frames(700, 3), Format::Mpeg),
                (adts::samples::frames(2), Format::Adts),
                (loas::samples::frames(3), Format::Loas),
                (packets(4), Format::Ts),
            ] {
                assert_eq!(look(&begun, told), Look::Is(format), "{told}");
                let tags = [tags::samples::id3v2(b"abc"), tags::samples::id3v2(b"")].concat();
                let tagged = [tags, begun].concat();
                assert_eq!(look(&tagged, told), Look::Is(format), "{told}");
            }
        }
    }

    #[test]
    fn a_stream_begun_within_a_frame_is_known_later() {
        for (stream, format) in [
            (mpeg::samples::frames(6), Format::Mpeg),
            (adts::samples::frames(6), Format::Adts),
            (loas::samples::frames(6), Format::Loas),
        ] {
            assert_eq!(look(&stream[100..], "audio/mpeg"), Look::Is(format));
            assert_eq!(look(&stream[100..], "video/nsv"), Look::Unknown);
        }
    }

    #[test]
    fn an_unknown_format_is_possible_first_and_then_not() {
        for begun in [
            &b""[..],
            b"O",
            b"Ogg",
            b"ID3",
            &mpeg::samples::frame(0)[..100],
        ] {
            assert_eq!(look(begun, "audio/mpeg"), Look::More, "{begun:x?}");
        }
        for begun in [&packets(3)[..], b"G", b"V"] {
            assert_eq!(look(begun, "video/nsv"), Look::More, "{begun:x?}");
        }
        assert_eq!(look(&b"Goodbye".repeat(200), "video/nsv"), Look::Unknown);
        let noise = vec![0xA5; LOOK_BYTES];
        assert_eq!(look(&noise[1..], "audio/mpeg"), Look::More);
        assert_eq!(look(&noise, "audio/mpeg"), Look::Unknown);
        assert_eq!(look(b"\xA5\xA5\xA5\xA5", "video/nsv"), Look::Unknown);
        let cover = [b"ID3\x04\0\0\0\x7F\0\0".to_vec(), vec![0; LOOK_BYTES]].concat();
        assert_eq!(look(&cover, "audio/mpeg"), Look::Unknown);
    }

    #[test]
    fn audio_is_found_behind_what_is_none() {
        let page = b"<p>one moment</p>".repeat(99);
        let behind = |audio: &[u8]| [&page, audio].concat();
        for (sent, told, found) in [
            (page.clone(), "audio/mpeg", None),
            (
                behind(&mpeg::samples::frames(4)),
                "audio/mpeg",
                Some((0, Format::Mpeg)),
            ),
            (
                behind(b"OggS\0\x02"),
                "audio/ogg",
                Some((page.len(), Format::Ogg)),
            ),
            (behind(b"OggS\0\x02"), "audio/mpeg", None),
            (
                behind(&packets(9)),
                "video/mp2t",
                Some((page.len(), Format::Ts)),
            ),
        ] {
            assert_eq!(find(&sent, told), found, "{told}");
        }
    }

    #[test]
    fn titles_are_woven_where_the_format_has_none() {
        for (told, is_woven) in [
            ("audio/mpeg", true),
            ("audio/aac", true),
            ("audio/flac", true),
            ("audio/mp4a-latm", true),
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
            ("audio/MP4A-LATM", Some(Format::Loas)),
            ("video/MP2T", Some(Format::Ts)),
            ("audio/mpegurl", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Format::of_media_type(told), format, "{told}");
        }
        for format in Format::ALL {
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
