//! A pull by its inputs, in usual and unusual orders.

use super::*;
use crate::logic::relay::follow::{ANSWER_TIMEOUT, FIND_TIMEOUT, STALL};
use crate::model::node::Generation;
use crate::model::seat::Epoch;
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::gossip::{Origin, StreamCard};

const A: StreamId = StreamId(1);
const B: StreamId = StreamId(2);

/// A pull, what it sees, and a driver that keeps the ring.
struct Bench {
    pull: Pull,
    ours: Option<Ours>,
    mesh: MeshView,
    linger: Option<Duration>,
    now: Instant,
}

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn mount() -> MountName {
    MountName::try_from("/a.mp3").unwrap()
}

fn card(stream_id: StreamId, origin: Origin, offset: u64) -> StreamCard {
    StreamCard {
        stream_id,
        origin,
        content_type: "audio/mpeg".into(),
        bitrate_bps: 0,
        offset,
        started_unix_ms: stream_id.0 as u64,
        accept_epoch: Epoch(1),
        listeners: 0,
        title: String::new(),
        listener_peak: 0,
    }
}

fn precedence(stream_id: StreamId) -> Precedence {
    crate::proto::view::precedence(&card(stream_id, Origin::Source, 0))
}

fn opened(stream_id: StreamId, offset: u64) -> Answer {
    let head = StreamHead {
        content_type: "audio/mpeg".into(),
        icy: Vec::new(),
        user_agent: String::new(),
        started_unix_ms: 0,
        accept_epoch: Epoch(1),
    };
    Answer::Opened(Opened {
        stream_id,
        head,
        offset,
    })
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            pull: Pull::new(mount(), now),
            ours: None,
            mesh: MeshView::empty(name("me")),
            linger: Some(Duration::from_secs(60)),
            now,
        }
    }

    /// A node says what it holds.
    fn says(&mut self, node: &str, stream_id: StreamId, origin: Origin, offset: u64) {
        let mut speaker = MeshNode::unheard(Generation(1), self.now);
        speaker.state = NodeState::Alive;
        speaker
            .streams
            .insert(mount(), card(stream_id, origin, offset));
        self.mesh.nodes.insert(name(node), speaker);
    }

    /// This node holds a stream.
    fn hold(&mut self, stream_id: StreamId, next_offset: u64) {
        self.ours = Some(Ours {
            stream: precedence(stream_id),
            next_offset,
            finished: None,
            last_fed: self.now,
            is_held: true,
            idle_since: None,
            left: BTreeMap::new(),
        });
    }

    fn ours(&mut self) -> &mut Ours {
        self.ours.as_mut().unwrap()
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        let seen = Seen {
            mesh: &self.mesh,
            linger: self.linger,
            luck: 1.0,
            now: self.now,
        };
        let mut out = Vec::new();
        self.pull.handle(input, self.ours.clone(), seen, &mut out);
        out
    }

    fn pass(&mut self, time: Duration) -> Vec<Output> {
        self.now += time;
        self.handle(Input::Tick)
    }

    fn hear(&mut self, answer: Answer) -> Vec<Output> {
        let id = self.pull.asked().expect("somebody is asked").id;
        self.handle(Input::Heard(id, answer))
    }
}

/// Whom the outputs ask, and for what.
fn asked(out: &[Output]) -> Vec<(&str, Option<(StreamId, u64)>)> {
    let asks = out.iter().filter_map(|output| match output {
        Output::Ask(ask) => Some((ask.upstream.as_str(), ask.resume)),
        _ => None,
    });
    asks.collect()
}

#[test]
fn a_pull_without_a_stream_takes_what_is_on_air() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    let out = bench.handle(Input::Tick);
    assert_eq!(asked(&out), [("a", None)]);
    let out = bench.hear(opened(A, 40));
    assert!(matches!(&out[..], [Output::Open(from, it)] if *from == name("a") && it.offset == 40));
    assert_eq!(bench.pull.upstream(), Some(&name("a")));
}

#[test]
fn a_pull_goes_on_from_its_next_byte_when_its_upstream_stalls() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.says("b", A, Origin::Relay(Some(name("a"))), 100);
    bench.hold(A, 70);
    assert_eq!(asked(&bench.handle(Input::Tick)), [("a", Some((A, 70)))]);
    let out = bench.hear(opened(A, 70));
    assert!(matches!(&out[..], [Output::Continue(..)]));
    bench.ours().next_offset = 90;
    assert_eq!(bench.hear(Answer::Took), []);
    assert_eq!(bench.pass(STALL - Duration::from_millis(1)), []);
    let out = bench.pass(Duration::from_millis(1));
    assert_eq!(out, [Output::HangUp(Some(Silence::Stalled))]);
    let rest = bench.pull.wake_at().unwrap() - bench.now;
    assert_eq!(asked(&bench.pass(rest)), [("b", Some((A, 90)))]);
}

#[test]
fn a_late_answer_to_an_earlier_question_is_not_heard() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.says("b", A, Origin::Relay(Some(name("a"))), 100);
    bench.hold(A, 70);
    bench.handle(Input::Tick);
    let first = bench.pull.asked().unwrap().id;
    let out = bench.pass(ANSWER_TIMEOUT);
    assert_eq!(out[0], Output::HangUp(Some(Silence::Unanswered)));
    assert_eq!(asked(&out), [("b", Some((A, 70)))]);
    for late in [opened(A, 70), Answer::Took, Answer::Ended, Answer::Lost] {
        assert_eq!(bench.handle(Input::Heard(first, late)), []);
    }
    assert_eq!(bench.pull.upstream(), None, "b has not answered yet");
    bench.hear(opened(A, 70));
    assert_eq!(bench.handle(Input::Heard(first, Answer::Gap)), []);
    assert_eq!(bench.pull.upstream(), Some(&name("b")));
}

#[test]
fn an_end_that_is_told_twice_is_taken_once() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.hold(A, 100);
    bench.handle(Input::Tick);
    let id = bench.pull.asked().unwrap().id;
    bench.hear(opened(A, 100));
    bench.ours().finished = Some(EndReason::SourceLeft);
    let ended = Input::Heard(id, Answer::Ended);
    assert_eq!(bench.handle(ended.clone()), [Output::HangUp(None)]);
    assert_eq!(bench.handle(ended), []);
    let over = bench.pass(bench.linger.unwrap() + Duration::from_millis(1));
    assert_eq!(over, [Output::Over(EndReason::SourceLeft)]);
    assert_eq!(bench.pull.wake_at(), None);
    assert_eq!(bench.handle(Input::ViewChanged), []);
}

#[test]
fn the_next_stream_is_asked_for_from_its_first_byte_then_from_anywhere() {
    let mut bench = Bench::new();
    bench.hold(A, 100);
    bench.ours().finished = Some(EndReason::SourceLeft);
    assert_eq!(bench.handle(Input::Tick), []);
    bench.says("b", B, Origin::Source, 9_000);
    let out = bench.handle(Input::ViewChanged);
    assert_eq!(asked(&out), [("b", Some((B, 0)))]);
    let out = bench.hear(Answer::Denied(Denial::Overrun));
    assert_eq!(asked(&out), [("b", None)]);
    let out = bench.hear(opened(B, 5_000));
    assert!(matches!(&out[..], [Output::Open(_, it)] if it.offset == 5_000));
}

#[test]
fn a_stream_that_was_left_is_never_heard_a_second_time() {
    let mut bench = Bench::new();
    bench.hold(B, 100);
    bench.ours().left = BTreeMap::from([(A, 70)]);
    bench.says("a", A, Origin::Source, 200);
    let out = bench.handle(Input::Tick);
    assert_eq!(asked(&out), [("a", Some((A, 70)))], "it has precedence");
    bench.hear(Answer::Denied(Denial::NotHere));
    assert_eq!(bench.hear(opened(A, 69))[0], Output::HangUp(None));
    assert_eq!(bench.pull.upstream(), None);
}

#[test]
fn another_stream_than_the_wanted_one_is_left_alone() {
    let mut bench = Bench::new();
    bench.hold(A, 100);
    bench.ours().finished = Some(EndReason::SourceLeft);
    bench.says("b", B, Origin::Source, 10);
    bench.handle(Input::Tick);
    let out = bench.hear(opened(StreamId(3), 0));
    assert_eq!(out, [Output::HangUp(None)]);
}

#[test]
fn what_nobody_holds_any_more_is_skipped_only_when_all_were_asked() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 9_000);
    bench.says("b", A, Origin::Relay(Some(name("a"))), 9_000);
    bench.says("c", A, Origin::Relay(Some(name("a"))), 100);
    bench.hold(A, 100);
    let overrun = || Answer::Denied(Denial::Overrun);
    assert_eq!(asked(&bench.handle(Input::Tick)), [("a", Some((A, 100)))]);
    assert_eq!(asked(&bench.hear(overrun())), [("b", Some((A, 100)))]);
    let out = bench.hear(overrun());
    assert_eq!(asked(&out), [("a", None)], "c has no more than we");
    assert_eq!(bench.pull.asked().unwrap().wanted, Wanted::OnAir);
    let out = bench.hear(opened(A, 4_000));
    assert!(matches!(&out[..], [Output::Open(..)]), "not into our ring");
}

#[test]
fn a_gap_at_the_first_byte_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.hold(A, 70);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 70));
    assert_eq!(bench.hear(Answer::Gap), [Output::HangUp(None)]);
    let rest = FIRST_WAIT;
    // The only one that holds it is in peace for longer than the pull rests.
    assert_eq!(bench.pass(rest), []);
    let mut out = Vec::new();
    while out.is_empty() {
        let wake_at = bench.pull.wake_at().unwrap();
        out = bench.pass(wake_at - bench.now);
    }
    assert_eq!(asked(&out), [("a", Some((A, 70)))]);
}

#[test]
fn a_view_that_changes_in_mid_ask_begins_the_next_round_at_once() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.handle(Input::Tick);
    bench.says("b", A, Origin::Relay(Some(name("a"))), 100);
    assert_eq!(bench.handle(Input::ViewChanged), [], "a is asked still");
    let out = bench.hear(Answer::Denied(Denial::NotHere));
    assert_eq!(asked(&out), [("b", None)], "without any rest");
    let out = bench.hear(Answer::Lost);
    assert_eq!(out, [Output::HangUp(None)], "the news are old");
}

#[test]
fn a_ring_that_cannot_be_opened_is_a_failure_of_that_upstream() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.says("b", A, Origin::Relay(Some(name("a"))), 100);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 0));
    let out = bench.hear(Answer::Lost);
    assert_eq!(asked(&out), [("b", None)]);
}

#[test]
fn of_two_sources_that_meet_the_younger_is_left() {
    let mut bench = Bench::new();
    bench.says("b", B, Origin::Source, 100);
    bench.hold(B, 50);
    bench.handle(Input::Tick);
    bench.hear(opened(B, 50));
    assert_eq!(bench.hear(Answer::Took), []);
    bench.says("a", A, Origin::Source, 100);
    assert_eq!(bench.handle(Input::ViewChanged), [], "not before a frame");
    let out = bench.hear(Answer::Took);
    assert_eq!(out[0], Output::HangUp(None));
    assert_eq!(asked(&out), [("a", Some((A, 0)))]);
}

#[test]
fn what_nobody_wants_any_more_ends() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.ours().idle_since = Some(bench.now);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 50));
    bench.now += LINGER;
    assert_eq!(bench.hear(Answer::Took), []);
    bench.now += Duration::from_millis(1);
    let over = [Output::HangUp(None), Output::Over(EndReason::Replaced)];
    assert_eq!(bench.hear(Answer::Took), over);
}

#[test]
fn a_ring_whose_place_was_taken_is_filled_no_more() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 50));
    bench.ours().is_held = false;
    let over = [Output::HangUp(None), Output::Over(EndReason::Replaced)];
    assert_eq!(bench.hear(Answer::Took), over);
}

#[test]
fn a_stream_that_nobody_has_is_lost_after_a_while() {
    let mut bench = Bench::new();
    assert_eq!(bench.handle(Input::Tick), []);
    assert_eq!(bench.handle(Input::Tick), [], "it is not time yet");
    let out = bench.pass(FIND_TIMEOUT + Duration::from_millis(1));
    assert_eq!(out, [Output::Over(EndReason::Lost)]);
}

#[test]
fn the_pull_of_a_deleted_mount_ends_when_its_upstream_does() {
    let mut bench = Bench::new();
    bench.says("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 50));
    bench.linger = None;
    assert_eq!(bench.hear(Answer::Took), []);
    let out = bench.hear(Answer::Lost);
    let over = [Output::HangUp(None), Output::Over(EndReason::MountDeleted)];
    assert_eq!(out, over);
}
