//! One listener on its pacer's thread: what it was sent, and what follows.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, TcpKeepalive};

use super::{Control, Leaving, Left, Listener};
use crate::io::channel::ChannelReader;
use crate::media::icy::Interleaver;
use crate::media::ring::Read;

/// A listener between two visits. Holds no audio, only its reader.
pub(super) struct Member {
    socket: TcpStream,
    /// The rest of the answer's head.
    head: Bytes,
    /// The rest of what a decoder needs before the audio. Part of the stream: titles are woven into it, too.
    prologue: Bytes,
    reader: ChannelReader,
    icy: Option<Interleaver>,
    until: Option<Instant>,
    control: Arc<Control>,
    leave: Box<dyn Leaving>,
    checked_at: Instant,
    /// When the kernel first refused what the listener has to be sent; `None` once it has taken a byte.
    stuck_since: Option<Instant>,
    /// Whether the listener has closed its sending half, and sends nothing more.
    half_closed: bool,
}

/// The result of a visit.
pub(super) enum VisitResult {
    /// The listener stays.
    Stay,
    /// The listener has to leave.
    Leave(Left),
}

/// The most audio that one visit writes: what its send buffer takes. A listener that is far behind catches up
/// over some rounds, and delays the others by no more than a copy of this.
const VISIT_BYTES: usize = 64 << 10;

/// The send buffer asked for. The kernel allows twice as much for its own book-keeping, so a listener that
/// does not read costs at most 128 KiB; 10,000 of them 1.3 GB, where Linux would let them have 40 GB.
/// Half a second, the longest time between two visits, of 1 Mbit/s fits in.
pub(super) const SEND_BUFFER_BYTES: usize = 64 << 10;

/// How often the connection of a listener that cannot be written to is checked.
/// An audience that resets its connections is noticed within a second; a check costs a system call.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How long a listener may read nothing once its stream has finished.
///
/// While a stream grows, a listener that does not read falls off the ring, which holds some 30 s by default. A finished
/// stream pushes nobody off, so this is the same patience by the clock. Also longer than a phone needs to change its network.
const STUCK_LIMIT: Duration = Duration::from_secs(30);

/// How long a listener whose time is up may still take what it has not been sent yet, so that it ends behind a whole
/// frame. With the half second between two visits it is gone within a second.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a listener that has closed its sending half is probed while there is nothing to write to it.
///
/// Only the answer to a write tells whether it has closed the other half too, until its system has forgotten the
/// connection, which takes a minute on Linux. After that the first of these probes is answered with a reset.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// How often the probe is repeated, three times in all, if there is no answer.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How many probes may go unanswered.
const PROBES: u32 = 3;

impl Member {
    pub(super) fn new(listener: Listener, now: Instant) -> Self {
        Self {
            socket: listener.socket,
            head: listener.head,
            prologue: Bytes::new(),
            reader: listener.reader,
            icy: listener.icy,
            until: listener.until,
            control: listener.control,
            leave: listener.leave,
            checked_at: now,
            stuck_since: None,
            half_closed: false,
        }
    }

    /// Makes the socket ready for visits. Fails if it is closed already.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        // All new bytes are sent in one write, so Nagle's algorithm would gather nothing:
        // it would only hold back the end of each write for a round trip.
        self.socket.set_nodelay(true)?;
        SockRef::from(&self.socket).set_send_buffer_size(SEND_BUFFER_BYTES)
    }

    /// Writes all new bytes, as far as the kernel takes them, and says whether the listener stays.
    pub(super) fn visit(&mut self, now: Instant) -> VisitResult {
        if let Some(why) = self.control.ended() {
            return VisitResult::Leave(why);
        }
        match self.serve(now) {
            VisitResult::Stay if self.is_time_up(now) => VisitResult::Leave(Left::TimeIsUp),
            result => result,
        }
    }

    /// Whether the listener has heard as long as it may, and has been sent all that there is.
    fn is_time_up(&mut self, now: Instant) -> bool {
        let Some(until) = self.until.filter(|until| now >= *until) else {
            return false;
        };
        let has_taken_all = self.head.is_empty() && self.prologue.is_empty();
        now >= until + LAST_WORDS || (has_taken_all && !self.has_more_to_read())
    }

    fn has_more_to_read(&mut self) -> bool {
        matches!(self.reader.read(1), Read::Bytes(_))
    }

    fn serve(&mut self, now: Instant) -> VisitResult {
        let audio = match self.reader.read(VISIT_BYTES) {
            Read::Bytes(audio) => audio,
            Read::Wait => Vec::new(),
            Read::Overrun { .. } => return VisitResult::Leave(Left::TooSlow),
            Read::Ended if self.head.is_empty() => return VisitResult::Leave(Left::StreamEnded),
            Read::Ended => Vec::new(),
        };
        let prologue = self.reader.take_prologue();
        if !prologue.is_empty() {
            // Nothing is left of the one before: the reader goes on to another feed behind audio that was taken.
            self.prologue = prologue;
        }
        let has_more = !self.head.is_empty() || !audio.is_empty();
        match self.write(audio) {
            Ok(0) => self.note_refused(has_more, now),
            Ok(written) => {
                self.stuck_since = None;
                self.control.count_sent(written as u64);
                VisitResult::Stay
            }
            Err(left) => VisitResult::Leave(left),
        }
    }

    /// Reports that the listener leaves, and closes.
    pub(super) fn leave(self, why: Left) {
        drop(self.socket);
        self.leave.left(why, self.control.sent_bytes());
    }

    /// Writes the head, the prologue and the audio, as far as the kernel takes them.
    fn write(&mut self, mut audio: Vec<Bytes>) -> Result<usize, Left> {
        let prologue_bytes = self.prologue.len();
        if prologue_bytes > 0 {
            audio.insert(0, self.prologue.clone());
        }
        let Some(icy) = &mut self.icy else {
            let written = send(&self.socket, &self.head, audio.iter())?;
            let stream_bytes = written - advance(&mut self.head, written);
            self.note_taken(stream_bytes);
            return Ok(written);
        };
        let (feed, position) = (self.reader.feed(), self.reader.position());
        // What is woven begins with the prologue, which has no offset of its own in the stream.
        let offset_of = |place: u64| position + place.saturating_sub(prologue_bytes as u64);
        let woven = icy.weave(0, audio, |place| feed.title_at(offset_of(place)));
        let written = send(&self.socket, &self.head, woven.pieces())?;
        let head_bytes = advance(&mut self.head, written);
        let stream_bytes = icy.advance(&woven, written - head_bytes);
        self.note_taken(stream_bytes);
        Ok(written)
    }

    /// Notes that the kernel has taken so many bytes of prologue and audio.
    fn note_taken(&mut self, stream_bytes: usize) {
        let audio_bytes = stream_bytes - advance(&mut self.prologue, stream_bytes);
        self.reader.advance(audio_bytes as u64);
    }

    /// Notes a visit by which nothing was taken. `has_more` is whether there was anything to take.
    fn note_refused(&mut self, has_more: bool, now: Instant) -> VisitResult {
        if has_more {
            self.stuck_since.get_or_insert(now);
        }
        if now.saturating_duration_since(self.checked_at) < CHECK_EVERY {
            return VisitResult::Stay;
        }
        self.checked_at = now;
        let is_stuck = |since| now.saturating_duration_since(since) >= STUCK_LIMIT;
        if self.stuck_since.is_some_and(is_stuck) && self.reader.has_finished() {
            return VisitResult::Leave(Left::TooSlow);
        }
        self.check()
    }

    /// Checks whether the connection is gone, while there is nothing to write that would show it.
    ///
    /// What a listener sends after its request is ignored. The end of that is no sign of leaving: some
    /// programs and proxies close their sending half after the request, and read on.
    fn check(&mut self) -> VisitResult {
        if !matches!(self.socket.take_error(), Ok(None)) {
            return VisitResult::Leave(Left::Gone);
        }
        if self.half_closed {
            return VisitResult::Stay;
        }
        let mut ignored = [0; 512];
        match self.socket.read(&mut ignored) {
            Ok(0) => self.note_half_close(),
            Ok(_) => VisitResult::Stay,
            Err(error) if is_transient(error.kind()) => VisitResult::Stay,
            Err(_) => VisitResult::Leave(Left::Gone),
        }
    }

    fn note_half_close(&mut self) -> VisitResult {
        self.half_closed = true;
        let probes = TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(PROBE_EVERY)
            .with_retries(PROBES);
        match SockRef::from(&self.socket).set_tcp_keepalive(&probes) {
            Ok(()) => VisitResult::Stay,
            Err(_) => VisitResult::Leave(Left::Gone), // A connection without options is gone.
        }
    }
}

/// Takes at most so many bytes off the front. Returns how many there were.
fn advance(bytes: &mut Bytes, at_most: usize) -> usize {
    let taken = bytes.len().min(at_most);
    bytes.advance(taken);
    taken
}

/// Writes head and pieces in one system call. 0 if there is nothing to write or no room for it.
fn send<'a>(
    mut socket: &TcpStream,
    head: &'a [u8],
    pieces: impl Iterator<Item = &'a Bytes>,
) -> Result<usize, Left> {
    let head = Some(head).filter(|head| !head.is_empty());
    let slices = head.into_iter().chain(pieces.map(|piece| &piece[..]));
    let slices: Vec<IoSlice<'_>> = slices.map(IoSlice::new).collect();
    if slices.is_empty() {
        return Ok(0);
    }
    match socket.write_vectored(&slices) {
        Ok(written) => Ok(written),
        Err(error) if is_transient(error.kind()) => Ok(0),
        Err(_) => Err(Left::Gone),
    }
}

/// Whether the next round may well succeed.
fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::io::channel::Channel;
    use crate::io::feed::Feed;
    use crate::media::ring::samples::ring;
    use crate::model::stream::EndReason;

    /// A listener with this head, on the loopback, and its player, which has read nothing yet.
    fn member(feed: &Feed, head: Bytes, now: Instant) -> (Member, TcpStream) {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let player = TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let listener = Listener {
            socket: door.accept().unwrap().0,
            head,
            reader: Channel::new(feed.clone()).join(Duration::ZERO),
            icy: None,
            until: None,
            control: Arc::default(),
            leave: Box::new(|_: Left, _: u64| ()),
        };
        let member = Member::new(listener, now);
        member.prepare().unwrap();
        (member, player)
    }

    /// Visits at this time until the kernel takes no more.
    fn fill(member: &mut Member, now: Instant) {
        loop {
            let before = member.control.sent_bytes();
            assert!(stays(member, now));
            if member.control.sent_bytes() == before {
                return;
            }
        }
    }

    fn stays(member: &mut Member, now: Instant) -> bool {
        match member.visit(now) {
            VisitResult::Stay => true,
            VisitResult::Leave(why) => {
                assert_eq!(why, Left::TooSlow);
                false
            }
        }
    }

    /// More than the kernel buffers between two ends of a loopback.
    fn endless() -> Vec<u8> {
        vec![7; 7 << 20]
    }

    #[test]
    fn an_unread_listener_leaves_a_finished_stream_in_time() {
        let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
        let (mut member, _player) = member(&feed, Bytes::new(), now);
        feed.append(0, &endless(), now);
        fill(&mut member, now);
        let late = now + 2 * STUCK_LIMIT;
        assert!(stays(&mut member, late), "the ring may still push it off");
        feed.finish(EndReason::SourceLeft);
        assert!(!stays(&mut member, late + CHECK_EVERY));
    }

    #[test]
    fn a_listener_that_reads_again_gets_its_time_anew() {
        let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
        let (mut member, mut player) = member(&feed, Bytes::new(), now);
        feed.append(0, &endless(), now);
        feed.end(EndReason::SourceLeft);
        fill(&mut member, now);
        let mut taken = vec![0; 4 << 20];
        player.read_exact(&mut taken[..64 << 10]).unwrap();
        let late = now + STUCK_LIMIT - Duration::from_millis(1);
        assert!(stays(&mut member, late));
        let sent_bytes = member.control.sent_bytes();
        while member.control.sent_bytes() == sent_bytes {
            let some = player.read(&mut taken).unwrap();
            assert!(some > 0 && stays(&mut member, late));
        }
        fill(&mut member, late);
        assert!(stays(&mut member, late + STUCK_LIMIT / 2));
        assert!(!stays(&mut member, late + 2 * STUCK_LIMIT));
    }

    #[test]
    fn a_head_that_nobody_reads_keeps_no_listener() {
        let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
        feed.end(EndReason::SourceLeft);
        let (mut member, _player) = member(&feed, endless().into(), now);
        fill(&mut member, now);
        assert!(stays(&mut member, now + STUCK_LIMIT / 2));
        assert!(!stays(&mut member, now + STUCK_LIMIT));
    }

    #[test]
    fn a_listener_leaves_at_its_time_behind_what_there_is() {
        let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
        let (mut member, mut player) = member(&feed, Bytes::new(), now);
        member.until = Some(now + Duration::from_secs(60));
        feed.append(0, b"before", now);
        assert!(stays(&mut member, now + Duration::from_secs(59)));
        feed.append(6, b" and last", now);
        let left = member.visit(now + Duration::from_secs(60));
        assert!(matches!(left, VisitResult::Leave(Left::TimeIsUp)));
        member.leave(Left::TimeIsUp);
        let mut heard = Vec::new();
        player.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"before and last");
    }

    #[test]
    fn a_slow_listener_leaves_soon_after_its_time() {
        let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
        let (mut member, _player) = member(&feed, Bytes::new(), now);
        member.until = Some(now);
        feed.append(0, &endless(), now);
        fill(&mut member, now);
        assert!(stays(&mut member, now + LAST_WORDS / 2), "it may catch up");
        let left = member.visit(now + LAST_WORDS);
        assert!(matches!(left, VisitResult::Leave(Left::TimeIsUp)));
    }

    #[test]
    fn a_listener_that_waits_for_the_next_stream_stays() {
        let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
        let (mut member, _player) = member(&feed, Bytes::new(), now);
        feed.append(0, b"all of it", now);
        feed.finish(EndReason::SourceLeft);
        fill(&mut member, now);
        assert!(stays(&mut member, now + 10 * STUCK_LIMIT));
    }
}
