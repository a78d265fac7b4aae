//! Servers of a test's own: for what no real one does when it is asked to.

use std::fs;
use std::io::{self, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::source::sample;

/// Bytes of a second of the sample, and how much of it a server sends at once before it sends it in real time.
const SECOND_BYTES: usize = 16_000;
const BURST_BYTES: usize = 64 << 10;

/// A server that answers each connection in a thread of its own, until it is dropped.
pub(super) struct Server {
    port: u16,
    asked: Arc<AtomicU32>,
    /// The heads of all requests.
    heads: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// A server that does this with each connection, after the head of the request.
    pub(super) fn start(
        answer: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            heads: Arc::default(),
            stop: Arc::default(),
        };
        let (asked, heads, stop) = (
            server.asked.clone(),
            server.heads.clone(),
            server.stop.clone(),
        );
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                let (answer, heads) = (answer.clone(), heads.clone());
                thread::spawn(move || {
                    let mut socket = socket;
                    if let Ok(head) = read_head(&mut socket) {
                        heads.lock().unwrap().push(head);
                        // The other side leaves when it has had enough.
                        let _left = answer(&mut socket);
                    }
                });
            }
        });
        server
    }

    /// A server that says this and closes the connection.
    pub(super) fn saying(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::start(move |socket| socket.write_all(text.as_bytes()))
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/x.mp3", self.port)
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The head of the first request.
    pub(super) fn first_head(&self) -> String {
        self.heads
            .lock()
            .unwrap()
            .first()
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn read_head(socket: &mut TcpStream) -> io::Result<String> {
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Plays the sample without end: a burst, and then in real time, each piece wrapped.
pub(super) fn play(socket: &mut TcpStream, wrapped: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let sample = fs::read(sample()).unwrap();
    let begun = Instant::now();
    let mut sent_bytes = 0;
    for piece in sample.chunks(2_000).cycle() {
        let due_s = sent_bytes.max(BURST_BYTES) - BURST_BYTES;
        let due = begun + Duration::from_millis((due_s * 1_000 / SECOND_BYTES) as u64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        socket.write_all(&wrapped(piece))?;
        sent_bytes += piece.len();
    }
    Ok(())
}

/// A piece as a chunk of HTTP.
pub(super) fn chunked(piece: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", piece.len());
    [size.as_bytes(), piece, b"\r\n"].concat()
}
