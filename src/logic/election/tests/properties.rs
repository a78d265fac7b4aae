//! Properties of an election that hold in any history.

use proptest::prelude::*;

use super::*;

fn any_node() -> impl Strategy<Value = NodeName> {
    (0..5_usize).prop_map(|index| name(["a", "b", "m", "y", "z"][index]))
}

fn any_claim() -> impl Strategy<Value = Claim> {
    (any_epoch(), 0..3_u64, any_node()).prop_map(|(epoch, rank, node)| {
        let rank = Rank(rank);
        Claim { epoch, rank, node }
    })
}

fn any_epoch() -> impl Strategy<Value = Epoch> {
    prop_oneof![20 => 0..12_u64, 1 => Just(u64::MAX)].prop_map(Epoch)
}

fn any_message() -> impl Strategy<Value = Message> {
    let rank = || (0..3_u64).prop_map(Rank);
    prop_oneof![
        (rank(), any_epoch()).prop_map(|(rank, epoch)| Message::Election { rank, epoch }),
        any_epoch().prop_map(|epoch| Message::Ok { epoch }),
        any_epoch().prop_map(|epoch| Message::Pass { epoch }),
        any_claim().prop_map(Message::Coordinator),
        any_claim().prop_map(Message::Vacated),
        any_claim().prop_map(Message::HandOver),
        any_epoch().prop_map(Message::Seen),
    ]
}

fn any_input() -> impl Strategy<Value = ElectionInput> {
    let health = prop_oneof![Just(Alive), Just(Doubtful), Just(Dead)];
    let member = (0..3_u64, health).prop_map(|(rank, health)| {
        let rank = Rank(rank);
        ElectionPeer { rank, health }
    });
    prop_oneof![
        8 => Just(ElectionInput::Tick),
        3 => proptest::collection::btree_map(any_node(), member, 0..5).prop_map(ElectionInput::Members),
        3 => (any_node(), proptest::option::of(any_claim()))
            .prop_map(|(from, claim)| ElectionInput::Heard { from, claim }),
        4 => (any_node(), any_message())
            .prop_map(|(from, message)| ElectionInput::Message { from, message }),
        6 => Just(ElectionInput::Persisted(Epoch(0))), // Replaced by the epoch that was asked for.
        1 => any_epoch().prop_map(ElectionInput::PersistFailed),
        1 => Just(ElectionInput::Resign),
        1 => Just(ElectionInput::Vacate),
        1 => any_node().prop_map(ElectionInput::NewLife),
        1 => Just(ElectionInput::Unresign),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_epochs_rise_and_claims_are_on_disk(
        script in proptest::collection::vec((any_input(), 0..900_u64), 1..200),
    ) {
        let mut bench = Bench::new();
        let (mut on_disk, mut asked, mut published) = (Epoch(4), Epoch(4), None);
        for (mut input, wait_ms) in script {
            bench.now += Duration::from_millis(wait_ms);
            if let ElectionInput::Persisted(epoch) = &mut input {
                *epoch = asked;
                on_disk = on_disk.max(asked);
            }
            let before = bench.election.max_epoch();
            let said = bench.feed(input);
            prop_assert!(bench.election.max_epoch() >= before);
            prop_assert!(bench.election.max_epoch() <= on_disk);
            for output in said {
                match output {
                    ElectionOutput::Persist(epoch) => {
                        prop_assert!(epoch > on_disk && epoch >= asked);
                        asked = epoch;
                    }
                    ElectionOutput::Publish(Some(claim)) => {
                        prop_assert!(claim.epoch <= on_disk, "published before it was on disk");
                        prop_assert!(Some(claim.epoch) > published, "an epoch twice");
                        published = Some(claim.epoch);
                    }
                    _ => {}
                }
            }
            prop_assert!(bench.election.holder() >= bench.election.own_claim());
            prop_assert!(bench.election.wake_at() <= bench.now + INTERVAL);
        }
    }
}

#[test]
fn a_crowd_of_members_is_bounded() {
    let mut bench = Bench::new();
    let member = ElectionPeer {
        rank: Rank(0),
        health: Alive,
    };
    let crowd = (0..MAX_MEMBERS + 9).map(|number| (name(&format!("n{number}")), member));
    bench.feed(ElectionInput::Members(crowd.collect()));
    assert_eq!(bench.election.members.len(), MAX_MEMBERS);
}
