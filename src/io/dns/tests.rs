//! Real sockets on the loopback, with an echo that says how it was asked.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::streams::MAX_PER_ADDRESS;
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// More than one address may have.
const CONNECTIONS: usize = 64;

/// Says the message again behind the letter of its carrier; nothing to an empty one.
fn echo() -> Responder {
    Arc::new(|message, _, carrier| {
        let letter = match carrier {
            Carrier::Udp => b'u',
            Carrier::Tcp => b't',
        };
        (!message.is_empty()).then(|| [&[letter], message].concat())
    })
}

/// Ends what serves, when it is dropped.
struct Guard(Tasks);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How often another port is tried: each time, one of some 28,000 has to be one that a connection of this machine holds.
const TRIES: u32 = 20;

/// Sockets on a port of this address that is free for UDP and, as the system cannot know when it chooses, for TCP.
fn bind_any_port(address: &str) -> Result<DnsSockets, BindError> {
    let addresses = [address.parse().unwrap()];
    let mut tries = (0..TRIES).map(|_| DnsSockets::bind(&addresses, CONNECTIONS));
    let is_taken = |error: &BindError| error.error.kind() == io::ErrorKind::AddrInUse;
    tries
        .find(|bound| !bound.as_ref().is_err_and(is_taken))
        .expect("a port that is free for both")
}

/// Serves on an address; where, and what ends it when it is dropped.
fn serve(address: &str) -> (SocketAddr, Guard) {
    let sockets = bind_any_port(address).unwrap();
    let address = sockets.datagrams[0].local_address().unwrap();
    let tasks = Tasks::default();
    sockets.serve(&echo(), &tasks);
    (address, Guard(tasks))
}

async fn ask_by_udp(from: &str, server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind(from).await.unwrap();
    socket.connect(server).await.unwrap(); // takes nothing from another address
    socket.send(message).await.unwrap();
    let mut answer = vec![0; 100];
    let read = timeout(PATIENCE, socket.recv(&mut answer)).await;
    answer.truncate(read.expect("an answer from where it was asked").unwrap());
    answer
}

#[tokio::test]
async fn a_datagram_is_answered_from_the_address_that_was_asked() {
    let (server, _guard) = serve("0.0.0.0:0");
    for ip in ["127.0.0.1", "127.0.0.2", "127.9.9.9"] {
        let server = SocketAddr::new(ip.parse().unwrap(), server.port());
        assert_eq!(ask_by_udp("127.0.0.1:0", server, b"a").await, b"ua", "{ip}");
    }
}

#[tokio::test]
async fn one_socket_for_all_addresses_takes_both_families() {
    let Ok(sockets) = bind_any_port("[::]:0") else {
        return; // a machine without IPv6
    };
    let port = sockets.datagrams[0].local_address().unwrap().port();
    let guard = Guard(Tasks::default());
    sockets.serve(&echo(), &guard.0);
    for (from, ip) in [("127.0.0.1:0", "127.0.0.2"), ("[::1]:0", "::1")] {
        let server = SocketAddr::new(ip.parse().unwrap(), port);
        assert_eq!(ask_by_udp(from, server, b"a").await, b"ua", "{ip}");
    }
}

#[tokio::test]
async fn several_questions_are_answered_over_one_connection() {
    let (server, _guard) = serve("127.0.0.1:0");
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(b"\0\x01a\0\x02bc\0").await.unwrap();
    let mut answers = [0; 9];
    stream.read_exact(&mut answers).await.unwrap();
    assert_eq!(&answers, b"\0\x02ta\0\x03tbc");
    stream.write_all(b"\x01d").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\0\x02td");
}

#[tokio::test]
async fn a_client_of_nonsense_is_hung_up_on() {
    let (server, _guard) = serve("127.0.0.1:0");
    for message in [&b"\0\0"[..], b"\xff\xff"] {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(message).await.unwrap();
        let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await;
        assert_eq!(read.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let (server, _guard) = serve("127.0.0.1:0");
    let mut streams = Vec::new();
    for _ in 0..MAX_PER_ADDRESS {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(b"\0\x01a").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        streams.push(stream);
    }
    let mut one_more = TcpStream::connect(server).await.unwrap();
    let read = timeout(PATIENCE, one_more.read(&mut [0; 1])).await;
    assert!(matches!(read.unwrap(), Ok(0) | Err(_)), "closed");
}

#[tokio::test]
async fn an_unavailable_port_is_named_with_a_remedy() {
    let taken = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = DnsSockets::bind(&[address], CONNECTIONS)
        .unwrap_err()
        .to_string();
    let place = format!("cannot listen for DNS on UDP {address}: ");
    assert!(
        error.starts_with(&place) && error.contains("public address"),
        "{error}"
    );
    let denied = BindError {
        protocol: "TCP",
        address: "0.0.0.0:53".parse().unwrap(),
        error: io::ErrorKind::PermissionDenied.into(),
    };
    assert!(
        denied.to_string().contains("CapabilityBoundingSet=CAP"),
        "{denied}"
    );
}
