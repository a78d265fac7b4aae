//! A node that was asleep: it neither judges nor claims by what it missed, and then sees what is there.

use super::*;

#[test]
fn after_a_pause_nothing_is_claimed_for_three_rounds() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive)]));
    bench.run(5);
    bench.now += Duration::from_secs(15);
    bench.out.clear();
    assert_eq!(
        bench.feed(ElectionInput::Persisted(Epoch(5))),
        [],
        "the write was asked before"
    );
    let said = bench.feed(from("a", ask(2)));
    assert_eq!(said, [to("a", Message::Pass { epoch: Epoch(5) })]);
    assert_eq!(bench.run(2), []);
    assert_eq!(bench.run(1), [ElectionOutput::Persist(Epoch(6))]);
}

#[test]
fn a_pause_buries_no_peer_and_keeps_the_own_claim() {
    let mut bench = Bench::new();
    bench.feed(members(&[("z", Alive)]));
    let held = Some(claim(9, "z"));
    bench.feed(ElectionInput::Heard {
        from: name("z"),
        claim: held.clone(),
    });
    bench.now += Duration::from_secs(15);
    bench.feed(members(&[("z", Dead)]));
    bench.run(2);
    assert_eq!(bench.election.holder(), held.as_ref());
    bench.run(1);
    assert_eq!(bench.election.holder(), None);

    let mut bench = Bench::holding(&[("z", Alive)]);
    bench.now += Duration::from_secs(15);
    bench.feed(ElectionInput::Tick);
    assert_eq!(bench.run(4), []);
    assert_eq!(bench.election.own_claim(), Some(&claim(5, "m")));
}

#[test]
fn news_after_a_pause_beats_news_kept_before_it() {
    let mut bench = Bench::new();
    bench.feed(members(&[("z", Alive)]));
    bench.feed(ElectionInput::Heard {
        from: name("z"),
        claim: Some(claim(9, "z")),
    });
    bench.now += Duration::from_secs(15);
    bench.feed(members(&[("z", Dead)]));
    for _ in 0..2 {
        bench.now += INTERVAL;
        bench.feed(ElectionInput::Tick);
    }
    bench.now += INTERVAL;
    bench.feed(members(&[("z", Doubtful)]));
    bench.run(3);
    assert_eq!(bench.election.holder(), Some(&claim(9, "z")));
}
