//! Gives the streams in Ogg other serial numbers.
//!
//! A decoder takes a link with the serial number of the one before for late pages of that one. An encoder that comes
//! back may number its streams as before, so its pages are changed before they follow the old ones.

use std::ops::Range;

use bytes::BytesMut;

use super::link::MAX_STREAMS;
use super::page::{self, CAPTURE, HeadRead, PageHead, is_whole};
use super::skeleton;

/// A filter of pages that adds a number to all serial numbers, those in a skeleton included.
///
/// Bytes that belong to no page, and pages that arrived damaged, pass as they are.
#[derive(Clone, Debug)]
pub struct Renumber {
    by: u32,
    /// The serial number of the skeleton, if there is one, before it is changed.
    skeleton: Option<u32>,
}

impl Renumber {
    /// A filter that adds this number.
    pub fn new(by: u32) -> Self {
        Self { by, skeleton: None }
    }

    /// Moves all that is whole from `input` to the end of `out`. The beginning of a page stays in `input`, 64 KiB at
    /// most.
    pub fn take(&mut self, input: &mut BytesMut, out: &mut BytesMut) {
        let mut done = 0;
        while let Some(taken) = self.take_one(&mut input[done..]) {
            done += taken;
        }
        out.unsplit(input.split_to(done));
    }

    /// Changes the page at the beginning, and returns how many bytes are done with; `None` if more have to come first.
    fn take_one(&mut self, bytes: &mut [u8]) -> Option<usize> {
        match PageHead::read(bytes) {
            HeadRead::Needs(_) => None,
            HeadRead::Not => Some(junk_bytes(bytes)),
            HeadRead::Is(head) => {
                let page = bytes.get_mut(..head.page_bytes)?;
                if is_whole(page) {
                    self.renumber(page, &head);
                }
                Some(head.page_bytes)
            }
        }
    }

    fn renumber(&mut self, page: &mut [u8], head: &PageHead) {
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
            (Renumber::new(by), BytesMut::new(), BytesMut::new());
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
    fn what_is_no_whole_page_passes_unchanged() {
        let mut damaged = page(1, 0, 9, b"sound");
        damaged[30] ^= 1;
        let sound = page(1, 0, 9, b"sound");
        let stream = [b"OO junk Ogg", &damaged[..], b"O", &sound, &sound[..30]].concat();
        let changed = page(2, 0, 9, b"sound");
        let expected = [b"OO junk Ogg", &damaged[..], b"O", &changed].concat();
        assert_eq!(renumbered(1, [&stream[..]]), (expected, 30));
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
            prop_assert_eq!(whole.0.len() + whole.1, stream.len());
            prop_assert_eq!(&renumbered(5, pieces(&stream, &cuts)), &whole);
            prop_assert_eq!(&renumbered(5, stream.chunks(1)), &whole);
        }
    }
}
