//! A connection as the reader of one of its requests sees it: that request, and then the end.
//!
//! A library that reads requests by itself would read the next one too, which may be for a stream. It gets no byte
//! of that: those stay with the caller, and the connection goes on with them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use crate::io::answer::Patience;
use crate::io::door_stream::DoorStream;
use crate::wire::http::head::{BodyKind, Head};

/// One request of a connection. Its answer must be read in time.
#[derive(Debug)]
pub struct OneRequest {
    /// The bytes of it that were read already: the head, and the beginning of the body.
    read_before: BytesMut,
    /// The rest of the body.
    rest: Take<DoorStream>,
    unread: Unread,
    patience: Patience,
}

/// How much of a request its reader has not taken yet.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<AtomicU64>);

impl Unread {
    /// Whether the reader has the whole request, so that the next byte of the connection belongs to another.
    pub fn is_nothing(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl OneRequest {
    /// The request with this head; `behind` is what was read behind the head, and keeps what belongs to later requests.
    ///
    /// A body without a length ends by itself or with the connection: behind it there is no later request.
    pub fn new(head: &Head, behind: &mut BytesMut, stream: DoorStream) -> Self {
        let body_bytes = match head.body_kind() {
            BodyKind::Length(bytes) => bytes,
            BodyKind::Chunked | BodyKind::UntilClose => u64::MAX,
        };
        let begun = behind
            .len()
            .min(body_bytes.try_into().unwrap_or(usize::MAX));
        let mut read_before = BytesMut::from(&head.rewritten()[..]);
        read_before.extend_from_slice(&behind.split_to(begun));
        let this = Self {
            read_before,
            rest: stream.take(body_bytes - begun as u64),
            unread: Unread::default(),
            patience: Patience::default(),
        };
        this.count();
        this
    }

    /// How much of it is not taken yet, from now on.
    pub fn unread(&self) -> Unread {
        self.unread.clone()
    }

    /// The connection.
    pub fn into_stream(self) -> DoorStream {
        self.rest.into_inner()
    }

    fn count(&self) {
        let unread = self
            .rest
            .limit()
            .saturating_add(self.read_before.len() as u64);
        self.unread.0.store(unread, Ordering::Relaxed);
    }
}

impl AsyncRead for OneRequest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = if self.read_before.is_empty() {
            Pin::new(&mut self.rest).poll_read(cx, buffer)
        } else {
            let bytes = self.read_before.len().min(buffer.remaining());
            buffer.put_slice(&self.read_before[..bytes]);
            self.read_before.advance(bytes);
            Poll::Ready(Ok(()))
        };
        self.count();
        read
    }
}

impl AsyncWrite for OneRequest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.patience.poll_write(this.rest.get_mut(), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.patience.poll_flush(this.rest.get_mut(), cx)
    }

    /// The answer has been written. The connection stays open: its owner knows whether another request follows.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    async fn connection() -> (TcpStream, DoorStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0.into())
    }

    fn head(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => head,
            other => panic!("{text}: {other:?}"),
        }
    }

    async fn read_all(request: &mut OneRequest) -> String {
        let mut text = String::new();
        request.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_request_ends_before_the_next_one() {
        let (mut client, server) = connection().await;
        let head = head("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n");
        let mut behind = BytesMut::from("abc");
        let mut request = OneRequest::new(&head, &mut behind, server);
        let unread = request.unread();
        client.write_all(b"defGET / HTTP/1.1\r\n").await.unwrap();
        assert!(behind.is_empty() && !unread.is_nothing());
        let text = read_all(&mut request).await;
        assert_eq!(text, "POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\nabcdef");
        assert!(unread.is_nothing());
        request.shutdown().await.unwrap();
        let mut next = [0; 5];
        let mut stream = request.into_stream();
        stream.read_exact(&mut next).await.unwrap();
        assert_eq!(&next, b"GET /");
        stream.write_all(b"still open").await.unwrap();
    }

    #[tokio::test]
    async fn bytes_of_the_next_request_stay_with_the_caller() {
        let (_client, server) = connection().await;
        let head = head("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n");
        let mut behind = BytesMut::from("abGET / HTTP/1.1\r\n\r\n");
        let mut request = OneRequest::new(&head, &mut behind, server);
        assert!(read_all(&mut request).await.ends_with("\r\n\r\nab"));
        assert_eq!(behind, "GET / HTTP/1.1\r\n\r\n");
    }

    #[tokio::test]
    async fn no_request_follows_a_body_without_a_length() {
        for framing in ["Transfer-Encoding: chunked", "X: y"] {
            let (client, server) = connection().await;
            let head = head(&format!("PUT / HTTP/1.1\r\n{framing}\r\n\r\n"));
            let mut behind = BytesMut::from("0\r\n\r\nGET /");
            let mut request = OneRequest::new(&head, &mut behind, server);
            drop(client);
            assert!(read_all(&mut request).await.ends_with("0\r\n\r\nGET /"));
            assert!(behind.is_empty() && !request.unread().is_nothing());
        }
    }
}
