//! The streams that this node holds, by mount: filled by a source here, or pulled from another node.

mod files;
mod held;
mod stand_in;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

pub use self::files::{FileFacts, FileLack, HeldFile};
use self::held::Readers;
pub use self::held::{Held, IntroTrouble, Reader, Reading, card_of};
pub use self::stand_in::Return;
use self::stand_in::StandIn;
use crate::io::channel::Channel;
use crate::io::clock::RuntimeClock;
use crate::io::feed::Feed;
use crate::model::file_name::PlayedFile;
use crate::model::mount::MountName;
use crate::model::stream::EndReason;
use crate::service::early_titles::EarlyTitles;
use crate::wire::gossip::Origin;

/// The most streams of one node: each may hold 8 MiB.
pub const MAX_STREAMS: usize = 1_024;

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

/// The streams that this node has for the listeners of each mount.
#[derive(Debug, Default)]
pub struct StreamMap {
    held: BTreeMap<MountName, Held>,
    /// The fallbacks that listeners hear; where the mount holds a stream, too, they hear the fallback.
    stand_ins: BTreeMap<MountName, StandIn>,
    /// The files that listeners may hear.
    files: BTreeMap<PlayedFile, HeldFile>,
}

impl StreamMap {
    /// The stream of a mount, if this node holds one.
    pub fn get(&self, mount: &MountName) -> Option<&Held> {
        self.held.get(mount)
    }

    /// The stream that the listeners of a mount hear: its own stream or that of a fallback, in the mount's channel and with its listeners.
    pub fn heard(&self, mount: &MountName) -> Option<&Held> {
        let stand_in = self.stand_ins.get(mount).map(|it| &it.heard);
        stand_in.or_else(|| self.held.get(mount))
    }

    /// A stream for the listeners of a mount, with their channel. They go over to it later; if there are none, the channel
    /// begins with it.
    fn with_audience_of(
        &self,
        mount: &MountName,
        feed: Feed,
        origin: Origin,
        clock: &RuntimeClock,
    ) -> Held {
        let heard = self.heard(mount);
        Held {
            readers: heard.map_or_else(|| Readers::new(clock), |heard| heard.readers.clone()),
            channel: heard.map_or_else(|| Channel::new(feed.clone()), |it| it.channel.clone()),
            feed,
            origin,
        }
    }
}

/// A cheap, cloneable handle to all streams that this node holds.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    map: Arc<watch::Sender<StreamMap>>,
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

    /// The stream that the listeners of a mount hear here; see [`StreamMap::heard`].
    pub fn heard(&self, mount: &MountName) -> Option<Held> {
        self.map.borrow().heard(mount).cloned()
    }

    /// All streams and their mounts.
    pub fn all(&self) -> Vec<(MountName, Held)> {
        self.map
            .borrow()
            .held
            .iter()
            .map(|(mount, held)| (mount.clone(), held.clone()))
            .collect()
    }

    /// All streams, and a way to wait until one comes or goes.
    pub fn watch(&self) -> watch::Receiver<StreamMap> {
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
        self.map
            .send_if_modified(|map| match map.held.get_mut(mount) {
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
            let is_same = |held: &Held| held.feed.is_same(feed);
            if !map.get(mount).is_some_and(is_same) {
                return false;
            }
            if let Some(released) = map.held.remove(mount) {
                map.keep_waiting(mount, released);
            }
            true
        });
    }
}

fn insert(
    map: &mut StreamMap,
    mount: &MountName,
    feed: Feed,
    origin: Origin,
    clock: &RuntimeClock,
) -> Result<Option<Held>, NotHeld> {
    match map.get(mount) {
        Some(other) if other.origin == Origin::Source => return Err(NotHeld::Busy),
        None if map.held.len() >= MAX_STREAMS => return Err(NotHeld::Full),
        _ => {}
    }
    let held = map.with_audience_of(mount, feed, origin, clock);
    held.readers.begin_anew();
    map.end_stand_in_for(mount, &held);
    map.continue_stand_ins_with(mount, &held);
    Ok(map.held.insert(mount.clone(), held))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

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
