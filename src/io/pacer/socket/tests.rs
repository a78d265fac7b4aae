//! Listeners by TLS: each byte, the end, and what becomes of one that does not read.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::{ClientConnection, StreamOwned};
use socket2::SockRef;

use super::super::connection::samples::pair;
use super::super::connection::{CHECK_EVERY, STUCK_LIMIT, TLS_REST, VisitResult};
use super::super::occupant::Occupant;
use super::super::relayed::RELAY_BYTES;
use super::super::{Control, Left, Listener, RingSound, Sound, UpstreamSocket};
use super::*;
use crate::io::channel::Channel;
use crate::io::feed::Feed;
use crate::io::https::handshake::samples::sessions;
use crate::media::icy::{Interleaver, METAINT, player};
use crate::media::ring::RingLimits;
use crate::media::ring::samples::ring;
use crate::model::stream::EndReason;
use crate::model::title::TitleInfo;

const HEAD: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

type TlsPlayer = StreamOwned<ClientConnection, TcpStream>;

/// A listener by TLS between two visits, and its player.
struct TlsBench {
    occupant: Occupant,
    player: TlsPlayer,
    control: Arc<Control>,
    buffer: Vec<u8>,
}

impl TlsBench {
    fn hearing(sound: Sound, now: Instant) -> Self {
        let [player, node] = pair();
        SockRef::from(&player)
            .set_recv_buffer_size(16 << 10)
            .unwrap();
        player.set_read_timeout(Some(PATIENCE)).unwrap();
        let (player, session) = sessions(player, &node);
        let control: Arc<Control> = Arc::default();
        let listener = Listener {
            socket: ListenerSocket::with_session(node, Some(session)),
            head: Bytes::from_static(HEAD),
            sound,
            until: None,
            control: control.clone(),
            leave: Box::new(|_: Left, _: u64| ()),
        };
        let occupant = Occupant::new(listener, now);
        occupant.prepare().unwrap();
        Self {
            occupant,
            player,
            control,
            buffer: vec![0; RELAY_BYTES],
        }
    }

    fn of_ring(feed: &Feed, icy: Option<Interleaver>, now: Instant) -> Self {
        let reader = Channel::new(feed.clone()).join(Duration::from_secs(5));
        let sound = RingSound {
            intro: None,
            reader,
            icy,
        };
        Self::hearing(Sound::Ring(sound), now)
    }

    fn visit(&mut self, now: Instant) -> Option<Left> {
        match self.occupant.visit(now, &mut self.buffer) {
            VisitResult::Stay => None,
            VisitResult::Leave(why) => Some(why),
        }
    }

    /// Visits until the listener leaves, while its player reads on; why it left, and all that was heard until the end,
    /// which must have been told.
    fn hear_out(mut self) -> (Left, Vec<u8>) {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut heard = Vec::new();
                self.player.read_to_end(&mut heard).map(|_| heard)
            });
            let occupant = &mut self.occupant;
            let why = loop {
                match occupant.visit(Instant::now(), &mut self.buffer) {
                    VisitResult::Leave(why) => break why,
                    VisitResult::Stay => std::thread::yield_now(),
                }
            };
            self.occupant.leave(why);
            (why, reading.join().unwrap().expect("the end is told"))
        })
    }
}

fn stream(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 % 251) as u8).collect()
}

fn feed_with(bytes: &[u8], limits: RingLimits) -> Feed {
    let feed = Feed::new(ring("application/ogg").with_limits(limits));
    feed.append(0, bytes, Instant::now());
    feed
}

#[test]
fn every_byte_comes_and_then_the_end() {
    let (now, sent) = (Instant::now(), stream(300_000));
    let feed = feed_with(&sent, RingLimits::default());
    let bench = TlsBench::of_ring(&feed, None, now);
    feed.end(EndReason::SourceLeft);
    let control = bench.control.clone();
    let (why, heard) = bench.hear_out();
    assert_eq!(why, Left::StreamEnded);
    assert!(heard.strip_prefix(HEAD) == Some(&sent));
    assert_eq!(control.sent_bytes(), heard.len() as u64);
}

#[test]
fn one_that_has_taken_all_is_let_be_for_a_while() {
    let now = Instant::now();
    let feed = feed_with(b"audio", RingLimits::default());
    let mut bench = TlsBench::of_ring(&feed, None, now);
    assert_eq!(bench.visit(now), None);
    let sent_bytes = bench.control.sent_bytes();
    feed.append(5, b" and more", now);
    assert_eq!(bench.visit(now + TLS_REST / 2), None);
    assert_eq!(bench.control.sent_bytes(), sent_bytes);
    assert_eq!(bench.visit(now + TLS_REST), None);
    assert_eq!(bench.control.sent_bytes(), sent_bytes + 9);
}

#[test]
fn titles_are_woven_in() {
    let (now, sent) = (Instant::now(), stream(METAINT * 3));
    let feed = feed_with(&sent, RingLimits::default());
    feed.set_title(0, &TitleInfo::plain("One"));
    let bench = TlsBench::of_ring(&feed, Some(Interleaver::default()), now);
    feed.end(EndReason::SourceLeft);
    let (_, heard) = bench.hear_out();
    let (audio, titles) = player::separate(&heard[HEAD.len()..], METAINT);
    assert!(audio == sent);
    assert_eq!(titles[0].as_deref(), Some("One"));
}

#[test]
fn what_another_server_sends_comes_and_then_the_end() {
    let (now, sent) = (Instant::now(), stream(2 << 20));
    let [mut server, upstream] = pair();
    let upstream = UpstreamSocket {
        socket: upstream,
        begun: Bytes::from_static(b"begun "),
        bitrate_bps: 128_000,
    };
    let bench = TlsBench::hearing(Sound::Upstream(upstream), now);
    let copy = sent.clone();
    let writing = std::thread::spawn(move || server.write_all(&copy).unwrap());
    let (why, heard) = bench.hear_out();
    writing.join().unwrap();
    assert_eq!(why, Left::StreamEnded);
    assert!(heard == [HEAD, b"begun ", &sent].concat());
}

#[test]
fn one_that_does_not_read_costs_little_and_falls_off_the_ring() {
    let mut now = Instant::now();
    let limits = RingLimits {
        max_bytes: 256 << 10,
        burst_bytes: 0,
        ..RingLimits::default()
    };
    let feed = feed_with(&[], limits);
    let mut bench = TlsBench::of_ring(&feed, None, now);
    let dropped = (0..400).find_map(|_| {
        now += TLS_REST;
        feed.append(feed.next(), &stream(16 << 10), now);
        bench.visit(now)
    });
    assert_eq!(dropped, Some(Left::TooSlow));
    // The kernel's buffers, as for a plain listener, and one visit's bytes in memory.
    assert!(bench.control.sent_bytes() <= 320 << 10);
}

#[test]
fn one_that_leaves_the_end_unread_is_given_up() {
    let now = Instant::now();
    let feed = feed_with(&stream(600_000), RingLimits::default());
    let mut bench = TlsBench::of_ring(&feed, None, now);
    feed.end(EndReason::SourceLeft);
    for _ in 0..100 {
        assert_eq!(bench.visit(now), None);
    }
    assert_eq!(bench.visit(now + STUCK_LIMIT / 2), None);
    let given_up = (0..3).find_map(|_| bench.visit(now + 2 * STUCK_LIMIT));
    assert_eq!(given_up, Some(Left::TooSlow));
}

#[test]
fn what_the_player_sends_is_ignored_and_its_close_is_half_a_one() {
    let mut now = Instant::now();
    let feed = feed_with(b"audio", RingLimits::default());
    let mut bench = TlsBench::of_ring(&feed, None, now);
    assert_eq!(bench.visit(now), None);
    bench.player.write_all(&stream(10_000)).unwrap();
    bench.player.conn.refresh_traffic_keys().unwrap();
    bench.player.write_all(b"with new keys").unwrap();
    bench.player.conn.send_close_notify();
    bench.player.flush().unwrap();
    for _ in 0..20 {
        now += CHECK_EVERY;
        assert_eq!(bench.visit(now), None);
    }
    feed.append(5, b" and more", now);
    assert_eq!(bench.visit(now), None);
    let mut heard = vec![0; HEAD.len() + 14];
    bench.player.read_exact(&mut heard).unwrap();
    assert!(heard.ends_with(b"audio and more"));
}

#[test]
fn a_player_that_breaks_the_protocol_has_gone() {
    let mut now = Instant::now();
    let feed = feed_with(b"audio", RingLimits::default());
    let mut bench = TlsBench::of_ring(&feed, None, now);
    bench
        .player
        .sock
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .unwrap();
    let left = (0..20).find_map(|_| {
        now += CHECK_EVERY;
        bench.visit(now)
    });
    assert_eq!(left, Some(Left::Gone));
}

#[test]
fn a_kill_is_told_too() {
    let now = Instant::now();
    let feed = feed_with(b"audio", RingLimits::default());
    let mut bench = TlsBench::of_ring(&feed, None, now);
    assert_eq!(bench.visit(now), None);
    bench.control.end(Left::Killed);
    let (why, heard) = bench.hear_out();
    assert_eq!(why, Left::Killed);
    assert!(heard.ends_with(b"audio"));
}

#[test]
fn much_that_was_sent_before_is_forgotten() {
    let [player, node] = pair();
    let (mut player, mut session) = sessions(player, &node);
    player.write_all(&stream(40_000)).unwrap();
    // Until TLS takes no more before somebody has read what it has.
    while session.read_tls(&mut &node).is_ok() {
        session.process_new_packets().unwrap();
    }
    node.set_nonblocking(true).unwrap();
    let mut socket = ListenerSocket::with_session(node, Some(session));
    for _ in 0..10 {
        assert_eq!(socket.ignore_sent(), Ok(ListenerSide::Open));
    }
}
