//! The jobs of a node whose seats a test gives and takes.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::info_span;

use super::*;
use crate::logic::jobs::LONGEST_RESTART_WAIT;
use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch, Rank};
use crate::service::mesh::samples::SampleMesh;

/// Far longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// The message of a job to the test.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Begun(u8),
    Dropped(u8),
    Withdrawn(u8),
}

/// A kind whose jobs tell what happens to them.
#[derive(Clone)]
struct Sample {
    name: &'static str,
    told: mpsc::UnboundedSender<Told>,
    /// How the jobs that begin next end by themselves.
    fate: Arc<Mutex<Fate>>,
    /// A permit for each withdrawal that may be completed.
    withdrawals: Arc<Semaphore>,
}

#[derive(Clone, Copy)]
enum Fate {
    Works,
    Panics,
    Returns,
}

/// Tells when a job is dropped.
struct Running(u8, mpsc::UnboundedSender<Told>);

impl Drop for Running {
    fn drop(&mut self) {
        let _over = self.1.send(Told::Dropped(self.0));
    }
}

impl JobKind for Sample {
    type Spec = u8;

    fn name(&self) -> &'static str {
        self.name
    }

    fn span(&self, spec: &u8) -> Span {
        info_span!("sample", spec)
    }

    async fn work(&self, spec: u8) {
        let _running = Running(spec, self.told.clone());
        self.told.send(Told::Begun(spec)).unwrap();
        let fate = *self.fate.lock();
        match fate {
            Fate::Works => pending().await,
            Fate::Panics => panic!("as the test wants"),
            Fate::Returns => {}
        }
    }

    async fn withdraw(&self, spec: u8) {
        self.withdrawals.acquire().await.unwrap().forget();
        self.told.send(Told::Withdrawn(spec)).unwrap();
    }
}

/// One kind of jobs at one node.
struct Bench {
    node: SampleMesh,
    kind: Sample,
    jobs: Jobs<Sample>,
    told: mpsc::UnboundedReceiver<Told>,
}

fn seat(name: &str) -> Seat {
    Seat::Outside(NodeName::try_from(name).unwrap())
}

/// A job that this node would do.
fn declared(name: &str, spec: u8) -> (Seat, Declaration<u8>) {
    let stance = Stance::Stand;
    (seat(name), Declaration { spec, stance })
}

/// The seats of these names, for which this node stands.
fn stood_for(names: &[&str]) -> BTreeMap<Seat, Stance> {
    let seats = names.iter().map(|name| (seat(name), Stance::Stand));
    seats.collect()
}

fn start_kind(
    name: &'static str,
    node: &SampleMesh,
) -> (Sample, Jobs<Sample>, mpsc::UnboundedReceiver<Told>) {
    let (tell, told) = mpsc::unbounded_channel();
    let kind = Sample {
        name,
        told: tell,
        fate: Arc::new(Mutex::new(Fate::Works)),
        withdrawals: Arc::new(Semaphore::new(100)),
    };
    let jobs = Jobs::start(kind.clone(), &node.mesh);
    (kind, jobs, told)
}

impl Bench {
    async fn start() -> Self {
        let node = SampleMesh::start().await;
        let (kind, jobs, told) = start_kind("sample", &node);
        Self {
            node,
            kind,
            jobs,
            told,
        }
    }

    fn declare(&self, jobs: &[(&str, u8)]) {
        let jobs = jobs.iter().map(|(name, spec)| declared(name, *spec));
        self.jobs.declare(jobs.collect());
    }

    /// Lets the named nodes hold these seats, and no others be held.
    fn hold(&self, holders: &[(&str, &str)]) {
        hold(&self.node, holders);
    }

    async fn told(&mut self) -> Told {
        let told = timeout(PATIENCE, self.told.recv()).await;
        told.expect("something happens").unwrap()
    }

    /// Nothing is told, also when a look at the mesh goes by.
    async fn is_quiet(&mut self) {
        self.node.view.send_modify(|_| {});
        let told = timeout(Duration::from_millis(200), self.told.recv()).await;
        assert!(told.is_err(), "{told:?}");
    }
}

fn hold(node: &SampleMesh, holders: &[(&str, &str)]) {
    let claims = holders.iter().map(|(name, holder)| {
        let claim = Claim {
            epoch: Epoch(1),
            rank: Rank(1),
            node: NodeName::try_from(*holder).unwrap(),
        };
        (seat(name), claim)
    });
    let seats = claims.collect();
    node.view
        .send_modify(|view| Arc::make_mut(view).seats = seats);
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_where_its_seat_is_held() {
    let mut bench = Bench::start().await;
    bench.declare(&[("x", 1), ("y", 2)]);
    bench.is_quiet().await;
    assert_eq!(
        bench.node.mesh.cluster.declared_seats(),
        stood_for(&["x", "y"])
    );
    bench.hold(&[("x", "a"), ("y", "b")]);
    assert_eq!(bench.told().await, Told::Begun(1));
    bench.is_quiet().await;
    bench.hold(&[("x", "b"), ("y", "a")]);
    let mut told = [(); 3].map(|()| None);
    for slot in &mut told {
        *slot = Some(bench.told().await);
    }
    assert!(told.contains(&Some(Told::Begun(2))));
    told[..].sort_by_key(|it| *it == Some(Told::Begun(2)));
    assert_eq!(
        told[..2],
        [Some(Told::Dropped(1)), Some(Told::Withdrawn(1))]
    );
    bench.declare(&[("x", 1)]);
    assert_eq!(bench.told().await, Told::Dropped(2));
    assert_eq!(bench.told().await, Told::Withdrawn(2));
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_seat_won_again_waits_for_what_is_taken_back() {
    let mut bench = Bench::start().await;
    bench.kind.withdrawals.forget_permits(100);
    bench.declare(&[("x", 1)]);
    bench.hold(&[("x", "a")]);
    assert_eq!(bench.told().await, Told::Begun(1));
    bench.hold(&[]);
    assert_eq!(bench.told().await, Told::Dropped(1));
    bench.is_quiet().await;
    bench.hold(&[("x", "a")]);
    bench.is_quiet().await;
    bench.kind.withdrawals.add_permits(1);
    assert_eq!(bench.told().await, Told::Withdrawn(1));
    assert_eq!(bench.told().await, Told::Begun(1));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_hangs_blocks_its_seat_for_a_while() {
    let mut bench = Bench::start().await;
    bench.kind.withdrawals.forget_permits(100);
    bench.declare(&[("x", 1)]);
    bench.hold(&[("x", "a")]);
    assert_eq!(bench.told().await, Told::Begun(1));
    bench.hold(&[]);
    assert_eq!(bench.told().await, Told::Dropped(1));
    let asked = clock::now();
    bench.hold(&[("x", "a")]);
    assert_eq!(bench.told().await, Told::Begun(1));
    let blocked = clock::now() - asked;
    assert!(
        (WITHDRAWAL_LIMIT..2 * WITHDRAWAL_LIMIT).contains(&blocked),
        "{blocked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_jobs_end_and_leave_their_seats() {
    let mut bench = Bench::start().await;
    let (_kind, others, mut told) = start_kind("other", &bench.node);
    hold(&bench.node, &[("x", "a"), ("y", "a")]);
    bench.declare(&[("x", 1)]);
    others.declare([declared("y", 2)].into());
    assert_eq!(bench.told().await, Told::Begun(1));
    assert_eq!(told.recv().await, Some(Told::Begun(2)));
    drop(others);
    assert_eq!(told.recv().await, Some(Told::Dropped(2)));
    let declared = bench.node.mesh.cluster.declared_seats();
    assert_eq!(declared, stood_for(&["x"]));
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_described_anew_is_begun_again_and_takes_nothing_back() {
    let mut bench = Bench::start().await;
    bench.hold(&[("x", "a")]);
    bench.declare(&[("x", 1)]);
    assert_eq!(bench.told().await, Told::Begun(1));
    bench.declare(&[("x", 2)]);
    assert_eq!(bench.told().await, Told::Dropped(1));
    assert_eq!(bench.told().await, Told::Begun(2));
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_stood_for_ends_with_its_seat() {
    let mut bench = Bench::start().await;
    bench.hold(&[("x", "a")]);
    bench.declare(&[("x", 1)]);
    assert_eq!(bench.told().await, Told::Begun(1));
    let (seat, job) = declared("x", 1);
    let stance = Stance::Follow;
    let declared = Declaration { stance, ..job };
    bench.jobs.declare([(seat.clone(), declared)].into());
    let seats = bench.node.mesh.cluster.declared_seats();
    assert_eq!(seats, [(seat, stance)].into());
    bench.is_quiet().await;
    bench.hold(&[("x", "b")]);
    assert_eq!(bench.told().await, Told::Dropped(1));
    assert_eq!(bench.told().await, Told::Withdrawn(1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_or_returns_is_begun_again() {
    let mut bench = Bench::start().await;
    bench.hold(&[("x", "a")]);
    for fate in [Fate::Panics, Fate::Returns] {
        *bench.kind.fate.lock() = fate;
        bench.declare(&[("x", 1)]);
        for _ in 0..3 {
            assert_eq!(bench.told().await, Told::Begun(1));
            assert_eq!(bench.told().await, Told::Dropped(1));
        }
        bench.declare(&[]);
        assert_eq!(bench.told().await, Told::Withdrawn(1));
        tokio::time::sleep(LONGEST_RESTART_WAIT).await;
        bench.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_kinds_leave_each_other_alone() {
    let mut bench = Bench::start().await;
    let (_kind, others, mut told) = start_kind("other", &bench.node);
    hold(&bench.node, &[("x", "a"), ("y", "a")]);
    bench.declare(&[("x", 1)]);
    others.declare([declared("y", 2)].into());
    assert_eq!(bench.told().await, Told::Begun(1));
    assert_eq!(told.recv().await, Some(Told::Begun(2)));
    let declared = || bench.node.mesh.cluster.declared_seats();
    assert_eq!(declared(), stood_for(&["x", "y"]));
    others.declare(BTreeMap::new());
    assert_eq!(declared(), stood_for(&["x"]));
    assert_eq!(told.recv().await, Some(Told::Dropped(2)));
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn all_jobs_end_with_the_node() {
    let mut bench = Bench::start().await;
    bench.declare(&[("x", 1), ("y", 2)]);
    bench.hold(&[("x", "a"), ("y", "a")]);
    assert_eq!(bench.told().await, Told::Begun(1));
    assert_eq!(bench.told().await, Told::Begun(2));
    let tasks = bench.node.mesh.tasks.clone();
    tasks.end();
    let mut dropped = [bench.told().await, bench.told().await];
    dropped.sort_by_key(|it| *it == Told::Dropped(2));
    assert_eq!(dropped, [Told::Dropped(1), Told::Dropped(2)]);
    let ended = timeout(PATIENCE, tasks.all_ended()).await;
    ended.expect("the task of the kind ends too");
}
