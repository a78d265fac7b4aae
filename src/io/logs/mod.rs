//! The lines of the logs of requests and titles, on their way to the one task that writes them.
//!
//! Whoever has something to note never waits: when the queue is full, the line is lost and counted.

pub mod file;
mod record;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};

pub use self::record::AccessRecord;
use crate::model::access_log::{AccessEntry, TitleEntry};

/// The most lines that wait to be written: all listeners of a large node may leave at one moment, and a second later the task
/// has written them. At [`MAX_NOTED_BYTES`](crate::model::access_log::MAX_NOTED_BYTES) for each of their texts they take 40 MB,
/// and 8 MB as clients are.
pub const MAX_WAITING: usize = 16_384;
/// From so many on they are written at once, and not at the end of the second.
const MANY_WAITING: usize = MAX_WAITING / 4;

/// A line to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// To `access.log`.
    Access(AccessEntry),
    /// To `playlist.log`.
    Playlist(TitleEntry),
}

/// The way to the task that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogQueue(Arc<QueueParts>);

#[derive(Debug)]
struct QueueParts {
    entries: mpsc::Sender<LogEntry>,
    has_access: AtomicBool,
    has_playlist: AtomicBool,
    lost: AtomicU64,
    has_many: Notify,
}

/// The other end of the queue, for the task.
#[derive(Debug)]
pub struct LogReceiver {
    entries: mpsc::Receiver<LogEntry>,
    parts: Arc<QueueParts>,
}

/// A queue for both logs, and its other end. Neither is written until that is [set](LogQueue::set_written).
pub fn queue() -> (LogQueue, LogReceiver) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let parts = Arc::new(QueueParts {
        entries: sender,
        has_access: AtomicBool::new(false),
        has_playlist: AtomicBool::new(false),
        lost: AtomicU64::new(0),
        has_many: Notify::new(),
    });
    let receiver = LogReceiver {
        entries: receiver,
        parts: parts.clone(),
    };
    (LogQueue(parts), receiver)
}

impl LogQueue {
    /// Sets which of the logs are written from now on.
    pub fn set_written(&self, access: bool, playlist: bool) {
        self.0.has_access.store(access, Ordering::Relaxed);
        self.0.has_playlist.store(playlist, Ordering::Relaxed);
    }

    /// Whether requests are written.
    pub fn has_access(&self) -> bool {
        self.0.has_access.load(Ordering::Relaxed)
    }

    /// Whether titles are written.
    pub fn has_playlist(&self) -> bool {
        self.0.has_playlist.load(Ordering::Relaxed)
    }

    /// Takes a line, if there is room.
    pub fn note(&self, entry: LogEntry) {
        if self.0.entries.try_send(entry).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
        if self.0.entries.capacity() < MAX_WAITING - MANY_WAITING {
            self.0.has_many.notify_one();
        }
    }
}

impl LogReceiver {
    /// Waits for a line at least, and takes all that wait. Ends never: the queue lives in `self`.
    pub async fn take(&mut self) -> Vec<LogEntry> {
        let mut taken = Vec::new();
        self.entries.recv_many(&mut taken, MAX_WAITING).await;
        taken
    }

    /// Takes all that wait now.
    pub fn take_now(&mut self) -> Vec<LogEntry> {
        let waiting = (0..MAX_WAITING).map_while(|_| self.entries.try_recv().ok());
        waiting.collect()
    }

    /// Waits until so many wait that they should be written at once.
    pub async fn has_many(&self) {
        self.parts.has_many.notified().await;
    }

    /// How many lines found no room since this was asked last.
    pub fn lost(&self) -> u64 {
        self.parts.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::access_log::NotedRequest;

    fn entry(status: u16) -> LogEntry {
        LogEntry::Access(AccessEntry {
            request: NotedRequest {
                client: [192, 0, 2, 1].into(),
                user: None,
                method: "GET".to_owned(),
                path: "/radio.mp3".to_owned(),
                protocol: "HTTP/1.1",
                referer: None,
                agent: None,
            },
            status,
            sent_bytes: 1,
            ended_unix_s: 0,
            took: Duration::ZERO,
        })
    }

    #[tokio::test]
    async fn ten_thousand_that_end_at_once_are_all_taken() {
        let (queue, mut receiver) = queue();
        for _ in 0..10_000 {
            queue.note(entry(200));
        }
        receiver.has_many().await;
        assert_eq!(receiver.take().await.len(), 10_000);
        assert_eq!(receiver.lost(), 0);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_counted() {
        let (queue, mut receiver) = queue();
        for status in 0..MAX_WAITING + 5 {
            queue.note(entry(status as u16));
        }
        assert_eq!((receiver.lost(), receiver.lost()), (5, 0));
        let taken = receiver.take_now();
        assert_eq!(taken.len(), MAX_WAITING);
        assert_eq!(taken[0], entry(0), "the first are kept");
        assert!(receiver.take_now().is_empty());
        queue.note(entry(1));
        assert_eq!(receiver.take().await, [entry(1)]);
    }
}
