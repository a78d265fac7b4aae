//! Questions of all kinds, and that `Reserve::No` changes nothing.

use std::time::Duration;

use super::*;
use crate::logic::forecast::{Bulletin, Life};
use crate::model::load::LoadReport;
use crate::model::node::Generation;
use crate::model::status::NodeState;
use crate::model::stream::StreamId;
use crate::proto::table::Capacity;
use crate::proto::view::MeshNode;
use crate::wire::gossip::{FileCard, Origin, StreamCard};

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

/// A node in a mesh of two nodes.
struct Scene {
    mounts: BTreeMap<MountName, MountSpec>,
    steering: Steering,
    view: MeshView,
    table: LoadTable,
    held_here: Option<u32>,
    now: Instant,
}

impl Scene {
    fn new(own_room: u32, other_room: u32) -> Self {
        let (now, path): (Instant, MountName) = (Instant::now(), "/a.mp3".parse().unwrap());
        let own = Life {
            node: name("east"),
            generation: Generation(1),
        };
        let capacity = Capacity {
            max_listeners: own_room,
            max_bandwidth_bps: 1 << 40,
        };
        let mut west = MeshNode {
            state: NodeState::Alive,
            bulletin: Some(Bulletin {
                report: LoadReport {
                    max_listeners: other_room,
                    max_bandwidth_bps: 1 << 40,
                    ..LoadReport::default()
                },
                ..Bulletin::default()
            }),
            ..MeshNode::unheard(Generation(1), now)
        };
        west.streams.insert(path.clone(), card(7));
        let mut scene = Self {
            mounts: BTreeMap::from([(path.clone(), MountSpec::new(path))]),
            steering: Steering::default(),
            view: MeshView::empty(name("east")),
            table: LoadTable::new(own, capacity, Duration::from_millis(250), 1, now),
            held_here: None,
            now,
        };
        scene.view.nodes.insert(name("west"), west);
        scene.table.apply_view(&scene.view, now);
        scene
    }

    fn spec(&mut self) -> &mut MountSpec {
        self.mounts.values_mut().next().unwrap()
    }

    fn answer(
        &mut self,
        change: impl FnOnce(&mut ListenerQuestion<'_>),
        reserve: Reserve,
    ) -> Verdict {
        let mount = "/a.mp3".parse().unwrap();
        let mut question = ListenerQuestion {
            mount: &mount,
            client: Client {
                ip: [192, 0, 2, 1].into(),
                https: false,
            },
            place: Whereabouts::default(),
            arrival: Arrival::Front,
            has_place: false,
            is_head: false,
            agent: "VLC/3.0",
            query: "",
        };
        change(&mut question);
        let context = ListenerContext {
            mounts: &self.mounts,
            steering: &self.steering,
            view: &self.view,
            held_here: self.held_here,
            now: self.now,
            now_unix_s: 1_000,
        };
        answer(&question, &context, &mut self.table, reserve)
    }

    fn ask(&mut self) -> Verdict {
        self.answer(|_| {}, Reserve::Yes)
    }
}

fn card(listeners: u32) -> StreamCard {
    StreamCard {
        bitrate_bps: 128_000,
        listeners,
        ..StreamCard::sample(StreamId(1))
    }
}

fn is_sent_west(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Redirect(Destination::Row(to, _)) if *to == name("west"))
}

#[test]
fn without_a_reservation_the_verdict_is_the_next_listeners() {
    let mut scene = Scene::new(2, 2);
    for number in 0..4 {
        let foreseen = scene.answer(|_| {}, Reserve::No);
        assert_eq!(
            foreseen,
            scene.answer(|_| {}, Reserve::No),
            "{number}: twice"
        );
        let answered = scene.ask();
        match (&foreseen, &answered) {
            (
                Verdict::Redirect(Destination::Row(one, None)),
                Verdict::Redirect(Destination::Row(other, Some(_))),
            ) => assert_eq!(one, other, "{number}"),
            _ => assert_eq!(foreseen, answered, "{number}"),
        }
        if answered == Verdict::Serve(Because::Chosen) {
            let mount = "/a.mp3".parse().unwrap();
            scene.table.admit(&mount, None, scene.now, 1_000).unwrap();
        }
    }
}

#[test]
fn a_listener_that_was_sent_here_is_never_redirected() {
    let mut scene = Scene::new(1, 9);
    assert!(is_sent_west(&scene.ask()));
    let sent_here = Verdict::Serve(Because::SentHere);
    for arrival in [Arrival::Sent, Arrival::Kept] {
        let verdict = scene.answer(|it| it.arrival = arrival, Reserve::Yes);
        assert_eq!(verdict, sent_here);
    }
    scene.spec().max_listeners = Some(7);
    let verdict = scene.answer(|it| it.arrival = Arrival::Sent, Reserve::Yes);
    assert_eq!(verdict, sent_here, "it was admitted where it asked first");
    let verdict = scene.answer(|it| it.arrival = Arrival::Kept, Reserve::Yes);
    assert_eq!(verdict, Verdict::MountFull);
    assert_eq!(scene.ask(), Verdict::MountFull);
}

#[test]
fn a_full_mount_may_let_listeners_hear_its_fallback() {
    let mut scene = Scene::new(9, 9);
    let fallback: MountName = "/b.mp3".parse().unwrap();
    let spec = scene.spec();
    spec.max_listeners = Some(7);
    spec.fallback = "/b.mp3".parse().unwrap();
    let unset = MountSpec::new(fallback.clone());
    scene.mounts.insert(fallback.clone(), unset);
    let on_air = StreamCard {
        origin: Origin::Source,
        ..card(0)
    };
    let west = scene.view.nodes.get_mut(&name("west")).unwrap();
    west.streams.insert(fallback.clone(), on_air);
    assert_eq!(scene.ask(), Verdict::MountFull);
    scene.spec().fallback_when_full = true;
    assert_eq!(scene.ask(), Verdict::Instead(fallback.clone()));
    let west = scene.view.nodes.get_mut(&name("west")).unwrap();
    west.streams.remove(&fallback);
    assert_eq!(scene.ask(), Verdict::MountFull, "nothing is on air there");
}

#[test]
fn a_mount_without_a_source_is_served_while_its_fallback_is_on_air() {
    let mut scene = Scene::new(9, 9);
    let fallback: MountName = "/b.mp3".parse().unwrap();
    scene.spec().fallback = "/b.mp3".parse().unwrap();
    let unset = MountSpec::new(fallback.clone());
    scene.mounts.insert(fallback.clone(), unset);
    let west = scene.view.nodes.get_mut(&name("west")).unwrap();
    west.streams.clear();
    assert_eq!(scene.ask(), Verdict::NoSource);
    let on_air = StreamCard {
        origin: Origin::Source,
        ..card(0)
    };
    let west = scene.view.nodes.get_mut(&name("west")).unwrap();
    west.streams.insert(fallback, on_air);
    assert_ne!(scene.ask(), Verdict::NoSource);
}

#[test]
fn a_file_is_heard_without_a_source_and_not_when_the_mount_is_full() {
    let mut scene = Scene::new(9, 9);
    scene.spec().fallback = "file:loop.mp3".parse().unwrap();
    let west = |scene: &mut Scene| scene.view.nodes.remove(&name("west")).unwrap();
    let mut node = west(&mut scene);
    node.streams.clear();
    scene.view.nodes.insert(name("west"), node);
    assert_eq!(scene.ask(), Verdict::NoSource, "no node knows the file");
    for (trouble, is_heard) in [(Some("no such file"), false), (None, true)] {
        let mut node = west(&mut scene);
        let card = FileCard {
            trouble: trouble.map(str::to_owned),
            ..FileCard::default()
        };
        node.files.insert("loop.mp3".parse().unwrap(), card);
        scene.view.nodes.insert(name("west"), node);
        assert_eq!(scene.ask() != Verdict::NoSource, is_heard, "{trouble:?}");
    }
    let mut node = west(&mut scene);
    node.streams.insert("/a.mp3".parse().unwrap(), card(7));
    scene.view.nodes.insert(name("west"), node);
    let spec = scene.spec();
    (spec.max_listeners, spec.fallback_when_full) = (Some(7), true);
    assert_eq!(scene.ask(), Verdict::MountFull, "a file takes no listener");
}

#[test]
fn a_full_node_refuses_the_listeners_that_only_it_may_serve() {
    let mut scene = Scene::new(1, 9);
    scene.spec().steering.redirect = false;
    let mount = "/a.mp3".parse().unwrap();
    let cost_bps = scene.table.admit(&mount, None, scene.now, 1_000).unwrap();
    let full = Verdict::NodeFull(Because::NotRedirected);
    for reserve in [Reserve::No, Reserve::Yes] {
        assert_eq!(scene.answer(|_| {}, reserve), full, "{reserve:?}");
        let sent = scene.answer(|it| it.arrival = Arrival::Sent, reserve);
        assert_eq!(sent, Verdict::NodeFull(Because::SentHere));
    }
    assert_eq!(
        full.in_words(),
        "503, this node is full, and the mount is not redirected"
    );
    let stays = Verdict::Serve(Because::NotRedirected);
    let probed = scene.answer(|it| it.has_place = true, Reserve::Yes);
    assert_eq!(probed, stays, "its probe has the place");
    let looks = |it: &mut ListenerQuestion<'_>| {
        (it.is_head, it.arrival) = (true, Arrival::Sent);
    };
    let looks = scene.answer(looks, Reserve::Yes);
    assert_eq!(looks, Verdict::Serve(Because::SentHere), "it takes no room");
    scene.table.leave(cost_bps);
    assert_eq!(scene.ask(), stays);
}

#[test]
fn an_unknown_or_silent_mount_is_not_found() {
    let mut scene = Scene::new(9, 9);
    let spec = scene.spec().clone();
    scene.mounts.clear();
    assert_eq!(scene.ask(), Verdict::NoSuchMount);
    scene.mounts.insert(spec.path.clone(), spec);
    scene.view.nodes.clear();
    assert_eq!(scene.ask(), Verdict::NoSource);
    let looks = scene.answer(|it| it.is_head = true, Reserve::Yes);
    assert_eq!(looks, Verdict::NoSource);
    scene.held_here = Some(0);
    assert!(!matches!(scene.ask(), Verdict::NoSource), "gossip is late");
}

#[test]
fn a_mount_is_refused_outside_its_countries() {
    let mut scene = Scene::new(9, 9);
    scene.spec().steering.countries = "de,fr".parse().unwrap();
    let from = |country: &str| Whereabouts {
        country: country.parse().ok(),
        position: None,
    };
    for reserve in [Reserve::Yes, Reserve::No] {
        let verdict = scene.answer(|it| it.place = from("us"), reserve);
        assert_eq!(verdict, Verdict::NotInCountry);
    }
    let sent = |it: &mut ListenerQuestion<'_>| {
        (it.place, it.arrival) = (from("us"), Arrival::Sent);
    };
    assert_eq!(scene.answer(sent, Reserve::Yes), Verdict::NotInCountry);
    let verdict = scene.answer(|it| it.place = from("de"), Reserve::Yes);
    assert_ne!(verdict, Verdict::NotInCountry);
}

#[test]
fn players_that_cannot_follow_redirects_are_served_directly() {
    let mut scene = Scene::new(1, 99);
    scene.steering.mesh.proxy_agents = vec!["sonos".to_owned()];
    let stays = Verdict::Serve(Because::NotRedirected);
    assert_eq!(
        scene.answer(|it| it.agent = "Linux UPnP Sonos/1", Reserve::Yes),
        stays
    );
    assert_eq!(
        scene.answer(|it| it.query = "a=b&redirect=no", Reserve::Yes),
        stays
    );
    assert!(is_sent_west(
        &scene.answer(|it| it.query = "redirect=nothing", Reserve::Yes)
    ));
    assert!(is_sent_west(&scene.ask()));
    scene.spec().steering.redirect = false;
    assert_eq!(scene.ask(), stays);
}

#[test]
fn without_room_listeners_go_to_the_overflow_address() {
    let mut scene = Scene::new(0, 0);
    assert_eq!(scene.ask(), Verdict::NoRoom);
    scene.spec().steering.overflow_url = "http://cdn.example/a".to_owned();
    let overflow = Destination::Overflow("http://cdn.example/a".to_owned());
    let overflow = Verdict::Redirect(overflow);
    assert_eq!(scene.ask(), overflow);
    assert_eq!(
        overflow.in_words(),
        "sent to http://cdn.example/a, because there is no room here"
    );
    let https = scene.answer(|it| it.client.https = true, Reserve::Yes);
    assert_eq!(https, Verdict::NoRoom, "it would lead to plain HTTP");
    scene.spec().max_listeners = Some(1);
    assert_eq!(scene.ask(), overflow, "the mount is full");
}

#[test]
fn listeners_here_count_before_gossip_tells_of_them() {
    let mut scene = Scene::new(9, 9);
    scene.spec().max_listeners = Some(8);
    assert_ne!(scene.ask(), Verdict::MountFull, "there are 7 elsewhere");
    scene.held_here = Some(1);
    assert_eq!(scene.ask(), Verdict::MountFull);
    let mut own = MeshNode::unheard(Generation(1), scene.now);
    own.state = NodeState::Alive;
    own.streams.insert("/a.mp3".parse().unwrap(), card(1));
    scene.view.nodes.insert(name("east"), own);
    scene.spec().max_listeners = Some(9);
    assert_ne!(scene.ask(), Verdict::MountFull, "each counts once");
}

#[test]
fn any_node_answers_head_and_none_counts_it() {
    let mut scene = Scene::new(0, 9);
    let before = scene.answer(|_| {}, Reserve::No);
    let verdict = scene.answer(|it| it.is_head = true, Reserve::Yes);
    assert_eq!(verdict, Verdict::Serve(Because::LooksOnly));
    assert!(scene.table.bulletin().sent.is_empty());
    assert_eq!(scene.answer(|_| {}, Reserve::No), before);
}
