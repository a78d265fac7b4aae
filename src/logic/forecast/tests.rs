//! The forecast, told by the events of a small mesh.
//!
//! Node `a` is this one; `b` and `c` have been known to it from the beginning.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MP3_BPS: u64 = 128_000;

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn life(text: &str, generation: u64) -> Life {
    let (node, generation) = (name(text), Generation(generation));
    Life { node, generation }
}

fn report(listeners: u32) -> LoadReport {
    LoadReport {
        listeners,
        max_listeners: 1_000,
        egress_bps: u64::from(listeners) * MP3_BPS,
        max_bandwidth_bps: 100_000_000,
        cpu_permille: None,
    }
}

fn bulletin(listeners: u32) -> Bulletin {
    Bulletin {
        report: report(listeners),
        ..Bulletin::default()
    }
}

/// `listeners` sent to the first life of `to`.
fn having_sent(to: &str, listeners: u64) -> Bulletin {
    let total = Tally {
        listeners,
        bps: listeners * MP3_BPS,
    };
    let Life { node, generation } = life(to, 1);
    let sent = vec![Sent {
        to: node,
        generation,
        total,
    }];
    Bulletin {
        sent,
        ..bulletin(0)
    }
}

/// `listeners` from the first life of `from`, and as many in the report.
fn having_met(from: &str, listeners: u32) -> Bulletin {
    let Life { node, generation } = life(from, 1);
    let arrived = Arrived {
        from: node,
        generation,
        listeners: u64::from(listeners),
    };
    Bulletin {
        arrived: vec![arrived],
        ..bulletin(listeners)
    }
}

/// Node `a`, which has long known `b` and `c`.
fn mesh(now: Instant) -> Forecast {
    let mut forecast = Forecast::new(life("a", 1), SECOND, now);
    forecast.report_own(report(0));
    for peer in ["b", "c"] {
        forecast.witness(&life(peer, 1), NodeState::Alive, now);
        forecast.hear(&life(peer, 1), &bulletin(0), now);
    }
    forecast
}

fn seen<'a>(forecast: &'a mut Forecast, node: &str, now: Instant) -> Outlook<'a> {
    let table = forecast.table(now);
    let outlooks = table.outlooks.iter();
    *outlooks
        .clone()
        .find(|it| it.node.as_str() == node)
        .unwrap()
}

fn listeners(forecast: &mut Forecast, node: &str, now: Instant) -> u32 {
    seen(forecast, node, now).predicted.listeners
}

#[test]
fn a_listener_on_the_way_counts_whichever_node_sent_it() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    forecast.note_sent(&name("b"), MP3_BPS, now);
    forecast.hear(&life("c", 1), &having_sent("b", 4), now);
    let outlook = seen(&mut forecast, "b", now);
    assert_eq!(outlook.predicted.listeners, 5);
    assert_eq!(outlook.predicted.egress_bps, 5 * MP3_BPS);
    assert_eq!(
        outlook.predicted_utilization(),
        5.0 * 0.128 / 100.0,
        "bandwidth is scarcer"
    );
    forecast.hear(&life("b", 1), &having_met("c", 4), now + SECOND);
    assert_eq!(listeners(&mut forecast, "b", now + SECOND), 5);
    assert_eq!(
        listeners(&mut forecast, "b", now + 5 * SECOND),
        4,
        "ours did not come"
    );
}

#[test]
fn a_listener_that_is_kept_is_predicted_once() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    forecast.note_sent(&name("a"), MP3_BPS, now);
    forecast.report_own(report(1));
    forecast.hear(
        &life("b", 1),
        &Bulletin {
            report: report(3),
            ..having_sent("b", 3)
        },
        now,
    );
    assert_eq!(listeners(&mut forecast, "a", now), 1);
    assert_eq!(listeners(&mut forecast, "b", now), 3);
    assert_eq!(
        forecast.table(now).expected_listeners,
        4.0,
        "all come into the rate"
    );
}

#[test]
fn arrivals_at_our_own_node_are_known_at_once() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    forecast.hear(&life("b", 1), &having_sent("a", 2), now);
    assert_eq!(listeners(&mut forecast, "a", now), 2);
    forecast.note_arrived(&name("b"), now);
    forecast.note_arrived(&name("nobody"), now);
    forecast.report_own(report(1));
    assert_eq!(listeners(&mut forecast, "a", now), 2);
    let arrived = forecast.bulletin().arrived;
    assert_eq!(arrived, having_met("b", 1).arrived);
}

#[test]
fn a_restart_of_either_side_begins_at_zero() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    forecast.note_sent(&name("b"), MP3_BPS, now);
    forecast.hear(&life("c", 1), &having_sent("b", 9), now);
    forecast.hear(&life("c", 2), &having_sent("b", 2), now);
    forecast.witness(&life("c", 1), NodeState::Dead, now);
    assert_eq!(
        listeners(&mut forecast, "b", now),
        3,
        "the new life of c has sent two"
    );

    forecast.hear(&life("b", 2), &bulletin(0), now);
    forecast.hear(&life("c", 2), &having_sent("b", 3), now);
    forecast.hear(&life("b", 1), &bulletin(70), now);
    assert_eq!(
        listeners(&mut forecast, "b", now),
        0,
        "these were for the life before"
    );
    forecast.note_sent(&name("b"), MP3_BPS, now);
    assert_eq!(forecast.bulletin().sent[0].generation, Generation(2));
    assert_eq!(forecast.bulletin().sent[0].total.listeners, 1);
}

#[test]
fn a_node_that_was_asleep_doubts_no_peer() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    forecast.look(now);
    let woken = now + 10 * SECOND;
    forecast.look(woken);
    forecast.witness(&life("b", 1), NodeState::Suspect, woken);
    forecast.witness(&life("b", 1), NodeState::Alive, woken);
    assert_eq!(seen(&mut forecast, "b", woken).standing, Standing::Ready);
}

#[test]
fn only_a_live_node_that_is_heard_may_be_chosen() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    let standing = |forecast: &mut Forecast, at| seen(forecast, "b", at).standing;
    assert_eq!(standing(&mut forecast, now + SECOND), Standing::Ready);
    let late = now + 2 * SECOND;
    assert_eq!(standing(&mut forecast, late), Standing::Stale);
    forecast.witness(&life("b", 1), NodeState::Alive, late);
    assert_eq!(
        standing(&mut forecast, late),
        Standing::Unsteady,
        "its heart beats again"
    );
    let late = late + 3 * SECOND;
    (0..4).for_each(|back| {
        let at = late - (3 - back) * SECOND;
        forecast.witness(&life("b", 1), NodeState::Alive, at);
    });
    assert_eq!(
        standing(&mut forecast, late),
        Standing::Ready,
        "for long enough"
    );
    for state in [NodeState::Suspect, NodeState::Draining, NodeState::Dead] {
        forecast.witness(&life("b", 1), state, late);
        assert_eq!(standing(&mut forecast, late), Standing::Closed, "{state:?}");
    }
    forecast.witness(&life("d", 1), NodeState::Alive, late);
    assert_eq!(
        seen(&mut forecast, "d", late).standing,
        Standing::Closed,
        "said nothing yet"
    );
    assert_eq!(
        seen(&mut forecast, "a", late).standing,
        Standing::Ready,
        "that is us"
    );
    for (state, standing) in [
        (NodeState::Suspect, Standing::Ready),
        (NodeState::Draining, Standing::Closed),
    ] {
        forecast.witness(&life("a", 1), state, late);
        assert_eq!(seen(&mut forecast, "a", late).standing, standing);
    }
}

#[test]
fn a_new_node_warms_up() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    let mut warmth = |after_s| seen(&mut forecast, "b", now + after_s * SECOND).warmth;
    assert_eq!(
        [0, 1, 5, 10, 60].map(&mut warmth),
        [0.1, 0.1, 0.5, 1.0, 1.0]
    );
}

#[test]
fn a_node_that_left_is_forgotten_with_its_listeners() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    forecast.hear(&life("c", 1), &having_sent("b", 9), now);
    forecast.forget(&name("c"), now);
    forecast.forget(&name("a"), now);
    assert_eq!(listeners(&mut forecast, "b", now), 0);
    assert_eq!(forecast.table(now).outlooks.len(), 2);
}

#[test]
fn unknown_nodes_and_counters_have_a_bound() {
    let now = Instant::now();
    let mut forecast = mesh(now);
    for index in 0..MAX_NODES {
        let stranger = life(&format!("n{index}"), 1);
        forecast.witness(&stranger, NodeState::Alive, now);
        let at = now + index as u32 * Duration::from_millis(1);
        forecast.note_sent(&stranger.node, MP3_BPS, at);
    }
    assert_eq!(forecast.nodes.len(), MAX_NODES);
    let sent = forecast.bulletin().sent;
    assert_eq!(sent.len(), MAX_COUNTERS);
    assert_eq!(sent[0].to, name("n508"), "the last one that was taken in");
}

proptest! {
    #[test]
    fn bulletins_may_come_twice_or_in_any_order(
        order in proptest::collection::vec((any::<bool>(), 1u32..20), 1..40)
    ) {
        let now = Instant::now();
        let (mut tidy, mut messy) = (mesh(now), mesh(now));
        let hear = |forecast: &mut Forecast, (sends, count): (bool, u32)| {
            if sends {
                forecast.hear(&life("c", 1), &having_sent("b", u64::from(count) * 2), now);
            } else {
                // The report stays as it is: only the counters may come in any order.
                let report = report(0);
                let bulletin = Bulletin { report, ..having_met("c", count) };
                forecast.hear(&life("b", 1), &bulletin, now);
            }
        };
        for event in &order {
            hear(&mut messy, *event);
            hear(&mut messy, *event);
        }
        let last = |sends| order.iter().filter(|it| it.0 == sends).map(|it| it.1).max();
        for sends in [true, false] {
            if let Some(count) = last(sends) {
                hear(&mut tidy, (sends, count));
            }
        }
        prop_assert_eq!(listeners(&mut messy, "b", now), listeners(&mut tidy, "b", now));
        prop_assert_eq!(messy.table(now).expected_listeners, tidy.table(now).expected_listeners);
    }
}
