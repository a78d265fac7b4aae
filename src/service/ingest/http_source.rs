//! An encoder's connection as a reader of its audio: the answer to its request, and what remains of the body when the
//! framing is removed.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use super::filler::{Backlog, Filler};
use super::intake::READ_BYTES;
use super::refusal::answer_and_drain;
use crate::io::answer::{self, Patience};
use crate::io::door_stream::DoorStream;
use crate::io::{clock, uplink};
use crate::wire::http::body::{BodyDecoder, BodyState};
use crate::wire::http::chunk::BodyError;
use crate::wire::http::head::Head;
use crate::wire::http::reply::Reply;
use crate::wire::http::status::HttpStatus;

/// The most that is read ahead of its time, to find the end of a connection behind it: what Linux by default lets a
/// sender leave in its system.
const READ_AHEAD_BYTES: usize = 4 << 20;
/// How long that may take. Together with [`BYTE_ANSWERED`] less than a node waits that asks for the source.
const READ_AHEAD: Duration = Duration::from_millis(500);
/// How long it may take to read what lies in this node's system already.
const AT_HAND: Duration = Duration::from_millis(50);
/// How long the system of the source may take to answer a byte.
const BYTE_ANSWERED: Duration = Duration::from_millis(300);
/// How long the system of a source whose encoder seems to have come back may leave a byte unanswered, counted from when
/// the kernel sends it again. That is when twice the line's round trip, and a little more, are over: no living line is
/// broken, and a dead one within 650 ms, or 850 ms if its round trip took 100 ms.
const UNANSWERED: Duration = Duration::from_millis(200);
/// How long the break is waited for; it has to fit into `PRESENCE`.
const BREAKING: Duration = Duration::from_millis(950);
/// The same limit when nobody waits for it: as long as a source may be silent.
const UNANSWERED_LATER: Duration = Duration::from_secs(10);
/// The time between two looks whether it has.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The connection of a source whose request is to be answered.
#[derive(Debug)]
pub(super) struct HttpSource<'a> {
    stream: &'a mut DoorStream,
    /// The part of the answer that is still to be sent.
    answer: Bytes,
    /// Whether the answer has begun to be sent.
    is_answered: bool,
    /// Whether the answer tells that the request is invalid.
    is_refused: bool,
    patience: Patience,
    decoder: BodyDecoder,
    /// The bytes that have come and are not decoded yet.
    input: BytesMut,
    /// The bytes that follow on the input and were read ahead of their time.
    ahead: BytesMut,
    /// The audio that is decoded and was not read from here yet.
    audio: BytesMut,
    framing_bytes: u64,
    /// How the body ended, once it has.
    ended: Option<Result<(), BodyError>>,
    /// Whether the source has closed or broken the connection.
    has_hung_up: bool,
    /// Whether there is nothing more to receive.
    is_closed: bool,
}

impl<'a> HttpSource<'a> {
    /// A source that has sent this head, and behind it the bytes that are `begun`. It is told the `answer` once it is taken.
    pub(super) fn new(
        stream: &'a mut DoorStream,
        head: &Head,
        answer: Bytes,
        begun: BytesMut,
    ) -> Self {
        Self {
            stream,
            is_answered: answer.is_empty(),
            answer,
            is_refused: false,
            patience: Patience::default(),
            decoder: BodyDecoder::after(head),
            input: begun,
            ahead: BytesMut::new(),
            audio: BytesMut::new(),
            framing_bytes: 0,
            ended: None,
            has_hung_up: false,
            is_closed: false,
        }
    }

    /// Decodes what has come.
    fn decode(&mut self) {
        let undecoded = self.input.len() + self.audio.len();
        let decoded = self.decoder.decode(&mut self.input, &mut self.audio);
        self.framing_bytes += (undecoded - self.input.len() - self.audio.len()) as u64;
        match decoded {
            Ok(BodyState::More) => {}
            Ok(BodyState::End) => self.ended = Some(Ok(())),
            Err(error) => {
                if !self.is_answered {
                    self.refuse(error);
                }
                self.ended = Some(Err(error));
            }
        }
    }

    /// Has a source that has had no answer told what is wrong with its body, of which nothing is heard.
    fn refuse(&mut self, why: BodyError) {
        let reply = Reply::without_head(b"", clock::unix_s());
        self.answer = reply.message(HttpStatus::BadRequest, &why.to_string(), &[]);
        self.is_refused = true;
        self.audio.clear();
    }

    /// Takes the next piece of what was read ahead, if there is any.
    fn refill(&mut self) -> bool {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new(); // it may have been large
            return false;
        }
        let piece = self.ahead.split_to(READ_BYTES.min(self.ahead.len()));
        self.input.extend_from_slice(&piece);
        true
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let sent = self.patience.poll_write(self.stream, cx, &self.answer);
            match ready!(sent) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(sent_bytes) => {
                    self.is_answered = true;
                    self.answer.advance(sent_bytes);
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.patience.poll_flush(self.stream, cx)
    }

    /// Receives more from the connection, once the source has its answer.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let received = match ready!(self.poll_answer(cx)) {
            Ok(()) => {
                self.input.reserve(READ_BYTES);
                ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))
            }
            Err(error) => Err(error),
        };
        match received {
            Ok(1..) => {}
            Ok(0) => self.is_closed = true,
            Err(error) => {
                debug!(%error, "connection broken");
                self.is_closed = true;
            }
        }
        Poll::Ready(())
    }

    async fn read_ahead(&mut self, within: Duration) {
        let until = Instant::now() + within;
        while self.ahead.len() < READ_AHEAD_BYTES {
            self.ahead.reserve(READ_BYTES);
            match timeout_at(until, self.stream.read_buf(&mut self.ahead)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => {
                    self.is_closed = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Sends a byte of the answer's body, and waits so long for the connection to break at it.
    async fn breaks_at_a_byte(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        self.takes_no_byte(until).await || self.breaks_by(until).await
    }

    /// Sends a byte of the answer's body; whether the connection is broken already.
    async fn takes_no_byte(&mut self, until: Instant) -> bool {
        let sent = timeout_at(until, answer::send(self.stream, b"\n")).await;
        matches!(sent, Ok(Err(_)))
    }

    /// Waits until the connection breaks, or this moment has come; whether it has broken.
    async fn breaks_by(&mut self, until: Instant) -> bool {
        let breaks = async {
            while !uplink::has_hung_up(self.stream.socket()) {
                sleep(LOOK_INTERVAL).await;
            }
        };
        timeout_at(until, breaks).await.is_ok()
    }
}

impl AsyncRead for HttpSource<'_> {
    /// Answers the source before it waits for more than what came with the head.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let source = self.get_mut();
        loop {
            if source.ended.is_none() {
                source.decode();
            }
            if !source.audio.is_empty() {
                let piece_bytes = source.audio.len().min(to.remaining());
                to.put_slice(&source.audio.split_to(piece_bytes));
                return Poll::Ready(Ok(()));
            }
            if source.ended.is_none() && source.refill() {
                continue;
            }
            match source.ended {
                Some(Ok(())) => return Poll::Ready(Ok(())),
                Some(Err(error)) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, error);
                    return Poll::Ready(Err(error));
                }
                None if source.is_closed => return Poll::Ready(Ok(())),
                None => ready!(source.poll_receive(cx)),
            }
        }
    }
}

impl Filler for HttpSource<'_> {
    async fn accept(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_answer(cx)).await?;
        match self.is_refused {
            true => {
                answer_and_drain(self.stream, b"").await;
                Err(io::ErrorKind::InvalidData.into())
            }
            false => Ok(()),
        }
    }

    fn framing_bytes(&self) -> u64 {
        self.framing_bytes
    }

    fn has_left(&mut self) -> bool {
        self.has_hung_up |= uplink::has_hung_up(self.stream.socket());
        self.has_hung_up || self.is_closed || self.ended.is_some()
    }

    /// The end of a connection is behind all that was sent before it, and what is sent too fast piles up in both
    /// systems. So that is read ahead, as far as it can reasonably go. If no end comes, the source's system is sent a
    /// byte of the answer's body: if no program there can take it, the system breaks the connection.
    async fn is_behind_backlog(&mut self) -> bool {
        self.read_ahead(READ_AHEAD).await;
        self.has_hung_up = self.is_closed || self.breaks_at_a_byte(BYTE_ANSWERED).await;
        !self.has_hung_up
    }

    /// The source's system is sent a byte of the answer's body. If nothing there acknowledges it in time, the kernel
    /// breaks the connection; and that system does, if it does not know the connection any more.
    async fn is_reachable(&mut self, backlog: Backlog) -> bool {
        if let Err(error) = uplink::break_unanswered_after(self.stream.socket(), UNANSWERED) {
            debug!(%error, "whether the source can be reached is not known");
            return true;
        }
        let until = Instant::now() + BREAKING;
        if backlog == Backlog::Some {
            // A system that knows the connection no more answers the byte with a reset, which loses what was not read.
            self.read_ahead(AT_HAND).await;
        }
        let is_broken = self.takes_no_byte(until).await;
        if !is_broken && backlog == Backlog::Some {
            self.read_ahead(READ_AHEAD).await;
        }
        self.has_hung_up |= is_broken || self.is_closed || self.breaks_by(until).await;
        if let Err(error) = uplink::break_unanswered_after(self.stream.socket(), UNANSWERED_LATER) {
            debug!(%error, "the source keeps a short time limit");
        }
        !self.has_hung_up
    }

    async fn dismiss(&mut self) -> io::Result<()> {
        answer::end(self.stream).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::wire::http::reader::{Parsed, parse};
    use crate::wire::http::reply;

    /// Far longer than anything here takes; a test that waits so long has failed.
    const PATIENCE: Duration = Duration::from_secs(10);
    const PLAIN: &str = "PUT /a HTTP/1.1\r\nContent-Length: 8\r\n\r\n";
    const CHUNKED: &str =
        "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    const ENDLESS: &str = "SOURCE /a HTTP/1.0\r\n\r\n";

    fn head(text: &str) -> Head {
        match parse(text.as_bytes()).unwrap() {
            Parsed::Complete { head, .. } => head,
            Parsed::Incomplete => panic!("the head is not complete"),
        }
    }

    fn source<'a>(stream: &'a mut DoorStream, text: &str, begun: BytesMut) -> HttpSource<'a> {
        let head = head(text);
        HttpSource::new(stream, &head, reply::source_accepted(&head), begun)
    }

    /// Both ends of a connection: the encoder's, and the node's.
    async fn connection() -> (TcpStream, DoorStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let encoder = TcpStream::connect(listener.local_addr().unwrap());
        let (encoder, accepted) = tokio::join!(encoder, listener.accept());
        (encoder.unwrap(), accepted.unwrap().0.into())
    }

    async fn all_of(source: &mut HttpSource<'_>) -> io::Result<Vec<u8>> {
        let mut audio = Vec::new();
        let reading = timeout(PATIENCE, source.read_to_end(&mut audio));
        reading.await.expect("it ends").map(|_| audio)
    }

    #[tokio::test]
    async fn the_framing_is_removed_and_counted() {
        let (mut encoder, mut stream) = connection().await;
        let body = b"4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\nno audio";
        let begun = BytesMut::from(&body[..7]);
        let mut source = source(&mut stream, CHUNKED, begun);
        encoder.write_all(&body[7..]).await.unwrap();
        assert!(!source.has_left());
        assert_eq!(all_of(&mut source).await.unwrap(), b"abcde");
        assert_eq!(
            source.framing_bytes(),
            (body.len() - "abcdeno audio".len()) as u64
        );
        assert!(source.has_left(), "nothing more will come");
    }

    #[tokio::test]
    async fn a_source_is_answered_before_more_is_awaited() {
        let (mut encoder, mut stream) = connection().await;
        let begun = BytesMut::from("abcd");
        let mut source = source(&mut stream, PLAIN, begun);
        let mut audio = [0; 8];
        source.read_exact(&mut audio[..4]).await.unwrap();
        assert!(encoder.try_read(&mut [0; 64]).is_err(), "not yet");
        let asks = async {
            let mut answer = [0; 64];
            let bytes = encoder.read(&mut answer).await.unwrap();
            encoder.write_all(b"efgh").await.unwrap();
            String::from_utf8(answer[..bytes].to_vec()).unwrap()
        };
        let (answer, read) = tokio::join!(asks, source.read_exact(&mut audio[4..]));
        read.unwrap();
        assert_eq!(answer, "HTTP/1.0 200 OK\r\n\r\n");
        assert_eq!(&audio, b"abcdefgh");
        source.accept().await.unwrap();
        assert_eq!(source.read(&mut audio).await.unwrap(), 0);
        assert!(encoder.try_read(&mut [0; 64]).is_err(), "answered once");
    }

    #[tokio::test]
    async fn a_senseless_body_is_an_error_each_time() {
        let (mut encoder, mut stream) = connection().await;
        let begun = BytesMut::from("3\r\nabc\r\n");
        let mut source = source(&mut stream, CHUNKED, begun);
        encoder.write_all(b"x").await.unwrap();
        let mut audio = [0; 8];
        assert_eq!(source.read(&mut audio).await.unwrap(), 3);
        for _ in 0..2 {
            let error = source.read(&mut audio).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn a_body_that_begins_badly_is_told_so_and_not_heard() {
        let (mut encoder, mut stream) = connection().await;
        let begun = BytesMut::from("3\r\nabc\r\nx");
        let mut source = source(&mut stream, CHUNKED, begun);
        let error = source.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let hears = async {
            let mut answer = String::new();
            encoder.read_to_string(&mut answer).await.unwrap();
            encoder.shutdown().await.unwrap();
            answer
        };
        let (answer, accepted) = tokio::join!(hears, source.accept());
        assert!(
            answer.starts_with("HTTP/1.0 400 Bad Request\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("a chunk has no size"), "{answer}");
        assert!(accepted.is_err());
    }

    #[tokio::test]
    async fn a_hang_up_behind_a_backlog_loses_no_byte() {
        let (mut encoder, mut stream) = connection().await;
        let mut source = source(&mut stream, ENDLESS, BytesMut::new());
        let sent: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        encoder.write_all(&sent[..50_000]).await.unwrap();
        assert!(source.is_behind_backlog().await);
        assert!(!source.has_left());
        encoder.write_all(&sent[50_000..]).await.unwrap();
        encoder.shutdown().await.unwrap();
        assert!(!source.is_behind_backlog().await);
        assert!(source.has_left());
        assert_eq!(all_of(&mut source).await.unwrap(), sent);
    }

    #[tokio::test]
    async fn a_dismissed_source_is_still_read() {
        let (mut encoder, mut stream) = connection().await;
        let mut source = source(&mut stream, ENDLESS, BytesMut::new());
        source.accept().await.unwrap();
        encoder.write_all(b"the rest").await.unwrap();
        source.dismiss().await.unwrap();
        encoder.shutdown().await.unwrap();
        assert_eq!(all_of(&mut source).await.unwrap(), b"the rest");
    }
}
