//! The walk from one element of a stream to the next.
//!
//! The walk is flat: an element whose children matter is entered, and any other is passed over by its length. It makes no
//! difference where a parent ends, so its length may be unknown: a child that cannot be in it ends it.

use super::element::{ElementHead, ElementRead};
use super::hidden::{HiddenBeginning, HiddenBeginnings};
use super::ids;

/// The longest element that is passed over by its length: a picture may have some MiB, and a font or a cover in the
/// attachments more. A damaged length must not hide the rest of a stream.
const MAX_ELEMENT_BYTES: u64 = 64 << 20;

/// The buffer that is kept from one element to the next: longer than any head and the beginning of a block.
const KEPT_CAPACITY: usize = 64;

/// An element that was found in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundElement<'a> {
    /// The offset in the stream at which the element begins.
    pub offset: u64,
    /// The head.
    pub head: ElementHead,
    /// The head, and as much of the body as is kept.
    pub bytes: &'a [u8],
}

impl FoundElement<'_> {
    /// As much of the body as is kept.
    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(self.head.head_bytes..).unwrap_or_default()
    }

    /// The offset behind the element; `None` if its length is unknown.
    pub(super) fn end(&self) -> Option<u64> {
        let body = self.offset.checked_add(self.head.head_bytes as u64)?;
        body.checked_add(self.head.body_bytes?)
    }
}

/// The answer to an element that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyUse {
    /// The children of the element come next.
    Enter,
    /// The body is passed over, and at most so many first bytes are kept.
    Pass {
        /// The bytes to keep.
        kept: usize,
    },
    /// The element cannot stand here: the bytes are searched for the next place where a walk may begin.
    Junk,
}

/// The user of a walk, which is told of each element.
pub(super) trait TakeElements {
    /// An element begins; only its head is there.
    fn begin(&mut self, element: &FoundElement<'_>) -> BodyUse;

    /// An element that was passed over has ended.
    fn end(&mut self, element: &FoundElement<'_>);
}

/// Walks over the elements of a stream that arrives in pieces of any size. Holds a head, 12 bytes, what its user wants
/// of one body, and the last 13 bytes of it.
#[derive(Clone, Debug)]
pub(super) struct Elements {
    /// The offset of the next byte to be fed.
    next: u64,
    /// The head of the element that comes now, and as much of its body as is wanted.
    held: Vec<u8>,
    body: Option<PassedBody>,
    hidden: HiddenBeginnings,
    is_searching: bool,
    junk_bytes: u64,
}

/// The body that comes now.
#[derive(Clone, Copy, Debug)]
struct PassedBody {
    offset: u64,
    head: ElementHead,
    /// How many bytes are still to come.
    left: u64,
    /// How many of them are to be kept.
    wanted: usize,
}

impl PassedBody {
    /// Takes bytes of the body, and returns how many.
    fn take(&mut self, bytes: &[u8], held: &mut Vec<u8>) -> usize {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let taken = left.min(bytes.len());
        let kept = self.wanted.min(taken);
        held.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        self.wanted -= kept;
        self.left -= taken as u64;
        taken
    }
}

impl Elements {
    /// A walk that begins with the first EBML header or cluster from `start` on.
    pub(super) fn searched_from(start: u64) -> Self {
        Self {
            next: start,
            held: Vec::new(),
            body: None,
            hidden: HiddenBeginnings::default(),
            is_searching: true,
            junk_bytes: 0,
        }
    }

    /// A walk that begins with an element at `start`.
    pub(super) fn from(start: u64) -> Self {
        Self {
            is_searching: false,
            ..Self::searched_from(start)
        }
    }

    /// The offset of the next byte to be fed.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes that are no elements, since the last header or timestamp of a cluster, or since the start.
    pub(super) fn junk_bytes(&self) -> u64 {
        self.junk_bytes
    }

    /// The offset that a search has come to; `None` if there is none.
    pub(super) fn searched_to(&self) -> Option<u64> {
        self.is_searching
            .then(|| self.next.saturating_sub(self.held.len() as u64))
    }

    /// Whether the last bytes may be the beginning of an element.
    pub(super) fn may_begin(&self) -> bool {
        self.body.is_none() && !self.held.is_empty()
    }

    /// Whether the last byte was the last of an element, or of the head of one that was entered.
    pub(super) fn is_between(&self) -> bool {
        !self.is_searching && self.held.is_empty()
    }

    /// Takes the next bytes, and tells of the elements in them.
    pub(super) fn feed(&mut self, mut bytes: &[u8], taker: &mut impl TakeElements) {
        while !bytes.is_empty() {
            if let Some(found) = self.look_within_body(bytes) {
                bytes = bytes.get(found.up_to..).unwrap_or_default();
                self.leave_body(&found, taker);
                continue;
            }
            let taken = match &mut self.body {
                Some(body) => body.take(bytes, &mut self.held),
                None if self.is_searching && self.held.is_empty() => self.search(bytes),
                None => self.hold_head(bytes),
            };
            self.next = self.next.saturating_add(taken as u64);
            bytes = bytes.get(taken..).unwrap_or_default();
            match &self.body {
                Some(_) => self.finish(taker),
                None => self.judge(taker),
            }
        }
    }

    /// The beginning of a cluster or of a stream in a body that has no place for one: its length is damaged.
    fn look_within_body(&mut self, bytes: &[u8]) -> Option<HiddenBeginning> {
        let body = self.body.filter(|body| body.head.id != ids::ATTACHMENTS)?;
        let left = usize::try_from(body.left).unwrap_or(usize::MAX);
        self.hidden.look(bytes.get(..left).unwrap_or(bytes))
    }

    /// Goes on from a beginning within the body that comes now, which has not ended.
    fn leave_body(&mut self, found: &HiddenBeginning, taker: &mut impl TakeElements) {
        let up_to = self.next.saturating_add(found.up_to as u64);
        self.next = up_to.saturating_sub(found.bytes.len() as u64);
        self.body = None;
        self.held.clear();
        self.is_searching = true;
        self.junk_bytes += 1;
        self.feed(&found.bytes, taker);
    }

    /// How many bytes there are before the next one at which a walk could begin; with that one if it is the first.
    fn search(&mut self, bytes: &[u8]) -> usize {
        let may_begin = |byte: &u8| BEGINNINGS.contains(byte);
        let junk = bytes.iter().position(may_begin).unwrap_or(bytes.len());
        self.junk_bytes += junk as u64;
        match junk {
            0 => self.hold_head(bytes),
            junk => junk,
        }
    }

    /// Takes bytes of a head, and returns how many.
    fn hold_head(&mut self, bytes: &[u8]) -> usize {
        let wanted = match ElementHead::read(&self.held) {
            ElementRead::Needs(wanted) => wanted.saturating_sub(self.held.len()),
            ElementRead::Is(_) | ElementRead::Not => 0, // Both are dealt with as soon as they are known.
        };
        let taken = wanted.min(bytes.len());
        self.held
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        taken
    }

    fn judge(&mut self, taker: &mut impl TakeElements) {
        match ElementHead::read(&self.held) {
            ElementRead::Needs(_) => {}
            ElementRead::Is(head) => self.begin(head, taker),
            ElementRead::Not => self.search_on(taker),
        }
    }

    fn begin(&mut self, head: ElementHead, taker: &mut impl TakeElements) {
        let offset = self.next.saturating_sub(self.held.len() as u64);
        let is_junk = self.is_searching && !matches!(head.id, ids::HEADER | ids::CLUSTER);
        let element = FoundElement {
            offset,
            head,
            bytes: &self.held,
        };
        let body_use = match is_junk {
            true => BodyUse::Junk,
            false => taker.begin(&element),
        };
        match (body_use, head.body_bytes) {
            (BodyUse::Enter, _) => self.held.clear(),
            (BodyUse::Pass { kept }, Some(left)) if left <= MAX_ELEMENT_BYTES => {
                self.hidden.begin_body();
                self.body = Some(PassedBody {
                    offset,
                    head,
                    left,
                    wanted: kept,
                });
            }
            _ => return self.search_on(taker),
        }
        self.is_searching = false;
        self.finish(taker);
    }

    /// Ends the body that comes now if all of it has come.
    fn finish(&mut self, taker: &mut impl TakeElements) {
        let Some(body) = self.body.take_if(|body| body.left == 0) else {
            return;
        };
        taker.end(&FoundElement {
            offset: body.offset,
            head: body.head,
            bytes: &self.held,
        });
        self.held.clear();
        self.held.shrink_to(KEPT_CAPACITY);
        if matches!(body.head.id, ids::HEADER | ids::TIMESTAMP) {
            self.junk_bytes = 0;
        }
    }

    /// Searches from the second byte on of what is held: it is no element. Each search holds less than the one before.
    fn search_on(&mut self, taker: &mut impl TakeElements) {
        let held = std::mem::take(&mut self.held);
        let rest = held.get(1..).unwrap_or_default();
        self.next = self.next.saturating_sub(rest.len() as u64);
        self.is_searching = true;
        self.junk_bytes += 1;
        self.feed(rest, taker);
    }
}

/// The first bytes of an EBML header and of a cluster.
const BEGINNINGS: [u8; 2] = [(ids::HEADER >> 24) as u8, (ids::CLUSTER >> 24) as u8];

#[cfg(test)]
mod tests {
    use super::super::samples::{element, open};
    use super::*;
    use crate::media::format::samples::pieces;

    /// Enters segments and clusters, keeps four bytes of timestamps and blocks, and takes nothing else.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Noted {
        begun: Vec<(u64, u32)>,
        ended: Vec<(u64, Vec<u8>)>,
    }

    impl TakeElements for Noted {
        fn begin(&mut self, element: &FoundElement<'_>) -> BodyUse {
            self.begun.push((element.offset, element.head.id));
            match element.head.id {
                ids::SEGMENT | ids::CLUSTER => BodyUse::Enter,
                ids::HEADER | ids::TIMESTAMP | ids::SIMPLE_BLOCK => BodyUse::Pass { kept: 4 },
                _ => BodyUse::Junk,
            }
        }

        fn end(&mut self, element: &FoundElement<'_>) {
            let end = element.end().unwrap();
            self.ended.push((end, element.body().to_vec()));
        }
    }

    fn walk<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Noted {
        let (mut elements, mut noted) = (Elements::searched_from(0), Noted::default());
        for piece in pieces {
            elements.feed(piece, &mut noted);
            assert!(elements.held.capacity() <= KEPT_CAPACITY);
        }
        noted
    }

    #[test]
    fn a_walk_passes_junk_and_begins_again_at_a_cluster() {
        let cluster = [
            open(ids::CLUSTER),
            element(ids::TIMESTAMP, &[7]),
            element(ids::SIMPLE_BLOCK, &[5; 300]),
        ]
        .concat();
        // A length of 8 bytes that hides the beginning of a cluster, and one that says more than there can be.
        let hiding = [0xA3, 0x01, 0x1F, 0x43, 0xB6, 0x75];
        let stream = [
            &cluster[..],
            &hiding,
            &[0xFF, 0xE7, 0x81, 9],
            b"\x1F\x1A\x45",
            &cluster,
        ];
        let stream = stream.concat();
        let noted = walk([&stream[..]]);
        let timestamps: Vec<_> = noted.ended.iter().filter(|it| it.1.len() == 1).collect();
        assert_eq!(timestamps.len(), 3);
        let clusters = noted.begun.iter().filter(|it| it.1 == ids::CLUSTER);
        let hidden = cluster.len() as u64 + 2;
        let offsets: Vec<u64> = clusters.map(|it| it.0).collect();
        assert_eq!(offsets, [0, hidden, cluster.len() as u64 + 13]);
        for length in 1..20 {
            assert_eq!(walk(pieces(&stream, &[length])), noted);
        }
    }

    #[test]
    fn a_body_ends_where_a_cluster_begins_in_it() {
        let cluster = [
            open(ids::CLUSTER),
            element(ids::TIMESTAMP, &[7; 8]),
            element(ids::SIMPLE_BLOCK, &[5; 30]),
        ]
        .concat();
        // A length of 1 MiB, of which 90 bytes come.
        let torn = [&[0xA3, 0x10, 0x10, 0, 0][..], &[5; 90]].concat();
        let begin = [open(ids::CLUSTER), torn].concat();
        let stream = [&begin[..], &cluster].concat();
        let noted = walk([&stream[..]]);
        let begun: Vec<u64> = noted.begun.iter().map(|it| it.0).collect();
        let again = begin.len() as u64;
        assert_eq!(begun, [0, 5, again, again + 5, again + 15]);
        assert_eq!(noted.ended.len(), 2);
        for length in 1..40 {
            assert_eq!(walk(pieces(&stream, &[length])), noted);
        }
    }

    #[test]
    fn an_element_that_is_too_long_is_junk() {
        let long = [&[0xA3, 0x08][..], &[0xFF; 4]].concat();
        let stream = [&open(ids::CLUSTER)[..], &long, &[0; 90]].concat();
        let (mut elements, mut noted) = (Elements::searched_from(0), Noted::default());
        elements.feed(&stream, &mut noted);
        assert_eq!(elements.junk_bytes(), 96);
        assert_eq!(elements.searched_to(), Some(stream.len() as u64));
        assert_eq!(noted.ended, []);
    }
}
