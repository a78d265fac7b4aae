//! The streams that this node holds, by mount: filled by a source here, or pulled from another node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::io::channel::Channel;
use crate::io::clock::RuntimeClock;
use crate::io::feed::Feed;
use crate::model::format::StreamFormat;
use crate::model::mount::MountName;
use crate::model::stream::EndReason;
use crate::service::early_titles::EarlyTitles;
use crate::wire::gossip::{
    Origin, StreamAbout, StreamCard, StreamFindings, short_finding, short_parts, short_title,
};

/// The most streams of one node: each may hold 8 MiB.
pub const MAX_STREAMS: usize = 1_024;

/// The readers of a stream here: listeners, and links to other nodes.
#[derive(Debug)]
struct Readers {
    listeners: AtomicU32,
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
    readers: Arc<Readers>,
}

/// The kind of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A player.
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
    fn new(clock: &RuntimeClock) -> Arc<Self> {
        Arc::new(Self {
            listeners: AtomicU32::new(0),
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
            Reader::Link => &self.links,
        }
    }

    fn touch(&self) {
        *self.idle_since.lock() = self.clock.now();
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

    /// The description that its source gives, and what is wrong with its bytes. `false_type` is the media type that the
    /// source states, if they are of another format.
    pub fn about(&self, false_type: Option<String>) -> StreamAbout {
        let trouble = self.feed.trouble().map(|trouble| trouble.to_string());
        StreamAbout::of(self.feed.head()).with_findings(StreamFindings {
            false_type,
            trouble,
            serials: self.feed.serials(),
        })
    }

    /// Since when the stream has had no reader here; `None` while it has one.
    pub fn idle_since(&self) -> Option<Instant> {
        let links = self.readers.links.load(Ordering::Relaxed);
        let idle = links == 0 && self.listeners() == 0;
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

/// The reason why a stream is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// The mount has a source here.
    #[error("the mount has another source on this node")]
    Busy,
    /// [`MAX_STREAMS`] are held.
    #[error(
        "this node holds {MAX_STREAMS} streams already: delete mounts, or connect the source to another node"
    )]
    Full,
}

type Map = BTreeMap<MountName, Held>;

/// A cheap, cloneable handle to all streams that this node holds.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    map: Arc<watch::Sender<Map>>,
    clock: RuntimeClock,
    /// The titles of streams that are not held yet.
    pub(super) early_titles: EarlyTitles,
}

impl Streams {
    /// A node without streams; idle time is measured by this clock.
    pub fn with_clock(clock: RuntimeClock) -> Self {
        Self {
            map: Arc::default(),
            clock,
            early_titles: EarlyTitles::default(),
        }
    }

    /// The stream of a mount, if this node holds one.
    pub fn get(&self, mount: &MountName) -> Option<Held> {
        self.map.borrow().get(mount).cloned()
    }

    /// All streams and their mounts.
    pub fn all(&self) -> Vec<(MountName, Held)> {
        self.map
            .borrow()
            .iter()
            .map(|(mount, held)| (mount.clone(), held.clone()))
            .collect()
    }

    /// All streams, and a way to wait until one comes or goes.
    pub fn watch(&self) -> watch::Receiver<Map> {
        self.map.subscribe()
    }

    /// Begins to hold a stream, in the place of one that is pulled, or whose source has gone. That one ends and is
    /// returned; its listeners go on with the new one, and count as its listeners.
    pub fn hold(
        &self,
        mount: &MountName,
        feed: Feed,
        origin: Origin,
    ) -> Result<Option<Held>, NotHeld> {
        let mut result = Err(NotHeld::Full);
        self.map.send_if_modified(|map| {
            result = insert(map, mount, feed, origin, &self.clock);
            result.is_ok()
        });
        if let Ok(Some(before)) = &result {
            before.feed.end(EndReason::Replaced);
        }
        result
    }

    /// Notes that a relayed stream now comes from another node.
    pub fn set_origin(&self, mount: &MountName, feed: &Feed, origin: Origin) {
        self.map.send_if_modified(|map| match map.get_mut(mount) {
            Some(held) if held.feed.is_same(feed) && held.origin != origin => {
                held.origin = origin;
                true
            }
            _ => false,
        });
    }

    /// Stops holding this very stream; another one of the same mount stays.
    pub fn release(&self, mount: &MountName, feed: &Feed) {
        self.map.send_if_modified(|map| {
            let same = map.get(mount).is_some_and(|held| held.feed.is_same(feed));
            same && map.remove(mount).is_some()
        });
    }
}

fn insert(
    map: &mut Map,
    mount: &MountName,
    feed: Feed,
    origin: Origin,
    clock: &RuntimeClock,
) -> Result<Option<Held>, NotHeld> {
    let before = map.get(mount);
    match before {
        Some(other) if other.origin == Origin::Source => return Err(NotHeld::Busy),
        None if map.len() >= MAX_STREAMS => return Err(NotHeld::Full),
        _ => {}
    }
    let readers = before.map_or_else(|| Readers::new(clock), |other| other.readers.clone());
    let channel = match before {
        Some(other) => other.channel.clone(),
        None => Channel::new(feed.clone()),
    };
    channel.switch_to(&feed);
    // The listeners of the stream before are this one's; its peak begins with them.
    readers.peak.store(0, Ordering::Relaxed);
    readers.slow.store(0, Ordering::Relaxed);
    readers.note_peak();
    let held = Held {
        feed,
        origin,
        channel,
        readers,
    };
    Ok(map.insert(mount.clone(), held))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::ring::samples::ring;
    use crate::media::ring::{Read, Ring};
    use crate::model::stream::StreamId;

    #[test]
    fn a_stream_is_idle_from_when_its_last_reader_left() {
        let start = Instant::now();
        let clock = RuntimeClock::standing_at(start);
        let (streams, mount) = (
            Streams::with_clock(clock.clone()),
            MountName::try_from("/a.mp3").unwrap(),
        );
        let hold = |origin| streams.hold(&mount, Feed::new(ring("audio/mpeg")), origin);
        hold(Origin::Relay(None)).unwrap();
        let held = streams.get(&mount).unwrap();
        assert_eq!(held.idle_since(), Some(start), "no reader yet");
        let readings = [Reader::Listener, Reader::Link].map(|reader| held.read_by(reader));
        assert_eq!(held.idle_since(), None);
        let later = start + Duration::from_secs(9);
        clock.set(later);
        drop(readings);
        hold(Origin::Source).unwrap();
        let next = streams.get(&mount).unwrap();
        assert_eq!(next.idle_since(), Some(later), "it takes over the readers");
    }

    #[test]
    fn the_same_trouble_with_an_intro_is_news_once() {
        let (streams, mount) = (Streams::default(), MountName::try_from("/a.mp3").unwrap());
        let feed = Feed::new(ring("audio/mpeg"));
        streams.hold(&mount, feed, Origin::Relay(None)).unwrap();
        let held = streams.get(&mount).unwrap();
        let trouble = |file: &str| {
            Some(IntroTrouble {
                file: file.to_owned(),
                why: "the file is empty".to_owned(),
            })
        };
        assert!(!held.note_intro(None));
        for (file, is_news) in [("a.mp3", true), ("a.mp3", false), ("b.mp3", true)] {
            assert_eq!(held.note_intro(trouble(file)), is_news, "{file}");
        }
        let told = held.card().intro_trouble;
        assert_eq!(told.as_deref(), Some("the file is empty"));
        assert!(held.note_intro(None));
        assert_eq!(held.card().intro_trouble, None);
    }

    #[test]
    fn slow_listeners_are_those_of_one_stream() {
        let (streams, mount) = (Streams::default(), MountName::try_from("/a.mp3").unwrap());
        let hold = || {
            let feed = Feed::new(ring("audio/mpeg"));
            streams.hold(&mount, feed, Origin::Relay(None)).unwrap();
            streams.get(&mount).unwrap()
        };
        let held = hold();
        for _ in 0..2 {
            held.read_by(Reader::Listener).note_slow();
        }
        assert_eq!(held.card().slow_listeners, 2);
        assert_eq!(hold().card().slow_listeners, 0);
    }

    #[test]
    fn the_place_of_a_source_is_not_taken() {
        let (streams, mount) = (Streams::default(), MountName::try_from("/a.mp3").unwrap());
        let [source, relayed] = [(); 2].map(|()| Feed::new(ring("audio/mpeg")));
        streams
            .hold(&mount, source.clone(), Origin::Source)
            .unwrap();
        let refused = streams.hold(&mount, relayed.clone(), Origin::Relay(None));
        assert_eq!(refused.err(), Some(NotHeld::Busy));
        streams.release(&mount, &relayed);
        assert!(streams.get(&mount).unwrap().feed.is_same(&source));
        streams.set_origin(&mount, &source, Origin::Relay(None));
        let old = streams.hold(&mount, relayed, Origin::Relay(None)).unwrap();
        assert!(old.unwrap().feed.is_same(&source));
    }

    #[test]
    fn listeners_hear_the_stream_that_is_held_next() {
        let (streams, mount) = (Streams::default(), MountName::try_from("/a.mp3").unwrap());
        let [first, second] = [1, 2].map(|stream_id| {
            let head = ring("video/nsv").head().clone();
            Feed::new(Ring::new(StreamId(stream_id), head, 0, Instant::now()))
        });
        let hold = |feed: &Feed| streams.hold(&mount, feed.clone(), Origin::Relay(None));
        first.append(0, b"abc", Instant::now());
        assert!(hold(&first).is_ok());
        let joined = streams.get(&mount).unwrap();
        let mut reader = joined.channel.join(Duration::ZERO);
        reader.advance(first.next() - reader.position());
        second.append(0, b"def", Instant::now());
        assert!(hold(&second).is_ok());
        assert_eq!(first.ended(), Some(EndReason::Replaced), "links are told");
        assert_eq!(reader.read(8), Read::Bytes(vec!["def".into()]));
        let late = joined.channel.join(Duration::ZERO);
        assert!(
            late.feed().is_same(&second),
            "an old handle joins what is heard now"
        );

        streams.release(&mount, &second);
        assert!(hold(&first).is_ok());
        reader.advance(3);
        second.end(EndReason::SourceLeft);
        assert_eq!(reader.read(8), Read::Ended, "the mount began anew");
    }
}
