//! The links of an Ogg stream, one after another: which pages are headers, and how long the others play.

use std::time::Duration;

use bytes::Bytes;

use super::link::{OggLink, PageKind};
use super::page::is_whole;
use super::pages::{FoundPage, Keep, PageScanner};
use super::successor::{Successor, SuccessorPage};
use crate::media::format::joining::{Anew, Comment, Mark, Prologue, Scanned, Trouble};
use crate::media::format::layout::{Layout, OggTrack};
use crate::media::splice::{Splice, splice};
use crate::model::format::{Container, StreamFormat};
use crate::model::title::TitleInfo;

/// After so many pages in a row that are of no use to a late listener, the stream is in trouble. A film of more streams than
/// are known has a few between those that are.
const MAX_STRAYS: u32 = 8;

/// A chain as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    stage: OggStage,
    /// A link that has begun behind the content of another one, and may turn out to follow it.
    next: Option<Successor>,
    /// The pages in a row that belong to no link whose headers are known, or may be soon.
    strays: u32,
    /// How much audio was in all pages so far.
    media_time: Duration,
    /// Whether the last link that began had a title.
    has_title: bool,
    /// The title of the link in whose middle the chain was begun, until it is taken.
    title: Option<TitleInfo>,
    /// The layout for which the decoders of those are set up who listen to the link before.
    told: Option<Layout>,
}

/// The part of a link that comes now.
#[derive(Clone, Debug, Default)]
enum OggStage {
    /// No page has come.
    #[default]
    Unknown,
    /// The header pages of a link.
    Headers(OggLink),
    /// The sound and the pictures of a link.
    Content(OggLink),
    /// A link that cannot be joined late.
    Broken {
        why: Trouble,
        format: StreamFormat,
        tracks: Vec<OggTrack>,
    },
}

impl OggStage {
    fn broken(why: Trouble, link: &OggLink) -> Self {
        Self::Broken {
            why,
            format: link.format(),
            tracks: link.tracks(),
        }
    }
}

impl Chain {
    /// A chain that begins with the next page.
    pub fn new() -> Self {
        Self::default()
    }

    /// A chain of which so much has been, and nothing is known.
    pub(super) fn since(media_time: Duration) -> Self {
        Self {
            media_time,
            ..Self::default()
        }
    }

    /// A chain of which so much has been, in the content of a link with these header pages; `None` if they are none.
    pub(super) fn behind(heads: &[u8], media_time: Duration) -> Option<Self> {
        let (mut pages, mut chain) = (PageScanner::new(0, Keep::All), Self::default());
        let mut take = |page: FoundPage<'_>| chain.take(&page, media_time, &mut |_| {});
        pages.feed(heads, |page| {
            take(page);
            Keep::All
        });
        pages.finish().map(take);
        match chain.stage {
            OggStage::Headers(mut link) if link.missing().is_none() => {
                let title = link.title();
                let _held_by_the_ring = link.take_heads();
                link.skip_ahead();
                Some(Self {
                    told: Some(Layout::Ogg(link.tracks())),
                    stage: OggStage::Content(link),
                    media_time,
                    has_title: title.is_some(),
                    title,
                    ..Self::default()
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

    /// Whether any page has come.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.stage, OggStage::Unknown)
    }

    /// Whether the codecs of the link are known, or may turn out to be.
    pub fn is_known(&self) -> bool {
        matches!(self.stage, OggStage::Headers(_) | OggStage::Content(_))
    }

    /// The format, as far as the first pages of the link tell it; `None` before any page.
    pub(super) fn format(&self) -> Option<StreamFormat> {
        match &self.stage {
            OggStage::Unknown => None,
            OggStage::Headers(link) | OggStage::Content(link) => Some(link.format()),
            OggStage::Broken { format, .. } => Some(*format),
        }
    }

    /// The first sound and the first pictures; `None` while the headers of the link have not all come.
    pub(super) fn layout(&self) -> Option<Layout> {
        match &self.stage {
            OggStage::Unknown | OggStage::Headers(_) => None,
            OggStage::Content(link) => Some(Layout::Ogg(link.tracks())),
            OggStage::Broken { tracks, .. } => Some(Layout::Ogg(tracks.clone())),
        }
    }

    /// Why what comes now cannot be decoded by a late listener.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self.stage {
            OggStage::Broken { why, .. } => Some(why),
            OggStage::Headers(_) | OggStage::Content(_) if self.strays >= MAX_STRAYS => {
                let of_next = self.next.as_ref().and_then(Successor::trouble);
                of_next.or(Some(Trouble::NoHeaders))
            }
            OggStage::Unknown | OggStage::Headers(_) | OggStage::Content(_) => None,
        }
    }

    /// The title of the link in whose middle the chain was begun; once.
    pub(super) fn take_title(&mut self) -> Option<TitleInfo> {
        self.title.take()
    }

    /// Takes the next page; a link that begins with it does not begin before `earliest`. Says which bodies it wants.
    pub fn take(
        &mut self,
        page: &FoundPage<'_>,
        earliest: Duration,
        found: &mut impl FnMut(Scanned),
    ) -> Keep {
        let is_known = matches!(self.stage, OggStage::Content(_));
        match page.head.is_first {
            true if !is_known => self.take_first(page, earliest, found),
            true if is_whole(page.bytes) => self.begin_successor(page),
            // By its checksum the page is damaged: it may be no first one.
            true => self.take_content(page, found),
            false if is_known => self.take_content(page, found),
            false => self.take_next(page, found),
        }
        let waits = |next: &Successor| next.trouble().is_none();
        match self.stage {
            OggStage::Headers(_) => Keep::All,
            OggStage::Content(_) if self.next.as_ref().is_some_and(waits) => Keep::All,
            OggStage::Unknown | OggStage::Content(_) | OggStage::Broken { .. } => Keep::First,
        }
    }

    /// Begins a link with the first page of a stream, or adds the stream to the one that begins.
    fn take_first(
        &mut self,
        page: &FoundPage<'_>,
        earliest: Duration,
        found: &mut impl FnMut(Scanned),
    ) {
        if let OggStage::Headers(link) = &mut self.stage
            && link.expects(page)
        {
            if let Err(why) = link.add(page) {
                self.stage = OggStage::broken(why, link);
            }
            return;
        }
        self.media_time = self.media_time.max(earliest);
        self.strays = 0;
        found(prologue(page.offset, Vec::new()));
        let mut link = OggLink::new(page.offset);
        self.stage = match link.add(page) {
            Ok(()) => {
                found(Scanned::Mark(self.mark(page)));
                OggStage::Headers(link)
            }
            Err(why) => OggStage::broken(why, &link),
        };
    }

    /// Takes the first page of a stream while a link is known, which may go on: the page may be there by mistake.
    fn begin_successor(&mut self, page: &FoundPage<'_>) {
        match &mut self.next {
            Some(next) if next.expects(page) => next.add(page),
            _ => {
                self.next = Some(Successor::new(page, self.mark(page)));
                self.strays = self.strays.saturating_add(1);
            }
        }
    }

    /// Takes a page while no link is known.
    fn take_next(&mut self, page: &FoundPage<'_>, found: &mut impl FnMut(Scanned)) {
        match &mut self.stage {
            OggStage::Unknown => {
                let format = StreamFormat {
                    container: Container::Ogg,
                    ..StreamFormat::default()
                };
                let why = Trouble::NoHeaders;
                let tracks = Vec::new();
                self.stage = OggStage::Broken {
                    why,
                    format,
                    tracks,
                };
            }
            OggStage::Headers(link) => match link.take(page) {
                PageKind::Headers => self.strays = 0,
                PageKind::Stray => self.strays = self.strays.saturating_add(1),
                PageKind::Content => {
                    self.begin_content(page, found);
                    self.play(page, found);
                }
                PageKind::Broken(why) => self.stage = OggStage::broken(why, link),
            },
            OggStage::Content(_) | OggStage::Broken { .. } => {}
        }
    }

    /// Takes a page while a link is known, and another one may have begun behind it.
    fn take_content(&mut self, page: &FoundPage<'_>, found: &mut impl FnMut(Scanned)) {
        let OggStage::Content(link) = &self.stage else {
            return;
        };
        let is_known = link.has(page.head.serial);
        let next = self.next.as_mut();
        match next.map_or(SuccessorPage::Other, |next| next.take(page, is_known)) {
            SuccessorPage::Headers => return,
            SuccessorPage::Proven => self.begin_next(page, found),
            SuccessorPage::Refuted => self.next = None,
            SuccessorPage::Useless | SuccessorPage::Other if is_known => {}
            SuccessorPage::Useless | SuccessorPage::Other => {
                self.strays = self.strays.saturating_add(1);
                return;
            }
        }
        self.play(page, found);
    }

    /// Goes on with a page of the link that is known.
    fn play(&mut self, page: &FoundPage<'_>, found: &mut impl FnMut(Scanned)) {
        self.strays = 0;
        let mark = self.mark(page);
        if let OggStage::Content(link) = &mut self.stage {
            if link.may_join_at(page) {
                found(Scanned::Mark(mark));
            }
            self.media_time += link.advance(&page.head);
        }
    }

    /// All headers of a link have come that began behind another one, which has ended with it.
    fn begin_next(&mut self, page: &FoundPage<'_>, found: &mut impl FnMut(Scanned)) {
        let Some((link, mark)) = self.next.take().map(Successor::into_link) else {
            return;
        };
        if let Some(mark) = mark {
            found(prologue(mark.offset, Vec::new()));
            found(Scanned::Mark(mark));
        }
        self.stage = OggStage::Headers(link);
        self.begin_content(page, found);
    }

    /// All headers of a link have come: says what they say.
    fn begin_content(&mut self, page: &FoundPage<'_>, found: &mut impl FnMut(Scanned)) {
        let OggStage::Headers(mut link) = std::mem::take(&mut self.stage) else {
            return;
        };
        let layout = Layout::Ogg(link.tracks());
        let told = self.told.replace(layout.clone());
        if told.is_some_and(|told| splice(&told, &layout) == Splice::Never) {
            let begins = link.begins();
            found(Scanned::Anew(Anew {
                ends: begins,
                begins,
            }));
        }
        let title = link.title();
        let had_title = std::mem::replace(&mut self.has_title, title.is_some());
        // A link without a title only ends one that another link has said.
        if had_title || title.is_some() {
            found(Scanned::Comment(Comment {
                offset: link.begins(),
                title: title.unwrap_or_default(),
            }));
        }
        found(prologue(page.offset, link.take_heads()));
        self.stage = OggStage::Content(link);
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
