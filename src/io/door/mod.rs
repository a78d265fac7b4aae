//! The one TCP port on which sources, listeners, players and browsers all arrive.
//!
//! Connections are accepted, counted and bounded here, and their first bytes are read; what they want is
//! decided elsewhere. A connection over a bound is refused with an answer, and no other waits for it.

mod greeting;
mod heads;
mod one_request;
mod refused;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

pub use self::greeting::{Greeting, go_on_by_tls, greet};
pub use self::heads::{FirstHead, NoHead, ReadHead, read_first, read_head};
pub use self::one_request::{OneRequest, Unread};
pub use self::refused::RefusedVisitor;
use self::refused::{NoPlace, RefusedConnections};
use super::answer::SEND_BUFFER_BYTES;
use super::descriptors::Descriptors;
use super::door_stream::DoorStream;
use crate::model::network::{Network, customer};
use crate::wire::http::forwarded::Client;
use crate::wire::icecast::shoutcast::PortUse;

/// How long a head may take from its first byte allowed to its last; Icecast's users know 15 s, and no line needs 10.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the kernel keeps while the node is busy: a crowd that arrives at one moment.
const BACKLOG: u32 = 4_096;
/// Connections of one address. A whole house or village of listeners may share an address.
const MAX_PER_ADDRESS: usize = 512;
/// The share of all connections that one address may have, where that is less: it never fills a node alone.
const ADDRESS_SHARE: f64 = 0.5;
/// How long a head may take while nearly all connections are taken: a request that is sent at once has come long before
/// that, and a client that says nothing does not keep others out.
const CROWDED_HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the system has no descriptor left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The connections that are open.
#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_customer: BTreeMap<IpAddr, usize>,
}

/// The accept loop's socket and its bounds.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    counts: Arc<Mutex<Counts>>,
    bounds: DoorBounds,
    port: PortUse,
    trusted_proxies: Vec<Network>,
    refused_connections: RefusedConnections,
}

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
struct DoorBounds {
    total: usize,
    /// From so many on there is only room for clients that send their request at once.
    crowded: usize,
    per_address: usize,
}

/// A connection that has arrived.
#[derive(Debug)]
pub enum Accepted {
    /// Accepted.
    Visitor(Visitor),
    /// Refused, and to be told so.
    Refused(RefusedVisitor),
}

/// A client that was let in. Its place is free again when this is dropped.
#[derive(Debug)]
pub struct Visitor {
    /// The connection.
    pub stream: DoorStream,
    /// The address that the connection comes from.
    pub peer: SocketAddr,
    /// The client: with a trusted proxy between, not the peer. Known once a head has been read.
    pub client: Client,
    /// The client's place; goes with the socket.
    pub place: DoorPlace,
}

impl Visitor {
    /// The client's address where it is not the peer's, because a trusted proxy is between.
    pub fn behind_proxy(&self) -> Option<IpAddr> {
        (self.client.ip != self.peer.ip().to_canonical()).then_some(self.client.ip)
    }
}

/// A place within the bounds of the door.
#[derive(Debug)]
pub struct DoorPlace {
    counts: Arc<Mutex<Counts>>,
    crowded: usize,
    customer: IpAddr,
    /// The use of the port.
    port: PortUse,
}

impl DoorPlace {
    /// By when the next head must have come.
    pub fn head_deadline(&self) -> Instant {
        Instant::now() + self.head_timeout()
    }

    /// How long the next head may take.
    fn head_timeout(&self) -> Duration {
        match self.counts.lock().total > self.crowded {
            true => CROWDED_HEAD_TIMEOUT,
            false => HEAD_TIMEOUT,
        }
    }
}

impl Drop for DoorPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total -= 1;
        if let Some(here) = counts.by_customer.get_mut(&self.customer) {
            *here -= 1;
            if *here == 0 {
                counts.by_customer.remove(&self.customer);
            }
        }
    }
}

impl Door {
    /// Binds the port, for as many connections as there are descriptors for. A trusted proxy may use all of them: all
    /// clients may come through it.
    pub fn bind(
        address: SocketAddr,
        trusted_proxies: &[Network],
        descriptors: Descriptors,
    ) -> io::Result<Self> {
        let total = descriptors.connections();
        let share = (total as f64 * ADDRESS_SHARE) as usize;
        Ok(Self {
            listener: listen(address)?,
            counts: Arc::default(),
            bounds: DoorBounds {
                total,
                crowded: total - descriptors.reserve(),
                per_address: MAX_PER_ADDRESS.min(share),
            },
            port: PortUse::Http,
            trusted_proxies: trusted_proxies.to_vec(),
            refused_connections: RefusedConnections::default(),
        })
    }

    /// Binds a further port. Its connections count within the same bounds.
    pub fn bind_beside(&self, address: SocketAddr, port: PortUse) -> io::Result<Self> {
        Ok(Self {
            listener: listen(address)?,
            counts: self.counts.clone(),
            bounds: self.bounds,
            port,
            trusted_proxies: self.trusted_proxies.clone(),
            refused_connections: RefusedConnections::default(),
        })
    }

    /// The protocol that is spoken at this port.
    pub fn port(&self) -> PortUse {
        self.port
    }

    /// The address that was really bound.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts the next connection. One over a bound is told so, and no other waits for it.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.refused_connections.report_failure(&error);
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    continue;
                }
            };
            let ip = peer.ip().to_canonical();
            match self.place(ip) {
                Ok(place) => {
                    return Accepted::Visitor(Visitor {
                        stream: stream.into(),
                        peer,
                        client: Client { ip, https: false },
                        place,
                    });
                }
                Err(why) => {
                    self.refused_connections
                        .report(peer, why, self.bounds.total);
                    if let Some(refused) = self.refused_connections.refuse(stream, why, self.port) {
                        return Accepted::Refused(refused);
                    }
                }
            }
        }
    }

    /// A place for one more, unless its address or the node is full. Loopback has no bound of its own, nor has a
    /// trusted proxy: all clients may come through the machine's own proxy.
    fn place(&self, address: IpAddr) -> Result<DoorPlace, NoPlace> {
        let mut counts = self.counts.lock();
        if counts.total >= self.bounds.total {
            return Err(NoPlace::Full);
        }
        let customer = customer(address);
        let here = counts
            .by_customer
            .get(&customer)
            .copied()
            .unwrap_or_default();
        if here >= self.bounds.per_address && !address.is_loopback() && !self.is_trusted(address) {
            return Err(NoPlace::Address);
        }
        counts.by_customer.insert(customer, here + 1);
        counts.total += 1;
        Ok(DoorPlace {
            counts: self.counts.clone(),
            crowded: self.bounds.crowded,
            customer,
            port: self.port,
        })
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        let mut proxies = self.trusted_proxies.iter();
        proxies.any(|network| network.contains(address))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    // Each connection that it accepts has the same.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    fn door() -> Door {
        let proxies = ["198.51.100.0/24".parse().unwrap()];
        let descriptors = Descriptors::raise();
        Door::bind("127.0.0.1:0".parse().unwrap(), &proxies, descriptors).unwrap()
    }

    async fn next(door: &mut Door) -> Visitor {
        match door.accept().await {
            Accepted::Visitor(visitor) => visitor,
            Accepted::Refused(refused) => panic!("{refused:?}"),
        }
    }

    async fn client(door: &Door) -> TcpStream {
        TcpStream::connect(door.local_address().unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_full_door_says_so_and_hurries_its_visitors() {
        let mut door = door();
        (door.bounds.crowded, door.bounds.total) = (1, 2);
        let _first = client(&door).await;
        let first = next(&mut door).await;
        assert_eq!(first.place.head_timeout(), HEAD_TIMEOUT);
        let _second = client(&door).await;
        let _last = next(&mut door).await;
        assert_eq!(first.place.head_timeout(), CROWDED_HEAD_TIMEOUT);
        let mut refused = Vec::new();
        for _ in 0..refused::MAX_REFUSALS {
            let client = client(&door).await;
            match door.accept().await {
                Accepted::Refused(it) => refused.push((client, it)),
                Accepted::Visitor(visitor) => panic!("{visitor:?}"),
            }
        }
        assert!(refused[0].1.answer.starts_with(b"HTTP/1.0 503 "));
        // One more is told at once, and gets no place.
        let mut beyond = client(&door).await;
        let mut told = String::new();
        tokio::select! {
            arrival = door.accept() => panic!("{arrival:?}"),
            read = beyond.read_to_string(&mut told) => assert!(read.is_ok(), "{read:?}"),
        }
        assert!(
            told.contains("as many connections as it can take"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_visitor_goes() {
        let mut door = door();
        let _client = client(&door).await;
        let visitor = next(&mut door).await;
        assert_eq!(door.counts.lock().total, 1);
        drop(visitor);
        assert_eq!(door.counts.lock().total, 0);
    }

    #[tokio::test]
    async fn the_second_port_counts_within_the_same_bounds() {
        let mut door = door();
        (door.bounds.crowded, door.bounds.total) = (0, 1);
        let mut second = door
            .bind_beside("127.0.0.1:0".parse().unwrap(), PortUse::Shoutcast)
            .unwrap();
        let _client = client(&second).await;
        let visitor = next(&mut second).await;
        assert_eq!(visitor.place.port, PortUse::Shoutcast);
        assert_eq!(visitor.place.head_timeout(), CROWDED_HEAD_TIMEOUT);
        let _other = client(&door).await;
        assert!(matches!(door.accept().await, Accepted::Refused(_)));
        drop(visitor);
        let _third = client(&door).await;
        assert_eq!(next(&mut door).await.place.port, PortUse::Http);
    }

    #[tokio::test]
    async fn a_full_port_of_https_answers_by_an_alert() {
        let mut door = door();
        door.bounds.total = 0;
        let address = "127.0.0.1:0".parse().unwrap();
        let mut https = door.bind_beside(address, PortUse::Https).unwrap();
        let _client = client(&https).await;
        let Accepted::Refused(refused) = https.accept().await else {
            panic!("it is full");
        };
        assert_eq!(refused.answer[..], [0x15, 3, 1, 0, 2, 2, 80]);
    }

    #[tokio::test]
    async fn one_address_fills_only_its_own_share() {
        let door = door();
        let crowd: IpAddr = "192.0.2.1".parse().unwrap();
        let places: Vec<_> = (0..door.bounds.per_address)
            .map(|_| door.place(crowd).unwrap())
            .collect();
        assert_eq!(door.place(crowd).unwrap_err(), NoPlace::Address);
        assert!(door.place("192.0.2.2".parse().unwrap()).is_ok());
        drop(places);
        assert!(door.place(crowd).is_ok());
    }

    #[tokio::test]
    async fn a_trusted_proxy_may_bring_everybody() {
        let door = door();
        let proxy: IpAddr = "198.51.100.7".parse().unwrap();
        let places: Vec<_> = (0..door.bounds.per_address)
            .map(|_| door.place(proxy))
            .collect();
        assert!(door.place(proxy).is_ok());
        drop(places);
    }

    #[tokio::test]
    async fn a_head_may_come_in_pieces_with_audio_behind_it() {
        let mut door = door();
        let mut client = client(&door).await;
        let mut visitor = next(&mut door).await;
        client.write_all(b"PUT /a HT").await.unwrap();
        client.write_all(b"TP/1.1\r\n\r\naudio").await.unwrap();
        let mut buffer = BytesMut::new();
        let read = read_head(&mut visitor, &mut buffer).await.unwrap();
        assert_eq!(read.head.path(), "/a");
        while buffer.len() < read.len + 5 {
            visitor.stream.read_buf(&mut buffer).await.unwrap();
        }
        assert_eq!(&buffer[read.len..], b"audio");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_takes_too_long_is_cut() {
        let mut door = door();
        let _client = client(&door).await;
        let mut visitor = next(&mut door).await;
        let before = Instant::now();
        let read = read_head(&mut visitor, &mut BytesMut::new()).await;
        assert!(matches!(read, Err(NoHead::TooSlow)));
        assert_eq!(before.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    }
}
