//! Opens sockets from which no more than so many bytes are read, whatever they mean: `100 Continue` can be said without
//! end, and is part of no body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::BoxError;

/// How many bytes may still be read, shared by whoever reads and whoever asks why reading has ended.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<ByteCounters>);

#[derive(Debug)]
struct ByteCounters {
    left: AtomicUsize,
    used_up: AtomicBool,
}

impl Meter {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(ByteCounters {
            left: AtomicUsize::new(bytes),
            used_up: AtomicBool::new(false),
        }))
    }

    /// Whether there was more to read.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.used_up.load(Ordering::Relaxed)
    }

    /// Counts bytes; whether they may be read.
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.left.load(Ordering::Relaxed).checked_sub(bytes);
        match left {
            Some(left) => self.0.left.store(left, Ordering::Relaxed),
            None => self.0.used_up.store(true, Ordering::Relaxed),
        }
        left.is_some()
    }
}

/// Why no connection was opened.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct DialError(pub(super) BoxError);

/// Opens one connection, by the names and addresses of a URL.
#[derive(Clone, Debug)]
pub(super) struct Dialler {
    connector: HttpConnector,
    meter: Meter,
}

impl Dialler {
    /// Everything that comes over the connection is counted by `meter`, also what belongs to TLS.
    pub(super) fn new(meter: &Meter) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        Self {
            connector,
            meter: meter.clone(),
        }
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<Metered>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        let ready = self.connector.poll_ready(context);
        ready.map_err(|error| DialError(error.into()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.connector.call(url);
        let meter = self.meter.clone();
        Box::pin(async move {
            let opened = connecting.await;
            let stream = opened.map_err(|error| DialError(error.into()))?;
            let stream = stream.into_inner();
            Ok(TokioIo::new(Metered { stream, meter }))
        })
    }
}

/// A connection whose bytes are counted.
#[derive(Debug)]
pub(super) struct Metered {
    stream: TcpStream,
    meter: Meter,
}

impl Connection for Metered {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        let read = into.filled().len() - before;
        if !self.meter.take(read) {
            into.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
