//! The promises of the pacer, kept over real sockets on the loopback.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use super::*;
use crate::io::channel::Channel;
use crate::io::feed::Feed;
use crate::media::format::mpeg;
use crate::media::icy::{METAINT, player};
use crate::media::ring::samples::ring;
use crate::media::ring::{Read, Ring, RingLimits};
use crate::model::stream::{EndReason, StreamId};
use crate::model::title::TitleInfo;

const HEAD: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// Longer than anything here takes, so that a broken promise fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// Listeners for one pacer, and the news of their leaving.
struct PacerBench {
    pacer: Pacer,
    door: TcpListener,
    tell: mpsc::Sender<(Left, u64)>,
    told: mpsc::Receiver<(Left, u64)>,
}

impl PacerBench {
    fn open() -> Self {
        let (tell, told) = mpsc::channel();
        Self {
            pacer: Pacer::start(PacerConfig { threads: 2 }).unwrap(),
            door: TcpListener::bind("127.0.0.1:0").unwrap(),
            tell,
            told,
        }
    }

    /// Connects a player with a small receive buffer, and the listener that is its other end.
    fn connect(&self, feed: &Feed) -> (TcpStream, Listener) {
        self.connect_to(&Channel::new(feed.clone()))
    }

    fn connect_to(&self, channel: &Channel) -> (TcpStream, Listener) {
        let player = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        player.set_recv_buffer_size(16 << 10).unwrap();
        let address: SocketAddr = self.door.local_addr().unwrap();
        player.connect(&address.into()).unwrap();
        player.set_read_timeout(Some(PATIENCE)).unwrap();
        let tell = self.tell.clone();
        let listener = Listener {
            socket: self.door.accept().unwrap().0.into(),
            head: Bytes::from_static(HEAD),
            sound: ring_sound(channel.join(Duration::from_secs(5)), None),
            until: None,
            control: Arc::default(),
            leave: Box::new(move |why, sent_bytes| tell.send((why, sent_bytes)).unwrap()),
        };
        (player.into(), listener)
    }

    fn join(&self, feed: &Feed) -> TcpStream {
        let (player, listener) = self.connect(feed);
        assert!(self.pacer.add(listener).is_ok());
        player
    }

    /// The listeners of all threads.
    fn listeners(&self) -> usize {
        let threads = self.pacer.shared.threads.iter();
        threads.map(|thread| thread.listeners()).sum()
    }

    fn next_left(&self) -> (Left, u64) {
        self.told.recv_timeout(PATIENCE).unwrap()
    }
}

fn ring_sound(reader: ChannelReader, icy: Option<Interleaver>) -> Sound {
    Sound::Ring(RingSound {
        intro: None,
        reader,
        icy,
    })
}

/// The same listener, which has asked for titles.
fn with_titles(listener: Listener) -> Listener {
    let Sound::Ring(RingSound { reader, .. }) = listener.sound else {
        panic!("it hears another server");
    };
    Listener {
        sound: ring_sound(reader, Some(Interleaver::default())),
        ..listener
    }
}

fn opaque_feed() -> Feed {
    Feed::new(ring("application/ogg"))
}

fn append(feed: &Feed, bytes: &[u8]) {
    feed.append(feed.next(), bytes, Instant::now());
}

fn take(player: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    player.read_exact(&mut bytes).unwrap();
    bytes
}

fn take_rest(player: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    player.read_to_end(&mut bytes).unwrap();
    bytes
}

fn held_from(feed: &Feed, from: u64) -> Vec<u8> {
    match feed.read(from, usize::MAX) {
        Read::Bytes(pieces) => pieces.concat(),
        _ => panic!("there is nothing at {from}"),
    }
}

/// Some of these tests need more files than a shell usually allows.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).unwrap();
}

#[test]
fn the_burst_begins_on_a_frame_and_every_byte_follows() {
    let (bench, feed) = (PacerBench::open(), Feed::new(ring("audio/mpeg")));
    append(&feed, &mpeg::samples::frames(1_000));
    append(&feed, &mpeg::samples::frame(1)[..99]);
    let mut player = bench.join(&feed);
    assert_eq!(take(&mut player, HEAD.len()), HEAD);
    let from = feed.join_point(Duration::from_secs(5)).unwrap();
    let mut burst = held_from(&feed, from);
    burst.truncate(burst.len() - 99); // nobody gets half a frame
    assert!((79_000..81_000).contains(&burst.len()));
    assert_eq!(burst[..2], [0xFF, 0xFB]);
    assert!(take(&mut player, burst.len()) == burst);
    append(&feed, &mpeg::samples::frame(1)[99..]);
    assert_eq!(take(&mut player, 417), mpeg::samples::frame(1));
    assert_eq!(bench.listeners(), 1);
}

#[test]
fn who_never_reads_is_dropped_and_delays_nobody() {
    let limits = RingLimits {
        max_bytes: 256 << 10,
        burst_bytes: 0,
        ..RingLimits::default()
    };
    let feed = Feed::new(ring("application/ogg").with_limits(limits));
    let bench = PacerBench::open();
    let _stalled = bench.join(&feed);
    let mut reader = bench.join(&feed);
    take(&mut reader, HEAD.len());
    let mut dropped = None;
    for number in 0..200 {
        let piece = vec![number as u8; 16 << 10];
        append(&feed, &piece);
        assert!(take(&mut reader, piece.len()) == piece);
        if let Ok(left) = bench.told.try_recv() {
            dropped = Some(left);
            break;
        }
    }
    let (why, sent_bytes) = dropped.expect("3 MiB are more than any buffer here");
    assert_eq!(why, Left::TooSlow);
    // What the kernel holds for it: our send buffer, doubled, and its own small receive buffer.
    assert!(sent_bytes <= 256 << 10, "{sent_bytes}");
    assert_eq!(bench.listeners(), 1);
}

#[test]
fn a_reset_is_noticed_even_in_silence() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    drop(bench.join(&feed));
    assert_eq!(bench.next_left().0, Left::Gone);
}

#[test]
fn a_closed_listener_is_noticed_by_what_is_written_next() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    let mut chatty = bench.join(&feed);
    chatty.write_all(b"GET /again HTTP/1.1\r\n\r\n").unwrap();
    take(&mut chatty, HEAD.len());
    drop(chatty);
    let begun = Instant::now();
    let (why, _) = loop {
        append(&feed, b"audio");
        match bench.told.recv_timeout(round::SLOT) {
            Ok(left) => break left,
            Err(_) => assert!(begun.elapsed() < PATIENCE, "it is still served"),
        }
    };
    assert_eq!(why, Left::Gone);
    println!("noticed after {:?}", begun.elapsed());
}

#[test]
fn a_half_closed_listener_hears_on() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    let mut player = bench.join(&feed);
    player.shutdown(Shutdown::Write).unwrap();
    take(&mut player, HEAD.len());
    // Long enough to be looked at twice, with nothing to write.
    let left = bench.told.recv_timeout(Duration::from_millis(2_500));
    assert_eq!(left, Err(mpsc::RecvTimeoutError::Timeout));
    append(&feed, b"audio");
    assert_eq!(take(&mut player, 5), b"audio");
    assert_eq!(bench.listeners(), 1);
    drop(player);
    append(&feed, b"for nobody");
    // Answered with a reset, which is noticed with the next look in silence too.
    assert_eq!(bench.next_left().0, Left::Gone);
}

#[test]
fn the_end_of_the_stream_closes_after_its_last_byte() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    append(&feed, &[7; 300_000]);
    let mut player = bench.join(&feed);
    feed.end(EndReason::SourceLeft);
    let bytes = take_rest(&mut player);
    assert_eq!(bytes.len(), HEAD.len() + 300_000);
    assert_eq!(bench.next_left(), (Left::StreamEnded, bytes.len() as u64));
    // A listener that comes too late still gets an answer.
    let mut late = bench.connect(&feed);
    let mut reader = Channel::new(feed.clone()).join(Duration::from_secs(5));
    reader.advance(feed.next() - reader.position());
    late.1.sound = ring_sound(reader, None);
    assert!(bench.pacer.add(late.1).is_ok());
    assert_eq!(take_rest(&mut late.0), HEAD);
}

#[test]
fn five_hundred_listeners_get_exactly_the_stream() {
    allow_many_files();
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    let byte = |offset: u32| (offset.wrapping_mul(0x9E37_79B9) >> 24) as u8;
    let stream: Vec<u8> = (0..60_000).map(byte).collect();
    append(&feed, &stream[..20_000]);
    let mut players: Vec<TcpStream> = (0..500).map(|_| bench.join(&feed)).collect();
    for piece in stream[20_000..].chunks(1_400) {
        append(&feed, piece);
    }
    for player in &mut players {
        assert_eq!(take(player, HEAD.len()), HEAD);
        assert!(take(player, stream.len()) == stream);
    }
    assert_eq!(bench.listeners(), 500);
    feed.end(EndReason::SourceLeft);
    for _ in 0..500 {
        let all_bytes = (HEAD.len() + stream.len()) as u64;
        assert_eq!(bench.next_left(), (Left::StreamEnded, all_bytes));
    }
    assert_eq!(bench.listeners(), 0);
}

#[test]
fn a_listener_that_asked_for_titles_gets_them_and_exact_audio() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    let stream: Vec<u8> = (0..METAINT * 6).map(|n| (n % 251) as u8).collect();
    feed.set_title(0, &TitleInfo::plain("Here's one"));
    feed.set_title(METAINT as u64 * 3, &TitleInfo::plain("Two"));
    append(&feed, &stream[..METAINT * 2]);
    let (mut player, listener) = bench.connect(&feed);
    assert!(bench.pacer.add(with_titles(listener)).is_ok());
    append(&feed, &stream[METAINT * 2..]);
    feed.end(EndReason::SourceLeft);
    let bytes = take_rest(&mut player);
    let (audio, titles) = player::separate(&bytes[HEAD.len()..], METAINT);
    assert!(audio == stream);
    let titles: Vec<_> = titles.iter().map(Option::as_deref).collect();
    assert_eq!(titles, [Some("Here's one"), None, Some("Two"), None, None]);
}

#[test]
fn listeners_go_on_with_the_stream_that_takes_the_mount() {
    let (bench, old) = (PacerBench::open(), Feed::new(ring("audio/mpeg")));
    append(&old, &mpeg::samples::frames(50));
    let channel = Channel::new(old.clone());
    let (mut player, listener) = bench.connect_to(&channel);
    assert!(bench.pacer.add(listener).is_ok());
    take(&mut player, HEAD.len() + 50 * 417);
    let head = Arc::clone(old.head());
    let new = Feed::new(Ring::new(StreamId(2), head, 0, Instant::now()));
    append(&new, b"no frame");
    append(&new, &mpeg::samples::frames(20));
    channel.switch_to(&new);
    assert!(take(&mut player, 20 * 417) == mpeg::samples::frames(20));
    append(&new, &mpeg::samples::frames(3));
    new.end(EndReason::SourceLeft);
    assert!(take_rest(&mut player) == mpeg::samples::frames(3));
    assert_eq!(bench.next_left().0, Left::StreamEnded);
}

#[test]
fn a_dropped_pacer_closes_all_its_listeners() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    let mut players: Vec<TcpStream> = (0..20).map(|_| bench.join(&feed)).collect();
    drop(bench.pacer);
    for player in &mut players {
        let told = bench.told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(told.0, Left::Stopped);
        take_rest(player);
    }
}

#[test]
fn a_full_queue_gives_the_listener_back() {
    allow_many_files();
    let (bench, feed, queue) = (PacerBench::open(), opaque_feed(), Queue::default());
    let (_player, listener) = bench.connect(&feed);
    let socket = listener.socket.tcp().try_clone().unwrap();
    let copies = std::iter::repeat_with(|| Listener {
        socket: socket.try_clone().unwrap().into(),
        head: Bytes::new(),
        sound: ring_sound(Channel::new(feed.clone()).join(Duration::ZERO), None),
        until: None,
        control: Arc::default(),
        leave: Box::new(|_, _| ()),
    });
    let refused = copies.take(1_100).find_map(|copy| queue.push(copy).err());
    assert!(refused.is_some());
    assert_eq!(queue.close().len(), 1_024);
    assert!(queue.push(listener).is_err());
}

#[test]
fn a_listener_leaves_with_the_next_visit_when_it_is_told_to() {
    let (bench, feed) = (PacerBench::open(), opaque_feed());
    let [mut told, mut other] = [(); 2].map(|()| {
        let (player, listener) = bench.connect(&feed);
        let control = listener.control.clone();
        assert!(bench.pacer.add(listener).is_ok());
        (player, control)
    });
    append(&feed, b"audio");
    for (player, _) in [&mut told, &mut other] {
        take(player, HEAD.len() + 5);
    }
    told.1.end(Left::Killed);
    let sent_bytes = HEAD.len() as u64 + 5;
    assert_eq!(bench.next_left(), (Left::Killed, sent_bytes));
    assert_eq!(take_rest(&mut told.0), b"");
    append(&feed, b"more");
    assert_eq!(take(&mut other.0, 4), b"more");
    // Its thread counts after the write, so the player may have the bytes before they are counted.
    let begun = Instant::now();
    while other.1.sent_bytes() < sent_bytes + 4 && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert_eq!(other.1.sent_bytes(), sent_bytes + 4);
}

#[test]
fn header_pages_come_before_the_burst_and_count_as_sent() {
    use crate::media::format::ogg::page::samples::{opus, opus_heads};
    let (bench, feed) = (PacerBench::open(), Feed::new(ring("audio/ogg")));
    append(&feed, &opus(1, &(1..=20).collect::<Vec<u64>>()));
    let mut player = bench.join(&feed);
    assert_eq!(take(&mut player, HEAD.len()), HEAD);
    let heads = opus_heads(1);
    assert_eq!(take(&mut player, heads.len()), heads);
    let from = feed.join_point(Duration::from_secs(5)).unwrap();
    let burst = held_from(&feed, from);
    assert!(take(&mut player, burst.len()) == burst);
    feed.end(EndReason::SourceLeft);
    let sent = HEAD.len() + heads.len() + burst.len();
    assert_eq!(bench.next_left(), (Left::StreamEnded, sent as u64));
}

#[test]
fn titles_are_woven_into_header_pages_too() {
    use crate::media::format::ogg::page::samples::{opus, opus_heads};
    let (bench, feed) = (PacerBench::open(), Feed::new(ring("audio/ogg")));
    append(&feed, &opus(1, &(1..=200).collect::<Vec<u64>>()));
    feed.set_title(0, &TitleInfo::plain("One"));
    let (mut player, mut listener) = bench.connect(&feed);
    let from = feed.join_point(Duration::from_secs(150)).unwrap();
    let reader = Channel::new(feed.clone()).join(Duration::from_secs(150));
    listener.sound = ring_sound(reader, Some(Interleaver::default()));
    let burst = held_from(&feed, from);
    assert!(from > 0 && burst.len() > METAINT);
    assert!(bench.pacer.add(listener).is_ok());
    feed.end(EndReason::SourceLeft);
    let bytes = take_rest(&mut player);
    let (audio, titles) = player::separate(&bytes[HEAD.len()..], METAINT);
    assert!(audio == [opus_heads(1), burst].concat());
    assert_eq!(titles[0].as_deref(), Some("One"));
}
