//! The task that owns the members and the seats: it turns gossip and links into a [`MeshView`], feeds the machine of the
//! seats with it, and does what the machine decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::driver::ElectionDriver;
use super::{ClusterConfig, Event, SeatsByKind, all_seats};
use crate::io::disk::DataDir;
use crate::io::gossip::{GOSSIP_INTERVAL, Gossip, GossipedNode};
use crate::io::link::Links;
use crate::io::tasks::Tasks;
use crate::logic::members::forgotten::Forgotten;
use crate::logic::members::health;
use crate::logic::members::health::{SelfReport, Sign, Witnesses};
use crate::model::node::{Generation, NodeName};
use crate::model::seat::Seat;
use crate::model::status::NodeState;
use crate::proto::ended::Ended;
use crate::proto::node_reader::NodeReader;
use crate::proto::seats::{Disk, Input};
use crate::proto::view::{MeshNode, MeshView};
use crate::wire::gossip;

/// How often the view is renewed without any news: half the interval of gossip, by which a node's health is judged.
const LOOK_INTERVAL: Duration = Duration::from_millis(GOSSIP_INTERVAL.as_millis() as u64 / 2);
/// A change may be the first of many that arrive together; the view is renewed no more often than this.
const SETTLE: Duration = Duration::from_millis(10);

/// The last sign of a node, and when it came.
#[derive(Clone, Copy, Debug)]
struct LastHeard {
    generation: Generation,
    heartbeat: u64,
    at: Instant,
}

/// The inputs from other tasks.
pub(super) struct Inputs {
    pub(super) inbox: mpsc::Receiver<Event>,
    /// The seats beside the master's.
    pub(super) wanted: watch::Receiver<SeatsByKind>,
    /// The nodes that, by the document, are not to be shown any more.
    pub(super) recorded: watch::Receiver<Forgotten>,
}

/// Owns the membership, and drives the election.
pub(super) struct Task {
    links: Links,
    gossip: Arc<Gossip>,
    ended: Ended,
    data_dir: Arc<DataDir>,
    driver: ElectionDriver,
    inputs: Inputs,
    publish: watch::Sender<Arc<MeshView>>,
    heard: BTreeMap<NodeName, LastHeard>,
    /// The readers of each node's gossip.
    readers: BTreeMap<NodeName, NodeReader>,
    /// The nodes without a link, each with the time since when.
    unlinked: BTreeMap<NodeName, Instant>,
    goodbyes: BTreeMap<NodeName, Generation>,
    /// The nodes to show no more, as said by peers whose version keeps no records of them.
    forgotten: Forgotten,
}

impl Task {
    pub(super) fn new(
        config: ClusterConfig,
        inputs: Inputs,
        publish: watch::Sender<Arc<MeshView>>,
    ) -> Self {
        Self {
            driver: ElectionDriver::new(&config),
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

    pub(super) async fn run(mut self, tasks: Tasks) {
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
        let mut view = MeshView {
            me: self.links.hello().name.clone(),
            nodes,
            master: seats.holder(&Seat::Master).cloned(),
            seats: seats.others_held(),
            max_epoch: seats.max_epoch(),
        };
        view.depose_beaten();
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
        let report = match self.goodbyes.get(name) {
            Some(generation) if *generation == node.generation => SelfReport::Left,
            _ if node.values.contains_key(gossip::DRAINING) => SelfReport::Draining,
            _ => SelfReport::Serving,
        };
        let witnesses = Witnesses {
            gossip: sign(node.alive),
            silent_for: heard_at.elapsed(),
            link: sign(is_linked),
            unlinked_for: self
                .unlinked
                .get(name)
                .map_or(Duration::ZERO, Instant::elapsed),
            report,
        };
        let state = health::verdict(witnesses, GOSSIP_INTERVAL);
        let seen = self.read(name, node, state, heard_at)?;
        Some(MeshNode {
            has_left: report == SelfReport::Left,
            ..seen
        })
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
                (_, NodeState::Dead) if node.has_left => {}
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
