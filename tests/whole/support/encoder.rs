//! An encoder as radios have it: it sends in real time, and when its node leaves it, it goes to the next one.
//!
//! The encoder numbers its frames through all its connections, and notes when it has sent each of them. What was not
//! sent because there was no connection is not skipped: it is sent later. So whatever a listener misses was lost by a
//! node.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::http::Connection;
use super::patience::{PATIENCE, eventually};
use super::signal::{Bitrate, FRAME_US};
use super::source::knock_as;

/// How long it waits when no node has taken it: a quarter of what impatient encoders do.
const RETRY: Duration = Duration::from_millis(250);
/// How long it waits after each refusal, so that a whole round of nodes does not cost them their password check.
const NEXT: Duration = Duration::from_millis(20);

/// The target of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The nodes that may be tried, `HOST:PORT`, in this order and round again.
    pub(crate) addresses: Vec<String>,
    /// The mount.
    pub(crate) mount: String,
    /// The user as which it logs in.
    pub(crate) user: String,
    /// The password of the mount.
    pub(crate) password: String,
    /// The number of the first frame: a rival of another encoder begins far above it.
    pub(crate) first: u64,
    /// How much it sends.
    pub(crate) bitrate: Bitrate,
}

impl Target {
    /// The usual encoder, which numbers its frames from 0.
    pub(crate) fn of(addresses: Vec<String>, mount: &str, password: &str) -> Self {
        Self {
            addresses,
            mount: mount.to_owned(),
            user: "source".to_owned(),
            password: password.to_owned(),
            first: 0,
            bitrate: Bitrate::Usual,
        }
    }
}

/// How it goes.
#[derive(Debug, Default)]
struct Journal {
    /// When each frame was sent, from the first on.
    sent: Vec<Instant>,
    /// The node that it sends to now.
    at: Option<String>,
    /// How often a connection that had been accepted was closed.
    dropped: u32,
    /// The longest time without a connection.
    outage: Duration,
}

/// When each frame of an encoder was sent; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Diary {
    first: u64,
    journal: Arc<Mutex<Journal>>,
}

impl Diary {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap()
    }

    /// When a frame was sent, if it is one of this encoder's.
    pub(crate) fn sent_at(&self, number: u64) -> Option<Instant> {
        let index = number.checked_sub(self.first)?;
        self.journal()
            .sent
            .get(usize::try_from(index).ok()?)
            .copied()
    }
}

/// An encoder that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Encoder {
    stop: Arc<AtomicBool>,
    diary: Diary,
    thread: Option<JoinHandle<()>>,
}

impl Encoder {
    /// Begins to send, and waits until a node has taken it.
    pub(crate) fn start(target: Target) -> Self {
        let encoder = Self::launch(target);
        let look = || encoder.at().ok_or("nobody takes it");
        eventually(PATIENCE, "the encoder is on air", look);
        encoder
    }

    /// Begins to try.
    pub(crate) fn launch(target: Target) -> Self {
        let diary = Diary {
            first: target.first,
            journal: Arc::default(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (diary, stop) = (diary.clone(), stop.clone());
            thread::spawn(move || run(&target, &diary, &stop))
        };
        Self {
            stop,
            diary,
            thread: Some(thread),
        }
    }

    /// When it has sent what.
    pub(crate) fn diary(&self) -> Diary {
        self.diary.clone()
    }

    /// The node that it sends to now.
    pub(crate) fn at(&self) -> Option<String> {
        self.diary.journal().at.clone()
    }

    /// The number of the next frame that it sends.
    pub(crate) fn next(&self) -> u64 {
        self.diary.first + self.diary.journal().sent.len() as u64
    }

    /// How often a connection that had been accepted was closed.
    pub(crate) fn dropped(&self) -> u32 {
        self.diary.journal().dropped
    }

    /// The longest time without a connection since this was asked last.
    pub(crate) fn take_outage(&self) -> Duration {
        std::mem::take(&mut self.diary.journal().outage)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn run(target: &Target, diary: &Diary, stop: &AtomicBool) {
    let mut alone_since = Instant::now();
    let mut was_on_air = false;
    for attempt in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let index = attempt % target.addresses.len();
        let address = &target.addresses[index];
        match knock_as(address, &target.mount, &target.user, &target.password) {
            Ok((connection, head)) if head.status == 200 => {
                let mut journal = diary.journal();
                journal.at = Some(address.clone());
                if was_on_air {
                    journal.outage = journal.outage.max(alone_since.elapsed());
                }
                drop(journal);
                was_on_air = true;
                // However it ends, it has ended.
                let _end = send(connection, diary, target.bitrate, stop);
                alone_since = Instant::now();
                let mut journal = diary.journal();
                journal.at = None;
                journal.dropped += u32::from(!stop.load(Ordering::Relaxed));
            }
            _ if index + 1 == target.addresses.len() => thread::sleep(RETRY),
            _ => thread::sleep(NEXT),
        }
    }
}

/// Sends frame after frame in real time, until the node ends it or the encoder is stopped.
fn send(
    mut connection: Connection,
    diary: &Diary,
    bitrate: Bitrate,
    stop: &AtomicBool,
) -> io::Result<()> {
    let begun = Instant::now();
    let slice = Duration::from_micros(FRAME_US);
    connection.socket().set_read_timeout(Some(slice))?;
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = begun + Duration::from_micros(sent * FRAME_US);
        if due > Instant::now() {
            // What ends this wait early is the end of the connection, or a byte by which the node looks for the source.
            match connection.some(1) {
                Ok(byte) if !byte.is_empty() => continue,
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
        }
        let number = diary.first + diary.journal().sent.len() as u64;
        // Before the bytes go: a listener may hear them before this thread runs again.
        diary.journal().sent.push(Instant::now());
        if let Err(error) = connection.send(bitrate.frame(number)) {
            diary.journal().sent.pop();
            return Err(error);
        }
        sent += 1;
    }
    Ok(())
}
