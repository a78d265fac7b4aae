//! The members of the mesh, and the holders of the master's seat and of all other seats.
//!
//! [`Cluster`] is the handle. Its one task owns both, and publishes a [`MeshView`], which all other services read.

mod driver;
pub mod joining;
pub mod seeking;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{Instrument, info_span, warn};

use self::task::{Inputs, Task};
use crate::io::disk::DataDir;
use crate::io::gossip::Gossip;
use crate::io::link::Links;
use crate::io::tasks::Tasks;
use crate::logic::election::Start;
use crate::logic::members::forgotten::Forgotten;
use crate::model::node::NodeName;
use crate::model::quorum::Quorum;
use crate::model::seat::{Epoch, Message, Rank, Seat, Stance};
use crate::proto::ended::Ended;
use crate::proto::seats::Scope;
use crate::proto::view::MeshView;

/// Events that may wait for the task.
const QUEUE: usize = 256;
/// How long a leaving master waits for its successor's claim. A link's round trip and a sync of a disk fit well.
const HAND_OVER: Duration = Duration::from_millis(800);

/// A message of another task to the cluster's task.
#[derive(Debug)]
pub enum Event {
    /// A message of a seat's election came over a link.
    Seat(NodeName, Seat, Message),
    /// A node leaves on purpose.
    Goodbye(NodeName),
    /// Give seats up and do not take them again.
    Resign(Scope),
    /// Stand in elections again.
    Unresign(Scope),
    /// A dead node is not to be shown any more, as a peer says whose version keeps no records of forgotten nodes.
    Forget(NodeName),
}

/// The parts that the cluster's task needs.
#[derive(Debug)]
pub struct ClusterConfig {
    /// The links.
    pub links: Links,
    /// The gossip.
    pub gossip: Arc<Gossip>,
    /// The directory in which the highest epoch is kept.
    pub data_dir: Arc<DataDir>,
    /// The rank of this node in the election.
    pub rank: Rank,
    /// How many nodes must be there for one of them to be the master.
    pub quorum: Quorum,
    /// The highest epoch that is on the disk.
    pub max_epoch: Epoch,
    /// Whether there are peers to be found.
    pub start: Start,
    /// The streams that are over, although gossip may not say so yet.
    pub ended: Ended,
}

/// The seats beside the master's, and whether this node stands for each, by the kind of job that they are for.
type SeatsByKind = BTreeMap<&'static str, BTreeMap<Seat, Stance>>;

/// A cheap, cloneable way to the task that owns membership and election.
#[derive(Clone, Debug)]
pub struct Cluster {
    events: mpsc::Sender<Event>,
    seats: Arc<watch::Sender<SeatsByKind>>,
    forgotten: Arc<watch::Sender<Forgotten>>,
    view: watch::Receiver<Arc<MeshView>>,
}

impl Cluster {
    /// Starts the task.
    pub fn start(config: ClusterConfig, tasks: &Tasks) -> Self {
        let (events, inbox) = mpsc::channel(QUEUE);
        let me = config.links.hello().name.clone();
        let nothing = MeshView {
            max_epoch: config.max_epoch,
            ..MeshView::empty(me)
        };
        let (publish, view) = watch::channel(Arc::new(nothing));
        let (seats, wanted) = watch::channel(SeatsByKind::new());
        let (forgotten, recorded) = watch::channel(Forgotten::new());
        let inputs = Inputs {
            inbox,
            wanted,
            recorded,
        };
        let task = Task::new(config, inputs, publish);
        tasks.spawn(task.run(tasks.clone()).instrument(info_span!("cluster")));
        Self {
            events,
            seats: Arc::new(seats),
            forgotten: Arc::new(forgotten),
            view,
        }
    }

    /// The mesh as it is now.
    pub fn view(&self) -> Arc<MeshView> {
        self.view.borrow().clone()
    }

    /// The mesh as it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<MeshView>> {
        self.view.clone()
    }

    /// Passes on what a peer says. Dropped when the queue is full: peers repeat what matters.
    pub fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            warn!("the cluster's queue is full, event dropped");
        }
    }

    /// Passes on what an operator or this node itself has decided. Waits while the queue is full: it is not repeated.
    pub async fn order(&self, event: Event) {
        // The queue is closed only when the node has stopped.
        let _stopped = self.events.send(event).await;
    }

    /// From now on these are the seats of this kind of job; each of them is to be held by one of the nodes that stand for
    /// it. The seats of other kinds stay.
    pub fn set_seats(&self, kind: &'static str, seats: BTreeMap<Seat, Stance>) {
        self.seats.send_if_modified(|by_kind| {
            let is_news = by_kind.get(kind) != Some(&seats);
            by_kind.insert(kind, seats);
            is_news
        });
    }

    /// From now on these nodes are not shown while they are dead, up to these lives of theirs.
    pub fn set_forgotten(&self, forgotten: Forgotten) {
        self.forgotten.send_if_modified(|before| {
            let is_news = *before != forgotten;
            *before = forgotten;
            is_news
        });
    }

    /// Gives seats up. The master's is handed over, if this node holds it, and its successor's claim is waited for.
    pub async fn resign(&self, scope: Scope) {
        self.order(Event::Resign(scope)).await;
        let mut view = self.view.clone();
        let others = view
            .borrow()
            .nodes
            .values()
            .filter(|node| node.is_up())
            .count()
            > 1;
        if !others {
            return;
        }
        let handed_over = view.wait_for(|view| !view.is_master());
        if tokio::time::timeout(HAND_OVER, handed_over).await.is_err() {
            warn!("nobody has taken the master's seat over");
        }
    }
}

/// The seats of all kinds together.
fn all_seats(by_kind: &SeatsByKind) -> BTreeMap<Seat, Stance> {
    let all = by_kind.values().flatten();
    all.map(|(seat, stance)| (seat.clone(), *stance)).collect()
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    impl Cluster {
        /// A cluster without a task: its view is set by the test.
        pub(crate) fn scripted(view: watch::Receiver<Arc<MeshView>>) -> Self {
            Self {
                events: mpsc::channel(QUEUE).0,
                seats: Arc::default(),
                forgotten: Arc::default(),
                view,
            }
        }

        /// The seats that are declared, of all kinds.
        pub(crate) fn declared_seats(&self) -> BTreeMap<Seat, Stance> {
            all_seats(&self.seats.borrow())
        }
    }
}
