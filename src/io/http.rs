//! A small HTTP client, for the command line and for servers outside: one request, one connection, one answer.
//!
//! A node that takes the connection and then says nothing is as unreachable as one that is off;
//! [`HttpError::is_unreachable`] tells both from one that answers nonsense.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one exchange may take, from the look-up of the name to the last byte.
///
/// Ten times what a busy node needs for its slowest answer (a password hash in a full queue), and about
/// as long as somebody at a terminal waits before he looks for a fault.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is read: the status of a mesh with all the mounts that a document may hold.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What an answer may have besides its body: its head, the heads of `100 Continue` before it, the marks of chunks. A
/// head alone is given up by hyper at some 400 kB; nobody's is a tenth as long.
const MAX_BESIDES_BYTES: usize = 64 * 1024;

/// How long an exchange may take, and how much may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the look-up of the name to the last byte.
    pub time: Duration,
    /// The longest body that is read.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: REQUEST_TIMEOUT,
            answer_bytes: MAX_ANSWER_BYTES,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// An absolute `http` URL.
    pub url: Uri,
    /// Its headers; `Host` and `Content-Length` are added.
    pub headers: HeaderMap,
    /// Its body; may be empty.
    pub body: Bytes,
}

/// What was answered, with whatever status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer. The request may have been carried out all the same, unless nobody was reached.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent.
    #[error("{0} is no URL of the form http://HOST[:PORT]/PATH")]
    BadUrl(Uri),
    /// Nobody took the connection.
    #[error("cannot reach {0}")]
    Unreachable(String, #[source] io::Error),
    /// The connection was taken, perhaps, and no whole answer came in time.
    #[error("{0} did not answer within {1:?}")]
    TimedOut(String, Duration),
    /// What came is no HTTP, or broke off.
    #[error("{0} gave no proper answer")]
    Protocol(String, #[source] hyper::Error),
    /// The answer is longer than was to be read.
    #[error("{0} answered with more than {1} bytes")]
    TooLarge(String, usize),
}

/// An error with its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    text
}

impl HttpError {
    /// Whether nobody is there, as far as one can tell.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(..) | Self::TimedOut(..))
    }
}

/// Asks once; any status is an answer. Redirects are not followed.
pub async fn request(question: Question) -> Result<Answer, HttpError> {
    request_within(question, Limits::default()).await
}

/// The same within limits of one's own.
pub async fn request_within(question: Question, limits: Limits) -> Result<Answer, HttpError> {
    let url = question.url.clone();
    let plain = url.scheme() == Some(&Scheme::HTTP);
    let authority = url.authority().filter(|_| plain);
    let (Some(authority), Some(host)) = (authority, url.host()) else {
        return Err(HttpError::BadUrl(url));
    };
    let port = authority.port_u16().unwrap_or(80);
    let peer = format!("{host}:{port}");
    let limited = timeout(
        limits.time,
        exchange(question, (host, peer.clone()), limits.answer_bytes),
    );
    limited
        .await
        .unwrap_or_else(|_| Err(HttpError::TimedOut(peer, limits.time)))
}

async fn exchange(
    question: Question,
    (host, peer): (&str, String),
    answer_bytes: usize,
) -> Result<Answer, HttpError> {
    let connected = TcpStream::connect(&peer).await;
    let stream = connected.map_err(|error| HttpError::Unreachable(peer.clone(), error))?;
    let metered = Metered::new(stream, answer_bytes.saturating_add(MAX_BESIDES_BYTES));
    let used_up = metered.used_up.clone();
    let broken = |error| match used_up.load(Ordering::Relaxed) {
        true => HttpError::TooLarge(peer.clone(), answer_bytes),
        false => HttpError::Protocol(peer.clone(), error),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(metered))
        .await
        .map_err(broken)?;
    let request = build(question, host)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let read = Limited::new(body, answer_bytes).collect().await;
        let body = read.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => broken(*error),
            Err(other) => {
                debug_assert!(other.is::<LengthLimitError>(), "{other}");
                HttpError::TooLarge(peer.clone(), answer_bytes)
            }
        })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    // The connection does the reading and writing and ends by itself, perhaps before the answer is
    // taken from it; its own result says nothing that the answer does not.
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => answer,
        _ = connection => asking.await,
    }
}

/// A connection from which no more than so many bytes are read, whatever they mean: `100 Continue` can be said without
/// end, and is part of no body.
struct Metered {
    stream: TcpStream,
    left: usize,
    /// Whether there was more.
    used_up: Arc<AtomicBool>,
}

impl Metered {
    fn new(stream: TcpStream, bytes: usize) -> Self {
        Self {
            stream,
            left: bytes,
            used_up: Arc::default(),
        }
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
        let Some(left) = self.left.checked_sub(read) else {
            self.used_up.store(true, Ordering::Relaxed);
            into.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        };
        self.left = left;
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

fn build(question: Question, host: &str) -> Result<Request<Full<Bytes>>, HttpError> {
    let url = question.url;
    let bad = |url: &Uri| HttpError::BadUrl(url.clone());
    // A name and password in the URL are no part of the host's name.
    let authority = match url.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Full::new(question.body));
    *request.method_mut() = question.method;
    *request.uri_mut() = path.parse().map_err(|_| bad(&url))?;
    *request.headers_mut() = question.headers;
    let authority = HeaderValue::from_str(&authority).map_err(|_| bad(&url))?;
    request.headers_mut().insert(HOST, authority);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Asks a server that takes one connection, reads until `until` has come, and says `reply`.
    async fn ask(
        body: &'static str,
        until: &str,
        reply: &[u8],
    ) -> (String, Result<Answer, HttpError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !String::from_utf8_lossy(&heard).contains(until) {
                assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0);
            }
            // A client that has seen enough leaves in the middle, so this may fail.
            let _left = socket.write_all(reply).await;
            String::from_utf8(heard).unwrap()
        };
        tokio::join!(
            serving,
            request(question(address, Bytes::from_static(body.as_bytes())))
        )
    }

    fn question(address: SocketAddr, body: Bytes) -> Question {
        Question {
            method: Method::POST,
            url: format!("http://me:pw@{address}/a/b?c=d").parse().unwrap(),
            headers: HeaderMap::from_iter([(
                hyper::header::AUTHORIZATION,
                HeaderValue::from_static("Bearer x"),
            )]),
            body,
        }
    }

    #[tokio::test]
    async fn an_exchange_carries_headers_and_bodies_both_ways() {
        let reply = b"HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nin useXXX";
        let (heard, answer) = ask("hello", "hello", reply).await;
        assert!(heard.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("authorization: Bearer x\r\n"), "{heard}");
        assert!(heard.contains("host: 127.0.0.1:"), "{heard}");
        assert!(heard.contains("content-length: 5\r\n"), "{heard}");
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(answer.headers["x-y"], "z");
        assert_eq!(&answer.body[..], b"in us");
    }

    #[tokio::test]
    async fn an_answer_may_end_with_the_connection() {
        let (_, answer) = ask("", "\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
        assert_eq!(&answer.unwrap().body[..], b"until the end");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_none() {
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort";
        for reply in [&b"nonsense\r\n\r\n"[..], b"", short] {
            let (_, answer) = ask("", "\r\n\r\n", reply).await;
            let error = answer.unwrap_err();
            assert!(matches!(error, HttpError::Protocol(..)), "{error}");
            assert!(!error.is_unreachable());
        }
    }

    #[tokio::test]
    async fn an_answer_beyond_the_limit_is_not_read() {
        let mut reply = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        reply.resize(MAX_ANSWER_BYTES + 100_000, b'x');
        let (_, answer) = ask("", "\r\n\r\n", &reply).await;
        let error = answer.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge(..)), "{error}");
    }

    #[tokio::test]
    async fn every_byte_of_an_answer_counts_also_of_those_before_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endless = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            // Whoever speaks before it was asked has given no answer at all.
            assert_ne!(socket.read_buf(&mut Vec::new()).await.unwrap(), 0);
            let said = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
            let mut bytes = 0;
            while socket.write_all(&said).await.is_ok() {
                bytes += said.len();
            }
            bytes
        });
        let limits = Limits {
            answer_bytes: 1_000_000,
            ..Limits::default()
        };
        let begun = std::time::Instant::now();
        let asked = request_within(question(address, Bytes::new()), limits).await;
        let (error, took) = (asked.unwrap_err(), begun.elapsed());
        assert!(matches!(error, HttpError::TooLarge(..)), "{error}");
        let said_bytes = endless.await.unwrap();
        println!("given up after {took:?}; {said_bytes} bytes were said");
        // What was said beyond lies in the buffers of the two sockets.
        assert!(said_bytes < 32_000_000, "{said_bytes}");
    }

    #[tokio::test]
    async fn nobody_at_the_port_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = request(question(address, Bytes::new())).await.unwrap_err();
        assert!(matches!(error, HttpError::Unreachable(..)), "{error}");
        assert!(error.is_unreachable());
    }

    #[tokio::test]
    async fn a_node_that_says_nothing_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            time: Duration::from_millis(20),
            ..Limits::default()
        };
        let asked = request_within(question(address, Bytes::new()), limits);
        let error = asked.await.unwrap_err();
        assert!(matches!(error, HttpError::TimedOut(..)), "{error}");
        assert!(error.is_unreachable());
    }

    #[tokio::test]
    async fn only_plain_http_is_spoken() {
        for url in ["https://localhost/", "/path", "localhost:80"] {
            let mut question = question(([127, 0, 0, 1], 1).into(), Bytes::new());
            question.url = url.parse().unwrap();
            let error = request(question).await.unwrap_err();
            assert!(matches!(error, HttpError::BadUrl(_)), "{error}");
        }
    }
}
