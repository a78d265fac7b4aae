//! The connection of a listener: what both kinds of members do with it, whatever they write to it.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, TcpKeepalive};

use super::socket::{ListenerSide, ListenerSocket};
use super::{Control, Leaving, Left};

/// How often the connection of a listener that cannot be written to is checked.
/// An audience that resets its connections is noticed within a second; a check costs a system call.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How long a listener may read nothing once its stream has finished.
///
/// While a stream grows, a listener that does not read falls off the ring, which holds some 30 s by default. A finished
/// stream pushes nobody off, so this is the same patience by the clock. Also longer than a phone needs to change its network.
pub(super) const STUCK_LIMIT: Duration = Duration::from_secs(30);

/// How a listener that has closed its sending half is probed while there is nothing to write to it.
///
/// Only the answer to a write tells whether it has closed the other half too, until its system has forgotten the
/// connection, which takes a minute on Linux. After that the first of these probes is answered with a reset.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// How often the probe is repeated, three times in all, if there is no answer.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How many probes may go unanswered.
const PROBES: u32 = 3;

/// How often is read what a listener by TLS sends while it takes all that it gets: the client may ask for new keys, which
/// is not urgent, or close in order. Rare, because it is a system call of its own.
const READ_TLS_EVERY: Duration = Duration::from_secs(10);

/// How long a listener by TLS is let be once it has taken all that there was.
///
/// Each visit makes a record of its own, so that few visits with much each cost less: 1,000 listeners on two threads are
/// visited every 250 ms, and so every second time. Longer than the half second between two visits it would only add to that.
pub(super) const TLS_REST: Duration = Duration::from_millis(300);

/// How much was taken of what was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakenBytes {
    pub(super) all: usize,
    /// All but the head.
    pub(super) of_stream: usize,
}

/// The result of a visit.
pub(super) enum VisitResult {
    /// The listener stays.
    Stay,
    /// The listener has to leave.
    Leave(Left),
}

/// A listener's connection between two visits.
pub(super) struct ListenerConnection {
    pub(super) socket: ListenerSocket,
    /// The rest of the answer's head.
    pub(super) head: Bytes,
    pub(super) until: Option<Instant>,
    pub(super) control: Arc<Control>,
    pub(super) leave: Box<dyn Leaving>,
    pub(super) checked_at: Instant,
    /// When the kernel first refused what the listener has to be sent; `None` once it has taken a byte.
    pub(super) stuck_since: Option<Instant>,
    /// Whether the listener has closed its sending half, and sends nothing more.
    pub(super) half_closed: bool,
    /// Until when it is let be.
    pub(super) rests_until: Option<Instant>,
}

impl ListenerConnection {
    /// Makes the socket ready for visits. Fails if it is closed already.
    pub(super) fn prepare(&self, send_buffer: usize) -> io::Result<()> {
        let socket = self.socket.tcp();
        socket.set_nonblocking(true)?;
        // All new bytes are sent in one write, so Nagle's algorithm would gather nothing:
        // it would only hold back the end of each write for a round trip.
        socket.set_nodelay(true)?;
        self.set_send_buffer(send_buffer)
    }

    pub(super) fn set_send_buffer(&self, bytes: usize) -> io::Result<()> {
        SockRef::from(self.socket.tcp()).set_send_buffer_size(bytes)
    }

    /// Whether the listener has taken nothing for too long.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= STUCK_LIMIT;
        self.stuck_since.is_some_and(is_over)
    }

    /// Reports that the listener leaves, and closes. Of a listener that takes nothing any more the connection is reset: the
    /// kernel would keep what it has not taken, up to a second of the stream, and offer it for minutes.
    pub(super) fn leave(self, why: Left) {
        if why == Left::TooSlow && self.stuck_since.is_some() {
            // A connection that refuses has ended.
            let _ended = SockRef::from(self.socket.tcp()).set_linger(Some(Duration::ZERO));
            drop(self.socket);
        } else {
            self.socket.close();
        }
        self.leave.left(why, self.control.sent_bytes());
    }

    /// Writes the rest of the head and these pieces, which are not empty, in one system call, as far as they are taken.
    pub(super) fn send<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<TakenBytes, Left> {
        let mut slices = Vec::new();
        if !self.head.is_empty() {
            slices.push(IoSlice::new(&self.head));
        }
        for piece in pieces {
            slices.push(IoSlice::new(piece));
        }
        let sent = self.socket.send(&slices)?;
        if sent.has_moved {
            self.stuck_since = None;
        }
        self.control.count_sent(sent.taken as u64);
        let head_bytes = advance(&mut self.head, sent.taken);
        Ok(TakenBytes {
            all: sent.taken,
            of_stream: sent.taken - head_bytes,
        })
    }

    /// Whether the kernel has all that was to be sent, and the listener is told that nothing follows.
    pub(super) fn has_finished(&mut self) -> Result<bool, Left> {
        if !self.head.is_empty() {
            return Ok(false);
        }
        if self.socket.finish()? {
            self.stuck_since = None;
        }
        Ok(!self.socket.has_pending())
    }

    /// Whether it is let be at this time.
    pub(super) fn is_resting(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Lets a listener by TLS be for a while: it has taken all that there was.
    pub(super) fn rest(&mut self, now: Instant) {
        if self.socket.is_tls() && !self.socket.has_pending() {
            self.rests_until = Some(now + TLS_REST);
        }
    }

    /// Notes a visit by which something was taken.
    pub(super) fn note_taken(&mut self, now: Instant) -> VisitResult {
        let is_due = now.saturating_duration_since(self.checked_at) >= READ_TLS_EVERY;
        if !self.socket.is_tls() || !is_due {
            return VisitResult::Stay;
        }
        self.checked_at = now;
        self.check()
    }

    /// Notes a visit by which nothing was taken. `has_more` is whether there was anything to take; a listener that is stuck
    /// is given up if `gives_up` says so.
    pub(super) fn note_refused(
        &mut self,
        has_more: bool,
        gives_up: impl FnOnce() -> bool,
        now: Instant,
    ) -> VisitResult {
        if has_more || self.socket.has_pending() {
            self.stuck_since.get_or_insert(now);
        }
        if now.saturating_duration_since(self.checked_at) < CHECK_EVERY {
            return VisitResult::Stay;
        }
        self.checked_at = now;
        if self.is_stuck(now) && gives_up() {
            return VisitResult::Leave(Left::TooSlow);
        }
        self.check()
    }

    /// Checks whether the connection is gone, while there is nothing to write that would show it.
    ///
    /// What a listener sends after its request is ignored. The end of that is no sign of leaving: some
    /// programs and proxies close their sending half after the request, and read on.
    fn check(&mut self) -> VisitResult {
        if !matches!(self.socket.tcp().take_error(), Ok(None)) {
            return VisitResult::Leave(Left::Gone);
        }
        if self.half_closed {
            return VisitResult::Stay;
        }
        match self.socket.ignore_sent() {
            Ok(ListenerSide::End) => self.note_half_close(),
            Ok(ListenerSide::Open) => VisitResult::Stay,
            Err(left) => VisitResult::Leave(left),
        }
    }

    fn note_half_close(&mut self) -> VisitResult {
        self.half_closed = true;
        let probes = TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(PROBE_EVERY)
            .with_retries(PROBES);
        match SockRef::from(self.socket.tcp()).set_tcp_keepalive(&probes) {
            Ok(()) => VisitResult::Stay,
            Err(_) => VisitResult::Leave(Left::Gone), // A connection without options is gone.
        }
    }
}

/// Takes at most so many bytes off the front. Returns how many there were.
pub(super) fn advance(bytes: &mut Bytes, at_most: usize) -> usize {
    let taken = bytes.len().min(at_most);
    bytes.advance(taken);
    taken
}

/// Connections on the loopback for the tests of both kinds of members.
#[cfg(test)]
pub(super) mod samples {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Two ends of a connection.
    pub(in crate::io::pacer) fn pair() -> [TcpStream; 2] {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(door.local_addr().unwrap()).unwrap();
        [near, door.accept().unwrap().0]
    }

    /// Repeats visits until the kernel has taken nothing for a while: it may move bytes from one end to the other later. A
    /// visit gives all bytes that were sent by then, and whether it was refused if these are not more.
    pub(in crate::io::pacer) fn visit_until_refused(mut visit: impl FnMut() -> (u64, bool)) {
        let (mut before, mut refused) = (visit().0, 0);
        while refused < 200 {
            let (sent_bytes, is_refused) = visit();
            refused = match sent_bytes == before && is_refused {
                true => refused + 1,
                false => 0,
            };
            before = sent_bytes;
            std::thread::yield_now();
        }
    }

    impl ListenerConnection {
        /// A listener with this head, and its player, which has read nothing yet.
        pub(in crate::io::pacer) fn sample(head: Bytes, now: Instant) -> (Self, TcpStream) {
            let [player, socket] = pair();
            let connection = Self {
                socket: socket.into(),
                head,
                until: None,
                control: Arc::default(),
                leave: Box::new(|_: Left, _: u64| ()),
                checked_at: now,
                stuck_since: None,
                half_closed: false,
                rests_until: None,
            };
            (connection, player)
        }
    }
}
