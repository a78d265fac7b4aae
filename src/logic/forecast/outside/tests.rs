//! Rows of outside servers, told by the events of a small mesh.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn mount(path: &str) -> MountName {
    path.parse().unwrap()
}

fn life(text: &str) -> Life {
    let (node, generation) = (name(text), Generation(1));
    Life { node, generation }
}

fn server(max_listeners: Option<u32>) -> OutsideServer {
    OutsideServer {
        public_url: "http://r".into(),
        poll_url: "http://r".into(),
        max_listeners,
        mounts: BTreeMap::from([(mount("/a"), mount("/x")), (mount("/b"), mount("/b"))]),
        ..OutsideServer::new(name("r"))
    }
}

fn slots(listeners: u32, max_listeners: Option<u32>) -> Slots {
    Slots {
        listeners,
        max_listeners,
    }
}

fn found(number: u64, server: Slots, mount_a: Slots) -> OutsideBulletin {
    OutsideBulletin {
        report: OutsideReport {
            number,
            server,
            mounts: BTreeMap::from([(mount("/a"), mount_a)]),
        },
        ..OutsideBulletin::default()
    }
}

/// Node `me`, its peer `peer`, and the server `r`, of which nothing is known yet.
fn forecast(now: Instant) -> Forecast {
    let mut forecast = Forecast::new(life("me"), SECOND, now);
    forecast.witness(&life("peer"), NodeState::Alive, now);
    forecast.set_outside([&server(None)], now);
    forecast
}

fn hear(forecast: &mut Forecast, bulletin: &OutsideBulletin, now: Instant) {
    forecast.hear_outside(&name("outside-r"), &life("peer"), bulletin, now);
}

/// Standing, listeners and room for the mount.
fn seen(forecast: &mut Forecast, path: &str, now: Instant) -> Option<(Standing, u32, u32)> {
    let table = forecast.table_of(&mount(path), now);
    let row = table
        .outlooks
        .iter()
        .find(|it| it.node.as_str() == "outside-r")?;
    let predicted = row.predicted;
    Some((row.standing, predicted.listeners, predicted.max_listeners))
}

#[test]
fn a_server_is_a_row_for_its_mounts_on_air() {
    let now = Instant::now();
    let mut forecast = forecast(now);
    let closed = |seen: Option<(Standing, u32, u32)>| seen.unwrap().0 == Standing::Closed;
    assert!(
        closed(seen(&mut forecast, "/a", now)),
        "nobody has asked yet"
    );
    hear(
        &mut forecast,
        &found(1, slots(5, Some(50)), slots(3, None)),
        now,
    );
    let here = seen(&mut forecast, "/a", now);
    assert_eq!(here, Some((Standing::Ready, 5, 50)));
    assert!(closed(seen(&mut forecast, "/b", now)), "not on air");
    assert_eq!(seen(&mut forecast, "/c", now), None, "not carried");
    let others = forecast.table(now).outlooks;
    assert!(others.iter().all(|it| it.node.as_str() != "outside-r"));
}

#[test]
fn the_lesser_room_of_server_and_mount_counts() {
    let now = Instant::now();
    for (number, server, mount, expected) in [
        (1, slots(10, Some(50)), slots(5, Some(7)), (5, 7)),
        (2, slots(49, Some(50)), slots(5, Some(7)), (49, 50)),
        (3, slots(9, None), slots(5, Some(7)), (5, 7)),
        (4, slots(9, None), slots(5, None), (9, 109)),
        (5, slots(9, Some(0)), slots(5, None), (9, 0)),
        (6, slots(0, None), slots(0, Some(0)), (0, 0)),
    ] {
        let mut forecast = forecast(now);
        hear(&mut forecast, &found(number, server, mount), now);
        let (_, listeners, most) = seen(&mut forecast, "/a", now).unwrap();
        assert_eq!((listeners, most), expected, "{number}");
    }
}

#[test]
fn silence_and_failure_close_a_row() {
    let now = Instant::now();
    let mut forecast = forecast(now);
    let good = found(1, slots(5, Some(50)), slots(3, None));
    hear(&mut forecast, &good, now);
    let almost = now + FRESH - Duration::from_millis(1);
    assert_eq!(
        seen(&mut forecast, "/a", almost).unwrap().0,
        Standing::Ready
    );
    hear(&mut forecast, &good, almost);
    assert_eq!(
        seen(&mut forecast, "/a", now + FRESH).unwrap().0,
        Standing::Closed,
        "old news"
    );
    hear(
        &mut forecast,
        &found(2, slots(5, Some(50)), slots(3, None)),
        now + FRESH,
    );
    assert_eq!(
        seen(&mut forecast, "/a", now + FRESH).unwrap().0,
        Standing::Ready
    );
    let failed = OutsideBulletin {
        failure: Some("refused".into()),
        ..found(3, slots(0, None), slots(0, None))
    };
    hear(&mut forecast, &failed, now + FRESH);
    assert_eq!(
        seen(&mut forecast, "/a", now + FRESH).unwrap().0,
        Standing::Closed
    );
}

#[test]
fn a_closed_row_opens_only_after_the_next_question() {
    let now = Instant::now();
    let mut forecast = forecast(now);
    hear(
        &mut forecast,
        &found(1, slots(5, Some(50)), slots(3, None)),
        now,
    );
    let described = |is_enabled, weight_percent| OutsideServer {
        enabled: is_enabled,
        weight_percent,
        ..server(None)
    };
    forecast.set_outside([&described(true, 0)], now);
    assert_eq!(
        seen(&mut forecast, "/a", now),
        Some((Standing::Closed, 5, 50))
    );
    forecast.set_outside([&described(true, 1)], now);
    assert_eq!(
        seen(&mut forecast, "/a", now),
        Some((Standing::Ready, 5, 50))
    );
    forecast.set_outside([&described(false, 100)], now);
    hear(
        &mut forecast,
        &found(2, slots(5, Some(50)), slots(3, None)),
        now,
    );
    forecast.set_outside([&described(true, 100)], now);
    let outlook = forecast.outside(now)[&name("outside-r")].clone();
    assert_eq!(outlook.asked_by, None, "nobody has asked since");
    assert_eq!(outlook.standing, Standing::Closed);
    forecast.set_outside([], now);
    assert_eq!(seen(&mut forecast, "/a", now), None);
}

#[test]
fn listeners_are_on_the_way_until_an_answer_counts_them() {
    let (mut now, backend) = (Instant::now(), name("outside-r"));
    let mut forecast = forecast(now);
    hear(
        &mut forecast,
        &found(1, slots(0, Some(50)), slots(0, None)),
        now,
    );
    for _ in 0..4 {
        forecast.note_sent(&backend, 128_000, now);
    }
    assert_eq!(seen(&mut forecast, "/a", now).unwrap().1, 4);
    let known = |forecast: &Forecast, now| {
        let sent = forecast.sent_outside(&backend, now);
        sent.iter().map(|it| it.listeners).sum::<u64>()
    };
    assert_eq!(known(&forecast, now), 0, "they may not have followed yet");
    now += 2 * SECOND;
    let arrived = forecast.sent_outside(&backend, now);
    assert_eq!(known(&forecast, now), 4);
    forecast.note_sent(&backend, 128_000, now);
    now += 6 * SECOND;
    assert_eq!(
        seen(&mut forecast, "/a", now).unwrap().1,
        5,
        "longer than for a node"
    );
    let answer = OutsideBulletin {
        arrived,
        ..found(2, slots(4, Some(50)), slots(4, None))
    };
    hear(&mut forecast, &answer, now);
    assert_eq!(
        seen(&mut forecast, "/a", now).unwrap().1,
        5,
        "four are there, one comes"
    );
    assert_eq!(forecast.outside(now)[&backend].pending, 1);
    let much_later = now + PATIENCE;
    assert_eq!(
        seen(&mut forecast, "/a", much_later).unwrap().1,
        4,
        "it went elsewhere"
    );
}

#[test]
fn listeners_sent_by_others_are_known_from_their_bulletins() {
    let now = Instant::now();
    let mut forecast = forecast(now);
    forecast.hear(
        &life("peer"),
        &crate::logic::forecast::Bulletin::default(),
        now,
    );
    hear(
        &mut forecast,
        &found(1, slots(0, Some(50)), slots(0, None)),
        now,
    );
    let sent = crate::logic::forecast::Sent {
        to: name("outside-r"),
        generation: Generation(0),
        total: crate::logic::forecast::Tally {
            listeners: 3,
            bps: 384_000,
        },
    };
    let bulletin = crate::logic::forecast::Bulletin {
        sent: vec![sent],
        ..crate::logic::forecast::Bulletin::default()
    };
    forecast.hear(&life("peer"), &bulletin, now);
    assert_eq!(seen(&mut forecast, "/a", now).unwrap().1, 3);
    let published = forecast.bulletin();
    assert!(published.sent.is_empty(), "each tells of its own");
    forecast.note_sent(&name("outside-r"), 1, now);
    assert_eq!(forecast.bulletin().sent.len(), 1);
}

#[test]
fn no_node_can_pass_for_an_outside_server() {
    let now = Instant::now();
    let mut forecast = forecast(now);
    forecast.witness(&life("outside-r"), NodeState::Alive, now);
    forecast.witness(&life("outside-x"), NodeState::Alive, now);
    forecast.note_arrived(&name("outside-r"), now);
    assert!(forecast.bulletin().arrived.is_empty());
    assert_eq!(forecast.table(now).outlooks.len(), 2, "me and my peer");
}
