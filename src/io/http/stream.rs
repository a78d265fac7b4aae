//! The client for bodies without end: the head of an answer, and then a reader of what follows.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hyper::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use super::dialler::{DialError, Dialler, Meter, Metered};
use super::{HttpError, Question, Trust, host_header, peer, redirect};
use crate::io::leftover::hand_on;
use crate::wire::http::body::{BodyDecoder, BodyState};
use crate::wire::http::response::{
    BadResponse, MAX_RESPONSE_HEAD_BYTES, ParsedResponse, ResponseHead, parse_response,
};

/// How much is read at once: half a second of a loud stream.
const READ_BYTES: usize = 16 << 10;

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub struct OpenAnswer {
    /// The head.
    pub head: ResponseHead,
    /// The body.
    pub body: StreamBody,
}

/// The body of an answer, without its framing, for as long as it comes. Ends where the body does, or the connection; an
/// error means that what was sent makes no sense, or that the connection broke.
#[derive(Debug)]
pub struct StreamBody {
    connection: TokioIo<MaybeHttpsStream<TokioIo<Metered>>>,
    decoder: BodyDecoder,
    /// The bytes that were read and not decoded yet.
    input: BytesMut,
    /// The bytes of the body that were not handed on yet.
    decoded: BytesMut,
    has_ended: bool,
}

/// Asks, and returns once the head of the answer is there. Redirects are not followed, because the caller has to say how
/// often; the limit is from the look-up of the name to the end of the head.
pub async fn open(question: &Question, limit: Duration) -> Result<OpenAnswer, HttpError> {
    open_trusting(question, limit, Trust::system()).await
}

/// The question to which a server leads by a redirect or a playlist: on any host, because streams move; its login goes no
/// further than its server, and nobody is led out of TLS.
pub fn led_to(question: &Question, location: &str) -> Option<Question> {
    redirect::elsewhere(question, location)
}

pub(super) async fn open_trusting(
    question: &Question,
    limit: Duration,
    trust: &Trust,
) -> Result<OpenAnswer, HttpError> {
    let peer = peer(&question.url)?;
    let asked = timeout(limit, ask(question, &peer, trust)).await;
    asked.unwrap_or(Err(HttpError::TimedOut(peer, limit)))
}

async fn ask(question: &Question, peer: &str, trust: &Trust) -> Result<OpenAnswer, HttpError> {
    // Nobody limits how long a radio plays.
    let meter = Meter::new(usize::MAX);
    let dialled = trust.connect(Dialler::new(&meter), &question.url).await;
    let connection = dialled.map_err(|error| match error.downcast::<DialError>() {
        Ok(unreached) => HttpError::Unreachable(peer.to_owned(), unreached.0),
        Err(other) => HttpError::Untrusted(peer.to_owned(), other),
    })?;
    let mut connection = TokioIo::new(connection);
    let broken = |error: io::Error| HttpError::Broken(peer.to_owned(), error);
    let head = request_head(question)?;
    connection.write_all(&head).await.map_err(broken)?;
    connection.flush().await.map_err(broken)?;
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let bad = |why: BadResponse| HttpError::NoAnswer(peer.to_owned(), why);
    let mut interim_bytes = 0;
    loop {
        match parse_response(&input).map_err(bad)? {
            // "Continue" and the like: the answer comes behind it.
            ParsedResponse::Complete { head, len } if head.status < 200 => {
                input.advance(len);
                interim_bytes += len;
                if interim_bytes > MAX_RESPONSE_HEAD_BYTES {
                    return Err(bad(BadResponse::Long));
                }
                continue;
            }
            ParsedResponse::Complete { head, len } => {
                input.advance(len);
                let decoder = BodyDecoder::after(&head.head);
                let body = StreamBody {
                    connection,
                    decoder,
                    input,
                    decoded: BytesMut::new(),
                    has_ended: false,
                };
                return Ok(OpenAnswer { head, body });
            }
            ParsedResponse::Incomplete => {}
        }
        input.reserve(READ_BYTES);
        if connection.read_buf(&mut input).await.map_err(broken)? == 0 {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// The head of a GET: by hand, because the answers of some servers of streams are read by hand.
fn request_head(question: &Question) -> Result<Vec<u8>, HttpError> {
    let path = question.url.path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    let host = host_header(&question.url)?;
    let mut head = format!("{} {path} HTTP/1.1\r\nHost: ", question.method).into_bytes();
    head.extend_from_slice(host.as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in &question.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        // A header's value has no line end in it: its type sees to that.
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

impl StreamBody {
    /// Takes what has come out of the framing; whether it made sense.
    fn decode(&mut self) -> io::Result<()> {
        let decoded = self.decoder.decode(&mut self.input, &mut self.decoded);
        let state = decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.has_ended |= state == BodyState::End;
        Ok(())
    }
}

impl AsyncRead for StreamBody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.decoded.is_empty() {
                hand_on(&mut this.decoded, into);
                return Poll::Ready(Ok(()));
            }
            if !this.input.is_empty() && !this.has_ended {
                this.decode()?;
                if !this.decoded.is_empty() {
                    continue;
                }
            }
            if this.has_ended {
                return Poll::Ready(Ok(()));
            }
            this.input.reserve(READ_BYTES);
            let connection = Pin::new(&mut this.connection);
            if ready!(poll_read_buf(connection, context, &mut this.input))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The host and port of an address, for comparing it with others: lower case, with the port that is asked.
pub fn host_and_port(url: &Uri) -> Option<(String, u16)> {
    Some((url.host()?.to_ascii_lowercase(), super::port(url)?))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a server that says this in pieces of so many bytes, then leaves: the head, the body and what was asked.
    async fn asked(says: &'static [u8], piece: usize) -> (Result<OpenAnswer, HttpError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0);
            }
            for piece in says.chunks(piece) {
                socket.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            String::from_utf8(heard).unwrap()
        };
        let url = format!("http://{address}/a?b").parse().unwrap();
        let question = Question::get(url).with_login("u:p");
        let limit = Duration::from_secs(5);
        tokio::join!(open(&question, limit), serving)
    }

    #[tokio::test]
    async fn all_framings_end_in_the_same_bytes() {
        for says in [
            &b"HTTP/1.0 200 OK\r\n\r\naudio"[..],
            b"ICY 200 OK\r\n\r\naudio",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\naudioXX",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nau\r\n3\r\ndio\r\n0\r\n\r\n",
        ] {
            for piece in [1, 7, 1_000] {
                let (answer, heard) = asked(says, piece).await;
                let mut answer = answer.unwrap();
                assert_eq!(answer.head.status, 200);
                let mut body = Vec::new();
                answer.body.read_to_end(&mut body).await.unwrap();
                assert_eq!(body, b"audio");
                assert!(heard.starts_with("GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:"), "{heard}");
                assert!(heard.contains("\r\nauthorization: Basic dTpw\r\n"), "{heard}");
            }
        }
    }

    #[tokio::test]
    async fn a_bad_answer_is_an_error() {
        let (answer, _) = asked(b"<html>hello", 100).await;
        assert!(matches!(answer, Err(HttpError::NoAnswer(..))), "{answer:?}");
        let (answer, _) = asked(b"HTTP/1.0 200", 100).await;
        assert!(matches!(answer, Err(HttpError::Broken(..))), "{answer:?}");
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\naudio";
        let (answer, _) = asked(chunked, 100).await;
        let mut body = Vec::new();
        let error = answer
            .unwrap()
            .body
            .read_to_end(&mut body)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let question = Question::get(url.parse().unwrap());
        let answer = open(&question, Duration::from_millis(20)).await;
        assert!(matches!(answer, Err(HttpError::TimedOut(..))), "{answer:?}");
    }

    #[test]
    fn streams_may_be_on_another_host_and_logins_stay() {
        let question = Question::get("http://a/x".parse().unwrap()).with_login("u:p");
        let led = led_to(&question, "http://b:8000/y").unwrap();
        assert_eq!(led.url, "http://b:8000/y");
        assert!(led.headers.is_empty());
        let led = led_to(&question, "/y").unwrap();
        assert_eq!(
            (led.url, led.headers.len()),
            ("http://a/y".parse().unwrap(), 1)
        );
        let secure = Question::get("https://a/x".parse().unwrap());
        for location in ["http://a/x", "ftp://a/", "http://u:p@a/"] {
            assert!(led_to(&secure, location).is_none(), "{location}");
        }
    }
}
