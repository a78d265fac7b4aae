//! One listener whose bytes come from another server on this machine: what is read there is written on, as it is.
//!
//! A visit reads once and writes once; the one after it rests. What the listener has not taken is kept, and nothing more is read meanwhile: then
//! the other server notices that the listener is slow, and ends it.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::SockRef;

use super::connection::{ListenerConnection, VisitResult, advance};
use super::member::visit_bytes;
use super::socket::is_transient;
use super::{Left, UpstreamSocket};

/// The most that one visit takes over, and the most that is kept of one listener: half a second of 4 Mbit/s.
pub(super) const RELAY_BYTES: usize = 256 << 10;

/// A listener between two visits.
pub(super) struct Relayed {
    connection: ListenerConnection,
    upstream: TcpStream,
    /// Read, and not taken by the listener yet.
    kept: Bytes,
    /// Whether the next visit lets it be: half as many reads and writes, each of twice as much.
    rests: bool,
    send_buffer: usize,
}

impl Relayed {
    pub(super) fn new(connection: ListenerConnection, upstream: UpstreamSocket) -> Self {
        Self {
            connection,
            upstream: upstream.socket,
            kept: upstream.begun,
            rests: false,
            send_buffer: visit_bytes(upstream.bitrate_bps),
        }
    }

    /// Makes both sockets ready for visits. Fails if one is closed already.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.upstream.set_nonblocking(true)?;
        self.connection.prepare(self.send_buffer)
    }

    /// Writes on what has come; `buffer` is for this visit only.
    pub(super) fn visit(&mut self, now: Instant, buffer: &mut [u8]) -> VisitResult {
        if let Some(why) = self.connection.control.ended() {
            return VisitResult::Leave(why);
        }
        if std::mem::take(&mut self.rests) {
            return VisitResult::Stay;
        }
        let fresh = match self.read(buffer) {
            Some(bytes) => &buffer[..bytes],
            None => match self.connection.has_finished() {
                Ok(true) => return VisitResult::Leave(Left::StreamEnded),
                Ok(false) => &buffer[..0],
                Err(left) => return VisitResult::Leave(left),
            },
        };
        let has_head = !self.connection.head.is_empty();
        let has_more = has_head || !self.kept.is_empty() || !fresh.is_empty();
        let written = match self.write(fresh) {
            Ok(written) => written,
            Err(left) => return VisitResult::Leave(left),
        };
        let is_time_up = self.connection.until.is_some_and(|until| now >= until);
        match written {
            _ if is_time_up && !self.is_behind() => VisitResult::Leave(Left::TimeIsUp),
            0 => self.connection.note_refused(has_more, || true, now),
            _ => {
                self.rests = !self.is_behind();
                self.connection.note_taken(now)
            }
        }
    }

    /// Whether the listener has not taken all that was read.
    fn is_behind(&self) -> bool {
        !self.kept.is_empty() || self.connection.socket.has_pending()
    }

    /// Reads what has come, if the listener has taken what came before; `None` at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.connection.socket.is_finishing() {
            return None;
        }
        if self.is_behind() {
            return Some(0);
        }
        match self.upstream.read(buffer) {
            Ok(0) => None,
            Ok(bytes) => Some(bytes),
            Err(error) if is_transient(error.kind()) => Some(0),
            Err(_) => None,
        }
    }

    /// Writes the head, what was kept, and what has just been read, as far as they are taken; keeps the rest.
    fn write(&mut self, fresh: &[u8]) -> Result<usize, Left> {
        let pieces = [&self.kept[..], fresh].into_iter();
        let sent = self
            .connection
            .send(pieces.filter(|piece| !piece.is_empty()))?;
        let taken = sent.of_stream - advance(&mut self.kept, sent.of_stream);
        if taken < fresh.len() {
            self.kept = Bytes::copy_from_slice(&fresh[taken..]);
        }
        Ok(sent.all)
    }

    /// Reports that the listener leaves, and closes both connections. The other server need not send what it still has.
    pub(super) fn leave(self, why: Left) {
        // A connection that refuses has ended.
        let _ended = SockRef::from(&self.upstream).set_linger(Some(Duration::ZERO));
        self.connection.leave(why);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::connection::STUCK_LIMIT;
    use super::super::connection::samples::{pair, visit_until_refused};
    use super::*;

    /// A listener, its player, and the server that feeds it.
    fn relayed(head: &'static [u8], now: Instant) -> (Relayed, TcpStream, TcpStream) {
        let head = Bytes::from_static(head);
        let (connection, player) = ListenerConnection::sample(head, now);
        let [server, upstream] = pair();
        let upstream = UpstreamSocket {
            socket: upstream,
            begun: Bytes::from_static(b"begun "),
            bitrate_bps: 128_000,
        };
        let relayed = Relayed::new(connection, upstream);
        relayed.prepare().unwrap();
        (relayed, player, server)
    }

    fn stays(relayed: &mut Relayed, now: Instant) -> bool {
        let mut buffer = vec![0; RELAY_BYTES];
        matches!(relayed.visit(now, &mut buffer), VisitResult::Stay)
    }

    /// Visits at this time until the kernel takes no more.
    fn fill(relayed: &mut Relayed, now: Instant) {
        visit_until_refused(|| {
            assert!(stays(relayed, now));
            let connection = &relayed.connection;
            let is_stuck = connection.stuck_since.is_some();
            (connection.control.sent_bytes(), is_stuck)
        });
    }

    fn take(player: &mut TcpStream, bytes: usize) -> Vec<u8> {
        let mut taken = vec![0; bytes];
        player.read_exact(&mut taken).unwrap();
        taken
    }

    #[test]
    fn all_bytes_come_in_order_behind_our_own_head() {
        let now = Instant::now();
        let (mut relayed, mut player, mut server) = relayed(b"head ", now);
        server.write_all(b"and more").unwrap();
        // The visit after one that has written something rests.
        assert!((0..3).all(|_| stays(&mut relayed, now)));
        assert_eq!(take(&mut player, 19), b"head begun and more");
        assert_eq!(relayed.connection.control.sent_bytes(), 19);
    }

    #[test]
    fn a_slow_listener_loses_nothing_and_little_is_kept_for_it() {
        let now = Instant::now();
        let (mut relayed, mut player, mut server) = relayed(b"", now);
        let sent: Vec<u8> = (0..8 << 20_u32).map(|byte| (byte % 251) as u8).collect();
        let copy = sent.clone();
        let writing = std::thread::spawn(move || server.write_all(&copy));
        fill(&mut relayed, now);
        assert!(relayed.kept.len() <= RELAY_BYTES);
        assert!(stays(&mut relayed, now + STUCK_LIMIT / 2));
        let reading = std::thread::spawn(move || take(&mut player, 6 + (8 << 20)));
        while relayed.connection.control.sent_bytes() < 6 + (8 << 20) {
            assert!(stays(&mut relayed, now + STUCK_LIMIT / 2));
        }
        assert!(reading.join().unwrap()[6..] == sent);
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn one_that_takes_nothing_is_given_up() {
        let now = Instant::now();
        let (mut relayed, _player, mut server) = relayed(b"", now);
        let _writing = std::thread::spawn(move || server.write_all(&vec![0; 64 << 20]));
        fill(&mut relayed, now);
        assert!(stays(&mut relayed, now + STUCK_LIMIT / 2));
        assert!(!stays(&mut relayed, now + 2 * STUCK_LIMIT));
    }

    #[test]
    fn it_ends_with_the_server_and_by_order() {
        let now = Instant::now();
        let (mut gone, mut player, server) = relayed(b"head ", now);
        drop(server);
        while stays(&mut gone, now) {}
        assert_eq!(take(&mut player, 11), b"head begun ");
        let (mut killed, _player, _server) = relayed(b"", now);
        killed.connection.control.end(Left::Killed);
        assert!(!stays(&mut killed, now));
        let (mut late, mut player, _server) = relayed(b"", now);
        late.connection.until = Some(now);
        assert!(!stays(&mut late, now), "all was taken");
        assert_eq!(take(&mut player, 6), b"begun ");
    }
}
