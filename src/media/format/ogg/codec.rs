//! The codec of an Ogg stream by its first packet: its clock, its figures, and which of its packets are headers.

use super::granule::{FrameRate, Granule};
use super::skeleton;
use crate::media::format::layout::OggSetup;
use crate::model::format::CodecName;

/// The packets at the beginning of a stream that are headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderRule {
    /// So many more.
    Packets(u32),
    /// All that begin with these bytes.
    Beginning(&'static [u8]),
    /// All on pages at position 0, as far as the codec is not known better.
    AtPositionZero,
    /// All before the first packet of another stream that is no header.
    BeforeOthers,
}

/// The content of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// Audio.
    Sound {
        /// Samples per second and channel; 0 if that is not known.
        sample_rate_hz: u32,
        /// The number of channels; 0 if that is not known.
        channels: u8,
    },
    /// Video.
    Pictures {
        /// Pixels from left to right; 0 if that is not known.
        width: u32,
        /// Pixels from top to bottom; 0 if that is not known.
        height: u32,
    },
    /// Anything that is not recognised, and the description of the other streams.
    Other,
}

/// A codec as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// The name.
    pub(super) name: CodecName,
    /// The clock; `None` if it is not known.
    pub(super) clock: Option<Granule>,
    /// The rule for its headers, the first packet included.
    pub(super) headers: HeaderRule,
    /// The content.
    pub(super) medium: Medium,
    /// The values that decoders do not change on the way.
    pub(super) setup: OggSetup,
}

/// The most headers that are believed. Vorbis has three; Speex and FLAC say how many there are.
const MAX_HEADERS: u32 = 64;

/// The beginning of each header of VP8, which other packets do not have.
const VP8_HEADER: &[u8] = b"OVP80";

/// A reader of the first packet of a stream.
type FirstPacketReader = fn(&[u8]) -> Codec;

/// The codecs, by the bytes that their first packet begins with.
const CODECS: [(&[u8], FirstPacketReader); 7] = [
    (b"OpusHead", opus),
    (b"\x01vorbis", vorbis),
    (b"Speex   ", speex),
    (b"\x7FFLAC", flac),
    (b"\x80theora", theora),
    (b"OVP80\x01", vp8),
    (skeleton::FIRST, |_| Codec {
        headers: HeaderRule::BeforeOthers,
        ..Codec::UNKNOWN
    }),
];

impl Codec {
    const UNKNOWN: Self = Self {
        name: CodecName::Unknown,
        clock: None,
        headers: HeaderRule::AtPositionZero,
        medium: Medium::Other,
        setup: OggSetup::Free,
    };

    /// The codec of a stream that begins with this packet.
    pub(super) fn of(packet: &[u8]) -> Self {
        let mut known = CODECS.iter();
        let known = known.find(|(magic, _)| packet.starts_with(magic));
        known.map_or(Self::UNKNOWN, |(_, read)| read(packet))
    }

    /// Whether the content is audio.
    pub(super) fn is_sound(&self) -> bool {
        matches!(self.medium, Medium::Sound { .. })
    }

    /// Whether the content is video.
    pub(super) fn has_pictures(&self) -> bool {
        matches!(self.medium, Medium::Pictures { .. })
    }

    /// Whether a packet that begins with this byte is a picture that can be decoded without those before it.
    pub(super) fn is_keyframe(&self, first_byte: u8) -> bool {
        match self.name {
            // Bit 7: a header. Bit 6: a picture made from another one.
            CodecName::Theora => first_byte & 0xC0 == 0,
            CodecName::Vp8 => first_byte & 1 == 0,
            _ => false,
        }
    }
}

fn sound(name: CodecName, rate_hz: Option<u32>, channels: Option<u8>, headers: u32) -> Codec {
    let rate_hz = rate_hz.filter(|rate_hz| *rate_hz > 0);
    Codec {
        name,
        clock: rate_hz.map(|rate_hz| Granule::Samples {
            rate_hz,
            pre_skip: 0,
        }),
        headers: packets(headers),
        medium: Medium::Sound {
            sample_rate_hz: rate_hz.unwrap_or_default(),
            channels: channels.unwrap_or_default(),
        },
        setup: OggSetup::Free,
    }
}

fn opus(packet: &[u8]) -> Codec {
    let channels = packet.get(9).copied();
    let pre_skip = numbers(packet, 10).map(u16::from_le_bytes);
    // Whatever went in, Opus counts by 48 kHz.
    let clock = Granule::Samples {
        rate_hz: 48_000,
        pre_skip: pre_skip.unwrap_or_default(),
    };
    Codec {
        clock: Some(clock),
        setup: opus_setup(packet),
        ..sound(CodecName::Opus, Some(48_000), channels, 2)
    }
}

/// Without a table of channels there is one stream, of mono or stereo, and each packet says which; so it is with a table
/// that says the same.
fn opus_setup(packet: &[u8]) -> OggSetup {
    let (Some(&channels), Some(&[family, streams, coupled])) = (
        packet.get(9),
        packet.get(18..).and_then(<[u8]>::first_chunk),
    ) else {
        return OggSetup::Free;
    };
    match (family, streams) {
        (0, _) | (1, 1) => OggSetup::Free,
        _ => OggSetup::Mapping {
            channels,
            family,
            streams,
            coupled,
        },
    }
}

fn vorbis(packet: &[u8]) -> Codec {
    let rate_hz = numbers(packet, 12).map(u32::from_le_bytes);
    let channels = packet.get(11).copied();
    sound(CodecName::Vorbis, rate_hz, channels, 3)
}

fn speex(packet: &[u8]) -> Codec {
    let rate_hz = numbers(packet, 36).map(u32::from_le_bytes);
    let channels = numbers(packet, 48).map(u32::from_le_bytes);
    let channels = channels.and_then(|channels| u8::try_from(channels).ok());
    let extra = numbers(packet, 68).map_or(0, u32::from_le_bytes);
    let frames = numbers(packet, 64).map(u32::from_le_bytes);
    Codec {
        setup: frames.map_or(OggSetup::Free, |frames| OggSetup::Speex { frames }),
        ..sound(CodecName::Speex, rate_hz, channels, extra.saturating_add(2))
    }
}

/// FLAC in Ogg: "\x7FFLAC", version, number of headers that follow, "fLaC", STREAMINFO.
fn flac(packet: &[u8]) -> Codec {
    let following = numbers(packet, 7).map_or(0, u16::from_be_bytes);
    // 0 says that the number is not known.
    let headers = match following {
        0 => 0,
        known => u32::from(known) + 1,
    };
    // 20 bits of the rate, then 3 of the channels and 5 of the bits per sample.
    let figures = numbers(packet, 27).map(u32::from_be_bytes);
    let rate_hz = figures.map(|figures| figures >> 12);
    let channels = figures.map(|figures| (figures >> 9 & 0b111) as u8 + 1);
    let bits = figures.map(|figures| (figures >> 4 & 0x1F) as u8 + 1);
    let max_samples = numbers(packet, 19).map(u16::from_be_bytes);
    let setup = bits.zip(max_samples);
    Codec {
        setup: setup.map_or(OggSetup::Free, |(bits, max_samples)| OggSetup::Flac {
            bits,
            max_samples,
        }),
        ..sound(CodecName::Flac, rate_hz, channels, headers)
    }
}

fn theora(packet: &[u8]) -> Codec {
    let rate = frame_rate(packet, 22);
    // 6 bits of quality, then 5 of the shift.
    let shift = numbers(packet, 40).map(|bits| (u16::from_be_bytes(bits) >> 5 & 0x1F) as u8);
    let sides = [14, 17].map(|at| {
        let [upper, middle, lower] = numbers(packet, at).unwrap_or_default();
        u32::from_be_bytes([0, upper, middle, lower])
    });
    let clock = rate.zip(shift);
    pictures(
        CodecName::Theora,
        clock.map(|(rate, shift)| Granule::Theora { rate, shift }),
        packets(3),
        sides,
    )
}

fn vp8(packet: &[u8]) -> Codec {
    let rate = frame_rate(packet, 18);
    let sides = [8, 10].map(|at| numbers(packet, at).map_or(0, u16::from_be_bytes).into());
    pictures(
        CodecName::Vp8,
        rate.map(|rate| Granule::Vp8 { rate }),
        HeaderRule::Beginning(VP8_HEADER),
        sides,
    )
}

fn pictures(
    name: CodecName,
    clock: Option<Granule>,
    headers: HeaderRule,
    sides: [u32; 2],
) -> Codec {
    let [width, height] = sides;
    Codec {
        name,
        clock,
        headers,
        medium: Medium::Pictures { width, height },
        setup: OggSetup::Free,
    }
}

/// The rule for a stream that says to have so many headers.
fn packets(headers: u32) -> HeaderRule {
    match headers {
        1..=MAX_HEADERS => HeaderRule::Packets(headers),
        _ => HeaderRule::AtPositionZero,
    }
}

/// Pictures and seconds, of four bytes each.
fn frame_rate(packet: &[u8], at: usize) -> Option<FrameRate> {
    let frames = numbers(packet, at).map(u32::from_be_bytes)?;
    let seconds = numbers(packet, at + 4).map(u32::from_be_bytes)?;
    FrameRate::new(frames, seconds)
}

/// The bytes of a packet at `at`.
fn numbers<const N: usize>(packet: &[u8], at: usize) -> Option<[u8; N]> {
    packet.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first packets of what ffmpeg makes of a picture of 320 × 240 at 25 Hz: `-c:v libtheora -g 24 -b:v 300k`, and
    /// `-c:v libvpx`, both `-f ogg`.
    const THEORA: &[u8] =
        b"\x80theora\x03\x02\x01\0\x14\0\x0F\0\x01\x40\0\0\xF0\0\0\0\0\0\x19\0\0\0\x01\
        \0\0\x01\0\0\x01\0\x04\x93\xE0\0\xD8";
    const VP8: &[u8] = b"OVP80\x01\x01\0\x01\x40\0\xF0\0\0\x01\0\0\x01\0\0\0\x19\0\0\0\x01";

    fn vorbis_packet(rate_hz: u32) -> Vec<u8> {
        [&b"\x01vorbis\0\0\0\0\x02"[..], &rate_hz.to_le_bytes()].concat()
    }

    fn speex_packet() -> Vec<u8> {
        let mut speex = b"Speex   ".to_vec();
        speex.resize(80, 0);
        speex[36..40].copy_from_slice(&16_000u32.to_le_bytes());
        speex[48] = 1;
        speex[68] = 1;
        speex
    }

    /// The first bytes of what `ffmpeg -f lavfi -i sine -c:a flac -f ogg` makes, up to the rate.
    fn flac_packet() -> Vec<u8> {
        let mut flac = b"\x7FFLAC\x01\0\0\x01fLaC\0\0\0\x22\x12\0\x12\0\0\0\0\0\0\0".to_vec();
        flac.extend([0x0A, 0xC4, 0x40, 0xF0]);
        flac
    }

    #[test]
    fn sound_has_a_clock_and_figures() {
        let opus = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0".to_vec();
        let cases = [
            (opus, CodecName::Opus, (48_000, 2), 2, 312),
            (vorbis_packet(44_100), CodecName::Vorbis, (44_100, 2), 3, 0),
            (speex_packet(), CodecName::Speex, (16_000, 1), 3, 0),
            (flac_packet(), CodecName::Flac, (44_100, 1), 2, 0),
        ];
        for (packet, name, (sample_rate_hz, channels), headers, pre_skip) in cases {
            let codec = Codec::of(&packet);
            assert_eq!(codec.name, name);
            let medium = Medium::Sound {
                sample_rate_hz,
                channels,
            };
            assert_eq!(codec.medium, medium, "{name}");
            assert_eq!(codec.headers, HeaderRule::Packets(headers), "{name}");
            let rate_hz = sample_rate_hz;
            let clock = Granule::Samples { rate_hz, pre_skip };
            assert_eq!(codec.clock, Some(clock), "{name}");
        }
        let mut flac = flac_packet();
        flac[8] = 0;
        assert_eq!(Codec::of(&flac).headers, HeaderRule::AtPositionZero);
    }

    #[test]
    fn what_decoders_keep_to_is_read() {
        let flac = OggSetup::Flac {
            bits: 16,
            max_samples: 4_608,
        };
        assert_eq!(Codec::of(&flac_packet()).setup, flac);
        let mut speex = speex_packet();
        speex[64] = 3;
        assert_eq!(Codec::of(&speex).setup, OggSetup::Speex { frames: 3 });
        let opus = |channels: u8, table: &[u8]| {
            let head = [b"OpusHead\x01", &[channels][..], &[0; 8], table].concat();
            Codec::of(&head).setup
        };
        let surround = |channels, streams| OggSetup::Mapping {
            channels,
            family: 1,
            streams,
            coupled: 2,
        };
        for (channels, table, expected) in [
            (1, &[0][..], OggSetup::Free),
            (2, &[0], OggSetup::Free),
            (2, &[1, 1, 1, 0, 1], OggSetup::Free),
            (6, &[1, 4, 2, 0, 4, 1, 2, 3, 5], surround(6, 4)),
            (5, &[1, 3, 2, 0, 4, 1, 2, 3], surround(5, 3)),
            (6, &[1, 4], OggSetup::Free),
        ] {
            assert_eq!(opus(channels, table), expected, "{table:?}");
        }
    }

    #[test]
    fn pictures_have_a_clock_and_sides() {
        let (theora, vp8) = (Codec::of(THEORA), Codec::of(VP8));
        let rate = FrameRate::new(25, 1).unwrap();
        assert_eq!(theora.clock, Some(Granule::Theora { rate, shift: 6 }));
        assert_eq!(vp8.clock, Some(Granule::Vp8 { rate }));
        let (width, height) = (320, 240);
        for codec in [theora, vp8] {
            assert_eq!(codec.medium, Medium::Pictures { width, height });
            assert!(codec.has_pictures() && !codec.is_sound());
        }
        assert!(theora.is_keyframe(0x3F) && !theora.is_keyframe(0x40));
        assert!(!theora.is_keyframe(0x81), "a header");
        assert!(vp8.is_keyframe(0x10) && !vp8.is_keyframe(0x11));
        assert!(!vp8.is_keyframe(VP8[0]), "a header");
    }

    #[test]
    fn an_unknown_first_packet_has_no_clock() {
        for packet in [&b"\x01video\0\0\0"[..], b"PCM     ", b"\x80kate\0\0\0", b""] {
            assert_eq!(Codec::of(packet), Codec::UNKNOWN);
        }
        let skeleton = Codec::of(b"fishead\0\x04\0");
        assert_eq!(skeleton.headers, HeaderRule::BeforeOthers);
        assert_eq!(skeleton.medium, Medium::Other);
    }

    #[test]
    fn a_first_packet_that_is_cut_has_no_clock() {
        for cut in [
            &b"\x01vorbis"[..],
            b"Speex   1.2",
            b"\x7FFLAC\x01",
            &THEORA[..40],
            &VP8[..25],
        ] {
            assert_eq!(Codec::of(cut).clock, None, "{cut:x?}");
        }
        assert_eq!(Codec::of(&vorbis_packet(0)).clock, None);
    }
}
