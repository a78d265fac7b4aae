//! Seats that a node follows without standing for them, and nodes that do not know them.

use super::*;
use crate::wire::gossip::NodeCard;

fn transcoder() -> Seat {
    Seat::Transcoder("/radio-64.opus".parse().unwrap())
}

fn outside() -> Seat {
    Seat::Outside(name("ice"))
}

impl Bench {
    /// A peer that knows the seats of transcoders.
    fn put_knowing(&mut self, node: &str, state: NodeState) {
        self.put(node, state);
        self.node(node).card.reads_transcoders = true;
    }

    fn own(&self, seat: &Seat) -> Option<Epoch> {
        self.seats.own_claim(seat).map(|claim| claim.epoch)
    }
}

#[test]
fn a_node_that_only_follows_knows_the_holder_and_passes() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put_knowing("a", NodeState::Alive);
    bench.take(&seat, Stance::Follow);
    bench.wait(30);
    assert_eq!(bench.own(&seat), None, "nobody holds it, and not this node");
    bench.out.clear();
    let epoch = Epoch(0);
    let rank = Rank(0);
    bench.hear("a", &seat, Message::Election { rank, epoch });
    assert_eq!(
        bench.told(&seat),
        [(name("a"), Message::Pass { epoch })],
        "although it is the greater one"
    );
    let theirs = claim(1, election::rendezvous(&seat, &name("a")), "a");
    bench.hear("a", &seat, Message::Coordinator(theirs.clone()));
    assert_eq!(bench.seats.holder(&seat), Some(&theirs));
    bench.out.clear();
    bench.hear("a", &seat, Message::HandOver(theirs.clone()));
    let epoch = Epoch(1);
    assert_eq!(
        bench.told(&seat),
        [(name("a"), Message::Pass { epoch })],
        "it does not take the seat over either"
    );
    bench.node("a").claims.insert(seat.clone(), theirs);
    bench.look();
    bench.node("a").state = NodeState::Dead;
    bench.wait(30);
    assert_eq!(bench.seats.holder(&seat), None, "it stays empty");
}

#[test]
fn a_follower_that_stands_takes_an_empty_seat() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.take(&seat, Stance::Follow);
    bench.wait(30);
    bench.take(&seat, Stance::Stand);
    bench.wait(2);
    assert_eq!(bench.own(&seat), Some(Epoch(1)));
    for stance in [Stance::Stand, Stance::Stand] {
        bench.take(&seat, stance);
        bench.wait(2);
    }
    assert_eq!(bench.own(&seat), Some(Epoch(1)), "asked again, it stays");
}

#[test]
fn a_holder_that_only_follows_vacates_the_seat_at_once() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put_knowing("a", NodeState::Alive);
    bench.take(&seat, Stance::Stand);
    bench.wait(10);
    let own = bench.seats.own_claim(&seat).unwrap().clone();
    bench.out.clear();
    bench.take(&seat, Stance::Follow);
    let said = bench.said();
    let withdrawn = Output::Publish {
        seat: seat.clone(),
        claim: None,
    };
    assert!(said.contains(&withdrawn), "{said:?}");
    bench.out = said;
    assert_eq!(bench.told(&seat), [(name("a"), Message::Vacated(own))]);
    assert_eq!(bench.seats.holder(&seat), None);
    bench.wait(20);
    assert_eq!(bench.told(&seat), [], "nor is it offered to anybody");
    bench.take(&seat, Stance::Stand);
    bench.wait(4);
    assert_eq!(bench.own(&seat), Some(Epoch(2)));
}

#[test]
fn a_node_that_drains_leaves_a_transcoder_only_when_it_follows() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put_knowing("a", NodeState::Alive);
    bench.take(&seat, Stance::Stand);
    bench.wait(10);
    bench.give(Input::Resign(Scope::All));
    bench.wait(10);
    assert_eq!(bench.successors(&seat), []);
    assert!(bench.own(&seat).is_some(), "nobody else may have room");
    bench.take(&seat, Stance::Follow);
    assert_eq!(bench.own(&seat), None);
}

#[test]
fn a_node_that_drains_and_then_follows_offers_its_seat_no_more() {
    let (mut bench, seat) = (Bench::new(), outside());
    bench.put_knowing("a", NodeState::Alive);
    bench.take(&seat, Stance::Stand);
    bench.wait(10);
    bench.give(Input::Resign(Scope::All));
    assert!(bench.successors(&seat).contains(&name("a")));
    assert!(bench.own(&seat).is_some(), "until it is taken over");
    bench.take(&seat, Stance::Follow);
    assert_eq!(bench.own(&seat), None);
    bench.give(Input::Unresign(Scope::All));
    bench.out.clear();
    bench.wait(20);
    assert_eq!(bench.successors(&seat), []);
    assert_eq!(bench.own(&seat), None);
}

#[test]
fn a_stance_does_not_undo_a_resignation() {
    let (mut bench, seat) = (Bench::new(), outside());
    bench.give(Input::Resign(Scope::All));
    for stance in [Stance::Stand, Stance::Follow, Stance::Stand] {
        bench.take(&seat, stance);
        bench.wait(10);
        assert_eq!(bench.own(&seat), None);
    }
    bench.give(Input::Unresign(Scope::All));
    bench.wait(2);
    assert_eq!(bench.own(&seat), Some(Epoch(1)));
    bench.take(&seat, Stance::Follow);
    assert_eq!(bench.own(&seat), None);
    for scope in [Scope::All, Scope::Master] {
        bench.give(Input::Unresign(scope));
        bench.wait(10);
        assert_eq!(bench.own(&seat), None, "nor does an order undo a stance");
    }
}

#[test]
fn a_node_of_an_older_version_hears_nothing_of_a_transcoder() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put("old", NodeState::Alive);
    bench.put_knowing("new", NodeState::Alive);
    bench.take(&seat, Stance::Stand);
    bench.wait(10);
    assert!(bench.own(&seat).is_some());
    for stance in [Stance::Follow, Stance::Stand] {
        bench.take(&seat, stance);
        bench.wait(1);
    }
    bench.give(Input::Wanted(&BTreeMap::new()));
    let is_about = |frame: &Frame| matches!(frame, Frame::Seat { seat: it, .. } if *it == seat);
    let said = bench.said();
    let mut lives = 0;
    for output in &said {
        match output {
            Output::Send(_, frame) | Output::Broadcast(frame) => assert!(!is_about(frame)),
            Output::SendToLife { to, life, .. } => {
                assert_eq!((to, *life), (&name("new"), Generation(1)));
                lives += 1;
            }
            _ => {}
        }
    }
    assert!(lives > 0, "{said:?}");
}

#[test]
fn a_life_whose_card_does_not_know_the_seat_is_no_peer_of_it() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put_knowing("a", NodeState::Alive);
    let theirs = claim(1, election::rendezvous(&seat, &name("a")), "a");
    bench.node("a").claims.insert(seat.clone(), theirs.clone());
    bench.take(&seat, Stance::Stand);
    bench.wait(10);
    assert_eq!(bench.seats.holder(&seat), Some(&theirs));
    // It is started again as an older version.
    bench.put("a", NodeState::Alive);
    bench.node("a").generation = Generation(2);
    bench.wait(10);
    assert_eq!(bench.own(&seat), Some(Epoch(2)));
    bench.out.clear();
    bench.put_knowing("a", NodeState::Alive);
    bench.node("a").generation = Generation(3);
    bench.look();
    let told = bench.told(&seat);
    assert!(
        matches!(&told[..], [(to, Message::Coordinator(_))] if *to == name("a")),
        "the newer life is told of the holder: {told:?}"
    );
}

#[test]
fn a_claim_of_a_new_life_counts_although_its_number_was_vacated() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put_knowing("a", NodeState::Alive);
    bench.take(&seat, Stance::Follow);
    let theirs = claim(1, election::rendezvous(&seat, &name("a")), "a");
    bench.node("a").claims.insert(seat.clone(), theirs.clone());
    bench.wait(2);
    assert_eq!(bench.seats.holder(&seat), Some(&theirs));
    bench.hear("a", &seat, Message::Vacated(theirs.clone()));
    bench.wait(2);
    assert_eq!(bench.seats.holder(&seat), None, "gossip is late");
    bench.node("a").claims.clear();
    bench.look();
    // It has forgotten its epochs: of this seat none is on its disk.
    bench.node("a").generation = Generation(2);
    bench.look();
    bench.node("a").claims.insert(seat.clone(), theirs.clone());
    bench.look();
    assert_eq!(bench.seats.holder(&seat), Some(&theirs));
}

#[test]
fn a_claim_that_gossip_never_brought_ends_with_its_life() {
    let (mut bench, seat) = (Bench::new(), transcoder());
    bench.put_knowing("a", NodeState::Alive);
    bench.take(&seat, Stance::Follow);
    bench.look();
    let theirs = claim(1, election::rendezvous(&seat, &name("a")), "a");
    bench.hear("a", &seat, Message::Coordinator(theirs.clone()));
    assert_eq!(bench.seats.holder(&seat), Some(&theirs));
    bench.node("a").state = NodeState::Dead;
    bench.wait(1);
    assert_eq!(bench.seats.holder(&seat), None);
    let seen = bench.node("a");
    (seen.state, seen.generation) = (NodeState::Alive, Generation(2));
    bench.wait(1);
    assert_eq!(bench.seats.holder(&seat), None);
}

#[test]
fn only_nodes_that_know_outside_relays_hear_of_their_seats() {
    let seat = Seat::OutsideRelay("/radio.mp3".parse().unwrap());
    only_those_hear_of(&seat, |card| card.reads_outside_relays = true);
    only_those_hear_of(&Seat::Import, |card| card.reads_imports = true);
    only_those_hear_of(&Seat::Certificates, |card| card.reads_certificates = true);
}

/// Of a seat only a node hears whose card says that it knows such seats.
fn only_those_hear_of(seat: &Seat, knows: fn(&mut NodeCard)) {
    let mut bench = Bench::new();
    bench.put_knowing("old", NodeState::Alive);
    bench.put("new", NodeState::Alive);
    knows(&mut bench.node("new").card);
    bench.take(seat, Stance::Stand);
    bench.wait(30);
    assert!(bench.own(seat).is_some());
    bench.out.clear();
    bench.give(Input::Wanted(&BTreeMap::new()));
    let told = bench.told(seat);
    assert!(
        matches!(&told[..], [(to, Message::Vacated(_))] if *to == name("new")),
        "{told:?}"
    );
}
