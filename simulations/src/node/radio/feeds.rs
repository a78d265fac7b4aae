//! The streams that a node holds: production's rings, and what `io::feed` and `service::streams` keep beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use antiphon::logic::relay::route::Precedence;
use antiphon::media::ring::{Append, Ring};
use antiphon::model::mount::MountName;
use antiphon::model::stream::{EndReason, StreamId};
use antiphon::proto::view::precedence;
use antiphon::wire::gossip::{Origin, StreamCard};

use super::super::Deed;
use super::RadioNews;

/// Names a feed within one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FeedId(u64);

/// How many streams that were left are remembered; as in production.
const MAX_LEFT: usize = 16;

/// A ring, and what happens to it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) ring: Ring,
    /// When the source, or the node that it is connected to, was heard last.
    pub(super) fed_at: Instant,
    /// The latest sign of life of the node of the source, by its own clock.
    pub(super) beat_ms: u64,
    /// Why no byte will follow, if none will.
    pub(super) finished: Option<EndReason>,
    /// Where its listeners go on.
    pub(super) successor: Option<FeedId>,
    /// The streams whose place it has taken, and where each was left.
    left: BTreeMap<StreamId, u64>,
}

/// What a mount is filled with here.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) feed: FeedId,
    pub(super) origin: Origin,
    /// Since when nobody here wants it.
    pub(super) idle_since: Option<Instant>,
}

/// The mount has a source on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// All feeds of a node.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    feeds: BTreeMap<FeedId, Feed>,
    held: BTreeMap<MountName, Held>,
    minted: u64,
    /// Whether what is held, or where it comes from, has changed since gossip was told.
    pub(super) has_news: bool,
}

impl Feeds {
    pub(super) fn add(&mut self, ring: Ring) -> FeedId {
        self.minted += 1;
        let id = FeedId(self.minted);
        let feed = Feed {
            fed_at: ring.began(),
            beat_ms: 0,
            ring,
            finished: None,
            successor: None,
            left: BTreeMap::new(),
        };
        self.feeds.insert(id, feed);
        id
    }

    pub(super) fn feed(&self, id: FeedId) -> &Feed {
        &self.feeds[&id]
    }

    fn feed_mut(&mut self, id: FeedId) -> &mut Feed {
        let feed = self.feeds.get_mut(&id);
        feed.expect("a feed is kept as long as anything names it")
    }

    pub(super) fn held(&self, mount: &MountName) -> Option<&Held> {
        self.held.get(mount)
    }

    pub(super) fn held_mut(&mut self, mount: &MountName) -> Option<&mut Held> {
        self.held.get_mut(mount)
    }

    pub(super) fn all_held(&self) -> impl Iterator<Item = (&MountName, &Held)> {
        self.held.iter()
    }

    /// Whether a mount is filled by this very feed.
    pub(super) fn holds(&self, mount: &MountName, feed: FeedId) -> bool {
        self.held(mount).is_some_and(|held| held.feed == feed)
    }

    /// Takes bytes into a ring, and shows the checkers those that were new.
    pub(super) fn append(
        &mut self,
        (mount, id): (&MountName, FeedId),
        (offset, bytes): (u64, &[u8]),
        now: Instant,
        out: &mut Vec<Deed>,
    ) -> Append {
        let feed = self.feed_mut(id);
        let before = feed.ring.next();
        let append = feed.ring.append(offset, bytes, now);
        if matches!(append, Append::Appended | Append::Trimmed) {
            feed.fed_at = now;
            let fresh = &bytes[(before - offset) as usize..];
            out.push(Deed::Radio(RadioNews::Took {
                mount: mount.clone(),
                stream: feed.ring.stream_id(),
                offset: before,
                bytes: fresh.into(),
            }));
        }
        append
    }

    /// A sign of life of the node of the source: it counts only if none that was later is known.
    pub(super) fn note_beat(&mut self, id: FeedId, beat_ms: u64, now: Instant) {
        let feed = self.feed_mut(id);
        if beat_ms > feed.beat_ms {
            (feed.beat_ms, feed.fed_at) = (beat_ms, now);
        }
    }

    /// Begins to hold a stream; what was held before is returned.
    pub(super) fn hold(
        &mut self,
        mount: &MountName,
        feed: FeedId,
        origin: Origin,
    ) -> Result<Option<FeedId>, Busy> {
        let before = self.held.get(mount);
        if before.is_some_and(|held| held.origin == Origin::Source) {
            return Err(Busy);
        }
        let idle_since = before.and_then(|held| held.idle_since);
        let held = Held {
            feed,
            origin,
            idle_since,
        };
        self.has_news = true;
        Ok(self.held.insert(mount.clone(), held).map(|old| old.feed))
    }

    pub(super) fn set_origin(&mut self, mount: &MountName, feed: FeedId, origin: Origin) {
        if let Some(held) = self.held.get_mut(mount).filter(|held| held.feed == feed)
            && held.origin != origin
        {
            held.origin = origin;
            self.has_news = true;
        }
    }

    pub(super) fn release(&mut self, mount: &MountName, feed: FeedId) {
        if self.holds(mount, feed) {
            self.held.remove(mount);
            self.has_news = true;
        }
    }

    pub(super) fn finish(&mut self, feed: FeedId, reason: EndReason) {
        self.feed_mut(feed).finished.get_or_insert(reason);
    }

    pub(super) fn end(&mut self, feed: FeedId, reason: EndReason) {
        self.feed_mut(feed).ring.end(reason);
    }

    /// Lets listeners go on with the mount's next stream; all streams of a world have one format.
    pub(super) fn go_on_with(&mut self, old: FeedId, next: FeedId) {
        self.end(old, EndReason::Replaced);
        self.feed_mut(old).successor.get_or_insert(next);
        let mut left = self.feed(old).left.clone();
        left.extend([self.position(old)]);
        let all = &mut self.feed_mut(next).left;
        all.extend(left);
        while all.len() > MAX_LEFT {
            all.pop_first();
        }
    }

    /// Where the listeners of a feed left another stream.
    pub(super) fn left_at(&self, feed: FeedId, stream: StreamId) -> Option<u64> {
        self.feed(feed).left.get(&stream).copied()
    }

    /// What decides between a feed's stream and another.
    pub(super) fn precedence(&self, feed: FeedId) -> Precedence {
        precedence(&self.card(feed, Origin::Relay(None)))
    }

    /// Which stream it is, and its next byte.
    pub(super) fn position(&self, feed: FeedId) -> (StreamId, u64) {
        let ring = &self.feed(feed).ring;
        (ring.stream_id(), ring.next())
    }

    pub(super) fn card(&self, feed: FeedId, origin: Origin) -> StreamCard {
        let ring = &self.feed(feed).ring;
        let head = ring.head();
        StreamCard {
            stream_id: ring.stream_id(),
            origin,
            content_type: head.content_type.clone(),
            bitrate_bps: ring.bitrate_bps(),
            offset: ring.next(),
            started_unix_ms: head.started_unix_ms,
            accept_epoch: head.accept_epoch,
            listeners: 0,
            title: String::new(),
            listener_peak: 0,
        }
    }

    /// Forgets the feeds that nothing names any more; `named` are those that are read or filled.
    pub(super) fn forget_unnamed(&mut self, named: impl Iterator<Item = FeedId>) {
        let mut kept: BTreeSet<FeedId> = self.held.values().map(|held| held.feed).collect();
        kept.extend(named);
        let mut open: Vec<FeedId> = kept.iter().copied().collect();
        while let Some(feed) = open.pop() {
            let next = self.feeds[&feed].successor;
            open.extend(next.filter(|next| kept.insert(*next)));
        }
        self.feeds.retain(|id, _| kept.contains(id));
    }

    /// How many rings there are.
    pub(super) fn count(&self) -> usize {
        self.feeds.len()
    }

    /// How many bytes all rings hold.
    pub(super) fn held_bytes(&self) -> u64 {
        let rings = self.feeds.values().map(|feed| &feed.ring);
        rings.map(|ring| ring.next() - ring.oldest()).sum()
    }
}
