//! The members of the mesh, and the holders of the master's seat and of all other seats.
//!
//! One task owns both: it turns gossip and links into a [`MeshView`], feeds the machine of the seats with it, and does
//! what the machine decides. All other services read the view.

mod driver;
pub mod joining;
pub mod seeking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{Instrument, debug, info, info_span, warn};

use self::driver::Driver;
use crate::io::disk::DataDir;
use crate::io::gossip::{GOSSIP_INTERVAL, Gossip, GossipedNode};
use crate::io::link::Links;
use crate::io::tasks::Tasks;
use crate::logic::election::Start;
use crate::logic::members::forgotten::Forgotten;
use crate::logic::members::health;
use crate::logic::members::health::{Sign, Witnesses, Word};
use crate::model::node::{Generation, NodeName};
use crate::model::quorum::Quorum;
use crate::model::seat::{Epoch, Message, Rank, Seat};
use crate::model::status::NodeState;
use crate::proto::ended::Ended;
use crate::proto::seats::{Disk, Input, Scope};
use crate::proto::view::{MeshNode, MeshView, NodeReader};
use crate::wire::gossip;

/// How often the view is renewed without any news: half the interval of gossip, by which a node's health is judged.
const LOOK_INTERVAL: Duration = Duration::from_millis(GOSSIP_INTERVAL.as_millis() as u64 / 2);
/// A change may be the first of many that arrive together; the view is renewed no more often than this.
const SETTLE: Duration = Duration::from_millis(10);
/// Events that may wait for the task.
const QUEUE: usize = 256;
/// How long a leaving master waits for its successor's claim. A link's round trip and a sync of a disk fit well.
const HAND_OVER: Duration = Duration::from_millis(800);

/// What other tasks tell the cluster's task.
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

/// What the cluster's task needs.
#[derive(Debug)]
pub struct ClusterConfig {
    /// The links.
    pub links: Links,
    /// The gossip.
    pub gossip: Arc<Gossip>,
    /// The directory in which the highest epoch is kept.
    pub data_dir: Arc<DataDir>,
    /// This node's rank in the election.
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

/// The seats beside the master's, by the kind of job that they are for.
type SeatsByKind = BTreeMap<&'static str, BTreeSet<Seat>>;

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

    /// From now on these are the seats of this kind of job; each of them is to be held by one node. The seats of other
    /// kinds stay.
    pub fn set_seats(&self, kind: &'static str, seats: BTreeSet<Seat>) {
        self.seats.send_modify(|by_kind| {
            by_kind.insert(kind, seats);
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
fn all_seats(by_kind: &SeatsByKind) -> BTreeSet<Seat> {
    by_kind.values().flatten().cloned().collect()
}

/// The last sign of a node, and when it came.
#[derive(Clone, Copy, Debug)]
struct LastHeard {
    generation: Generation,
    heartbeat: u64,
    at: Instant,
}

/// What comes from other tasks.
struct Inputs {
    inbox: mpsc::Receiver<Event>,
    /// The seats beside the master's.
    wanted: watch::Receiver<SeatsByKind>,
    /// The nodes that, by the document, are not to be shown any more.
    recorded: watch::Receiver<Forgotten>,
}

/// Owns the membership, and drives the election.
struct Task {
    links: Links,
    gossip: Arc<Gossip>,
    ended: Ended,
    data_dir: Arc<DataDir>,
    driver: Driver,
    inputs: Inputs,
    publish: watch::Sender<Arc<MeshView>>,
    heard: BTreeMap<NodeName, LastHeard>,
    /// What each node gossips, as it was read.
    readers: BTreeMap<NodeName, NodeReader>,
    /// The nodes without a link, each with the time since when.
    unlinked: BTreeMap<NodeName, Instant>,
    goodbyes: BTreeMap<NodeName, Generation>,
    /// The nodes to show no more, as said by peers whose version keeps no records of them.
    forgotten: Forgotten,
}

impl Task {
    fn new(config: ClusterConfig, inputs: Inputs, publish: watch::Sender<Arc<MeshView>>) -> Self {
        Self {
            driver: Driver::new(&config),
            links: config.links,
            gossip: config.gossip,
            ended: config.ended,
            data_dir: config.data_dir,
            inputs,
            publish,
            heard: BTreeMap::new(),
            readers: BTreeMap::new(),
            unlinked: BTreeMap::new(),
            goodbyes: BTreeMap::new(),
            forgotten: Forgotten::new(),
        }
    }

    fn is_hidden(&self, name: &NodeName, node: &MeshNode) -> bool {
        node.is_hidden(name, &self.forgotten)
            || node.is_hidden(name, &self.inputs.recorded.borrow())
    }

    async fn run(mut self, tasks: Tasks) {
        let mut look_at = Instant::now();
        let mut linked = self.links.peers();
        loop {
            let wake_at = self.driver.wake_at();
            tokio::select! {
                () = tasks.asked_to_end() => return,
                () = tokio::time::sleep_until(wake_at) => self.driver.handle(Input::Tick).await,
                event = self.inputs.inbox.recv() => match event {
                    Some(event) => self.take(event).await,
                    None => return,
                },
                _ = linked.changed() => {}
                () = self.gossip.changed() => {
                    look_at = look_at.min(Instant::now() + SETTLE);
                    continue;
                }
                () = tokio::time::sleep_until(look_at) => look_at = Instant::now() + LOOK_INTERVAL,
            }
            self.look().await;
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Seat(from, seat, message) => {
                let heard = Input::Message {
                    from,
                    seat,
                    message,
                };
                self.driver.handle(heard).await;
            }
            Event::Goodbye(from) => {
                if let Some(generation) = self.shown_life(&from) {
                    info!(node = %from, "a node has left");
                    self.goodbyes.insert(from, generation);
                }
            }
            Event::Resign(scope) => self.driver.handle(Input::Resign(scope)).await,
            Event::Unresign(scope) => self.driver.handle(Input::Unresign(scope)).await,
            Event::Forget(name) => {
                if let Some(generation) = self.shown_life(&name) {
                    info!(node = %name, "a node is forgotten");
                    self.forgotten.insert(name, generation);
                }
            }
        }
    }

    /// The life in which a node is in the view.
    fn shown_life(&self, name: &NodeName) -> Option<Generation> {
        let view = self.publish.borrow();
        view.nodes.get(name).map(|node| node.generation)
    }

    /// Renews the view, tells the seats what changed in it, and publishes it.
    async fn look(&mut self) {
        let gossiped = self.gossip.nodes().await;
        self.forget(&gossiped);
        let mut nodes = BTreeMap::new();
        for (name, node) in gossiped {
            let Some(mut seen) = self.see(&name, &node) else {
                continue;
            };
            seen.forget_ended(|stream| self.ended.contains(stream));
            if !self.is_hidden(&name, &seen) {
                nodes.insert(name, seen);
            }
        }
        self.log_changes(&nodes);
        self.tell_seats(&nodes).await;
        let seats = self.driver.seats();
        let view = MeshView {
            me: self.links.hello().name.clone(),
            nodes,
            master: seats.holder(&Seat::Master).cloned(),
            seats: seats.others_held(),
            max_epoch: seats.max_epoch(),
        };
        self.publish.send_replace(Arc::new(view));
    }

    async fn tell_seats(&mut self, nodes: &BTreeMap<NodeName, MeshNode>) {
        let disk = match self.data_dir.trouble() {
            None => Disk::Works,
            Some(_) => Disk::Fails,
        };
        self.driver.handle(Input::Disk(disk)).await;
        if self.inputs.wanted.has_changed().unwrap_or(false) {
            let wanted = all_seats(&self.inputs.wanted.borrow_and_update());
            self.driver.handle(Input::Wanted(&wanted)).await;
        }
        self.driver.handle(Input::Nodes(nodes)).await;
    }

    fn see(&mut self, name: &NodeName, node: &GossipedNode) -> Option<MeshNode> {
        let now = Instant::now();
        let latest = LastHeard {
            generation: node.generation,
            heartbeat: node.heartbeat,
            at: now,
        };
        let heard = self.heard.entry(name.clone()).or_insert(latest);
        if (heard.generation, heard.heartbeat) != (node.generation, node.heartbeat) {
            *heard = latest;
        }
        if *name == self.links.hello().name {
            let state = match node.values.contains_key(gossip::DRAINING) {
                true => NodeState::Draining,
                false => NodeState::Alive,
            };
            return self.read(name, node, state, now);
        }
        let heard_at = heard.at;
        let linked = self
            .links
            .peers()
            .borrow()
            .get(name)
            .map(|hello| hello.generation);
        let is_linked = linked == Some(node.generation);
        if is_linked {
            self.unlinked.remove(name);
        } else {
            self.unlinked.entry(name.clone()).or_insert(now);
        }
        let sign = |alive: bool| if alive { Sign::Alive } else { Sign::Silent };
        let witnesses = Witnesses {
            gossip: sign(node.alive),
            silent_for: heard_at.elapsed(),
            link: sign(is_linked),
            unlinked_for: self
                .unlinked
                .get(name)
                .map_or(Duration::ZERO, Instant::elapsed),
            word: match self.goodbyes.get(name) {
                Some(generation) if *generation == node.generation => Word::Goodbye,
                _ if node.values.contains_key(gossip::DRAINING) => Word::Draining,
                _ => Word::Serving,
            },
        };
        let state = health::verdict(witnesses, GOSSIP_INTERVAL);
        self.read(name, node, state, heard_at)
    }

    /// The node as it describes itself, if it has done so.
    fn read(
        &mut self,
        name: &NodeName,
        node: &GossipedNode,
        state: NodeState,
        heard_at: Instant,
    ) -> Option<MeshNode> {
        let new = || NodeReader::new(node.generation, node.mesh_address, heard_at.into_std());
        let reader = self.readers.entry(name.clone()).or_insert_with(new);
        if !reader.is_life(node.generation, node.mesh_address) {
            *reader = new();
        }
        reader.hear(&node.values);
        Some(MeshNode {
            state,
            heard_at: heard_at.into_std(),
            ..reader.node()?.clone()
        })
    }

    /// Drops what is kept of nodes that gossip has dropped, so that nothing grows for ever.
    fn forget(&mut self, gossiped: &BTreeMap<NodeName, GossipedNode>) {
        self.heard.retain(|name, _| gossiped.contains_key(name));
        self.readers.retain(|name, _| gossiped.contains_key(name));
        self.unlinked.retain(|name, _| gossiped.contains_key(name));
        self.goodbyes.retain(|name, _| gossiped.contains_key(name));
        self.forgotten.retain(|name, _| gossiped.contains_key(name));
    }

    fn log_changes(&self, nodes: &BTreeMap<NodeName, MeshNode>) {
        let before = self.publish.borrow();
        for (name, node) in nodes {
            let was = before.nodes.get(name).map(|node| node.state);
            match (was, node.state) {
                (was, is) if was == Some(is) => {}
                _ if *name == before.me => {} // it knows that it is here
                // A newcomer is heard of before there is a link to it, which says nothing about its health.
                (None, NodeState::Dead | NodeState::Suspect)
                | (Some(NodeState::Dead), NodeState::Suspect) => {
                    debug!(node = %name, "a node is heard of")
                }
                (_, NodeState::Dead) if self.goodbyes.get(name) == Some(&node.generation) => {}
                (_, NodeState::Dead) => warn!(node = %name, "a node is dead"),
                (_, NodeState::Suspect) => {
                    info!(node = %name, "a node is heard by only one of gossip and link")
                }
                (_, NodeState::Unlinked) => {
                    info!(node = %name, "a node is heard through others: there is no direct link to it")
                }
                (_, NodeState::Draining) => info!(node = %name, "a node is draining"),
                (_, NodeState::Alive) => {
                    info!(node = %name, url = node.card.url, "a node is alive")
                }
            }
        }
    }
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
        pub(crate) fn declared_seats(&self) -> BTreeSet<Seat> {
            all_seats(&self.seats.borrow())
        }
    }
}
