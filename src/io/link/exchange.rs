//! A conversation over a link: frames in both directions on one QUIC stream.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::time::timeout;
use tracing::warn;

use super::{CLOSE_BAD_FRAME, LinkCounters};
use crate::wire::frame::{self, Frame, HEADER_BYTES};

/// Tells the peer that a conversation was cut short by this side.
const RESET: VarInt = VarInt::from_u32(0);

/// The priority of what can wait; all else has 0.
const BEHIND_ALL: i32 = -1;

/// How long a peer may take to make room for one frame. A slower line cannot carry a stream, and a peer that
/// reads nothing would keep its reader's place for ever.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No link leads to that node.
    #[error("no link to that node")]
    NoLink,
    /// The link broke.
    #[error("the link broke")]
    Lost(#[from] quinn::ConnectionError),
    /// The peer takes no more bytes.
    #[error("the peer stopped listening")]
    Write(#[from] quinn::WriteError),
    /// The peer reads nothing: its link is closed.
    #[error("the peer reads nothing")]
    Unread,
    /// The peer's bytes ended in the middle of a frame, or the link broke.
    #[error("the peer stopped speaking")]
    Read(#[from] quinn::ReadExactError),
    /// The peer sent an invalid frame: its link is closed.
    #[error("the peer sent an invalid frame")]
    Decode(#[from] frame::DecodeError),
    /// A frame could not be encoded.
    #[error(transparent)]
    Encode(#[from] frame::EncodeError),
    /// The peer answered with a frame that is not expected here.
    #[error("the peer sent a frame that is not expected here")]
    Unexpected,
}

/// One conversation. Dropping it before its end resets the stream.
#[derive(Debug)]
pub struct Exchange {
    send: SendStream,
    receive: RecvStream,
    connection: Connection,
    counters: Arc<LinkCounters>,
}

impl Exchange {
    pub(super) fn new(
        streams: (SendStream, RecvStream),
        connection: &Connection,
        counters: &Arc<LinkCounters>,
    ) -> Self {
        let (send, receive) = streams;
        Self {
            send,
            receive,
            connection: connection.clone(),
            counters: counters.clone(),
        }
    }

    /// Sends a frame; waits while the peer is slow to take it.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), ExchangeError> {
        let bytes = frame::encode(frame)?;
        let sent = timeout(SEND_TIMEOUT, self.send.write_chunk(bytes)).await;
        match sent {
            Ok(sent) => Ok(sent?),
            Err(_) => {
                self.give_up(&ExchangeError::Unread);
                Err(ExchangeError::Unread)
            }
        }
    }

    /// The next frame; `None` once the peer has said all. Not to be cancelled in the middle and called again.
    pub async fn receive(&mut self) -> Result<Option<Frame>, ExchangeError> {
        let received = receive(&mut self.receive).await;
        if let Err(error @ ExchangeError::Decode(_)) = &received {
            self.give_up(error);
        }
        received
    }

    /// A peer that breaks the rules in one conversation is not trusted in any other.
    fn give_up(&self, error: &ExchangeError) {
        self.counters.count_bad_peer();
        warn!(peer = %self.connection.remote_address(), %error, "link closed");
        self.connection.close(CLOSE_BAD_FRAME, b"");
    }

    /// Lets everything else that this link carries go first.
    pub fn yield_to_others(&mut self) {
        // Fails only when the stream is already finished or reset, which is fine.
        let _ = self.send.set_priority(BEHIND_ALL);
    }

    /// Tells the peer that this side has no more to send. What was sent before still arrives.
    pub fn finish(&mut self) {
        // Fails only when the stream is already finished or reset, which is fine.
        let _ = self.send.finish();
    }

    /// Ends once the peer has hung up: it has reset its receiving side, or the link is gone.
    pub async fn hung_up(&self) {
        let _ = self.send.stopped().await;
    }

    /// Cuts the conversation short, both ways.
    pub fn abort(&mut self) {
        // Both fail only when there is nothing left to cut.
        let _ = self.send.reset(RESET);
        let _ = self.receive.stop(RESET);
    }
}

/// Reads one frame from the start of what is left; `None` at a clean end.
pub(super) async fn receive(stream: &mut RecvStream) -> Result<Option<Frame>, ExchangeError> {
    let mut header = [0; HEADER_BYTES];
    match stream.read_exact(&mut header).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut body = vec![0; frame::body_bytes(header)?];
    stream.read_exact(&mut body).await?;
    Ok(Some(frame::decode(&body)?))
}
