//! Takes this node out of service without a break in any stream, and puts it back.
//!
//! In order: others stop choosing it, it gives up its seats, newcomers among the sources are refused, relays
//! that read from it move on; at the deadline its own sources and listeners are ended, the listeners one by one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use super::audience::Audience;
use super::cluster::Event;
use super::mesh::Mesh;
use super::sources::Sources;
use crate::io::tasks::Tasks;
use crate::proto::seats::Scope;
use crate::wire::frame::Order;
use crate::wire::gossip;

/// The time over which listeners are ended once their deadline has come: each connects to another node then, and
/// these nodes must not all be asked at once.
pub const SPREAD: Duration = Duration::from_secs(10);

/// The longest deadline: a day. A longer one would be forgotten by the operator before it comes.
pub const MAX_DEADLINE_S: u64 = 24 * 60 * 60;

/// Whether this node takes newcomers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Listeners and sources are taken.
    #[default]
    Serving,
    /// Newcomers are refused; the others stay for a while.
    Draining,
}

/// The services that draining acts on.
#[derive(Debug)]
pub struct DrainConfig {
    /// The way to hand the seat over, and to tell the other nodes.
    pub mesh: Mesh,
    /// The sources, which are ended at the deadline.
    pub sources: Sources,
    /// The listeners, which are ended after the sources.
    pub audience: Audience,
}

struct Inner {
    config: DrainConfig,
    phase: watch::Sender<Phase>,
    /// Held while an order is carried out, so that its steps are not mixed with those of another. That takes as long as the
    /// hand-over of a seat at most.
    turn: tokio::sync::Mutex<()>,
    /// The wait for the deadline and the end of everybody after it; the next order ends both.
    clearance: Mutex<Tasks>,
}

/// A cheap, cloneable way to drain.
#[derive(Clone)]
pub struct Drain(Arc<Inner>);

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl Drain {
    /// A node that serves.
    pub fn new(config: DrainConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            phase: watch::Sender::default(),
            turn: tokio::sync::Mutex::default(),
            clearance: Mutex::default(),
        }))
    }

    /// Whether this node takes newcomers now.
    pub fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    /// The phases as they change.
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    /// Carries out an order of an operator.
    pub async fn obey(&self, order: Order) {
        match order {
            Order::Drain { deadline_s } => {
                let deadline = Duration::from_secs(deadline_s.min(MAX_DEADLINE_S));
                self.begin(deadline).await;
            }
            Order::Undrain => self.undo().await,
        }
    }

    /// Refuses newcomers, gives up the seats, and after `deadline` ends the sources and listeners that are still here.
    pub async fn begin(&self, deadline: Duration) {
        let _turn = self.0.turn.lock().await;
        let clearance = self.0.config.mesh.tasks.group();
        std::mem::replace(&mut *self.0.clearance.lock(), clearance.clone()).end();
        info!(?deadline, "draining");
        self.leave_service().await;
        let inner = self.0.clone();
        clearance.spawn_until_end(async move {
            tokio::time::sleep(deadline).await;
            inner.end_all(SPREAD).await;
            info!("drained");
        });
    }

    /// The same without a deadline, the listeners spread over `spread`; the last thing of a node's life.
    pub async fn finish(&self, spread: Duration) {
        self.leave_service().await;
        self.0.end_all(spread).await;
    }

    async fn leave_service(&self) {
        self.0.phase.send_replace(Phase::Draining);
        let said = self
            .0
            .config
            .mesh
            .gossip
            .set(gossip::DRAINING, "true")
            .await;
        said.expect("one word is far shorter than a gossiped value may be");
        self.0.config.mesh.cluster.resign(Scope::All).await;
    }

    /// Takes newcomers again. Listeners that have not been ended yet stay.
    pub async fn undo(&self) {
        let _turn = self.0.turn.lock().await;
        self.0.clearance.lock().end();
        self.0.phase.send_replace(Phase::Serving);
        self.0.config.mesh.gossip.delete(gossip::DRAINING).await;
        self.0
            .config
            .mesh
            .cluster
            .order(Event::Unresign(Scope::All))
            .await;
        info!("serving again");
    }
}

impl Inner {
    async fn end_all(&self, spread: Duration) {
        // All at once: each source may take a moment to notice.
        let mut leaving = JoinSet::new();
        for (mount, stream_id) in self.config.sources.on_air() {
            let sources = self.config.sources.clone();
            leaving.spawn(async move { sources.give_way(&mount, stream_id).await });
        }
        leaving.join_all().await;
        self.config.audience.evict(spread).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::service::audience::Attendance;
    use crate::service::audience::tests::Stage;
    use crate::service::mesh::samples::SampleMesh;

    /// A node with a hundred listeners.
    struct Bench {
        _node: SampleMesh,
        drain: Drain,
        attending: Vec<Attendance>,
    }

    impl Bench {
        async fn start() -> Self {
            let (node, stage) = (SampleMesh::start().await, Stage::open());
            let drain = Drain::new(DrainConfig {
                mesh: node.mesh.clone(),
                sources: Sources::default(),
                audience: stage.audience.clone(),
            });
            Self {
                _node: node,
                drain,
                attending: (0..100).map(|_| stage.enter()).collect(),
            }
        }

        /// Lets those leave that were ended; how many stay.
        fn listeners(&mut self) -> usize {
            self.attending
                .retain(|it| it.attendee().control().ended().is_none());
            self.attending.len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn undrain_stops_an_eviction_under_way() {
        let mut bench = Bench::start().await;
        bench.drain.begin(Duration::ZERO).await;
        assert_eq!(bench.drain.phase(), Phase::Draining);
        sleep(SPREAD / 2).await;
        bench.drain.undo().await;
        sleep(Duration::from_millis(1)).await; // a step that was due when it was stopped may be done
        let staying = bench.listeners();
        assert!((45..=55).contains(&staying), "{staying}");
        sleep(2 * SPREAD).await;
        assert_eq!(bench.listeners(), staying);
        assert_eq!(bench.drain.phase(), Phase::Serving);
        bench.drain.begin(Duration::ZERO).await;
        sleep(2 * SPREAD).await;
        assert_eq!(bench.listeners(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_deadline_counts() {
        let mut bench = Bench::start().await;
        bench.drain.begin(Duration::from_secs(60)).await;
        bench.drain.begin(Duration::from_secs(600)).await;
        sleep(Duration::from_secs(300)).await;
        assert_eq!(bench.listeners(), 100);
        bench.drain.begin(Duration::from_secs(1)).await;
        sleep(Duration::from_secs(1) + 2 * SPREAD).await;
        assert_eq!(bench.listeners(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn orders_given_at_once_are_carried_out_one_after_another() {
        let mut bench = Bench::start().await;
        let (draining, undone) = (bench.drain.clone(), bench.drain.clone());
        tokio::join!(draining.begin(Duration::ZERO), undone.undo());
        sleep(2 * SPREAD).await;
        assert_eq!(bench.drain.phase(), Phase::Serving);
        assert_eq!(bench.listeners(), 100);
    }
}
