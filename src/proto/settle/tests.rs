//! Two sides that settle, in usual and unusual orders.

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

/// Looks until somebody is asked: at once with an empty document, else after a while.
fn open(
    settling: &mut Settling,
    ours: &Document,
    view: &MeshView,
    now: Instant,
) -> (NodeName, Frame) {
    let mut out = Vec::new();
    for later_ms in [0, 1_000] {
        let now = now + Duration::from_millis(later_ms);
        settling.look(ours, view, now, &mut out);
    }
    match &out[..] {
        [Output::Open(peer, frame)] => (peer.clone(), frame.clone()),
        other => panic!("{other:?}"),
    }
}

/// Carries a whole conversation over, and returns how many frames of records there were.
fn converse(
    settling: &mut Settling,
    ours: &mut Document,
    theirs: &mut Document,
    first: Frame,
) -> usize {
    let now = Instant::now();
    let (mut answering, mut bundles) = (Answering::new(now), 0);
    let (mut to_them, mut to_us) = (vec![Input::Said(first)], Vec::new());
    let mut ends = 0;
    while ends < 2 {
        assert!(
            !to_them.is_empty() || !to_us.is_empty(),
            "nobody says anything"
        );
        let mut out = Vec::new();
        for input in to_them.drain(..) {
            answering.hear(input, theirs, &mut out);
        }
        carry_out(out, theirs, &mut to_us, &mut ends);
        let mut out = Vec::new();
        for input in to_us.drain(..) {
            bundles += usize::from(matches!(input, Input::Said(Frame::Records(_))));
            settling.hear(input, ours, now, &mut out);
        }
        carry_out(out, ours, &mut to_them, &mut ends);
    }
    bundles
}

fn carry_out(out: Vec<Output>, document: &mut Document, said: &mut Vec<Input>, ends: &mut usize) {
    for output in out {
        match output {
            Output::Say(frame) => said.push(Input::Said(frame)),
            Output::Take(records) => assert!(document.apply(records, 1_000).refused.is_empty()),
            Output::Finish => said.push(Input::Finished),
            Output::Over => *ends += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn both_hold_the_same_when_all_ranges_are_through() {
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
    settling.look(&ours, &view, now, &mut out);
    let Some(Output::Open(_, first)) = out.pop() else {
        panic!("an empty document waits for nothing");
    };
    let bundles = converse(&mut settling, &mut ours, &mut theirs, first);
    assert_eq!(ours.digest(), theirs.digest());
    assert_eq!(bundles, 2);
}

#[test]
fn a_peer_that_breaks_the_rules_is_hung_up_on_and_another_asked() {
    let now = Instant::now();
    let ours = document("a", 1);
    let view = view("a", &[("b", "1"), ("c", "2")], now);
    let wrong = [
        Input::Said(Frame::Done),
        Input::Said(Frame::Summary(ours.summaries().remove(0))),
        Input::Finished,
        Input::Lost,
    ];
    for input in wrong {
        let mut settling = Settling::new(None, now);
        let (first, _) = open(&mut settling, &ours, &view, now);
        let (later, mut out) = (now + Duration::from_millis(1_100), Vec::new());
        settling.hear(input.clone(), &ours, later, &mut out);
        assert!(matches!(out[..], [Output::HangUp]), "{input:?}: {out:?}");
        out.clear();
        settling.look(&ours, &view, later, &mut out);
        let [Output::Open(next, _)] = &out[..] else {
            panic!("{input:?}: {out:?}");
        };
        assert_ne!(*next, first, "{input:?}");
    }
}

#[test]
fn a_stuck_peer_is_given_up_and_its_late_answer_ignored() {
    let now = Instant::now();
    let ours = document("a", 1);
    let view = view("a", &[("b", "1")], now);
    let mut settling = Settling::new(None, now);
    open(&mut settling, &ours, &view, now);
    let mut out = Vec::new();
    settling.look(&ours, &view, now + SETTLE_TIMEOUT, &mut out);
    assert!(out.is_empty(), "it is being asked: {out:?}");
    let late = now + SETTLE_TIMEOUT + Duration::from_secs(2);
    settling.look(&ours, &view, late, &mut out);
    assert!(matches!(out[..], [Output::HangUp]), "{out:?}");
    out.clear();
    for input in [
        Input::Said(Frame::Ask(Vec::new())),
        Input::Finished,
        Input::Lost,
    ] {
        settling.hear(input, &ours, late, &mut out);
    }
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn what_the_peer_has_not_confirmed_is_not_settled() {
    let now = Instant::now();
    let ours = document("a", 1);
    let view = view("a", &[("b", "1")], now);
    let mut settling = Settling::new(None, now);
    open(&mut settling, &ours, &view, now);
    let mut out = Vec::new();
    let later = now + Duration::from_secs(1);
    settling.hear(Input::Said(Frame::Ask(Vec::new())), &ours, later, &mut out);
    assert!(
        matches!(out[..], [Output::Say(Frame::Done), Output::Finish]),
        "{out:?}"
    );
    settling.hear(Input::Lost, &ours, later, &mut out);
    out.clear();
    settling.look(&ours, &view, later + Duration::from_secs(1), &mut out);
    assert!(
        matches!(out[..], [Output::Open(..)]),
        "it is asked again: {out:?}"
    );
}

#[test]
fn an_old_document_is_taken_up_only_when_nobody_has_another() {
    let now = Instant::now();
    let (empty, nobody) = (Document::new(name("a")), view("a", &[], now));
    let alone = now + ALONE_AFTER + Duration::from_millis(1);
    let look = |settling: &mut Settling, ours: &Document, now| {
        let mut out = Vec::new();
        settling.look(ours, &nobody, now, &mut out);
        out
    };
    let mut settling = Settling::new(Some(document("a", 1)), now);
    assert!(look(&mut settling, &empty, now + ALONE_AFTER).is_empty());
    assert!(matches!(
        look(&mut settling, &empty, alone)[..],
        [Output::GoBackTo(_)]
    ));
    assert!(look(&mut settling, &empty, alone).is_empty(), "only once");
    let mut edited = Settling::new(Some(document("a", 1)), now);
    assert!(look(&mut edited, &document("a", 2), alone).is_empty());
    let mut settled = Settling::new(Some(document("a", 1)), now);
    let with_peer = view("a", &[("b", "1")], now);
    let mut out = Vec::new();
    settled.look(&empty, &with_peer, now, &mut out);
    let Some(Output::Open(_, first)) = out.pop() else {
        panic!("an empty document waits for nothing");
    };
    let mut ours = empty.clone();
    converse(&mut settled, &mut ours, &mut document("b", 0), first);
    assert!(
        look(&mut settled, &empty, alone).is_empty(),
        "a peer's is in force"
    );
}

#[test]
fn whoever_answers_hangs_up_on_what_is_out_of_turn() {
    let ours = document("b", 1);
    let summary = || Input::Said(Frame::Summary(ours.summaries().remove(0)));
    let done = || Input::Said(Frame::Done);
    let records = || Input::Said(Frame::Records(BTreeMap::new()));
    let turns = [
        vec![done()],
        vec![records()],
        vec![Input::Said(Frame::Ask(Vec::new()))],
        vec![Input::Lost],
        vec![summary(), summary()],
        vec![summary(), records(), Input::Finished],
        vec![summary(), done(), done()],
    ];
    for turns in turns {
        let (mut answering, mut out) = (Answering::new(Instant::now()), Vec::new());
        for input in turns.clone() {
            out.clear();
            answering.hear(input, &ours, &mut out);
        }
        assert!(matches!(out[..], [Output::HangUp]), "{turns:?}: {out:?}");
    }
}
