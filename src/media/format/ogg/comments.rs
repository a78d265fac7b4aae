//! The title in the comments of an Ogg stream: its second packet, which each codec begins in its own way.

use super::page::{consecutive, parts};
use crate::model::charset::Charset;
use crate::model::format::CodecName;
use crate::model::title::TitleInfo;

/// The most comments that are looked at. Taggers write 10 to 30, and the title is among the first ones.
const MAX_COMMENTS: u32 = 64;

/// The most bytes of a comment that are read as a text: a part of a title shows a quarter of them.
const MAX_TEXT_BYTES: usize = 4 * TitleInfo::MAX_PART_BYTES;

/// The kind of a metadata block of FLAC that holds comments.
const FLAC_COMMENTS: u8 = 4;

/// The title in the header pages of a link, by the comments of one of its streams; `None` if they say neither title nor
/// artist.
pub(super) fn title(heads: &[u8], serial: u32, codec: CodecName) -> Option<TitleInfo> {
    read(codec, &second_packet(heads, serial)?)
}

/// The second packet of a stream, if the whole of it is in these pages.
fn second_packet(heads: &[u8], serial: u32) -> Option<Vec<u8>> {
    let (mut begun, mut packet) = (0, Vec::new());
    let own = consecutive(heads).filter(|(head, _)| head.serial == serial);
    for (head, page) in own {
        for part in parts(page, &head) {
            begun += u32::from(part.begins);
            if begun == 2 {
                packet.extend_from_slice(page.get(part.bytes)?);
                if part.ends {
                    return Some(packet);
                }
            }
        }
    }
    None
}

/// The title in a packet of comments. For FLAC the packet is a block of metadata, within Ogg or without.
pub(in crate::media::format) fn read(codec: CodecName, packet: &[u8]) -> Option<TitleInfo> {
    let list = match codec {
        CodecName::Vorbis => packet.strip_prefix(b"\x03vorbis"),
        CodecName::Opus => packet.strip_prefix(b"OpusTags"),
        CodecName::Theora => packet.strip_prefix(b"\x81theora"),
        CodecName::Vp8 => packet.strip_prefix(b"OVP80\x02\x20"),
        CodecName::Speex => Some(packet),
        CodecName::Flac => {
            let (block, list) = packet.split_first_chunk::<4>()?;
            (block[0] & 0x7F == FLAC_COMMENTS).then_some(list)
        }
        _ => None,
    };
    let mut list = CommentList(list?);
    let _vendor = list.field()?;
    let comments = list.number()?;
    let mut named = NamedComments::default();
    for _ in 0..comments.min(MAX_COMMENTS) {
        let Some(comment) = list.field() else {
            break;
        };
        named.take(comment);
    }
    named.title()
}

/// The rest of a list of comments: each is its length, of four bytes, and its text.
struct CommentList<'a>(&'a [u8]);

impl<'a> CommentList<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }
}

/// The comments that make a title.
#[derive(Default)]
struct NamedComments {
    artists: Vec<String>,
    title: String,
    album: String,
}

impl NamedComments {
    /// Takes a comment: a name in any case, "=", and a text. A second title or album is not taken.
    fn take(&mut self, comment: &[u8]) {
        let Some(end) = comment.iter().position(|byte| *byte == b'=') else {
            return;
        };
        let (name, value) = (&comment[..end], &comment[end + 1..]);
        if value.is_empty() {
            return;
        }
        if name.eq_ignore_ascii_case(b"ARTIST") {
            self.artists.push(text(value));
        } else if name.eq_ignore_ascii_case(b"TITLE") && self.title.is_empty() {
            self.title = text(value);
        } else if name.eq_ignore_ascii_case(b"ALBUM") && self.album.is_empty() {
            self.album = text(value);
        }
    }

    fn title(self) -> Option<TitleInfo> {
        let title = TitleInfo::joined(&self.artists.join(", "), &self.title);
        (!title.text.is_empty()).then(|| title.with_album(&self.album))
    }
}

/// The text of a comment. UTF-8 is the rule, and what breaks it is read as the usual charset. A long one is cut.
fn text(value: &[u8]) -> String {
    let begun = &value[..value.len().min(MAX_TEXT_BYTES)];
    let end = match str::from_utf8(begun) {
        // The cut may be in the middle of a character.
        Err(error) if begun.len() < value.len() && error.error_len().is_none() => {
            error.valid_up_to()
        }
        _ => begun.len(),
    };
    Charset::default().read(&begun[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page::samples::{comments, opus_heads, page};
    use super::*;

    fn title_of(said: &[&[u8]]) -> Option<TitleInfo> {
        read(CodecName::Opus, &comments(b"OpusTags", said))
    }

    #[test]
    fn names_are_read_in_any_case_and_artists_joined() {
        let said: [&[u8]; 7] = [
            b"artist=Ana",
            b"Title=Song",
            b"ARTIST=Bo",
            b"album=Disc",
            b"TITLE=Other",
            b"no comment",
            b"=",
        ];
        let expected = TitleInfo::joined("Ana, Bo", "Song").with_album("Disc");
        assert_eq!(title_of(&said), Some(expected));
        assert_eq!(title_of(&[b"TITLE=A=B"]).unwrap().text, "A=B");
    }

    #[test]
    fn each_codec_begins_its_comments_in_its_own_way() {
        for (codec, magic) in [
            (CodecName::Opus, &b"OpusTags"[..]),
            (CodecName::Vorbis, b"\x03vorbis"),
            (CodecName::Theora, b"\x81theora"),
            (CodecName::Vp8, b"OVP80\x02 "),
            (CodecName::Speex, b""),
            (CodecName::Flac, b"\x84\0\0\x20"),
        ] {
            let packet = comments(magic, &[b"TITLE=T"]);
            let title = read(codec, &packet);
            assert_eq!(title, Some(TitleInfo::joined("", "T")), "{codec}");
            assert_eq!(read(CodecName::Mp3, &packet), None);
        }
        let picture = comments(b"\x06\0\0\x20", &[b"TITLE=T"]);
        assert_eq!(read(CodecName::Flac, &picture), None);
    }

    #[test]
    fn strange_texts_become_one_clean_line() {
        for (said, shown) in [
            (&b"TITLE=caf\xe9"[..], "café"),
            (b"TITLE=caf\xc3\xa9", "café"),
            (b"TITLE=A\r\nB\0C\x1b", "A B C"),
            (b"TITLE=\xff\xfe\xfd", "ÿþý"),
        ] {
            assert_eq!(title_of(&[said]).unwrap().text, shown);
        }
        for nothing in [&b"TITLE="[..], b"TITLE=\r\n\0", b"ALBUM=A", b"TITLE", b""] {
            assert_eq!(title_of(&[nothing]), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        for shift in ["", "x"] {
            let long = format!("TITLE={shift}{}", "é".repeat(32 << 10));
            let title = title_of(&[long.as_bytes()]).unwrap().title;
            assert!((1_023..=1_024).contains(&title.len()), "{}", title.len());
            let letters = title.trim_start_matches('x');
            assert!(letters.chars().all(|letter| letter == 'é'));
        }
    }

    #[test]
    fn a_picture_is_passed_over_and_few_comments_are_read() {
        let picture = [&b"METADATA_BLOCK_PICTURE="[..], &vec![b'A'; 100_000]].concat();
        let title = title_of(&[&picture, b"TITLE=T"]);
        assert_eq!(title.unwrap().text, "T");
        let mut many = vec![&b"GENRE=X"[..]; 64];
        many.push(b"TITLE=T");
        assert_eq!(title_of(&many), None);
        assert!(title_of(&many[1..]).is_some());
    }

    #[test]
    fn the_second_packet_is_put_together_over_pages() {
        let packet = comments(b"OpusTags", &[b"TITLE=T", &[b'x'; 700]]);
        let first = &opus_heads(1)[..38];
        let heads = [
            first,
            &page(2, 2, 0, b"other"),
            &page(1, 0, u64::MAX, &packet[..510]),
            &page(2, 0, 0, &packet[..20]),
            &page(1, 1, 0, &packet[510..]),
        ]
        .concat();
        assert_eq!(second_packet(&heads, 1), Some(packet));
        assert_eq!(title(&heads, 1, CodecName::Opus).unwrap().text, "T");
        assert_eq!(second_packet(&heads[..heads.len() - 1], 1), None);
        assert_eq!(second_packet(&heads, 3), None);
        assert_eq!(title(first, 1, CodecName::Opus), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            said in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
            cut in 0usize..200,
            hurt in any::<(usize, u8)>(),
        ) {
            let said: Vec<Vec<u8>> = said.into_iter().map(|text| [&b"TITLE="[..], &text].concat()).collect();
            let said: Vec<&[u8]> = said.iter().map(Vec::as_slice).collect();
            let mut packet = comments(b"OpusTags", &said);
            let at = hurt.0 % packet.len();
            packet[at] ^= hurt.1;
            packet.truncate(cut.max(1));
            if let Some(title) = read(CodecName::Opus, &packet) {
                prop_assert!(!title.text.contains(['\r', '\n', '\0']));
            }
        }
    }
}
