//! Finds the audio frames of an MP3 file, and how long each of them plays.
//!
//! Tags, and the Xing or Info frame that tells a player how long the file is, are left out: in a stream
//! they would be heard as a click, or believed.

use super::piece::Piece;
use crate::media::format::mpeg::FrameHeader;

/// The pieces of an MPEG audio file, one for each frame; `None` if it is mostly something else.
pub(super) fn walk(file: &[u8]) -> Option<Vec<Piece>> {
    let (mut at, mut sound_bytes, mut other_bytes) = (0, 0, 0);
    let mut pieces = Vec::new();
    while at < file.len() {
        let rest = &file[at..];
        if let Some(length) = tag_length(rest) {
            at += length.min(rest.len());
        } else if let Some(frame) = confirmed(rest) {
            let length = frame.frame_bytes();
            if !is_description(&rest[..length]) {
                pieces.push(Piece {
                    bytes: at..at + length,
                    duration: frame.duration(),
                });
            }
            sound_bytes += length;
            at += length;
        } else {
            other_bytes += 1;
            at += 1;
        }
    }
    (sound_bytes > other_bytes).then_some(pieces)
}

/// A frame that another of its kind follows, or a tag, or the end of the file.
///
/// Two bytes of sync occur by chance every few kilobytes of anything; two headers in the right distance do not.
fn confirmed(rest: &[u8]) -> Option<FrameHeader> {
    let found = header(rest)?;
    let after = rest.get(found.frame_bytes()..)?;
    let follows = header(after).is_some_and(|next| next.is_kin_of(&found));
    (follows || after.is_empty() || tag_length(after).is_some()).then_some(found)
}

fn header(rest: &[u8]) -> Option<FrameHeader> {
    rest.first_chunk().copied().and_then(FrameHeader::parse)
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
