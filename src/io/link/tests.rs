//! Links over real sockets on loopback.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::io::tls::MESH_SERVER_NAME;
use crate::model::node::Generation;
use crate::model::stream::StreamId;

/// Far longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

fn start(name: &str, generation: u64, digit: char) -> (Links, Inbox) {
    let hello = Hello {
        generation: Generation(generation),
        ..Hello::sample(name)
    };
    let config = LinkConfig {
        hello,
        listen: "127.0.0.1:0".parse().unwrap(),
        secret: ClusterSecret::parse(&digit.to_string().repeat(64)).unwrap(),
        tasks: Tasks::default(),
    };
    Links::start(config).unwrap()
}

async fn linked(links: &Links, to: &Links) {
    links.dial(to.hello().mesh_address);
    let mut peers = links.peers();
    let there = peers.wait_for(|peers| peers.get(&to.hello().name) == Some(to.hello()));
    timeout(PATIENCE, there).await.expect("linked").unwrap();
}

#[tokio::test]
async fn a_message_and_a_conversation_cross_a_link() {
    let ((a, _inbox), (b, mut inbox)) = (start("a", 1, '1'), start("b", 1, '1'));
    linked(&a, &b).await;
    a.send(&b.hello().name, &Frame::Goodbye);
    let (from, frame) = timeout(PATIENCE, inbox.messages.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((from, frame), (a.hello().name.clone(), Frame::Goodbye));

    let question = Frame::Subscribe {
        mount: "/a.mp3".parse().unwrap(),
        resume: Some((StreamId(1), 2)),
    };
    let mut asked = a.open(&b.hello().name, &question).await.unwrap();
    let (_, heard, mut answering) = timeout(PATIENCE, inbox.exchanges.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard, question);
    answering.send(&Frame::Done).await.unwrap();
    answering.finish();
    assert_eq!(asked.receive().await.unwrap(), Some(Frame::Done));
    assert_eq!(asked.receive().await.unwrap(), None);
}

#[tokio::test]
async fn gossip_to_an_unknown_address_dials_it() {
    let ((a, _inbox), (b, mut inbox)) = (start("a", 1, '1'), start("b", 1, '1'));
    let to = b.hello().mesh_address;
    a.send_to_address(to, &Frame::Gossip(Bytes::from_static(b"lost")));
    linked(&a, &b).await;
    a.send_to_address(to, &Frame::Gossip(Bytes::from_static(b"heard")));
    let (from, frame) = timeout(PATIENCE, inbox.gossip.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(from, a.hello().mesh_address);
    assert_eq!(frame, Frame::Gossip(Bytes::from_static(b"heard")));
}

#[tokio::test]
async fn another_secret_gets_no_link_and_is_counted() {
    let ((a, _a), (b, _b)) = (start("a", 1, '1'), start("b", 1, '2'));
    a.dial(b.hello().mesh_address);
    let counted = async {
        while b.totals().refused_handshakes == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("counted");
    assert!(a.peers().borrow().is_empty() && b.peers().borrow().is_empty());
}

#[tokio::test]
async fn strays_are_counted_and_get_no_answer() {
    let (a, _inbox) = start("a", 1, '1');
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // The first bytes of a plain chitchat, and noise that looks like a short QUIC header.
    for stray in [&b"\x53\xb0\x00\x00hello"[..], &[0x55; 200]] {
        socket.send_to(stray, a.hello().mesh_address).await.unwrap();
    }
    let counted = async {
        while a.totals().stray_datagrams < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("counted");
    let mut buffer = [0; 1500];
    assert!(socket.try_recv(&mut buffer).is_err(), "nothing comes back");
}

#[tokio::test]
async fn the_younger_of_two_namesakes_is_told() {
    let (hub, _hub) = start("hub", 1, '1');
    let ((older, mut older_inbox), (younger, mut younger_inbox)) =
        (start("a", 1, '1'), start("a", 2, '1'));
    linked(&older, &hub).await;
    younger.dial(hub.hello().mesh_address);
    let conflict = timeout(PATIENCE, younger_inbox.conflicts.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(conflict.holder, older.hello().mesh_address);
    assert!(older_inbox.conflicts.try_recv().is_err());
}

#[tokio::test]
async fn a_younger_node_is_told_when_the_older_comes_later() {
    let (hub, _hub) = start("hub", 1, '1');
    let ((older, _older), (younger, mut younger_inbox)) = (start("a", 1, '1'), start("a", 2, '1'));
    linked(&younger, &hub).await;
    linked(&older, &hub).await;
    let conflict = timeout(PATIENCE, younger_inbox.conflicts.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(conflict.holder, older.hello().mesh_address);
}

#[tokio::test]
async fn a_restarted_node_takes_its_name_back() {
    let (hub, _hub) = start("hub", 1, '1');
    let (before, inbox) = start("a", 1, '1');
    linked(&before, &hub).await;
    before.close().await;
    drop((before, inbox));
    let (after, mut inbox) = start("a", 2, '1');
    linked(&after, &hub).await;
    let mut peers = hub.peers();
    let seen = peers.wait_for(|peers| peers.get(&after.hello().name) == Some(after.hello()));
    timeout(PATIENCE, seen).await.unwrap().unwrap();
    assert!(inbox.conflicts.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_never_reads_is_dropped_and_counted() {
    let ((a, _a), (b, mut inbox)) = (start("a", 1, '1'), start("b", 1, '1'));
    linked(&a, &b).await;
    let mut unread = a.open(&b.hello().name, &Frame::Done).await.unwrap();
    let _never_read = timeout(PATIENCE, inbox.exchanges.recv()).await.unwrap();
    let data = Frame::Data {
        offset: 0,
        bytes: Bytes::from(vec![0; 100_000]),
    };
    let error = loop {
        if let Err(error) = unread.send(&data).await {
            break error;
        }
    };
    assert!(matches!(error, ExchangeError::Unread), "{error}");
    assert_eq!(a.totals().bad_frames, 1);
    let gone = async { a.peers().wait_for(|peers| peers.is_empty()).await.is_ok() };
    assert!(timeout(PATIENCE, gone).await.expect("the link is closed"));
}

/// The first datagram of a node that wants a link.
fn first_datagram(secret: &ClusterSecret, to: SocketAddr) -> Vec<u8> {
    let identity = Identity::issue(secret, &"stranger".parse().unwrap()).unwrap();
    let crypto = Arc::new(QuicClientConfig::try_from(identity.client).unwrap());
    let config = Arc::new(EndpointConfig::default());
    let mut endpoint = quinn_proto::Endpoint::new(config, None, false, None);
    let now = std::time::Instant::now();
    let dialled = endpoint.connect(now, ClientConfig::new(crypto), to, MESH_SERVER_NAME);
    let (_, mut connection) = dialled.unwrap();
    let mut datagram = Vec::new();
    let _sent = connection.poll_transmit(now, 1, &mut datagram).unwrap();
    datagram
}

/// The bytes that are sent to an address that proves nothing, until no more is to be expected.
async fn answered(datagram: &[u8], to: SocketAddr) -> usize {
    /// Longer than the first repetition of a handshake that is not answered takes.
    const SILENCE: Duration = Duration::from_millis(1_500);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(datagram, to).await.unwrap();
    let (mut bytes, mut buffer) = (0, [0; 2_048]);
    while let Ok(Ok(length)) = timeout(SILENCE, socket.recv(&mut buffer)).await {
        bytes += length;
    }
    bytes
}

#[tokio::test]
async fn an_unproven_address_gets_no_more_than_it_sends() {
    let (node, _inbox) = start("b", 1, '1');
    let to = node.hello().mesh_address;
    let of_ours = first_datagram(&ClusterSecret::parse(&"1".repeat(64)).unwrap(), to);
    let of_another = first_datagram(&ClusterSecret::parse(&"2".repeat(64)).unwrap(), to);
    let other_version = [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], &[7; 1_194]].concat();
    let of_no_link = [&[0x40][..], &[7; 60]].concat();
    let kinds = [
        ("the first of a link", of_ours),
        ("the first of another cluster", of_another),
        ("another version of QUIC", other_version),
        ("one of no link", of_no_link),
    ];
    for (what, datagram) in kinds {
        let (sent, got) = (datagram.len(), answered(&datagram, to).await);
        let ratio = got as f64 / sent as f64;
        println!("{what}: {sent} bytes sent, {got} answered: {ratio:.2} for each");
        assert!(ratio <= 1.0, "{what}: {got} bytes for {sent}");
    }
}

#[tokio::test]
async fn a_link_with_a_proven_address_takes_under_a_second() {
    let ((a, _inbox), (b, _other)) = (start("a", 1, '1'), start("b", 1, '1'));
    let begun = std::time::Instant::now();
    linked(&a, &b).await;
    println!("linked after {:?}", begun.elapsed());
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}
