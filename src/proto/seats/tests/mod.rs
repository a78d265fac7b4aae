//! Every event of the seats in usual and unusual orders, on one node with a scripted mesh.

mod stances;

use super::*;
use crate::model::node::Generation;

const INTERVAL: Duration = Duration::from_millis(250);

/// The seats of a node, its clock, the mesh and the outputs since they were last taken.
struct Bench {
    seats: Seats,
    now: Instant,
    nodes: BTreeMap<NodeName, MeshNode>,
    out: Vec<Output>,
}

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn outside(server: &str) -> Seat {
    Seat::Outside(name(server))
}

fn claim(epoch: u64, rank: Rank, node: &str) -> Claim {
    Claim {
        epoch: Epoch(epoch),
        rank,
        node: name(node),
    }
}

fn frame(seat: &Seat, message: Message) -> Frame {
    let seat = seat.clone();
    Frame::Seat { seat, message }
}

impl Bench {
    /// The node `b` of rank 1, with epoch 3 on its disk, alone.
    fn new() -> Self {
        let now = Instant::now();
        let config = SeatsConfig {
            node: name("b"),
            rank: Rank(1),
            gossip_interval: INTERVAL,
            quorum: Quorum::Off,
            start: Start::Founding,
            max_epoch: Epoch(3),
        };
        let mut bench = Self {
            seats: Seats::new(config, now),
            now,
            nodes: BTreeMap::new(),
            out: Vec::new(),
        };
        bench.put("b", NodeState::Alive);
        bench
    }

    /// The same node, holding the seats that are wanted.
    fn seated(others: &[Seat]) -> Self {
        let mut bench = Self::new();
        bench.want(others);
        bench.wait(10);
        bench.persist(Epoch(4));
        for seat in others.iter().chain([&Seat::Master]) {
            assert!(bench.seats.own_claim(seat).is_some(), "{seat}");
        }
        bench.out.clear();
        bench
    }

    fn put(&mut self, node: &str, state: NodeState) {
        let mut seen = MeshNode::unheard(Generation(1), self.now);
        seen.state = state;
        seen.card.rank = Rank(1);
        self.nodes.insert(name(node), seen);
    }

    fn node(&mut self, node: &str) -> &mut MeshNode {
        self.nodes.get_mut(&name(node)).unwrap()
    }

    fn give(&mut self, input: Input<'_>) {
        self.seats.handle(input, self.now, &mut self.out);
    }

    fn look(&mut self) {
        let nodes = self.nodes.clone();
        self.give(Input::Nodes(&nodes));
    }

    fn want(&mut self, seats: &[Seat]) {
        let wanted = seats.iter().map(|seat| (seat.clone(), Stance::Stand));
        self.give(Input::Wanted(&wanted.collect()));
    }

    /// From now on this is the only seat besides the master's.
    fn take(&mut self, seat: &Seat, stance: Stance) {
        self.give(Input::Wanted(&[(seat.clone(), stance)].into()));
    }

    fn hear(&mut self, from: &str, seat: &Seat, message: Message) {
        self.give(Input::Message {
            from: name(from),
            seat: seat.clone(),
            message,
        });
    }

    fn persist(&mut self, epoch: Epoch) {
        let seat = Seat::Master;
        self.give(Input::Persisted { seat, epoch });
    }

    /// Lets this many gossip intervals pass, with a look at the mesh in each.
    fn wait(&mut self, intervals: u32) {
        for _ in 0..intervals {
            self.now += INTERVAL;
            self.look();
        }
    }

    /// Takes the outputs.
    fn said(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// Takes the claims that were published or withdrawn.
    fn published(&mut self) -> Vec<(Seat, Option<Claim>)> {
        let published = self.said().into_iter().filter_map(|output| match output {
            Output::Publish { seat, claim } => Some((seat, claim)),
            _ => None,
        });
        published.collect()
    }

    /// Takes the peers to which a seat was offered.
    fn successors(&mut self, of: &Seat) -> Vec<NodeName> {
        let told = self.told(of).into_iter();
        let offers = told.filter(|(_, message)| matches!(message, Message::HandOver(_)));
        offers.map(|(to, _)| to).collect()
    }

    /// Takes the messages about a seat to single peers.
    fn told(&mut self, of: &Seat) -> Vec<(NodeName, Message)> {
        let told = self.said().into_iter().filter_map(|output| match output {
            Output::Send(to, Frame::Seat { seat, message }) => {
                (seat == *of).then_some((to, message))
            }
            Output::SendToLife { to, life, frame } => {
                let Frame::Seat { seat, message } = frame else {
                    panic!("{frame:?}");
                };
                assert_eq!(self.nodes[&to].generation, life, "{to}");
                (seat == *of).then_some((to, message))
            }
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn a_masters_claim_is_published_after_its_epoch_is_written() {
    let mut bench = Bench::new();
    bench.wait(10);
    let persist = Output::Persist {
        seat: Seat::Master,
        epoch: Epoch(4),
    };
    assert_eq!(bench.said(), [persist]);
    bench.persist(Epoch(9)); // it was not asked for
    bench.wait(1);
    assert_eq!((bench.said(), bench.seats.max_epoch()), (vec![], Epoch(3)));
    bench.persist(Epoch(4));
    let own = claim(4, Rank(1), "b");
    assert_eq!(
        bench.published(),
        [(Seat::Master, Some(own.clone()))],
        "told once"
    );
    assert_eq!(bench.seats.holder(&Seat::Master), Some(&own));
    bench.persist(Epoch(4));
    assert_eq!(bench.said(), [], "and a second answer changes nothing");
}

#[test]
fn other_seats_are_taken_without_a_disk() {
    let (mut bench, seat) = (Bench::new(), outside("relay"));
    bench.give(Input::Disk(Disk::Fails));
    bench.want(std::slice::from_ref(&seat));
    bench.wait(10);
    let own = claim(1, election::rendezvous(&seat, &name("b")), "b");
    assert_eq!(bench.seats.others_held(), [(seat, own)].into());
    let persists = |output: &Output| matches!(output, Output::Persist { .. });
    assert!(!bench.said().iter().any(persists));
    assert_eq!(bench.seats.holder(&Seat::Master), None);
}

#[test]
fn an_epoch_that_cannot_be_written_is_not_claimed() {
    let mut bench = Bench::new();
    bench.wait(10);
    let (seat, epoch) = (Seat::Master, Epoch(4));
    bench.give(Input::PersistFailed {
        seat: seat.clone(),
        epoch,
    });
    bench.wait(1);
    assert_eq!(bench.published(), []);
    assert_eq!(bench.seats.own_claim(&seat), None);
}

#[test]
fn messages_about_an_unknown_seat_are_ignored() {
    let (mut bench, seat) = (Bench::seated(&[]), outside("relay"));
    bench.put("a", NodeState::Alive);
    bench.look();
    bench.out.clear();
    let ask = Message::Election {
        rank: Rank(0),
        epoch: Epoch(7),
    };
    bench.hear("a", &seat, ask);
    bench.hear("a", &seat, Message::HandOver(claim(7, Rank(0), "a")));
    let epoch = Epoch(7);
    bench.give(Input::Persisted {
        seat: seat.clone(),
        epoch,
    });
    bench.give(Input::PersistFailed { seat, epoch });
    assert_eq!(bench.said(), []);
    assert_eq!(bench.seats.others_held(), BTreeMap::new());
}

#[test]
fn a_seat_that_is_no_longer_wanted_is_vacated() {
    let seat = outside("relay");
    let mut bench = Bench::seated(std::slice::from_ref(&seat));
    let own = bench.seats.own_claim(&seat).unwrap().clone();
    bench.want(&[]);
    let withdrawn = Output::Publish {
        seat: seat.clone(),
        claim: None,
    };
    let told = Output::Broadcast(frame(&seat, Message::Vacated(own)));
    assert_eq!(bench.said(), [withdrawn, told]);
    bench.want(&[]);
    bench.wait(4);
    assert_eq!((bench.said(), bench.seats.holder(&seat)), (vec![], None));
    assert!(bench.seats.own_claim(&Seat::Master).is_some(), "it stays");
}

#[test]
fn the_masters_seat_always_exists_and_others_are_bounded() {
    let mut bench = Bench::new();
    let mut many: Vec<Seat> = (0..2 * MAX_SEATS)
        .map(|number| outside(&format!("relay-{number}")))
        .collect();
    many.push(Seat::Master);
    bench.want(&many);
    bench.wait(10);
    assert_eq!(bench.seats.others_held().len(), MAX_SEATS);
    bench.want(&[]);
    bench.persist(Epoch(4));
    assert!(bench.seats.own_claim(&Seat::Master).is_some());
    assert!(bench.seats.others_held().is_empty());
}

#[test]
fn a_seat_that_is_wanted_late_may_have_a_holder() {
    let (mut bench, seat) = (Bench::new(), outside("relay"));
    bench.put("a", NodeState::Alive);
    let theirs = claim(5, election::rendezvous(&seat, &name("a")), "a");
    bench.node("a").claims.insert(seat.clone(), theirs.clone());
    bench.wait(10);
    assert!(bench.seats.others_held().is_empty());
    bench.want(std::slice::from_ref(&seat));
    bench.wait(10);
    assert_eq!(bench.seats.holder(&seat), Some(&theirs));
    assert_eq!(bench.seats.own_claim(&seat), None);
}

#[test]
fn an_unchanged_mesh_causes_no_output() {
    let mut bench = Bench::seated(&[outside("relay")]);
    bench.put("a", NodeState::Alive);
    bench.look();
    let pushes = bench.said().len();
    assert_eq!(pushes, 2, "a newcomer is told of both claims");
    for _ in 0..3 {
        bench.look();
        bench.give(Input::Tick);
    }
    assert_eq!(bench.said(), []);
}

#[test]
fn a_claim_counts_while_its_node_makes_it_and_lives() {
    let mut bench = Bench::new();
    bench.put("a", NodeState::Alive);
    let theirs = claim(4, Rank(1), "a");
    bench.node("a").claim = Some(theirs.clone());
    bench.look();
    let changed = |holder| Output::Changed {
        seat: Seat::Master,
        holder,
    };
    assert_eq!(bench.said()[0], changed(Some(theirs.clone())));
    bench.node("a").claim = None;
    bench.look();
    assert_eq!(bench.said(), [changed(None)]);
    bench.node("a").claim = Some(theirs.clone());
    bench.look();
    bench.node("a").state = NodeState::Unlinked;
    bench.look();
    assert_eq!(bench.said(), [changed(Some(theirs))], "a doubt is no death");
    bench.node("a").state = NodeState::Dead;
    bench.look();
    assert_eq!(bench.said(), [changed(None)]);
    bench.nodes.remove(&name("a"));
    bench.look();
    assert_eq!(bench.said(), []);
}

#[test]
fn a_peer_speaks_only_for_itself() {
    let mut bench = Bench::new();
    bench.put("a", NodeState::Alive);
    bench.look();
    let foreign = Message::Coordinator(claim(4, Rank(1), "c"));
    bench.hear("a", &Seat::Master, foreign);
    bench.node("a").claim = Some(claim(4, Rank(1), "c"));
    bench.look();
    let own_name = Message::Coordinator(claim(4, Rank(1), "b"));
    bench.hear("b", &Seat::Master, own_name);
    assert_eq!(bench.seats.holder(&Seat::Master), None);
}

#[test]
fn a_node_can_resign_the_masters_seat_alone() {
    let seat = outside("relay");
    let mut bench = Bench::seated(std::slice::from_ref(&seat));
    bench.give(Input::Resign(Scope::Master));
    assert_eq!(
        bench.published(),
        [(Seat::Master, None)],
        "there is no successor"
    );
    bench.give(Input::Resign(Scope::Master));
    bench.wait(10);
    assert_eq!(bench.said(), []);
    assert!(bench.seats.own_claim(&seat).is_some());
    bench.give(Input::Unresign(Scope::Master));
    bench.wait(2);
    let asked = [Output::Persist {
        seat: Seat::Master,
        epoch: Epoch(5),
    }];
    assert_eq!(bench.said(), asked);
}

#[test]
fn a_node_that_resigns_all_takes_no_later_seat() {
    let [early, late] = ["early", "late"].map(outside);
    let mut bench = Bench::seated(std::slice::from_ref(&early));
    bench.give(Input::Resign(Scope::All));
    assert_eq!(
        bench.published(),
        [(Seat::Master, None), (early.clone(), None)]
    );
    bench.want(&[early.clone(), late.clone()]);
    bench.wait(10);
    bench.give(Input::Unresign(Scope::Master));
    bench.wait(10);
    let claims = [&early, &late].map(|seat| bench.seats.own_claim(seat));
    assert_eq!(claims, [None, None], "the others are still resigned");
    bench.out.clear();
    bench.give(Input::Unresign(Scope::All));
    bench.wait(10);
    let seats: Vec<Seat> = bench
        .published()
        .into_iter()
        .map(|(seat, _)| seat)
        .collect();
    assert_eq!(seats, [early, late]);
}

#[test]
fn a_failing_disk_hands_the_masters_seat_to_a_successor() {
    let seat = outside("relay");
    let mut bench = Bench::seated(std::slice::from_ref(&seat));
    bench.give(Input::Disk(Disk::Fails));
    bench.put("a", NodeState::Alive);
    bench.put("d", NodeState::Dead);
    bench.node("a").disk = Some("full".into());
    bench.wait(2);
    assert_eq!(
        bench.successors(&Seat::Master),
        [],
        "no better disk is there"
    );
    bench.node("a").disk = None;
    bench.look();
    assert_eq!(bench.successors(&Seat::Master), [name("a")]);
    let theirs = claim(5, Rank(1), "a");
    bench.hear("a", &Seat::Master, Message::Coordinator(theirs.clone()));
    assert_eq!(bench.published(), [(Seat::Master, None)]);
    bench.node("a").claim = Some(theirs);
    bench.look();
    bench.persist(Epoch(5)); // its disk had room for this
    bench.node("a").state = NodeState::Dead;
    bench.wait(10);
    assert_eq!(bench.published(), [], "not without a disk");
    assert!(bench.seats.own_claim(&seat).is_some());
    bench.give(Input::Disk(Disk::Works));
    bench.wait(2);
    let asks = |output: &Output| matches!(output, Output::Persist { .. });
    assert!(bench.said().iter().any(asks), "{:?}", bench.seats);
}

#[test]
fn a_working_disk_does_not_undo_a_resignation() {
    let mut bench = Bench::new();
    for disk in [Disk::Fails, Disk::Works, Disk::Works] {
        bench.give(Input::Resign(Scope::Master));
        bench.give(Input::Disk(disk));
        bench.wait(10);
    }
    assert_eq!(bench.said(), []);
    bench.give(Input::Unresign(Scope::All));
    bench.wait(2);
    assert_eq!(bench.said().len(), 1, "its epoch is to be written");
}

#[test]
fn the_master_sets_the_pace() {
    let mut bench = Bench::seated(&[outside("relay")]);
    let wake_at = bench.seats.wake_at();
    assert!(wake_at > bench.now && wake_at <= bench.now + INTERVAL);
    bench.now = wake_at;
    bench.give(Input::Tick);
    assert_eq!(bench.seats.wake_at(), bench.now + INTERVAL);
}
