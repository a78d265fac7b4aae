//! Finds the audio frames of an MP3 file, and how long each of them plays.
//!
//! Tags, and the Xing or Info frame that tells a player how long the file is, are left out: in a stream
//! they would be heard as a click, or believed.

use std::time::Duration;

use super::track::Piece;

/// The pieces of an MPEG audio file, one for each frame; `None` if it is mostly something else.
pub(super) fn walk(file: &[u8]) -> Option<Vec<Piece>> {
    let (mut at, mut sound_bytes, mut other_bytes) = (0, 0, 0);
    let mut pieces = Vec::new();
    while at < file.len() {
        let rest = &file[at..];
        if let Some(length) = tag_length(rest) {
            at += length.min(rest.len());
        } else if let Some(frame) = confirmed(rest) {
            if !is_description(&rest[..frame.length]) {
                pieces.push(Piece {
                    bytes: at..at + frame.length,
                    duration: frame.duration,
                });
            }
            sound_bytes += frame.length;
            at += frame.length;
        } else {
            other_bytes += 1;
            at += 1;
        }
    }
    (sound_bytes > other_bytes).then_some(pieces)
}

/// What a frame's header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    length: usize,
    duration: Duration,
    /// What all frames of one file have in common: version, layer and sample rate.
    kind: [u8; 2],
}

/// Bit rates in kbit/s by the header's index, for the layers I, II, III of MPEG 1.
const RATES_MPEG1: [[u32; 15]; 3] = [
    [
        0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ],
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
];

/// The same for MPEG 2 and 2.5: layer I, and layers II and III.
const RATES_MPEG2: [[u32; 15]; 2] = [
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Reads the four bytes of a header.
fn frame(rest: &[u8]) -> Option<Frame> {
    let &[0xff, second, third, _, ..] = rest else {
        return None;
    };
    let (version, layer) = (second >> 3 & 3, 4 - usize::from(second >> 1 & 3));
    // 1 is no version, and the layer's bits 0 stand for none.
    if second & 0xe0 != 0xe0 || version == 1 || layer == 4 {
        return None;
    }
    let mpeg1 = version == 3;
    let rates = match (mpeg1, layer) {
        (true, layer) => &RATES_MPEG1[layer - 1],
        (false, 1) => &RATES_MPEG2[0],
        (false, _) => &RATES_MPEG2[1],
    };
    let bps = rates.get(usize::from(third >> 4)).copied()? * 1_000;
    let hz = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))?;
    let hz = match version {
        3 => *hz,
        2 => hz / 2,
        _ => hz / 4,
    };
    let samples = match (layer, mpeg1) {
        (1, _) => 384,
        (3, false) => 576,
        _ => 1_152,
    };
    // Index 0 is a free rate, of which the header does not tell the length; nobody uses it.
    if bps == 0 {
        return None;
    }
    let padded = u32::from(third >> 1 & 1);
    let length = match layer {
        1 => (12 * bps / hz + padded) * 4,
        _ => samples / 8 * bps / hz + padded,
    };
    Some(Frame {
        length: usize::try_from(length).ok()?,
        duration: Duration::from_secs(u64::from(samples)) / hz,
        kind: [second & 0xfe, third & 0x0c],
    })
}

/// A frame that another of its kind follows, or a tag, or the end of the file.
///
/// Two bytes of sync occur by chance every few kilobytes of anything; two headers in the right distance do not.
fn confirmed(rest: &[u8]) -> Option<Frame> {
    let found = frame(rest)?;
    let after = rest.get(found.length..)?;
    let follows = frame(after).is_some_and(|next| next.kind == found.kind);
    (follows || after.is_empty() || tag_length(after).is_some()).then_some(found)
}

/// The length of the tag that stands here, if one does.
fn tag_length(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
            // Four times seven bits, so that no tag looks like a frame's sync.
            let bits = [a, b, c, d].map(|byte| usize::from(byte & 0x7f));
            let body = bits.into_iter().fold(0, |sum, bits| sum << 7 | bits);
            let footer = if flags & 0x10 != 0 { 10 } else { 0 };
            Some(10 + body + footer)
        }
        [b'T', b'A', b'G', ..] => Some(128),
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', rest @ ..] => {
            let size = rest.get(4..8)?.try_into().map(u32::from_le_bytes).ok()?;
            Some(32 + usize::try_from(size).ok()?)
        }
        _ => None,
    }
}

/// Whether a frame tells of the file instead of holding sound.
fn is_description(frame: &[u8]) -> bool {
    // Behind the header and 9 to 32 bytes of side information, with two more where a CRC stands.
    let beginning = &frame[..frame.len().min(4 + 2 + 32 + 4)];
    let marks = [b"Xing", b"Info", b"VBRI"];
    marks.iter().any(|mark| {
        let mut windows = beginning.windows(4);
        windows.any(|window| window == mark.as_slice())
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The frame with this number of a file of 44.1 kHz and 128 kbit/s, padded as an encoder would.
    pub(in crate::cli::source) fn frame(number: usize) -> Vec<u8> {
        let padded = (number + 1) * 144 * 128_000 / 44_100 - number * 144 * 128_000 / 44_100 > 417;
        let mut frame = vec![0xff, 0xfb, if padded { 0x92 } else { 0x90 }, 0x00];
        // Never a sync, and different from frame to frame.
        frame.resize(if padded { 418 } else { 417 }, (number % 200) as u8);
        frame
    }

    fn tagged(tag: &[u8]) -> Vec<u8> {
        [tag, &frame(0), &frame(1), &frame(2)].concat()
    }

    fn starts(file: &[u8]) -> Vec<usize> {
        let pieces = walk(file).unwrap();
        pieces.iter().map(|piece| piece.bytes.start).collect()
    }

    #[test]
    fn headers_of_all_kinds_are_read() {
        for (header, length, micros) in [
            ([0xff, 0xfb, 0x90, 0x00], 417, 26_122), // MPEG 1 layer III, 128 kbit/s, 44.1 kHz
            ([0xff, 0xfb, 0x92, 0x00], 418, 26_122), // the same, padded
            ([0xff, 0xfd, 0xc4, 0x00], 768, 24_000), // MPEG 1 layer II, 256 kbit/s, 48 kHz
            ([0xff, 0xff, 0xe4, 0x00], 448, 8_000),  // MPEG 1 layer I, 448 kbit/s, 48 kHz
            ([0xff, 0xf3, 0x84, 0x00], 192, 24_000), // MPEG 2 layer III, 64 kbit/s, 24 kHz
            ([0xff, 0xe3, 0x48, 0x00], 288, 72_000), // MPEG 2.5 layer III, 32 kbit/s, 8 kHz
        ] {
            let found = super::frame(&header).unwrap();
            assert_eq!(found.length, length, "{header:x?}");
            assert_eq!(found.duration.as_micros(), micros, "{header:x?}");
        }
        for bad in [
            [0xff, 0xeb, 0x90, 0x00], // no version
            [0xff, 0xf9, 0x90, 0x00], // no layer: this is AAC
            [0xff, 0xfb, 0xf0, 0x00], // no rate
            [0xff, 0xfb, 0x00, 0x00], // free rate
            [0xff, 0xfb, 0x9c, 0x00], // no sample rate
            [0xff, 0xdb, 0x90, 0x00], // no sync
        ] {
            assert_eq!(super::frame(&bad), None, "{bad:x?}");
        }
        assert_eq!(super::frame(&[0xff, 0xfb, 0x90]), None);
    }

    #[test]
    fn tags_are_left_out() {
        let id3 = [b"ID3\x04\0\0\0\0\x01\x02".as_slice(), &[0xff; 130]].concat();
        assert_eq!(starts(&tagged(&id3)), [140, 557, 975]);
        let ape = [b"APETAGEX\xd0\x07\0\0\x05\0\0\0".as_slice(), &[0xff; 21]].concat();
        assert_eq!(starts(&tagged(&ape)), [37, 454, 872]);
        let mut old = tagged(b"");
        old.extend([b"TAG".as_slice(), &[0xff; 125]].concat());
        assert_eq!(starts(&old), [0, 417, 835]);
    }

    #[test]
    fn the_frame_that_describes_the_file_is_left_out() {
        for mark in [b"Xing", b"Info", b"VBRI"] {
            let mut description = frame(0);
            description[36..40].copy_from_slice(mark);
            assert_eq!(starts(&tagged(&description)), [417, 834, 1_252]);
        }
    }

    #[test]
    fn garbage_between_frames_is_left_out() {
        let torn = [
            &frame(0)[..],
            &frame(1),
            &[9; 50],
            &[0xff, 0xfb, 0x90],
            &frame(3),
            &frame(4),
        ];
        // The frame before the garbage is not confirmed by another and is lost with it.
        assert_eq!(starts(&torn.concat()), [0, 888, 1_306]);
        let cut = tagged(b"");
        assert_eq!(starts(&cut[..cut.len() - 1]), [0, 417]);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_the_pieces_lie_in_order_within_them(
            mut file in proptest::collection::vec(prop_oneof![Just(0xff), Just(0xfb), any::<u8>()], 0..2_000),
            frames in 0_usize..10,
        ) {
            file.extend((0..frames).flat_map(frame));
            let mut end = 0;
            for piece in walk(&file).unwrap_or_default() {
                prop_assert!(piece.bytes.start >= end && piece.bytes.end <= file.len());
                prop_assert!(!piece.bytes.is_empty() && !piece.duration.is_zero());
                end = piece.bytes.end;
            }
        }
    }
}
