//! What this node reports of its load, and the table that redirects by everybody's.

mod capacity;
mod choosing;
mod outside;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use self::capacity::Capacity;
pub use self::choosing::{Among, Ask, Chosen};
use super::cluster::Cluster;
use super::document::Documents;
use super::publisher::Publisher;
use super::sources::Sources;
use super::streams::Streams;
use crate::io::clock;
use crate::io::cpu::CpuMeter;
use crate::io::gossip::{GOSSIP_INTERVAL, Gossip};
use crate::logic::forecast::arrivals::ArrivalTags;
use crate::logic::forecast::reach::Reachability;
use crate::logic::forecast::reservations::Reservations;
use crate::logic::forecast::{Bulletin, Forecast, Life};
use crate::logic::policy::{Chooser, Facts, NodeFacts, Policy};
use crate::logic::records::outside::Servers;
use crate::logic::records::steering::Steering;
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::network::Family;
use crate::model::node::NodeName;
use crate::proto::view::MeshView;
use crate::wire::icecast::passthrough::Minted;

/// A node that was not heard for so long is not chosen: five rounds of gossip.
const STALE_AFTER: Duration = Duration::from_millis(5 * GOSSIP_INTERVAL.as_millis() as u64);
/// How often the load is published.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// A jump of this part of the capacity is published at once.
///
/// What is not published yet is what others foresee wrongly. When two thirds of a mesh fill within 5 s, a jump comes
/// each 80 ms, well within a round of gossip. With 5 % it came each 0.4 s, and one prediction in twenty was off by
/// almost 4 points; with 1 %, by 2.
const JUMP: f64 = 0.01;
/// What a listener costs until the bitrate of its mount is known, bits per second: the usual one.
pub const ASSUMED_BITRATE_BPS: u64 = 128_000;

struct State {
    capacity: Capacity,
    report: LoadReport,
    published: LoadReport,
    forecast: Forecast,
    /// The tags that have counted here.
    arrivals: ArrivalTags,
    reservations: Reservations,
    /// Whether listeners get to the nodes that they are sent to.
    reach: Reachability,
    /// What is wrong with the addresses of nodes, as the log was told last.
    troubles: BTreeMap<NodeName, String>,
    chooser: Chooser,
    steering: Arc<Steering>,
    /// The policies of mounts that have their own.
    policies: BTreeMap<MountName, Policy>,
    facts: Facts,
    /// What a listener of each mount costs, bits per second.
    costs_bps: BTreeMap<MountName, u64>,
    /// The family of addresses by which a node or outside server is reached, where its address is an IP address: by HTTP, and by
    /// HTTPS.
    families: BTreeMap<NodeName, [Option<Family>; 2]>,
    /// The nodes and outside servers that speak HTTPS. This node counts as one: who has reached it by HTTPS can.
    https: BTreeSet<NodeName>,
    servers: Arc<Servers>,
    view: Arc<MeshView>,
}

struct Inner {
    state: Mutex<State>,
    jumped: Notify,
}

/// A cheap, cloneable way to the load and the table.
#[derive(Clone)]
pub struct Load(Arc<Inner>);

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

/// A listener's share of this node's capacity, given back when it is dropped.
#[derive(Debug)]
pub struct Admission {
    load: Load,
    cost_bps: u64,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.load.0.lock();
        state.report.listeners -= 1;
        state.report.egress_bps -= self.cost_bps;
        state.report_own();
        self.load.0.tell_of_a_jump(&state);
    }
}

impl Load {
    /// An idle node of this capacity.
    pub fn new(own: Life, capacity: Capacity) -> Self {
        let report = LoadReport {
            listeners: 0,
            max_listeners: capacity.listeners_of(ASSUMED_BITRATE_BPS),
            egress_bps: 0,
            max_bandwidth_bps: capacity.max_bandwidth_bps,
            cpu_permille: None,
        };
        let now = Instant::now().into_std();
        let mut state = State {
            capacity,
            report,
            published: report,
            chooser: Chooser::new(own.node.clone(), rand::random()),
            arrivals: ArrivalTags::default(),
            reservations: Reservations::default(),
            reach: Reachability::default(),
            troubles: BTreeMap::new(),
            steering: Arc::default(),
            policies: BTreeMap::new(),
            facts: Facts::default(),
            costs_bps: BTreeMap::new(),
            families: BTreeMap::new(),
            https: BTreeSet::new(),
            servers: Arc::default(),
            view: Arc::new(MeshView::empty(own.node.clone())),
            forecast: Forecast::new(own, STALE_AFTER, now),
        };
        state.report_own();
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            jumped: Notify::new(),
        }))
    }

    /// Counts one who was sent here by another node, with a tag made then, and listens by a place that it has already.
    pub fn note_arrived(&self, sent: Option<(&NodeName, Minted)>) {
        self.0.lock().note_arrived(sent);
    }

    /// Room on this node for a listener of a mount; none if it is full. One who was `sent` here by another node, with
    /// a tag made then, has arrived by this, whether there is room or not: both must be told in one bulletin.
    pub fn admit(&self, mount: &MountName, sent: Option<(&NodeName, Minted)>) -> Option<Admission> {
        let mut state = self.0.lock();
        state.note_arrived(sent);
        let cost_bps = state.cost_bps(mount);
        let report = &mut state.report;
        let egress_bps = report.egress_bps.saturating_add(cost_bps);
        if report.listeners >= report.max_listeners || egress_bps > report.max_bandwidth_bps {
            return None;
        }
        report.listeners += 1;
        report.egress_bps = egress_bps;
        state.report_own();
        self.0.tell_of_a_jump(&state);
        drop(state);
        Some(Admission {
            load: self.clone(),
            cost_bps,
        })
    }

    /// This node's load now.
    pub fn report(&self) -> LoadReport {
        self.0.lock().report
    }

    /// The load of each node once everybody who is on the way has arrived.
    pub fn predicted(&self) -> Vec<(NodeName, f64)> {
        let now = Instant::now().into_std();
        let mut state = self.0.lock();
        let table = state.forecast.table(now);
        let outlooks = table.outlooks.iter();
        outlooks
            .map(|outlook| (outlook.node.clone(), outlook.predicted_utilization()))
            .collect()
    }

    /// Follows the mesh, and publishes this node's load and streams. Runs until the node stops.
    pub async fn run(
        self,
        (cluster, documents, gossip): (Cluster, Documents, Arc<Gossip>),
        held_here: (Streams, Sources),
        cancel: CancellationToken,
    ) {
        let mut view = cluster.watch();
        let mut held = held_here.0.watch();
        let mut said = (documents.watch_steering(), documents.watch_mounts());
        self.obey(&documents);
        let mut meter = CpuMeter::default();
        let mut publisher = Publisher::new(gossip, held_here.0, held_here.1);
        let mut seconds = interval(PUBLISH_INTERVAL);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let view = view.borrow_and_update().clone();
                    publisher.note_listeners(&view);
                    self.follow(&view);
                    continue;
                }
                Ok(()) = said.0.changed() => {
                    self.obey(&documents);
                    continue;
                }
                Ok(()) = said.1.changed() => {
                    self.obey(&documents);
                    continue;
                }
                _ = seconds.tick() => self.note_cpu(meter.sample()),
                () = self.0.jumped.notified() => {}
                _ = held.changed() => {}
            }
            publisher.publish_streams().await;
            if publisher.has_other_sources() {
                // Relays wait for the streams of these: they are told now, not in the next round.
                let view = self.0.lock().view.clone();
                publisher.tell_at_once(&view);
            }
            let bulletin = self.0.lock().bulletin();
            publisher.publish_load(bulletin).await;
        }
    }

    fn note_cpu(&self, permille: Option<u16>) {
        let mut state = self.0.lock();
        state.report.cpu_permille = permille;
        state.report_own();
    }

    /// Takes over what operators say of nodes, of the mesh and of mounts.
    fn obey(&self, documents: &Documents) {
        let (steering, mounts) = (documents.steering(), documents.mounts());
        let own = mounts.iter().filter_map(|(path, spec)| {
            let text = &spec.steering.policy;
            // The document lets in only what can be read, but an older node may hold what a newer one wrote.
            let policy = (!text.is_empty()).then(|| text.parse().ok()).flatten()?;
            Some((path.clone(), policy))
        });
        let mut state = self.0.lock();
        state.policies = own.collect();
        state.steering = steering;
        state.gather_facts();
    }

    fn follow(&self, view: &Arc<MeshView>) {
        let now = Instant::now().into_std();
        let mut state = self.0.lock();
        let before = std::mem::replace(&mut state.view, view.clone());
        state.forecast.look(now);
        for (name, node) in &view.nodes {
            let life = Life {
                node: name.clone(),
                generation: node.generation,
            };
            state.forecast.witness(&life, node.state, node.heard_at);
            // What it said before is no new word of it: to hear that again would hide its silence.
            let known = before.nodes.get(name);
            let known = known.filter(|known| known.generation == node.generation);
            let is_news = known.is_none_or(|known| known.bulletin != node.bulletin);
            if let Some(bulletin) = node.bulletin.as_ref().filter(|_| is_news)
                && *name != view.me
            {
                state.forecast.hear(&life, bulletin, now);
            }
        }
        state.hear_reach(now);
        state.hear_outside(now);
        state.gather_facts();
        for left in before
            .nodes
            .keys()
            .filter(|name| !view.nodes.contains_key(name))
        {
            state.forecast.forget(left, now);
            state.reach.forget(left);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in the table leaves numbers that the next report corrects.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_of_a_jump(&self, state: &State) {
        let jump = (state.report.utilization() - state.published.utilization()).abs();
        if jump > JUMP {
            self.jumped.notify_one();
        }
    }
}

impl State {
    fn report_own(&mut self) {
        self.forecast.report_own(self.report);
    }

    fn note_arrived(&mut self, sent: Option<(&NodeName, Minted)>) {
        let now = Instant::now().into_std();
        let now_unix_s = (clock::unix_ms() / 1_000) as u32; // wraps in 2106, as tags do
        if let Some((from, minted)) = sent
            && self
                .arrivals
                .count(from, (minted.unix_s, minted.number), now_unix_s)
        {
            self.forecast.note_arrived(from, now);
        }
    }

    fn bulletin(&mut self) -> Bulletin {
        self.published = self.report;
        self.forecast.bulletin()
    }

    /// Puts together what is known of the nodes besides their load. Done when it changes, not for each listener.
    fn gather_facts(&mut self) {
        let nodes = self.view.nodes.iter().map(|(name, node)| {
            let facts = NodeFacts {
                traits: self.steering.traits(name),
                place: node.card.place,
                ..NodeFacts::default()
            };
            (name.clone(), facts)
        });
        self.facts = Facts {
            nodes: nodes.collect(),
            ..Facts::default()
        };
        self.costs_bps.clear();
        for (name, node) in self.view.nodes.iter().filter(|(_, node)| node.is_up()) {
            for (mount, card) in &node.streams {
                let holders = self.facts.holders.entry(mount.clone()).or_default();
                holders.insert(name.clone());
                let cost_bps = self.costs_bps.entry(mount.clone()).or_default();
                *cost_bps = card.bitrate_bps.max(*cost_bps);
            }
        }
        let speaks = |url: &str| url.starts_with("https://");
        let nodes = self.view.nodes.iter();
        let nodes =
            nodes.filter(|(name, node)| node.card.https_url.is_some() || **name == self.view.me);
        let servers = self
            .servers
            .values()
            .filter(|server| speaks(&server.public_url));
        self.https = nodes
            .map(|(name, _)| name.clone())
            .chain(servers.map(|server| server.backend()))
            .collect();
        self.gather_families();
        self.gather_outside_facts();
        self.cap_listeners();
    }

    /// What a listener of a mount costs, bits per second.
    fn cost_bps(&self, mount: &MountName) -> u64 {
        let known = self.costs_bps.get(mount).copied();
        known.filter(|bps| *bps > 0).unwrap_or(ASSUMED_BITRATE_BPS)
    }
}
