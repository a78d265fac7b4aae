//! Streams of other mounts that the listeners of a mount hear for a while.
//!
//! A mount has one channel and one crowd of listeners, whichever stream they hear. While they hear a fallback, or wait for one,
//! the mount may hold no stream of its own: then its channel lives here.

use super::held::{Held, Reader, Reading};
use super::{MAX_STREAMS, StreamMap, Streams};
use crate::io::clock::RuntimeClock;
use crate::io::feed::Feed;
use crate::model::file_name::PlayedFile;
use crate::model::mount::MountName;
use crate::model::rung_name::RungName;
use crate::wire::gossip::{Origin, RungCard};

/// Whether listeners return to their own mount's next stream at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// As soon as it is held here.
    AtOnce,
    /// Not before [`Streams::take_back`].
    Later,
}

/// A stream in a mount's channel that the mount does not hold itself.
#[derive(Debug)]
pub(super) struct StandIn {
    /// The feed that is heard, with the channel and the readers of this mount.
    pub(super) heard: Held,
    /// The rung that they hear; `None`: its stream is over, and listeners wait for another one.
    of: Option<RungName>,
    returns: Return,
    /// Keeps the stream here, if it is another mount's.
    _reading: Option<Reading>,
}

impl Streams {
    /// Lets the listeners of a mount hear another rung, if this node holds its stream, and returns what they hear then.
    /// Where they begin is told by [`Channel::go_over`](crate::io::channel::Channel::go_over).
    pub fn stand_in(&self, mount: &MountName, of: &RungName, returns: Return) -> Option<Held> {
        let mut heard = None;
        self.map.send_if_modified(|map| {
            let (found, is_news) = map.stand_in(mount, of, returns, &self.clock);
            heard = found;
            is_news
        });
        heard
    }

    /// Lets the listeners of a mount hear its own stream again, if this node holds one.
    pub fn take_back(&self, mount: &MountName) {
        self.map.send_if_modified(|map| {
            let Some(own) = map.held.get(mount) else {
                return false;
            };
            let is_news = map.stand_ins.remove(mount).is_some();
            if is_news {
                own.channel.go_over(&own.feed);
            }
            is_news
        });
    }

    /// Ends the listeners who hear a fallback or wait for one, and forgets their channel, unless the mount holds a stream of its own.
    /// Says whether there were any.
    pub fn end_stand_in(&self, mount: &MountName) -> bool {
        self.map.send_if_modified(|map| {
            let Some(stand_in) = map.stand_ins.remove(mount) else {
                return false;
            };
            match map.held.get(mount) {
                Some(own) => own.channel.switch_to(&own.feed),
                None => stand_in.heard.channel.end(),
            }
            true
        })
    }

    /// The mounts whose listeners hear a fallback here, or wait for one.
    pub fn mounts_with_stand_in(&self) -> Vec<MountName> {
        self.map.borrow().stand_ins.keys().cloned().collect()
    }

    /// Whether listeners of a mount hear a fallback here, or wait for one.
    pub fn has_stand_in(&self, mount: &MountName) -> bool {
        self.map.borrow().stand_ins.contains_key(mount)
    }

    /// The fallback that the listeners of a mount hear here; `None` if they hear none.
    pub fn stand_in_of(&self, mount: &MountName) -> Option<RungName> {
        let map = self.map.borrow();
        map.stand_ins.get(mount)?.of.clone()
    }

    /// The cards that are gossiped of the mounts whose listeners hear a fallback here.
    pub fn rung_cards(&self) -> Vec<(MountName, RungCard)> {
        let map = self.map.borrow();
        let card = |stand_in: &StandIn| {
            Some(RungCard {
                rung: stand_in.of.clone()?,
                listeners: stand_in.heard.listeners(),
            })
        };
        let cards = map.stand_ins.iter();
        cards
            .filter_map(|(mount, stand_in)| Some((mount.clone(), card(stand_in)?)))
            .collect()
    }
}

impl StreamMap {
    /// The stream that the listeners of the mount hear then, and whether that is news.
    fn stand_in(
        &mut self,
        mount: &MountName,
        of: &RungName,
        returns: Return,
        clock: &RuntimeClock,
    ) -> (Option<Held>, bool) {
        let Some((feed, reading)) = self.rung_feed(mount, of) else {
            return (None, false);
        };
        if let Some(stand_in) = self.stand_ins.get_mut(mount) {
            stand_in.returns = returns;
            if stand_in.of.as_ref() == Some(of) && stand_in.heard.feed.is_same(&feed) {
                return (Some(stand_in.heard.clone()), false);
            }
        }
        if self.heard(mount).is_none() && self.stand_ins.len() >= MAX_STREAMS {
            return (None, false);
        }
        let heard = self.with_audience_of(mount, feed, Origin::Relay(None), clock);
        heard.channel.go_over(&heard.feed);
        let stand_in = StandIn {
            heard: heard.clone(),
            of: Some(of.clone()),
            returns,
            _reading: reading,
        };
        self.stand_ins.insert(mount.clone(), stand_in);
        (Some(heard), true)
    }

    /// The feed of a rung of another mount, or of a file, that is here; and what keeps it here.
    fn rung_feed(&self, mount: &MountName, rung: &RungName) -> Option<(Feed, Option<Reading>)> {
        match rung {
            RungName::Mount(other) => {
                let other = self.held.get(other).filter(|_| other != mount)?;
                Some((other.feed.clone(), Some(other.read_by(Reader::Link))))
            }
            RungName::File(file) => Some((self.file_feed(file)?.clone(), None)),
        }
    }

    /// Whether the listeners of a mount hear this file here.
    pub(super) fn is_file_heard(&self, file: &PlayedFile) -> bool {
        let mut rungs = self.stand_ins.values().filter_map(|it| it.of.as_ref());
        rungs.any(|rung| rung.file() == Some(file))
    }

    /// Lets those who hear a file go over to another feed of it.
    pub(super) fn go_on_with_file(&mut self, file: &PlayedFile, feed: &Feed) {
        let stand_ins = self.stand_ins.values_mut();
        let is_of = |it: &&mut StandIn| it.of.as_ref().and_then(RungName::file) == Some(file);
        for stand_in in stand_ins.filter(is_of) {
            stand_in.heard.feed = feed.clone();
            stand_in.heard.channel.go_over(&stand_in.heard.feed);
        }
    }

    /// Keeps the channel of a mount that holds no stream any more, if its listeners wait for another one.
    pub(super) fn keep_waiting(&mut self, mount: &MountName, released: Held) {
        let waits = released.channel.outlasts() && released.has_audience();
        if waits && !self.stand_ins.contains_key(mount) {
            let stand_in = StandIn {
                heard: released,
                of: None,
                returns: Return::AtOnce,
                _reading: None,
            };
            self.stand_ins.insert(mount.clone(), stand_in);
        }
    }

    /// Lets the listeners of a mount hear its new stream, unless they are to hear their fallback for longer.
    pub(super) fn end_stand_in_for(&mut self, mount: &MountName, own: &Held) {
        let stays = |it: &StandIn| it.returns == Return::Later;
        if !self.stand_ins.get(mount).is_some_and(stays) {
            self.stand_ins.remove(mount);
            own.channel.switch_to(&own.feed);
        }
    }

    /// Lets those who hear the stream of a mount as a fallback go on with its next one, as its own listeners do.
    pub(super) fn continue_stand_ins_with(&mut self, mount: &MountName, next: &Held) {
        let stand_ins = self.stand_ins.values_mut();
        for stand_in in stand_ins.filter(|it| it.of.as_ref().is_some_and(|of| of.is_mount(mount))) {
            stand_in.heard.feed = next.feed.clone();
            stand_in.heard.channel.switch_to(&next.feed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::io::channel::ChannelReader;
    use crate::io::channel::samples::take_all;
    use crate::media::format::mpeg::samples::frame;
    use crate::media::ring::samples::ring;
    use crate::media::ring::{Read, Ring};
    use crate::model::stream::{EndReason, StreamId};

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    fn feed(stream_id: u128) -> Feed {
        let head = ring("audio/mpeg").head().clone();
        Feed::new(Ring::new(StreamId(stream_id), head, 0, Instant::now()))
    }

    fn numbered(numbers: std::ops::Range<u32>) -> Vec<u8> {
        numbers.flat_map(frame).collect()
    }

    fn append(feed: &Feed, numbers: std::ops::Range<u32>) {
        feed.append(feed.next(), &numbered(numbers), Instant::now());
    }

    fn hold(streams: &Streams, path: &str, feed: &Feed) {
        let held = streams.hold(&mount(path), feed.clone(), Origin::Relay(None));
        assert!(held.is_ok());
    }

    /// The live stream is over, and its listener hears the other one.
    fn fallen_back(returns: Return) -> (Streams, Feed, ChannelReader) {
        let (streams, [live, auto]) = (Streams::default(), [feed(1), feed(2)]);
        hold(&streams, "/live", &live);
        hold(&streams, "/auto", &auto);
        append(&live, 0..9);
        append(&auto, 0..100);
        let held = streams.heard(&mount("/live")).unwrap();
        let _listener = held.read_by(Reader::Listener);
        let mut reader = held.channel.join(Duration::ZERO);
        take_all(&mut reader);
        held.channel.set_outlasts(true);
        streams.release(&mount("/live"), &live);
        live.end(EndReason::SourceLeft);
        assert_eq!(reader.read(9), Read::Wait, "nothing is heard for a moment");
        let heard = streams.stand_in(&mount("/live"), &mount("/auto").into(), returns);
        assert!(heard.unwrap().feed.is_same(&auto));
        take_all(&mut reader);
        (streams, auto, reader)
    }

    #[test]
    fn listeners_hear_a_fallback_until_their_mount_is_back() {
        let (streams, auto, mut reader) = fallen_back(Return::AtOnce);
        append(&auto, 100..103);
        assert_eq!(take_all(&mut reader), numbered(100..103));
        assert_eq!(
            streams.stand_in_of(&mount("/live")),
            Some(mount("/auto").into())
        );
        let next = feed(3);
        hold(&streams, "/live", &next);
        append(&next, 200..202);
        append(&auto, 103..105);
        assert_eq!(take_all(&mut reader), numbered(200..202));
        assert_eq!(streams.stand_in_of(&mount("/live")), None);
    }

    #[test]
    fn listeners_may_return_later() {
        let (streams, auto, mut reader) = fallen_back(Return::Later);
        let next = feed(3);
        hold(&streams, "/live", &next);
        append(&next, 200..400);
        append(&auto, 100..101);
        assert_eq!(take_all(&mut reader), numbered(100..101));
        assert!(streams.heard(&mount("/live")).unwrap().feed.is_same(&auto));
        streams.take_back(&mount("/live"));
        take_all(&mut reader);
        append(&next, 400..402);
        assert_eq!(take_all(&mut reader), numbered(400..402));
    }

    #[test]
    fn listeners_go_on_with_the_next_stream_of_a_fallback() {
        let (streams, _auto, mut reader) = fallen_back(Return::AtOnce);
        let next = feed(4);
        append(&next, 300..302);
        hold(&streams, "/auto", &next);
        assert_eq!(take_all(&mut reader), numbered(300..302));
    }

    #[test]
    fn listeners_of_a_fallback_can_be_ended() {
        let (streams, auto, mut reader) = fallen_back(Return::AtOnce);
        streams.end_stand_in(&mount("/live"));
        append(&auto, 100..101);
        assert_eq!(reader.read(9), Read::Ended);
        assert!(streams.heard(&mount("/live")).is_none());
    }

    #[test]
    fn the_stream_of_a_fallback_is_kept_while_it_is_heard() {
        let (streams, _auto, _reader) = fallen_back(Return::AtOnce);
        let idle_since = || streams.get(&mount("/auto")).unwrap().idle_since();
        assert_eq!(idle_since(), None);
        streams.end_stand_in(&mount("/live"));
        assert!(idle_since().is_some());
    }

    #[test]
    fn listeners_without_a_fallback_leave_with_their_stream() {
        let (streams, live) = (Streams::default(), feed(1));
        hold(&streams, "/live", &live);
        streams.release(&mount("/live"), &live);
        assert!(streams.heard(&mount("/live")).is_none());
        let nothing = streams.stand_in(&mount("/live"), &mount("/auto").into(), Return::AtOnce);
        assert!(nothing.is_none(), "the fallback is not held");
    }
}
