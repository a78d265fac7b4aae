//! The log of a child: read always, told within bounds.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::lines::{LogLine, LogLines};
use crate::io::clock;

/// How many lines wait for their reader: more than a child may say at once, so that nothing of that is lost.
pub(super) const QUEUE_LINES: usize = 64;
/// The bytes that are read at a time: as many as a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// The lines that a child says, for whoever wants to read them.
#[derive(Debug)]
pub struct ChildLog {
    lines: mpsc::Receiver<String>,
    dropped: Arc<AtomicU64>,
}

impl ChildLog {
    /// The next line; `None` once the child has ended and all is told. May be dropped and called again.
    pub async fn next(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// The next line; waits for ever once there will be none. May be dropped and called again.
    pub async fn line(&mut self) -> String {
        match self.next().await {
            Some(line) => line,
            None => pending().await,
        }
    }

    /// How many lines were not told so far: the child said more than ten lines a second, or nobody read them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The lines that wait.
    pub(super) fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }
}

/// The node's end of the pipe that the child writes its log to.
#[derive(Debug)]
pub(super) struct LogPipe {
    /// `None` when the child's end is closed.
    pipe: Option<pipe::Receiver>,
    buffer: Vec<u8>,
    lines: LogLines,
    told: mpsc::Sender<String>,
    dropped: Arc<AtomicU64>,
}

impl LogPipe {
    /// Takes over the pipe, within a runtime.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<(Self, ChildLog)> {
        let (told, lines) = mpsc::channel(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let log = ChildLog {
            lines,
            dropped: Arc::clone(&dropped),
        };
        let pipe = Self {
            pipe: Some(pipe::Receiver::from_owned_fd(pipe)?),
            buffer: vec![0; READ_BYTES],
            lines: LogLines::new(clock::now()),
            told,
            dropped,
        };
        Ok((pipe, log))
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Reads what there is, or waits for it, and returns how much that was. May be dropped and called again.
    pub(super) async fn read(&mut self) -> usize {
        let Some(pipe) = &mut self.pipe else {
            return 0;
        };
        // A pipe has no errors that pass: it is over then, too.
        let bytes = pipe.read(&mut self.buffer).await.unwrap_or(0);
        if bytes == 0 {
            self.pipe = None;
        }
        let tell = teller(&self.told, &self.dropped);
        self.lines.feed(&self.buffer[..bytes], clock::now(), tell);
        bytes
    }

    /// The end of the log: tells what is left, and returns the last line.
    pub(super) fn finish(mut self) -> Option<String> {
        self.lines.finish(teller(&self.told, &self.dropped))
    }
}

/// Queues what is kept, and counts the rest: a reader is never waited for.
fn teller<'a>(told: &'a mpsc::Sender<String>, dropped: &'a AtomicU64) -> impl FnMut(LogLine) + 'a {
    move |line| {
        let kept = match line {
            LogLine::Kept(line) => told.try_send(line).is_ok(),
            LogLine::Dropped => false,
        };
        if !kept {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};

    use super::*;

    #[tokio::test]
    async fn lines_are_told_and_those_too_many_counted() {
        let (reader, mut writer) = pipe().unwrap();
        let (mut pipe, mut log) = LogPipe::new(reader.into()).unwrap();
        writer.write_all(b"first\n").unwrap();
        pipe.read().await;
        assert_eq!(log.next().await.as_deref(), Some("first"));
        let many: String = (0..200).map(|number| format!("{number}\n")).collect();
        writer.write_all(many.as_bytes()).unwrap();
        drop(writer);
        while pipe.is_open() {
            pipe.read().await;
        }
        assert_eq!(pipe.finish().as_deref(), Some("199"));
        let told = log.told();
        assert!((45..=52).contains(&told.len()), "{told:?}");
        assert_eq!(log.dropped(), 200 - told.len() as u64);
        assert_eq!(log.next().await, None);
    }
}
