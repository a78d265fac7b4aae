//! A source with its events in usual and unusual orders.

mod standby;

use super::asking::HOLD_BACK;
use super::*;
use crate::model::node::Generation;
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::gossip::{StandbyCard, StreamAbout, StreamCard, WaitingCard};

const SOON: Duration = Duration::from_millis(10);
const IN_USE: Result<Epoch, Denial> = Err(Denial::MountInUse);

fn name(node: &str) -> NodeName {
    NodeName::try_from(node).unwrap()
}

fn mount() -> MountName {
    MountName::try_from("/a").unwrap()
}

fn spec(takeover: Takeover, standby: bool) -> MountSpec {
    MountSpec {
        linger_s: 0,
        takeover,
        standby,
        ..MountSpec::new(mount())
    }
}

/// A source at the node `a`, and its context.
struct World {
    source: Source,
    view: MeshView,
    local: Option<LocalStream>,
    has_mount: bool,
    is_draining: bool,
    fitness: SourceFitness,
    fallback_flows: bool,
    minted: u128,
    now: Instant,
}

impl World {
    /// A source that has just logged in, and what is done with it.
    fn begin(takeover: Takeover, standby: bool) -> (Self, Vec<Output>) {
        Self::begin_with(takeover, standby, |_| {})
    }

    /// Another node's source of the mount, on air or on standby there, with its order.
    fn with_priority(&mut self, node: &str, priority: u8, on_air: bool) {
        let node = self.view.nodes.get_mut(&name(node)).unwrap();
        let priority = priority.into();
        if on_air {
            let about = StreamAbout {
                priority,
                ..StreamAbout::default()
            };
            node.about.insert(mount(), about);
        } else {
            let sends = true;
            node.standby.insert(
                mount(),
                StandbyCard {
                    best: WaitingCard {
                        priority,
                        sends,
                        fitness: SourceFitness::Fit,
                    },
                    ..StandbyCard::default()
                },
            );
        }
    }

    fn begin_with(
        takeover: Takeover,
        standby: bool,
        prepare: impl Fn(&mut Self),
    ) -> (Self, Vec<Output>) {
        let spec = spec(takeover, standby);
        let mut world = Self {
            source: Source {
                mount: mount(),
                takeover,
                may_wait: standby,
                priority: SourcePriority::FIRST,
                heeds_better_from: Instant::now(),
                state: SourceState::Over,
            },
            view: MeshView::empty(name("a")),
            local: None,
            has_mount: true,
            is_draining: false,
            fitness: SourceFitness::Fit,
            fallback_flows: false,
            minted: 10,
            now: Instant::now(),
        };
        prepare(&mut world);
        let mut out = Vec::new();
        world.source = Source::begin(&spec, world.source.priority, world.context(), &mut out);
        (world, out)
    }

    /// A source that has its place and is on air as stream 10.
    fn on_air(standby: bool) -> Self {
        let (mut world, _) = Self::begin(Takeover::Refuse, standby);
        world.handle(Input::Verdict(StreamId(10), Ok(Epoch(1))));
        assert_eq!(
            world.handle(Input::Audio),
            [Output::GoOnAir(StreamId(10), Epoch(1))]
        );
        world
    }

    /// A source that waits because the source of `b` has the place.
    fn waiting() -> Self {
        let (mut world, _) = Self::begin_with(Takeover::Refuse, true, |world| world.elsewhere(5));
        world.handle(Input::Verdict(StreamId(10), IN_USE));
        assert_eq!(world.handle(Input::Presence(true)), [Output::StandBy]);
        world
    }

    fn context(&self) -> SourceContext<'_> {
        SourceContext {
            view: &self.view,
            local: self.local,
            has_mount: self.has_mount,
            is_draining: self.is_draining,
            fitness: self.fitness,
            fallback_flows: self.fallback_flows,
            new_stream_id: StreamId(self.minted),
            now: self.now,
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.minted += 1;
        let (mut source, mut out) = (self.source.clone(), Vec::new());
        source.handle(input, self.context(), &mut out);
        self.source = source;
        out
    }

    fn tick_after(&mut self, by: Duration) -> Vec<Output> {
        self.now += by;
        self.handle(Input::Tick)
    }

    /// Time passes until the next tick is due.
    fn wake(&mut self) -> Vec<Output> {
        self.now = self.source.wake_at().expect("it waits for a time");
        self.handle(Input::Tick)
    }

    /// A source at the node `b` is on air.
    fn elsewhere(&mut self, stream_id: u128) {
        let mut node = MeshNode::unheard(Generation(1), self.now);
        node.state = NodeState::Alive;
        let card = StreamCard {
            accept_epoch: Epoch(0),
            ..StreamCard::sample(StreamId(stream_id))
        };
        node.streams.insert(mount(), card);
        self.view.nodes.insert(name("b"), node);
    }

    fn look(&self, stream_id: u128) -> Output {
        let other = OtherSource::Remote(name("b"), StreamId(stream_id));
        Output::CheckPresence(other, self.now + Duration::from_millis(1_300))
    }
}

#[test]
fn a_free_mounts_source_is_live_with_its_first_audio() {
    let (mut world, out) = World::begin(Takeover::Refuse, false);
    assert_eq!(out, [Output::Request(StreamId(10))]);
    assert_eq!(world.handle(Input::Audio), [], "it is not accepted yet");
    assert_eq!(
        world.handle(Input::Presence(true)),
        [],
        "nothing was checked"
    );
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    assert_eq!(out, [Output::Accept]);
    let out = world.handle(Input::Audio);
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
    assert_eq!(world.source.stage(), SourceStage::OnAir(StreamId(10)));
    for input in [
        Input::Audio,
        Input::Tick,
        Input::Presence(false),
        Input::Verdict(StreamId(10), IN_USE),
    ] {
        assert_eq!(world.handle(input.clone()), [], "{input:?}");
    }
    let out = world.handle(Input::Ended(EndReason::SourceLeft));
    let left = EndReason::SourceLeft;
    assert_eq!(
        out,
        [
            Output::LeaveAir(left),
            Output::Release(StreamId(10)),
            Output::Close(left)
        ]
    );
    for input in [
        Input::Ended(left),
        Input::GiveWay,
        Input::NodeStops,
        Input::Tick,
    ] {
        assert_eq!(world.handle(input.clone()), [], "{input:?}");
    }
}

#[test]
fn a_source_is_refused_once_the_other_answers() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    let out = world.handle(Input::Verdict(StreamId(10), IN_USE));
    assert_eq!(out, [world.look(5)]);
    let out = world.handle(Input::Presence(true));
    assert_eq!(out, [Output::Refuse(RefusalReason::InUse)]);
    assert_eq!(world.handle(Input::Presence(true)), [], "two answers");
}

#[test]
fn the_answer_waits_while_the_other_source_is_silent() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    let (began, mut asked) = (world.now, 1);
    let refused = loop {
        let out = world.handle(Input::Verdict(StreamId(10), IN_USE));
        if out != [world.look(5)] {
            break out;
        }
        assert_eq!(world.handle(Input::Presence(false)), []);
        assert_eq!(world.tick_after(SOON), [], "not at once");
        assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
        asked += 1;
    };
    assert_eq!(refused, [Output::Refuse(RefusalReason::InUse)]);
    assert!(world.now - began >= Duration::from_secs(2), "{asked}");
}

#[test]
fn a_silent_nodes_late_answer_is_ignored() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    world.handle(Input::Verdict(StreamId(10), IN_USE));
    assert_eq!(world.wake(), [], "it says nothing");
    assert_eq!(world.handle(Input::Presence(true)), [], "too late");
    assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(4))));
    assert_eq!(out, [Output::Accept], "the node is dead now");
}

#[test]
fn a_source_that_this_node_receives_keeps_its_place() {
    let heard = |world: &mut World| {
        world.local = Some(LocalStream {
            stream_id: StreamId(5),
            is_source: false,
            fed_at: world.now,
            is_finished: false,
        });
    };
    let (mut world, out) = World::begin_with(Takeover::Refuse, false, heard);
    assert_eq!(out, [], "no place is asked for");
    world.local = None;
    assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
    let (_, out) = World::begin_with(Takeover::Takeover, false, heard);
    assert_eq!(out, [Output::Accept]);
}

#[test]
fn a_takeover_asks_with_the_first_audio_and_checks_first() {
    let (mut world, out) = World::begin_with(Takeover::Takeover, false, |it| it.elsewhere(5));
    assert_eq!(out, [Output::Accept]);
    assert_eq!(world.source.wake_at(), None, "it has no place to renew");
    let out = world.handle(Input::Audio);
    assert_eq!(out, [world.look(5)]);
    assert_eq!(world.handle(Input::Presence(false)), []);
    let out = world.wake();
    assert_eq!(
        out,
        [world.look(5)],
        "its node may be known to be dead soon"
    );
    let out = world.handle(Input::Presence(true));
    assert_eq!(out, [Output::Request(StreamId(10))]);
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
}

#[test]
fn a_source_whose_takeover_is_denied_waits_or_is_closed() {
    for (standby, last) in [
        (true, Output::StandBy),
        (false, Output::Close(EndReason::Replaced)),
    ] {
        let (mut world, _) = World::begin(Takeover::Takeover, standby);
        let out = world.handle(Input::Audio);
        assert_eq!(out, [Output::Request(StreamId(10))]);
        world.elsewhere(5);
        world.handle(Input::Verdict(StreamId(10), IN_USE));
        assert_eq!(world.handle(Input::Presence(true)), [], "not yet");
        assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
        world.now += HOLD_BACK;
        let out = world.handle(Input::Verdict(StreamId(10), IN_USE));
        assert_eq!(out, [last]);
    }
}

#[test]
fn a_takeover_right_behind_another_source_is_asked_for_again() {
    let (mut world, _) = World::begin(Takeover::Takeover, false);
    assert_eq!(
        world.handle(Input::Audio),
        [Output::Request(StreamId(10))],
        "gossip shows no other source yet"
    );
    world.local = Some(LocalStream {
        stream_id: StreamId(5),
        is_source: true,
        is_finished: false,
        fed_at: world.now,
    });
    let out = world.handle(Input::Verdict(StreamId(10), IN_USE));
    assert!(matches!(out[..], [Output::CheckPresence(..)]), "{out:?}");
    assert_eq!(world.handle(Input::Presence(true)), []);
    assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
}

#[test]
fn a_silent_source_renews_its_place_and_loses_it_once() {
    let (mut world, _) = World::begin(Takeover::Refuse, true);
    world.handle(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    for epoch in [3, 4] {
        assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
        assert_eq!(world.tick_after(SOON), [], "once");
        let other = Input::Verdict(StreamId(9), IN_USE);
        assert_eq!(world.handle(other), [], "the verdict for another stream");
        let renewed = Input::Verdict(StreamId(10), Ok(Epoch(epoch)));
        assert_eq!(world.handle(renewed), []);
        let second = Input::Verdict(StreamId(10), IN_USE);
        assert_eq!(world.handle(second), [], "nothing was asked");
    }
    world.wake();
    let out = world.handle(Input::Verdict(StreamId(10), IN_USE));
    let lost = Output::Close(EndReason::Replaced);
    assert_eq!(out, [Output::Release(StreamId(10)), lost]);
}

#[test]
fn a_source_may_begin_while_it_renews_its_place() {
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    world.handle(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    world.wake();
    let out = world.handle(Input::Audio);
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
    let late = world.handle(Input::Verdict(StreamId(10), IN_USE));
    assert_eq!(late, [], "an order to give way would follow");
}

#[test]
fn a_draining_node_keeps_only_sources_on_air() {
    let stops = || Output::Close(EndReason::NodeStops);
    let mut world = World::waiting();
    world.is_draining = true;
    assert_eq!(world.handle(Input::Tick), [stops()]);
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    world.handle(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    world.is_draining = true;
    let out = world.handle(Input::Tick);
    assert_eq!(out, [Output::Release(StreamId(10)), stops()]);
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    world.is_draining = true;
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    let refused = Output::Refuse(RefusalReason::Stopping);
    assert_eq!(out, [Output::Release(StreamId(10)), refused]);
}

#[test]
fn a_deleted_mount_ends_every_life_on_it() {
    let deleted = EndReason::MountDeleted;
    let mut world = World::on_air(true);
    world.has_mount = false;
    let free = Output::Release(StreamId(10));
    let off = Output::LeaveAir(deleted);
    let out = world.handle(Input::Tick);
    assert_eq!(out, [off, free, Output::Close(deleted)]);
    let mut world = World::waiting();
    world.has_mount = false;
    assert_eq!(world.handle(Input::Tick), [Output::Close(deleted)]);
    let (mut world, _) = World::begin(Takeover::Refuse, true);
    let out = world.handle(Input::Verdict(StreamId(10), Err(Denial::NoSuchMount)));
    assert_eq!(out, [Output::Refuse(RefusalReason::NoSuchMount)]);
}

#[test]
fn a_node_that_stops_ends_every_source() {
    let stops = EndReason::NodeStops;
    let mut world = World::on_air(true);
    let free = Output::Release(StreamId(10));
    let off = Output::LeaveAir(stops);
    let out = world.handle(Input::NodeStops);
    assert_eq!(
        out,
        [
            Output::FinishReading,
            off,
            free.clone(),
            Output::Close(stops)
        ]
    );
    let (mut world, _) = World::begin(Takeover::Refuse, true);
    let refused = Output::Refuse(RefusalReason::Stopping);
    assert_eq!(world.handle(Input::NodeStops), [free, refused]);
    let mut world = World::waiting();
    assert_eq!(world.handle(Input::NodeStops), [Output::Close(stops)]);
}

#[test]
fn after_a_partition_only_the_later_source_gives_way() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    let on_air = vec![(mount(), StreamId(10))];
    let mut rivals = Rivals::default();
    let early = superseded(&mut rivals, on_air.clone(), &world.view, world.now);
    assert_eq!(early, []);
    world.now += CONFIRM;
    let lost = superseded(&mut rivals, on_air.clone(), &world.view, world.now);
    assert_eq!(lost, on_air);
    world.view.me = name("b");
    let won = superseded(&mut rivals, on_air, &world.view, world.now);
    assert_eq!(won, []);
}

#[test]
fn an_outside_relay_is_heard_until_an_encoder_sends() {
    let relayed = |world: &mut World| {
        world.elsewhere(5);
        let node = world.view.nodes.get_mut(&name("b")).unwrap();
        node.yielding.insert(mount(), StreamId(5));
    };
    let (mut world, out) = World::begin_with(Takeover::Refuse, false, relayed);
    assert_eq!(out, [Output::Accept], "nothing is asked before its audio");
    let asked = world.handle(Input::Audio);
    assert_eq!(asked, [Output::Request(StreamId(10))]);
    let out = world.handle(Input::Verdict(StreamId(10), IN_USE));
    let other = OtherSource::Remote(name("b"), StreamId(5));
    assert!(matches!(&out[..], [Output::CheckPresence(it, _)] if *it == other));
    // The question has made it yield.
    assert_eq!(world.handle(Input::Presence(false)), []);
    world.view.nodes.clear();
    world.now = world.source.wake_at().unwrap();
    let asked = world.handle(Input::Tick);
    assert_eq!(asked, [Output::Request(StreamId(10))]);
    let out = world.handle(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(1))]);
}
