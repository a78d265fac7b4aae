//! The table of one node with listeners, views and tags in usual and unusual orders.

use std::net::IpAddr;

use super::*;
use crate::logic::forecast::{Arrived, Standing};
use crate::logic::policy::Choice;
use crate::model::geo::Whereabouts;
use crate::model::status::NodeState;
use crate::model::stream::StreamId;
use crate::wire::gossip::StreamCard;

const GOSSIP: Duration = Duration::from_millis(250);
const UNIX_S: u32 = 1_000_000;

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn mount() -> MountName {
    "/a.mp3".parse().unwrap()
}

fn life(node: &str) -> Life {
    Life {
        node: name(node),
        generation: Generation(1),
    }
}

fn table(max_listeners: u32, now: Instant) -> LoadTable {
    let capacity = Capacity {
        max_listeners,
        max_bandwidth_bps: 100_000_000,
    };
    LoadTable::new(life("east"), capacity, GOSSIP, 1, now)
}

fn report(listeners: u32, max_listeners: u32) -> LoadReport {
    LoadReport {
        listeners,
        max_listeners,
        egress_bps: 0,
        max_bandwidth_bps: 1 << 40,
        cpu_permille: None,
    }
}

fn peer(now: Instant) -> MeshNode {
    MeshNode {
        state: NodeState::Alive,
        bulletin: Some(Bulletin {
            report: report(0, 100),
            ..Bulletin::default()
        }),
        ..MeshNode::unheard(Generation(1), now)
    }
}

fn view_of(peers: Vec<(&str, MeshNode)>) -> MeshView {
    let mut view = MeshView::empty(name("east"));
    view.nodes = peers
        .into_iter()
        .map(|(peer, node)| (name(peer), node))
        .collect();
    view
}

fn ask(mount: &MountName) -> Ask<'_> {
    Ask {
        mount,
        place: Whereabouts::default(),
        among: Among::All,
        https: false,
        family: None,
        full_at: f64::INFINITY,
    }
}

fn standing(table: &mut LoadTable, now: Instant) -> Option<Standing> {
    let table = table.forecast().table(now);
    let west = table.outlooks.iter().find(|it| *it.node == name("west"));
    west.map(|outlook| outlook.standing)
}

/// How many listeners the table foresees at the other node.
fn foreseen(table: &mut LoadTable, now: Instant) -> u32 {
    let table = table.forecast().table(now);
    let west = table.outlooks.iter().find(|it| *it.node == name("west"));
    west.map_or(0, |outlook| outlook.predicted.listeners)
}

#[test]
fn a_silent_node_becomes_stale_despite_its_last_bulletin() {
    let now = Instant::now();
    let (mut table, view) = (table(9, now), view_of(vec![("west", peer(now))]));
    table.apply_view(&view, now);
    assert_eq!(standing(&mut table, now), Some(Standing::Ready));
    let later = now + GOSSIP * STALE_ROUNDS + Duration::from_millis(1);
    table.apply_view(&view, later);
    assert_eq!(standing(&mut table, later), Some(Standing::Stale));
}

fn on_air_at(bitrate_bps: u64) -> StreamCard {
    StreamCard {
        bitrate_bps,
        ..StreamCard::sample(StreamId(1))
    }
}

#[test]
fn no_more_places_are_announced_than_bandwidth_allows() {
    let now = Instant::now();
    let mut table = table(1_000, now);
    assert_eq!(table.report().max_listeners, 781, "at 128 kbit/s");
    for (bitrate_bps, places) in [(320_000, 312), (64_000, 1_000), (0, 781)] {
        let mut peer = peer(now);
        peer.streams.insert(mount(), on_air_at(bitrate_bps));
        table.apply_view(&view_of(vec![("west", peer)]), now);
        assert_eq!(table.report().max_listeners, places, "{bitrate_bps}");
    }
}

#[test]
fn a_place_is_taken_and_given_back() {
    let now = Instant::now();
    let mut table = table(2, now);
    let mut admit = || table.admit(&mount(), None, now, UNIX_S);
    let (first, second, third) = (admit(), admit(), admit());
    assert_eq!((first, third), (Some(ASSUMED_BITRATE_BPS), None));
    assert!(table.has_jumped());
    table.bulletin();
    assert!(!table.has_jumped(), "everybody is told");
    table.leave(second.unwrap());
    assert!(table.has_jumped());
    assert_eq!(table.report().listeners, 1);
    assert_eq!(table.report().egress_bps, ASSUMED_BITRATE_BPS);
    table.leave(first.unwrap());
    assert!(table.admit(&mount(), None, now, UNIX_S).is_some());
}

#[test]
fn a_redirect_reserves_a_place_until_the_listener_has_arrived() {
    let now = Instant::now();
    let mut table = table(0, now); // no room here
    let mut west = peer(now);
    table.apply_view(&view_of(vec![("west", west.clone())]), now);
    let mount = mount();
    let from: IpAddr = [192, 0, 2, 1].into();
    let tags: Vec<Minted> = (0..2)
        .map(|_| {
            let chosen = table.choose(&ask(&mount), from, now, UNIX_S);
            assert_eq!(chosen.choice, Choice::Redirect(name("west")));
            chosen.reserved.unwrap()
        })
        .collect();
    assert_ne!(tags[0], tags[1]);
    assert_eq!(foreseen(&mut table, now), 2);
    west.bulletin = Some(Bulletin {
        report: report(2, 100),
        arrived: vec![Arrived {
            from: name("east"),
            generation: Generation(1),
            listeners: 2,
        }],
        ..Bulletin::default()
    });
    table.apply_view(&view_of(vec![("west", west)]), now);
    assert_eq!(foreseen(&mut table, now), 2, "they are in its report now");
}

#[test]
fn an_address_that_asks_too_often_reserves_nothing() {
    let now = Instant::now();
    let mut table = table(0, now);
    table.apply_view(&view_of(vec![("west", peer(now))]), now);
    let mount = mount();
    let reserved = (0..90).filter(|_| {
        let chosen = table.choose(&ask(&mount), [192, 0, 2, 1].into(), now, UNIX_S);
        assert_eq!(chosen.choice, Choice::Redirect(name("west")));
        chosen.reserved.is_some()
    });
    assert_eq!(reserved.count(), 64);
    assert_eq!(foreseen(&mut table, now), 64);
}

#[test]
fn a_tag_counts_once_with_or_without_room() {
    let now = Instant::now();
    let mut table = table(1, now);
    table.apply_view(&view_of(vec![("west", peer(now))]), now);
    let (west, stranger) = (name("west"), name("stranger"));
    let sender = |from, number| {
        let minted = Minted {
            unix_s: UNIX_S,
            number,
        };
        Some(Sender { from, minted })
    };
    assert!(
        table
            .admit(&mount(), sender(&west, 1), now, UNIX_S)
            .is_some()
    );
    assert!(
        table
            .admit(&mount(), sender(&west, 2), now, UNIX_S)
            .is_none()
    );
    table.note_arrived(sender(&west, 2), now, UNIX_S + 1); // it asks again
    table.note_arrived(sender(&west, 3), now, UNIX_S + 1_000); // an address that was kept
    table.note_arrived(sender(&stranger, 4), now, UNIX_S);
    let arrived = table.bulletin().arrived;
    let counts: Vec<(&NodeName, u64)> = arrived.iter().map(|it| (&it.from, it.listeners)).collect();
    assert_eq!(counts, [(&west, 2)]);
}

#[test]
fn departed_nodes_and_nodes_without_a_life_do_not_count() {
    let now = Instant::now();
    let mut table = table(9, now);
    let mut unborn = peer(now);
    unborn.generation = Generation::default();
    table.apply_view(&view_of(vec![("west", unborn.clone())]), now);
    assert_eq!(standing(&mut table, now), None);
    table.apply_view(&view_of(vec![("west", peer(now))]), now);
    assert_eq!(standing(&mut table, now), Some(Standing::Ready));
    table.apply_view(&view_of(vec![("west", unborn)]), now);
    assert_eq!(standing(&mut table, now), Some(Standing::Ready));
    table.apply_view(&view_of(Vec::new()), now);
    assert_eq!(standing(&mut table, now), None);
}

#[test]
fn an_address_without_an_answer_is_reported_once() {
    use crate::model::finding::Finding;
    use crate::wire::gossip::ReachCard;

    let now = Instant::now();
    let mut table = table(9, now);
    let mut west = peer(now);
    west.card.proves = true;
    west.card.url = "http://west".to_owned();
    let mut asker = peer(now);
    let found = |finding| ReachCard {
        generation: Generation(1),
        url: "http://west".to_owned(),
        finding,
    };
    let failed = Finding::Failed("cannot reach it".to_owned());
    asker.reach.insert(name("west"), found(failed));
    let view = view_of(vec![("west", west.clone()), ("asker", asker.clone())]);
    let news = table.apply_view(&view, now);
    assert!(matches!(&news[..], [ReachNews::Lost { node, .. }] if *node == name("west")));
    assert!(table.apply_view(&view, now).is_empty());
    assert!(table.troubles(&view).contains_key(&name("west")));
    asker.reach.insert(name("west"), found(Finding::Proven));
    let view = view_of(vec![("west", west), ("asker", asker)]);
    let news = table.apply_view(&view, now);
    assert_eq!(news, [ReachNews::Restored(name("west"))]);
}
