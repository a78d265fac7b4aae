//! Both sides of a settling, with frames in usual and unusual orders.

use super::*;
use crate::model::node::Generation;
use crate::model::record::Value;
use crate::model::record::summary::SUMMARY_RECORDS;
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

/// A document of a node with so many records of its own.
fn document(node: &str, records: usize) -> Document {
    let mut document = Document::new(name(node));
    for number in 0..records {
        let key = RecordKey::try_from(format!("mount/{node}{number:04}")).unwrap();
        let fields = BTreeMap::from([("name".to_owned(), Value::Text(node.to_owned()))]);
        document.edit(&key, fields, 1_000).unwrap();
    }
    document
}

/// The mesh as `me` sees it, with the digests of peers.
fn view(me: &str, peers: &[(&str, &str)], now: Instant) -> MeshView {
    let mut view = MeshView::empty(name(me));
    for (peer, digest) in peers {
        let node = MeshNode {
            state: NodeState::Alive,
            document: Some((*digest).to_owned()),
            ..MeshNode::unheard(Generation(1), now)
        };
        view.nodes.insert(name(peer), node);
    }
    view
}

/// Compares until a peer is asked: at once with an empty document, else after a while.
fn open(
    settling: &mut Settling,
    ours: &Document,
    view: &MeshView,
    now: Instant,
) -> (NodeName, Frame) {
    let mut out = Vec::new();
    for later_ms in [0, 1_000] {
        let now = now + Duration::from_millis(later_ms);
        settling.compare(ours, view, now, &mut out);
    }
    match &out[..] {
        [Output::Open(peer, frame)] => (peer.clone(), frame.clone()),
        other => panic!("{other:?}"),
    }
}

/// Carries out a whole conversation, and returns how many frames of records there were.
fn converse(
    settling: &mut Settling,
    ours: &mut Document,
    theirs: &mut Document,
    first: Frame,
) -> usize {
    let now = Instant::now();
    let (mut answering, mut bundles) = (AnsweringSide::new(now), 0);
    let (mut to_them, mut to_us) = (vec![Input::Received(first)], Vec::new());
    let mut ends = 0;
    while ends < 2 {
        assert!(!to_them.is_empty() || !to_us.is_empty(), "no frame is sent");
        let mut out = Vec::new();
        for input in to_them.drain(..) {
            answering.handle(input, theirs, &mut out);
        }
        carry_out(out, theirs, &mut to_us, &mut ends);
        let mut out = Vec::new();
        for input in to_us.drain(..) {
            bundles += usize::from(matches!(input, Input::Received(Frame::Records(_))));
            settling.handle(input, ours, now, &mut out);
        }
        carry_out(out, ours, &mut to_them, &mut ends);
    }
    bundles
}

fn carry_out(out: Vec<Output>, document: &mut Document, said: &mut Vec<Input>, ends: &mut usize) {
    for output in out {
        match output {
            Output::Send(frame) => said.push(Input::Received(frame)),
            Output::Apply(records) => assert!(document.apply(records, 1_000).refused.is_empty()),
            Output::Finish => said.push(Input::Finished),
            Output::Over => *ends += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn both_hold_the_same_after_the_last_range() {
    let now = Instant::now();
    let (mut ours, mut theirs) = (document("a", 2 * SUMMARY_RECORDS + 1), document("b", 3));
    let mut settling = Settling::new(None, now);
    let view = view("a", &[("b", &theirs.digest().to_string())], now);
    let (peer, first) = open(&mut settling, &ours, &view, now);
    assert_eq!(peer, name("b"));
    converse(&mut settling, &mut ours, &mut theirs, first);
    assert_eq!(ours.digest(), theirs.digest());
    assert_eq!(ours.live().count(), 2 * SUMMARY_RECORDS + 4);
}

#[test]
fn a_document_larger_than_a_frame_goes_in_pieces() {
    let now = Instant::now();
    let (mut ours, mut theirs) = (Document::new(name("a")), document("b", 0));
    let text = "x".repeat(4_000);
    for number in 0..MAX_BODY_BYTES / 4_000 + 1 {
        let key = RecordKey::try_from(format!("mount/{number:04}")).unwrap();
        let fields = BTreeMap::from([("name".to_owned(), Value::Text(text.clone()))]);
        theirs.edit(&key, fields, 1_000).unwrap();
    }
    let mut settling = Settling::new(None, now);
    let view = view("a", &[("b", "another")], now);
    let mut out = Vec::new();
    settling.compare(&ours, &view, now, &mut out);
    let Some(Output::Open(_, first)) = out.pop() else {
        panic!("an empty document does not wait");
    };
    let bundles = converse(&mut settling, &mut ours, &mut theirs, first);
    assert_eq!(ours.digest(), theirs.digest());
    assert_eq!(bundles, 2);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_left_for_another() {
    let now = Instant::now();
    let ours = document("a", 1);
    let view = view("a", &[("b", "1"), ("c", "2")], now);
    let wrong = [
        Input::Received(Frame::Done),
        Input::Received(Frame::Summary(ours.summaries().remove(0))),
        Input::Finished,
        Input::Lost,
    ];
    for input in wrong {
        let mut settling = Settling::new(None, now);
        let (first, _) = open(&mut settling, &ours, &view, now);
        let (later, mut out) = (now + Duration::from_millis(1_100), Vec::new());
        settling.handle(input.clone(), &ours, later, &mut out);
        assert!(matches!(out[..], [Output::HangUp]), "{input:?}: {out:?}");
        out.clear();
        settling.compare(&ours, &view, later, &mut out);
        let [Output::Open(next, _)] = &out[..] else {
            panic!("{input:?}: {out:?}");
        };
        assert_ne!(*next, first, "{input:?}");
    }
}

#[test]
fn a_stuck_peer_is_left_and_its_late_answer_ignored() {
    let now = Instant::now();
    let ours = document("a", 1);
    let view = view("a", &[("b", "1")], now);
    let mut settling = Settling::new(None, now);
    open(&mut settling, &ours, &view, now);
    let mut out = Vec::new();
    settling.compare(&ours, &view, now + SETTLE_TIMEOUT, &mut out);
    assert!(out.is_empty(), "it is being asked: {out:?}");
    let late = now + SETTLE_TIMEOUT + Duration::from_secs(2);
    settling.compare(&ours, &view, late, &mut out);
    assert!(matches!(out[..], [Output::HangUp]), "{out:?}");
    out.clear();
    for input in [
        Input::Received(Frame::Ask(Vec::new())),
        Input::Finished,
        Input::Lost,
    ] {
        settling.handle(input, &ours, late, &mut out);
    }
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn a_settling_counts_only_once_the_peer_has_confirmed() {
    let now = Instant::now();
    let ours = document("a", 1);
    let view = view("a", &[("b", "1")], now);
    let mut settling = Settling::new(None, now);
    open(&mut settling, &ours, &view, now);
    let mut out = Vec::new();
    let later = now + Duration::from_secs(1);
    settling.handle(
        Input::Received(Frame::Ask(Vec::new())),
        &ours,
        later,
        &mut out,
    );
    assert!(
        matches!(out[..], [Output::Send(Frame::Done), Output::Finish]),
        "{out:?}"
    );
    settling.handle(Input::Lost, &ours, later, &mut out);
    out.clear();
    settling.compare(&ours, &view, later + Duration::from_secs(1), &mut out);
    assert!(
        matches!(out[..], [Output::Open(..)]),
        "it is asked again: {out:?}"
    );
}

#[test]
fn an_old_document_is_used_only_without_peers() {
    let now = Instant::now();
    let (empty, alone_in_mesh) = (Document::new(name("a")), view("a", &[], now));
    let alone = now + ALONE_AFTER + Duration::from_millis(1);
    let look = |settling: &mut Settling, ours: &Document, now| {
        let mut out = Vec::new();
        settling.compare(ours, &alone_in_mesh, now, &mut out);
        out
    };
    let mut settling = Settling::new(Some(document("a", 1)), now);
    assert!(look(&mut settling, &empty, now + ALONE_AFTER).is_empty());
    assert!(matches!(
        look(&mut settling, &empty, alone)[..],
        [Output::Restore(_)]
    ));
    assert!(look(&mut settling, &empty, alone).is_empty(), "only once");
    let mut edited = Settling::new(Some(document("a", 1)), now);
    assert!(look(&mut edited, &document("a", 2), alone).is_empty());
    let mut settled = Settling::new(Some(document("a", 1)), now);
    let with_peer = view("a", &[("b", "1")], now);
    let mut out = Vec::new();
    settled.compare(&empty, &with_peer, now, &mut out);
    let Some(Output::Open(_, first)) = out.pop() else {
        panic!("an empty document does not wait");
    };
    let mut ours = empty.clone();
    converse(&mut settled, &mut ours, &mut document("b", 0), first);
    assert!(
        look(&mut settled, &empty, alone).is_empty(),
        "a peer's document is in use"
    );
}

#[test]
fn the_answering_side_aborts_on_frames_out_of_order() {
    let ours = document("b", 1);
    let summary = || Input::Received(Frame::Summary(ours.summaries().remove(0)));
    let done = || Input::Received(Frame::Done);
    let records = || Input::Received(Frame::Records(BTreeMap::new()));
    let turns = [
        vec![done()],
        vec![records()],
        vec![Input::Received(Frame::Ask(Vec::new()))],
        vec![Input::Lost],
        vec![summary(), summary()],
        vec![summary(), records(), Input::Finished],
        vec![summary(), done(), done()],
    ];
    for turns in turns {
        let (mut answering, mut out) = (AnsweringSide::new(Instant::now()), Vec::new());
        for input in turns.clone() {
            out.clear();
            answering.handle(input, &ours, &mut out);
        }
        assert!(matches!(out[..], [Output::HangUp]), "{turns:?}: {out:?}");
    }
}
