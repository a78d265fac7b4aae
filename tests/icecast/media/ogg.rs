//! Ogg: pages, and the check that a listener gets a stream that decoders accept.

use super::bits::checksum;
use crate::row::{Fault, want};

/// The flag of a page that begins a logical stream.
const FIRST: u8 = 2;
/// The flag of a page that ends a logical stream.
pub(crate) const LAST: u8 = 4;
/// The flag of a page that begins inside a packet.
const CONTINUED: u8 = 1;
/// The bytes of a page before its table of lengths.
const HEAD_BYTES: usize = 27;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) flags: u8,
    pub(crate) granule: u64,
    pub(crate) serial: u32,
    pub(crate) sequence: u32,
    /// The packets, which end with the page.
    pub(crate) packets: Vec<Vec<u8>>,
}

impl Page {
    /// The bytes of the page.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let lengths: Vec<u8> = self
            .packets
            .iter()
            .flat_map(|it| lacing(it.len()))
            .collect();
        let mut page = b"OggS\0".to_vec();
        page.push(self.flags);
        page.extend(self.granule.to_le_bytes());
        page.extend(self.serial.to_le_bytes());
        page.extend(self.sequence.to_le_bytes());
        page.extend([0; 4]);
        page.push(u8::try_from(lengths.len()).expect("a page of few packets"));
        page.extend(lengths);
        page.extend(self.packets.concat());
        let sum = crc(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    }
}

/// The header pages of a stream: one of the first packet, and one of the others.
pub(crate) fn header_pages(serial: u32, first: Vec<u8>, others: Vec<Vec<u8>>) -> Vec<u8> {
    let one = |flags, sequence, packets| Page {
        flags,
        granule: 0,
        serial,
        sequence,
        packets,
    };
    [
        one(FIRST, 0, vec![first]).bytes(),
        one(0, 1, others).bytes(),
    ]
    .concat()
}

fn crc(page: &[u8]) -> u32 {
    checksum(page, 0x04C1_1DB7, 32)
}

/// The lengths of the segments of a packet.
fn lacing(length: usize) -> Vec<u8> {
    let mut segments = vec![255; length / 255];
    segments.push(u8::try_from(length % 255).expect("less than 255"));
    segments
}

/// A page as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) flags: u8,
    pub(crate) serial: u32,
    pub(crate) sequence: u32,
    /// How many packets end on the page.
    pub(crate) ends: usize,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Whether a logical stream begins here.
    pub(crate) const fn is_first(&self) -> bool {
        self.flags & FIRST != 0
    }

    /// Whether a logical stream ends here.
    pub(crate) const fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }
}

/// The pages that these bytes are, each with its right checksum; the last one may be cut off.
pub(crate) fn pages(bytes: &[u8]) -> Result<Vec<Seen>, Fault> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while rest.len() >= HEAD_BYTES {
        want(rest.starts_with(b"OggS\0"), || {
            let at = bytes.len() - rest.len();
            format!("no page at byte {at}: {:02x?}", &rest[..HEAD_BYTES])
        })?;
        let body = HEAD_BYTES + usize::from(rest[26]);
        let Some(lengths) = rest.get(HEAD_BYTES..body) else {
            break;
        };
        let length = body + lengths.iter().map(|&it| usize::from(it)).sum::<usize>();
        let Some(page) = rest.get(..length) else {
            break;
        };
        let mut blank = page.to_vec();
        blank[22..26].fill(0);
        want(page[22..26] == crc(&blank).to_le_bytes(), || {
            format!("page {} has a wrong checksum", found.len())
        })?;
        found.push(Seen {
            flags: page[5],
            serial: le(&page[14..18]),
            sequence: le(&page[18..22]),
            ends: lengths.iter().filter(|&&it| it < 255).count(),
            body: page[body..].to_vec(),
        });
        rest = &rest[length..];
    }
    Ok(found)
}

fn le(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// Checks that the pages are logical streams one after the other: each begins with its `headers` header packets, alone on
/// their pages, goes on at the beginning of a packet without a gap, and ends before the next begins. The serials, in order.
pub(crate) fn chain(pages: &[Seen], magic: &[u8], headers: usize) -> Result<Vec<u32>, Fault> {
    let mut serials: Vec<u32> = Vec::new();
    let (mut packets, mut over, mut last_audio) = (0, true, None);
    for (index, page) in pages.iter().enumerate() {
        let place = || format!("page {index} of serial {:08x}", page.serial);
        if page.is_first() {
            want(over, || {
                format!("{} begins before the last one ended", place())
            })?;
            want(!serials.contains(&page.serial), || {
                format!("{} begins again", place())
            })?;
            want(page.body.starts_with(magic), || {
                format!("{} is no header", place())
            })?;
            serials.push(page.serial);
            packets = 0;
        } else {
            want(serials.last() == Some(&page.serial) && !over, || {
                format!("{} belongs to no stream", place())
            })?;
        }
        if packets == headers {
            want(page.flags & CONTINUED == 0, || {
                format!("{} begins inside a packet", place())
            })?;
        }
        let in_headers = packets < headers;
        if let Some(before) = last_audio.filter(|_| !page.is_first()) {
            want(page.sequence == before + 1, || {
                format!("{} is number {} after {before}", place(), page.sequence)
            })?;
        }
        last_audio = (!in_headers).then_some(page.sequence);
        packets += page.ends;
        want(!in_headers || packets <= headers, || {
            format!("{} mixes headers and audio", place())
        })?;
        over = page.is_last();
    }
    let whole = !pages.is_empty() && packets > headers;
    want(whole, || {
        format!("{} pages, {packets} packets", pages.len())
    })?;
    Ok(serials)
}
