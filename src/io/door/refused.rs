//! Connections for which there is no room: each is told so, and the log now and then.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::warn;

use crate::io::clock;
use crate::io::door_stream::DoorStream;
use crate::wire::http::reply::Reply;
use crate::wire::icecast::shoutcast::PortUse;

/// Connections over a bound that are answered completely, until the client has read it; each takes two seconds at most.
/// Few, because they use descriptors that the node keeps for itself. Others are told in one write, which the close
/// may overtake.
pub(super) const MAX_REFUSALS: usize = 16;
/// How often the log tells of connections that were turned away.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// When a client that was refused may come back, seconds.
const RETRY_AFTER_S: u32 = 5;
/// How much of a request is read from a client that is told in one write: nearly all are shorter.
const ASKED_BYTES: usize = 4 * 1_024;

/// The answer where TLS alone is spoken: the fatal alert `internal_error`, before any handshake. That costs no signature.
const TLS_REFUSAL: &[u8] = &[0x15, 3, 1, 0, 2, 2, 80];

/// A connection for which there is no room.
#[derive(Debug)]
pub struct RefusedVisitor {
    /// The connection.
    pub stream: DoorStream,
    /// The answer.
    pub answer: Bytes,
    _counted: Arc<()>,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error("this node has as many connections as it can take, please come back in a moment")]
    Full,
    #[error("there are too many connections from your address")]
    Address,
}

/// The connections that were refused.
#[derive(Debug, Default)]
pub(super) struct RefusedConnections {
    /// How many of them the log has not told yet.
    untold: u64,
    told: Option<Instant>,
    /// The connections that are being told so.
    refusals: Arc<()>,
}

impl RefusedConnections {
    /// Reports to the log, but not each refusal.
    pub(super) fn report(&mut self, peer: SocketAddr, why: NoPlace, connections: usize) {
        self.untold += 1;
        if self.is_due() {
            let count = self.untold;
            warn!(count, %peer, %why, connections, "connections turned away with 503, this one the latest");
            self.untold = 0;
        }
    }

    /// Reports to the log that connections cannot be accepted, but not each time.
    pub(super) fn report_failure(&mut self, error: &io::Error) {
        if self.is_due() {
            warn!(%error, "cannot accept connections");
        }
    }

    fn is_due(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() >= REPORT_EVERY);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }

    /// A connection to be told so. If many are being told already, it is told here and now.
    pub(super) fn refuse(
        &self,
        stream: TcpStream,
        why: NoPlace,
        port: PortUse,
    ) -> Option<RefusedVisitor> {
        let answer = match port {
            PortUse::Https => Bytes::from_static(TLS_REFUSAL),
            PortUse::Http | PortUse::Shoutcast => {
                let reply = Reply::without_head(b"", clock::unix_s());
                reply.unavailable(&format!("{why}\n"), RETRY_AFTER_S)
            }
        };
        if Arc::strong_count(&self.refusals) > MAX_REFUSALS {
            tell_and_close(&stream, &answer);
            return None;
        }
        Some(RefusedVisitor {
            stream: stream.into(),
            answer,
            _counted: self.refusals.clone(),
        })
    }
}

/// Answers in one write, without waiting, and reads the request: if it were closed with that unread, the connection
/// would be reset and the answer lost.
fn tell_and_close(stream: &TcpStream, answer: &[u8]) {
    let socket = SockRef::from(stream);
    if socket.send(answer).is_ok() {
        let _asked = (&*socket).read(&mut [0; ASKED_BYTES]);
    }
}
