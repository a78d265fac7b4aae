//! The laws of the document, for any records and any history.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::saved::Saved;
use super::*;
use crate::model::record::{MAX_VALUE_BYTES, Register};

/// Noon of some day. The histories below play within a few seconds of it.
const NOON_MS: u64 = 1_750_000_000_000;
const NODES: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 3] = ["admin", "mount/1", "mount/2"];
const FIELDS: [&str; 3] = ["genre", "name", "url"];

fn key(text: &str) -> RecordKey {
    RecordKey::try_from(text).unwrap()
}

fn node(name: &str) -> NodeName {
    NodeName::try_from(name).unwrap()
}

fn document(name: &str) -> Document {
    Document::new(node(name))
}

fn one(name: &str, value: &str) -> BTreeMap<String, Value> {
    BTreeMap::from([(name.to_owned(), Value::Text(value.to_owned()))])
}

fn sent(key: &RecordKey, record: &Record) -> BTreeMap<RecordKey, Record> {
    BTreeMap::from([(key.clone(), record.clone())])
}

fn merged(mut one: Record, other: &Record) -> Record {
    one.merge(other.clone());
    one
}

/// Lets two nodes exchange what they would over a link.
fn settle(one: &mut Document, other: &mut Document, now_ms: u64) {
    for summary in one.summaries() {
        let difference = other.difference(&summary);
        for bundle in other.bundles(&difference.send, 200) {
            one.apply(bundle, now_ms);
        }
        for bundle in one.bundles(&difference.ask, 200) {
            other.apply(bundle, now_ms);
        }
    }
}

fn stamps() -> impl Strategy<Value = Stamp> {
    (0..8_u64, prop::sample::select(&NODES[..])).prop_map(|(time_ms, name)| Stamp {
        time_ms,
        node: node(name),
    })
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nothing),
        any::<bool>().prop_map(Value::Flag),
        (0..3_i64).prop_map(Value::Number),
        "[xy]{0,2}".prop_map(Value::Text),
    ]
}

/// A record as its own node holds it: normalised.
fn records() -> impl Strategy<Value = Record> {
    let field = (prop::sample::select(&FIELDS[..]), stamps(), values());
    let fields = prop::collection::vec(field, 0..4);
    (fields, prop::option::of(stamps())).prop_map(|(fields, deleted)| {
        let mut record = deleted.map_or_else(Record::default, Record::tombstone);
        for (name, stamp, value) in fields {
            let field = BTreeMap::from([(name.to_owned(), value)]);
            record.merge(Record::written(field, &stamp));
        }
        record
    })
}

/// Something that happens in the mesh. Numbers name a node, a key, a field or an earlier push.
#[derive(Clone, Debug)]
enum Step {
    Edit(usize, usize, usize, Value),
    Delete(usize, usize),
    Deliver { push: usize, to: usize },
    Settle(usize, usize),
}

fn steps() -> impl Strategy<Value = (Step, u64)> {
    let step = prop_oneof![
        3 => (0..3_usize, 0..3_usize, 0..3_usize, values()).prop_map(|(n, k, f, v)| Step::Edit(n, k, f, v)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(n, k)| Step::Delete(n, k)),
        4 => (any::<usize>(), 0..3_usize).prop_map(|(push, to)| Step::Deliver { push, to }),
        1 => (0..3_usize, 1..3_usize).prop_map(|(one, by)| Step::Settle(one, (one + by) % 3)),
    ];
    (step, NOON_MS..NOON_MS + 20_000) // each step at its own wall time: clocks differ and jump
}

/// Plays a history: pushes arrive in any order, several times or never.
fn play(history: Vec<(Step, u64)>) -> ([Document; 3], Vec<(RecordKey, Record)>) {
    let mut nodes = NODES.map(document);
    let mut pushes: Vec<(RecordKey, Record)> = Vec::new();
    for (step, now_ms) in history {
        match step {
            Step::Edit(at, which, field, value) => {
                let (key, field) = (key(KEYS[which]), FIELDS[field].to_owned());
                let fields = BTreeMap::from([(field, value)]);
                let record = nodes[at].edit(&key, fields, now_ms).unwrap();
                pushes.push((key, record));
            }
            Step::Delete(at, which) => {
                let key = key(KEYS[which]);
                let deleted = nodes[at].delete(&key, now_ms);
                pushes.extend(deleted.ok().map(|record| (key, record)));
            }
            Step::Deliver { push, to } => {
                if let Some((key, record)) = pushes.get(push % pushes.len().max(1)) {
                    nodes[to].apply(sent(key, record), now_ms);
                }
            }
            Step::Settle(one, other) => {
                let mut theirs = nodes[other].clone();
                settle(&mut nodes[one], &mut theirs, now_ms);
                nodes[other] = theirs;
            }
        }
    }
    (nodes, pushes)
}

proptest! {
    #[test]
    fn merge_order_and_repetition_do_not_matter(a in records(), b in records(), c in records()) {
        prop_assert_eq!(merged(a.clone(), &b), merged(b.clone(), &a));
        prop_assert_eq!(merged(merged(a.clone(), &b), &c), merged(a.clone(), &merged(b, &c)));
        prop_assert_eq!(merged(a.clone(), &a), a);
    }

    #[test]
    fn settling_makes_any_history_converge(history in prop::collection::vec(steps(), 0..60)) {
        let ([mut a, mut b, mut c], pushes) = play(history);
        let now_ms = NOON_MS + 20_000;
        settle(&mut a, &mut b, now_ms);
        settle(&mut b, &mut c, now_ms);
        settle(&mut c, &mut a, now_ms);
        prop_assert_eq!(a.digest(), b.digest());
        prop_assert_eq!(b.digest(), c.digest());
        let mut late = document("late");
        for (key, record) in pushes.iter().rev() {
            late.apply(sent(key, record), now_ms);
        }
        prop_assert_eq!(late.digest(), a.digest(), "all pushes backwards make the same document");
    }

    #[test]
    fn a_record_that_was_deleted_last_stays_deleted(history in prop::collection::vec(steps(), 0..60)) {
        let ([mut a, mut b, mut c], pushes) = play(history);
        let now_ms = NOON_MS + 20_000;
        settle(&mut a, &mut b, now_ms);
        settle(&mut a, &mut c, now_ms);
        let gone = key(KEYS[1]);
        a.edit(&gone, one("name", "x"), NOON_MS).unwrap(); // whatever came before, it is live now
        a.delete(&gone, NOON_MS).unwrap();
        for (key, record) in &pushes {
            a.apply(sent(key, record), now_ms);
        }
        settle(&mut b, &mut a, now_ms);
        settle(&mut c, &mut b, now_ms);
        for document in [&a, &b, &c] {
            prop_assert!(document.get(&gone).is_none());
        }
    }

    #[test]
    fn a_saved_document_is_restored_whole(history in prop::collection::vec(steps(), 0..40)) {
        let ([a, ..], _) = play(history);
        let text = serde_json::to_string(&a.saved(NOON_MS)).unwrap();
        let saved: Saved = serde_json::from_str(&text).unwrap();
        let (restored, outcome) = Document::restore(node("a"), saved);
        prop_assert_eq!(restored.digest(), a.digest());
        prop_assert_eq!(restored.clock.last_ms(), a.clock.last_ms());
        prop_assert!(outcome.refused.is_empty());
    }
}

#[test]
fn an_edit_wins_even_when_the_clock_jumps_back() {
    let (mut a, mut b) = (document("a"), document("b"));
    let name = key("mount/1");
    let first = a.edit(&name, one("name", "first"), NOON_MS).unwrap();
    b.apply(sent(&name, &first), NOON_MS);
    let second = b.edit(&name, one("name", "second"), 5).unwrap();
    a.apply(sent(&name, &second), NOON_MS);
    let written = a.get(&name).and_then(|record| record.value("name"));
    assert_eq!(written, Some(&Value::Text("second".to_owned())));
    assert_eq!(b.ahead(5).as_millis(), u128::from(NOON_MS + 1 - 5));
}

#[test]
fn the_future_waits_until_our_clock_gets_there() {
    let (mut a, mut b) = (document("a"), document("b"));
    let name = key("mount/1");
    a.edit(&name, one("name", "now"), NOON_MS).unwrap();
    let ahead_ms = MAX_AHEAD.as_millis() as u64 + 1;
    let record = a.edit(&name, one("genre", "later"), NOON_MS + ahead_ms);
    let record = record.unwrap();

    let outcome = b.apply(sent(&name, &record), NOON_MS);
    assert_eq!(
        outcome.changed,
        vec![name.clone()],
        "the field of now is taken"
    );
    let stamp = record.fields()["genre"].stamp.clone();
    let why = Why::Ahead { stamp, ahead_ms };
    let key = name.clone();
    assert_eq!(outcome.refused, [RejectedRecord { key, why }]);
    assert_eq!(b.get(&name).unwrap().value("genre"), None);
    assert_eq!(b.clock.last_ms(), NOON_MS, "our clock is not dragged along");

    let outcome = b.apply(sent(&name, &record), NOON_MS + 1);
    assert_eq!((outcome.changed, outcome.refused), (vec![name], vec![]));
    assert_eq!(a.digest(), b.digest());
}

#[test]
fn refusals_are_counted_beyond_the_first() {
    let (mut a, mut b) = (document("a"), document("b"));
    let mut records = BTreeMap::new();
    for i in 0..MAX_REFUSALS + 5 {
        let key = key(&format!("mount/{i}"));
        let record = a.edit(&key, one("name", "x"), NOON_MS * 2).unwrap();
        records.insert(key, record);
    }
    let outcome = b.apply(records, NOON_MS);
    assert_eq!(outcome.refused.len(), MAX_REFUSALS);
    assert_eq!(outcome.refused_beyond, 5);
    assert!(b.is_empty());
}

#[test]
fn only_the_records_over_a_bound_are_refused() {
    let stamp = Stamp {
        time_ms: NOON_MS,
        node: node("b"),
    };
    let long = one("name", &"x".repeat(MAX_VALUE_BYTES + 1));
    let good = Record::written(one("name", "x"), &stamp);
    let records = BTreeMap::from([
        (key("mount/bad"), Record::written(long.clone(), &stamp)),
        (key("mount/good"), good),
    ]);
    let mut a = document("a");
    let outcome = a.apply(records, NOON_MS);
    assert_eq!(outcome.changed, [key("mount/good")]);
    assert!(matches!(outcome.refused[0].why, Why::Flawed(_)));
    let digest = a.digest();
    let edited = a.edit(&key("mount/good"), long, NOON_MS);
    assert!(matches!(edited, Err(EditError::Refused(..))));
    assert_eq!(a.digest(), digest);
}

#[test]
fn two_halves_that_are_too_large_together_stay_apart() {
    let half = |from: usize| {
        let fields = (from..from + 40).map(|i| (format!("f{i}"), Value::Flag(true)));
        fields.collect::<BTreeMap<_, _>>()
    };
    let (mut a, name) = (document("a"), key("mount/1"));
    a.edit(&name, half(0), NOON_MS).unwrap();
    let error = a.edit(&name, half(40), NOON_MS).unwrap_err();
    let why = Why::Flawed(Flaw::TooManyFields(80));
    assert_eq!(error, EditError::Refused(name.clone(), why));
    assert_eq!(a.get(&name).unwrap().fields().len(), 40);
}

#[test]
fn a_full_document_takes_changes_but_no_new_record() {
    let mut a = document("a");
    let name = |i: usize| key(&format!("mount/{i:05}"));
    for i in 0..MAX_RECORDS {
        a.edit(&name(i), one("name", "x"), NOON_MS).unwrap();
    }
    let full = a.edit(&name(MAX_RECORDS), one("name", "x"), NOON_MS);
    assert!(matches!(full, Err(EditError::Refused(_, Why::Full))));
    a.edit(&name(7), one("name", "y"), NOON_MS).unwrap();
    a.delete(&name(8), NOON_MS).unwrap();

    let summaries = a.summaries();
    assert_eq!(summaries.len(), MAX_RECORDS / SUMMARY_RECORDS + 1);
    assert!(summaries.iter().all(|s| s.hashes.len() <= SUMMARY_RECORDS));
    let mut b = document("b");
    settle(&mut b, &mut a, NOON_MS);
    assert_eq!(a.digest(), b.digest());
    b.edit(&name(9_999), one("name", "z"), NOON_MS).unwrap();
    b.delete(&name(500), NOON_MS).unwrap();
    let differ = |s: &Summary| a.difference(s).ask.len();
    assert_eq!(b.summaries().iter().map(differ).sum::<usize>(), 2);
    settle(&mut a, &mut b, NOON_MS);
    assert_eq!(a.digest(), b.digest());
}

#[test]
fn bytes_are_bounded_too() {
    let mut a = document("a");
    let large = |i: usize| (format!("f{i}"), Value::Text("x".repeat(MAX_VALUE_BYTES)));
    let fields: BTreeMap<_, _> = (0..15).map(large).collect();
    let fits = MAX_DOCUMENT_BYTES / (15 * MAX_VALUE_BYTES);
    let edits = (0..fits + 1).map(|i| a.edit(&key(&format!("mount/{i}")), fields.clone(), NOON_MS));
    let full = edits.filter(|edit| matches!(edit, Err(EditError::Refused(_, Why::Full))));
    assert!(full.count() >= 1);
    assert!(a.bytes <= MAX_DOCUMENT_BYTES);
    let keys: Vec<RecordKey> = a.records.keys().cloned().collect();
    let bundles = a.bundles(&keys, 256 * 1024);
    assert!(
        bundles
            .iter()
            .all(|bundle| bundle.len() == 2 || bundle.len() == 1)
    );
    assert_eq!(bundles.iter().map(BTreeMap::len).sum::<usize>(), keys.len());
}

#[test]
fn fields_of_a_newer_version_are_kept_and_handed_on() {
    let (mut new, mut old, mut other) = (document("a"), document("b"), document("c"));
    let name = key("mount/1");
    new.edit(&name, one("from-the-future", "kept"), NOON_MS)
        .unwrap();
    settle(&mut new, &mut old, NOON_MS);
    old.edit(&name, one("name", "x"), NOON_MS).unwrap();
    settle(&mut old, &mut other, NOON_MS);
    let kept = other.get(&name).unwrap().value("from-the-future");
    assert_eq!(kept, Some(&Value::Text("kept".to_owned())));
}

#[test]
fn expired_tombstones_are_forgotten_and_not_brought_back() {
    let (mut a, mut b) = (document("a"), document("b"));
    let (gone, kept) = (key("mount/1"), key("mount/2"));
    a.edit(&gone, one("name", "x"), NOON_MS).unwrap();
    a.edit(&kept, one("name", "x"), NOON_MS).unwrap();
    let tombstone = a.delete(&gone, NOON_MS).unwrap();
    settle(&mut a, &mut b, NOON_MS);
    let life_ms = TOMBSTONE_LIFE.as_millis() as u64;
    let deleted_ms = tombstone.deleted().unwrap().time_ms;
    assert_eq!(a.prune(deleted_ms + life_ms), 0);
    let later_ms = deleted_ms + life_ms + 1;
    assert_eq!(a.prune(later_ms), 1);
    assert_ne!(a.digest(), b.digest());
    settle(&mut a, &mut b, later_ms);
    assert!(!a.records.contains_key(&gone));
    assert_eq!(b.prune(later_ms), 1);
    assert_eq!(a.digest(), b.digest());
    assert_eq!(a.bytes, b.bytes);
}

#[test]
fn an_old_tombstone_still_deletes_what_we_hold() {
    let (mut a, mut b) = (document("a"), document("b"));
    let name = key("mount/1");
    a.edit(&name, one("name", "x"), NOON_MS).unwrap();
    settle(&mut a, &mut b, NOON_MS);
    let tombstone = a.delete(&name, NOON_MS).unwrap();
    let later_ms = NOON_MS + 2 * TOMBSTONE_LIFE.as_millis() as u64;
    b.apply(sent(&name, &tombstone), later_ms);
    assert!(b.get(&name).is_none());
}

#[test]
fn a_document_older_than_tombstones_live_is_stale() {
    let saved = document("a").saved(NOON_MS);
    let life_ms = TOMBSTONE_LIFE.as_millis() as u64;
    assert!(!saved.is_stale(NOON_MS + life_ms));
    assert!(saved.is_stale(NOON_MS + life_ms + 1));
    assert!(!saved.is_stale(0), "a clock that is behind is no proof");
}

#[test]
fn only_live_records_are_edited_away_or_listed() {
    let mut a = document("a");
    let name = key("mount/1");
    let nothing = a.edit(&name, BTreeMap::new(), NOON_MS);
    assert_eq!(nothing, Err(EditError::NoFields));
    let missing = a.delete(&name, NOON_MS);
    assert_eq!(missing, Err(EditError::NotThere(name.clone())));
    a.edit(&name, one("name", "x"), NOON_MS).unwrap();
    assert_eq!(a.live().count(), 1);
    a.delete(&name, NOON_MS).unwrap();
    assert_eq!(a.live().count(), 0);
    assert!(!a.is_empty());
}

#[test]
fn a_summary_that_makes_no_sense_does_no_harm() {
    let mut a = document("a");
    a.edit(&key("m"), one("name", "x"), NOON_MS).unwrap();
    let backwards = Summary {
        after: Some(key("z")),
        up_to: Some(key("a")),
        hashes: BTreeMap::from([(key("b"), RecordHash([0; 16]))]),
    };
    assert_eq!(a.difference(&backwards), Difference::default());
}

#[test]
fn the_greater_value_wins_between_writes_of_one_stamp() {
    let stamp = Stamp {
        time_ms: 1,
        node: node("a"),
    };
    let of = |number| Register {
        stamp: stamp.clone(),
        value: Value::Number(number),
    };
    assert_eq!(of(1).max(of(2)), of(2));
}
