//! One listener on its pacer's thread: what it was sent, and what follows.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, TcpKeepalive};

use super::{Control, Leaving, Left, Listener};
use crate::io::channel::ChannelReader;
use crate::media::icy::{Interleaver, Woven};
use crate::media::ring::Read;

/// A listener between two visits. Holds no audio, only its reader.
pub(super) struct Member {
    socket: TcpStream,
    /// The rest of what comes before the audio: the head, and what a decoder needs first.
    head: Bytes,
    reader: ChannelReader,
    icy: Option<Interleaver>,
    control: Arc<Control>,
    leave: Box<dyn Leaving>,
    checked_at: Instant,
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
            reader: listener.reader,
            icy: listener.icy,
            control: listener.control,
            leave: listener.leave,
            checked_at: now,
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

    /// Writes all new bytes, as far as the kernel takes them.
    pub(super) fn visit(&mut self, now: Instant) -> VisitResult {
        if let Some(why) = self.control.ended() {
            return VisitResult::Leave(why);
        }
        let read = self.reader.read(VISIT_BYTES);
        self.head = joined(std::mem::take(&mut self.head), self.reader.take_prologue());
        let audio = match read {
            Read::Bytes(audio) => audio,
            Read::Wait => Vec::new(),
            Read::Overrun { .. } => return VisitResult::Leave(Left::TooSlow),
            Read::Ended if self.head.is_empty() => return VisitResult::Leave(Left::StreamEnded),
            Read::Ended => Vec::new(),
        };
        let written = match &self.icy {
            None => self.write(&audio),
            Some(icy) => {
                let (feed, position) = (self.reader.feed(), self.reader.position());
                let woven = icy.weave(position, audio, |offset| feed.title_at(offset));
                self.write_woven(&woven)
            }
        };
        match written {
            Ok(0) if now.saturating_duration_since(self.checked_at) >= CHECK_EVERY => {
                self.checked_at = now;
                self.check()
            }
            Ok(0) => VisitResult::Stay,
            Ok(written) => {
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

    fn write(&mut self, audio: &[Bytes]) -> Result<usize, Left> {
        let written = send(&self.socket, &self.head, audio.iter())?;
        let head_bytes = self.head.len().min(written);
        self.head.advance(head_bytes);
        self.reader.advance((written - head_bytes) as u64);
        Ok(written)
    }

    fn write_woven(&mut self, woven: &Woven) -> Result<usize, Left> {
        let written = send(&self.socket, &self.head, woven.pieces())?;
        let head_bytes = self.head.len().min(written);
        self.head.advance(head_bytes);
        if let Some(icy) = &mut self.icy {
            let audio_bytes = icy.advance(woven, written - head_bytes);
            self.reader.advance(audio_bytes as u64);
        }
        Ok(written)
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

/// A head and the prologue behind it; copied only if there are both.
fn joined(head: Bytes, prologue: Bytes) -> Bytes {
    match (head.is_empty(), prologue.is_empty()) {
        (_, true) => head,
        (true, false) => prologue,
        (false, false) => [head, prologue].concat().into(),
    }
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
