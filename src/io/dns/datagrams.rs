//! Questions and answers of one datagram each.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::Responder;
use crate::wire::dns::Carrier;

/// How many datagrams are read at once.
const BATCH: usize = 8;
/// The longest read: datagrams of one sender that the kernel has joined.
const BUFFER_BYTES: usize = 64 * 1_024;
/// The longest question that is read: names are shorter than 256 bytes, and options are seldom as long as that.
pub(super) const MAX_QUERY_BYTES: usize = 4_096;

/// How long to wait after an error, so that a lasting one costs nothing.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// A UDP socket that answers from the address that was asked, if the machine has several: a resolver accepts no
/// answer from another.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Datagrams {
    /// Takes a bound socket.
    pub(super) fn new(socket: StdSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Self { socket, state })
    }

    /// The address of the socket.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers for ever.
    pub(super) async fn serve(self, answering: Responder) {
        let mut space = vec![0; BATCH * BUFFER_BYTES];
        loop {
            let mut buffers = space.chunks_mut(BUFFER_BYTES).map(IoSliceMut::new);
            let mut buffers: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| buffers.next().expect("the space is so many buffers"));
            let mut metas = [RecvMeta::default(); BATCH];
            let read = || {
                self.state
                    .recv((&self.socket).into(), &mut buffers, &mut metas)
            };
            let read = match self.socket.async_io(Interest::READABLE, read).await {
                Ok(read) => read,
                // A datagram that was sent to a missing receiver comes back as an error of the next call.
                Err(error) => {
                    debug!(%error, "a datagram could not be read");
                    tokio::time::sleep(ERROR_PAUSE).await;
                    continue;
                }
            };
            for (buffer, meta) in buffers.iter().zip(&metas).take(read) {
                for message in buffer[..meta.len].chunks(meta.stride.max(1)) {
                    self.answer(message, meta, &answering);
                }
            }
        }
    }

    fn answer(&self, message: &[u8], meta: &RecvMeta, answering: &Responder) {
        let from = meta.addr.ip().to_canonical();
        if message.len() > MAX_QUERY_BYTES {
            return;
        }
        let Some(answer) = answering(message, from, Carrier::Udp) else {
            return;
        };
        let transmit = Transmit {
            destination: meta.addr,
            ecn: None,
            contents: &answer,
            segment_size: None,
            src_ip: meta.dst_ip,
        };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        if let Err(error) = self.socket.try_io(Interest::WRITABLE, send) {
            debug!(%from, %error, "an answer was not sent");
        }
    }
}
