//! A stream that this node holds, who reads it, and what is gossiped of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::io::channel::Channel;
use crate::io::clock::RuntimeClock;
use crate::io::feed::Feed;
use crate::model::format::StreamFormat;
use crate::wire::gossip::{
    Origin, StreamAbout, StreamCard, StreamFindings, short_finding, short_parts, short_title,
};

/// The readers of a stream here: listeners, and links to other nodes.
#[derive(Debug)]
pub(super) struct Readers {
    listeners: AtomicU32,
    engines: AtomicU32,
    links: AtomicU32,
    clock: RuntimeClock,
    idle_since: Mutex<Instant>,
    /// The listeners of the same stream on all other nodes, as heard last.
    listeners_elsewhere: AtomicU32,
    /// The most listeners at once, here and elsewhere.
    peak: AtomicU32,
    /// The listeners that were dropped here because they were too slow.
    slow: AtomicU32,
    /// Why the last listener has heard no intro here, if it should have.
    intro_trouble: Mutex<Option<IntroTrouble>>,
}

/// The reason why listeners hear no intro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntroTrouble {
    /// The name of the file.
    pub file: String,
    /// The reason, in words for an operator.
    pub why: String,
}

/// A stream, its origin, and what its mount's listeners hear.
#[derive(Clone, Debug)]
pub struct Held {
    /// The bytes of the stream.
    pub feed: Feed,
    /// The origin of the bytes.
    pub origin: Origin,
    /// The channel of the mount: listeners join it.
    pub channel: Channel,
    pub(super) readers: Arc<Readers>,
}

/// The kind of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A player.
    Listener,
    /// An Icecast that serves the players of this node.
    Engine,
    /// Another node.
    Link,
}

/// Counts a reader for as long as it is kept.
#[derive(Debug)]
pub struct Reading {
    readers: Arc<Readers>,
    reader: Reader,
}

impl Reading {
    /// Counts a listener that was dropped because it was too slow.
    pub fn note_slow(&self) {
        self.readers.slow.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.readers
            .count(self.reader)
            .fetch_sub(1, Ordering::Relaxed);
        self.readers.touch();
    }
}

impl Readers {
    pub(super) fn new(clock: &RuntimeClock) -> Arc<Self> {
        Arc::new(Self {
            listeners: AtomicU32::new(0),
            engines: AtomicU32::new(0),
            links: AtomicU32::new(0),
            idle_since: Mutex::new(clock.now()),
            clock: clock.clone(),
            listeners_elsewhere: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            intro_trouble: Mutex::default(),
        })
    }

    fn count(&self, reader: Reader) -> &AtomicU32 {
        match reader {
            Reader::Listener => &self.listeners,
            Reader::Engine => &self.engines,
            Reader::Link => &self.links,
        }
    }

    fn touch(&self) {
        *self.idle_since.lock() = self.clock.now();
    }

    /// Begins to count for another stream: the listeners of the one before are its own, and its peak begins with them.
    pub(super) fn begin_anew(&self) {
        self.peak.store(0, Ordering::Relaxed);
        self.slow.store(0, Ordering::Relaxed);
        self.note_peak();
    }

    /// Raises the peak to the number of listeners now, here and elsewhere.
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

    /// The number of listeners on this node.
    pub fn listeners(&self) -> u32 {
        self.readers.listeners.load(Ordering::Relaxed)
    }

    /// Notes the number of listeners on all other nodes.
    pub fn note_listeners_elsewhere(&self, elsewhere: u32) {
        let known = &self.readers.listeners_elsewhere;
        known.store(elsewhere, Ordering::Relaxed);
        self.readers.note_peak();
    }

    /// Notes why a listener hears no intro, if it should. Returns whether that is news.
    pub fn note_intro(&self, trouble: Option<IntroTrouble>) -> bool {
        let mut known = self.readers.intro_trouble.lock();
        let is_news = *known != trouble;
        *known = trouble;
        is_news
    }

    fn intro_trouble(&self) -> Option<String> {
        let trouble = self.readers.intro_trouble.lock();
        Some(short_finding(&trouble.as_ref()?.why))
    }

    /// Whether this node gossips for the stream, because its source is connected here or has just gone.
    pub fn speaks_for_it(&self) -> bool {
        !matches!(self.origin, Origin::Relay(Some(_)))
    }

    /// The description that its source gives, and what is found in its bytes: here, and by those who `found` something.
    pub fn about(&self, found: StreamFindings) -> StreamAbout {
        let trouble = self.feed.trouble().map(|trouble| trouble.to_string());
        StreamAbout::of(self.feed.head()).with_findings(StreamFindings {
            trouble,
            serials: self.feed.serials(),
            ..found
        })
    }

    /// Whether somebody hears the mount here, rather than another node.
    pub fn has_audience(&self) -> bool {
        self.listeners() > 0 || self.readers.engines.load(Ordering::Relaxed) > 0
    }

    /// Since when the stream has had no reader here; `None` while it has one.
    pub fn idle_since(&self) -> Option<Instant> {
        let links = self.readers.links.load(Ordering::Relaxed);
        let idle = links == 0 && !self.has_audience();
        idle.then(|| *self.readers.idle_since.lock())
    }

    /// Keeps the stream although it has no reader yet: its idle time begins again.
    pub fn touch(&self) {
        self.readers.touch();
    }

    /// The card that is gossiped of the stream.
    pub fn card(&self) -> StreamCard {
        StreamCard {
            listeners: self.listeners(),
            slow_listeners: self.readers.slow.load(Ordering::Relaxed),
            intro_trouble: self.intro_trouble(),
            ..match self.speaks_for_it() {
                true => self.source_card(),
                false => card_of(&self.feed, self.origin.clone()),
            }
        }
    }

    /// The card with what only one node says of a stream.
    fn source_card(&self) -> StreamCard {
        let (format, title) = (self.feed.format(), self.feed.title());
        let title = title.filter(|title| !title.info.text.is_empty());
        StreamCard {
            listener_peak: self.readers.peak.load(Ordering::Relaxed),
            format: Some(StreamFormat {
                bitrate_bps: 0,
                ..format
            }),
            now_playing: title.map(|title| short_parts(&title.info, title.offset)),
            ..card_of(&self.feed, self.origin.clone())
        }
    }
}

/// The card of a feed without listeners, to be gossiped.
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
            .map(|title| short_title(&title.info.text))
            .unwrap_or_default(),
        listener_peak: 0,
        slow_listeners: 0,
        format: None,
        now_playing: None,
        intro_trouble: None,
    }
}
