//! The nodes that stand for each seat: in small meshes by hand, and in any mesh by its laws.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn seat(path: &str) -> Seat {
    Seat::Transcoder(path.parse().unwrap())
}

/// A mesh that all nodes see alike.
#[derive(Default)]
struct Bench {
    runners: Runners,
    seats: TranscoderSeats,
}

impl Bench {
    /// Idle nodes that make Opus and MP3, and vacant seats of Opus.
    fn new(nodes: &[(&str, u32)], seats: &[&str]) -> Self {
        let mut bench = Self::default();
        for (node, most) in nodes {
            let runner = Runner {
                codecs: vec![CodecName::Opus, CodecName::Mp3],
                most: *most,
                cpu_permille: Some(0),
                is_leaving: false,
            };
            bench.runners.insert(name(node), runner);
        }
        for path in seats {
            let vacant = TranscoderSeat {
                codec: CodecName::Opus,
                is_needed: true,
                holder: None,
                stage: TranscoderStage::Unknown,
                is_overdue: false,
            };
            bench.seats.insert(seat(path), vacant);
        }
        bench
    }

    fn runner(&mut self, node: &str) -> &mut Runner {
        self.runners.get_mut(&name(node)).unwrap()
    }

    fn seat(&mut self, path: &str) -> &mut TranscoderSeat {
        self.seats.get_mut(&seat(path)).unwrap()
    }

    fn hold(&mut self, path: &str, holder: &str) {
        self.seat(path).holder = Some(name(holder));
    }

    fn stood_for(&self, node: &str) -> BTreeSet<Seat> {
        stood_for(&name(node), &self.runners, &self.seats)
    }

    /// How many seats each node stands for, in the order of names.
    fn counts(&self) -> Vec<usize> {
        let nodes = self.runners.keys();
        nodes
            .map(|node| stood_for(node, &self.runners, &self.seats).len())
            .collect()
    }

    /// The only node that stands for a seat.
    fn stander(&self, path: &str) -> Option<&NodeName> {
        let stands = |node: &&NodeName| {
            stood_for(node, &self.runners, &self.seats).contains(&self::seat(path))
        };
        let standers: Vec<&NodeName> = self.runners.keys().filter(stands).collect();
        assert!(standers.len() <= 1, "{standers:?}");
        standers.first().copied()
    }
}

const PATHS: [&str; 4] = ["/1.opus", "/2.opus", "/3.opus", "/4.opus"];

#[test]
fn vacant_seats_spread_by_what_each_node_takes() {
    let mut counts = Bench::new(&[("a", 4), ("b", 4), ("c", 4)], &PATHS).counts();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2]);
    let counts = Bench::new(&[("a", 2), ("b", 6)], &PATHS).counts();
    assert_eq!(counts, [1, 3]);
    let counts = Bench::new(&[("a", 1), ("b", 2)], &PATHS).counts();
    assert_eq!(counts, [1, 2], "one has no room anywhere");
    let counts = Bench::new(&[("a", 0), ("b", 0)], &PATHS).counts();
    assert_eq!(counts, [0, 0]);
}

#[test]
fn seats_that_are_held_count_as_load() {
    let mut bench = Bench::new(&[("a", 4), ("b", 4)], &PATHS);
    for path in &PATHS[..2] {
        bench.hold(path, "a");
    }
    assert_eq!(bench.counts(), [2, 2]);
    for path in &PATHS[2..] {
        assert_eq!(bench.stander(path), Some(&name("b")));
    }
}

#[test]
fn a_busy_node_gets_a_seat_only_if_all_others_are_busy_or_full() {
    let mut bench = Bench::new(&[("a", 4), ("b", 4)], &PATHS[..1]);
    bench.runner("a").cpu_permille = Some(BUSY_PERMILLE + 1);
    assert_eq!(bench.counts(), [0, 1]);
    bench.runner("b").most = 0;
    assert_eq!(bench.counts(), [1, 0]);
    let mut bench = Bench::new(&[("a", 8), ("b", 4)], &PATHS[..1]);
    assert_eq!(bench.counts(), [1, 0]);
    for cpu in [None, Some(BUSY_PERMILLE - 300), Some(BUSY_PERMILLE)] {
        bench.runner("a").cpu_permille = cpu;
        assert_eq!(bench.counts(), [1, 0], "{cpu:?} is room enough");
    }
    bench.runner("a").cpu_permille = Some(1_000);
    bench.runner("b").cpu_permille = Some(900);
    assert_eq!(bench.counts(), [1, 0], "both are busy");
}

#[test]
fn a_working_holder_keeps_its_seats_whatever_its_load() {
    let mut bench = Bench::new(&[("a", 4), ("b", 4)], &PATHS);
    for path in PATHS {
        bench.hold(path, "a");
    }
    bench.runner("a").cpu_permille = Some(1_000);
    assert_eq!(bench.counts(), [4, 0]);
    bench.seat(PATHS[0]).is_overdue = true; // which is said of vacant seats only
    assert_eq!(bench.stood_for("a").len(), 4);
}

#[test]
fn a_holder_over_its_limit_gives_up_its_least_ranks() {
    let mut bench = Bench::new(&[("a", 2), ("b", 4)], &PATHS);
    for path in PATHS {
        bench.hold(path, "a");
    }
    let mut by_rank = PATHS.map(seat);
    by_rank.sort_by_key(|seat| Reverse(rendezvous(seat, &name("a"))));
    let [kept, given] = [&by_rank[..2], &by_rank[2..]];
    assert_eq!(bench.stood_for("a"), kept.iter().cloned().collect());
    assert_eq!(bench.stood_for("b"), given.iter().cloned().collect());
    bench.runner("a").most = 0;
    assert_eq!(bench.counts(), [0, 4]);
}

#[test]
fn a_holder_that_can_run_none_any_more_is_replaced() {
    let mut bench = Bench::new(&[("a", 4), ("b", 4)], &PATHS[..2]);
    bench.hold(PATHS[0], "a");
    bench.hold(PATHS[1], "a");
    bench.runner("a").codecs = vec![CodecName::Mp3];
    assert_eq!(bench.counts(), [0, 2]);
    bench.runners.remove(&name("a"));
    assert!(bench.stood_for("a").is_empty(), "it lost its tool");
    assert_eq!(bench.stood_for("b").len(), 2);
    bench.hold(PATHS[0], "older");
    assert_eq!(
        bench.stood_for("b").len(),
        2,
        "a node without a card holds it"
    );
}

#[test]
fn only_nodes_that_can_make_the_codec_stand() {
    let mut bench = Bench::new(&[("a", 4), ("b", 4)], &PATHS[..1]);
    bench.runner("a").codecs = vec![CodecName::Mp3];
    assert_eq!(bench.stander(PATHS[0]), Some(&name("b")));
    for codec in [CodecName::Flac, CodecName::Unknown] {
        bench.seat(PATHS[0]).codec = codec;
        bench.runner("b").codecs = vec![CodecName::Opus, CodecName::Unknown];
        bench.seat(PATHS[0]).is_overdue = true;
        assert_eq!(bench.counts(), [0, 0], "{codec:?}");
    }
}

#[test]
fn every_able_node_with_room_stands_for_an_overdue_seat() {
    let mut bench = Bench::new(&[("a", 4), ("b", 4), ("c", 1)], &PATHS[..2]);
    bench.hold(PATHS[1], "c");
    bench.seat(PATHS[0]).is_overdue = true;
    assert_eq!(bench.counts(), [1, 1, 1], "c has no room");
    bench.runner("a").codecs.clear();
    assert_eq!(bench.counts(), [0, 1, 1]);
    for path in &PATHS[..2] {
        bench.seat(path).holder = None;
        bench.seat(path).is_overdue = true;
    }
    assert_eq!(bench.counts(), [0, 2, 1], "never more than its room");
}

#[test]
fn what_waits_for_its_source_takes_no_room() {
    let mut bench = Bench::new(&[("a", 1)], &PATHS);
    for path in &PATHS[..3] {
        bench.seat(path).is_needed = false;
    }
    assert_eq!(bench.counts(), [4]);
    bench.seat(PATHS[0]).is_needed = true;
    assert_eq!(bench.counts(), [3], "two sources, and room for one");
    let mut bench = Bench::new(&[("a", 2), ("b", 2)], &PATHS);
    for path in PATHS {
        bench.seat(path).is_needed = false;
    }
    assert_eq!(bench.counts(), [2, 2], "they spread all the same");
    bench.runner("a").most = 0;
    for path in PATHS {
        bench.seat(path).is_overdue = true;
    }
    assert_eq!(
        bench.counts(),
        [0, 4],
        "a node that may run none waits for none"
    );
}

#[test]
fn what_is_made_already_keeps_its_room() {
    let mut bench = Bench::new(&[("a", 1), ("b", 1)], &PATHS[..3]);
    for path in &PATHS[..3] {
        bench.hold(path, "a");
    }
    for made in &PATHS[..3] {
        for path in &PATHS[..3] {
            bench.seat(path).stage = match path == made {
                true => TranscoderStage::Running,
                false => TranscoderStage::Waiting,
            };
        }
        assert_eq!(bench.stood_for("a"), [seat(made)].into());
        assert_eq!(bench.stood_for("b").len(), 1, "one has no room anywhere");
    }
    // A program ends a little after its source, or its last listener, has gone; until then it takes its room.
    bench.seat(PATHS[2]).is_needed = false;
    assert_eq!(bench.stood_for("a"), [seat(PATHS[2])].into());
    bench.seat(PATHS[2]).stage = TranscoderStage::Idle;
    assert_eq!(bench.stood_for("a").len(), 2);
}

#[test]
fn a_node_that_leaves_keeps_what_it_makes_until_another_has_room() {
    let mut bench = Bench::new(&[("a", 4), ("b", 1)], &PATHS[..3]);
    for path in &PATHS[..3] {
        bench.hold(path, "a");
        bench.seat(path).stage = TranscoderStage::Running;
    }
    bench.runner("a").is_leaving = true;
    bench.seat(PATHS[2]).stage = TranscoderStage::Waiting;
    assert_eq!(bench.stood_for("b"), [seat(PATHS[0])].into());
    assert_eq!(
        bench.stood_for("a"),
        [seat(PATHS[1])].into(),
        "not what it makes not yet"
    );
    bench.runner("b").most = 3;
    assert_eq!(bench.counts(), [0, 3]);
    bench.seat(PATHS[0]).holder = None;
    bench.seat(PATHS[0]).is_overdue = true;
    bench.runners.remove(&name("b"));
    assert_eq!(
        bench.stood_for("a"),
        [seat(PATHS[1])].into(),
        "it gets no other"
    );
}

/// A mesh in which each node sees what it sees: nodes stand, the greatest of those who do takes a vacant seat, and a holder
/// that does not stand leaves.
#[derive(Clone, Debug)]
struct Mesh {
    runners: Vec<Runner>,
    codecs: Vec<CodecName>,
    /// Whether each seat has something to make.
    needed: Vec<bool>,
    /// The holder of each seat.
    held: Vec<Option<usize>>,
    vacant_rounds: Vec<usize>,
}

/// The belief of a node about the others: which runners it sees, and who holds what.
type Belief = (Vec<bool>, Vec<Option<usize>>);

impl Mesh {
    fn node(number: usize) -> NodeName {
        name(&format!("n{number}"))
    }

    fn path(number: usize) -> Seat {
        seat(&format!("/s{number}"))
    }

    /// The seats that a node stands for, by a belief or by the truth. Of itself it knows the truth.
    fn stood_for(&self, me: usize, belief: Option<&Belief>) -> BTreeSet<Seat> {
        let is_seen = |number: usize| {
            number == me || belief.is_none_or(|(seen, _)| seen.get(number) != Some(&false))
        };
        let runners = self.runners.iter().enumerate();
        let runners = runners.filter(|(number, _)| is_seen(*number));
        let runners = runners.map(|(number, runner)| (Self::node(number), runner.clone()));
        let holder = |number: usize| {
            let truth = self.held[number];
            let believed = belief.and_then(|(_, held)| held.get(number));
            match believed {
                Some(believed) if truth != Some(me) && *believed != Some(me) => *believed,
                _ => truth,
            }
        };
        let seats = self.codecs.iter().enumerate().map(|(number, codec)| {
            let holder = holder(number).map(Self::node);
            let seen = TranscoderSeat {
                codec: *codec,
                is_needed: self.needed[number],
                stage: TranscoderStage::Unknown,
                is_overdue: holder.is_none() && self.vacant_rounds[number] > 2,
                holder,
            };
            (Self::path(number), seen)
        });
        stood_for(&Self::node(me), &runners.collect(), &seats.collect())
    }

    fn round(&mut self, beliefs: &[Belief]) {
        let nodes = 0..self.runners.len();
        let stood = nodes.map(|me| self.stood_for(me, beliefs.get(me)));
        let stood: Vec<BTreeSet<Seat>> = stood.collect();
        for number in 0..self.held.len() {
            let seat = Self::path(number);
            let stands = |node: &usize| stood.get(*node).is_some_and(|it| it.contains(&seat));
            self.held[number] = match self.held[number] {
                Some(holder) => Some(holder).filter(stands),
                None => {
                    let standers = (0..stood.len()).filter(stands);
                    standers.max_by_key(|node| rendezvous(&seat, &Self::node(*node)))
                }
            };
            self.vacant_rounds[number] = match self.held[number] {
                Some(_) => 0,
                None => self.vacant_rounds[number] + 1,
            };
        }
    }

    /// How many seats that need room a node holds.
    fn count(&self, node: usize) -> usize {
        let held = self.held.iter().zip(&self.needed);
        held.filter(|(holder, needed)| **needed && **holder == Some(node))
            .count()
    }

    /// How many of these seats need room.
    fn taking_room(&self, seats: &BTreeSet<Seat>) -> usize {
        let takes_room = |number: &usize| self.needed[*number];
        let numbers = (0..self.needed.len()).filter(takes_room);
        numbers
            .filter(|it| seats.contains(&Self::path(*it)))
            .count()
    }

    /// Whether a node has no room for a seat.
    fn is_full(&self, runner: &Runner, seat: usize, running: usize) -> bool {
        match self.needed[seat] {
            true => running >= runner.most as usize,
            false => runner.most == 0,
        }
    }
}

fn runner() -> impl Strategy<Value = Runner> {
    let codecs = prop_oneof![
        Just(vec![CodecName::Opus]),
        Just(vec![CodecName::Mp3]),
        Just(vec![CodecName::Opus, CodecName::Mp3]),
        Just(vec![]),
    ];
    let parts = (codecs, 0_u32..5, proptest::option::of(0_u16..=1_000));
    parts.prop_map(|(codecs, most, cpu_permille)| Runner {
        codecs,
        most,
        cpu_permille,
        is_leaving: false,
    })
}

fn mesh() -> impl Strategy<Value = Mesh> {
    let codec = prop_oneof![Just(CodecName::Opus), Just(CodecName::Mp3)];
    let seat = (codec, proptest::option::of(0_usize..8), any::<bool>());
    (vec(runner(), 1..6), vec(seat, 0..9)).prop_map(|(runners, seats)| Mesh {
        runners,
        vacant_rounds: vec![0; seats.len()],
        codecs: seats.iter().map(|(codec, ..)| *codec).collect(),
        held: seats.iter().map(|(_, holder, _)| *holder).collect(),
        needed: seats.iter().map(|(.., needed)| *needed).collect(),
    })
}

fn beliefs() -> impl Strategy<Value = Vec<Vec<Belief>>> {
    let held = vec(proptest::option::of(0_usize..8), 8);
    vec(vec((vec(any::<bool>(), 5), held), 5), 0..5)
}

proptest! {
    #[test]
    fn of_nodes_that_see_alike_one_stands_for_each_seat(mesh in mesh()) {
        let nodes = 0..mesh.runners.len();
        let stood: Vec<_> = nodes.map(|me| mesh.stood_for(me, None)).collect();
        for (runner, seats) in mesh.runners.iter().zip(&stood) {
            prop_assert!(mesh.taking_room(seats) <= runner.most as usize);
        }
        for (number, codec) in mesh.codecs.iter().enumerate() {
            let seat = Mesh::path(number);
            let able = mesh.runners.iter().zip(&stood);
            let able: Vec<_> = able.filter(|(runner, _)| runner.can_make(*codec)).collect();
            let standers = stood.iter().filter(|seats| seats.contains(&seat)).count();
            let able_ones = able.iter().filter(|(_, seats)| seats.contains(&seat)).count();
            prop_assert_eq!(standers, able_ones);
            let is_full = |runner: &Runner, seats| mesh.is_full(runner, number, mesh.taking_room(seats));
            let are_full = able.iter().all(|(runner, seats)| is_full(runner, seats));
            prop_assert!(standers == 1 || (standers == 0 && are_full));
        }
    }

    #[test]
    fn loads_of_processors_move_no_seat_that_is_held(
        mesh in mesh(),
        loads in vec(proptest::option::of(0_u16..=1_000), 6),
    ) {
        let mut later = mesh.clone();
        for (runner, load) in later.runners.iter_mut().zip(loads) {
            runner.cpu_permille = load;
        }
        for (number, holder) in mesh.held.iter().enumerate() {
            let Some(holder) = holder.filter(|it| *it < mesh.runners.len()) else {
                continue;
            };
            let seat = Mesh::path(number);
            let stands = |mesh: &Mesh| mesh.stood_for(holder, None).contains(&seat);
            let runner = &mesh.runners[holder];
            let keeps = runner.can_make(mesh.codecs[number]);
            if keeps && mesh.count(holder) <= runner.most as usize {
                prop_assert!(stands(&mesh) && stands(&later));
            }
        }
    }

    #[test]
    fn all_seats_that_can_be_are_held_once_views_agree(
        mut mesh in mesh(),
        beliefs in beliefs(),
    ) {
        for round in &beliefs {
            mesh.round(round);
        }
        // One to leave what cannot be kept, one for each seat to be taken, and the patience in between.
        for _ in 0..mesh.held.len() + 5 {
            mesh.round(&[]);
        }
        for (node, runner) in mesh.runners.iter().enumerate() {
            prop_assert!(mesh.count(node) <= runner.most as usize);
        }
        for (number, (codec, holder)) in mesh.codecs.iter().zip(&mesh.held).enumerate() {
            match holder {
                Some(holder) => prop_assert!(mesh.runners[*holder].can_make(*codec)),
                None => {
                    let runners = mesh.runners.iter().enumerate();
                    let mut able = runners.filter(|(_, runner)| runner.can_make(*codec));
                    let is_full = able.all(|(node, it)| mesh.is_full(it, number, mesh.count(node)));
                    prop_assert!(is_full);
                }
            }
        }
        let settled = mesh.held.clone();
        for runner in &mut mesh.runners {
            runner.cpu_permille = Some(1_000);
        }
        mesh.round(&[]);
        prop_assert_eq!(settled, mesh.held);
    }
}
