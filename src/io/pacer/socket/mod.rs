//! The socket of a listener: plain, or with TLS, which a pacer's thread speaks by itself.
//!
//! What is given to TLS counts as taken, because it cannot be taken back. Until the kernel has all of it nothing more is
//! given: so at most one visit's bytes wait in memory, and a listener that does not read falls behind as a plain one does.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;

use rustls::ServerConnection;

use super::Left;
use crate::io::door_stream::DoorStream;

/// The connection of a listener, out of the async runtime.
pub struct ListenerSocket {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

/// The state of TLS, and of its end.
struct Tls {
    session: ServerConnection,
    /// Whether the listener is told that nothing follows.
    is_finishing: bool,
}

/// The outcome of an attempt to write.
pub(super) struct Progress {
    /// How many bytes need not be given again.
    pub(super) taken: usize,
    /// Whether the kernel has taken anything, perhaps of what was given before.
    pub(super) has_moved: bool,
}

/// The state of what a listener sends, of which nothing is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenerSide {
    /// Something, or nothing yet.
    Open,
    /// The end of what it sends; it may well read on.
    End,
}

impl From<TcpStream> for ListenerSocket {
    fn from(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }
}

impl ListenerSocket {
    /// Takes a client's connection out of the async runtime. What it has sent behind its request is ignored.
    pub fn new(stream: DoorStream) -> io::Result<Self> {
        let (socket, session) = stream.into_parts();
        Ok(Self::with_session(socket.into_std()?, session))
    }

    pub(super) fn with_session(tcp: TcpStream, session: Option<ServerConnection>) -> Self {
        let tls = session.map(|mut session| {
            session.set_buffer_limit(None); // bounded by what a visit gives
            Box::new(Tls {
                session,
                is_finishing: false,
            })
        });
        Self { tcp, tls }
    }

    /// The socket, for its options.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether the listener speaks TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether something was taken that the kernel does not have yet.
    pub(super) fn has_pending(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.session.wants_write())
    }

    /// Whether the listener is being told that nothing follows, so that nothing may.
    pub(super) fn is_finishing(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_finishing)
    }

    /// Writes what waits, and if nothing is left of it these pieces, in one system call.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<Progress, Left> {
        let Some(tls) = &mut self.tls else {
            let taken = match pieces.is_empty() {
                true => 0,
                false => written((&self.tcp).write_vectored(pieces))?,
            };
            let has_moved = taken > 0;
            return Ok(Progress { taken, has_moved });
        };
        let mut has_moved = tls.flush(&self.tcp)?;
        if pieces.is_empty() || tls.session.wants_write() {
            let taken = 0;
            return Ok(Progress { taken, has_moved });
        }
        let taken = written(tls.session.writer().write_vectored(pieces))?;
        has_moved |= tls.flush(&self.tcp)?;
        Ok(Progress { taken, has_moved })
    }

    /// Tells the listener that nothing follows, behind all that waits; whether the kernel has taken any of that.
    pub(super) fn finish(&mut self) -> Result<bool, Left> {
        let Some(tls) = &mut self.tls else {
            return Ok(false);
        };
        if !std::mem::replace(&mut tls.is_finishing, true) {
            tls.session.send_close_notify();
        }
        tls.flush(&self.tcp)
    }

    /// Reads what the listener has sent, and forgets it.
    pub(super) fn ignore_sent(&mut self) -> Result<ListenerSide, Left> {
        let mut ignored = [0; 512];
        let Some(tls) = &mut self.tls else {
            return heard((&self.tcp).read(&mut ignored));
        };
        // First what was decrypted already: while there is much of that, nothing more is read.
        while matches!(tls.session.reader().read(&mut ignored), Ok(1..)) {}
        let heard = heard(tls.session.read_tls(&mut &self.tcp))?;
        // Answers what TLS asks for by itself, such as new keys, with the next bytes.
        let Ok(state) = tls.session.process_new_packets() else {
            return Err(Left::Gone);
        };
        match state.peer_has_closed() {
            true => Ok(ListenerSide::End),
            false => Ok(heard),
        }
    }

    /// Closes, with a word to a listener that speaks TLS if the kernel takes it at once.
    pub(super) fn close(mut self) {
        let _gone = self.finish();
    }
}

impl Tls {
    /// Gives the kernel what waits, as far as that takes it; whether it has taken anything.
    fn flush(&mut self, mut tcp: &TcpStream) -> Result<bool, Left> {
        let mut has_moved = false;
        while self.session.wants_write() {
            match written(self.session.write_tls(&mut tcp))? {
                0 => break,
                _ => has_moved = true,
            }
        }
        Ok(has_moved)
    }
}

/// How much was written; none if there is no room.
fn written(outcome: io::Result<usize>) -> Result<usize, Left> {
    match outcome {
        Ok(bytes) => Ok(bytes),
        Err(error) if is_transient(error.kind()) => Ok(0),
        Err(_) => Err(Left::Gone),
    }
}

fn heard(outcome: io::Result<usize>) -> Result<ListenerSide, Left> {
    match outcome {
        Ok(0) => Ok(ListenerSide::End),
        Ok(_) => Ok(ListenerSide::Open),
        Err(error) if is_transient(error.kind()) => Ok(ListenerSide::Open),
        Err(_) => Err(Left::Gone),
    }
}

/// Whether the next round may well succeed.
pub(super) fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
