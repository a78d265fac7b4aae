//! The jobs of exactly one node of the mesh: each has a seat of its own, and runs at the node that holds the seat.
//!
//! A service that has such work says what it is with a [`JobKind`], and declares the jobs. For each kind one task
//! follows the seats and does what [`Roster`] decides. The seats of one kind do not touch those of another.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tracing::{Instrument, Span, warn};

use super::cluster::Cluster;
use super::mesh::Mesh;
use crate::io::clock;
use crate::io::tasks::Tasks;
use crate::logic::jobs::{Job, JobEvent, JobOrder, Roster};
use crate::model::seat::{Seat, Stance};
use crate::proto::view::MeshView;

/// How long a job may take to take back what it has told others. That is one message or an answer of a server; longer, its
/// seat would be of no use to this node.
pub const WITHDRAWAL_LIMIT: Duration = Duration::from_secs(10);

/// A kind of jobs, and how one of them is done.
pub trait JobKind: Clone + Send + Sync + 'static {
    /// The description of a job. When this changes, the job is ended and begun again.
    type Spec: Clone + PartialEq + Send + Sync + 'static;

    /// The name of the kind, which no other kind has.
    fn name(&self) -> &'static str;

    /// The span that a job runs in.
    fn span(&self, spec: &Self::Spec) -> Span;

    /// Does a job. Dropped, wherever it is, when the job is to end here; should not end by itself.
    fn work(&self, spec: Self::Spec) -> impl Future<Output = ()> + Send;

    /// Takes back what a job has told others. Called when the job has ended here and is not to be done here any more. If it
    /// is wanted here again meanwhile, it begins after that. Not called before a restart or a change of the spec, nor when
    /// the node stops. Dropped after [`WITHDRAWAL_LIMIT`].
    fn withdraw(&self, spec: Self::Spec) -> impl Future<Output = ()> + Send;
}

/// A job that exactly one node is to do, as it is declared at each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration<S> {
    /// The description of the job.
    pub spec: S,
    /// Whether this node would do it. At least one node should, or nobody does it.
    pub stance: Stance,
}

/// The jobs of a kind, by seat.
type JobsBySeat<S> = BTreeMap<Seat, S>;

/// The jobs of one kind. While this is kept, and the node runs, those that are this node's are done. When it is dropped,
/// they end, and their seats are free for other nodes.
#[derive(Debug)]
pub struct Jobs<K: JobKind> {
    kind: K,
    cluster: Cluster,
    declared: watch::Sender<JobsBySeat<K::Spec>>,
}

impl<K: JobKind> Jobs<K> {
    /// Starts to follow the seats of this kind.
    pub fn start(kind: K, mesh: &Mesh) -> Self {
        let (declared, jobs) = watch::channel(JobsBySeat::new());
        let runner = JobRunner {
            tasks: mesh.tasks.group(),
            view: mesh.cluster.watch(),
            kind: kind.clone(),
            jobs,
            roster: Roster::default(),
            groups: BTreeMap::new(),
            running: JoinSet::new(),
        };
        mesh.tasks.spawn(runner.run());
        Self {
            kind,
            cluster: mesh.cluster.clone(),
            declared,
        }
    }

    /// From now on these are the jobs of this kind; each is done by the node that holds its seat, until the seat is lost.
    pub fn declare(&self, jobs: JobsBySeat<Declaration<K::Spec>>) {
        let stances = jobs.iter().map(|(seat, job)| (seat.clone(), job.stance));
        let stances = stances.collect();
        let specs = jobs.into_iter().map(|(seat, job)| (seat, job.spec));
        let specs: JobsBySeat<K::Spec> = specs.collect();
        self.declared.send_if_modified(|before| {
            let is_news = *before != specs;
            *before = specs;
            is_news
        });
        self.cluster.set_seats(self.kind.name(), stances);
    }
}

impl<K: JobKind> Drop for Jobs<K> {
    fn drop(&mut self) {
        self.cluster.set_seats(self.kind.name(), BTreeMap::new());
    }
}

/// How a task ended.
struct JobEnd {
    seat: Seat,
    has_panicked: bool,
}

/// Follows the seats of one kind, and runs the jobs that are this node's.
struct JobRunner<K: JobKind> {
    kind: K,
    /// The group of everything that is run here.
    tasks: Tasks,
    view: watch::Receiver<Arc<MeshView>>,
    jobs: watch::Receiver<JobsBySeat<K::Spec>>,
    roster: Roster<K::Spec>,
    /// The tasks of each seat's job, which end it.
    groups: BTreeMap<Seat, Tasks>,
    /// One wait for each task that runs: at most one for each seat.
    running: JoinSet<JobEnd>,
}

impl<K: JobKind> JobRunner<K> {
    async fn run(mut self) {
        loop {
            let wake_at = self.roster.wake_at();
            let due = async {
                match wake_at {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            let event = tokio::select! {
                () = self.tasks.asked_to_end() => break,
                changed = self.jobs.changed() => match changed {
                    Ok(()) => JobEvent::Own(self.own()),
                    Err(_) => break,
                },
                changed = self.view.changed() => match changed {
                    Ok(()) => JobEvent::Own(self.own()),
                    Err(_) => break,
                },
                Some(Ok(end)) = self.running.join_next() => note_end(end),
                () = due => JobEvent::Tick,
            };
            self.handle(event);
        }
        self.tasks.end();
        while self.running.join_next().await.is_some() {}
    }

    /// The declared jobs whose seats this node holds.
    fn own(&mut self) -> JobsBySeat<K::Spec> {
        let view = self.view.borrow_and_update().clone();
        let holds = |seat: &Seat| {
            let holder = view.seats.get(seat);
            holder.is_some_and(|claim| claim.node == view.me)
        };
        let jobs = self.jobs.borrow_and_update();
        let own = jobs.iter().filter(|job| holds(job.0));
        own.map(|(seat, spec)| (seat.clone(), spec.clone()))
            .collect()
    }

    fn handle(&mut self, event: JobEvent<K::Spec>) {
        let mut orders = Vec::new();
        self.roster.handle(event, clock::now(), &mut orders);
        for order in orders {
            match order {
                JobOrder::Begin(job) => self.begin(job),
                JobOrder::End(seat) => {
                    if let Some(group) = self.groups.remove(&seat) {
                        group.end();
                    }
                }
                JobOrder::Withdraw(job) => self.withdraw(job),
                JobOrder::Rest(seat, wait) => {
                    warn!(%seat, ?wait, "a job has ended by itself; it is begun again");
                }
            }
        }
    }

    fn begin(&mut self, job: Job<K::Spec>) {
        let Job { seat, spec } = job;
        let (kind, span) = (self.kind.clone(), self.kind.span(&spec));
        let group = self.tasks.group();
        let working = async move { kind.work(spec).await }.instrument(span);
        let task = group.spawn_until_end(working);
        self.groups.insert(seat.clone(), group);
        self.wait_for(seat, task);
    }

    fn withdraw(&mut self, job: Job<K::Spec>) {
        let Job { seat, spec } = job;
        let (kind, span) = (self.kind.clone(), self.kind.span(&spec));
        let withdrawing = async move {
            if timeout(WITHDRAWAL_LIMIT, kind.withdraw(spec))
                .await
                .is_err()
            {
                warn!(limit = ?WITHDRAWAL_LIMIT, "what a job has told others could not be taken back in time");
            }
        };
        let withdrawing = withdrawing.instrument(span);
        let task = self.tasks.spawn_until_end(withdrawing);
        self.groups.remove(&seat);
        self.wait_for(seat, task);
    }

    fn wait_for(&mut self, seat: Seat, task: JoinHandle<Option<()>>) {
        self.running.spawn(async move {
            let has_panicked = task.await.is_err();
            JobEnd { seat, has_panicked }
        });
    }
}

fn note_end<S>(end: JobEnd) -> JobEvent<S> {
    let JobEnd { seat, has_panicked } = end;
    if has_panicked {
        warn!(%seat, "a job has panicked, which is a bug: please report it");
    }
    JobEvent::Ended {
        seat,
        chance: clock::random_share(),
    }
}
