//! The connection of a client of the door: plain, or by TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::logs::AccessRecord;

/// A client's connection, and the request that is being answered on it.
///
/// What is written by TLS may wait in memory until it is flushed; a plain connection keeps nothing back.
pub struct DoorStream {
    link: Link,
    /// Notes what is written; itself noted when it is dropped.
    record: Option<Box<AccessRecord>>,
}

enum Link {
    /// Bytes as they are.
    Plain(TcpStream),
    /// Encrypted, once the handshake is done.
    Tls(Box<TlsStream<TcpStream>>),
}

impl From<TcpStream> for DoorStream {
    fn from(socket: TcpStream) -> Self {
        Self {
            link: Link::Plain(socket),
            record: None,
        }
    }
}

impl From<TlsStream<TcpStream>> for DoorStream {
    fn from(tls: TlsStream<TcpStream>) -> Self {
        Self {
            link: Link::Tls(Box::new(tls)),
            record: None,
        }
    }
}

impl fmt::Debug for DoorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_tls() { "Tls" } else { "Plain" };
        f.debug_tuple(name).field(self.socket()).finish()
    }
}

impl DoorStream {
    /// The socket, for its options and its state. Nothing may be read or written there.
    pub fn socket(&self) -> &TcpStream {
        match &self.link {
            Link::Plain(socket) => socket,
            Link::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether the client speaks TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.link, Link::Tls(_))
    }

    /// The socket, and the state of TLS, for code that reads and writes by itself.
    pub fn into_parts(self) -> (TcpStream, Option<ServerConnection>) {
        match self.link {
            Link::Plain(socket) => (socket, None),
            Link::Tls(tls) => {
                let (socket, session) = tls.into_inner();
                (socket, Some(session))
            }
        }
    }

    /// Has what is written from now on noted as the answer to this request. The one before is over.
    pub fn begin_request(&mut self, record: AccessRecord) {
        self.record = Some(Box::new(record));
    }

    /// The answer has been written: what comes is not part of it.
    pub fn end_request(&mut self) {
        self.record = None;
    }

    /// The request that is being answered, to say more of it.
    pub fn request(&mut self) -> Option<&mut AccessRecord> {
        self.record.as_deref_mut()
    }

    /// The request that is being answered, for code that writes by itself.
    pub fn take_request(&mut self) -> Option<Box<AccessRecord>> {
        self.record.take()
    }

    /// Notes as many of these bytes as were written.
    fn note(&mut self, written: &Poll<io::Result<usize>>, pieces: &[IoSlice<'_>]) {
        let (Poll::Ready(Ok(written)), Some(record)) = (written, &mut self.record) else {
            return;
        };
        let mut left = *written;
        for piece in pieces {
            let bytes = left.min(piece.len());
            record.note_sent(&piece[..bytes]);
            left -= bytes;
        }
    }
}

impl AsyncRead for DoorStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().link {
            Link::Plain(socket) => Pin::new(socket).poll_read(cx, to),
            Link::Tls(tls) => Pin::new(tls).poll_read(cx, to),
        }
    }
}

impl AsyncWrite for DoorStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.link {
            Link::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Link::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        };
        this.note(&written, &[IoSlice::new(bytes)]);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.link {
            Link::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Link::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        };
        this.note(&written, pieces);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.link {
            Link::Plain(socket) => socket.is_write_vectored(),
            Link::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().link {
            Link::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Link::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().link {
            Link::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Link::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
