//! A link that has begun while another one is known, and may turn out to follow it.
//!
//! A first page alone proves nothing: encoders repeat theirs, and pages of other streams get between. The link that is known
//! goes on until sound or pictures come behind all headers of the other one.

use super::link::{OggLink, PageKind};
use super::pages::FoundPage;
use crate::media::format::joining::{Mark, Trouble};

/// After so many pages of the link that is known, and none of the other one, its beginning was a mistake. The last pages of
/// a link may be late, but these are one or two of each stream.
const MAX_LATE_PAGES: u32 = 16;

/// The link.
#[derive(Clone, Debug)]
pub(super) struct Successor {
    link: OggLink,
    /// The mark at its first page, unless the link that is known has gone on since.
    mark: Option<Mark>,
    /// The pages of the link that is known since the last one of this link.
    late_pages: u32,
    /// Why its headers are of no use to a late listener.
    why: Option<Trouble>,
}

/// A page, as far as it concerns the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SuccessorPage {
    /// The page holds headers of the link.
    Headers,
    /// The page holds sound or pictures of the link: all its headers have come, and it follows.
    Proven,
    /// The page belongs to the link, which is of no use to a late listener.
    Useless,
    /// The page shows that the link that is known goes on, and the other one was a mistake.
    Refuted,
    /// The page does not belong to the link.
    Other,
}

impl Successor {
    /// A link that begins with a first page; the mark is the one there.
    pub(super) fn new(page: &FoundPage<'_>, mark: Mark) -> Self {
        let mut successor = Self {
            link: OggLink::new(page.offset),
            mark: Some(mark),
            late_pages: 0,
            why: None,
        };
        successor.add(page);
        successor
    }

    /// Whether the first page of a stream belongs to the link.
    pub(super) fn expects(&self, page: &FoundPage<'_>) -> bool {
        self.link.expects(page)
    }

    /// Adds a stream by its first page.
    pub(super) fn add(&mut self, page: &FoundPage<'_>) {
        self.late_pages = 0;
        if let Err(why) = self.link.add(page) {
            self.give_up(why);
        }
    }

    /// Judges a page that is no first page; it `is_known` if it may be of the link that is known.
    pub(super) fn take(&mut self, page: &FoundPage<'_>, is_known: bool) -> SuccessorPage {
        if !self.link.has(page.head.serial) {
            return self.pass(is_known);
        }
        self.late_pages = 0;
        let why = match self.why {
            Some(why) => why,
            None if self.link.lacks_headers_before(&page.head) => Trouble::NoHeaders,
            None => match self.link.take(page) {
                PageKind::Headers | PageKind::Stray => return SuccessorPage::Headers,
                PageKind::Content => return SuccessorPage::Proven,
                PageKind::Broken(why) => why,
            },
        };
        self.give_up(why);
        match is_known {
            true => SuccessorPage::Refuted,
            false => SuccessorPage::Useless,
        }
    }

    /// Why the headers of the link are of no use to a late listener.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.why
    }

    /// The link, with the mark at its first page if that is later than all others.
    pub(super) fn into_link(self) -> (OggLink, Option<Mark>) {
        (self.link, self.mark)
    }

    fn pass(&mut self, is_known: bool) -> SuccessorPage {
        self.link.end_beginning();
        if !is_known {
            return SuccessorPage::Other;
        }
        self.mark = None;
        self.late_pages += 1;
        match self.late_pages > MAX_LATE_PAGES {
            true => SuccessorPage::Refuted,
            false => SuccessorPage::Other,
        }
    }

    fn give_up(&mut self, why: Trouble) {
        self.why = Some(why);
        self.link.end_beginning();
        let _of_no_use = self.link.take_heads();
    }
}
