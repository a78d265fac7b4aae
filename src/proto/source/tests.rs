//! Lives of sources in usual and unusual orders.

use super::*;
use crate::model::node::Generation;
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::gossip::{Origin, StreamCard};

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
        path: mount(),
        password_hash: String::new(),
        name: String::new(),
        description: String::new(),
        genre: String::new(),
        url: String::new(),
        max_listeners: None,
        linger_s: 0,
        takeover,
        standby,
        charset: Default::default(),
        steering: Default::default(),
    }
}

/// A source at the node `a`, and what is around it.
struct World {
    source: Source,
    view: MeshView,
    here: Option<Here>,
    has_mount: bool,
    is_draining: bool,
    minted: u128,
    now: Instant,
}

impl World {
    /// A source that has just logged in, and what is done with it.
    fn begin(takeover: Takeover, standby: bool) -> (Self, Vec<Output>) {
        Self::begin_with(takeover, standby, |_| {})
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
                turn: Turn::Over,
            },
            view: MeshView::empty(name("a")),
            here: None,
            has_mount: true,
            is_draining: false,
            minted: 10,
            now: Instant::now(),
        };
        prepare(&mut world);
        let mut out = Vec::new();
        world.source = Source::begin(&spec, world.around(), &mut out);
        (world, out)
    }

    /// One that has its place and is on air as stream 10.
    fn on_air(standby: bool) -> Self {
        let (mut world, _) = Self::begin(Takeover::Refuse, standby);
        world.hand(Input::Verdict(StreamId(10), Ok(Epoch(1))));
        assert_eq!(
            world.hand(Input::Audio),
            [Output::GoOnAir(StreamId(10), Epoch(1))]
        );
        world
    }

    /// One that waits because the source of `b` has the place.
    fn waiting() -> Self {
        let (mut world, _) = Self::begin_with(Takeover::Refuse, true, |world| world.elsewhere(5));
        world.hand(Input::Verdict(StreamId(10), IN_USE));
        assert_eq!(world.hand(Input::Found(true)), [Output::StandBy]);
        world
    }

    fn around(&self) -> Around<'_> {
        Around {
            view: &self.view,
            here: self.here,
            has_mount: self.has_mount,
            is_draining: self.is_draining,
            fresh: StreamId(self.minted),
            now: self.now,
        }
    }

    fn hand(&mut self, input: Input) -> Vec<Output> {
        self.minted += 1;
        let (mut source, mut out) = (self.source.clone(), Vec::new());
        source.handle(input, self.around(), &mut out);
        self.source = source;
        out
    }

    fn tick_after(&mut self, by: Duration) -> Vec<Output> {
        self.now += by;
        self.hand(Input::Tick)
    }

    /// Time goes by until something was to be done.
    fn wake(&mut self) -> Vec<Output> {
        self.now = self.source.wake_at().expect("it waits for a time");
        self.hand(Input::Tick)
    }

    /// A source at the node `b` is on air.
    fn elsewhere(&mut self, stream_id: u128) {
        let mut node = MeshNode::unheard(Generation(1), self.now);
        node.state = NodeState::Alive;
        let card = StreamCard {
            stream_id: StreamId(stream_id),
            origin: Origin::Source,
            content_type: String::new(),
            bitrate_bps: 0,
            offset: 0,
            started_unix_ms: 0,
            accept_epoch: Epoch(0),
            listeners: 0,
            title: String::new(),
            listener_peak: 0,
        };
        node.streams.insert(mount(), card);
        self.view.nodes.insert(name("b"), node);
    }

    fn look(&self, stream_id: u128) -> Output {
        let other = Other::At(name("b"), StreamId(stream_id));
        Output::Look(other, self.now + Duration::from_millis(1_300))
    }
}

#[test]
fn a_source_with_a_free_mount_is_on_air_with_its_first_audio() {
    let (mut world, out) = World::begin(Takeover::Refuse, false);
    assert_eq!(out, [Output::Request(StreamId(10))]);
    assert_eq!(world.hand(Input::Audio), [], "nobody has asked for it yet");
    assert_eq!(world.hand(Input::Found(true)), [], "nobody was looked for");
    let out = world.hand(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    assert_eq!(out, [Output::Open]);
    let out = world.hand(Input::Audio);
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
    assert_eq!(world.source.stage(), Stage::OnAir(StreamId(10)));
    for input in [
        Input::Audio,
        Input::Tick,
        Input::Found(false),
        Input::Verdict(StreamId(10), IN_USE),
    ] {
        assert_eq!(world.hand(input.clone()), [], "{input:?}");
    }
    let out = world.hand(Input::Ended(EndReason::SourceLeft));
    let left = EndReason::SourceLeft;
    assert_eq!(
        out,
        [
            Output::LeaveAir(left),
            Output::GiveUp(StreamId(10)),
            Output::Close(left)
        ]
    );
    for input in [
        Input::Ended(left),
        Input::GiveWay,
        Input::Stops,
        Input::Tick,
    ] {
        assert_eq!(world.hand(input.clone()), [], "{input:?}");
    }
}

#[test]
fn a_source_is_refused_once_the_other_was_found() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    let out = world.hand(Input::Verdict(StreamId(10), IN_USE));
    assert_eq!(out, [world.look(5)]);
    let out = world.hand(Input::Found(true));
    assert_eq!(out, [Output::Refuse(Refused::InUse)]);
    assert_eq!(world.hand(Input::Found(true)), [], "two answers");
}

#[test]
fn the_answer_is_held_back_while_the_other_is_not_found() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    let (began, mut asked) = (world.now, 1);
    let refused = loop {
        let out = world.hand(Input::Verdict(StreamId(10), IN_USE));
        if out != [world.look(5)] {
            break out;
        }
        assert_eq!(world.hand(Input::Found(false)), []);
        assert_eq!(world.tick_after(SOON), [], "not at once");
        assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
        asked += 1;
    };
    assert_eq!(refused, [Output::Refuse(Refused::InUse)]);
    assert!(world.now - began >= Duration::from_secs(2), "{asked}");
}

#[test]
fn a_silent_node_is_not_waited_for_and_its_late_answer_is_nothing() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    world.hand(Input::Verdict(StreamId(10), IN_USE));
    assert_eq!(world.wake(), [], "it says nothing");
    assert_eq!(world.hand(Input::Found(true)), [], "too late");
    assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
    let out = world.hand(Input::Verdict(StreamId(10), Ok(Epoch(4))));
    assert_eq!(out, [Output::Open], "the node is dead now");
}

#[test]
fn a_source_that_this_node_hears_keeps_its_place() {
    let heard = |world: &mut World| {
        world.here = Some(Here {
            stream_id: StreamId(5),
            is_source: false,
            fed_at: world.now,
            is_finished: false,
        });
    };
    let (mut world, out) = World::begin_with(Takeover::Refuse, false, heard);
    assert_eq!(out, [], "nobody is asked");
    world.here = None;
    assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
    let (_, out) = World::begin_with(Takeover::Takeover, false, heard);
    assert_eq!(out, [Output::Open]);
}

#[test]
fn who_takes_over_asks_with_its_audio_and_looks_first() {
    let (mut world, out) = World::begin_with(Takeover::Takeover, false, |it| it.elsewhere(5));
    assert_eq!(out, [Output::Open]);
    assert_eq!(world.source.wake_at(), None, "it has no place to renew");
    let out = world.hand(Input::Audio);
    assert_eq!(out, [world.look(5)]);
    assert_eq!(world.hand(Input::Found(false)), []);
    let out = world.wake();
    assert_eq!(
        out,
        [world.look(5)],
        "its node may be known to be dead soon"
    );
    let out = world.hand(Input::Found(true));
    assert_eq!(out, [Output::Request(StreamId(10))]);
    let out = world.hand(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
}

#[test]
fn one_whose_takeover_is_denied_waits_or_is_closed() {
    for (standby, last) in [
        (true, Output::StandBy),
        (false, Output::Close(EndReason::Replaced)),
    ] {
        let (mut world, _) = World::begin(Takeover::Takeover, standby);
        let out = world.hand(Input::Audio);
        assert_eq!(out, [Output::Request(StreamId(10))]);
        world.elsewhere(5);
        world.hand(Input::Verdict(StreamId(10), IN_USE));
        assert_eq!(world.hand(Input::Found(true)), [last]);
    }
}

#[test]
fn a_silent_source_renews_its_place_and_loses_it_once() {
    let (mut world, _) = World::begin(Takeover::Refuse, true);
    world.hand(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    for epoch in [3, 4] {
        assert_eq!(world.wake(), [Output::Request(StreamId(10))]);
        assert_eq!(world.tick_after(SOON), [], "once");
        let other = Input::Verdict(StreamId(9), IN_USE);
        assert_eq!(world.hand(other), [], "another life's verdict");
        let renewed = Input::Verdict(StreamId(10), Ok(Epoch(epoch)));
        assert_eq!(world.hand(renewed), []);
        let second = Input::Verdict(StreamId(10), IN_USE);
        assert_eq!(world.hand(second), [], "nothing was asked");
    }
    world.wake();
    let out = world.hand(Input::Verdict(StreamId(10), IN_USE));
    let lost = Output::Close(EndReason::Replaced);
    assert_eq!(out, [Output::GiveUp(StreamId(10)), lost]);
}

#[test]
fn one_that_renews_its_place_may_begin_meanwhile() {
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    world.hand(Input::Verdict(StreamId(10), Ok(Epoch(3))));
    world.wake();
    let out = world.hand(Input::Audio);
    assert_eq!(out, [Output::GoOnAir(StreamId(10), Epoch(3))]);
    let late = world.hand(Input::Verdict(StreamId(10), IN_USE));
    assert_eq!(late, [], "whoever beats it says so");
}

#[test]
fn a_source_that_gives_way_waits_only_where_it_may() {
    let replaced = EndReason::Replaced;
    let mut world = World::on_air(true);
    world.elsewhere(5);
    let (off, free) = (Output::LeaveAir(replaced), Output::GiveUp(StreamId(10)));
    let out = world.hand(Input::GiveWay);
    assert_eq!(out, [off.clone(), free.clone(), Output::StandBy]);
    assert_eq!(world.hand(Input::GiveWay), [], "it has");
    let away = [Output::Part, off, free, Output::Close(replaced)];
    let mut world = World::on_air(false);
    assert_eq!(world.hand(Input::GiveWay), away);
    let mut world = World::on_air(true);
    world.is_draining = true;
    assert_eq!(world.hand(Input::Tick), [], "it is heard to its end");
    assert_eq!(world.hand(Input::GiveWay), away, "it can wait elsewhere");
}

#[test]
fn one_that_waits_begins_anew_when_the_mount_is_free() {
    let mut world = World::waiting();
    assert_eq!(world.hand(Input::GiveWay), []);
    assert_eq!(world.hand(Input::Audio), []);
    assert_eq!(world.tick_after(SOON), [], "the other is still there");
    world.view.nodes.clear();
    let out = world.tick_after(SOON);
    let fresh = StreamId(world.minted);
    assert_eq!(out, [Output::Request(fresh)]);
    assert_eq!(world.tick_after(SOON), [], "it has asked");
    let out = world.hand(Input::Verdict(StreamId(10), Ok(Epoch(2))));
    assert_eq!(out, [], "for its first life");
    assert_eq!(world.hand(Input::Verdict(fresh, IN_USE)), []);
    assert_eq!(world.hand(Input::Verdict(fresh, Ok(Epoch(2)))), [], "two");
    assert_eq!(world.tick_after(SOON), [], "somebody was quicker");
    let out = world.wake();
    let fresh = StreamId(world.minted);
    assert_eq!(out, [Output::Request(fresh)]);
    let out = world.hand(Input::Verdict(fresh, Ok(Epoch(5))));
    assert_eq!(out, [Output::Open]);
    let out = world.hand(Input::Audio);
    assert_eq!(out, [Output::GoOnAir(fresh, Epoch(5))]);
}

#[test]
fn whoever_leaves_while_it_waits_leaves_no_place_behind() {
    let left = EndReason::SourceLeft;
    let mut world = World::waiting();
    assert_eq!(world.hand(Input::Ended(left)), [Output::Close(left)]);
    let mut world = World::waiting();
    world.view.nodes.clear();
    world.tick_after(SOON);
    let asked = Output::GiveUp(StreamId(world.minted));
    let out = world.hand(Input::Ended(left));
    assert_eq!(out, [asked, Output::Close(left)]);
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    let out = world.hand(Input::Ended(left));
    assert_eq!(out, [Output::GiveUp(StreamId(10)), Output::Close(left)]);
    let late = world.hand(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    assert_eq!(late, []);
}

#[test]
fn a_draining_node_keeps_nobody_that_is_not_heard() {
    let stops = || Output::Close(EndReason::NodeStops);
    let mut world = World::waiting();
    world.is_draining = true;
    assert_eq!(world.hand(Input::Tick), [stops()]);
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    world.hand(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    world.is_draining = true;
    let out = world.hand(Input::Tick);
    assert_eq!(out, [Output::GiveUp(StreamId(10)), stops()]);
    let (mut world, _) = World::begin(Takeover::Refuse, false);
    world.is_draining = true;
    let out = world.hand(Input::Verdict(StreamId(10), Ok(Epoch(1))));
    let refused = Output::Refuse(Refused::Stopping);
    assert_eq!(out, [Output::GiveUp(StreamId(10)), refused]);
}

#[test]
fn a_deleted_mount_ends_every_life_on_it() {
    let deleted = EndReason::MountDeleted;
    let mut world = World::on_air(true);
    world.has_mount = false;
    let free = Output::GiveUp(StreamId(10));
    let off = Output::LeaveAir(deleted);
    let out = world.hand(Input::Tick);
    assert_eq!(out, [off, free, Output::Close(deleted)]);
    let mut world = World::waiting();
    world.has_mount = false;
    assert_eq!(world.hand(Input::Tick), [Output::Close(deleted)]);
    let (mut world, _) = World::begin(Takeover::Refuse, true);
    let out = world.hand(Input::Verdict(StreamId(10), Err(Denial::NoSuchMount)));
    assert_eq!(out, [Output::Refuse(Refused::NoSuchMount)]);
}

#[test]
fn a_node_that_stops_parts_with_everybody() {
    let stops = EndReason::NodeStops;
    let mut world = World::on_air(true);
    let free = Output::GiveUp(StreamId(10));
    let off = Output::LeaveAir(stops);
    let out = world.hand(Input::Stops);
    assert_eq!(out, [Output::Part, off, free.clone(), Output::Close(stops)]);
    let (mut world, _) = World::begin(Takeover::Refuse, true);
    let refused = Output::Refuse(Refused::Stopping);
    assert_eq!(world.hand(Input::Stops), [free, refused]);
    let mut world = World::waiting();
    assert_eq!(world.hand(Input::Stops), [Output::Close(stops)]);
}

#[test]
fn of_two_that_meet_after_a_partition_only_the_beaten_gives_way() {
    let (mut world, _) = World::begin_with(Takeover::Refuse, false, |world| world.elsewhere(5));
    let on_air = vec![(mount(), StreamId(10))];
    let mut rivals = Rivals::default();
    let early = beaten(&mut rivals, on_air.clone(), &world.view, world.now);
    assert_eq!(early, []);
    world.now += CONFIRM;
    let lost = beaten(&mut rivals, on_air.clone(), &world.view, world.now);
    assert_eq!(lost, on_air);
    world.view.me = name("b");
    let won = beaten(&mut rivals, on_air, &world.view, world.now);
    assert_eq!(won, []);
}
