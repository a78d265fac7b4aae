//! The mesh's UDP socket, which counts datagrams that do not belong to the mesh.
//!
//! A datagram that is not QUIC for one of the mesh's connections is only counted; quinn drops it, unanswered except for
//! QUIC's own version negotiation. Connection ids have a keyed hash, so that a stray packet is recognised
//! without looking for its connection.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, ConnectionId, ConnectionIdGenerator, UdpPoller};
use quinn_proto::HashedConnectionIdGenerator;

/// The length of every id that the endpoint hands out, see `HashedConnectionIdGenerator`.
const CONNECTION_ID_BYTES: usize = 8;
/// The supported version of QUIC (RFC 9000).
const QUIC_VERSION_1: u32 = 1;
/// The version field of a version negotiation packet.
const VERSION_NEGOTIATION: u32 = 0;

/// How many datagrams did not belong to the mesh.
#[derive(Clone, Debug, Default)]
pub struct StrayCount(Arc<AtomicU64>);

impl StrayCount {
    /// Datagrams since the start.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket under quinn that counts stray datagrams as they pass.
pub struct CountingSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    connection_id_key: u64,
    strays: StrayCount,
}

impl std::fmt::Debug for CountingSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("CountingSocket");
        shown
            .field("strays", &self.strays.total())
            .finish_non_exhaustive()
    }
}

impl CountingSocket {
    /// Wraps a socket whose endpoint makes its connection ids with this key.
    pub fn new(inner: Arc<dyn AsyncUdpSocket>, connection_id_key: u64) -> Self {
        Self {
            inner,
            connection_id_key,
            strays: StrayCount::default(),
        }
    }

    /// The counter, to be read at any time.
    pub fn strays(&self) -> StrayCount {
        self.strays.clone()
    }
}

/// Whether a datagram can be QUIC for an endpoint whose connection ids are made with this key.
fn is_ours(datagram: &[u8], connection_id_key: u64) -> bool {
    let Some((&first, rest)) = datagram.split_first() else {
        return false;
    };
    let long_header = first & 0x80 != 0;
    if long_header {
        let version = rest.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        return matches!(version, Some(QUIC_VERSION_1 | VERSION_NEGOTIATION));
    }
    let Some(id) = rest.get(..CONNECTION_ID_BYTES) else {
        return false;
    };
    let generator = HashedConnectionIdGenerator::from_key(connection_id_key);
    generator.validate(&ConnectionId::new(id)).is_ok()
}

impl AsyncUdpSocket for CountingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(messages)) = &received {
            for (buf, meta) in bufs.iter().zip(meta.iter()).take(*messages) {
                let datagrams = buf[..meta.len].chunks(meta.stride.max(1));
                let strays =
                    datagrams.filter(|datagram| !is_ours(datagram, self.connection_id_key));
                self.strays
                    .0
                    .fetch_add(strays.count() as u64, Ordering::Relaxed);
            }
        }
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_quic_for_our_connections_is_ours() {
        let key = 7;
        let id = HashedConnectionIdGenerator::from_key(key).generate_cid();
        let short = [&[0x40][..], &id, &[0; 20]].concat();
        assert!(is_ours(&short, key));
        assert!(!is_ours(&short, key + 1), "an id of another key");
        assert!(is_ours(
            &[&[0xc0, 0, 0, 0, 1][..], &[0; 1195]].concat(),
            key
        ));
        assert!(!is_ours(
            &[&[0xc0, 1, 2, 3, 4][..], &[0; 1195]].concat(),
            key
        ));
        assert!(!is_ours(b"", key));
        assert!(
            !is_ours(b"\x53\xb0\x00", key),
            "a stock chitchat's first bytes"
        );
    }
}
