//! The socket of a source: how much unread data the system may keep, and whether the source is still connected.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::net::TcpStream;

/// The receive buffer asked for; the kernel allows twice as much for its own book-keeping.
///
/// The audio in it is behind the source's time by so much, and hides the end of its connection. 64 KiB are four
/// seconds of 128 kbit/s, and let 2.5 Mbit/s through over a line with a round trip of 200 ms.
const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

/// Lets the system keep little of what a source sends before it is read.
pub fn keep_little(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)
}

/// Has the kernel break the connection when what is sent stays unanswered for so long; by itself it tries for a quarter of
/// an hour. The time counts from when the kernel sends it again, after twice the line's round trip, and 400 ms at least.
pub fn break_unanswered_after(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

/// Whether the other side has closed or broken the connection, even if there is more to read before that end.
///
/// Not seen while the other side's system still holds bytes that it could not send.
pub fn has_hung_up(stream: &TcpStream) -> bool {
    let mut look = [PollFd::new(stream, PollFlags::RDHUP)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    match poll(&mut look, Some(&at_once)) {
        Ok(_) => look[0].revents().intersects(ended),
        Err(_) => false, // Interrupted: the next check tells.
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_hang_up_is_seen_behind_bytes_that_nobody_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut source = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        keep_little(&stream).unwrap();
        source.write_all(&[7; 10_000]).await.unwrap();
        stream.readable().await.unwrap();
        assert!(!has_hung_up(&stream));
        source.shutdown().await.unwrap();
        while !has_hung_up(&stream) {
            tokio::task::yield_now().await;
        }
    }
}
