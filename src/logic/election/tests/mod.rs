//! Every rule of the election, on one node with a scripted world around it.

use std::time::Duration;

use super::*;
use crate::model::quorum::Quorum;
use crate::model::seat::Rank;

mod pauses;
mod properties;

const INTERVAL: Duration = Duration::from_millis(250);

/// An election, its clock and what it has said since it was last asked.
struct Bench {
    election: Election,
    now: Instant,
    out: Vec<ElectionOutput>,
}

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn claim(epoch: u64, node: &str) -> Claim {
    Claim {
        epoch: Epoch(epoch),
        rank: Rank(1),
        node: name(node),
    }
}

fn members(list: &[(&str, Health)]) -> ElectionInput {
    let rank = Rank(1);
    let member = |(node, health): &(&str, Health)| {
        (
            name(node),
            ElectionPeer {
                rank,
                health: *health,
            },
        )
    };
    ElectionInput::Members(list.iter().map(member).collect())
}

fn from(node: &str, message: Message) -> ElectionInput {
    let from = name(node);
    ElectionInput::Message { from, message }
}

fn to(node: &str, message: Message) -> ElectionOutput {
    let to = name(node);
    ElectionOutput::Send { to, message }
}

fn push(node: &str, epoch: u64) -> ElectionInput {
    from(node, Message::Coordinator(claim(epoch, node)))
}

fn ask(epoch: u64) -> Message {
    Message::Election {
        rank: Rank(1),
        epoch: Epoch(epoch),
    }
}

use Health::{Alive, Dead, Doubtful};

impl Bench {
    fn with(quorum: Quorum, start: Start) -> Self {
        let config = ElectionConfig {
            node: name("m"),
            rank: Rank(1),
            gossip_interval: INTERVAL,
            quorum,
            start,
        };
        let now = Instant::now();
        Self {
            election: Election::new(config, Epoch(4), now),
            now,
            out: Vec::new(),
        }
    }

    fn new() -> Self {
        Self::with(Quorum::Off, Start::Founding)
    }

    /// A node that has held the seat for a while, with these peers.
    fn holding(peers: &[(&str, Health)]) -> Self {
        let mut bench = Self::new();
        bench.run(6);
        bench.feed(ElectionInput::Persisted(Epoch(5)));
        assert_eq!(bench.election.own_claim(), Some(&claim(5, "m")));
        bench.feed(members(peers));
        bench.out.clear();
        bench
    }

    fn feed(&mut self, input: ElectionInput) -> Vec<ElectionOutput> {
        let start = self.out.len();
        self.election.handle(input, self.now, &mut self.out);
        self.out[start..].to_vec()
    }

    /// Runs through rounds, waking exactly when it asked to be woken; returns its outputs.
    fn run(&mut self, rounds: u32) -> Vec<ElectionOutput> {
        let start = self.out.len();
        let end = self.now + INTERVAL * rounds;
        while self.election.wake_at() <= end {
            assert!(self.election.wake_at() > self.now, "it would spin");
            self.now = self.election.wake_at();
            self.feed(ElectionInput::Tick);
        }
        self.now = end;
        self.out[start..].to_vec()
    }
}

#[test]
fn a_lone_node_publishes_only_a_claim_on_disk() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(4), []);
    assert_eq!(bench.run(2), [ElectionOutput::Persist(Epoch(5))]);
    assert_eq!(bench.election.max_epoch(), Epoch(4));
    let said = bench.feed(ElectionInput::Persisted(Epoch(5)));
    let held = claim(5, "m");
    assert_eq!(
        said,
        [
            ElectionOutput::Publish(Some(held.clone())),
            ElectionOutput::Broadcast(Message::Coordinator(held.clone())),
            ElectionOutput::Changed(Some(held)),
        ]
    );
    assert_eq!(bench.election.max_epoch(), Epoch(5));
}

#[test]
fn a_node_told_of_peers_waits_longer_for_the_first() {
    let mut bench = Bench::with(Quorum::Off, Start::Joining);
    assert_eq!(bench.run(19), []);
    assert_eq!(bench.run(2), [ElectionOutput::Persist(Epoch(5))]);
}

#[test]
fn a_returning_greater_node_does_not_disturb_the_holder() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive)]));
    bench.feed(push("a", 9));
    bench.feed(ElectionInput::Heard {
        from: name("a"),
        claim: Some(claim(9, "a")),
    });
    bench.feed(ElectionInput::Persisted(Epoch(9)));
    bench.out.clear();
    assert_eq!(bench.run(100), []);
    assert_eq!(bench.election.holder(), Some(&claim(9, "a")));
}

#[test]
fn the_greatest_survivor_claims_one_interval_after_the_holder_died() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive), ("z", Alive)]));
    let held = Some(claim(9, "z"));
    bench.feed(ElectionInput::Heard {
        from: name("z"),
        claim: held,
    });
    bench.run(8);
    bench.feed(ElectionInput::Persisted(Epoch(9)));
    bench.out.clear();
    bench.feed(members(&[("a", Alive), ("z", Doubtful)]));
    assert_eq!(bench.run(8), [], "one witness is not enough");
    bench.feed(members(&[("a", Alive), ("z", Dead)]));
    assert_eq!(bench.out, [ElectionOutput::Changed(None)]);
    assert_eq!(bench.run(1), [ElectionOutput::Persist(Epoch(10))]);
}

#[test]
fn a_lesser_node_claims_when_the_greater_ones_are_silent() {
    let mut bench = Bench::new();
    bench.feed(members(&[
        ("a", Alive),
        ("x", Dead),
        ("y", Doubtful),
        ("z", Alive),
    ]));
    let said = bench.run(5);
    assert_eq!(said, [to("y", ask(4)), to("z", ask(4))]);
    assert_eq!(bench.run(1), [ElectionOutput::Persist(Epoch(5))]);
}

#[test]
fn a_node_that_cannot_object_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.feed(members(&[("y", Alive), ("z", Alive)]));
    bench.run(5);
    let epoch = Epoch(7);
    assert_eq!(
        bench.feed(from("y", Message::Pass { epoch })),
        [ElectionOutput::Persist(Epoch(7))]
    );
    bench.feed(ElectionInput::Persisted(Epoch(7)));
    let said = bench.feed(members(&[("y", Alive), ("z", Dead)]));
    assert_eq!(said, [ElectionOutput::Persist(Epoch(8))]);
}

#[test]
fn an_objection_is_waited_for_and_then_tried_again() {
    let mut bench = Bench::new();
    bench.feed(members(&[("z", Alive)]));
    bench.run(5);
    bench.feed(from("z", Message::Ok { epoch: Epoch(4) }));
    bench.out.clear();
    assert_eq!(bench.run(3), []);
    assert_eq!(bench.run(1), [to("z", ask(4))]);
}

#[test]
fn an_unasked_objection_changes_nothing() {
    let mut bench = Bench::new();
    bench.feed(members(&[("z", Alive)]));
    bench.run(5);
    bench.feed(from("y", Message::Ok { epoch: Epoch(4) }));
    assert_eq!(bench.run(1), [ElectionOutput::Persist(Epoch(5))]);
}

#[test]
fn a_greater_node_objects_and_starts_its_own_election() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive), ("z", Alive)]));
    let epoch = Epoch(4);
    assert_eq!(
        bench.feed(from("a", ask(3))),
        [to("a", Message::Pass { epoch })],
        "too young"
    );
    bench.run(5);
    bench.feed(members(&[("a", Alive), ("z", Dead)]));
    bench.feed(ElectionInput::Persisted(Epoch(5)));
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive), ("z", Alive)]));
    bench.feed(push("z", 4));
    bench.run(5);
    assert_eq!(
        bench.feed(from("a", ask(3))),
        [to("a", Message::Ok { epoch })],
        "sees a holder"
    );
    bench.feed(members(&[("a", Alive), ("z", Dead)]));
    let said = bench.feed(from("a", ask(3)));
    assert_eq!(
        said,
        [
            to("a", Message::Ok { epoch }),
            ElectionOutput::Persist(Epoch(5))
        ]
    );
    assert_eq!(
        bench.feed(from("z", ask(3))),
        [to("z", Message::Pass { epoch: Epoch(5) })]
    );
}

#[test]
fn a_holder_answers_a_challenger_with_its_claim() {
    let mut bench = Bench::holding(&[("a", Alive)]);
    let said = bench.feed(from("a", ask(2)));
    assert_eq!(said, [to("a", Message::Coordinator(claim(5, "m")))]);
}

#[test]
fn a_beaten_holder_drops_its_claim_at_once() {
    let mut bench = Bench::holding(&[("a", Alive)]);
    let said = bench.feed(push("a", 6));
    assert_eq!(
        said,
        [
            ElectionOutput::Publish(None),
            ElectionOutput::Broadcast(Message::Vacated(claim(5, "m"))),
            ElectionOutput::Changed(Some(claim(6, "a"))),
            ElectionOutput::Persist(Epoch(6)),
        ]
    );
}

#[test]
fn lower_claims_and_newcomers_are_answered_with_the_holders_claim() {
    let mut bench = Bench::holding(&[("a", Alive), ("b", Dead)]);
    let mine = Message::Coordinator(claim(5, "m"));
    assert_eq!(bench.feed(push("a", 3)), [to("a", mine.clone())]);
    let said = bench.feed(members(&[("a", Alive), ("b", Alive), ("c", Doubtful)]));
    assert_eq!(said, [to("b", mine.clone()), to("c", mine)]);
}

#[test]
fn a_claim_in_another_name_is_not_believed() {
    let mut bench = Bench::holding(&[("a", Alive)]);
    assert_eq!(
        bench.feed(from("a", Message::Coordinator(claim(9, "b")))),
        []
    );
    assert_eq!(bench.feed(from("a", Message::Vacated(claim(9, "b")))), []);
    assert_eq!(bench.feed(push("m", 9)), []);
}

#[test]
fn a_claim_that_appears_while_the_disk_writes_is_respected() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive)]));
    assert_eq!(bench.run(5), [ElectionOutput::Persist(Epoch(5))]);
    bench.feed(push("a", 5));
    bench.out.clear();
    assert_eq!(bench.feed(ElectionInput::Persisted(Epoch(5))), []);
    assert_eq!(bench.election.own_claim(), None);
}

#[test]
fn a_node_without_a_disk_leaves_the_seat_to_others() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive)]));
    bench.run(5);
    bench.out.clear();
    assert_eq!(bench.feed(ElectionInput::PersistFailed(Epoch(5))), []);
    let said = bench.feed(from("a", ask(2)));
    assert_eq!(said, [to("a", Message::Pass { epoch: Epoch(5) })]);
    assert_eq!(bench.run(2), [ElectionOutput::Persist(Epoch(5))]);
    assert_eq!(
        bench.feed(ElectionInput::Persisted(Epoch(5))),
        [ElectionOutput::Persist(Epoch(6))]
    );
    bench.feed(ElectionInput::Persisted(Epoch(6)));
    assert_eq!(bench.election.own_claim(), Some(&claim(6, "m")));
}

#[test]
fn a_heard_epoch_is_persisted_too() {
    let mut bench = Bench::new();
    let dead = ElectionInput::Heard {
        from: name("a"),
        claim: Some(claim(40, "a")),
    };
    assert_eq!(bench.feed(dead), [ElectionOutput::Persist(Epoch(40))]);
    assert_eq!(bench.election.max_epoch(), Epoch(4));
    bench.feed(ElectionInput::Persisted(Epoch(40)));
    assert_eq!(bench.election.max_epoch(), Epoch(40));
}

#[test]
fn the_heir_takes_over_before_the_holder_lets_go() {
    let mut bench = Bench::holding(&[("a", Alive), ("b", Alive), ("z", Doubtful)]);
    let offer = Message::HandOver(claim(5, "m"));
    assert_eq!(bench.feed(ElectionInput::Resign), [to("b", offer.clone())]);
    assert_eq!(
        bench.run(1),
        [to("b", offer.clone())],
        "it may have been lost"
    );
    let refusal = from("b", Message::Pass { epoch: Epoch(4) });
    assert_eq!(bench.feed(refusal.clone()), [to("a", offer.clone())]);
    assert_eq!(bench.feed(refusal), [], "said twice");
    bench.feed(push("a", 6));
    bench.feed(ElectionInput::Persisted(Epoch(6)));
    assert_eq!(bench.election.own_claim(), None);
    bench.out.clear();
    bench.feed(members(&[("a", Dead), ("b", Dead), ("z", Dead)]));
    bench.out.clear();
    assert_eq!(bench.run(50), [], "it has resigned");
    bench.feed(ElectionInput::Unresign);
    assert_eq!(bench.out, [ElectionOutput::Persist(Epoch(7))]);
}

#[test]
fn without_an_heir_the_claim_is_dropped_after_a_bound() {
    let mut bench = Bench::holding(&[("a", Alive)]);
    bench.feed(ElectionInput::Resign);
    let said = bench.run(8);
    assert!(said.contains(&ElectionOutput::Publish(None)));
    let mut alone = Bench::holding(&[("a", Dead)]);
    assert!(
        alone
            .feed(ElectionInput::Resign)
            .contains(&ElectionOutput::Publish(None))
    );
}

#[test]
fn a_seat_is_vacated_at_once_and_not_taken_back() {
    for first in [None, Some(ElectionInput::Resign)] {
        let mut bench = Bench::holding(&[("a", Alive)]);
        first.into_iter().for_each(|input| _ = bench.feed(input));
        let said = bench.feed(ElectionInput::Vacate);
        let told = ElectionOutput::Broadcast(Message::Vacated(claim(5, "m")));
        assert!(said.contains(&ElectionOutput::Publish(None)) && said.contains(&told));
        assert_eq!(bench.feed(ElectionInput::Vacate), [], "once");
        bench.feed(ElectionInput::Resign);
        bench.out.clear();
        assert_eq!(bench.run(50), [], "nor offered any more");
        let offer = Message::HandOver(claim(9, "a"));
        bench.feed(from("a", offer));
        assert_eq!(bench.election.own_claim(), None);
    }
}

#[test]
fn an_heir_needs_no_uptime_and_ignores_old_offers() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive)]));
    let offer = from("a", Message::HandOver(claim(8, "a")));
    bench.feed(offer.clone());
    bench.feed(ElectionInput::Persisted(Epoch(9)));
    assert_eq!(bench.election.own_claim(), Some(&claim(9, "m")));
    bench.feed(from("a", Message::Vacated(claim(8, "a"))));
    bench.feed(push("a", 10));
    bench.feed(from("a", Message::Vacated(claim(10, "a"))));
    bench.feed(ElectionInput::Persisted(Epoch(10)));
    bench.out.clear();
    assert_eq!(bench.feed(offer), []);
}

#[test]
fn a_minority_does_not_claim_and_drops_what_it_holds() {
    let mut bench = Bench::with(Quorum::Majority, Start::Founding);
    bench.feed(members(&[("a", Dead), ("b", Dead)]));
    assert_eq!(bench.run(20), []);
    bench.feed(members(&[("a", Alive), ("b", Dead)]));
    assert_eq!(bench.run(4), [], "a may tell it of a master");
    bench.run(2);
    bench.feed(ElectionInput::Persisted(Epoch(5)));
    assert_eq!(bench.election.own_claim(), Some(&claim(5, "m")));
    bench.feed(members(&[("a", Dead), ("b", Dead)]));
    bench.out.clear();
    assert_eq!(bench.run(2), []);
    assert!(bench.run(1).contains(&ElectionOutput::Publish(None)));
}

#[test]
fn a_holder_below_a_seen_epoch_is_told_and_renumbers() {
    let mut bench = Bench::new();
    bench.feed(members(&[("a", Alive), ("b", Dead)]));
    bench.feed(push("b", 7));
    bench.feed(members(&[("a", Alive), ("b", Alive)]));
    bench.feed(from("b", Message::Vacated(claim(7, "b"))));
    bench.feed(push("a", 5));
    bench.feed(ElectionInput::Persisted(Epoch(7)));
    bench.out.clear();
    assert_eq!(bench.run(1), [to("a", Message::Seen(Epoch(7)))]);

    let mut holder = Bench::holding(&[("a", Alive)]);
    let seen = from("a", Message::Seen(Epoch(7)));
    assert_eq!(holder.feed(seen), [ElectionOutput::Persist(Epoch(8))]);
    assert_eq!(holder.election.own_claim(), Some(&claim(5, "m")));
    holder.feed(ElectionInput::Persisted(Epoch(8)));
    assert_eq!(holder.election.own_claim(), Some(&claim(8, "m")));
}

#[test]
fn a_holder_that_cannot_renumber_leaves_the_seat() {
    let mut bench = Bench::holding(&[("a", Alive)]);
    let seen = from("a", Message::Seen(Epoch(7)));
    bench.feed(seen.clone());
    bench.feed(ElectionInput::PersistFailed(Epoch(8)));
    assert_eq!(bench.election.own_claim(), Some(&claim(5, "m")));
    assert!(bench.feed(seen).contains(&ElectionOutput::Publish(None)));
}

#[test]
fn a_holder_that_won_by_rank_takes_a_new_epoch() {
    let mut bench = Bench::holding(&[("z", Alive)]);
    let lesser = Claim {
        rank: Rank(0),
        ..claim(5, "z")
    };
    bench.feed(from("z", Message::Coordinator(lesser)));
    bench.out.clear();
    assert_eq!(bench.run(1), [ElectionOutput::Persist(Epoch(6))]);
}
