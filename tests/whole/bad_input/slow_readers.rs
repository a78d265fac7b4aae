//! A client that asks and never reads loses its connection, and the kernel's memory for it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::formats::{Stage, log_in};
use super::wire::{Wire, listener};
use super::{MOUNT, PASSWORD, is_on_air, node, wait_status};
use crate::support::http::Connection;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::vitals::Vitals;

/// Connections of each kind.
const EACH: usize = 10;
/// How much each asks, as far as it is taken: more answers than any buffer of the system holds.
const ASKED_BYTES: usize = 8 << 20;
/// The most that the kernel may keep of one: the send buffer, and what was asked and not read.
const MOST_KEPT_BYTES: u64 = 512 << 10;

/// A client that asks the same again and again, and reads nothing.
struct Deaf {
    stream: TcpStream,
    question: Vec<u8>,
    asked: usize,
    /// When the last part of a question was taken.
    taken: Instant,
    closed: Option<Instant>,
}

impl Deaf {
    fn ask(node: &TestNode, head: &str) -> Self {
        let stream = narrow(node);
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            question: format!("{head} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
                .repeat(200)
                .into_bytes(),
            asked: 0,
            taken: Instant::now(),
            closed: None,
        }
    }

    /// Asks as much as is taken. A closed connection is told by that alone, because nothing is read.
    fn go_on(&mut self) {
        while self.closed.is_none() && self.asked < ASKED_BYTES {
            // A question that was taken in part goes on where it ended.
            let begun = self.asked % self.question.len();
            match self.stream.write(&self.question[begun..]) {
                Ok(bytes) => {
                    self.asked += bytes;
                    self.taken = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.closed = Some(Instant::now()),
            }
        }
        if self.closed.is_none() && !matches!(self.stream.take_error(), Ok(None)) {
            self.closed = Some(Instant::now());
        }
    }
}

/// The bytes that the kernel keeps for the connections of a node's door: to be sent, and to be read.
fn kept_bytes(node: &TestNode) -> u64 {
    let port = node
        .address()
        .rsplit(':')
        .next()
        .unwrap()
        .parse::<u16>()
        .unwrap();
    let ours = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let local = words.nth(1)?;
        let queues = words.nth(2)?;
        local.ends_with(&ours).then_some(queues)
    });
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let sizes = lines.filter_map(|queues| {
        let (to_send, to_read) = queues.split_once(':')?;
        Some(hex(to_send)? + hex(to_read)?)
    });
    sizes.sum()
}

#[test]
fn a_client_that_never_reads_is_closed_in_time() {
    let node = node();
    node.create_mount_with(
        MOUNT,
        PASSWORD,
        r#""max_listeners": 1, "overflow_url": "http://cdn.example/radio.mp3""#,
    );
    let _source = KnownSource::start(&node, MOUNT, PASSWORD);
    wait_status(&node, "the source is on air", is_on_air);
    let _full = listener(&node, MOUNT);
    eventually(
        PATIENCE,
        "the mount is full, and the next are redirected",
        || {
            let mut wire = Wire::to(&node);
            wire.say(format!("GET {MOUNT} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let status = wire.head().status;
            so(status == 302, status)
        },
    );
    let kinds = [
        "GET /radio.mp3.m3u",
        "GET /radio.mp3",
        "GET /nothing.mp3",
        "OPTIONS *",
        "OPTIONS /radio.mp3",
        "PUT /radio.mp3",
        "DELETE /radio.mp3",
        "GET /status.json",
        "POST /api/v1/mounts",
    ];
    let begun = Instant::now();
    let mut deaf: Vec<(&str, Deaf)> = kinds
        .iter()
        .flat_map(|kind| (0..EACH).map(|_| (*kind, Deaf::ask(&node, kind))))
        .collect();
    let mut most_kept = 0;
    eventually(PATIENCE, "all are closed", || {
        most_kept = most_kept.max(kept_bytes(&node));
        for (_, deaf) in &mut deaf {
            deaf.go_on();
        }
        let open = deaf.iter().filter(|(_, deaf)| deaf.closed.is_none());
        let open: Vec<&str> = open.map(|(kind, _)| *kind).collect();
        so(
            open.is_empty(),
            format!("{} are open: {open:?}", open.len()),
        )
    });
    let waited = |deaf: &Deaf| {
        deaf.closed
            .map(|closed| (closed - deaf.taken).as_secs_f64())
    };
    let longest = deaf.iter().filter_map(|(_, deaf)| waited(deaf));
    let longest = longest.fold(0.0, f64::max);
    println!(
        "{} connections that never read: all closed after {:.1} s, {longest:.1} s at most after the last question was \
         taken; the kernel kept {} KiB for all, {} KiB for each",
        deaf.len(),
        begun.elapsed().as_secs_f64(),
        most_kept >> 10,
        (most_kept / deaf.len() as u64) >> 10,
    );
    assert!(most_kept / (deaf.len() as u64) < MOST_KEPT_BYTES);
    drop(deaf);
    let mut next = Wire::to(&node);
    next.say("GET /radio.mp3.m3u HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(next.answer().head.status, 200);
}

/// A connection of which the system reads no more than it must.
fn narrow(node: &TestNode) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let address: SocketAddr = node.address().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

#[test]
fn an_unread_page_is_closed_after_ten_seconds() {
    let node = node();
    // Escaped, each text is as long again.
    let text = "\"".repeat(1_000);
    for number in 0..12 {
        let texts = json!({ "name": text, "description": text, "genre": text });
        let texts = texts.to_string();
        let texts = texts.trim_matches(['{', '}']);
        node.create_mount_with(&format!("/{number}.mp3"), PASSWORD, texts);
    }
    let whole = node.api("GET", "/api/v1/mounts", "").unwrap().body.len();
    let mut connection = narrow(&node);
    let begun = Instant::now();
    let token = node.token();
    let request =
        format!("GET /api/v1/mounts HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut most_kept = 0;
    let (_, _) = eventually(PATIENCE, "the connection is reset", || {
        most_kept = most_kept.max(kept_bytes(&node));
        let error = connection.take_error().unwrap();
        so(error.is_some(), "it is open")
    });
    println!(
        "an answer of {} KiB that nobody reads: reset after {:.1} s; the kernel kept {} KiB",
        whole >> 10,
        begun.elapsed().as_secs_f64(),
        most_kept >> 10
    );
    assert!(begun.elapsed() > Duration::from_secs(9), "and not before");
    assert_eq!(node.mounts().len(), 12);
}

/// Sends numbered bytes, 1 MB in a second, until the node ends it.
fn send_fast(mut source: Connection, stop: &AtomicBool) {
    const PIECE: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) || source.send(piece(number)).is_err() {
            return;
        }
        let due = begun + PIECE * (number + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// The 20,000 bytes of this number: other numbers, each the next of the one before, over all pieces.
fn piece(number: u32) -> Vec<u8> {
    const WORDS: u32 = 2_500;
    let words = number * WORDS..(number + 1) * WORDS;
    words.flat_map(word).collect()
}

fn word(number: u32) -> Vec<u8> {
    format!("{number:07};").into_bytes()
}

/// Checks that none of the bytes that [`send_fast`] sent is missing in the middle; they may begin within a word.
fn check_words(heard: &[u8]) {
    let begin = heard.iter().position(|byte| *byte == b';').unwrap() + 1;
    let first = String::from_utf8_lossy(&heard[begin..begin + 7]);
    let first = first.parse().unwrap();
    let right: Vec<u8> = (first..).flat_map(word).take(heard.len() - begin).collect();
    assert!(heard[begin..] == right, "bytes are missing");
}

#[test]
fn listeners_that_read_nothing_are_ended_and_not_noticed() {
    /// How much more memory the node may take: a ring of 8 MiB, and blocks that readers still hold.
    const MOST_KIB: u64 = 24 << 10;
    /// The most that the kernel may keep of one: its send buffer, for a second of the stream.
    const MOST_UNREAD_BYTES: u64 = 2 << 20;
    const FAST: &str = "/fast";
    let stage = Stage::start();
    stage.node.create_mount(FAST, PASSWORD);
    let before = Vitals::of(stage.node.pid());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let source = log_in(&stage.node, FAST, "Content-Type: application/x-known\r\n");
        scope.spawn(|| send_fast(source, &stop));
        let _stop = StopOnDrop(&stop);
        let on_air = |wanted: u32| {
            let look = || {
                let status = stage.node.status();
                let mount = status.mounts.iter().find(|it| it.path.as_str() == FAST);
                let listeners = mount
                    .filter(|it| it.source.is_some())
                    .map(|it| it.listeners);
                so(
                    listeners == Some(wanted),
                    format!("{listeners:?} listeners"),
                )
            };
            eventually(PATIENCE, "the listeners", look);
        };
        on_air(0);
        let reader = Player::tune_in(&format!("{}{FAST}", stage.node.url()));
        let mut deaf: Vec<TcpStream> = (0..EACH).map(|_| narrow(&stage.node)).collect();
        for stream in &mut deaf {
            let request = format!("GET {FAST} HTTP/1.1\r\nHost: h\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
        }
        on_air(1 + EACH as u32);
        let (begun, mut most_kept) = (Instant::now(), 0);
        let ended = || {
            most_kept = most_kept.max(kept_bytes(&stage.node));
            let open = stage
                .node
                .status()
                .nodes
                .iter()
                .map(|it| it.listeners)
                .sum::<u32>();
            so(open == 2, format!("{open} listeners"))
        };
        eventually(PATIENCE, "those that read nothing are ended", ended);
        let after = Vitals::of(stage.node.pid());
        println!(
            "{EACH} listeners that read nothing: ended after {:?}; {before} before, {after} then; the kernel kept {} KiB \
             for each",
            begun.elapsed(),
            (most_kept / EACH as u64) >> 10
        );
        assert!(most_kept / (EACH as u64) < MOST_UNREAD_BYTES);
        eventually(
            PATIENCE,
            "the kernel forgets what they have not read",
            || {
                let kept = kept_bytes(&stage.node);
                so(kept < MOST_KEPT_BYTES, kept)
            },
        );
        assert!(after.rss_kib <= before.rss_kib + MOST_KIB, "{after}");
        reader.wait_for_more(100_000);
        check_words(&reader.bytes());
        assert!(!reader.is_closed());
    });
    stage.check_other();
}

/// Stops a source, also where a test fails: its thread would never end.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
