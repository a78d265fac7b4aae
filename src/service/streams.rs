//! The streams that this node holds, by mount: filled by a source here, or pulled from another node.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::io::feed::Feed;
use crate::model::mount::MountName;
use crate::wire::gossip::{Origin, StreamAbout, StreamCard, short_title};

/// The most streams of one node: each may hold 8 MiB.
pub const MAX_STREAMS: usize = 1_024;

/// Who reads a stream here: listeners, and links to other nodes.
#[derive(Debug)]
struct Readers {
    listeners: AtomicU32,
    links: AtomicU32,
    idle_since: Mutex<Instant>,
    /// Those of the same stream on all other nodes, as heard last.
    listeners_elsewhere: AtomicU32,
    /// The most of both at once.
    peak: AtomicU32,
}

/// A stream, and where it comes from.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its bytes.
    pub feed: Feed,
    /// Where they come from.
    pub origin: Origin,
    readers: Arc<Readers>,
}

/// What a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody's player.
    Listener,
    /// Another node.
    Link,
}

/// Counts a reader for as long as it is kept.
#[derive(Debug)]
pub struct Reading {
    readers: Arc<Readers>,
    reader: Reader,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.readers
            .count(self.reader)
            .fetch_sub(1, Ordering::Relaxed);
        *self.readers.idle_since() = Instant::now();
    }
}

impl Readers {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            listeners: AtomicU32::new(0),
            links: AtomicU32::new(0),
            idle_since: Mutex::new(Instant::now()),
            listeners_elsewhere: AtomicU32::new(0),
            peak: AtomicU32::new(0),
        })
    }

    fn count(&self, reader: Reader) -> &AtomicU32 {
        match reader {
            Reader::Listener => &self.listeners,
            Reader::Link => &self.links,
        }
    }

    fn idle_since(&self) -> MutexGuard<'_, Instant> {
        // An instant is whole at any time.
        self.idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts those who listen now, here and elsewhere, into the peak.
    fn note_peak(&self) {
        let elsewhere = self.listeners_elsewhere.load(Ordering::Relaxed);
        let here = self.listeners.load(Ordering::Relaxed);
        let total = here.saturating_add(elsewhere);
        self.peak.fetch_max(total, Ordering::Relaxed);
    }
}

impl Held {
    /// Counts a reader until the returned value is dropped.
    pub fn read_by(&self, reader: Reader) -> Reading {
        self.readers.count(reader).fetch_add(1, Ordering::Relaxed);
        self.readers.note_peak();
        Reading {
            readers: self.readers.clone(),
            reader,
        }
    }

    /// Listeners of it on this node.
    pub fn listeners(&self) -> u32 {
        self.readers.listeners.load(Ordering::Relaxed)
    }

    /// Takes note of how many listen to it on all other nodes.
    pub fn note_listeners_elsewhere(&self, elsewhere: u32) {
        let known = &self.readers.listeners_elsewhere;
        known.store(elsewhere, Ordering::Relaxed);
        self.readers.note_peak();
    }

    /// Whether this node speaks for the stream, because its source is connected here or has just gone.
    pub fn speaks_for_it(&self) -> bool {
        !matches!(self.origin, Origin::Relay(Some(_)))
    }

    /// What its source says of it.
    pub fn about(&self) -> StreamAbout {
        StreamAbout::of(self.feed.head())
    }

    /// Since when nobody here wants it; `None` while somebody does.
    pub fn idle_since(&self) -> Option<Instant> {
        let links = self.readers.links.load(Ordering::Relaxed);
        let idle = links == 0 && self.listeners() == 0;
        idle.then(|| *self.readers.idle_since())
    }

    /// Counts as wanted now, though nobody reads it yet.
    pub fn touch(&self) {
        *self.readers.idle_since() = Instant::now();
    }

    /// What is gossiped of it.
    pub fn card(&self) -> StreamCard {
        StreamCard {
            listeners: self.listeners(),
            listener_peak: match self.speaks_for_it() {
                true => self.readers.peak.load(Ordering::Relaxed),
                false => 0,
            },
            ..card_of(&self.feed, self.origin.clone())
        }
    }
}

/// What a feed says of its stream, to be gossiped; nobody listens to it.
pub fn card_of(feed: &Feed, origin: Origin) -> StreamCard {
    let head = feed.head();
    StreamCard {
        stream_id: feed.stream_id(),
        origin,
        content_type: head.content_type.clone(),
        bitrate_bps: feed.bitrate_bps(),
        offset: feed.next(),
        started_unix_ms: head.started_unix_ms,
        accept_epoch: head.accept_epoch,
        listeners: 0,
        title: feed
            .title()
            .map(|title| short_title(&title))
            .unwrap_or_default(),
        listener_peak: 0,
    }
}

/// Why a stream is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// The mount has a source here.
    #[error("the mount has a source on this node")]
    Busy,
    /// [`MAX_STREAMS`] are held.
    #[error("this node holds {MAX_STREAMS} streams already")]
    Full,
}

type Map = BTreeMap<MountName, Held>;

/// A cheap, cloneable way to all of them.
#[derive(Clone, Debug)]
pub struct Streams(Arc<watch::Sender<Map>>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl Streams {
    /// The stream of a mount, if this node holds one.
    pub fn get(&self, mount: &MountName) -> Option<Held> {
        self.0.borrow().get(mount).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<(MountName, Held)> {
        self.0
            .borrow()
            .iter()
            .map(|(mount, held)| (mount.clone(), held.clone()))
            .collect()
    }

    /// They as they come and go.
    pub fn watch(&self) -> watch::Receiver<Map> {
        self.0.subscribe()
    }

    /// Begins to hold a stream, in the place of one that is pulled, or whose source has gone: that one is returned,
    /// and its readers count as the new one's from now on.
    pub fn hold(
        &self,
        mount: &MountName,
        feed: Feed,
        origin: Origin,
    ) -> Result<Option<Held>, NotHeld> {
        let mut result = Err(NotHeld::Full);
        self.0.send_if_modified(|map| {
            result = insert(map, mount, (feed, origin));
            result.is_ok()
        });
        result
    }

    /// Notes that a relayed stream now comes from another node.
    pub fn set_origin(&self, mount: &MountName, feed: &Feed, origin: Origin) {
        self.0.send_if_modified(|map| match map.get_mut(mount) {
            Some(held) if held.feed.is_same(feed) && held.origin != origin => {
                held.origin = origin;
                true
            }
            _ => false,
        });
    }

    /// Stops holding this very stream; another one of the same mount stays.
    pub fn release(&self, mount: &MountName, feed: &Feed) {
        self.0.send_if_modified(|map| {
            let same = map.get(mount).is_some_and(|held| held.feed.is_same(feed));
            same && map.remove(mount).is_some()
        });
    }
}

fn insert(
    map: &mut Map,
    mount: &MountName,
    (feed, origin): (Feed, Origin),
) -> Result<Option<Held>, NotHeld> {
    let before = map.get(mount);
    match before {
        Some(other) if other.origin == Origin::Source => return Err(NotHeld::Busy),
        None if map.len() >= MAX_STREAMS => return Err(NotHeld::Full),
        _ => {}
    }
    let readers = before.map_or_else(Readers::new, |other| other.readers.clone());
    // Whoever listened to the stream before listens to this one; its peak begins with them.
    readers.peak.store(0, Ordering::Relaxed);
    readers.note_peak();
    let held = Held {
        feed,
        origin,
        readers,
    };
    Ok(map.insert(mount.clone(), held))
}
