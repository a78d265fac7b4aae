//! The layout of an Ogg page: its head, its packets, its checksum, and the serial number of its stream.

use std::iter;
use std::ops::Range;

use crate::media::format::crc::crc32;

/// The bytes of a head before its table of segments.
const FIXED_BYTES: usize = 27;
/// The longest head: with a table of 255 segments.
pub(in crate::media::format) const MAX_HEAD_BYTES: usize = FIXED_BYTES + 255;

/// The positions of the fields in a page.
const VERSION: usize = 4;
const FLAGS: usize = 5;
const POSITION: Range<usize> = 6..14;
const SERIAL: Range<usize> = 14..18;
const SEQUENCE: Range<usize> = 18..22;
const CHECKSUM: Range<usize> = 22..26;
const SEGMENTS: usize = 26;

/// The bytes that each page begins with.
pub(super) const CAPTURE: &[u8] = b"OggS";

/// Set if a page begins with the rest of a packet.
const FLAG_CONTINUES: u8 = 1;
/// Set on the first page of a stream.
const FLAG_FIRST: u8 = 2;
/// Set on the last page of a stream.
const FLAG_LAST: u8 = 4;
/// All flags that there are.
const FLAGS_KNOWN: u8 = 7;

/// The length of a segment that does not end its packet.
const FULL_SEGMENT: u8 = 255;

/// The head of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHead {
    /// The number of the stream that the page belongs to.
    pub serial: u32,
    /// The stream's clock at the end of the last packet that ends here; `None` if no packet does.
    pub position: Option<u64>,
    /// The number of the page in its stream.
    pub sequence: u32,
    /// Whether the page begins with the rest of a packet.
    pub continues: bool,
    /// Whether this is the first page of its stream.
    pub is_first: bool,
    /// How many packets end on the page.
    pub packets_ended: u32,
    /// The place in the page of the first byte of the first packet that begins on it; `None` if none begins, or if that
    /// packet is empty.
    pub begins_at: Option<usize>,
    /// The length of the head with its table.
    pub head_bytes: usize,
    /// The length of the page, head and body.
    pub page_bytes: usize,
}

/// The result of reading a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadRead {
    /// The head is complete.
    Is(PageHead),
    /// So many bytes are needed before more can be said.
    Needs(usize),
    /// The bytes are no head.
    Not,
}

impl PageHead {
    /// Reads the head at the beginning of these bytes.
    pub(super) fn read(bytes: &[u8]) -> HeadRead {
        let captured = bytes.len().min(CAPTURE.len());
        if bytes[..captured] != CAPTURE[..captured] {
            return HeadRead::Not;
        }
        let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
            return HeadRead::Needs(FIXED_BYTES);
        };
        if fixed[VERSION] != 0 || fixed[FLAGS] & !FLAGS_KNOWN != 0 {
            return HeadRead::Not;
        }
        let head_bytes = FIXED_BYTES + usize::from(fixed[SEGMENTS]);
        let Some(table) = bytes.get(FIXED_BYTES..head_bytes) else {
            return HeadRead::Needs(head_bytes);
        };
        let body_bytes: usize = table.iter().copied().map(usize::from).sum();
        let ends = table.iter().filter(|length| **length != FULL_SEGMENT);
        let packets_ended = ends.count() as u32;
        let position = u64::from_le_bytes(field(fixed, POSITION));
        // No clock gets so far as to be negative: -1 says that there is no position.
        let has_position = packets_ended > 0 && i64::try_from(position).is_ok();
        let continues = fixed[FLAGS] & FLAG_CONTINUES != 0;
        HeadRead::Is(Self {
            serial: u32::from_le_bytes(field(fixed, SERIAL)),
            position: has_position.then_some(position),
            sequence: u32::from_le_bytes(field(fixed, SEQUENCE)),
            continues,
            is_first: fixed[FLAGS] & FLAG_FIRST != 0,
            packets_ended,
            begins_at: first_begun(table, continues).map(|at| head_bytes + at),
            head_bytes,
            page_bytes: head_bytes + body_bytes,
        })
    }
}

/// A field of a head, as an array.
fn field<const N: usize>(head: &[u8; FIXED_BYTES], range: Range<usize>) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&head[range]);
    field
}

/// The place in the body of the first byte of the first packet that begins on a page with this table of segments.
fn first_begun(table: &[u8], continues: bool) -> Option<usize> {
    let before = match continues {
        true => 1 + table.iter().position(|length| *length != FULL_SEGMENT)?,
        false => 0,
    };
    let is_empty = *table.get(before)? == 0;
    let at = table.iter().take(before).copied().map(usize::from).sum();
    (!is_empty).then_some(at)
}

/// A packet on a page, or the part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::media) struct PacketPart {
    /// The place in the page.
    pub(in crate::media) bytes: Range<usize>,
    /// Whether the packet begins here.
    pub(in crate::media) begins: bool,
    /// Whether the packet ends here.
    pub(in crate::media) ends: bool,
}

/// The packets on a page, and the parts of packets, in order.
pub(in crate::media) fn parts(page: &[u8], head: &PageHead) -> impl Iterator<Item = PacketPart> {
    let table = page.get(FIXED_BYTES..head.head_bytes).unwrap_or_default();
    let (mut at, mut begins) = (head.head_bytes, !head.continues);
    let packets = table.split_inclusive(|length| *length != FULL_SEGMENT);
    packets.map(move |segments| {
        let start = at;
        at += segments.iter().copied().map(usize::from).sum::<usize>();
        PacketPart {
            bytes: start..at,
            begins: std::mem::replace(&mut begins, true),
            ends: segments.last() != Some(&FULL_SEGMENT),
        }
    })
}

/// The pages that stand one after another from the first byte on, each with its head. The last one may be cut.
pub(in crate::media) fn consecutive(mut bytes: &[u8]) -> impl Iterator<Item = (PageHead, &[u8])> {
    iter::from_fn(move || {
        let HeadRead::Is(head) = PageHead::read(bytes) else {
            return None;
        };
        let (page, rest) = bytes.split_at(head.page_bytes.min(bytes.len()));
        bytes = rest;
        Some((head, page))
    })
}

/// The whole pages among these bytes, which may begin and end within one: the body of each, and the place where it ends.
pub(in crate::media) fn bodies(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let begun = memchr::memmem::find_iter(bytes, CAPTURE);
    let begin = begun
        .into_iter()
        .find(|at| consecutive(&bytes[*at..]).nth(1).is_some());
    let mut at = begin.unwrap_or(bytes.len());
    consecutive(&bytes[at..]).map_while(move |(head, page)| {
        at += head.page_bytes;
        (page.len() == head.page_bytes).then(|| (&page[head.head_bytes..], at))
    })
}

/// Whether a page arrived as it was made.
pub fn is_whole(page: &[u8]) -> bool {
    let stated = page.get(CHECKSUM);
    stated.is_some_and(|stated| stated == checksum(page).to_le_bytes())
}

/// Adds to the serial number of a page, and corrects its checksum. What is no page stays as it is.
pub fn renumber(page: &mut [u8], by: u32) {
    let Some(head) = page.first_chunk::<FIXED_BYTES>() else {
        return;
    };
    let serial = u32::from_le_bytes(field(head, SERIAL)).wrapping_add(by);
    page[SERIAL].copy_from_slice(&serial.to_le_bytes());
    let sum = checksum(page);
    page[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
}

/// Marks a page as the last one of its stream, and corrects its checksum. What is no page stays as it is.
pub(in crate::media) fn mark_last(page: &mut [u8]) {
    if page.len() < FIXED_BYTES {
        return;
    }
    page[FLAGS] |= FLAG_LAST;
    let sum = checksum(page);
    page[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
}

/// The checksum of a page, in which its own field counts as zero; nothing is added before or after.
fn checksum(page: &[u8]) -> u32 {
    let before = &page[..CHECKSUM.start.min(page.len())];
    let behind = page.get(CHECKSUM.end..).unwrap_or_default();
    let sum = crc32(crc32(0, before), &[0; CHECKSUM.end - CHECKSUM.start]);
    crc32(sum, behind)
}

/// Generated pages and streams for the tests of all code that carries Ogg.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A page on which no packet ends has this position.
    pub(crate) const NO_POSITION: u64 = u64::MAX;

    /// A page with one packet, or a part of one if its length is a multiple of 255.
    pub(crate) fn page(serial: u32, flags: u8, position: u64, body: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend(position.to_le_bytes());
        page.extend(serial.to_le_bytes());
        page.extend([0; 8]);
        let mut table = vec![FULL_SEGMENT; body.len() / 255];
        if body.is_empty() || !body.len().is_multiple_of(255) {
            table.push((body.len() % 255) as u8);
        }
        page.push(u8::try_from(table.len()).unwrap());
        page.extend(table);
        page.extend(body);
        let sum = checksum(&page);
        page[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        page
    }

    /// The header pages of an Opus stream.
    pub(crate) fn opus_heads(serial: u32) -> Vec<u8> {
        let first = page(serial, FLAG_FIRST, 0, b"OpusHead\x01\x02");
        [first, page(serial, 0, 0, b"OpusTags")].concat()
    }

    /// A packet of comments, which its codec begins so.
    pub(crate) fn comments(magic: &[u8], said: &[&[u8]]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut packet = [magic, &number(4), b"test", &number(said.len())].concat();
        for comment in said {
            packet.extend(number(comment.len()));
            packet.extend(*comment);
        }
        packet
    }

    /// An Opus stream with these comments, and two pages of sound of one second each.
    pub(crate) fn opus_titled(serial: u32, said: &[&[u8]]) -> Vec<u8> {
        let heads = opus_heads(serial);
        let tags = page(serial, 0, 0, &comments(b"OpusTags", said));
        let sound = &opus(serial, &[1, 2])[heads.len()..];
        // The first page has 28 bytes of head and table, and 10 of body.
        [&heads[..38], &tags, sound].concat()
    }

    /// An Opus stream with a page of sound that ends at each of the given seconds.
    pub(crate) fn opus(serial: u32, ends_s: &[u64]) -> Vec<u8> {
        let sound = |end_s: &u64| page(serial, 0, end_s * 48_000, &[*end_s as u8; 300]);
        let sounds = ends_s.iter().flat_map(sound);
        opus_heads(serial).into_iter().chain(sounds).collect()
    }

    /// The first page of a Vorbis stream.
    pub(crate) fn vorbis_first(serial: u32, rate_hz: u32) -> Vec<u8> {
        let rate = rate_hz.to_le_bytes();
        let body = [b"\x01vorbis\0\0\0\0\x02".as_slice(), &rate].concat();
        page(serial, FLAG_FIRST, 0, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first page of a file that ffmpeg made: `ffmpeg -f lavfi -i sine -t 1 -c:a libopus x.ogg`.
    const MADE: &[u8] = b"\x4f\x67\x67\x53\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\
        \x28\xb5\x72\x01\x13\x4f\x70\x75\x73\x48\x65\x61\x64\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00";

    #[test]
    fn the_head_and_checksum_are_those_of_ogg() {
        assert!(is_whole(MADE));
        let HeadRead::Is(head) = PageHead::read(MADE) else {
            panic!("a head");
        };
        assert_eq!(head.page_bytes, MADE.len());
        assert_eq!((head.serial, head.position), (0, Some(0)));
        assert_eq!((head.is_first, head.continues), (true, false));
        assert_eq!((head.packets_ended, head.sequence), (1, 0));
        assert_eq!(head.begins_at, Some(head.head_bytes));
    }

    #[test]
    fn packets_are_found_by_the_table_of_segments() {
        let cases: [(&[u8], bool, Option<usize>, u32); 8] = [
            (&[], false, None, 0),
            (&[9], false, Some(0), 1),
            (&[0, 9], false, None, 2),
            (&[255, 255], false, Some(0), 0),
            (&[255, 255], true, None, 0),
            (&[255, 7, 9], true, Some(262), 2),
            (&[255, 0, 255], true, Some(255), 1),
            (&[5, 0], true, None, 2),
        ];
        for (table, continues, begins_at, ended) in cases {
            let mut page = MADE[..SEGMENTS].to_vec();
            page[FLAGS] = u8::from(continues);
            page.push(table.len() as u8);
            page.extend(table);
            let HeadRead::Is(head) = PageHead::read(&page) else {
                panic!("a head");
            };
            let found = (head.begins_at, head.packets_ended);
            let at = begins_at.map(|at| FIXED_BYTES + table.len() + at);
            assert_eq!(found, (at, ended), "{table:?}");
            assert_eq!(head.position, (ended > 0).then_some(0), "{table:?}");
            let found: Vec<PacketPart> = parts(&page, &head).collect();
            let first = found.iter().find(|part| part.begins);
            let first = first.filter(|part| !part.bytes.is_empty());
            assert_eq!(first.map(|part| part.bytes.start), at, "{table:?}");
            let ends = found.iter().filter(|part| part.ends);
            assert_eq!(ends.count(), ended as usize, "{table:?}");
        }
    }

    #[test]
    fn consecutive_pages_end_where_no_head_is() {
        let stream = [MADE, &samples::page(1, 0, 7, b"sound"), b"Ogg"].concat();
        let found: Vec<usize> = consecutive(&stream).map(|(_, page)| page.len()).collect();
        assert_eq!(found, [47, 33]);
        let cut: Vec<usize> = consecutive(&stream[..60])
            .map(|(_, page)| page.len())
            .collect();
        assert_eq!(cut, [47]);
        assert_eq!(consecutive(&stream[1..]).count(), 0);
    }

    #[test]
    fn a_head_is_known_when_its_table_is_there() {
        assert_eq!(PageHead::read(b""), HeadRead::Needs(27));
        assert_eq!(PageHead::read(&MADE[..26]), HeadRead::Needs(27));
        assert_eq!(PageHead::read(&MADE[..27]), HeadRead::Needs(28));
        assert_eq!(PageHead::read(b"Ogh"), HeadRead::Not);
        let mut newer = MADE.to_vec();
        newer[VERSION] = 1;
        assert_eq!(PageHead::read(&newer), HeadRead::Not);
    }

    #[test]
    fn a_renumbered_page_is_whole_and_can_be_numbered_back() {
        let page = samples::page(u32::MAX, 0, 7, b"sound");
        let mut renumbered = page.clone();
        renumber(&mut renumbered, 2);
        assert!(is_whole(&renumbered));
        let HeadRead::Is(head) = PageHead::read(&renumbered) else {
            panic!("a head");
        };
        assert_eq!(head.serial, 1);
        renumber(&mut renumbered, u32::MAX - 1);
        assert_eq!(renumbered, page);
        renumber(&mut [0; 20], 1);
        assert!(!is_whole(&[0; 20]));
        renumbered[40 - 10] ^= 1;
        assert!(!is_whole(&renumbered));
    }
}
