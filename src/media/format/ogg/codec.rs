//! The codec of an Ogg stream by its first packet: its clock, and which of its packets are headers.

/// The packets at the beginning of a stream that are headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderRule {
    /// So many more.
    Packets(u32),
    /// All on pages at position 0, as far as the codec is not known better.
    AtPositionZero,
}

/// A codec as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// By how much the stream's clock goes on in a second; `None`: the clock is not known.
    pub(super) rate_hz: Option<u32>,
    /// The rule for its headers, the first packet included.
    pub(super) headers: HeaderRule,
}

/// The most headers that are believed. Vorbis has three; Speex and FLAC say how many there are.
const MAX_HEADERS: u32 = 64;

impl Codec {
    /// The codec of a stream that begins with this packet.
    pub(super) fn of(packet: &[u8]) -> Self {
        let known = match packet {
            // Whatever went in, Opus counts by 48 kHz.
            [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => Some((Some(48_000), 2)),
            [0x01, b'v', b'o', b'r', b'b', b'i', b's', ..] => Some((little(packet, 12), 3)),
            [b'S', b'p', b'e', b'e', b'x', b' ', b' ', b' ', ..] => {
                let extra = little(packet, 68).unwrap_or(0);
                Some((little(packet, 36), extra.saturating_add(2)))
            }
            [0x7F, b'F', b'L', b'A', b'C', ..] => flac(packet),
            // Its clock counts pictures from the last key frame.
            [0x80, b't', b'h', b'e', b'o', b'r', b'a', ..] => Some((None, 3)),
            _ => None,
        };
        let Some((rate_hz, headers)) = known else {
            return Self {
                rate_hz: None,
                headers: HeaderRule::AtPositionZero,
            };
        };
        Self {
            rate_hz: rate_hz.filter(|rate_hz| *rate_hz > 0),
            headers: match headers {
                1..=MAX_HEADERS => HeaderRule::Packets(headers),
                _ => HeaderRule::AtPositionZero,
            },
        }
    }
}

/// The number of four bytes at `at`, the least significant first.
fn little(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Rate and number of headers of FLAC in Ogg: "\x7FFLAC", version, number of headers that follow, "fLaC", STREAMINFO.
fn flac(packet: &[u8]) -> Option<(Option<u32>, u32)> {
    let following = u16::from_be_bytes(*packet.get(7..)?.first_chunk()?);
    let rate = u32::from_be_bytes(*packet.get(27..)?.first_chunk()?) >> 12; // The first 20 bits of four bytes.
    // 0 says that the number is not known.
    let headers = if following == 0 {
        0
    } else {
        u32::from(following) + 1
    };
    Some((Some(rate), headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_headers_are_those_of_the_codecs() {
        let vorbis = [
            b"\x01vorbis\0\0\0\0\x02".as_slice(),
            &44_100u32.to_le_bytes(),
        ]
        .concat();
        let mut speex = b"Speex   ".to_vec();
        speex.resize(80, 0);
        speex[36..40].copy_from_slice(&16_000u32.to_le_bytes());
        speex[68] = 1;
        // The first 51 bytes of what `ffmpeg -f lavfi -i sine -c:a flac -f ogg` makes, up to the rate.
        let mut flac = b"\x7FFLAC\x01\0\0\x01fLaC\0\0\0\x22\x12\0\x12\0\0\0\0\0\0\0".to_vec();
        flac.extend([0x0A, 0xC4, 0x40, 0xF0]);
        let cases = [
            (
                b"OpusHead\x01\x02".to_vec(),
                Some(48_000),
                HeaderRule::Packets(2),
            ),
            (vorbis, Some(44_100), HeaderRule::Packets(3)),
            (speex, Some(16_000), HeaderRule::Packets(3)),
            (flac.clone(), Some(44_100), HeaderRule::Packets(2)),
            (b"\x80theora\x03".to_vec(), None, HeaderRule::Packets(3)),
            (b"fishead\0".to_vec(), None, HeaderRule::AtPositionZero),
            (b"".to_vec(), None, HeaderRule::AtPositionZero),
        ];
        for (packet, rate_hz, headers) in cases {
            assert_eq!(Codec::of(&packet), Codec { rate_hz, headers });
        }
        flac[8] = 0;
        assert_eq!(Codec::of(&flac).headers, HeaderRule::AtPositionZero);
    }

    #[test]
    fn a_first_packet_that_is_cut_has_no_clock() {
        for cut in [&b"\x01vorbis"[..], b"Speex   1.2", b"\x7FFLAC\x01"] {
            assert_eq!(Codec::of(cut).rate_hz, None, "{cut:x?}");
        }
        let still = [b"\x01vorbis\0\0\0\0\x02".as_slice(), &[0; 4]].concat();
        assert_eq!(Codec::of(&still).rate_hz, None);
    }
}
