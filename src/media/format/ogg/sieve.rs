//! Keeps the pages of Ogg, drops what is between them, and gives their streams other serial numbers.
//!
//! Some players stop for good at a byte that belongs to no page. An encoder that was killed leaves the beginning of a page,
//! and the first pages of the next encoder in the same connection stand where the rest of it should be. And a decoder takes a link with the serial number of the
//! one before for late pages of that one: an encoder that comes back may number its streams as before, so its pages are
//! changed before they follow the old ones.

use std::ops::Range;

use bytes::{Buf as _, BytesMut};
use memchr::memmem;

use super::link::MAX_STREAMS;
use super::page::{self, CAPTURE, HeadRead, PageHead, is_whole};
use super::skeleton;

/// How many bytes in a row that belong to no page are dropped: as many as the longest page has. What follows them passes
/// as it is, because it may be another format; that is not for a sieve to decide.
const MOST_JUNK_BYTES: usize = 64 << 10;

/// How many heads within a damaged page are looked at: more than there are by chance in one of them.
const MOST_HEADS_WITHIN: usize = 8;

/// A filter that lets pages pass, and adds a number to all serial numbers, those in a skeleton included.
///
/// Bytes that belong to no page are dropped, and the beginning of a page that was torn off by another page. Pages that
/// arrived damaged otherwise pass as they are: there are players that make something of them.
#[derive(Clone, Debug, Default)]
pub struct PageSieve {
    /// The number that is added to serial numbers.
    by: u32,
    /// The serial number of the skeleton, if there is one, before it is changed.
    skeleton: Option<u32>,
    /// How many bytes have come since the last page.
    junk_bytes: usize,
    /// How much of the input it takes to say more about the page at its beginning.
    waits_for: usize,
}

/// The fate of the first bytes of the input.
enum Taken {
    /// So many bytes pass.
    Passes(usize),
    /// So many bytes are dropped.
    Dropped(usize),
}

impl PageSieve {
    /// A sieve that adds this number.
    pub fn new(by: u32) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// The number that is added.
    pub fn by(&self) -> u32 {
        self.by
    }

    /// Moves all that is whole from `input` to the end of `out`. The beginning of a page stays in `input`, 64 KiB at
    /// most.
    pub fn take(&mut self, input: &mut BytesMut, out: &mut BytesMut) {
        let mut passes = 0;
        while input.len() - passes >= self.waits_for
            && let Some(taken) = self.take_one(&mut input[passes..])
        {
            match taken {
                Taken::Passes(bytes) => passes += bytes,
                Taken::Dropped(bytes) => {
                    out.unsplit(input.split_to(passes));
                    input.advance(bytes);
                    passes = 0;
                }
            }
        }
        out.unsplit(input.split_to(passes));
    }

    /// Judges the bytes at the beginning, and changes them if they are a page; `None` if more have to come first.
    fn take_one(&mut self, bytes: &mut [u8]) -> Option<Taken> {
        self.waits_for = 0;
        let head = match PageHead::read(bytes) {
            HeadRead::Needs(_) => return None,
            HeadRead::Not => return Some(self.drop_junk(junk_bytes(bytes))),
            HeadRead::Is(head) => head,
        };
        let page = bytes.get_mut(..head.page_bytes)?;
        if is_whole(page) {
            self.renumber(page, &head);
        } else {
            match begins_within(bytes, &head) {
                Within::NoPage => {}
                Within::PageAt(torn_bytes) => return Some(self.drop_junk(torn_bytes)),
                Within::Needs(bytes) => {
                    self.waits_for = bytes;
                    return None;
                }
            }
        }
        self.junk_bytes = 0;
        Some(Taken::Passes(head.page_bytes))
    }

    fn drop_junk(&mut self, found_bytes: usize) -> Taken {
        let left = MOST_JUNK_BYTES.saturating_sub(self.junk_bytes);
        self.junk_bytes += found_bytes.min(left);
        match left {
            0 => Taken::Passes(found_bytes),
            left => Taken::Dropped(found_bytes.min(left)),
        }
    }

    fn renumber(&mut self, page: &mut [u8], head: &PageHead) {
        if self.by == 0 {
            return;
        }
        let packet = page.get(head.head_bytes..).unwrap_or_default();
        if head.is_first && packet.starts_with(skeleton::FIRST) {
            self.skeleton = Some(head.serial);
        }
        if self.skeleton == Some(head.serial) {
            for field in serial_fields(page, head) {
                let field = page.get_mut(field).and_then(<[u8]>::first_chunk_mut);
                if let Some(serial) = field {
                    *serial = u32::from_le_bytes(*serial)
                        .wrapping_add(self.by)
                        .to_le_bytes();
                }
            }
        }
        page::renumber(page, self.by);
    }
}

/// Whether another page begins within a damaged one.
enum Within {
    NoPage,
    /// At this place.
    PageAt(usize),
    /// So many bytes are needed before that is known.
    Needs(usize),
}

/// Looks for a whole page that begins within the one at the beginning.
fn begins_within(bytes: &[u8], head: &PageHead) -> Within {
    let damaged = bytes.get(1..head.page_bytes).unwrap_or_default();
    let mut heads = 0;
    for at in memmem::find_iter(damaged, CAPTURE).map(|at| at + 1) {
        let rest = bytes.get(at..).unwrap_or_default();
        let needed = match PageHead::read(rest) {
            HeadRead::Not => continue,
            HeadRead::Needs(needed) => needed,
            HeadRead::Is(inner) => inner.page_bytes,
        };
        match rest.get(..needed) {
            None => return Within::Needs(at + needed),
            Some(page) if is_whole(page) => return Within::PageAt(at),
            Some(_) => heads += 1,
        }
        if heads == MOST_HEADS_WITHIN {
            break;
        }
    }
    Within::NoPage
}

/// The serial numbers of the streams that begin together at the beginning of these bytes.
pub fn first_serials(begun: &[u8]) -> Vec<u32> {
    let heads = page::consecutive(begun).map(|(head, _)| head);
    let first = heads.take_while(|head| head.is_first).take(MAX_STREAMS);
    first.map(|head| head.serial).collect()
}

/// The places of the serial numbers that the packets on a page of a skeleton name.
fn serial_fields(page: &[u8], head: &PageHead) -> Vec<Range<usize>> {
    let begun = page::parts(page, head).filter(|part| part.begins);
    let fields = begun.filter_map(|part| {
        let start = part.bytes.start;
        let field = skeleton::serial_field(page.get(part.bytes)?)?;
        Some(start + field.start..start + field.end)
    });
    fields.collect()
}

/// How many bytes there are before the next one at which a page could begin; at least one.
fn junk_bytes(bytes: &[u8]) -> usize {
    let mut behind_first = bytes.iter().skip(1);
    let begins = behind_first.position(|byte| *byte == CAPTURE[0]);
    begins.map_or(bytes.len(), |begins| begins + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page::samples::{opus, page};
    use super::*;
    use crate::media::format::samples::pieces;

    /// All that comes out, and the bytes that are still waited with.
    fn renumbered<'a>(by: u32, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, usize) {
        let (mut filter, mut input, mut out) =
            (PageSieve::new(by), BytesMut::new(), BytesMut::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            filter.take(&mut input, &mut out);
        }
        (out.to_vec(), input.len())
    }

    #[test]
    fn pages_are_as_if_made_with_another_serial() {
        let stream = [opus(1, &[1, 2]), opus(u32::MAX, &[1])].concat();
        let expected = [opus(3, &[1, 2]), opus(1, &[1])].concat();
        assert_eq!(renumbered(2, [&stream[..]]), (expected.clone(), 0));
        let back = renumbered(u32::MAX - 1, [&expected[..]]);
        assert_eq!(back, (stream, 0));
    }

    #[test]
    fn the_descriptions_of_a_skeleton_are_renumbered() {
        let skeleton = |serial: u32, named: u32| {
            let bone = [b"fisbone\0\x2C\0\0\0", &named.to_le_bytes()[..], b"rest"].concat();
            let index = [b"index\0", &named.to_le_bytes()[..], b"rest"].concat();
            [
                page(serial, 2, 0, b"fishead\0\x04\0"),
                page(named, 2, 0, b"fisbone\0 is not one of a skeleton"),
                page(serial, 0, 0, &bone),
                page(serial, 0, 0, &index),
                page(serial, 4, 0, b""),
            ]
            .concat()
        };
        let found = renumbered(100, [&skeleton(9, 7)[..]]);
        assert_eq!(found, (skeleton(109, 107), 0));
    }

    #[test]
    fn junk_is_dropped_and_a_damaged_page_passes_unchanged() {
        let mut damaged = page(1, 0, 9, b"sound");
        damaged[30] ^= 1;
        let sound = page(1, 0, 9, b"sound");
        let stream = [b"OO junk Ogg", &damaged[..], b"O", &sound, &sound[..30]].concat();
        let changed = page(2, 0, 9, b"sound");
        let expected = [damaged, changed].concat();
        assert_eq!(renumbered(1, [&stream[..]]), (expected, 30));
    }

    #[test]
    fn a_page_is_torn_off_by_the_next_encoder() {
        let (torn, next) = (page(1, 0, 9, &[7; 900]), opus(2, &[1, 2, 3]));
        for torn_bytes in [30, 60, 300, 800] {
            let stream = [&opus(1, &[1])[..], &torn[..torn_bytes], &next].concat();
            let expected = [opus(1, &[1]), next.clone()].concat();
            assert_eq!(renumbered(0, [&stream[..]]), (expected.clone(), 0));
            assert_eq!(renumbered(0, stream.chunks(1)), (expected, 0));
        }
    }

    #[test]
    fn heads_within_a_damaged_page_are_not_looked_at_for_ever() {
        let body = b"OggS\0\0".repeat(2_000);
        let mut damaged = page(1, 0, 9, &body);
        damaged[22] ^= 1;
        let (passed, _held_bytes) = renumbered(0, [&damaged.repeat(8)[..]]);
        assert!(passed.starts_with(&damaged.repeat(2)), "{}", passed.len());
    }

    #[test]
    fn what_has_no_pages_for_long_passes_until_there_is_one() {
        let sound = page(1, 0, 9, b"sound");
        let (noise, page_behind) = (
            vec![b'O'; MOST_JUNK_BYTES + 7],
            [&sound[..], b"xyz"].concat(),
        );
        let stream = [&sound[..], &noise, &page_behind].concat();
        let expected = [&sound[..], &[b'O'; 7], &sound].concat();
        assert_eq!(renumbered(0, [&stream[..]]), (expected, 0));
    }

    #[test]
    fn the_first_serials_are_those_that_begin_together() {
        let begun = [page(7, 2, 0, b"fishead\0"), opus(9, &[1]), opus(3, &[1])].concat();
        assert_eq!(first_serials(&begun), [7, 9]);
        assert_eq!(first_serials(&begun[..30]), [7], "the head is enough");
        assert!(first_serials(&begun[..20]).is_empty());
        assert!(first_serials(&begun[1..]).is_empty());
        let many: Vec<u8> = (0..20)
            .flat_map(|serial| page(serial, 2, 0, b"x"))
            .collect();
        assert_eq!(first_serials(&many).len(), MAX_STREAMS);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_bytes(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..400)), 0..8),
            cuts in prop::collection::vec(1usize..700, 1..20),
        ) {
            let part = |part: &(bool, Vec<u8>)| match part.0 {
                true => page(part.1.len() as u32, 0, 1, &part.1),
                false => [b"OggS\0", &part.1[..]].concat(),
            };
            let stream: Vec<u8> = parts.iter().flat_map(part).collect();
            let whole = renumbered(5, [&stream[..]]);
            let pages: usize = parts.iter().filter(|part| part.0).map(|it| part(it).len()).sum();
            prop_assert!((pages..=stream.len()).contains(&(whole.0.len() + whole.1)));
            prop_assert_eq!(&renumbered(5, pieces(&stream, &cuts)), &whole);
            prop_assert_eq!(&renumbered(5, stream.chunks(1)), &whole);
        }
    }
}
