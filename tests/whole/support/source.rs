//! Sources: a real ffmpeg with a real melody, and one of which every byte is known.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http::{Connection, Head, basic};
use super::node::TestNode;
use super::signal::{FRAME_US, frame};

/// The user that all sources log in with.
const USER: &str = "source";

/// The melody that the project itself makes.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/sample/sample.mp3")
}

/// By how many bytes a place in what was sent is found: several frames.
const BEGINNING: usize = 4_096;

/// How ffmpeg says hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// `PUT` with `Expect: 100-continue`.
    Put,
    /// `SOURCE`, as before Icecast 2.4.
    Legacy,
}

/// An ffmpeg that sends the sample in real time, over and over, and keeps a copy of what it sends.
#[derive(Debug)]
pub(crate) struct Ffmpeg {
    child: Child,
    folder: TempDir,
}

impl Ffmpeg {
    /// Starts to send to a mount of a node.
    pub(crate) fn start(node: &TestNode, mount: &str, password: &str) -> Self {
        Self::greeting(Greeting::Put, node, mount, password)
    }

    /// The same, in either way to begin.
    pub(crate) fn greeting(
        greeting: Greeting,
        node: &TestNode,
        mount: &str,
        password: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = format!("icecast://{USER}:{password}@{}{mount}", node.address());
        let raw = "-map 0:a -c copy -id3v2_version 0 -write_xing 0 -flush_packets 1 -f mp3";
        let mut command = Command::new("ffmpeg");
        command
            .args("-nostdin -v error -re -stream_loop -1 -i".split(' '))
            .arg(sample());
        command.args(raw.split(' ')).arg(folder.path().join("sent"));
        command
            .args(raw.split(' '))
            .args(["-content_type", "audio/mpeg"]);
        if greeting == Greeting::Legacy {
            command.args(["-legacy_icecast", "1"]);
        }
        command
            .arg(target)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(fs::File::create(folder.path().join("log")).unwrap());
        let child = command.spawn().unwrap();
        Self { child, folder }
    }

    /// All that it has sent, or is about to send.
    pub(crate) fn sent(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("sent")).unwrap_or_default()
    }

    /// Checks that a player received what was sent, whole, from the beginning of a frame on.
    pub(crate) fn check(&self, received: &[u8]) {
        assert!(received.len() > 16_000, "only {} bytes", received.len());
        let sync = (received[0], received[1] & 0xE0);
        assert_eq!(sync, (0xFF, 0xE0), "the beginning of a frame");
        let sent = self.sent();
        // Where it begins is told by its first bytes; as the melody is played over and over, by all such places.
        let begun = sent.windows(BEGINNING).enumerate();
        let begun = begun.filter(|(_, window)| received.starts_with(window));
        let common = |at: usize| {
            let pairs = sent[at..].iter().zip(received);
            pairs.take_while(|(ours, theirs)| ours == theirs).count()
        };
        let longest = begun.map(|(at, _)| common(at)).max();
        assert_eq!(
            longest,
            Some(received.len()),
            "as long as it is what was sent"
        );
    }

    /// The same for a player that may first have heard the end of what was on air before.
    pub(crate) fn check_behind_another(&self, received: &[u8]) {
        let sent = self.sent();
        let first = &sent[..sent.len().min(BEGINNING)];
        let starts = received.windows(BEGINNING).enumerate();
        let mut starts = starts.filter(|(_, window)| *window == first);
        if !starts.any(|(at, _)| sent.starts_with(&received[at..])) {
            self.check(received);
        }
    }

    /// The complaint of the source, and its end if it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let ended = self.child.try_wait().unwrap()?;
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        Some(format!("{ended}: {log}"))
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _end = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("---- log of ffmpeg\n{}", log.unwrap_or_default());
        }
    }
}

/// A source that sends numbered frames in real time. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct KnownSource {
    stop: Arc<AtomicBool>,
    next: Arc<AtomicU64>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl KnownSource {
    /// Begins to send to a mount of a node, which must accept it.
    pub(crate) fn start(node: &TestNode, mount: &str, password: &str) -> Self {
        Self::try_start(node, mount, password).unwrap()
    }

    /// Begins to send to a mount of a node, or says how it was refused.
    pub(crate) fn try_start(node: &TestNode, mount: &str, password: &str) -> Result<Self, String> {
        Self::start_at(&node.address(), mount, password)
    }

    /// The same at any server, such as an Icecast.
    pub(crate) fn start_at(address: &str, mount: &str, password: &str) -> Result<Self, String> {
        let connection = match knock(address, mount, password) {
            Ok((connection, head)) if head.status == 200 => connection,
            refused => return Err(format!("{refused:?}")),
        };
        Ok(Self::behind(connection))
    }

    /// Begins to send on a connection on which a source was accepted.
    pub(crate) fn behind(connection: Connection) -> Self {
        let (stop, next) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let thread = {
            let (stop, next) = (stop.clone(), next.clone());
            thread::spawn(move || send_frames(connection, &stop, &next))
        };
        Self {
            stop,
            next,
            thread: Some(thread),
        }
    }

    /// How many frames it has sent.
    pub(crate) fn frames(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Whether the node has closed its connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for KnownSource {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // That the node closed the connection is no trouble here: tests ask `is_closed`.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// Asks to send to a mount with PUT; the connection and the answer.
pub(crate) fn knock(address: &str, mount: &str, password: &str) -> io::Result<(Connection, Head)> {
    knock_as(address, mount, USER, password)
}

/// The same as another user.
pub(crate) fn knock_as(
    address: &str,
    mount: &str,
    user: &str,
    password: &str,
) -> io::Result<(Connection, Head)> {
    let mut connection = Connection::open(address)?;
    let authorization = basic(user, password);
    connection.send(format!(
        "PUT {mount} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\n\
         Content-Type: audio/mpeg\r\nIce-Name: Known\r\nIce-Genre: Test\r\nIce-Bitrate: 128\r\n\
         Ice-Public: 0\r\nIce-Url: http://known.example/\r\nIce-Description: Every byte\r\n\r\n"
    ))?;
    let head = connection.head()?;
    Ok((connection, head))
}

fn send_frames(mut connection: Connection, stop: &AtomicBool, next: &AtomicU64) -> io::Result<()> {
    let begun = Instant::now();
    connection
        .socket()
        .set_read_timeout(Some(Duration::from_micros(FRAME_US)))?;
    while !stop.load(Ordering::Relaxed) {
        let number = next.load(Ordering::Relaxed);
        let due = begun + Duration::from_micros(number * FRAME_US);
        if due > Instant::now() {
            // What ends this wait early is the end of the connection, or a byte by which the node looks for the source.
            match connection.some(1) {
                Ok(byte) if !byte.is_empty() => continue,
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
        }
        connection.send(frame(number))?;
        next.store(number + 1, Ordering::Relaxed);
    }
    Ok(())
}
