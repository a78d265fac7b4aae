//! Sources that wait on standby, and the order among them.

use super::*;
use crate::proto::source::standby::{LEFT_TO_BETTER, PASSED_OVER};
use crate::wire::gossip::Origin;

#[test]
fn a_source_that_gives_way_waits_only_if_allowed() {
    let replaced = EndReason::Replaced;
    let mut world = World::on_air(true);
    world.elsewhere(5);
    let (off, free) = (Output::LeaveAir(replaced), Output::Release(StreamId(10)));
    let out = world.handle(Input::GiveWay);
    assert_eq!(out, [off, free, Output::StandBy]);
    assert_eq!(world.handle(Input::GiveWay), [], "it has");
    let away = |reason| {
        [
            Output::FinishReading,
            Output::LeaveAir(reason),
            Output::Release(StreamId(10)),
            Output::Close(reason),
        ]
    };
    let mut world = World::on_air(false);
    assert_eq!(world.handle(Input::GiveWay), away(replaced));
    let mut world = World::on_air(true);
    world.is_draining = true;
    assert_eq!(world.handle(Input::Tick), [], "it is heard to its end");
    let out = world.handle(Input::GiveWay);
    assert_eq!(out, away(EndReason::NodeStops), "it can wait elsewhere");
}

#[test]
fn a_waiting_source_begins_when_the_mount_is_free() {
    let mut world = World::waiting();
    assert_eq!(world.handle(Input::GiveWay), []);
    assert_eq!(world.handle(Input::Audio), []);
    assert_eq!(world.tick_after(SOON), [], "the other is still there");
    world.view.nodes.clear();
    let out = world.tick_after(SOON);
    let new_stream_id = StreamId(world.minted);
    assert_eq!(out, [Output::Request(new_stream_id)]);
    assert_eq!(world.tick_after(SOON), [], "it has asked");
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(2))));
    assert_eq!(out, [], "for its first stream");
    assert_eq!(world.handle(Input::Verdict(new_stream_id, IN_USE)), []);
    assert_eq!(
        world.handle(Input::Verdict(new_stream_id, Ok(Epoch(2)))),
        [],
        "two"
    );
    assert_eq!(world.tick_after(SOON), [], "another source was quicker");
    let out = world.wake();
    let new_stream_id = StreamId(world.minted);
    assert_eq!(out, [Output::Request(new_stream_id)]);
    let out = world.handle(Input::Verdict(new_stream_id, Ok(Epoch(5))));
    assert_eq!(out, [Output::Accept]);
    let out = world.handle(Input::Audio);
    assert_eq!(out, [Output::GoOnAir(new_stream_id, Epoch(5))]);
}

#[test]
fn a_source_that_leaves_while_waiting_releases_its_place() {
    let left = EndReason::SourceLeft;
    let mut world = World::waiting();
    assert_eq!(world.handle(Input::Ended(left)), [Output::Close(left)]);
    let mut world = World::waiting();
    world.view.nodes.clear();
    world.tick_after(SOON);
    let asked = Output::Release(StreamId(world.minted));
    let out = world.handle(Input::Ended(left));
    assert_eq!(out, [asked, Output::Close(left)]);
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    let out = world.handle(Input::Ended(left));
    assert_eq!(out, [Output::Release(StreamId(10)), Output::Close(left)]);
    let late = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    assert_eq!(late, []);
}

/// A source of this order that logs in while that of `b` is on air with another one.
fn beside(takeover: Takeover, standby: bool, own: u8, on_air: u8) -> (World, Vec<Output>) {
    World::begin_with(takeover, standby, |world| {
        world.elsewhere(5);
        world.with_priority("b", on_air, true);
        world.source.priority = own.into();
    })
}

#[test]
fn a_source_of_another_order_waits_at_once() {
    for takeover in Takeover::ALL {
        for own in [1, 3] {
            let (world, out) = beside(takeover, true, own, 2);
            assert_eq!(out, [Output::StandBy], "{takeover:?} {own}");
            assert_eq!(world.source.stage(), SourceStage::Standby);
        }
    }
}

#[test]
fn a_worse_source_takes_over_from_none() {
    let (_, out) = beside(Takeover::Takeover, false, 2, 1);
    assert_eq!(out, [Output::Refuse(RefusalReason::InUse)]);
    let (_, out) = beside(Takeover::Takeover, false, 1, 2);
    assert_eq!(out, [Output::Accept], "a better one does");
}

#[test]
fn a_free_place_is_left_to_a_better_source_for_a_while() {
    let (mut world, _) = beside(Takeover::Refuse, true, 3, 1);
    world.with_priority("b", 2, false);
    for (priority, fitness, expected) in [
        (3, SourceFitness::Fit, true),
        (2, SourceFitness::Fit, false),
        (1, SourceFitness::Silent, true),
    ] {
        let standing = Standing {
            priority: priority.into(),
            fitness,
        };
        let found = is_outranked(&mount(), standing, &world.view);
        assert_eq!(found, expected, "{standing:?}");
    }
    world
        .view
        .nodes
        .get_mut(&name("b"))
        .unwrap()
        .streams
        .clear();
    assert_eq!(world.handle(Input::Tick), []);
    assert_eq!(world.source.wake_at(), Some(world.now + LEFT_TO_BETTER));
    assert_eq!(world.tick_after(LEFT_TO_BETTER / 2), []);
    // The better one does not take it.
    let asked = world.tick_after(LEFT_TO_BETTER / 2);
    assert!(matches!(asked[..], [Output::Request(_)]), "{asked:?}");
    assert_eq!(world.source.heeds_better_from(), world.now + PASSED_OVER);
}

#[test]
fn a_better_source_that_sends_nothing_is_not_waited_for() {
    let (mut world, _) = beside(Takeover::Refuse, true, 3, 1);
    world.with_priority("b", 2, false);
    let node = world.view.nodes.get_mut(&name("b")).unwrap();
    node.streams.clear();
    node.standby.get_mut(&mount()).unwrap().best.sends = false;
    let asked = world.handle(Input::Tick);
    assert!(matches!(asked[..], [Output::Request(_)]), "{asked:?}");
}

#[test]
fn a_place_that_the_better_source_has_taken_is_waited_for_anew() {
    let (mut world, _) = beside(Takeover::Refuse, true, 3, 1);
    world.with_priority("b", 2, false);
    let on_air = world.view.nodes[&name("b")].streams.clone();
    let source = |world: &mut World, streams| {
        world.view.nodes.get_mut(&name("b")).unwrap().streams = streams;
        world.handle(Input::Tick)
    };
    assert_eq!(source(&mut world, Default::default()), []);
    assert!(world.source.leaves_place());
    assert_eq!(source(&mut world, on_air), []);
    assert!(!world.source.leaves_place());
    world.now += LEFT_TO_BETTER;
    assert_eq!(source(&mut world, Default::default()), []);
    assert_eq!(world.source.wake_at(), Some(world.now + LEFT_TO_BETTER));
}

#[test]
fn a_source_that_could_not_be_heard_asks_for_no_place_that_another_wants() {
    for fitness in [
        SourceFitness::Idle,
        SourceFitness::Unknown,
        SourceFitness::OtherFormat,
        SourceFitness::Silent,
    ] {
        // It is the best of all, but for what it sends.
        let (mut world, _) = beside(Takeover::Refuse, true, 1, 2);
        world.with_priority("b", 9, false);
        let node = world.view.nodes.get_mut(&name("b")).unwrap();
        node.streams.clear();
        world.fitness = fitness;
        assert_eq!(world.handle(Input::Tick), [], "{fitness:?}");
        assert_eq!(world.tick_after(2 * LEFT_TO_BETTER), [], "{fitness:?}");
        world.fitness = SourceFitness::Fit;
        let asked = world.tick_after(CONFIRM);
        assert!(matches!(asked[..], [Output::Request(_)]), "{asked:?}");
    }
}

#[test]
fn audio_that_is_not_known_takes_no_place_of_a_fallback() {
    for (fitness, fallback_flows, asks) in [
        (SourceFitness::Unknown, true, false),
        (SourceFitness::Unknown, false, true),
        (SourceFitness::OtherFormat, true, true),
        (SourceFitness::Silent, true, true),
    ] {
        let (mut world, _) = beside(Takeover::Refuse, true, 1, 2);
        world.view.nodes.clear();
        (world.fitness, world.fallback_flows) = (fitness, fallback_flows);
        let asked = world.handle(Input::Tick);
        assert_eq!(!asked.is_empty(), asks, "{fitness:?} {fallback_flows}");
    }
}

#[test]
fn a_card_that_could_not_be_heard_outranks_none() {
    let (mut world, _) = beside(Takeover::Refuse, true, 3, 1);
    world.with_priority("b", 1, false);
    let unknown = Standing {
        priority: 9.into(),
        fitness: SourceFitness::Unknown,
    };
    assert!(is_outranked(&mount(), unknown, &world.view));
    let card = world.view.nodes.get_mut(&name("b")).unwrap();
    let card = card.standby.get_mut(&mount()).unwrap();
    card.best.fitness = SourceFitness::OtherFormat;
    assert!(!is_outranked(&mount(), unknown, &world.view));
}

#[test]
fn another_format_lets_the_stream_linger_that_was_heard() {
    let (mut world, _) = beside(Takeover::Refuse, true, 1, 2);
    world.fitness = SourceFitness::OtherFormat;
    // The one on air gives way: its stream is held on, and no card of one that waits has come yet.
    world
        .view
        .nodes
        .get_mut(&name("b"))
        .unwrap()
        .standby
        .clear();
    let streams = &mut world.view.nodes.get_mut(&name("b")).unwrap().streams;
    assert!(!streams.is_empty());
    for card in streams.values_mut() {
        card.origin = Origin::Relay(None);
    }
    assert_eq!(world.handle(Input::Tick), []);
    assert_eq!(world.tick_after(CONFIRM), []);
    let node = world.view.nodes.get_mut(&name("b")).unwrap();
    node.streams.clear();
    let asked = world.tick_after(CONFIRM);
    assert!(matches!(asked[..], [Output::Request(_)]), "{asked:?}");
}
