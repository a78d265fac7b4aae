//! The channel of a mount: one feed now, perhaps another one in a moment, and then the first one again.
//!
//! A [`Channel`] keeps a log of legs. A leg is one feed for as long as it is heard: a switch cuts the open leg at the
//! edge of its feed, which is the end of its last whole frame, and opens another leg. Each listener has a
//! [`ChannelReader`], which reads a leg up to its cut before it goes on. A slow listener is therefore behind, but misses
//! nothing; and none is ever beyond the edge, so that none hears half a frame.
//!
//! Legs point forward only. A leg and its feed are forgotten when the last reader has left them.

mod leg;
#[cfg(test)]
pub(crate) mod samples;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;

use self::leg::{Leg, LegEntry, LegStart};
use self::store::Store;
use super::feed::Feed;
use crate::media::ring::Read;
use crate::model::stream::StreamId;

/// A handle to what the listeners of one mount hear; clones share it.
#[derive(Clone, Debug)]
pub struct Channel {
    shared: Arc<ChannelShared>,
}

#[derive(Debug)]
struct ChannelShared {
    /// The number of the open leg. Readers look at it on each visit, and take the lock only when it is not theirs.
    latest: AtomicU64,
    /// Whether readers wait when the feed of the open leg has ended: another one may follow.
    outlasts: AtomicBool,
    log: Mutex<LegLog>,
}

/// The new end of the log; older legs are held by their readers.
#[derive(Debug)]
struct LegLog {
    open: Arc<Leg>,
    /// The streams that were left, the last one at the end.
    left: VecDeque<LeftStream>,
}

/// A stream that was left for another one, and the first byte of it that was not heard.
#[derive(Clone, Copy, Debug)]
struct LeftStream {
    stream_id: StreamId,
    heard_to: u64,
}

/// How many legs a listener may be behind, and how many streams that were left are remembered.
///
/// Each leg is one change of what is heard. A listener that is 16 changes behind has stopped reading; it
/// would keep 16 rings in memory, 128 MiB at most.
const MAX_LEGS: usize = 16;
/// How long a reader that has nothing to read waits for news of its feed before it looks again.
const NEWS_LIMIT: Duration = Duration::from_millis(250);

impl Channel {
    /// A channel on which this feed is heard.
    pub fn new(feed: Feed) -> Self {
        let log = LegLog {
            open: Arc::new(Leg::first(feed)),
            left: VecDeque::new(),
        };
        Self {
            shared: Arc::new(ChannelShared {
                latest: AtomicU64::new(0),
                outlasts: AtomicBool::new(false),
                log: Mutex::new(log),
            }),
        }
    }

    /// Lets listeners hear this feed from now on. Those that are behind first get what they lack of the one before.
    ///
    /// Listeners go on at the start of a frame: the first one of a stream that is new to the channel, otherwise the first one
    /// that was not heard. If their decoders cannot play the feed, the listeners of the one before are ended at the cut; what
    /// its bytes are tells that, so that it may be found out a little later.
    pub fn switch_to(&self, feed: &Feed) {
        let mut log = self.shared.log.lock();
        if log.open.feed.is_same(feed) {
            return;
        }
        let heard_to = log.heard_to(feed.stream_id());
        let start = heard_to.map_or(LegStart::First, LegStart::Resume);
        self.switch(&mut log, feed, start);
    }

    /// The same for a feed that has been going on for others: listeners begin near its live edge, and hear nothing twice. Each
    /// gets as much more of it as it lacks of what it heard before, up to five seconds, so that what it has in store for
    /// a bad moment stays as it is over any number of switches.
    pub fn go_over(&self, feed: &Feed) {
        let mut log = self.shared.log.lock();
        if log.open.feed.is_same(feed) {
            return;
        }
        let start = LegStart::Near {
            heard_to: log.heard_to(feed.stream_id()).unwrap_or_default(),
            edge: feed.edge_now(),
        };
        self.switch(&mut log, feed, start);
    }

    fn switch(&self, log: &mut LegLog, feed: &Feed, start: LegStart) {
        let left = Arc::clone(&log.open);
        self.announce_cut(&left);
        let next = left.cut(feed, start);
        if left.may_go_on_with(feed) {
            let cut = left.end.get().map_or(0, |end| end.cut.offset);
            log.note_left(left.feed.stream_id(), cut);
        } else {
            log.left.clear(); // nobody who has heard those streams is still here
        }
        log.open = next;
    }

    /// Before the cut is made: a reader that has read bytes behind the cut finds this number, and looks again.
    fn announce_cut(&self, left: &Leg) {
        let number = left.number + 1;
        self.shared.latest.store(number, Ordering::Release);
    }

    /// Ends all listeners behind the last whole frame of what is heard now, although its feed goes on for others.
    pub fn end(&self) {
        let mut log = self.shared.log.lock();
        self.announce_cut(&log.open);
        log.open = log.open.close();
        log.left.clear();
    }

    /// Sets whether listeners outlast the end of the feed that is heard: they wait for another one then.
    pub fn set_outlasts(&self, outlasts: bool) {
        self.shared.outlasts.store(outlasts, Ordering::Release);
    }

    /// Whether they do.
    pub fn outlasts(&self) -> bool {
        self.shared.outlasts.load(Ordering::Acquire)
    }

    /// Whether the listeners can go on with a feed; `None` as long as that is not known.
    pub fn goes_on_with(&self, feed: &Feed) -> Option<bool> {
        let log = self.shared.log.lock();
        match log.open.feed.is_same(feed) {
            true => Some(true),
            false => log.open.goes_on_with(feed),
        }
    }

    /// How far each stream was heard that listeners have left for another one. When such a stream is on air again,
    /// they go on there: they hear nothing twice.
    pub fn left(&self) -> BTreeMap<StreamId, u64> {
        let log = self.shared.log.lock();
        let left = log.left.iter();
        left.map(|left| (left.stream_id, left.heard_to)).collect()
    }

    /// The reader of a new listener: begins about `burst` behind the live edge of what is heard now.
    pub fn join(&self, burst: Duration) -> ChannelReader {
        let log = self.shared.log.lock();
        let mut reader = ChannelReader {
            channel: self.clone(),
            progress: LegProgress::Waiting,
            prologue: Bytes::new(),
            position: 0,
            began: 0,
            store: account(&log.open.feed, 0),
            leg: Arc::clone(&log.open),
            taken_last: None,
            burst,
        };
        reader.enter();
        reader
    }
}

impl LegLog {
    fn note_left(&mut self, stream_id: StreamId, heard_to: u64) {
        self.left.retain(|left| left.stream_id != stream_id);
        if self.left.len() == MAX_LEGS {
            self.left.pop_front();
        }
        self.left.push_back(LeftStream {
            stream_id,
            heard_to,
        });
    }

    fn heard_to(&self, stream_id: StreamId) -> Option<u64> {
        let mut left = self.left.iter();
        let left = left.find(|left| left.stream_id == stream_id)?;
        Some(left.heard_to)
    }
}

/// How much of a leg a listener has taken.
#[derive(Debug)]
enum LegProgress {
    /// Nothing can be read yet: there is no place in the feed at which a decoder can begin.
    Waiting,
    /// Nothing was read yet.
    Entering,
    /// Bytes were read, this is their prologue, and none of them was taken.
    Begun(Bytes),
    /// Bytes were taken.
    Taken,
}

/// The account of a listener that begins at this byte of a feed now.
fn account(feed: &Feed, position: u64) -> Store {
    Store::join(feed.time_from(position), feed.edge_now())
}

/// One listener's way through a channel: which leg it reads, and which byte it gets next. Holds no audio.
#[derive(Debug)]
pub struct ChannelReader {
    channel: Channel,
    leg: Arc<Leg>,
    position: u64,
    /// The offset in the leg's feed at which the listener began: no decoder goes on with a new stream behind it.
    began: u64,
    progress: LegProgress,
    /// The stream of the last leg of which the listener has bytes, and the byte that would have followed them.
    taken_last: Option<(StreamId, u64)>,
    /// The bytes that the listener has to be sent before that byte.
    prologue: Bytes,
    /// How far behind the live edge the listener joined.
    burst: Duration,
    /// How much it has in store, by what it was given of the legs before.
    store: Store,
}

impl ChannelReader {
    /// The feed that is read now.
    pub fn feed(&self) -> &Feed {
        &self.leg.feed
    }

    /// Waits until there may be something to read again; now and then there is nothing.
    pub async fn news(&self) {
        let mut news = self.leg.feed.subscribe();
        // The feed may have no news any more, because its channel has gone over to another one.
        let _news = timeout(NEWS_LIMIT, news.changed()).await;
    }

    /// The offset in that feed of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether all of that feed was taken that is heard, because the channel has gone over to another one.
    pub fn is_at_cut(&self) -> bool {
        let end = self.leg.end.get();
        end.is_some_and(|end| self.position >= end.cut.offset)
    }

    /// Whether no more bytes will come to that feed, so that its ring keeps what it has.
    pub fn has_finished(&self) -> bool {
        self.leg.feed.finished().is_some() || self.leg.feed.ended().is_some()
    }

    /// Notes that the listener has taken so many bytes of what was read last.
    pub fn advance(&mut self, bytes: u64) {
        self.position += bytes;
        if bytes > 0 {
            self.progress = LegProgress::Taken;
        }
    }

    /// Begins anew near the live edge, if the listener has taken no byte of the feed so far: it was busy with what comes
    /// first, such as a long prologue, which stays the same. False: it has bytes of the feed, or needs another prologue by now.
    pub fn rejoin(&mut self) -> bool {
        if matches!(self.progress, LegProgress::Waiting | LegProgress::Entering) {
            self.skip_cut_legs();
        }
        let feed = &self.leg.feed;
        match (&self.progress, self.leg.end.get()) {
            (LegProgress::Waiting | LegProgress::Entering, Some(end)) => {
                self.position = end.cut.offset;
                self.store = Store::join(end.cut.time, end.cut);
                self.progress = LegProgress::Entering;
            }
            (LegProgress::Waiting | LegProgress::Entering, None) => self.enter(),
            (LegProgress::Begun(prologue), None) => match feed.join_point(self.burst) {
                Some(position) if feed.prologue_at(position) == *prologue => {
                    self.store = account(feed, position);
                    self.position = position;
                }
                _ => return false,
            },
            (LegProgress::Begun(_), Some(_)) | (LegProgress::Taken, _) => return false,
        }
        self.began = self.position;
        true
    }

    /// Goes to the place in the feed where a listener begins that comes now; waits for it if there is none.
    fn enter(&mut self) {
        let feed = &self.leg.feed;
        let joined = feed.join_point(self.burst);
        self.position = joined.unwrap_or_else(|| feed.edge());
        self.began = self.position;
        self.store = account(feed, self.position);
        self.progress = match joined {
            Some(_) => LegProgress::Entering,
            None => LegProgress::Waiting,
        };
    }

    /// Goes to the last leg on which a decoder can begin that is set up for this one, of which it has no byte.
    fn skip_cut_legs(&mut self) {
        while let Some(LegEntry::At { leg, .. }) = self
            .leg
            .end
            .get()
            .map(|end| end.entry(self.store, self.burst))
        {
            self.leg = leg;
        }
    }

    /// Takes the bytes that must come before those that were read last; given once for each feed, empty if its
    /// format needs nothing.
    pub fn take_prologue(&mut self) -> Bytes {
        std::mem::take(&mut self.prologue)
    }

    /// At most `max_bytes` of what the listener hears next. All of them are of one feed, which is
    /// [`Self::feed`] from now on; they begin at [`Self::position`].
    ///
    /// `Ended` means that nothing follows for this listener; `Overrun`, that it was too slow.
    pub fn read(&mut self, max_bytes: usize) -> Read {
        let read = self.read_next(max_bytes);
        // Not sooner: a relay is told the prologue only before its first bytes, and may be joined before that.
        if matches!(
            (&self.progress, &read),
            (LegProgress::Entering, Read::Bytes(_))
        ) {
            self.prologue = self.leg.feed.prologue_at(self.position);
            self.progress = LegProgress::Begun(self.prologue.clone());
        }
        read
    }

    fn read_next(&mut self, max_bytes: usize) -> Read {
        loop {
            if matches!(self.progress, LegProgress::Waiting) {
                self.enter();
            }
            let read = match self.progress {
                LegProgress::Waiting => Read::Wait,
                _ => self.read_leg(max_bytes),
            };
            // Looked at after the read: if the leg was cut meanwhile, the bytes may be from behind the cut.
            let latest = self.channel.shared.latest.load(Ordering::Acquire);
            let behind = latest - self.leg.number;
            if behind == 0 {
                return match read {
                    Read::Ended if self.channel.outlasts() => Read::Wait,
                    read => read,
                };
            }
            if behind > MAX_LEGS as u64 {
                let oldest = self.leg.feed.oldest();
                return Read::Overrun { oldest };
            }
            if let Some(read) = self.read_cut_leg(max_bytes) {
                return read;
            }
        }
    }

    fn read_leg(&self, max_bytes: usize) -> Read {
        let feed = &self.leg.feed;
        feed.read_whole(self.began, self.position, max_bytes)
    }

    /// Reads a leg that is not the latest, up to its cut. `None`: the reader is on another leg now.
    fn read_cut_leg(&mut self, max_bytes: usize) -> Option<Read> {
        drop(self.channel.shared.log.lock()); // a switch that is under way is done then
        let end = self.leg.end.get();
        let end = end.expect("a leg that is not the latest was cut under the lock");
        if matches!(self.progress, LegProgress::Waiting) {
            self.position = end.cut.offset;
            self.store = Store::join(end.cut.time, end.cut);
        }
        if self.position < end.cut.offset {
            let left = usize::try_from(end.cut.offset - self.position).unwrap_or(usize::MAX);
            return Some(self.read_leg(max_bytes.min(left)));
        }
        match end.entry(self.store, self.burst) {
            LegEntry::Never => Some(Read::Ended),
            LegEntry::NotYet => Some(Read::Wait),
            LegEntry::At {
                leg,
                offset,
                store,
                has_prologue,
            } => {
                if matches!(self.progress, LegProgress::Taken) {
                    self.taken_last = Some((self.leg.feed.stream_id(), self.position));
                }
                (self.leg, self.position, self.began) = (leg, offset, offset);
                self.store = store;
                // A stream that was left for another one, of which no byte was sent, goes on as if nothing had happened.
                let goes_on = self.taken_last == Some((self.leg.feed.stream_id(), offset));
                self.progress = match has_prologue && !goes_on {
                    true => LegProgress::Entering,
                    false => LegProgress::Taken,
                };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
