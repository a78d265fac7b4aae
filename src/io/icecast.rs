//! The connections to the Icecast on this machine: as the source of a mount, and in the place of a listener.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::wire::icecast::local::{LocalAnswer, MAX_ANSWER_HEAD_BYTES, read_answer};

/// The bytes of one connection that the kernel keeps between Icecast and this node: a listener's burst, so that Icecast
/// need not wait. The kernel allows twice as much for its own book-keeping.
const RECEIVE_BYTES: u32 = 128 << 10;

/// A connection on which the head of an answer has come.
#[derive(Debug)]
pub struct Answered {
    /// The connection.
    pub socket: TcpStream,
    /// The head of the answer.
    pub answer: LocalAnswer,
    /// The bytes that came behind it.
    pub begun: Bytes,
}

/// Connects, sends a request, and reads the head of the answer. Takes as long as Icecast does: the caller limits that.
pub async fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Answered> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    let mut socket = socket.connect(address).await?;
    socket.set_nodelay(true)?;
    socket.write_all(request).await?;
    let mut read = BytesMut::with_capacity(MAX_ANSWER_HEAD_BYTES);
    loop {
        if socket.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(answer) = read_answer(&read) {
            let begun = read.split_off(answer.head_bytes.min(read.len()));
            return Ok(Answered {
                socket,
                answer,
                begun: begun.freeze(),
            });
        }
    }
}

/// Sends bytes of a stream; `TimedOut` if Icecast does not take them within the limit.
pub async fn send(socket: &mut TcpStream, bytes: &[u8], limit: Duration) -> io::Result<()> {
    match timeout(limit, socket.write_all(bytes)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_comes_behind_the_head_is_kept() {
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let serving = async {
            let (mut socket, _) = door.accept().await.unwrap();
            let mut request = [0; 4];
            socket.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"GET ");
            socket
                .write_all(b"HTTP/1.0 200 OK\r\n\r\naudio")
                .await
                .unwrap();
            let (mut socket, _) = door.accept().await.unwrap();
            socket.write_all(b"HTTP/1.0 2").await.unwrap();
        };
        let asking = async {
            let answered = ask(address, b"GET ").await.unwrap();
            assert_eq!(
                (answered.answer.status, &answered.begun[..]),
                (200, &b"audio"[..])
            );
            let broken = ask(address, b"GET ").await.unwrap_err();
            let kind = broken.kind();
            let ended = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
            assert!(ended.contains(&kind), "{kind}");
        };
        tokio::join!(serving, asking);
    }
}
