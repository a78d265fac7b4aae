//! Reads what a client begins with: the head of a request, or the line of a Shoutcast login.

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use super::Visitor;
use crate::io::door_stream::DoorStream;
use crate::wire::http::error::HeadError;
use crate::wire::http::head::Head;
use crate::wire::http::reader::{HeadReader, Parsed};
use crate::wire::icecast::shoutcast::{FirstLine, ShoutcastLogin};

/// How much is read at once while a head is awaited.
const READ_BYTES: usize = 4 * 1_024;

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub enum NoHead {
    /// The client closed, or the connection broke.
    #[error("the client left")]
    Left,
    /// The head took longer than [`HEAD_TIMEOUT`](super::HEAD_TIMEOUT), or than there is time for in a crowd.
    #[error("no whole head in time")]
    TooSlow,
    /// The head is invalid.
    #[error(transparent)]
    Refused(#[from] HeadError),
}

/// A head, and its length in the buffer.
#[derive(Debug)]
pub struct ReadHead {
    /// The request.
    pub head: Head,
    /// The body begins after so many bytes of the buffer.
    pub len: usize,
}

/// The beginning of a connection.
#[derive(Debug)]
pub enum FirstHead {
    /// A request.
    Request(ReadHead),
    /// The login of a Shoutcast source, and its length in the buffer.
    Shoutcast(ShoutcastLogin, usize),
    /// The question of a client that finds out whether this is a Shoutcast server.
    Poke,
}

/// Reads what a client begins with into an empty buffer.
pub async fn read_first(
    visitor: &mut Visitor,
    buffer: &mut BytesMut,
    deadline: Instant,
) -> Result<FirstHead, NoHead> {
    loop {
        match FirstLine::read(buffer, visitor.place.port) {
            FirstLine::More => receive(&mut visitor.stream, buffer, deadline).await?,
            FirstLine::Request => {
                let read = read_until(visitor, buffer, deadline).await?;
                return Ok(FirstHead::Request(read));
            }
            FirstLine::Login { login, len } => return Ok(FirstHead::Shoutcast(login, len)),
            FirstLine::Poke => return Ok(FirstHead::Poke),
            FirstLine::Noise => return Err(HeadError::NotHttp.into()),
        }
    }
}

/// Reads the next head into a buffer that may already hold the beginning of it.
pub async fn read_head(visitor: &mut Visitor, buffer: &mut BytesMut) -> Result<ReadHead, NoHead> {
    let deadline = visitor.place.head_deadline();
    read_until(visitor, buffer, deadline).await
}

async fn read_until(
    visitor: &mut Visitor,
    buffer: &mut BytesMut,
    deadline: Instant,
) -> Result<ReadHead, NoHead> {
    let mut reader = HeadReader::new();
    loop {
        if let Parsed::Complete { head, len } = reader.read(buffer)? {
            return Ok(ReadHead { head, len });
        }
        receive(&mut visitor.stream, buffer, deadline).await?;
    }
}

/// Receives more of a head.
async fn receive(
    stream: &mut DoorStream,
    buffer: &mut BytesMut,
    deadline: Instant,
) -> Result<(), NoHead> {
    buffer.reserve(READ_BYTES);
    match timeout_at(deadline, stream.read_buf(buffer)).await {
        Ok(Ok(0) | Err(_)) => Err(NoHead::Left),
        Ok(Ok(_)) => Ok(()),
        Err(_) => Err(NoHead::TooSlow),
    }
}
