//! What this node reports of its load, and the table that redirects by everybody's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::cluster::Cluster;
use super::cluster::view::MeshView;
use super::ingest::Sources;
use super::streams::Streams;
use crate::io::gossip::{GOSSIP_INTERVAL, Gossip, MAX_VALUE_BYTES};
use crate::logic::forecast::{Bulletin, Forecast, Life};
use crate::logic::policy::{Choice, Chooser, Facts, Policy, Request, Scene};
use crate::model::geo::Whereabouts;
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::StreamId;
use crate::wire::gossip::{self, Origin};

/// A node that was not heard for so long is not chosen: five rounds of gossip.
const STALE_AFTER: Duration = Duration::from_millis(5 * GOSSIP_INTERVAL.as_millis() as u64);
/// How often the load is published.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// A jump of this part of the capacity is published at once.
const JUMP: f64 = 0.05;
/// What a listener costs until the bitrate of its mount is known, bits per second: the usual one.
const ASSUMED_BITRATE_BPS: u64 = 128_000;

/// What a node can take.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// The most listeners.
    pub max_listeners: u32,
    /// The most that may be sent to them, bits per second.
    pub max_bandwidth_bps: u64,
}

struct State {
    report: LoadReport,
    published: LoadReport,
    forecast: Forecast,
    chooser: Chooser,
    policy: Policy,
    facts: Facts,
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
            max_listeners: capacity.max_listeners,
            egress_bps: 0,
            max_bandwidth_bps: capacity.max_bandwidth_bps,
            cpu_permille: None,
        };
        let now = Instant::now().into_std();
        let mut state = State {
            report,
            published: report,
            chooser: Chooser::new(own.node.clone(), rand::random()),
            policy: Policy::default(),
            facts: Facts::default(),
            view: Arc::new(MeshView::empty(own.node.clone())),
            forecast: Forecast::new(own, STALE_AFTER, now),
        };
        state.report_own();
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            jumped: Notify::new(),
        }))
    }

    /// Chooses a node for a listener who has asked for a mount, and counts him as sent there.
    pub fn choose(&self, mount: &MountName) -> Choice {
        let now = Instant::now().into_std();
        let state = &mut *self.0.lock();
        let cost_bps = cost_bps(&state.view, mount);
        let scene = Scene {
            table: &state.forecast.table(now),
            facts: &state.facts,
        };
        let request = Request {
            mount,
            cost_bps,
            place: Whereabouts::default(),
        };
        let choice = state.chooser.choose(&state.policy, scene, &request);
        match &choice {
            Choice::Here => {
                let me = state.view.me.clone();
                state.forecast.note_sent(&me, cost_bps, now);
            }
            Choice::Redirect(to) => state.forecast.note_sent(to, cost_bps, now),
            Choice::Full => {}
        }
        choice
    }

    /// Room on this node for a listener of a mount; none if it is full. One who was `sent` here by another node
    /// has arrived by this, whether there is room or not: both must be told in one bulletin.
    pub fn admit(&self, mount: &MountName, sent: Option<&NodeName>) -> Option<Admission> {
        let now = Instant::now().into_std();
        let mut state = self.0.lock();
        sent.inspect(|from| state.forecast.note_arrived(from, now));
        let cost_bps = cost_bps(&state.view, mount);
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
        (cluster, gossip): (Cluster, Arc<Gossip>),
        (streams, sources): (Streams, Sources),
        cancel: CancellationToken,
    ) {
        let mut view = cluster.watch();
        let mut held = streams.watch();
        let mut publisher = Publisher {
            gossip,
            streams,
            sources,
            said: BTreeSet::new(),
            sourced: BTreeSet::new(),
        };
        let mut seconds = interval(PUBLISH_INTERVAL);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.follow(&view.borrow_and_update().clone());
                    continue;
                }
                _ = seconds.tick() => {}
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

    fn follow(&self, view: &Arc<MeshView>) {
        let now = Instant::now().into_std();
        let mut state = self.0.lock();
        for (name, node) in &view.nodes {
            let life = Life {
                node: name.clone(),
                generation: node.generation,
            };
            state.forecast.witness(&life, node.state, node.heard_at);
            if *name != view.me {
                let bulletin = node.bulletin.as_ref();
                bulletin.inspect(|bulletin| state.forecast.hear(&life, bulletin, now));
            }
        }
        state.facts = facts(view);
        let before = std::mem::replace(&mut state.view, view.clone());
        for left in before
            .nodes
            .keys()
            .filter(|name| !view.nodes.contains_key(name))
        {
            state.forecast.forget(left, now);
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

    fn bulletin(&mut self) -> Bulletin {
        self.published = self.report;
        self.forecast.bulletin()
    }
}

/// What the mesh says of its nodes besides their load.
fn facts(view: &MeshView) -> Facts {
    let mut facts = Facts::default();
    for (name, node) in view.nodes.iter().filter(|(_, node)| node.is_up()) {
        for mount in node.streams.keys() {
            let holders = facts.holders.entry(mount.clone()).or_default();
            holders.insert(name.clone());
        }
    }
    facts
}

/// What a listener of a mount costs, bits per second.
fn cost_bps(view: &MeshView, mount: &MountName) -> u64 {
    let known = view.holders(mount).map(|(_, card)| card.bitrate_bps);
    known
        .filter(|bps| *bps > 0)
        .max()
        .unwrap_or(ASSUMED_BITRATE_BPS)
}

/// Says what has changed, and takes back what is no more.
struct Publisher {
    gossip: Arc<Gossip>,
    streams: Streams,
    sources: Sources,
    said: BTreeSet<String>,
    /// The streams whose sources were here when that was looked at last.
    sourced: BTreeSet<StreamId>,
}

impl Publisher {
    /// Whether other sources are connected here than when this was asked last.
    fn has_other_sources(&mut self) -> bool {
        let held = self.streams.all().into_iter();
        let sourced = held.filter(|(_, held)| held.origin == Origin::Source);
        let sourced: BTreeSet<StreamId> = sourced.map(|(_, held)| held.feed.stream_id()).collect();
        let before = std::mem::replace(&mut self.sourced, sourced);
        before != self.sourced
    }

    /// Gossips with everybody who lives.
    fn tell_at_once(&self, view: &MeshView) {
        let up = view.nodes.iter().filter(|(_, node)| node.is_up());
        for (_, node) in up.filter(|(name, _)| **name != view.me) {
            self.gossip.greet(node.mesh_address);
        }
    }

    async fn publish_streams(&mut self) {
        let held = self.streams.all().into_iter();
        let cards =
            held.map(|(mount, held)| (gossip::stream_key(&mount), gossip::write(&held.card())));
        let waiting = self.sources.standby().into_iter();
        let waiting = waiting.map(|mount| (gossip::standby_key(&mount), "true".to_owned()));
        let saying: BTreeMap<String, String> = cards.chain(waiting).collect();
        for key in self.said.iter().filter(|key| !saying.contains_key(*key)) {
            self.gossip.delete(key).await;
        }
        for (key, value) in &saying {
            if let Err(error) = self.gossip.set(key, value).await {
                warn!(%error, "not gossiped");
            }
        }
        self.said = saying.into_keys().collect();
    }

    /// Publishes the load, with as many of the latest counters as fit into one value.
    async fn publish_load(&self, mut bulletin: Bulletin) {
        let mut text = gossip::write(&bulletin);
        while text.len() > MAX_VALUE_BYTES && bulletin.sent.len() + bulletin.arrived.len() > 0 {
            bulletin.sent.pop();
            bulletin.arrived.pop();
            text = gossip::write(&bulletin);
        }
        if let Err(error) = self.gossip.set(gossip::LOAD, &text).await {
            warn!(%error, "the load is not gossiped");
        }
    }
}
