//! The heads of tags: titles and pictures of files, which stand before, between and behind the frames of audio.
//!
//! No tag has a checksum. What says that it is one is a word that audio does not begin with, and fields that make sense.

/// The longest tag that is believed. Real ones have a cover picture of some 100 kB, seldom of 10 MB.
const MAX_TAG_BYTES: u64 = 16 << 20;
/// The length of an ID3v1 tag.
const ID3V1_BYTES: usize = 128;

/// The words that tags begin with.
const ID3V2: &[u8] = b"ID3";
const APE: &[u8] = b"APETAGEX";
const ID3V1: &[u8] = b"TAG";

/// The length of the head of an ID3v2 tag, and that of its footer.
pub(in crate::media::format) const ID3V2_HEAD_BYTES: usize = 10;
/// The length of the head of an APE tag, and that of its footer.
const APE_HEAD_BYTES: usize = 32;

/// Whether a tag begins at the first of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::format) enum TagLook {
    /// A tag of this length.
    Is(u64),
    /// No tag of this kind.
    No,
    /// So many bytes are needed to tell.
    Open(usize),
}

/// Looks for an ID3v2 tag: "ID3", version, flags, and its length in four times seven bits.
pub(in crate::media::format) fn id3v2(bytes: &[u8]) -> TagLook {
    if !bytes.starts_with(ID3V2) {
        return look_on(bytes, ID3V2);
    }
    let Some(head) = bytes.first_chunk::<ID3V2_HEAD_BYTES>() else {
        return TagLook::Open(ID3V2_HEAD_BYTES);
    };
    let [_, _, _, major, minor, flags, size @ ..] = head;
    let is_valid = (2..=4).contains(major) && *minor < 0xFF && size.iter().all(|it| *it < 0x80);
    let body_bytes = size.iter().fold(0, |sum, byte| sum << 7 | u64::from(*byte));
    let footer_bytes = if flags & 0x10 != 0 {
        ID3V2_HEAD_BYTES
    } else {
        0
    };
    let tag_bytes = (ID3V2_HEAD_BYTES + footer_bytes) as u64 + body_bytes;
    match is_valid && tag_bytes <= MAX_TAG_BYTES {
        true => TagLook::Is(tag_bytes),
        false => TagLook::No,
    }
}

/// Looks for an APEv2 tag that begins with a head, or for the footer of one without. Its length does not count a head.
pub(in crate::media::format) fn ape(bytes: &[u8]) -> TagLook {
    if !bytes.starts_with(APE) {
        return look_on(bytes, APE);
    }
    let Some(head) = bytes.first_chunk::<APE_HEAD_BYTES>() else {
        return TagLook::Open(APE_HEAD_BYTES);
    };
    let [_, _, _, _, _, _, _, _, fields @ ..] = head;
    let mut fields = fields.chunks_exact(4).map(|field| {
        let bytes = field.iter().rev(); // the lowest one is first
        bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    });
    let mut field = || fields.next().unwrap_or_default();
    let [version, body_bytes, _items, flags] = [field(), field(), field(), field()];
    let is_head = flags & 1 << 29 != 0;
    let tag_bytes = APE_HEAD_BYTES as u64 + if is_head { body_bytes } else { 0 };
    match [1_000, 2_000].contains(&version) && tag_bytes <= MAX_TAG_BYTES {
        true => TagLook::Is(tag_bytes),
        false => TagLook::No,
    }
}

/// Looks for an ID3v1 tag: "TAG" and 125 bytes of any kind. It is one if another tag follows, or a frame, whose head has
/// so many bytes and is recognised so.
pub(in crate::media::format) fn id3v1(
    bytes: &[u8],
    head_bytes: usize,
    is_frame: impl Fn(&[u8]) -> bool,
) -> TagLook {
    if !bytes.starts_with(ID3V1) {
        return look_on(bytes, ID3V1);
    }
    let wanted = ID3V1_BYTES + head_bytes.max(APE.len());
    let Some(next) = bytes.get(ID3V1_BYTES..wanted) else {
        return TagLook::Open(wanted);
    };
    let is_tag = |next: &[u8]| [ID3V2, APE, ID3V1].iter().any(|it| next.starts_with(it));
    match is_frame(next) || is_tag(next) {
        true => TagLook::Is(ID3V1_BYTES as u64),
        false => TagLook::No,
    }
}

/// Whether an ID3v1 tag, and nothing else, is at the end of a stream.
pub(in crate::media::format) fn is_last_id3v1(bytes: &[u8]) -> bool {
    bytes.starts_with(ID3V1) && bytes.len() == ID3V1_BYTES
}

/// Bytes that do not hold this word: with more of them, they may.
fn look_on(bytes: &[u8], word: &[u8]) -> TagLook {
    match word.starts_with(bytes) {
        true => TagLook::Open(bytes.len() + 1),
        false => TagLook::No,
    }
}

/// Generated tags.
#[cfg(test)]
pub(in crate::media) mod samples {
    /// An ID3v2 tag with this body.
    pub(in crate::media) fn id3v2(body: &[u8]) -> Vec<u8> {
        let size = [21, 14, 7, 0].map(|shift| (body.len() >> shift) as u8 & 0x7F);
        [&b"ID3\x04\0\0"[..], &size, body].concat()
    }

    /// An ID3v1 tag.
    pub(in crate::media) fn id3v1() -> Vec<u8> {
        let mut tag = b"TAGsong".to_vec();
        tag.resize(super::ID3V1_BYTES, 0);
        tag
    }

    /// An APEv2 tag with a head and a footer.
    pub(in crate::media) fn ape(items: &[u8]) -> Vec<u8> {
        let end = |flags: u32| {
            let mut end = b"APETAGEX".to_vec();
            for field in [2_000, items.len() as u32 + 32, 1, flags, 0, 0] {
                end.extend(field.to_le_bytes());
            }
            end
        };
        [&end(0xA000_0000)[..], items, &end(0x8000_0000)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id3v2_tells_its_length() {
        let body = vec![7; 1_000];
        assert_eq!(id3v2(&samples::id3v2(&body)), TagLook::Is(1_010));
        let footed = b"ID3\x04\x00\x10\x00\x00\x00\x05hello3DI.footer";
        assert_eq!(id3v2(footed), TagLook::Is(25));
        assert_eq!(
            id3v2(b"ID3\x02\0\0\x07\x7F\x7F\x0A"),
            TagLook::Is(MAX_TAG_BYTES - 108)
        );
        for begun in [&b""[..], b"I", b"ID"] {
            assert_eq!(id3v2(begun), TagLook::Open(begun.len() + 1));
        }
        for begun in [&b"ID3"[..], b"ID3\x04\0\0\0\0\0"] {
            assert_eq!(id3v2(begun), TagLook::Open(10));
        }
    }

    #[test]
    fn a_tag_that_makes_no_sense_is_none() {
        for false_tag in [
            &b"I am"[..],
            b"IDLE",
            b"ID3\x05\0\0\0\0\0\0",   // unknown version
            b"ID3\x04\xFF\0\0\0\0\0", // unknown revision
            b"ID3\x04\0\0\0\0\x80\0", // a length with eight bits
            b"ID3\x04\0\0\x08\0\0\0", // too long
        ] {
            assert_eq!(id3v2(false_tag), TagLook::No, "{false_tag:x?}");
        }
        let mut long = samples::ape(b"");
        long[15] = 2;
        assert_eq!(ape(&long), TagLook::No);
        let mut newer = samples::ape(b"");
        newer[9] ^= 1;
        assert_eq!(ape(&newer), TagLook::No);
    }

    #[test]
    fn ape_has_a_head_or_only_a_footer() {
        let tag = samples::ape(b"Title song");
        assert_eq!(ape(&tag), TagLook::Is(tag.len() as u64));
        assert_eq!(ape(&tag[tag.len() - 32..]), TagLook::Is(32));
        assert_eq!(ape(&tag[..20]), TagLook::Open(32));
        assert_eq!(ape(b"APETAG"), TagLook::Open(7));
        assert_eq!(ape(b"APRIL"), TagLook::No);
    }

    #[test]
    fn id3v1_is_one_only_before_a_frame_or_a_tag() {
        let look = |next: &[u8]| {
            id3v1(&[&samples::id3v1()[..], next].concat(), 4, |it| {
                it[0] == 0xFF
            })
        };
        for next in [
            &b"\xFF\xFB\x90\x64...."[..],
            b"ID3\x04\0\0\0\0",
            b"APETAGEX",
            b"TAGother",
        ] {
            assert_eq!(look(next), TagLook::Is(128));
        }
        assert_eq!(look(b"some text"), TagLook::No);
        assert_eq!(look(b"\xFF"), TagLook::Open(136));
        assert!(is_last_id3v1(&samples::id3v1()));
    }
}
