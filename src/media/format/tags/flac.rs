//! Tags between the files of FLAC that a source sends one after the other.
//!
//! Frames of FLAC do not tell their length, so that a tag is looked for at each byte of them; what is one must therefore
//! look like one in more than its first word. The blocks of the headers do tell it, and are passed over: they may hold the
//! tags of another file.

use memchr::{memchr, memchr3};

use super::head::{self, ID3V2_HEAD_BYTES, TagLook};
use crate::media::format::flac::{Beginning, BlockHead, MAGIC_BYTES, beginning};

/// The letters that the words of tags begin with.
const TAG_LETTERS: [u8; 3] = *b"ITA";
/// The letter that a stream begins with.
const MAGIC_LETTER: u8 = b'f';

/// The place in a stream of FLAC.
#[derive(Debug, Default)]
pub(super) struct FlacTags {
    /// Whether the next byte is the first of a block of headers.
    is_in_blocks: bool,
}

/// The meaning of the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlacPart {
    /// So many bytes that are no tag.
    Audio(u64),
    /// A tag of this length.
    Tag(u64),
    /// More bytes decide.
    Open,
}

impl FlacTags {
    /// The meaning of the first bytes of some.
    pub(super) fn judge(&mut self, bytes: &[u8]) -> FlacPart {
        if self.is_in_blocks {
            return self.block(bytes);
        }
        let [tag, other, another] = TAG_LETTERS;
        let first_tag = memchr3(tag, other, another, bytes).unwrap_or(bytes.len());
        let first = memchr(MAGIC_LETTER, &bytes[..first_tag]).unwrap_or(first_tag);
        if first > 0 {
            return FlacPart::Audio(first as u64);
        }
        match beginning(bytes) {
            Beginning::Is => {
                self.is_in_blocks = true;
                return FlacPart::Audio(MAGIC_BYTES as u64);
            }
            Beginning::Open => return FlacPart::Open,
            Beginning::Not => {}
        }
        let looks = [id3v2(bytes), head::ape(bytes), id3v1(bytes)];
        for look in looks {
            match look {
                TagLook::Is(tag_bytes) => return FlacPart::Tag(tag_bytes),
                TagLook::Open(_) => return FlacPart::Open,
                TagLook::No => {}
            }
        }
        FlacPart::Audio(1)
    }

    /// A block of the headers, the head of which comes next.
    fn block(&mut self, bytes: &[u8]) -> FlacPart {
        let Some(head) = BlockHead::read(bytes) else {
            return FlacPart::Open;
        };
        self.is_in_blocks = !head.is_last;
        FlacPart::Audio(head.block_bytes() as u64)
    }
}

/// Looks for an ID3v2 tag that holds something: the name of its first part consists of capital letters and digits.
fn id3v2(bytes: &[u8]) -> TagLook {
    let look = head::id3v2(bytes);
    let TagLook::Is(_) = look else {
        return look;
    };
    let name_bytes = match bytes.get(3) {
        Some(2) => 3,
        _ => 4,
    };
    let wanted = ID3V2_HEAD_BYTES + name_bytes;
    match bytes.get(ID3V2_HEAD_BYTES..wanted) {
        None => TagLook::Open(wanted),
        Some(name) if name.iter().all(is_of_a_name) => look,
        Some(_) => TagLook::No,
    }
}

fn is_of_a_name(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// Looks for an ID3v1 tag: the next file, or another tag, follows.
fn id3v1(bytes: &[u8]) -> TagLook {
    const BEGUN_BYTES: usize = 8;
    head::id3v1(bytes, BEGUN_BYTES, |next| beginning(next) == Beginning::Is)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::super::TagFilter;
    use super::super::head::samples;
    use crate::media::format::detect::Format;
    use crate::media::format::flac::samples::{beginning, block, frames, headers};

    fn filtered(stream: &[u8], piece_bytes: usize) -> Vec<u8> {
        let (mut filter, mut input, mut out) = (TagFilter::new(), BytesMut::new(), BytesMut::new());
        filter.walks(Format::Flac);
        for piece in stream.chunks(piece_bytes) {
            input.extend_from_slice(piece);
            filter.take(&mut input, &mut out);
        }
        filter.finish(&mut input, &mut out);
        assert_eq!(filter.removed_bytes(), (stream.len() - out.len()) as u64);
        out.to_vec()
    }

    fn cover() -> Vec<u8> {
        samples::id3v2(&[&b"APIC"[..], &[7; 3_000]].concat())
    }

    #[test]
    fn tags_around_a_file_are_removed() {
        let file = [beginning(), frames(0..5)].concat();
        let tags = [
            samples::ape(b"Title song"),
            samples::id3v1(),
            cover(),
            samples::id3v2(b"TIT2...."),
        ];
        let both = [&file[..], &tags.concat(), &file].concat();
        for last in [samples::id3v1(), samples::ape(b"Title song"), Vec::new()] {
            let stream = [&both[..], &last].concat();
            for piece_bytes in [1, 7, 1_000, stream.len()] {
                assert_eq!(filtered(&stream, piece_bytes), file.repeat(2));
            }
        }
    }

    #[test]
    fn the_tag_of_another_file_in_a_block_stays() {
        const APPLICATION: u8 = 2;
        let kept = [cover(), samples::id3v1(), b"fLaC".to_vec()].concat();
        let file = [headers(&[block(APPLICATION, &kept)]), frames(0..5)].concat();
        for piece_bytes in [1, 100, file.len()] {
            assert_eq!(filtered(&file, piece_bytes), file);
        }
    }

    #[test]
    fn words_in_frames_are_no_tags() {
        let empty = samples::id3v2(b"\0\0\0\0 nothing that has a name");
        let words = [
            &b"TAG no tag, APETAGEX is none, ID3 neither, fLaC"[..],
            &empty,
        ]
        .concat();
        let stream = [beginning(), frames(0..3), words, frames(3..6)].concat();
        for piece_bytes in [1, 100, stream.len()] {
            assert_eq!(filtered(&stream, piece_bytes), stream);
        }
    }

    proptest! {
        #[test]
        fn a_stream_without_tags_passes_however_it_is_cut(piece_bytes in 1_usize..3_000, frame_count in 1_u64..20) {
            let stream = [beginning(), frames(0..frame_count)].concat();
            prop_assert_eq!(filtered(&stream, piece_bytes), stream);
        }
    }
}
