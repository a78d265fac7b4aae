//! A ring that many readers share, and how they learn that it has grown.
//!
//! A [`Feed`] is a cheap handle. Its lock is held for the few hundred nanoseconds of one ring operation,
//! never while anything is written or awaited, so a slow reader costs the writer nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::logic::pace;
use crate::media::format::joining::{StreamStart, Trouble};
use crate::media::format::layout::Layout;
use crate::media::ring::{Append, Read, Ring, RingEdge, Title, TitleSet};
use crate::model::format::StreamFormat;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::model::title::TitleInfo;
use crate::proto::listener::prospect::RingLook;

/// The state of a stream so far; asynchronous readers wait for it to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedNews {
    /// The offset of the next byte to come.
    pub next: u64,
    /// How often the title has changed.
    pub title_changes: u64,
    /// The reason why no byte will follow, if so. Listeners may still wait for the next stream of the mount.
    pub finished: Option<EndReason>,
    /// The reason why the stream ended for its readers too, if it has.
    pub ended: Option<EndReason>,
}

/// The last sign of the source.
#[derive(Clone, Copy, Debug)]
struct LastFed {
    at: Instant,
    beat_ms: u64,
    /// Whether that sign was a beat, which tells how old the stream was.
    is_beat: bool,
}

/// A handle to one stream's ring; clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<FeedInner>,
}

#[derive(Debug)]
struct FeedInner {
    stream_id: StreamId,
    head: Arc<StreamHead>,
    /// Valid also after a panic of another holder: at worst a join point or a title is missing.
    ring: Mutex<Ring>,
    news: watch::Sender<FeedNews>,
    began: Instant,
    fed: Mutex<LastFed>,
}

impl Feed {
    /// Shares a ring.
    pub fn new(ring: Ring) -> Self {
        let news = FeedNews {
            next: ring.next(),
            title_changes: ring.title_changes(),
            finished: ring.ended(),
            ended: ring.ended(),
        };
        let shared = FeedInner {
            stream_id: ring.stream_id(),
            head: Arc::clone(ring.head()),
            began: ring.began(),
            fed: Mutex::new(LastFed {
                at: ring.began(),
                beat_ms: 0,
                is_beat: false,
            }),
            ring: Mutex::new(ring),
            news: watch::Sender::new(news),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The id of the stream.
    pub fn stream_id(&self) -> StreamId {
        self.shared.stream_id
    }

    /// The head that the source sent when it connected.
    pub fn head(&self) -> &Arc<StreamHead> {
        &self.shared.head
    }

    /// When this node began to hold the stream.
    pub fn began(&self) -> Instant {
        self.shared.began
    }

    /// Whether both handles share one ring.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Appends the bytes that begin at `offset`; see [`Ring::append`].
    pub fn append(&self, offset: u64, bytes: &[u8], now: Instant) -> Append {
        let mut ring = self.shared.ring.lock();
        let append = ring.append(offset, bytes, now);
        let (next, titles) = (ring.next(), ring.title_changes());
        drop(ring);
        if matches!(append, Append::Appended | Append::Trimmed) {
            let mut fed = self.shared.fed.lock();
            (fed.at, fed.is_beat) = (now, false);
            drop(fed);
            self.tell(|news| {
                news.next = news.next.max(next);
                news.title_changes = news.title_changes.max(titles);
            });
        }
        append
    }

    /// Sets the title on air from the byte at `offset` on, which may still be to come.
    pub fn set_title(&self, offset: u64, title: &TitleInfo) -> TitleSet {
        let mut ring = self.shared.ring.lock();
        let set = ring.set_title(offset, title);
        let titles = ring.title_changes();
        drop(ring);
        if set == TitleSet::Changed {
            self.tell(|news| news.title_changes = news.title_changes.max(titles));
        }
        set
    }

    /// Notes a sign of life of the node of the source: it counts only if no later one is known.
    pub fn note_beat(&self, beat_ms: u64, now: Instant) {
        let mut fed = self.shared.fed.lock();
        if beat_ms > fed.beat_ms {
            *fed = LastFed {
                at: now,
                beat_ms,
                is_beat: true,
            };
        }
    }

    /// The beat of a stream whose source is connected here: how long it has been on air. Never 0, which says that none was
    /// heard: a file may come in less than a millisecond.
    pub fn own_beat_ms(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.shared.began);
        age.as_millis().max(1).try_into().unwrap_or(u64::MAX)
    }

    /// The beat that a stream which has finished would have by now, by the node of its source: how old the stream is. 0 if
    /// no beat was heard after its last byte.
    pub fn beat_after_end_ms(&self, now: Instant) -> u64 {
        let fed = *self.shared.fed.lock();
        let since = now.saturating_duration_since(fed.at).as_millis();
        match fed.is_beat {
            true => fed.beat_ms.saturating_add(since.try_into().unwrap_or(0)),
            false => 0,
        }
    }

    /// Until when a stream that has finished sounds: a source may have sent it ahead of its time. `None` while more may
    /// come, and where that is not known.
    pub fn sounds_until(&self) -> Option<Instant> {
        self.finished()?;
        let audio = self.shared.ring.lock().media_time()?;
        let fed = *self.shared.fed.lock();
        let age = Duration::from_millis(fed.beat_ms);
        fed.is_beat.then(|| pace::sounds_until(audio, age, fed.at))
    }

    /// How much of a stream that has finished is still to be heard at its pace.
    pub fn unheard(&self, now: Instant) -> Duration {
        let until = self.sounds_until();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The state of the stream for a listener that comes.
    pub fn look(&self) -> RingLook {
        match self.finished() {
            None => RingLook::Open,
            Some(_) => RingLook::Finished {
                sounds_until: self.sounds_until(),
            },
        }
    }

    /// The latest sign of life of the node of the source, by its own clock; 0 if none has been needed so far.
    pub fn beat_ms(&self) -> u64 {
        self.shared.fed.lock().beat_ms
    }

    /// When the source, or the node that it is connected to, was heard last.
    pub fn last_fed(&self) -> Instant {
        self.shared.fed.lock().at
    }

    /// Tells other nodes that no byte will follow; listeners wait for the mount's next stream.
    /// If it is called again, the first reason stays.
    pub fn finish(&self, reason: EndReason) {
        self.close_edge();
        self.tell(|news| {
            news.finished.get_or_insert(reason);
        });
    }

    /// The reason why no byte will follow; `None` while bytes may follow.
    pub fn finished(&self) -> Option<EndReason> {
        self.shared.news.borrow().finished
    }

    /// Ends the stream: readers get the bytes that are there, then leave. If it is called again, the first reason stays.
    ///
    /// A mount that waits for its source to come back finishes its stream, and ends it only when it has waited
    /// long enough. A stream that another one replaces here is ended too: links then get no more of it from this node,
    /// though it may live on elsewhere. Listeners have been switched to the other one by their channel.
    pub fn end(&self, reason: EndReason) {
        let mut ring = self.shared.ring.lock();
        ring.end(reason);
        let ended = ring.ended();
        drop(ring);
        self.tell(|news| news.ended = ended);
    }

    /// At most `max_bytes` from `from` on; see [`Ring::read`].
    pub fn read(&self, from: u64, max_bytes: usize) -> Read {
        self.shared.ring.lock().read(from, max_bytes)
    }

    /// The same for a listener; see [`Ring::read_whole`].
    pub fn read_whole(&self, began: u64, from: u64, max_bytes: usize) -> Read {
        let ring = self.shared.ring.lock();
        ring.read_whole(began, from, max_bytes)
    }

    /// The serial numbers in the last link of Ogg; see [`Ring::serials`].
    pub fn serials(&self) -> Vec<u32> {
        self.shared.ring.lock().serials()
    }

    /// Why listeners that come late may not decode the stream as it is now; see [`Ring::trouble`].
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared.ring.lock().trouble()
    }

    /// Whether the stream may be of another format by now; see [`Ring::has_lost_format`].
    pub fn has_lost_format(&self) -> bool {
        self.shared.ring.lock().has_lost_format()
    }

    /// The place where another stream has begun in the middle of this one; see [`Ring::begun_anew_at`].
    pub fn begun_anew_at(&self) -> u64 {
        self.shared.ring.lock().begun_anew_at()
    }

    /// The offset at which a new listener begins; see [`Ring::join_point`].
    pub fn join_point(&self, burst: Duration) -> Option<u64> {
        self.shared.ring.lock().join_point(burst)
    }

    /// The offset at which a node begins to hold the stream; see [`Ring::relay_point`].
    pub fn relay_point(&self, burst: Duration) -> Option<u64> {
        self.shared.ring.lock().relay_point(burst)
    }

    /// The place nearest to a time before an edge that has been seen; see [`Ring::place_near`].
    pub fn place_near(&self, wanted: Duration, edge: RingEdge) -> Option<u64> {
        self.shared.ring.lock().place_near(wanted, edge)
    }

    /// The stream's time for those who begin at a byte; see [`Ring::time_from`].
    pub fn time_from(&self, offset: u64) -> Duration {
        self.shared.ring.lock().time_from(offset)
    }

    /// The live edge; see [`Ring::edge_now`].
    pub fn edge_now(&self) -> RingEdge {
        self.shared.ring.lock().edge_now()
    }

    /// The bytes that a listener has to be sent before the byte at `offset`; see [`Ring::prologue_at`].
    pub fn prologue_at(&self, offset: u64) -> Bytes {
        self.shared.ring.lock().prologue_at(offset)
    }

    /// How the stream stands at `offset`; see [`Ring::start_at`].
    pub fn start_at(&self, offset: u64) -> Option<StreamStart> {
        self.shared.ring.lock().start_at(offset)
    }

    /// Takes in how the stream stands at the first byte to come; see [`Ring::start`].
    pub fn start(&self, start: &StreamStart) {
        self.shared.ring.lock().start(start);
    }

    /// Notes that the first byte to come is no place to begin at; see [`Ring::begin_midway`].
    pub fn begin_midway(&self) {
        self.shared.ring.lock().begin_midway();
    }

    /// How far the stream's time is ahead of the clock; see [`Ring::ahead`].
    pub fn ahead(&self, now: Instant) -> Duration {
        self.shared.ring.lock().ahead(now)
    }

    /// How much audio time was received, if silence shows in it; see [`Ring::framed_time`].
    pub fn framed_time(&self) -> Option<Duration> {
        self.shared.ring.lock().framed_time()
    }

    /// The stream's time at a byte; see [`Ring::time_at`].
    pub fn time_at(&self, offset: u64) -> Option<Duration> {
        self.shared.ring.lock().time_at(offset)
    }

    /// The offset at which the listeners of another stream continue with this one; see [`Ring::splice_point`].
    pub fn splice_point(&self) -> Option<u64> {
        self.shared.ring.lock().splice_point()
    }

    /// The same without any prologue; see [`Ring::bare_splice_point`].
    pub fn bare_splice_point(&self) -> Option<u64> {
        self.shared.ring.lock().bare_splice_point()
    }

    /// The layout for which a decoder of the stream is set up; see [`Ring::layout`].
    pub fn layout(&self) -> Option<Layout> {
        self.shared.ring.lock().layout()
    }

    /// The offset at which listeners continue that have heard another stream since; see [`Ring::resume_point`].
    pub fn resume_point(&self, heard_to: u64, burst: Duration) -> Option<u64> {
        self.shared.ring.lock().resume_point(heard_to, burst)
    }

    /// The offset of the next byte to come.
    pub fn next(&self) -> u64 {
        self.shared.ring.lock().next()
    }

    /// The end of the last whole frame, page or block; see [`Ring::edge`].
    pub fn edge(&self) -> u64 {
        self.shared.ring.lock().edge()
    }

    /// Moves the edge to the end of what is whole if no byte follows; see [`Ring::close_edge`].
    pub fn close_edge(&self) -> RingEdge {
        self.shared.ring.lock().close_edge()
    }

    /// The last bytes that listeners hear if no byte follows, at most so many.
    pub fn heard_end(&self, max_bytes: usize) -> Bytes {
        let mut ring = self.shared.ring.lock();
        let edge = ring.close_edge().offset;
        let from = edge.saturating_sub(max_bytes as u64).max(ring.oldest());
        match ring.read(
            from,
            usize::try_from(edge.saturating_sub(from)).unwrap_or(0),
        ) {
            Read::Bytes(pieces) => pieces.concat().into(),
            Read::Wait | Read::Overrun { .. } | Read::Ended => Bytes::new(),
        }
    }

    /// The offset of the oldest byte held.
    pub fn oldest(&self) -> u64 {
        self.shared.ring.lock().oldest()
    }

    /// The bitrate in bits per second, measured; see [`Ring::bitrate_bps`].
    pub fn bitrate_bps(&self) -> u64 {
        self.shared.ring.lock().bitrate_bps()
    }

    /// The format of the stream, with the measured bitrate; see [`Ring::format`].
    pub fn format(&self) -> StreamFormat {
        self.shared.ring.lock().format()
    }

    /// The title on air at this byte; `None` if none is known.
    pub fn title_at(&self, offset: u64) -> Option<Arc<TitleInfo>> {
        self.shared.ring.lock().title_at(offset)
    }

    /// The title on air now, at the live edge.
    pub fn title(&self) -> Option<Title> {
        self.shared.ring.lock().title()
    }

    /// The titles that begin at `from` or later and before `to`, in order.
    pub fn title_changes_between(&self, from: u64, to: u64) -> Vec<Title> {
        self.shared.ring.lock().title_changes_between(from, to)
    }

    /// The reason why the stream ended, if it has.
    pub fn ended(&self) -> Option<EndReason> {
        self.shared.ring.lock().ended()
    }

    /// The latest news, and a way to wait for more.
    pub fn subscribe(&self) -> watch::Receiver<FeedNews> {
        self.shared.news.subscribe()
    }

    /// Waits until there are bytes at `offset` or none will follow.
    pub async fn wait_beyond(&self, offset: u64) -> FeedNews {
        let mut news = self.subscribe();
        let beyond = news
            .wait_for(|news| news.next > offset || news.finished.is_some() || news.ended.is_some());
        *beyond.await.expect("the sender lives in self")
    }

    fn tell(&self, change: impl FnOnce(&mut FeedNews)) {
        self.shared.news.send_modify(change);
    }
}

#[cfg(test)]
mod tests;
