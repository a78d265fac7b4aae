//! What a node believes of its peers' load.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::logic::forecast::Standing;
use crate::model::node::Generation;
use crate::model::seat::{Epoch, Rank};
use crate::model::status::NodeState;
use crate::model::stream::StreamId;
use crate::proto::view::MeshNode;
use crate::wire::gossip::{NodeCard, Origin, StreamCard};

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn peer() -> MeshNode {
    MeshNode {
        generation: Generation(1),
        mesh_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        state: NodeState::Alive,
        heard_at: Instant::now().into_std(),
        card: NodeCard {
            url: String::new(),
            version: String::new(),
            rank: Rank(0),
            started_unix_ms: 0,
            https_url: None,
            place: Default::default(),
            addresses: Vec::new(),
            serves_dns: false,
            takes_orders: true,
            proves: false,
        },
        bulletin: Some(Bulletin::default()),
        claim: None,
        claims: BTreeMap::new(),
        outside: BTreeMap::new(),
        document: None,
        clock_unix_ms: None,
        disk: None,
        streams: BTreeMap::new(),
        about: BTreeMap::new(),
        standby: BTreeSet::new(),
        reach: BTreeMap::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_falls_silent_is_stale_however_often_its_last_word_is_seen() {
    let own = Life {
        node: name("east"),
        generation: Generation(1),
    };
    let capacity = Capacity {
        max_listeners: 9,
        max_bandwidth_bps: 9,
    };
    let load = Load::new(own, capacity);
    let mut view = MeshView::empty(name("east"));
    view.nodes.insert(name("west"), peer());
    let view = Arc::new(view);
    let standing = || {
        let mut state = load.0.lock();
        let table = state.forecast.table(Instant::now().into_std());
        let west = table.outlooks.iter().find(|it| *it.node == name("west"));
        west.unwrap().standing
    };
    load.follow(&view);
    assert_eq!(standing(), Standing::Ready);
    tokio::time::advance(STALE_AFTER + Duration::from_millis(1)).await;
    load.follow(&view);
    assert_eq!(standing(), Standing::Stale);
}

fn on_air_at(bitrate_bps: u64) -> StreamCard {
    StreamCard {
        stream_id: StreamId(1),
        origin: Origin::Source,
        content_type: "audio/mpeg".to_owned(),
        bitrate_bps,
        offset: 0,
        started_unix_ms: 0,
        accept_epoch: Epoch(1),
        listeners: 0,
        title: String::new(),
        listener_peak: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_places_are_announced_than_the_bandwidth_fills() {
    let own = Life {
        node: name("east"),
        generation: Generation(1),
    };
    let capacity = Capacity {
        max_listeners: 1_000,
        max_bandwidth_bps: 100_000_000,
    };
    let load = Load::new(own, capacity);
    assert_eq!(load.report().max_listeners, 781, "at 128 kbit/s");
    for (bitrate_bps, places) in [(320_000, 312), (64_000, 1_000), (0, 781)] {
        let mut peer = peer();
        peer.streams
            .insert("/a.mp3".parse().unwrap(), on_air_at(bitrate_bps));
        let mut view = MeshView::empty(name("east"));
        view.nodes.insert(name("west"), peer);
        load.follow(&Arc::new(view));
        assert_eq!(load.report().max_listeners, places, "{bitrate_bps}");
    }
}
