//! Ogg: pages of one or more streams that play together, one link of a chain after another.
//!
//! A decoder needs the header pages at the beginning of a link: they are the prologue of all that follows in it. The
//! time is that of the first stream with sound, and a link with pictures is joined where a keyframe begins. Where no
//! header pages are known, or they are damaged or too long, the stream is opaque until the next link begins. Header pages that
//! are known hold until those of another link are, whatever comes between.

mod chain;
mod codec;
pub(super) mod comments;
mod granule;
mod link;
pub mod page;
mod pages;
mod sieve;
mod skeleton;
mod successor;

use std::time::Duration;

pub use self::chain::Chain;
pub use self::pages::{FoundPage, Keep, PageScanner};
pub use self::sieve::{PageSieve, first_serials};
use super::joining::{Comment, Scanned, StreamStart, Trouble};
use super::layout::Layout;
use super::opaque::Pieces;
use super::walker::Walker;
use crate::model::format::StreamFormat;

/// After so many bytes without a page, the stream may be of another format: twice the longest page, because a relay may
/// begin in the middle of one. A stream that has had pages may have more of them: it stays Ogg.
const UNPAGED_BYTES: u64 = 128 << 10;

/// By how much a stream's clock may be behind that of arrival: as long as a source may be silent. Some encoders write
/// clocks that stand still or crawl; without this bound all pages of such a stream would be of one time, and a late
/// listener would begin at the oldest.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// Finds where an Ogg stream may be joined, its prologues and its titles. It holds one page, and the header pages of a
/// link while they come.
#[derive(Clone, Debug)]
pub struct OggScanner {
    pages: PageScanner,
    chain: Chain,
    /// How much of the stream was before the first byte.
    since: Duration,
    /// The marks where no header pages are known.
    pieces: Pieces,
}

impl OggScanner {
    /// A scanner whose first byte will be the one at `start`.
    pub fn new(start: u64) -> Self {
        Self::in_chain(start, Chain::new())
    }

    /// A scanner that begins in the middle of a stream; `None` if its prologue is not one.
    pub(super) fn in_the_middle(start: &StreamStart) -> Option<Self> {
        let chain = match start.prologue.is_empty() {
            true => Chain::since(start.media_time),
            false => Chain::behind(&start.prologue, start.media_time)?,
        };
        Some(Self::in_chain(start.offset, chain))
    }

    fn in_chain(start: u64, chain: Chain) -> Self {
        Self {
            pages: PageScanner::new(start, Keep::First),
            pieces: Pieces::new(start, chain.media_time()),
            since: chain.media_time(),
            chain,
        }
    }

    /// Whether no page has come for so long that the stream may be of another format by now.
    pub(super) fn has_lost_pages(&self) -> bool {
        self.pages.junk_bytes() > UNPAGED_BYTES
    }
}

impl Walker for OggScanner {
    fn feed(&mut self, bytes: &[u8], arrived: Duration, mut found: &mut dyn FnMut(Scanned)) {
        if let Some(title) = self.chain.take_title() {
            let offset = self.pages.next();
            found(Scanned::Comment(Comment { offset, title }));
        }
        let (was_known, earliest) = (self.chain.is_known(), self.pieces.time());
        self.chain
            .catch_up(self.since + arrived.saturating_sub(MOST_BEHIND));
        let (chain, mut has_begun) = (&mut self.chain, false);
        self.pages.feed(bytes, |page| {
            has_begun |= page.head.is_first;
            chain.take(&page, earliest, &mut found)
        });
        if was_known || has_begun || self.pages.may_begin() {
            self.pieces.pass(bytes, arrived, self.chain.media_time());
        } else if let Some(mark) = self.pieces.take(bytes, arrived) {
            found(Scanned::Mark(mark));
        }
    }

    fn next(&self) -> u64 {
        self.pages.next()
    }

    fn edge(&self) -> u64 {
        self.pages.edge()
    }

    fn timed(&self) -> u64 {
        self.pages.believed()
    }

    fn media_time(&self) -> Option<Duration> {
        let time = self.chain.media_time();
        self.chain.is_known().then_some(time)
    }

    fn format(&self) -> Option<StreamFormat> {
        self.chain.format()
    }

    fn layout(&self) -> Option<Layout> {
        self.chain.layout()
    }

    fn trouble(&self) -> Option<Trouble> {
        let lost = self.has_lost_pages().then_some(Trouble::NoHeaders);
        self.chain.trouble().or(lost)
    }

    fn is_lost(&self) -> bool {
        self.has_lost_pages() && !self.chain.has_begun()
    }

    fn to_pieces(&self) -> Pieces {
        self.pieces.clone().with_trouble(self.trouble())
    }
}

#[cfg(test)]
mod tests;
