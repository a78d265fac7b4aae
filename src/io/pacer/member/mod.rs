//! One listener on its pacer's thread: what it was sent, and what follows.

mod intro;

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, TcpKeepalive};

use self::intro::IntroRest;
use super::{Control, Leaving, Left, Listener};
use crate::io::channel::ChannelReader;
use crate::media::icy::Interleaver;
use crate::media::ring::Read;

/// A listener between two visits. Holds no audio, only its reader.
pub(super) struct Member {
    socket: TcpStream,
    /// The rest of the answer's head.
    head: Bytes,
    /// The reader begins when all of it was taken.
    intro: IntroRest,
    /// The rest of what a decoder needs before the audio. Part of the stream: titles are woven into it, too.
    prologue: Bytes,
    reader: ChannelReader,
    icy: Option<Interleaver>,
    until: Option<Instant>,
    control: Arc<Control>,
    leave: Box<dyn Leaving>,
    /// The most audio that one visit writes, and the send buffer that was asked for.
    visit_bytes: usize,
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

/// The least that [`visit_bytes`] gives. The kernel allows twice as much for its own book-keeping, so a listener that
/// does not read costs at most 128 KiB; 10,000 of them 1.3 GB, where Linux would let them have 40 GB.
const LEAST_VISIT_BYTES: usize = 64 << 10;

/// The most that [`visit_bytes`] gives: a second of 8 Mbit/s. No listener delays the others by more than a copy of it.
const MOST_VISIT_BYTES: usize = 1 << 20;

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
            visit_bytes: visit_bytes(listener.reader.feed().bitrate_bps()),
            socket: listener.socket,
            head: listener.head,
            intro: IntroRest::new(listener.intro.as_deref(), now),
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
        SockRef::from(&self.socket).set_send_buffer_size(self.visit_bytes)
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
        let has_taken_all =
            self.head.is_empty() && self.intro.is_over() && self.prologue.is_empty();
        now >= until + LAST_WORDS || (has_taken_all && !self.has_more_to_read())
    }

    fn has_more_to_read(&mut self) -> bool {
        matches!(self.reader.read(1), Read::Bytes(_))
    }

    fn serve(&mut self, now: Instant) -> VisitResult {
        let audio = match self.read(now) {
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

    /// The next audio. A listener that is still busy with a long prologue loses no audio that it has begun with: it joins
    /// anew, as long as it takes anything.
    fn read(&mut self, now: Instant) -> Read {
        if !self.intro.is_over() {
            // The stream begins as for one that comes then; until then this tells the title on air.
            self.reader.rejoin();
            let due = self.intro.due(now, self.visit_bytes);
            return match due.is_empty() {
                true => Read::Wait,
                false => Read::Bytes(vec![due]),
            };
        }
        let read = self.reader.read(self.visit_bytes);
        if matches!(read, Read::Overrun { .. }) && !self.is_stuck(now) && self.reader.rejoin() {
            return self.reader.read(self.visit_bytes);
        }
        if let Read::Bytes(audio) = &read
            && audio.iter().map(Bytes::len).sum::<usize>() >= self.visit_bytes
        {
            self.widen();
        }
        read
    }

    /// Makes room for a stream that turns out to have a higher bitrate than was known: one visit has not taken all of it.
    fn widen(&mut self) {
        let wanted = visit_bytes(self.reader.feed().bitrate_bps());
        if wanted > self.visit_bytes {
            self.visit_bytes = wanted;
            // A connection that refuses has ended, which the next write shows.
            let _ended = SockRef::from(&self.socket).set_send_buffer_size(wanted);
        }
    }

    /// Whether the listener has taken nothing for too long.
    fn is_stuck(&self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= STUCK_LIMIT;
        self.stuck_since.is_some_and(is_over)
    }

    /// Reports that the listener leaves, and closes. Of a listener that takes nothing any more the connection is reset: the
    /// kernel would keep what it has not taken, up to a second of the stream, and offer it for minutes.
    pub(super) fn leave(self, why: Left) {
        if why == Left::TooSlow && self.stuck_since.is_some() {
            // A connection that refuses has ended.
            let _ended = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
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
        // What is woven begins with the prologue or is an intro, which have no offset of their own in the stream.
        let lead_bytes = match self.intro.is_over() {
            true => prologue_bytes as u64,
            false => u64::MAX,
        };
        let offset_of = |place: u64| position + place.saturating_sub(lead_bytes);
        let woven = icy.weave(0, audio, |place| feed.title_at(offset_of(place)));
        let written = send(&self.socket, &self.head, woven.pieces())?;
        let head_bytes = advance(&mut self.head, written);
        let stream_bytes = icy.advance(&woven, written - head_bytes);
        self.note_taken(stream_bytes);
        Ok(written)
    }

    /// Notes that the kernel has taken so many bytes of prologue and audio.
    fn note_taken(&mut self, stream_bytes: usize) {
        if !self.intro.is_over() {
            self.intro.advance(stream_bytes);
            return;
        }
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
        if self.is_stuck(now) && (self.reader.has_finished() || !self.intro.is_over()) {
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

/// The most audio that one visit writes, and the send buffer that takes it: a second of the stream. As the next visit
/// comes within half a second, a listener that is behind catches up.
fn visit_bytes(bitrate_bps: u64) -> usize {
    let second_bytes = usize::try_from(bitrate_bps / 8).unwrap_or(usize::MAX);
    second_bytes.clamp(LEAST_VISIT_BYTES, MOST_VISIT_BYTES)
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
mod tests;
