//! The links of an Ogg stream, one after another: which pages are headers, and how long the others play.

use std::time::Duration;

use bytes::Bytes;

use super::link::{OggLink, PageKind};
use super::pages::{FoundPage, Keep, PageScanner};
use crate::media::format::joining::{Mark, Prologue, Scanned};

/// A chain as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    stage: OggStage,
    /// How much audio was in all pages so far.
    media_time: Duration,
}

/// The part of a link that comes now.
#[derive(Clone, Debug, Default)]
enum OggStage {
    /// No header pages are known.
    #[default]
    Unknown,
    /// The header pages of a link.
    Headers(OggLink),
    /// The sound of a link.
    Sound(OggLink),
}

impl Chain {
    /// A chain that begins with the next page.
    pub fn new() -> Self {
        Self::default()
    }

    /// A chain of which so much has been, and nothing is known.
    pub(super) fn since(media_time: Duration) -> Self {
        Self {
            stage: OggStage::Unknown,
            media_time,
        }
    }

    /// A chain of which so much has been, in the sound of a link with these header pages; `None` if they are none.
    pub(super) fn behind(heads: &[u8], media_time: Duration) -> Option<Self> {
        let (mut pages, mut chain) = (PageScanner::new(0, Keep::All), Self::default());
        let mut take = |page: FoundPage<'_>| chain.take(&page, media_time, &mut |_| {});
        pages.feed(heads, |page| {
            take(page);
            Keep::All
        });
        pages.finish().map(take);
        match chain.stage {
            OggStage::Headers(mut link) if link.is_complete() => {
                let _held_by_the_ring = link.take_heads();
                link.skip_ahead();
                Some(Self {
                    stage: OggStage::Sound(link),
                    media_time,
                })
            }
            _ => None,
        }
    }

    /// How much audio was in all pages so far.
    pub fn media_time(&self) -> Duration {
        self.media_time
    }

    /// Moves the time on to this one, if it is not so late yet.
    pub(super) fn catch_up(&mut self, earliest: Duration) {
        self.media_time = self.media_time.max(earliest);
    }

    /// Whether the codecs of the link are known, or may turn out to be.
    pub fn is_known(&self) -> bool {
        !matches!(self.stage, OggStage::Unknown)
    }

    /// Takes the next page; a link that begins with it does not begin before `earliest`. Says which bodies it wants.
    pub fn take(
        &mut self,
        page: &FoundPage<'_>,
        earliest: Duration,
        found: &mut impl FnMut(Scanned),
    ) -> Keep {
        if page.head.is_first {
            self.take_first(page, earliest, found);
        } else {
            self.take_next(page, found);
        }
        match self.stage {
            OggStage::Headers(_) => Keep::All,
            OggStage::Unknown | OggStage::Sound(_) => Keep::First,
        }
    }

    fn take_first(
        &mut self,
        page: &FoundPage<'_>,
        earliest: Duration,
        found: &mut impl FnMut(Scanned),
    ) {
        if let OggStage::Headers(link) = &mut self.stage
            && link.add(page)
        {
            return;
        }
        self.media_time = self.media_time.max(earliest);
        self.stage = OggStage::Headers(OggLink::begin(page));
        found(prologue(page.offset, Vec::new()));
        found(Scanned::Mark(self.mark(page)));
    }

    fn take_next(&mut self, page: &FoundPage<'_>, found: &mut impl FnMut(Scanned)) {
        if let OggStage::Headers(link) = &mut self.stage {
            match link.take(page) {
                PageKind::Headers => return,
                PageKind::Sound => {
                    found(prologue(page.offset, link.take_heads()));
                    self.stage = OggStage::Sound(link.clone());
                }
                PageKind::Broken => self.stage = OggStage::Unknown,
            }
        }
        let mark = self.mark(page);
        if let OggStage::Sound(link) = &mut self.stage {
            if link.may_join_at(&page.head) {
                found(Scanned::Mark(mark));
            }
            self.media_time += link.advance(&page.head);
        }
    }

    /// The mark at the beginning of a page.
    fn mark(&self, page: &FoundPage<'_>) -> Mark {
        Mark {
            offset: page.offset,
            media_time: self.media_time,
        }
    }
}

fn prologue(offset: u64, heads: Vec<u8>) -> Scanned {
    Scanned::Prologue(Prologue {
        offset,
        bytes: Bytes::from(heads),
    })
}
