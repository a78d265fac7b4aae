//! Answers that end: each is written within a time limit, whichever client it is for.
//!
//! A client that asks again and again and never reads would otherwise keep its connection, and the kernel's memory for
//! it, for ever. Streams are not such answers: the pacer drops a listener that does not read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tracing::debug;

use super::door_stream::DoorStream;

/// How long an answer may take to be handed to the kernel: as long as a request may take to come. The longest answer, the
/// status of a large mesh, passes a line of 1 Mbit/s in that time.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The send buffer of a connection until the pacer has it. Linux allows twice as much, for its own book-keeping.
///
/// An answer of the usual length fits in completely. Linux by itself would grow the buffer to 4 MiB for a client that
/// never reads; with this, 10,000 of them cost 320 MB at most, for ten seconds.
pub const SEND_BUFFER_BYTES: u32 = 16 << 10;

/// Sends an answer, or part of one. If it is not taken in time, the connection is lost: it is reset when it is dropped.
pub async fn send(stream: &mut DoorStream, answer: &[u8]) -> io::Result<()> {
    let sending = async {
        stream.write_all(answer).await?;
        stream.flush().await
    };
    match timeout(ANSWER_TIMEOUT, sending).await {
        Ok(written) => written,
        Err(_) => Err(give_up(stream.socket())),
    }
}

/// Tells the client that nothing more follows.
pub async fn end(stream: &mut DoorStream) -> io::Result<()> {
    match timeout(ANSWER_TIMEOUT, stream.shutdown()).await {
        Ok(ended) => ended,
        Err(_) => Err(give_up(stream.socket())),
    }
}

/// Lets the kernel forget unread bytes at once when the connection is dropped; after a usual close it would offer them
/// for minutes more.
fn give_up(stream: &TcpStream) -> io::Error {
    debug!(peer = ?stream.peer_addr(), "does not read its answers, closed");
    match SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        Ok(()) => io::Error::new(io::ErrorKind::TimedOut, "the answer is not read"),
        Err(error) => error,
    }
}

/// The wait for the client of one answer that is written in pieces, by other code.
///
/// One wait for the whole answer: its clock begins when the kernel takes no more for the first time, and no piece that
/// is taken later sets it back. A client that reads, but too slowly, therefore loses its connection too.
#[derive(Debug, Default)]
pub struct Patience {
    /// Begins when the kernel takes no more for the first time.
    ends: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Writes as far as the client lets it; an error once it has kept the answer waiting for [`ANSWER_TIMEOUT`].
    pub fn poll_write(
        &mut self,
        stream: &mut DoorStream,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *stream).poll_write(cx, bytes);
        self.bound(written, stream, cx)
    }

    /// Hands the kernel what is written and still kept back; an error under the same limit.
    pub fn poll_flush(
        &mut self,
        stream: &mut DoorStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *stream).poll_flush(cx);
        self.bound(flushed, stream, cx)
    }

    fn bound<T>(
        &mut self,
        done: Poll<io::Result<T>>,
        stream: &DoorStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            return done;
        }
        let ends = self
            .ends
            .get_or_insert_with(|| Box::pin(sleep(ANSWER_TIMEOUT)));
        match ends.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(give_up(stream.socket()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    /// A connection of which the client never reads.
    async fn unread() -> (TcpStream, DoorStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_reset_in_time() {
        let (mut client, mut server) = unread().await;
        let begun = Instant::now();
        let endless = vec![0; 64 << 20];
        let error = send(&mut server, &endless).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), ANSWER_TIMEOUT.as_secs());
        drop(server);
        let mut heard = Vec::new();
        let error = client.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_pieces_has_one_time_for_all() {
        let (_client, mut server) = unread().await;
        let mut patience = Patience::default();
        let begun = Instant::now();
        let piece = vec![0; 1 << 20];
        let error = loop {
            let write = |cx: &mut Context<'_>| patience.poll_write(&mut server, cx, &piece);
            match std::future::poll_fn(write).await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), ANSWER_TIMEOUT.as_secs());
    }
}
