//! A pull with its events in usual and unusual orders.

use super::*;
use crate::logic::relay::follow::{ANSWER_TIMEOUT, FIND_TIMEOUT, STALL};
use crate::model::node::Generation;
use crate::model::seat::Epoch;
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::gossip::{Origin, StreamCard};

const A: StreamId = StreamId(1);
const B: StreamId = StreamId(2);

/// A pull, its context, and the ring that a driver would keep.
struct Bench {
    pull: Pull,
    held: Option<HeldRing>,
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
        origin,
        offset,
        started_unix_ms: stream_id.0 as u64,
        ..StreamCard::sample(stream_id)
    }
}

fn precedence(stream_id: StreamId) -> Precedence {
    crate::proto::view::precedence(&card(stream_id, Origin::Source, 0))
}

fn opened(stream_id: StreamId, offset: u64) -> UpstreamEvent {
    let head = StreamHead {
        content_type: "audio/mpeg".into(),
        icy: Vec::new(),
        user_agent: String::new(),
        started_unix_ms: 0,
        accept_epoch: Epoch(1),
    };
    UpstreamEvent::Opened(Opened {
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
            held: None,
            mesh: MeshView::empty(name("me")),
            linger: Some(Duration::from_secs(60)),
            now,
        }
    }

    /// A node gossips a stream.
    fn gossip(&mut self, node: &str, stream_id: StreamId, origin: Origin, offset: u64) {
        let mut speaker = MeshNode::unheard(Generation(1), self.now);
        speaker.state = NodeState::Alive;
        speaker
            .streams
            .insert(mount(), card(stream_id, origin, offset));
        self.mesh.nodes.insert(name(node), speaker);
    }

    /// The node holds a stream from now on.
    fn hold(&mut self, stream_id: StreamId, next_offset: u64) {
        self.held = Some(HeldRing {
            stream: precedence(stream_id),
            next_offset,
            finished: None,
            last_fed: self.now,
            is_current: true,
            idle_since: None,
            left: BTreeMap::new(),
        });
    }

    fn held(&mut self) -> &mut HeldRing {
        self.held.as_mut().unwrap()
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        let context = PullContext {
            mesh: &self.mesh,
            linger: self.linger,
            chance: 1.0,
            now: self.now,
        };
        let mut out = Vec::new();
        self.pull
            .handle(input, self.held.clone(), context, &mut out);
        out
    }

    fn pass(&mut self, time: Duration) -> Vec<Output> {
        self.now += time;
        self.handle(Input::Tick)
    }

    fn hear(&mut self, answer: UpstreamEvent) -> Vec<Output> {
        let id = self.pull.asked().expect("a request is open").id;
        self.handle(Input::Heard(id, answer))
    }
}

/// The upstreams that the outputs ask, and what they are asked for.
fn asked(out: &[Output]) -> Vec<(&str, Option<(StreamId, u64)>)> {
    let asks = out.iter().filter_map(|output| match output {
        Output::Request(ask) => Some((ask.upstream.as_str(), ask.resume)),
        _ => None,
    });
    asks.collect()
}

#[test]
fn a_pull_without_a_stream_takes_what_is_on_air() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    let out = bench.handle(Input::Tick);
    assert_eq!(asked(&out), [("a", None)]);
    let out = bench.hear(opened(A, 40));
    assert!(matches!(&out[..], [Output::Open(from, it)] if *from == name("a") && it.offset == 40));
    assert_eq!(bench.pull.upstream(), Some(&name("a")));
}

#[test]
fn a_pull_continues_at_its_next_byte_after_a_stall() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.gossip("b", A, Origin::Relay(Some(name("a"))), 100);
    bench.hold(A, 70);
    assert_eq!(asked(&bench.handle(Input::Tick)), [("a", Some((A, 70)))]);
    let out = bench.hear(opened(A, 70));
    assert!(matches!(&out[..], [Output::Continue(..)]));
    bench.held().next_offset = 90;
    assert_eq!(bench.hear(UpstreamEvent::Stored), []);
    assert_eq!(bench.pass(STALL - Duration::from_millis(1)), []);
    let out = bench.pass(Duration::from_millis(1));
    assert_eq!(out, [Output::HangUp(Some(UpstreamTimeout::Stalled))]);
    let rest = bench.pull.wake_at().unwrap() - bench.now;
    assert_eq!(asked(&bench.pass(rest)), [("b", Some((A, 90)))]);
}

#[test]
fn a_late_answer_to_an_earlier_request_is_ignored() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.gossip("b", A, Origin::Relay(Some(name("a"))), 100);
    bench.hold(A, 70);
    bench.handle(Input::Tick);
    let first = bench.pull.asked().unwrap().id;
    let out = bench.pass(ANSWER_TIMEOUT);
    assert_eq!(out[0], Output::HangUp(Some(UpstreamTimeout::NoAnswer)));
    assert_eq!(asked(&out), [("b", Some((A, 70)))]);
    for late in [
        opened(A, 70),
        UpstreamEvent::Stored,
        UpstreamEvent::Ended,
        UpstreamEvent::Lost,
    ] {
        assert_eq!(bench.handle(Input::Heard(first, late)), []);
    }
    assert_eq!(bench.pull.upstream(), None, "b has not answered yet");
    bench.hear(opened(A, 70));
    assert_eq!(bench.handle(Input::Heard(first, UpstreamEvent::Gap)), []);
    assert_eq!(bench.pull.upstream(), Some(&name("b")));
}

#[test]
fn an_end_that_is_reported_twice_counts_once() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 100);
    bench.handle(Input::Tick);
    let id = bench.pull.asked().unwrap().id;
    bench.hear(opened(A, 100));
    bench.held().finished = Some(EndReason::SourceLeft);
    let ended = Input::Heard(id, UpstreamEvent::Ended);
    assert_eq!(bench.handle(ended.clone()), [Output::HangUp(None)]);
    assert_eq!(bench.handle(ended), []);
    let over = bench.pass(bench.linger.unwrap() + Duration::from_millis(1));
    assert_eq!(over, [Output::Over(EndReason::SourceLeft)]);
    assert_eq!(bench.pull.wake_at(), None);
    assert_eq!(bench.handle(Input::ViewChanged), []);
}

#[test]
fn the_next_stream_is_asked_for_from_its_first_byte() {
    let mut bench = Bench::new();
    bench.hold(A, 100);
    bench.held().finished = Some(EndReason::SourceLeft);
    assert_eq!(bench.handle(Input::Tick), []);
    bench.gossip("b", B, Origin::Source, 9_000);
    let out = bench.handle(Input::ViewChanged);
    assert_eq!(asked(&out), [("b", Some((B, 0)))]);
    let out = bench.hear(UpstreamEvent::Denied(Denial::Overrun));
    assert_eq!(asked(&out), [("b", None)]);
    let out = bench.hear(opened(B, 5_000));
    assert!(matches!(&out[..], [Output::Open(_, it)] if it.offset == 5_000));
}

#[test]
fn no_byte_is_played_twice() {
    let mut bench = Bench::new();
    bench.hold(B, 100);
    bench.held().left = BTreeMap::from([(A, 70)]);
    bench.gossip("a", A, Origin::Source, 200);
    let out = bench.handle(Input::Tick);
    assert_eq!(asked(&out), [("a", Some((A, 70)))], "it has precedence");
    bench.hear(UpstreamEvent::Denied(Denial::NotHere));
    assert_eq!(bench.hear(opened(A, 69))[0], Output::HangUp(None));
    assert_eq!(bench.pull.upstream(), None);
}

#[test]
fn a_stream_that_was_not_asked_for_is_refused() {
    let mut bench = Bench::new();
    bench.hold(A, 100);
    bench.held().finished = Some(EndReason::SourceLeft);
    bench.gossip("b", B, Origin::Source, 10);
    bench.handle(Input::Tick);
    let out = bench.hear(opened(StreamId(3), 0));
    assert_eq!(out, [Output::HangUp(None)]);
}

#[test]
fn lost_bytes_are_skipped_only_when_all_were_asked() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 9_000);
    bench.gossip("b", A, Origin::Relay(Some(name("a"))), 9_000);
    bench.gossip("c", A, Origin::Relay(Some(name("a"))), 100);
    bench.hold(A, 100);
    let overrun = || UpstreamEvent::Denied(Denial::Overrun);
    assert_eq!(asked(&bench.handle(Input::Tick)), [("a", Some((A, 100)))]);
    assert_eq!(asked(&bench.hear(overrun())), [("b", Some((A, 100)))]);
    let out = bench.hear(overrun());
    assert_eq!(asked(&out), [("a", None)], "c has no later bytes");
    assert_eq!(bench.pull.asked().unwrap().target, PullTarget::OnAir);
    let out = bench.hear(opened(A, 4_000));
    assert!(matches!(&out[..], [Output::Open(..)]), "a new ring");
}

#[test]
fn a_gap_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 70);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 70));
    assert_eq!(bench.hear(UpstreamEvent::Gap), [Output::HangUp(None)]);
    let rest = FIRST_WAIT;
    // The only holder has just failed, and is left alone for longer than one wait.
    assert_eq!(bench.pass(rest), []);
    let mut out = Vec::new();
    while out.is_empty() {
        let wake_at = bench.pull.wake_at().unwrap();
        out = bench.pass(wake_at - bench.now);
    }
    assert_eq!(asked(&out), [("a", Some((A, 70)))]);
}

#[test]
fn a_view_changed_during_a_request_begins_another_round() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.handle(Input::Tick);
    bench.gossip("b", A, Origin::Relay(Some(name("a"))), 100);
    assert_eq!(
        bench.handle(Input::ViewChanged),
        [],
        "the request to a is still open"
    );
    let out = bench.hear(UpstreamEvent::Denied(Denial::NotHere));
    assert_eq!(asked(&out), [("b", None)], "without a wait");
    let out = bench.hear(UpstreamEvent::Lost);
    assert_eq!(
        out,
        [Output::HangUp(None)],
        "the view has not changed since"
    );
}

#[test]
fn a_ring_that_cannot_be_opened_fails_that_upstream() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.gossip("b", A, Origin::Relay(Some(name("a"))), 100);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 0));
    let out = bench.hear(UpstreamEvent::Lost);
    assert_eq!(asked(&out), [("b", None)]);
}

#[test]
fn the_later_of_two_sources_that_meet_is_left() {
    let mut bench = Bench::new();
    bench.gossip("b", B, Origin::Source, 100);
    bench.hold(B, 50);
    bench.handle(Input::Tick);
    bench.hear(opened(B, 50));
    assert_eq!(bench.hear(UpstreamEvent::Stored), []);
    bench.gossip("a", A, Origin::Source, 100);
    assert_eq!(bench.handle(Input::ViewChanged), [], "not before a frame");
    let out = bench.hear(UpstreamEvent::Stored);
    assert_eq!(out[0], Output::HangUp(None));
    assert_eq!(asked(&out), [("a", Some((A, 0)))]);
}

#[test]
fn a_stream_without_readers_ends() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.held().idle_since = Some(bench.now);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 50));
    bench.now += LINGER;
    assert_eq!(bench.hear(UpstreamEvent::Stored), []);
    bench.now += Duration::from_millis(1);
    let over = [Output::HangUp(None), Output::Over(EndReason::Replaced)];
    assert_eq!(bench.hear(UpstreamEvent::Stored), over);
}

#[test]
fn a_ring_that_was_replaced_is_not_filled_any_more() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 50));
    bench.held().is_current = false;
    let over = [Output::HangUp(None), Output::Over(EndReason::Replaced)];
    assert_eq!(bench.hear(UpstreamEvent::Stored), over);
}

#[test]
fn a_stream_is_not_opened_for_a_ring_that_was_replaced() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.handle(Input::Tick);
    bench.held().is_current = false;
    let over = [Output::HangUp(None), Output::Over(EndReason::Replaced)];
    assert_eq!(bench.hear(opened(A, 50)), over);
}

#[test]
fn a_stream_without_holders_is_lost_after_a_while() {
    let mut bench = Bench::new();
    assert_eq!(bench.handle(Input::Tick), []);
    assert_eq!(bench.handle(Input::Tick), [], "it is not time yet");
    let out = bench.pass(FIND_TIMEOUT + Duration::from_millis(1));
    assert_eq!(out, [Output::Over(EndReason::Lost)]);
}

#[test]
fn a_mount_without_linger_waits_out_a_stall() {
    for node_dies in [false, true] {
        let mut bench = Bench::new();
        bench.linger = Some(Duration::ZERO);
        bench.gossip("a", A, Origin::Source, 100);
        bench.hold(A, 70);
        bench.handle(Input::Tick);
        bench.hear(opened(A, 70));
        let stalled = bench.pass(STALL);
        assert_eq!(stalled, [Output::HangUp(Some(UpstreamTimeout::Stalled))]);
        if node_dies {
            bench.mesh.nodes.get_mut(&name("a")).unwrap().state = NodeState::Dead;
        }
        let over = Output::Over(EndReason::Lost);
        let wake_at = bench.pull.wake_at().unwrap();
        let out = bench.pass(wake_at - bench.now);
        assert!(!out.contains(&over), "it may be back; it dies: {node_dies}");
        if node_dies {
            assert!(bench.pass(DOUBT).contains(&over));
            continue;
        }
        while bench.pull.asked().is_none() {
            let wake_at = bench.pull.wake_at().unwrap();
            bench.pass(wake_at - bench.now);
        }
        assert_eq!(bench.pull.asked().unwrap().resume, Some((A, 70)));
        bench.now += REPAIR;
        let out = bench.hear(UpstreamEvent::Lost);
        assert!(out.contains(&over), "not for ever");
    }
}

#[test]
fn a_mount_without_linger_ends_with_its_source() {
    let mut bench = Bench::new();
    bench.linger = Some(Duration::ZERO);
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 100);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 100));
    bench.held().finished = Some(EndReason::SourceLeft);
    bench.now += Duration::from_millis(1);
    let over = [Output::HangUp(None), Output::Over(EndReason::SourceLeft)];
    assert_eq!(bench.hear(UpstreamEvent::Ended), over);
}

#[test]
fn a_mount_without_linger_goes_on_with_the_source_that_took_over() {
    let mut bench = Bench::new();
    bench.linger = Some(Duration::ZERO);
    bench.hold(A, 100);
    bench.held().finished = Some(EndReason::Replaced);
    bench.now += FIRST_WAIT;
    assert_eq!(bench.handle(Input::Tick), [], "gossip does not show it yet");
    bench.gossip("b", B, Origin::Source, 9);
    assert_eq!(
        asked(&bench.handle(Input::ViewChanged)),
        [("b", Some((B, 0)))]
    );
}

#[test]
fn a_deleted_mounts_pull_ends_with_its_upstream() {
    let mut bench = Bench::new();
    bench.gossip("a", A, Origin::Source, 100);
    bench.hold(A, 50);
    bench.handle(Input::Tick);
    bench.hear(opened(A, 50));
    bench.linger = None;
    assert_eq!(bench.hear(UpstreamEvent::Stored), []);
    let out = bench.hear(UpstreamEvent::Lost);
    let over = [Output::HangUp(None), Output::Over(EndReason::MountDeleted)];
    assert_eq!(out, over);
}
