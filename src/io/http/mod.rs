//! The HTTP client of nodes and of the command line, over TCP or TLS: one question, one connection, one answer.
//!
//! A node that takes the connection and then says nothing is as unreachable as one that is off;
//! [`HttpError::is_unreachable`] tells both from one that answers nonsense.

mod dialler;
mod redirect;
pub mod stream;
#[cfg(test)]
mod tests;
mod trust;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use dialler::{DialError, Dialler, Meter};
pub use trust::{BadAuthorities, Trust};

use crate::wire::http::credentials::basic_of;
use crate::wire::http::response::BadResponse;

/// How long one exchange may take, from the look-up of the name to the last byte.
///
/// Ten times what a busy node needs for its slowest answer (a password hash in a full queue), and about
/// as long as somebody at a terminal waits before looking for a fault.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is read: the status of a mesh with all the mounts that a document may hold.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The most that may come besides the body: the head, the heads of `100 Continue` before it, the marks of chunks,
/// trailers, and what TLS adds. A head alone is given up by hyper at some 400 kB; nobody's is a tenth as long.
const MAX_BESIDES_BYTES: usize = 64 * 1024;

/// How long a question may take, and how much may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the look-up of the name to the last byte, redirects included.
    pub time: Duration,
    /// The longest body that is read.
    pub answer_bytes: usize,
    /// How many redirects of the asked host are followed.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: REQUEST_TIMEOUT,
            answer_bytes: MAX_ANSWER_BYTES,
            redirects: 0,
        }
    }
}

/// A request to a server.
#[derive(Clone, Debug)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// An absolute URL of `http` or `https`.
    pub url: Uri,
    /// The headers; `Host` and `Content-Length` are added.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Bytes,
}

impl Question {
    /// A GET without headers.
    pub fn get(url: Uri) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// The same with the login `USER:PASSWORD`, which is not shown in logs.
    pub fn with_login(mut self, login: &str) -> Self {
        self.headers.insert(AUTHORIZATION, basic(login));
        self
    }
}

/// The answer of a server, with whatever status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// The form that an error of a library takes.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer. The request may have been carried out all the same, unless nobody was reached.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent.
    #[error("{0} is no URL of the form http://HOST[:PORT]/PATH")]
    BadUrl(Uri),
    /// Nobody took the connection.
    #[error("cannot reach {0}")]
    Unreachable(String, #[source] BoxError),
    /// The connection was taken, and whoever took it did not prove to be the server.
    #[error("no trusted TLS connection to {0}")]
    Untrusted(String, #[source] BoxError),
    /// The connection was taken, perhaps, and no whole answer came in time.
    #[error("{0} did not answer within {1:?}")]
    TimedOut(String, Duration),
    /// The reply was no HTTP, or broke off.
    #[error("{0} gave no proper answer")]
    Protocol(String, #[source] hyper::Error),
    /// The reply of a server of streams was none, by what has come.
    #[error("{0} gave no proper answer")]
    NoAnswer(String, #[source] BadResponse),
    /// The connection broke before the head of the answer had come.
    #[error("{0} has closed the connection before its answer")]
    Broken(String, #[source] io::Error),
    /// The answer has no end: a stream of sound or pictures.
    #[error("{0} answered with a stream ({1})")]
    Endless(String, String),
    /// The answer is longer than was to be read.
    #[error("{0} answered with more than {1} bytes")]
    TooLarge(String, usize),
}

/// The `Authorization` of `USER:PASSWORD`, which is not shown in logs.
pub fn basic(login: &str) -> HeaderValue {
    let mut value =
        HeaderValue::from_str(&basic_of(login)).expect("base64 has no control characters");
    value.set_sensitive(true);
    value
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
    request_trusting(question, limits, Trust::system()).await
}

/// The same of a server that has to give this proof, if it is one of HTTPS.
pub async fn request_trusting(
    question: Question,
    limits: Limits,
    trust: &Trust,
) -> Result<Answer, HttpError> {
    let peer = peer(&question.url)?;
    let following = follow(question, limits, trust);
    let limited = timeout(limits.time, following).await;
    limited.unwrap_or(Err(HttpError::TimedOut(peer, limits.time)))
}

async fn follow(
    mut question: Question,
    limits: Limits,
    trust: &Trust,
) -> Result<Answer, HttpError> {
    let mut left = limits.redirects;
    loop {
        let answer = exchange(question.clone(), limits.answer_bytes, trust).await?;
        match redirect::next(&question, &answer) {
            Some(next) if left > 0 => question = next,
            _ => return Ok(answer),
        }
        left -= 1;
    }
}

/// `HOST:PORT` of a URL that can be asked.
fn peer(url: &Uri) -> Result<String, HttpError> {
    match (url.host(), port(url)) {
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(HttpError::BadUrl(url.clone())),
    }
}

fn port(url: &Uri) -> Option<u16> {
    let usual = match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        _ => return None,
    };
    Some(url.port_u16().unwrap_or(usual))
}

async fn exchange(
    question: Question,
    answer_bytes: usize,
    trust: &Trust,
) -> Result<Answer, HttpError> {
    let peer = peer(&question.url)?;
    let meter = Meter::new(answer_bytes.saturating_add(MAX_BESIDES_BYTES));
    let dialled = trust.connect(Dialler::new(&meter), &question.url).await;
    let stream = dialled.map_err(|error| match error.downcast::<DialError>() {
        Ok(unreached) => HttpError::Unreachable(peer.clone(), unreached.0),
        Err(_) if meter.is_used_up() => HttpError::TooLarge(peer.clone(), answer_bytes),
        Err(other) => HttpError::Untrusted(peer.clone(), other),
    })?;
    let broken = |error| match meter.is_used_up() {
        true => HttpError::TooLarge(peer.clone(), answer_bytes),
        false => HttpError::Protocol(peer.clone(), error),
    };
    let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    let request = build(question)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        if let Some(media_type) = stream_type(&head.headers) {
            return Err(HttpError::Endless(peer.clone(), media_type));
        }
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

/// The media type of an answer that is a stream: sound or pictures of which nobody says how long they are.
fn stream_type(headers: &HeaderMap) -> Option<String> {
    let media_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let is_media = ["audio/", "video/", "application/ogg"]
        .iter()
        .any(|kind| media_type.to_ascii_lowercase().starts_with(kind));
    // A playlist has an end, and its media type is one of audio.
    let is_list =
        media_type.to_ascii_lowercase().contains("mpegurl") || media_type.contains("scpls");
    let is_endless = is_media && !is_list && !headers.contains_key(CONTENT_LENGTH);
    is_endless.then(|| media_type.to_owned())
}

fn build(question: Question) -> Result<Request<Full<Bytes>>, HttpError> {
    let url = question.url;
    let bad = || HttpError::BadUrl(url.clone());
    let authority = host_header(&url)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Full::new(question.body));
    *request.method_mut() = question.method;
    *request.uri_mut() = path.parse().map_err(|_| bad())?;
    *request.headers_mut() = question.headers;
    request.headers_mut().insert(HOST, authority);
    Ok(request)
}

/// The `Host` of a URL. A name and password in the URL are no part of the host's name.
fn host_header(url: &Uri) -> Result<HeaderValue, HttpError> {
    let bad = || HttpError::BadUrl(url.clone());
    let host = url.host().ok_or_else(bad)?;
    let authority = match url.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&authority).map_err(|_| bad())
}
