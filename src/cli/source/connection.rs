//! The connection of a source: PUT without a length, as ffmpeg does, and then the stream itself.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::playback::Playback;
use super::target::Target;
use crate::cli::terminal;
use crate::io::http::{Question, request};

/// How long connecting and being accepted may take; a node checks a password in a fraction of that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a node may take nothing before the connection counts as lost; it treats us the same way.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of an answer that is read; Icecast's have 200 bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most of a refusal's text that is read and shown, in bytes.
const MAX_TEXT_BYTES: usize = 500;

/// Why a source is not on air.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The connection was not accepted.
    #[error("cannot reach {0}")]
    Unreachable(String, #[source] io::Error),
    /// The connection was taken and then nothing came of it.
    #[error("{0} does not answer")]
    Silent(String),
    /// The reply was no answer to a source.
    #[error("{0} gave no proper answer")]
    Nonsense(String),
    /// The node does not want this source.
    #[error("{text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The node's reason.
        text: String,
    },
}

/// A source that is on air.
pub(super) struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

impl Connection {
    /// Connects, and waits until the node has accepted the source.
    pub(super) async fn open(target: &Target, content_type: &str) -> Result<Self, ConnectError> {
        let address = target.address();
        let opening = timeout(ANSWER_TIMEOUT, Self::negotiate(target, content_type));
        opening.await.unwrap_or(Err(ConnectError::Silent(address)))
    }

    async fn negotiate(target: &Target, content_type: &str) -> Result<Self, ConnectError> {
        let address = target.address();
        let unreachable = |error| ConnectError::Unreachable(address.clone(), error);
        let mut stream = TcpStream::connect(&address).await.map_err(unreachable)?;
        // Without it, a node that vanished from the net is noticed only when the socket's buffer is
        // full, minutes later. Where a system lacks it, that is how it is.
        let _unsupported = SockRef::from(&stream).set_tcp_user_timeout(Some(STALL_TIMEOUT));
        let head = head(target, content_type);
        stream
            .write_all(head.as_bytes())
            .await
            .map_err(unreachable)?;
        let (status, text) = read_answer(&mut stream, &address).await?;
        match status {
            100 | 200 => {
                let (reader, writer) = stream.into_split();
                Ok(Self { reader, writer })
            }
            _ => Err(ConnectError::Refused { status, text }),
        }
    }

    /// Sends the playback in real time until the connection is lost, and gives the reason.
    pub(super) async fn send(mut self, playback: &mut Playback) -> io::Error {
        let sending = send(&mut self.writer, playback);
        tokio::select! {
            lost = sending => lost,
            lost = closed(&mut self.reader) => lost,
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, playback: &mut Playback) -> io::Error {
    let start = Instant::now();
    let mut due = Vec::new();
    loop {
        due.clear();
        let next = playback.take_due(start.elapsed(), &mut due);
        match timeout(STALL_TIMEOUT, writer.write_all(&due)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::Error::new(io::ErrorKind::TimedOut, "it takes no more data"),
        }
        sleep_until(start + next).await;
    }
}

/// Waits until the node closes; whatever it says meanwhile is of no interest.
async fn closed(reader: &mut OwnedReadHalf) -> io::Error {
    let mut ignored = [0; 512];
    loop {
        match reader.read(&mut ignored).await {
            Ok(0) => {
                return io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection");
            }
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

fn head(target: &Target, content_type: &str) -> String {
    format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nUser-Agent: antiphon/{}\r\n\
         Content-Type: {content_type}\r\nIce-Public: 0\r\n\r\n",
        target.mount,
        target.address(),
        target.authorization(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// Reads status and, of a refusal, the text.
async fn read_answer(stream: &mut TcpStream, address: &str) -> Result<(u16, String), ConnectError> {
    let nonsense = || ConnectError::Nonsense(address.to_owned());
    let mut heard = Vec::new();
    let (status, reason, length) = loop {
        if let Some(answer) = parse_head(&heard).map_err(|_| nonsense())? {
            break answer;
        }
        let read = stream.read_buf(&mut heard).await;
        let read = read.map_err(|error| ConnectError::Unreachable(address.to_owned(), error))?;
        if read == 0 || heard.len() > MAX_HEAD_BYTES {
            return Err(nonsense());
        }
    };
    if (100..300).contains(&status) {
        return Ok((status, reason));
    }
    let mut body = heard.split_off(length);
    // A refusal ends with the connection; a short wait is enough for the rest of its text.
    let rest = async {
        while body.len() < MAX_TEXT_BYTES && matches!(stream.read_buf(&mut body).await, Ok(1..)) {}
    };
    let _cut_short = timeout(Duration::from_secs(1), rest).await;
    Ok((status, refusal(status, &reason, &body)))
}

/// Status, reason and length of an answer's head, once all of it has come.
fn parse_head(heard: &[u8]) -> Result<Option<(u16, String, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(heard)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let status = response.code.unwrap_or(0);
            let reason = response.reason.unwrap_or_default().to_owned();
            Ok(Some((status, reason, length)))
        }
    }
}

fn refusal(status: u16, reason: &str, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT_BYTES)]);
    // Icecast explains itself in HTML; its reason phrase says the same.
    let said = if body.contains('<') { "" } else { body.trim() };
    let text = match said {
        "" => format!("{status} {reason}"),
        said => format!("{status} {reason}: {said}"),
    };
    terminal::printable(text.trim())
}

/// Tells the node what is on air. A stream without a title is still a stream, so failing is no matter.
pub(super) async fn announce(target: &Target, title: &str) {
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let url = format!(
        "http://{}/admin/metadata?mode=updinfo&mount={}&charset=UTF-8&song={}",
        target.address(),
        escaped(target.mount.as_str()),
        escaped(title)
    );
    let authorization = HeaderValue::from_str(&target.authorization());
    let (Ok(url), Ok(authorization)) = (url.parse::<Uri>(), authorization) else {
        return;
    };
    let question = Question {
        method: Method::GET,
        url,
        headers: HeaderMap::from_iter([(AUTHORIZATION, authorization)]),
        body: Bytes::new(),
    };
    match request(question).await {
        Ok(answer) if answer.status.is_success() => debug!("title sent"),
        Ok(answer) => terminal::complain(&format!("the title is refused: {}", answer.status)),
        Err(error) => debug!(%error, "title not sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::source::track::Track;
    use tokio::net::TcpListener;

    const SAMPLE: &[u8] = include_bytes!("../sample/sample.mp3");

    async fn node() -> (TcpListener, Target) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = format!("http://source:pw@{address}/r.mp3");
        (listener, target.parse().unwrap())
    }

    async fn refused(reply: &[u8]) -> ConnectError {
        let (listener, target) = node().await;
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = [0; 2_000];
            assert_ne!(socket.read(&mut heard).await.unwrap(), 0);
            socket.write_all(reply).await.unwrap();
        };
        let ((), opened) = tokio::join!(serving, Connection::open(&target, "audio/mpeg"));
        opened.err().unwrap()
    }

    #[tokio::test]
    async fn a_source_puts_its_stream_behind_the_head() {
        let (listener, target) = node().await;
        let mut playback = Playback::new(Track::parse(SAMPLE.to_vec()).unwrap());
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                socket.read_buf(&mut heard).await.unwrap();
            }
            socket.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
            let mut stream = [0; 400];
            socket.read_exact(&mut stream).await.unwrap();
            (String::from_utf8(heard).unwrap(), stream)
        };
        let sending = async {
            let connection = Connection::open(&target, "audio/mpeg").await.unwrap();
            connection.send(&mut playback).await
        };
        let ((heard, stream), _lost) = tokio::join!(serving, sending);
        assert!(heard.starts_with("PUT /r.mp3 HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("Authorization: Basic "), "{heard}");
        assert!(!heard.contains("Transfer-Encoding"), "{heard}");
        assert_eq!(stream[..2], [0xff, 0xfb]);
    }

    #[tokio::test]
    async fn a_refusal_is_given_in_the_words_of_the_node() {
        let reply =
            b"HTTP/1.0 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nMountpoint in use\r\n";
        let error = refused(reply).await;
        assert!(matches!(error, ConnectError::Refused { status: 403, .. }));
        assert_eq!(error.to_string(), "403 Forbidden: Mountpoint in use");
        let error = refused(b"HTTP/1.0 401 Unauthorized\r\n\r\n<html>no").await;
        assert_eq!(error.to_string(), "401 Unauthorized");
    }

    #[tokio::test]
    async fn a_server_that_is_no_node_gives_no_proper_answer() {
        for reply in [&b"220 mail.example ESMTP\r\n\r\n"[..], b"", b"HTTP/1.1 200"] {
            let error = refused(reply).await;
            assert!(matches!(error, ConnectError::Nonsense(_)), "{error}");
        }
        let (listener, target) = node().await;
        drop(listener);
        let error = Connection::open(&target, "audio/mpeg").await.err().unwrap();
        assert!(matches!(error, ConnectError::Unreachable(..)), "{error}");
    }
}
