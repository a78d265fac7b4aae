//! The few threads that write to all listeners.
//!
//! A task per listener would cost a wake-up per piece of audio. Here a thread visits its listeners in turn
//! and writes all new bytes in one write each, the more rarely the more listeners there are.
//! The thread waits for no socket: a full one is tried again on the next round.

mod connection;
mod control;
mod member;
mod occupant;
mod queue;
mod relayed;
mod round;
mod socket;

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use bytes::Bytes;

pub use self::control::Control;
use self::queue::Queue;
use self::round::Round;
pub use self::socket::ListenerSocket;
use super::channel::ChannelReader;
use crate::media::icy::Interleaver;
use crate::media::intro::Intro;

/// How many threads write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacerConfig {
    /// At least one.
    pub threads: usize,
}

impl Default for PacerConfig {
    /// Two where there are cores for it. One core writes some 5 Gbit/s (measured: 1.5 CPU-seconds per GB
    /// for 4,000 listeners of 128 kbit/s); the second halves what a busy round delays.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: cores.min(2),
        }
    }
}

/// A client that has asked for a stream and is about to get it.
pub struct Listener {
    /// The connection, taken out of tokio's runtime. The pacer makes it non-blocking.
    pub socket: ListenerSocket,
    /// The head of the answer, sent first.
    pub head: Bytes,
    /// The bytes that it hears.
    pub sound: Sound,
    /// When it is disconnected, if it may not listen for as long as it likes.
    pub until: Option<Instant>,
    /// Counts what the listener is sent, and can order it to leave.
    pub control: Arc<Control>,
    /// Called when the listener has left.
    pub leave: Box<dyn Leaving>,
}

/// The origin of a listener's bytes.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all listeners hear a ring, and each is moved a few times only"
)]
pub enum Sound {
    /// A stream that this node holds.
    Ring(RingSound),
    /// Another server on this machine.
    Upstream(UpstreamSocket),
}

/// A stream that this node holds, as one listener hears it.
pub struct RingSound {
    /// The intro that it hears before the stream.
    pub intro: Option<Arc<Intro>>,
    /// The bytes that it hears.
    pub reader: ChannelReader,
    /// Set if the client asked for titles in its stream.
    pub icy: Option<Interleaver>,
}

/// A connection over which another server sends a listener's bytes, from just behind the head of its answer.
#[derive(Debug)]
pub struct UpstreamSocket {
    /// The connection, taken out of tokio's runtime. The pacer makes it non-blocking.
    pub socket: TcpStream,
    /// The bytes that have been read with the head.
    pub begun: Bytes,
    /// The bitrate of the stream, bits per second.
    pub bitrate_bps: u64,
}

/// A receiver of the news that a listener has left. A closure will do.
pub trait Leaving: Send {
    /// Called once, on a pacer's thread: must be quick, and must not panic.
    /// `sent_bytes` is all that was given to the kernel, head and titles too.
    fn left(self: Box<Self>, why: Left, sent_bytes: u64);
}

impl<F: FnOnce(Left, u64) + Send> Leaving for F {
    fn left(self: Box<Self>, why: Left, sent_bytes: u64) {
        self(why, sent_bytes);
    }
}

/// Why a listener has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The listener closed its connection in both directions, or the network did.
    Gone,
    /// The listener took its bytes so slowly that they fell off the ring, or took none of a finished stream's.
    TooSlow,
    /// The stream ended and no other took its place.
    StreamEnded,
    /// The listener has listened for as long as the mount allows.
    TimeIsUp,
    /// The player has asked again, and listens by that request.
    Replaced,
    /// An operator has ended it.
    Killed,
    /// The node was drained or stopped.
    Stopped,
}

/// A handle to the threads; clones share them. When the last one is dropped, all listeners are closed.
#[derive(Clone)]
pub struct Pacer {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Pacer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pacer").finish_non_exhaustive()
    }
}

struct Shared {
    threads: Vec<Arc<PacerThread>>,
}

/// The state that a thread and the handles share.
struct PacerThread {
    queue: Queue,
    /// The listeners of the thread, those in its queue included.
    listeners: AtomicUsize,
}

impl Pacer {
    /// Starts the threads. Fails if the system refuses one.
    pub fn start(config: PacerConfig) -> io::Result<Self> {
        let mut shared = Shared {
            threads: Vec::new(),
        };
        for number in 0..config.threads.max(1) {
            let mine = Arc::new(PacerThread {
                queue: Queue::default(),
                listeners: AtomicUsize::new(0),
            });
            let round = Round::new(Arc::clone(&mine));
            thread::Builder::new()
                .name(format!("pacer-{number}"))
                .spawn(move || round.run())?;
            shared.threads.push(mine);
        }
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Takes a listener over; its head and burst are sent at once.
    /// Returned if the pacer is stopping, or has too many new listeners waiting.
    #[expect(
        clippy::result_large_err,
        reason = "it is the caller's own value that comes back"
    )]
    pub fn add(&self, listener: Listener) -> Result<(), Listener> {
        let emptiest = self
            .shared
            .threads
            .iter()
            .min_by_key(|thread| thread.listeners());
        let thread = emptiest.expect("there is a thread from the start");
        // Counted before it is queued: it may have left before `push` returns.
        thread.listeners.fetch_add(1, Ordering::Relaxed);
        thread.queue.push(listener).inspect_err(|_| {
            thread.listeners.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.queue.stop();
        }
    }
}

impl PacerThread {
    fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
