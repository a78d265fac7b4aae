//! A leg of a channel: one feed for as long as it is heard, and how its listeners go on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::super::feed::Feed;
use super::store::Store;
use crate::media::format::layout::Layout;
use crate::media::ring::RingEdge;
use crate::media::splice::{Splice, may_splice, splice};

/// One feed, for as long as it is heard.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) number: u64,
    pub(super) feed: Feed,
    /// The place at which the listeners of the leg before begin.
    start: LegStart,
    /// The layout for which the decoders of those who come from the leg before are set up.
    told: Option<Layout>,
    pub(super) end: OnceLock<LegEnd>,
}

/// The place in a leg's feed at which those begin who come from the leg before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegStart {
    /// The first frame of the stream.
    First,
    /// The first frame from this byte on: those before it were heard.
    Resume(u64),
    /// Near the edge that the feed had: each listener so far behind it as it lacks sound, or beyond it as it has more than it should,
    /// but not before this byte.
    Near {
        /// The first byte that was not heard; 0 if none was.
        heard_to: u64,
        /// The edge when the channel went over to the feed.
        edge: RingEdge,
    },
}

/// The end of a leg: its cut, and the leg that follows.
#[derive(Debug)]
pub(super) struct LegEnd {
    /// The edge behind which listeners get nothing of the leg.
    pub(super) cut: RingEdge,
    next: Arc<Leg>,
    /// How listeners go on. A relay knows it only when the first bytes of the next stream have come, which is after the cut.
    splice: OnceLock<Splice>,
}

/// The place where a reader of one leg goes on in the next one.
#[derive(Clone, Debug)]
pub(super) enum LegEntry {
    /// At this byte of the leg, with this in store.
    At {
        leg: Arc<Leg>,
        offset: u64,
        store: Store,
        has_prologue: bool,
    },
    /// That is not known yet.
    NotYet,
    /// Nowhere: its decoder cannot go on with that stream.
    Never,
}

impl Leg {
    /// The first leg of a channel.
    pub(super) fn first(feed: Feed) -> Self {
        Self {
            number: 0,
            feed,
            start: LegStart::First,
            told: None,
            end: OnceLock::new(),
        }
    }

    /// Cuts the leg, which was open, at the edge of its feed, and gives the leg that follows.
    pub(super) fn cut(&self, feed: &Feed, start: LegStart) -> Arc<Self> {
        let splice = match self.may_go_on_with(feed) {
            true => OnceLock::new(),
            false => OnceLock::from(Splice::Never),
        };
        self.cut_with(feed, start, splice)
    }

    /// Cuts the leg, which was open, and lets nobody go on.
    pub(super) fn close(&self) -> Arc<Self> {
        self.cut_with(&self.feed, LegStart::First, OnceLock::from(Splice::Never))
    }

    fn cut_with(&self, feed: &Feed, start: LegStart, splice: OnceLock<Splice>) -> Arc<Self> {
        let next = Arc::new(Self {
            number: self.number + 1,
            feed: feed.clone(),
            start,
            told: self.feed.layout().or_else(|| self.told.clone()),
            end: OnceLock::new(),
        });
        let end = LegEnd {
            cut: self.feed.close_edge(),
            next: Arc::clone(&next),
            splice,
        };
        let was_open = self.end.set(end).is_ok();
        debug_assert!(was_open, "a leg is cut once, under the channel's lock");
        next
    }

    /// Whether it may turn out that listeners can go on with this feed.
    pub(super) fn may_go_on_with(&self, feed: &Feed) -> bool {
        may_splice(&self.feed.head().content_type, &feed.head().content_type)
    }

    /// The offset at which a reader of the leg before this one goes on that has this in store; `None` as long as that is not
    /// known.
    fn first_byte(&self, splice: Splice, store: Store, burst: Duration) -> Option<u64> {
        let first = || match splice {
            Splice::Bare => self.feed.bare_splice_point(),
            Splice::WithPrologue | Splice::Never => self.feed.splice_point(),
        };
        match self.start {
            LegStart::First => first(),
            LegStart::Resume(heard_to) => self.feed.resume_point(heard_to, burst),
            LegStart::Near { heard_to, edge } if !store.beyond(edge).is_zero() => {
                let wanted = edge.time + store.beyond(edge);
                let now = Some(self.feed.edge_now()).filter(|now| now.time >= wanted)?;
                let place = self.feed.place_near(wanted, now)?;
                self.feed.resume_point(place.max(heard_to), burst)
            }
            LegStart::Near { heard_to, edge } => {
                let wanted = edge.time.saturating_sub(store.behind(edge));
                match self.feed.place_near(wanted, edge) {
                    Some(place) => self.feed.resume_point(place.max(heard_to), burst),
                    None if heard_to > 0 => self.feed.resume_point(heard_to, burst),
                    None => first(),
                }
            }
        }
    }

    /// Whether the listeners of this leg can go on with a feed; `None` as long as that is not known.
    pub(super) fn goes_on_with(&self, feed: &Feed) -> Option<bool> {
        if !self.may_go_on_with(feed) {
            return Some(false);
        }
        let told = self.feed.layout().or_else(|| self.told.clone());
        let next = feed.layout()?;
        // A decoder that was told nothing can begin with anything of its format.
        Some(told.is_none_or(|told| splice(&told, &next) != Splice::Never))
    }

    /// The offset at which there is nothing of the leg to hear, because it is over before anything of it was found.
    fn last_byte(&self) -> Option<u64> {
        match self.end.get() {
            Some(end) => Some(end.cut.offset),
            None => self.feed.ended().map(|_| self.feed.edge()),
        }
    }
}

impl LegEnd {
    /// The place where a reader goes on that joined so far behind the live edge, and had this in store then.
    pub(super) fn entry(&self, joined: Store, burst: Duration) -> LegEntry {
        let splice = self.splice();
        if splice == Some(Splice::Never) {
            return LegEntry::Never;
        }
        let store = joined.leave(self.cut, burst);
        let first_byte = splice.and_then(|splice| self.next.first_byte(splice, store, burst));
        match first_byte.or_else(|| self.next.last_byte()) {
            Some(offset) => LegEntry::At {
                leg: Arc::clone(&self.next),
                offset,
                store: store.enter(self.next.feed.time_from(offset)),
                has_prologue: splice != Some(Splice::Bare),
            },
            None => LegEntry::NotYet,
        }
    }

    /// How listeners go on, as soon as enough of the next stream has come.
    fn splice(&self) -> Option<Splice> {
        if let Some(known) = self.splice.get() {
            return Some(*known);
        }
        let layout = self.next.feed.layout()?;
        // A decoder that was told nothing can begin with anything of its format.
        let told = self.next.told.as_ref().unwrap_or(&layout);
        Some(*self.splice.get_or_init(|| match splice(told, &layout) {
            Splice::Bare if self.next.told.is_none() => Splice::WithPrologue,
            found => found,
        }))
    }
}
