//! Finds the pages of a stream.
//!
//! A page is believed when another one begins where it ends, so a mark is never false. Checksums would cost a look at each
//! byte: they only decide about pages that were kept and have garbage behind them. Only the bodies that are wanted are kept,
//! and those behind garbage, because more of it may come.

use super::page::{CAPTURE, HeadRead, MAX_HEAD_BYTES, PageHead, is_whole};

/// So many pages behind junk are kept, as junk may come again: a stream that has some behind each page, or each tenth, loses
/// the first page only.
const WARY_PAGES: u32 = 16;

/// A page that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundPage<'a> {
    /// The offset in the stream at which the page begins.
    pub offset: u64,
    /// The head.
    pub head: PageHead,
    /// The whole page if it was kept; otherwise its head only.
    pub bytes: &'a [u8],
    /// The first byte of the first packet that begins on the page; `None` if none begins, or if that packet is empty.
    pub first_byte: Option<u8>,
}

/// The bodies to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The bodies of all pages that come now.
    All,
    /// The bodies of the first pages of streams.
    First,
}

/// Finds the pages of a stream that arrives in pieces of any size. It holds one page and a head at most, 64 KiB, and
/// allocates nothing for pages that are not kept.
#[derive(Clone, Debug)]
pub struct PageScanner {
    /// The offset of the next byte to be fed.
    next: u64,
    /// The beginning of a head.
    head: Vec<u8>,
    /// The page before it, which is not believed yet.
    page: Option<HeldPage>,
    keep: Keep,
    /// How many more pages are kept because of junk before them.
    wary_pages: u32,
    junk_bytes: u64,
}

#[derive(Clone, Debug)]
struct HeldPage {
    offset: u64,
    head: PageHead,
    bytes: Vec<u8>,
    is_kept: bool,
    first_byte: Option<u8>,
    /// How many bytes of the body are still to come.
    left: usize,
}

impl HeldPage {
    /// Takes bytes of the body, and returns how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = self.left.min(bytes.len());
        if self.is_kept {
            self.bytes.extend_from_slice(&bytes[..taken]);
        }
        let here = self.head.page_bytes - self.left;
        if let Some(ahead) = self.head.begins_at.and_then(|at| at.checked_sub(here))
            && let Some(byte) = bytes[..taken].get(ahead)
        {
            self.first_byte = Some(*byte);
        }
        self.left -= taken;
        taken
    }

    fn found(&self) -> FoundPage<'_> {
        FoundPage {
            offset: self.offset,
            head: self.head,
            bytes: &self.bytes,
            first_byte: self.first_byte,
        }
    }
}

impl PageScanner {
    /// A scanner whose first byte will be the one at `start`, and which keeps these bodies until it is told otherwise.
    pub fn new(start: u64, keep: Keep) -> Self {
        Self {
            next: start,
            head: Vec::new(),
            page: None,
            keep,
            wary_pages: 0,
            junk_bytes: 0,
        }
    }

    /// The offset of the next byte to be fed.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The end of the last whole page, also of one that is not believed yet; the next byte while there are no pages. It
    /// never falls.
    pub(super) fn edge(&self) -> u64 {
        match &self.page {
            Some(page) if page.left > 0 => page.offset,
            Some(page) => page.offset + page.head.page_bytes as u64,
            None => self.next - self.head.len() as u64,
        }
    }

    /// The end of the last page that is believed; the next byte while there are no pages.
    pub(super) fn believed(&self) -> u64 {
        match &self.page {
            Some(page) => page.offset,
            None => self.edge(),
        }
    }

    /// The memory that pages take here.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let page = self.page.as_ref().map_or(0, |page| page.bytes.capacity());
        self.head.capacity() + page
    }

    /// Bytes since the last page that was believed, or since the start, that belong to none.
    pub fn junk_bytes(&self) -> u64 {
        self.junk_bytes
    }

    /// Whether the last bytes may be the first page of a stream.
    pub(super) fn may_begin(&self) -> bool {
        !self.head.is_empty() || self.page.as_ref().is_some_and(|page| page.head.is_first)
    }

    /// Takes the next bytes and calls `found` for every page that is certain by now, in order; it says which bodies
    /// to keep from then on.
    pub fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(FoundPage<'_>) -> Keep) {
        while !bytes.is_empty() {
            let taken = match &mut self.page {
                Some(page) if page.left > 0 => page.take(bytes),
                None if self.head.is_empty() => self.search(bytes),
                _ => 0,
            };
            bytes = &bytes[taken..];
            self.next += taken as u64;
            if taken == 0 {
                let taken = self.read_head(bytes, &mut found);
                bytes = &bytes[taken..];
            }
        }
    }

    /// The last page, if the stream ends with it.
    pub fn finish(&self) -> Option<FoundPage<'_>> {
        let page = self.page.as_ref();
        let is_last = |page: &&HeldPage| page.left == 0 && self.head.is_empty();
        page.filter(is_last).map(HeldPage::found)
    }

    /// How many bytes there are before the next one at which a page could begin.
    fn search(&mut self, bytes: &[u8]) -> usize {
        let begins = bytes.iter().position(|byte| *byte == CAPTURE[0]);
        let junk = begins.unwrap_or(bytes.len());
        self.note_junk(junk);
        junk
    }

    /// Takes bytes of a head, and returns how many.
    fn read_head(&mut self, bytes: &[u8], found: &mut impl FnMut(FoundPage<'_>) -> Keep) -> usize {
        let wanted = match PageHead::read(&self.head) {
            HeadRead::Needs(wanted) => wanted - self.head.len(),
            HeadRead::Is(_) | HeadRead::Not => 0, // Both are dealt with as soon as they are known.
        };
        let taken = wanted.min(bytes.len());
        self.head.extend_from_slice(&bytes[..taken]);
        self.next += taken as u64;
        loop {
            match PageHead::read(&self.head) {
                HeadRead::Needs(_) => return taken,
                HeadRead::Is(head) => {
                    self.begin(head, found);
                    return taken;
                }
                HeadRead::Not => self.skip_junk(found),
            }
        }
    }

    /// Begins a page, and believes the one before.
    fn begin(&mut self, head: PageHead, found: &mut impl FnMut(FoundPage<'_>) -> Keep) {
        let mut spare = Vec::new();
        if let Some(page) = self.page.take() {
            self.believe(&page, found);
            spare = page.bytes;
            spare.clear();
            spare.shrink_to(MAX_HEAD_BYTES);
        }
        self.page = Some(HeldPage {
            offset: self.next - self.head.len() as u64,
            bytes: std::mem::replace(&mut self.head, spare),
            is_kept: head.is_first || self.keep == Keep::All || self.wary_pages > 0,
            first_byte: None,
            left: head.page_bytes - head.head_bytes,
            head,
        });
        self.wary_pages = self.wary_pages.saturating_sub(1);
    }

    fn believe(&mut self, page: &HeldPage, found: &mut impl FnMut(FoundPage<'_>) -> Keep) {
        self.keep = found(page.found());
        self.junk_bytes = 0;
    }

    /// Drops the bytes of what is no head, up to the next one that may be; and the page before, behind which there
    /// should have been a head, unless its checksum says that it is one.
    fn skip_junk(&mut self, found: &mut impl FnMut(FoundPage<'_>) -> Keep) {
        match self.page.take() {
            Some(page) if page.is_kept && is_whole(&page.bytes) => self.believe(&page, found),
            page => self.note_junk(page.map_or(0, |page| page.head.page_bytes)),
        }
        let mut bytes = self.head.iter().skip(1);
        let begins = bytes.position(|byte| *byte == CAPTURE[0]);
        let junk = begins.map_or(self.head.len(), |after_first| after_first + 1);
        self.head.drain(..junk);
        self.note_junk(junk);
    }

    fn note_junk(&mut self, bytes: usize) {
        self.junk_bytes += bytes as u64;
        if bytes > 0 {
            self.wary_pages = WARY_PAGES;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page::samples::{opus, page};
    use super::*;
    use crate::media::format::samples::pieces;

    /// The offset and length of each page, also of the last one.
    fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(u64, usize)> {
        let (mut scanner, mut found) = (PageScanner::new(0, Keep::All), Vec::new());
        for piece in pieces {
            scanner.feed(piece, |page| {
                assert!(page.bytes.len() == page.head.page_bytes);
                found.push((page.offset, page.head.page_bytes));
                Keep::All
            });
        }
        let last = scanner.finish().into_iter();
        found.extend(last.map(|page| (page.offset, page.head.page_bytes)));
        found
    }

    #[test]
    fn a_page_is_believed_when_the_next_one_follows() {
        let pages = [page(1, 2, 0, b"first"), page(1, 0, 9, b"second")];
        let mut scanner = PageScanner::new(100, Keep::First);
        let mut found = Vec::new();
        scanner.feed(&pages[0], |page| {
            found.push(page.offset);
            Keep::First
        });
        assert!(scanner.may_begin());
        assert_eq!(scanner.finish().map(|page| page.offset), Some(100));
        scanner.feed(&pages[1], |page| {
            assert_eq!(page.bytes, pages[0]);
            found.push(page.offset);
            Keep::First
        });
        assert_eq!(found, [100]);
        let last = scanner.finish().unwrap();
        assert_eq!(last.bytes.len(), last.head.head_bytes, "not kept");
    }

    #[test]
    fn garbage_between_pages_costs_the_page_before_unless_kept() {
        let page = |position: u8| page(1, 0, u64::from(position), b"sound");
        let junk = b"OggS is no head, OOgg neither";
        let each = (3..9).flat_map(|at| [&page(at)[..], junk].concat());
        let last = [page(9), page(10), page(11)].concat();
        let stream: Vec<u8> = [page(1), page(2), junk.to_vec()]
            .into_iter()
            .flatten()
            .chain(each)
            .chain(last)
            .collect();
        let kept = scan([&stream[..]]);
        assert_eq!(kept.len(), 11);
        let (mut scanner, mut found) = (PageScanner::new(0, Keep::First), Vec::new());
        scanner.feed(&stream, |page| {
            found.push((page.offset, page.head.page_bytes));
            Keep::First
        });
        let but_second = [&kept[..1], &kept[2..10]].concat();
        assert_eq!(found, but_second, "the last one may have junk behind it");
        for position in 12..40 {
            scanner.feed(&page(position), |_| Keep::First);
        }
        let last = scanner.finish().map(|page| page.bytes.len());
        assert_eq!(last, Some(28), "no longer kept");
    }

    #[test]
    fn a_damaged_page_before_garbage_is_none() {
        let mut damaged = page(1, 0, 2, b"sound");
        damaged[30] ^= 1;
        let whole = page(1, 0, 1, b"sound");
        let stream = [&whole[..], b"junk", &damaged, b"junk", &whole, &whole].concat();
        let pages: Vec<u64> = scan([&stream[..]]).iter().map(|page| page.0).collect();
        assert_eq!(pages, [0, 74, 107]);
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same_pages(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..600)), 0..12),
            cuts in prop::collection::vec(1usize..900, 1..40),
        ) {
            let part = |part: &(bool, Vec<u8>)| match part.0 {
                true => opus(1, &[1, 2, part.1.len() as u64]),
                false => [b"OggS\0", &part.1[..]].concat(),
            };
            let stream: Vec<u8> = parts.iter().flat_map(part).collect();
            let pieces = pieces(&stream, &cuts);
            let whole = scan([&stream[..]]);
            prop_assert_eq!(scan(pieces), whole.clone());
            prop_assert_eq!(scan(stream.chunks(1)), whole.clone());
            for (offset, page_bytes) in whole {
                let page = &stream[offset as usize..offset as usize + page_bytes];
                prop_assert!(page.starts_with(CAPTURE));
            }
        }
    }
}
