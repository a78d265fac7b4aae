//! The load that this node reports, and the table that redirects by that of all nodes: drives [`LoadTable`].

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::document::Documents;
use super::mesh::Mesh;
use super::publisher::Publisher;
use super::sources::Sources;
use super::streams::Streams;
use crate::io::clock;
use crate::io::cpu::CpuMeter;
use crate::io::gossip::GOSSIP_INTERVAL;
use crate::logic::forecast::{Arrived, Life, OutsideOutlook};
use crate::logic::policy::explain::Explanation;
use crate::logic::records::outside::Servers;
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::proto::listener::{self, ListenerContext, ListenerQuestion, Reserve, Verdict};
use crate::proto::table::outside_location;
pub use crate::proto::table::{ASSUMED_BITRATE_BPS, Capacity};
use crate::proto::table::{Ask, LoadTable, PUBLISH_INTERVAL, ReachNews, Sender};
use crate::proto::view::MeshView;

struct LoadState {
    table: LoadTable,
    view: Arc<MeshView>,
}

struct LoadInner {
    state: Mutex<LoadState>,
    jumped: Notify,
}

/// A cheap, cloneable handle to the load and the table.
#[derive(Clone)]
pub struct Load(Arc<LoadInner>);

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

/// A listener's share of this node's capacity, given back when it is dropped.
#[derive(Debug)]
pub struct CapacityShare {
    load: Load,
    cost_bps: u64,
}

impl Drop for CapacityShare {
    fn drop(&mut self) {
        let mut state = self.load.0.lock();
        state.table.leave(self.cost_bps);
        self.load.0.notify_if_load_jumped(&state);
    }
}

impl Load {
    /// An idle node of this capacity.
    pub fn new(own: Life, capacity: Capacity) -> Self {
        let view = Arc::new(MeshView::empty(own.node.clone()));
        let table = LoadTable::new(own, capacity, GOSSIP_INTERVAL, rand::random(), clock::now());
        Self(Arc::new(LoadInner {
            state: Mutex::new(LoadState { table, view }),
            jumped: Notify::new(),
        }))
    }

    /// Counts a listener that was sent here by another node, and listens by a share that it has already.
    pub fn note_arrived(&self, sent: Option<Sender<'_>>) {
        let mut state = self.0.lock();
        state.table.note_arrived(sent, clock::now(), unix_s());
    }

    /// Room on this node for a listener of a mount; `None` if it is full. A listener that was `sent` here has arrived
    /// by this, whether there is room or not.
    pub fn admit(&self, mount: &MountName, sent: Option<Sender<'_>>) -> Option<CapacityShare> {
        let mut state = self.0.lock();
        let cost_bps = state.table.admit(mount, sent, clock::now(), unix_s())?;
        self.0.notify_if_load_jumped(&state);
        drop(state);
        Some(CapacityShare {
            load: self.clone(),
            cost_bps,
        })
    }

    /// Notes whether listeners can be served here, and tells the mesh at once.
    pub fn set_open(&self, is_open: bool) {
        self.0.lock().table.set_open(is_open);
        self.0.jumped.notify_one();
    }

    /// Answers a listener, see [`listener::answer`].
    pub fn answer(
        &self,
        question: &ListenerQuestion<'_>,
        context: &ListenerContext<'_>,
        reserve: Reserve,
    ) -> Verdict {
        listener::answer(question, context, &mut self.0.lock().table, reserve)
    }

    /// The nodes for a listener, the best first. The listener is not counted as sent.
    pub fn rank(&self, ask: &Ask<'_>, most: usize) -> Vec<NodeName> {
        self.0.lock().table.rank(ask, most, clock::now())
    }

    /// The nodes of ours for a listener, see [`LoadTable::rooms`].
    pub fn rooms(&self, ask: &Ask<'_>) -> Vec<(NodeName, f64)> {
        self.0.lock().table.rooms(ask, clock::now())
    }

    /// The choice for the next such listener, and the reasons.
    pub fn explain(&self, ask: &Ask<'_>) -> Explanation {
        self.0.lock().table.explain(ask, clock::now())
    }

    /// The load of this node now.
    pub fn report(&self) -> LoadReport {
        self.0.lock().table.report()
    }

    /// The load of each node once all listeners on their way have arrived.
    pub fn predicted(&self) -> Vec<(NodeName, f64)> {
        let mut state = self.0.lock();
        let table = state.table.forecast().table(clock::now());
        let outlooks = table.outlooks.iter();
        outlooks
            .map(|outlook| (outlook.node.clone(), outlook.predicted_utilization()))
            .collect()
    }

    /// The problems with the addresses of nodes, this one's too.
    pub fn troubles(&self) -> BTreeMap<NodeName, String> {
        let state = self.0.lock();
        state.table.troubles(&state.view)
    }

    /// Whether the listeners that this node has sent to another do not arrive there.
    pub fn is_doubtful(&self, name: &NodeName) -> bool {
        self.0.lock().table.is_doubtful(name, clock::now())
    }

    /// The address of a mount at an outside server, if this is the row of one.
    pub fn outside_location(
        &self,
        backend: &NodeName,
        mount: &MountName,
        query: Option<&str>,
    ) -> Option<String> {
        let servers = self.0.lock().table.servers().clone();
        outside_location(&servers, backend, mount, query)
    }

    /// Replaces the outside servers by these.
    pub fn set_outside(&self, servers: &Arc<Servers>) {
        let LoadState { table, view } = &mut *self.0.lock();
        table.set_outside(servers, view, clock::now());
    }

    /// The listeners that, as far as this node knows, have been sent to a row of the table, and are there by now.
    pub fn sent_outside(&self, backend: &NodeName) -> Vec<Arrived> {
        self.0.lock().table.sent_outside(backend, clock::now())
    }

    /// The outlook of each outside server, by the name of its row.
    pub fn outside(&self) -> BTreeMap<NodeName, OutsideOutlook> {
        self.0.lock().table.outside(clock::now())
    }

    /// Applies each view of the mesh, and publishes this node's load and streams. Runs until the node stops.
    pub async fn run(self, mesh: Mesh, streams: Streams, sources: Sources) {
        let documents = &mesh.documents;
        let mut view = mesh.cluster.watch();
        let mut held = streams.watch();
        let (mut steering, mut mounts) = (documents.watch_steering(), documents.watch_mounts());
        self.apply_steering(documents);
        let mut meter = CpuMeter::default();
        let mut publisher = Publisher::new(mesh.gossip.clone(), streams, sources);
        let mut seconds = interval(PUBLISH_INTERVAL);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = mesh.tasks.asked_to_end() => return,
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let view = view.borrow_and_update().clone();
                    publisher.note_listeners(&view);
                    self.apply_view(view);
                    continue;
                }
                Ok(()) = steering.changed() => {
                    self.apply_steering(documents);
                    continue;
                }
                Ok(()) = mounts.changed() => {
                    self.apply_steering(documents);
                    continue;
                }
                _ = seconds.tick() => self.0.lock().table.note_cpu(meter.sample()),
                () = self.0.jumped.notified() => {}
                _ = held.changed() => {}
            }
            let view = self.0.lock().view.clone();
            publisher.publish_streams(&view).await;
            if publisher.has_other_sources() {
                // Relays wait for the streams of these: they are told now, not in the next round.
                publisher.tell_at_once(&view);
            }
            let bulletin = self.0.lock().table.bulletin();
            publisher.publish_load(bulletin).await;
        }
    }

    fn apply_steering(&self, documents: &Documents) {
        let (steering, mounts) = (documents.steering(), documents.mounts());
        let LoadState { table, view } = &mut *self.0.lock();
        table.apply_steering(steering, &mounts, view, clock::now());
    }

    fn apply_view(&self, view: Arc<MeshView>) {
        let news = {
            let mut state = self.0.lock();
            state.view = view;
            let LoadState { table, view } = &mut *state;
            table.apply_view(view, clock::now())
        };
        for it in news {
            log(it);
        }
    }
}

impl LoadInner {
    fn lock(&self) -> MutexGuard<'_, LoadState> {
        self.state.lock()
    }

    fn notify_if_load_jumped(&self, state: &LoadState) {
        if state.table.has_jumped() {
            self.jumped.notify_one();
        }
    }
}

fn log(news: ReachNews) {
    match news {
        ReachNews::Lost { node, url, why } => warn!(
            %node, url, why,
            "listeners do not get to a node: only one now and then is sent there to try; check its public_url"
        ),
        ReachNews::Restored(node) => info!(%node, "listeners get to a node again"),
    }
}

/// Now, in unix seconds as tags hold them: they wrap in 2106.
fn unix_s() -> u32 {
    clock::unix_s() as u32
}
