//! The network between the nodes is cut, and heals: each side plays what it has, and then all play one stream.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::chaos::blow::Harm;
use crate::support::crowd::{Crowd, Notes};
use crate::support::encoder::{Encoder, Target};
use crate::support::mesh::TestMesh;
use crate::support::network::Network;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::signal::Received;
use crate::support::times::Times;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The side of the first encoder. Its node is the master, too, so that it has one from the start.
const ONE: [usize; 2] = [0, 1];
/// The greater side.
const OTHER: [usize; 3] = [2, 3, 4];
/// The first frame of the second encoder.
const RIVAL: u64 = 1_000_000_000;
/// Listeners at each node.
const LISTENERS: usize = 4;
/// How long all hear the stream before a cut that is measured: their bursts are over then.
const BEFORE: Duration = Duration::from_secs(8);
/// How long a short cut lasts: longer than everything that waits for a peer.
const CUT: Duration = Duration::from_secs(8);
/// How soon after the heal all listeners hear the one stream; other tests keep both cores busy.
const HEARD_AGAIN: Duration = Duration::from_secs(8);

/// Five nodes behind a router, an encoder at the first, and listeners at each.
struct Stage {
    // In the order in which they are to go.
    crowd: Crowd,
    encoder: Encoder,
    mesh: TestMesh,
    network: Network,
}

impl Stage {
    fn set(mount: &str) -> Option<Self> {
        let sites = ONE.len() + OTHER.len();
        let network = Network::build(sites)?;
        let mesh = TestMesh::start_with(sites, |index, setup| setup.inside(network.site(index)));
        mesh.nodes[0].create_mount_with(RADIO, PASSWORD, mount);
        mesh.wait_for_mount(RADIO);
        let encoder = Encoder::start(target(&mesh, &ONE, 0));
        mesh.wait_on_air(RADIO);
        let urls = mesh
            .nodes
            .iter()
            .map(|node| format!("{}/_stream/n1{RADIO}", node.url()));
        let urls: Vec<String> = urls.collect();
        let homes = vec![urls.clone(); LISTENERS].concat();
        let crowd = Crowd::gather(&homes, &urls, &encoder.diary());
        crowd.go_home();
        crowd.take_notes();
        Some(Self {
            crowd,
            encoder,
            mesh,
            network,
        })
    }

    fn part(&self) {
        self.network.part((&ONE, &OTHER));
        self.mesh.wait_agreed_among(&ONE);
        self.mesh.wait_agreed_among(&OTHER);
    }

    /// Heals the network; how long it took until all listeners heard the first encoder again.
    fn join(&self) -> Duration {
        self.network.join((&ONE, &OTHER));
        let now = self.encoder.next();
        let heard = self.crowd.wait_heard(now..RIVAL, &[]);
        println!("all heard one stream {heard:?} after the heal");
        self.mesh.wait_agreed();
        heard
    }

    /// The addresses of some nodes.
    fn addresses(&self, nodes: &[usize]) -> Vec<String> {
        nodes
            .iter()
            .map(|it| self.mesh.nodes[*it].address())
            .collect()
    }

    /// The harm that those on the encoder's side have noticed, as that of a blow.
    fn harm_on_one_side(&self) -> Harm {
        let own = self.addresses(&ONE);
        let mut harm = Harm {
            known_dropped: self.encoder.dropped(),
            ..Harm::default()
        };
        for (place, notes) in self.crowd.places().iter().zip(self.crowd.take_notes()) {
            if place.as_ref().is_none_or(|it| own.contains(it)) {
                harm.add(&Notes::default(), &notes);
            } else {
                harm.closed_elsewhere += notes.closed;
            }
        }
        harm
    }

    /// Nobody on the encoder's side has noticed anything.
    fn check_one_side(&self) {
        let harm = self.harm_on_one_side();
        let bytes = (harm.lost_bytes, harm.doubled_bytes, harm.foreign_bytes);
        assert_eq!((harm.closed_elsewhere, bytes), (0, (0, 0, 0)), "{harm}");
        assert!(Times::of(harm.stalls).longest() < Some(HEARD_AGAIN / 2));
        assert_eq!(self.encoder.dropped(), 0);
    }
}

/// Cuts the network for so long, heals it, and says what that has done; `None` where there are no namespaces.
///
/// The stall is the time from the heal until all hear the source. On the side without one bytes are missed while
/// the network is cut, if that is longer than a ring; no others count.
pub(crate) fn strike(cut: Duration) -> Option<Harm> {
    let stage = Stage::set(r#""linger_s": 60"#)?;
    wait(BEFORE);
    stage.crowd.take_notes();
    stage.part();
    wait(cut);
    let heard = stage.join();
    for n in &stage.mesh.nodes {
        println!("==== {}\n{}", n.name(), n.log());
    }
    let runs = stage.crowd.runs();
    let mut harm = stage.harm_on_one_side();
    for (_, runs) in runs {
        assert!(runs.len() <= 2, "one hole at most: {runs:?}");
    }
    let now = stage.encoder.next();
    stage.crowd.wait_heard(now + 80..RIVAL, &[]);
    for notes in stage.crowd.take_notes() {
        harm.add(&notes.clone(), &notes);
    }
    harm.stalls = vec![heard];
    Some(harm)
}

/// An encoder that tries some nodes of a mesh only.
fn target(mesh: &TestMesh, nodes: &[usize], first: u64) -> Target {
    Target {
        first,
        ..Target::of(
            nodes.iter().map(|it| mesh.nodes[*it].address()).collect(),
            RADIO,
            PASSWORD,
        )
    }
}

fn wait(time: Duration) {
    let begun = Instant::now();
    eventually(2 * time, "the time is over", || {
        so(begun.elapsed() >= time, "not yet")
    });
}

/// The encoder of each run of frames: `false` the first, `true` its rival.
fn sides(runs: &[Received]) -> Vec<bool> {
    let mut sides: Vec<bool> = runs.iter().map(|run| run.next > RIVAL).collect();
    sides.dedup();
    sides
}

#[test]
fn a_healed_partition_costs_the_encoders_side_nothing() {
    let Some(stage) = Stage::set(r#""linger_s": 60"#) else {
        return;
    };
    stage.part();
    wait(CUT);
    let heard = stage.join();
    assert!(heard <= HEARD_AGAIN, "{heard:?}");
    let far = stage.addresses(&OTHER);
    for (place, runs) in stage.crowd.runs() {
        if place.as_ref().is_some_and(|it| far.contains(it)) {
            // What was on air meanwhile is still in the ring of its node: late, and whole.
            assert_eq!(runs.len(), 1, "{place:?} {runs:?}");
        }
    }
    stage.check_one_side();
}

#[test]
fn a_healed_partition_leaves_a_mount_one_source() {
    let Some(stage) = Stage::set(r#""linger_s": 60"#) else {
        return;
    };
    stage.part();
    let rival = Encoder::start(target(&stage.mesh, &OTHER, RIVAL));
    let far = stage.addresses(&OTHER);
    stage
        .crowd
        .wait_heard(RIVAL..u64::MAX, &stage.addresses(&ONE));
    wait(CUT);
    let heard = stage.join();
    assert!(heard <= HEARD_AGAIN, "{heard:?}");
    eventually(PATIENCE, "the rival is sent away", || {
        so(rival.dropped() == 1, rival.dropped())
    });
    assert_eq!(rival.at(), None, "it is refused since");
    for (place, runs) in stage.crowd.runs() {
        if place.as_ref().is_some_and(|it| far.contains(it)) {
            assert_eq!(sides(&runs), [false, true, false], "{place:?} {runs:?}");
        }
    }
    // After the heal nothing is lost, doubled or mixed any more.
    stage.crowd.take_notes();
    let now = stage.encoder.next();
    stage.crowd.wait_heard(now + 80..RIVAL, &[]);
    let flaws: BTreeSet<_> = stage
        .crowd
        .runs()
        .iter()
        .map(|(_, runs)| runs.len())
        .collect();
    assert_eq!(flaws, BTreeSet::from([1]));
    stage.check_one_side();
}

#[test]
fn a_source_displaced_after_a_partition_may_wait() {
    let Some(stage) = Stage::set(r#""linger_s": 60, "standby": true"#) else {
        return;
    };
    stage.part();
    let rival = Encoder::start(target(&stage.mesh, &OTHER, RIVAL));
    stage
        .crowd
        .wait_heard(RIVAL..u64::MAX, &stage.addresses(&ONE));
    stage.join();
    let waiting = rival.at().expect("it was accepted");
    let waiter = stage.mesh.named(&waiting);
    stage
        .mesh
        .wait_each_sees(RADIO, "the rival on standby", |mount| {
            mount.standby.iter().map(|it| it.as_str()).eq([waiter])
        });
    stage.check_one_side();
    assert_eq!((rival.dropped(), rival.at()), (0, Some(waiting)));
    let Stage {
        crowd,
        encoder,
        mesh,
        network,
    } = stage;
    drop(encoder);
    let heard = crowd.wait_heard(RIVAL..u64::MAX, &[]);
    println!("the one on standby was heard after {heard:?}");
    assert_eq!(rival.dropped(), 0);
    drop((crowd, rival, mesh, network));
}

#[test]
fn a_one_way_cut_heals_like_a_cut() {
    let Some(stage) = Stage::set(r#""linger_s": 60"#) else {
        return;
    };
    let ways = ONE.iter().flat_map(|one| OTHER.map(|other| (*one, other)));
    let ways: Vec<(usize, usize)> = ways.collect();
    for (from, to) in &ways {
        stage.network.cut(*from, *to);
    }
    stage.mesh.wait_agreed_among(&ONE);
    stage.mesh.wait_agreed_among(&OTHER);
    wait(CUT);
    for (from, to) in &ways {
        stage.network.heal(*from, *to);
    }
    let now = stage.encoder.next();
    let heard = stage.crowd.wait_heard(now..RIVAL, &[]);
    println!("all heard one stream {heard:?} after the heal");
    stage.mesh.wait_agreed();
    let heard_once: Vec<usize> = stage
        .crowd
        .runs()
        .iter()
        .map(|(_, runs)| runs.len())
        .collect();
    assert!(heard_once.iter().all(|it| *it == 1), "{heard_once:?}");
    stage.check_one_side();
}
