//! The table by which a node redirects listeners: the predicted load of each node, the nodes that listeners can reach,
//! and the places that are taken here. The driver locks it, publishes its bulletins, and gives it view, time and chance.

mod choosing;
mod facts;
mod outside;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::logic::forecast::arrivals::ArrivalTags;
use crate::logic::forecast::reach::Reachability;
use crate::logic::forecast::reservations::Reservations;
use crate::logic::forecast::{Bulletin, Forecast, Life};
use crate::logic::policy::{Chooser, Facts, Policy};
use crate::logic::records::outside::Servers;
use crate::logic::records::steering::Steering;
use crate::model::load::LoadReport;
use crate::model::mount::{MountName, MountSpec};
use crate::model::network::Family;
use crate::model::node::{Generation, NodeName};
use crate::proto::view::{MeshNode, MeshView};
use crate::wire::icecast::passthrough::Minted;

pub use choosing::{Among, Ask, Chosen};
pub use outside::outside_location;
pub use reach::ReachNews;

/// A node that was silent for this many rounds of gossip is not chosen.
const STALE_ROUNDS: u32 = 5;
/// How often the load is published.
pub const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// A jump of this share of the capacity is published at once.
///
/// The other nodes' predictions are wrong by what is not published yet. When two thirds of a mesh fill within 5 s, there
/// is a jump each 80 ms, well within a round of gossip. With 5 % there was one each 0.4 s, and one prediction in twenty
/// was off by almost 4 points; with 1 %, by 2.
const JUMP: f64 = 0.01;
/// The cost of a listener until the bitrate of its mount is known, bits per second: the usual one.
pub const ASSUMED_BITRATE_BPS: u64 = 128_000;

/// The capacity of a node.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// The most listeners.
    pub max_listeners: u32,
    /// The most bandwidth to them, bits per second.
    pub max_bandwidth_bps: u64,
}

impl Capacity {
    /// The most listeners for whom there is bandwidth, if each of them costs at least this much: more places could not
    /// be filled.
    fn listeners_of(self, least_bps: u64) -> u32 {
        let affordable = self.max_bandwidth_bps / least_bps.max(1);
        let affordable = u32::try_from(affordable).unwrap_or(u32::MAX);
        affordable.min(self.max_listeners)
    }
}

/// The node that has sent a listener here, proven by the listener's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The node that sent it.
    pub from: &'a NodeName,
    /// When the tag was made.
    pub minted: Minted,
}

/// The last bulletin of a node.
#[derive(Clone, Debug, PartialEq)]
struct LastBulletin {
    generation: Generation,
    bulletin: Option<Bulletin>,
}

/// The table of one node.
#[derive(Clone, Debug)]
pub struct LoadTable {
    me: NodeName,
    capacity: Capacity,
    /// Whether listeners can be served here.
    is_open: bool,
    report: LoadReport,
    published: LoadReport,
    forecast: Forecast,
    /// The last bulletin of each node: to apply one again would hide that its node is silent.
    heard: BTreeMap<NodeName, LastBulletin>,
    /// The tags that have counted here, and the number of the next one that is made here.
    arrivals: ArrivalTags,
    tags: u16,
    reservations: Reservations,
    /// Whether listeners reach the nodes that they are sent to.
    reach: Reachability,
    /// The troubles with nodes' addresses that were reported last.
    troubles: BTreeMap<NodeName, String>,
    chooser: Chooser,
    steering: Arc<Steering>,
    /// The policies of mounts that have one of their own.
    policies: BTreeMap<MountName, Policy>,
    facts: Facts,
    /// The cost of a listener of each mount, bits per second.
    costs_bps: BTreeMap<MountName, u64>,
    /// The address families of the nodes and outside servers whose URL has an IP address: by HTTP, and by HTTPS.
    families: BTreeMap<NodeName, [Option<Family>; 2]>,
    /// The nodes and outside servers that speak HTTPS. This node is one: a listener that asks it by HTTPS has reached it.
    https: BTreeSet<NodeName>,
    servers: Arc<Servers>,
}

impl LoadTable {
    /// The table of an idle node of this capacity, without any news of other nodes.
    pub fn new(
        own: Life,
        capacity: Capacity,
        gossip_interval: Duration,
        dice: u64,
        now: Instant,
    ) -> Self {
        let report = LoadReport {
            listeners: 0,
            max_listeners: capacity.listeners_of(ASSUMED_BITRATE_BPS),
            egress_bps: 0,
            max_bandwidth_bps: capacity.max_bandwidth_bps,
            cpu_permille: None,
        };
        let me = own.node.clone();
        let mut forecast = Forecast::new(own, gossip_interval * STALE_ROUNDS, now);
        forecast.report_own(report);
        Self {
            capacity,
            is_open: true,
            report,
            published: report,
            chooser: Chooser::new(me.clone(), dice),
            me,
            forecast,
            heard: BTreeMap::new(),
            arrivals: ArrivalTags::default(),
            tags: 0,
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
        }
    }

    /// The load of this node now.
    pub fn report(&self) -> LoadReport {
        self.report
    }

    /// The load of each node once all listeners on their way have arrived.
    pub fn forecast(&mut self) -> &mut Forecast {
        &mut self.forecast
    }

    /// The bulletin to publish now.
    pub fn bulletin(&mut self) -> Bulletin {
        self.published = self.report;
        self.forecast.bulletin()
    }

    /// Whether the load has changed so much since the last bulletin that the next one is due at once.
    pub fn has_jumped(&self) -> bool {
        let jump = self.report.utilization() - self.published.utilization();
        jump.abs() > JUMP
    }

    /// Takes a place for a listener of a mount, and returns its cost in bits per second; `None` if the node is full. A
    /// listener that was `sent` here counts as arrived in either case, in the same bulletin.
    pub fn admit(
        &mut self,
        mount: &MountName,
        sent: Option<Sender<'_>>,
        now: Instant,
        now_unix_s: u32,
    ) -> Option<u64> {
        self.note_arrived(sent, now, now_unix_s);
        if !self.has_room(mount) {
            return None;
        }
        let cost_bps = self.cost_bps(mount);
        self.report.listeners += 1;
        self.report.egress_bps = self.report.egress_bps.saturating_add(cost_bps);
        self.report_own();
        Some(cost_bps)
    }

    /// Whether this node has room for one more listener of a mount.
    pub fn has_room(&self, mount: &MountName) -> bool {
        let report = &self.report;
        let egress_bps = report.egress_bps.saturating_add(self.cost_bps(mount));
        report.listeners < report.max_listeners && egress_bps <= report.max_bandwidth_bps
    }

    /// Counts a listener that was sent here as arrived, if its tag is fresh and has not counted yet.
    pub fn note_arrived(&mut self, sent: Option<Sender<'_>>, now: Instant, now_unix_s: u32) {
        let Some(Sender { from, minted }) = sent else {
            return;
        };
        let tag = (minted.unix_s, minted.number);
        if self.arrivals.count(from, tag, now_unix_s) {
            self.forecast.note_arrived(from, now);
        }
    }

    /// Frees the place of a listener that was admitted at this cost.
    pub fn leave(&mut self, cost_bps: u64) {
        self.report.listeners = self.report.listeners.saturating_sub(1);
        self.report.egress_bps = self.report.egress_bps.saturating_sub(cost_bps);
        self.report_own();
    }

    /// Notes the share of the processors in use, per mille, if it is known.
    pub fn note_cpu(&mut self, permille: Option<u16>) {
        self.report.cpu_permille = permille;
        self.report_own();
    }

    /// Notes whether listeners can be served here. While they cannot, no place is announced, so that no node sends any.
    pub fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
        self.cap_listeners();
    }

    /// Applies the operators' settings of nodes, of the mesh and of mounts.
    pub fn apply_steering(
        &mut self,
        steering: Arc<Steering>,
        mounts: &BTreeMap<MountName, MountSpec>,
        view: &MeshView,
        now: Instant,
    ) {
        let own = mounts.iter().filter_map(|(path, spec)| {
            let text = &spec.steering.policy;
            // The document is checked when it is edited, but an older node may get what a newer one wrote.
            let policy = (!text.is_empty()).then(|| text.parse().ok()).flatten()?;
            Some((path.clone(), policy))
        });
        self.policies = own.collect();
        self.steering = steering;
        self.gather_facts(view, now);
    }

    /// Applies the view of the mesh; returns news about nodes' addresses for operators.
    pub fn apply_view(&mut self, view: &MeshView, now: Instant) -> Vec<ReachNews> {
        self.forecast.look(now);
        for (life, node) in lives(view) {
            self.forecast.witness(&life, node.state, node.heard_at);
            self.apply_bulletin(&life, node.bulletin.as_ref(), now);
        }
        self.apply_findings(view, now);
        self.hear_outside(view, now);
        self.gather_facts(view, now);
        self.forget_departed(view, now);
        self.reach_news(view)
    }

    /// Applies a node's bulletin, unless it is the last one again.
    fn apply_bulletin(&mut self, life: &Life, bulletin: Option<&Bulletin>, now: Instant) {
        let last = self.heard.get(&life.node);
        let is_known = |last: &LastBulletin| {
            last.generation == life.generation && last.bulletin.as_ref() == bulletin
        };
        if last.is_some_and(is_known) {
            return;
        }
        let last = LastBulletin {
            generation: life.generation,
            bulletin: bulletin.cloned(),
        };
        self.heard.insert(life.node.clone(), last);
        if let Some(bulletin) = bulletin.filter(|_| life.node != self.me) {
            self.forecast.hear(life, bulletin, now);
        }
    }

    /// Forgets the nodes that are not in the view any more.
    fn forget_departed(&mut self, view: &MeshView, now: Instant) {
        let gone = self
            .heard
            .extract_if(.., |name, _| !view.nodes.contains_key(name));
        for (departed, _) in gone {
            self.forecast.forget(&departed, now);
            self.reach.forget(&departed);
        }
    }

    fn report_own(&mut self) {
        self.forecast.report_own(self.report);
    }
}

/// The nodes of a view whose life is known.
fn lives(view: &MeshView) -> impl Iterator<Item = (Life, &MeshNode)> {
    let known = view.nodes.iter();
    let known = known.filter(|(_, node)| node.generation != Generation::default());
    known.map(|(name, node)| {
        let life = Life {
            node: name.clone(),
            generation: node.generation,
        };
        (life, node)
    })
}
