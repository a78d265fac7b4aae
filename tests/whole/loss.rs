//! A line that loses a tenth of everything in each direction: the stream comes through it whole, and in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon::io::tls::{ClusterSecret, Identity, MESH_SERVER_NAME};
use antiphon::model::node::NodeName;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AckFrequencyConfig, ClientConfig, Endpoint, ServerConfig, TransportConfig};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::support::crowd::Crowd;
use crate::support::encoder::{Encoder, Target};
use crate::support::mesh::TestMesh;
use crate::support::node::new_secret;
use crate::support::patience::{eventually, so};
use crate::support::port::free_port;
use crate::support::signal::{Bitrate, FRAME_US};
use crate::support::tape::Flaws;
use crate::support::times::Times;
use crate::support::weather::{Conditions, Line};

/// The size of what is sent at once: a frame of 320 kbit/s.
const PIECE_BYTES: usize = Bitrate::Loud.frame_bytes();
const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// A tenth lost, and 50 ms there and back.
const BAD: Conditions = Conditions {
    delay: Duration::from_millis(25),
    loss: 0.1,
    seed: 1,
};
/// How late 99 of 100 pieces may be; other tests keep both cores busy, so that it is twice what is promised.
const LATE: Duration = Duration::from_secs(1);
/// How late all of them may be.
const LATEST: Duration = Duration::from_secs(4);

/// A loud stream into one node and out of another, with bad weather between them for so long. It comes whole;
/// how late it is.
pub(crate) fn measure(time: Duration) -> Times {
    let ports = [free_port(), free_port()];
    let lines = ports.map(|port| Line::to(([127, 0, 0, 1], port).into(), BAD));
    let mesh = TestMesh::start_with(2, |index, setup| {
        let mut setup = setup.port(ports[index]);
        if index > 0 {
            setup = setup.joining_only(&lines[0].address.to_string());
        }
        setup.configured(&format!("mesh_address = '{}'\n", lines[index].address))
    });
    mesh.create_mount(RADIO, PASSWORD);
    let encoder = Encoder::start(Target {
        bitrate: Bitrate::Loud,
        ..Target::of(vec![mesh.nodes[0].address()], RADIO, PASSWORD)
    });
    mesh.wait_on_air(RADIO);
    let home = format!("{}/_stream/n1{RADIO}", mesh.nodes[1].url());
    let homes = vec![home; 4];
    let crowd = Crowd::gather(&homes, &homes, &encoder.diary());
    crowd.go_home();
    crowd.take_notes();
    let begun = Instant::now();
    eventually(2 * time, "time passes", || {
        so(begun.elapsed() >= time, "not yet")
    });
    let notes = crowd.take_notes();
    assert_eq!(encoder.dropped(), 0);
    for it in &notes {
        assert_eq!((it.closed, it.flaws), (0, Flaws::default()));
    }
    let late = Times::of(notes.into_iter().flat_map(|it| it.delays));
    println!(
        "late by {late} (median / p99), at most {:?}",
        late.longest()
    );
    late
}

#[test]
fn ten_percent_loss_costs_no_byte() {
    let late = measure(Duration::from_secs(8));
    assert!(
        late.p99() <= Some(LATE) && late.longest() <= Some(LATEST),
        "{late}"
    );
}

/// How the senders of a line hold back, to be compared.
fn manners() -> Vec<(&'static str, Arc<dyn ControllerFactory + Send + Sync>, bool)> {
    vec![
        ("cubic", Arc::new(CubicConfig::default()), false),
        ("new reno", Arc::new(NewRenoConfig::default()), false),
        ("bbr", Arc::new(BbrConfig::default()), false),
        ("cubic, eager acks", Arc::new(CubicConfig::default()), true),
        ("bbr, eager acks", Arc::new(BbrConfig::default()), true),
    ]
}

/// Compares the congestion controllers of the links on such a line; read by people.
#[tokio::test]
#[ignore = "takes a minute: make chaos"]
async fn chaos_of_congestion_controllers() {
    let time = Duration::from_secs(60);
    let mut runs = JoinSet::new();
    for (name, controller, eager) in manners() {
        let transport = transport(controller, eager);
        runs.spawn(async move { (name, send_through_bad_weather(transport, time).await) });
    }
    let mut results = runs.join_all().await;
    results.sort_by_key(|(name, _)| *name);
    for (name, late) in results {
        println!(
            "{name}: late by {late} (median / p99), at most {:?}",
            late.longest()
        );
    }
}

/// As the links have it, but for the controller and how soon a datagram is acknowledged.
fn transport(
    controller: Arc<dyn ControllerFactory + Send + Sync>,
    eager: bool,
) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(Duration::from_millis(250)))
        .congestion_controller_factory(controller);
    if eager {
        let mut acks = AckFrequencyConfig::default();
        acks.ack_eliciting_threshold(0u32.into())
            .max_ack_delay(Some(Duration::from_millis(1)));
        transport.ack_frequency_config(Some(acks));
    }
    Arc::new(transport)
}

/// Sends numbered pieces in real time over one stream of a link; how late each was.
async fn send_through_bad_weather(transport: Arc<TransportConfig>, time: Duration) -> Times {
    let secret = ClusterSecret::parse(&new_secret()).unwrap();
    let identity =
        |name: &str| Identity::issue(&secret, &NodeName::try_from(name).unwrap()).unwrap();
    let crypto = QuicServerConfig::try_from(identity("b").server).unwrap();
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(transport.clone());
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let receiver = Endpoint::server(server, anywhere).unwrap();
    let line = Line::to(receiver.local_addr().unwrap(), BAD);
    let sender = Endpoint::client(anywhere).unwrap();
    let crypto = QuicClientConfig::try_from(identity("a").client).unwrap();
    let mut client = ClientConfig::new(Arc::new(crypto));
    client.transport_config(transport);

    let begun = Instant::now();
    let sending = async {
        let connecting = sender.connect_with(client, line.address, MESH_SERVER_NAME);
        let connection = connecting.unwrap().await.unwrap();
        let mut stream = connection.open_uni().await.unwrap();
        let mut ticks = interval(Duration::from_micros(FRAME_US));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while begun.elapsed() < time {
            ticks.tick().await;
            let mut piece = vec![0; PIECE_BYTES];
            piece[..16].copy_from_slice(&begun.elapsed().as_micros().to_le_bytes());
            stream.write_all(&piece).await.unwrap();
        }
        stream.finish().unwrap();
        let _heard = stream.stopped().await;
    };
    let receiving = async {
        let connection = receiver.accept().await.unwrap().await.unwrap();
        let mut stream = connection.accept_uni().await.unwrap();
        let mut late = Vec::new();
        let mut piece = [0; PIECE_BYTES];
        while stream.read_exact(&mut piece).await.is_ok() {
            let sent = u128::from_le_bytes(*piece.first_chunk().unwrap());
            let sent = Duration::from_micros(sent as u64);
            late.push(begun.elapsed().saturating_sub(sent));
        }
        late
    };
    let ((), late) = tokio::join!(sending, receiving);
    Times::of(late)
}
