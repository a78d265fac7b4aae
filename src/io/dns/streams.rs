//! Conversations: several questions over one connection, each message with its length before it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::Responder;
use super::datagrams::MAX_QUERY_BYTES;
use crate::io::tasks::Tasks;
use crate::wire::dns::Carrier;

/// How long a question may take to come and an answer to go. Resolvers ask at once, or one after the other.
const IDLE: Duration = Duration::from_secs(10);
/// How long a connection lives, however busy it is: long enough for any resolver, and no client keeps a place for ever.
const LIFETIME: Duration = Duration::from_secs(120);
/// Connections of one address; a resolver has one or two.
pub(super) const MAX_PER_ADDRESS: usize = 16;
/// How long to wait before accepting again when the system has no descriptor left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The connections by address.
type Counts = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// A listening TCP socket.
#[derive(Debug)]
pub(super) struct TcpStreams {
    listener: TcpListener,
    most: usize,
    counts: Counts,
}

/// A place among the connections, free again when it is dropped.
#[derive(Debug)]
struct ConnectionPlace {
    counts: Counts,
    address: IpAddr,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(here) = counts.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl TcpStreams {
    /// Takes a listening socket, for so many connections at once.
    pub(super) fn new(listener: StdListener, most: usize) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        Ok(Self {
            listener,
            most,
            counts: Counts::default(),
        })
    }

    /// Takes connections until the node stops. Those over a bound are closed at once.
    pub(super) async fn serve(self, answering: Responder, tasks: Tasks) {
        loop {
            let accepted = match tasks.until_end(self.listener.accept()).await {
                Some(accepted) => accepted,
                None => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let from = peer.ip().to_canonical();
                    let Some(place) = self.place(from) else {
                        debug!(%from, "too many connections for DNS, closed");
                        continue;
                    };
                    let answering = answering.clone();
                    tasks.spawn_until_end(async move {
                        let _place = place;
                        timeout(LIFETIME, converse(stream, from, &answering)).await
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection for DNS");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    fn place(&self, address: IpAddr) -> Option<ConnectionPlace> {
        let mut counts = self.counts.lock();
        let total: usize = counts.values().sum();
        let here = counts.get(&address).copied().unwrap_or_default();
        if total >= self.most || here >= MAX_PER_ADDRESS {
            return None;
        }
        counts.insert(address, here + 1);
        Some(ConnectionPlace {
            counts: self.counts.clone(),
            address,
        })
    }
}

/// Answers one question after the other, until the client leaves, is slow or sends an invalid message.
async fn converse(mut stream: TcpStream, from: IpAddr, answering: &Responder) {
    loop {
        let Ok(Ok(message)) = timeout(IDLE, read(&mut stream)).await else {
            return;
        };
        let Some(answer) = answering(&message, from, Carrier::Tcp) else {
            return;
        };
        let length = u16::try_from(answer.len()).expect("an answer fits into its length");
        // In one write: some resolvers expect the length and the message together.
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        match timeout(IDLE, stream.write_all(&framed)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_QUERY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}
