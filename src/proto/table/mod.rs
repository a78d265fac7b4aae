//! The table that redirects listeners, as one node keeps it: everybody's load as it will be, who may be sent where, and
//! the places that are taken here. Whoever drives it locks it, publishes its bulletins, and gives it view, time and dice.

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

/// A node that was not heard for so many rounds of gossip is not chosen.
const STALE_ROUNDS: u32 = 5;
/// How often the load is published.
pub const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// A jump of this part of the capacity is published at once.
///
/// What is not published yet is what others foresee wrongly. When two thirds of a mesh fill within 5 s, a jump comes
/// each 80 ms, well within a round of gossip. With 5 % it came each 0.4 s, and one prediction in twenty was off by
/// almost 4 points; with 1 %, by 2.
const JUMP: f64 = 0.01;
/// What a listener costs until the bitrate of its mount is known, bits per second: the usual one.
pub const ASSUMED_BITRATE_BPS: u64 = 128_000;

/// What a node can take.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// The most listeners.
    pub max_listeners: u32,
    /// The most that may be sent to them, bits per second.
    pub max_bandwidth_bps: u64,
}

impl Capacity {
    /// The most listeners that there is bandwidth for, if each of them costs so much at least: to announce more would
    /// promise places that nobody can take.
    fn listeners_of(self, least_bps: u64) -> u32 {
        let affordable = self.max_bandwidth_bps / least_bps.max(1);
        let affordable = u32::try_from(affordable).unwrap_or(u32::MAX);
        affordable.min(self.max_listeners)
    }
}

/// A listener's coming from another node, as its tag proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The node that sent it.
    pub from: &'a NodeName,
    /// When the tag was made.
    pub minted: Minted,
}

/// What a node was heard to say of its load last.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    generation: Generation,
    bulletin: Option<Bulletin>,
}

/// The table of one node.
#[derive(Clone, Debug)]
pub struct LoadTable {
    me: NodeName,
    capacity: Capacity,
    report: LoadReport,
    published: LoadReport,
    forecast: Forecast,
    /// What everybody said last: to hear that again would hide a node's silence.
    said: BTreeMap<NodeName, Said>,
    /// The tags that have counted here, and the number of the last one that was made here.
    arrivals: ArrivalTags,
    tags: u16,
    reservations: Reservations,
    /// Whether listeners get to the nodes that they are sent to.
    reach: Reachability,
    /// What is wrong with the addresses of nodes, as it was told last.
    troubles: BTreeMap<NodeName, String>,
    chooser: Chooser,
    steering: Arc<Steering>,
    /// The policies of mounts that have their own.
    policies: BTreeMap<MountName, Policy>,
    facts: Facts,
    /// What a listener of each mount costs, bits per second.
    costs_bps: BTreeMap<MountName, u64>,
    /// The family of addresses by which a node or outside server is reached, where its address is an IP address: by
    /// HTTP, and by HTTPS.
    families: BTreeMap<NodeName, [Option<Family>; 2]>,
    /// The nodes and outside servers that speak HTTPS. This node counts as one: who has reached it by HTTPS can.
    https: BTreeSet<NodeName>,
    servers: Arc<Servers>,
}

impl LoadTable {
    /// The table of an idle node of this capacity, which has heard nothing yet.
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
            report,
            published: report,
            chooser: Chooser::new(me.clone(), dice),
            me,
            forecast,
            said: BTreeMap::new(),
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

    /// This node's load now.
    pub fn report(&self) -> LoadReport {
        self.report
    }

    /// The load of each node once everybody who is on the way has arrived.
    pub fn forecast(&mut self) -> &mut Forecast {
        &mut self.forecast
    }

    /// What is to be published now.
    pub fn bulletin(&mut self) -> Bulletin {
        self.published = self.report;
        self.forecast.bulletin()
    }

    /// Whether this node's load has changed so much since it was published that others are to know at once.
    pub fn has_jumped(&self) -> bool {
        let jump = self.report.utilization() - self.published.utilization();
        jump.abs() > JUMP
    }

    /// Room on this node for a listener of a mount, and what it costs, bits per second; `None` if the node is full. A
    /// listener that was `sent` here has arrived by this, whether there is room or not: both must be told in one
    /// bulletin.
    pub fn admit(
        &mut self,
        mount: &MountName,
        sent: Option<Sender<'_>>,
        now: Instant,
        now_unix_s: u32,
    ) -> Option<u64> {
        self.note_arrived(sent, now, now_unix_s);
        let cost_bps = self.cost_bps(mount);
        let report = &mut self.report;
        let egress_bps = report.egress_bps.saturating_add(cost_bps);
        if report.listeners >= report.max_listeners || egress_bps > report.max_bandwidth_bps {
            return None;
        }
        report.listeners += 1;
        report.egress_bps = egress_bps;
        self.report_own();
        Some(cost_bps)
    }

    /// Counts a listener that was sent here, if its tag is fresh and has not counted yet.
    pub fn note_arrived(&mut self, sent: Option<Sender<'_>>, now: Instant, now_unix_s: u32) {
        let Some(Sender { from, minted }) = sent else {
            return;
        };
        let tag = (minted.unix_s, minted.number);
        if self.arrivals.count(from, tag, now_unix_s) {
            self.forecast.note_arrived(from, now);
        }
    }

    /// A listener that was admitted at this cost has left.
    pub fn leave(&mut self, cost_bps: u64) {
        self.report.listeners = self.report.listeners.saturating_sub(1);
        self.report.egress_bps = self.report.egress_bps.saturating_sub(cost_bps);
        self.report_own();
    }

    /// The share of the processors in use, per mille, as far as it is known.
    pub fn note_cpu(&mut self, permille: Option<u16>) {
        self.report.cpu_permille = permille;
        self.report_own();
    }

    /// Takes over what operators say of nodes, of the mesh and of mounts.
    pub fn apply_steering(
        &mut self,
        steering: Arc<Steering>,
        mounts: &BTreeMap<MountName, MountSpec>,
        view: &MeshView,
        now: Instant,
    ) {
        let own = mounts.iter().filter_map(|(path, spec)| {
            let text = &spec.steering.policy;
            // The document lets in only what can be read, but an older node may hold what a newer one wrote.
            let policy = (!text.is_empty()).then(|| text.parse().ok()).flatten()?;
            Some((path.clone(), policy))
        });
        self.policies = own.collect();
        self.steering = steering;
        self.gather_facts(view, now);
    }

    /// Takes in what the mesh says of itself, and returns what operators are to be told of the ways to nodes.
    pub fn apply_view(&mut self, view: &MeshView, now: Instant) -> Vec<ReachNews> {
        self.forecast.look(now);
        for (life, node) in lives(view) {
            self.forecast.witness(&life, node.state, node.heard_at);
            self.hear_load(&life, node.bulletin.as_ref(), now);
        }
        self.hear_reach(view, now);
        self.hear_outside(view, now);
        self.gather_facts(view, now);
        self.forget_left(view, now);
        self.reach_news(view)
    }

    /// Takes in a node's bulletin, unless it was heard before.
    fn hear_load(&mut self, life: &Life, bulletin: Option<&Bulletin>, now: Instant) {
        let said = self.said.get(&life.node);
        let is_known =
            |said: &Said| said.generation == life.generation && said.bulletin.as_ref() == bulletin;
        if said.is_some_and(is_known) {
            return;
        }
        let said = Said {
            generation: life.generation,
            bulletin: bulletin.cloned(),
        };
        self.said.insert(life.node.clone(), said);
        if let Some(bulletin) = bulletin.filter(|_| life.node != self.me) {
            self.forecast.hear(life, bulletin, now);
        }
    }

    /// Forgets the nodes that are no longer in the view.
    fn forget_left(&mut self, view: &MeshView, now: Instant) {
        let gone = self
            .said
            .extract_if(.., |name, _| !view.nodes.contains_key(name));
        for (left, _) in gone {
            self.forecast.forget(&left, now);
            self.reach.forget(&left);
        }
    }

    fn report_own(&mut self) {
        self.forecast.report_own(self.report);
    }
}

/// The nodes of a view of which it is known in which life they are.
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
