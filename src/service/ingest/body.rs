//! The bytes of one source, from its socket to wherever they go now.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

use crate::io::answer;
use crate::io::feed::Feed;
use crate::media::ring::Append;
use crate::model::stream::EndReason;
use crate::wire::body::{BodyDecoder, BodyState};
use crate::wire::head::Head;
use crate::wire::reply;

/// A source that sends nothing for so long has stalled: what Icecast's users are used to.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);
/// How far a source may be ahead of the clock before its bytes are left in its socket: more than any encoder
/// sends at once when it connects, and less than the ring's window, out of which listeners would fall.
const MOST_AHEAD: Duration = Duration::from_secs(15);
/// How long to wait then before looking again.
const BRAKE: Duration = Duration::from_millis(250);
/// How long a source that is sent away may take to notice. One that does not look whether its connection is still there
/// would go on sending for ever.
const PARTING: Duration = Duration::from_millis(100);
/// How much is read from a source at once: half a second of a loud stream.
const READ_BYTES: usize = 16 * 1024;

/// Where the bytes go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sink<'a> {
    /// On air.
    Ring(&'a Feed),
    /// The source waits for its turn; what it says meanwhile nobody hears.
    Nothing,
}

/// The body of a source's request.
#[derive(Debug)]
pub(super) struct Body {
    /// The answer to the request, as long as it is owed.
    answer: Option<Bytes>,
    decoder: BodyDecoder,
    input: BytesMut,
    audio: BytesMut,
}

impl Body {
    pub(super) fn new(head: &Head, begun: BytesMut) -> Self {
        Self {
            answer: Some(reply::source_accepted(head)),
            decoder: BodyDecoder::after(head),
            input: begun,
            audio: BytesMut::new(),
        }
    }

    /// Moves bytes until the body or the connection ends. May be dropped at any time: no byte is lost.
    ///
    /// The source gets its answer here, when everything is ready for its bytes: whoever waits for the answer
    /// and then listens hears it.
    pub(super) async fn copy(&mut self, stream: &mut TcpStream, sink: Sink<'_>) -> EndReason {
        if let Some(answer) = self.answer.take()
            && answer::send(stream, &answer).await.is_err()
        {
            return EndReason::SourceLeft;
        }
        loop {
            let decoded = self.decoder.decode(&mut self.input, &mut self.audio);
            self.pour(sink);
            match decoded {
                Ok(BodyState::More) => {}
                Ok(BodyState::End) => return EndReason::SourceLeft,
                Err(error) => {
                    info!(%error, "malformed body");
                    return EndReason::SourceLeft;
                }
            }
            self.brake(sink).await;
            self.input.reserve(READ_BYTES);
            match timeout(SOURCE_TIMEOUT, stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return EndReason::SourceLeft,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    debug!(%error, "connection broken");
                    return EndReason::SourceLeft;
                }
                Err(_) => return EndReason::SourceSilent,
            }
        }
    }

    /// Sends the source away: it is told that nobody answers any more, and what it had sent before it heard that is
    /// taken. Closed at once, the connection would lose what is in it.
    pub(super) async fn part(&mut self, stream: &mut TcpStream, sink: Sink<'_>) {
        if stream.shutdown().await.is_ok()
            && timeout(PARTING, self.copy(stream, sink)).await.is_err()
        {
            debug!("the source does not look whether it is heard");
        }
    }

    /// Holds up a source that sends faster than it sounds: the network then tells it to wait.
    async fn brake(&self, sink: Sink<'_>) {
        if let Sink::Ring(feed) = sink {
            while feed.ahead(Instant::now().into_std()) > MOST_AHEAD {
                sleep(BRAKE).await;
            }
        }
    }

    fn pour(&mut self, sink: Sink<'_>) {
        if let Sink::Ring(feed) = sink
            && !self.audio.is_empty()
        {
            let appended = feed.append(feed.next(), &self.audio, Instant::now().into_std());
            debug_assert_eq!(appended, Append::Appended, "a source's ring has one writer");
        }
        self.audio.clear();
    }
}
