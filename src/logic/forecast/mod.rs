//! A forecast of each node's load once all listeners on their way have arrived.
//!
//! Every redirector says how many listeners it ever sent to each node, and every node how many of them came.
//! Both numbers only rise, so a bulletin that is lost, late or doubled does no harm; but both begin at zero when one
//! of the two restarts, therefore each counter names the life of the other side that it counts for.

pub mod arrivals;
mod bulletin;
mod outside;
pub mod reach;
pub mod reservations;
pub mod steadiness;
mod table;
#[cfg(test)]
mod tests;
mod transit;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::steadiness::Steadiness;
use crate::model::load::LoadReport;
use crate::model::node::{Generation, NodeName};
use crate::model::outside::is_backend;
use crate::model::status::NodeState;

pub use bulletin::{Arrived, Bulletin, Life, MAX_COUNTERS, Sent};
use outside::OutsideFacts;
pub use outside::{FRESH, OutsideBulletin, OutsideOutlook};
pub use table::{Basis, Outlook, Standing, Table};
use transit::{History, Transit};
pub use transit::{RESERVATION, Tally};

/// The most nodes that are followed; further ones are ignored until one is forgotten.
///
/// More than twice the largest mesh that gossip's timing is set for (200). A node keeps a quarter of a kilobyte for
/// each pair of nodes that has sent listeners, so this bounds its memory to 64 MiB, should all pairs have.
pub const MAX_NODES: usize = 512;

/// How long a node that was just met takes until it is used in full.
///
/// The node has no stream yet and fetches each mount with its first listener; ten seconds spread those fetches.
pub const SLOW_START: Duration = Duration::from_secs(10);

/// The share of its capacity that a node counts with when it was just met.
///
/// Not zero, so that the first listener comes at once and the fetching begins.
const COLD: f64 = 0.1;

/// How long no node is doubted after this node was itself asleep: until links and gossip have recovered.
const WAKING: Duration = Duration::from_secs(3);

/// How often expired reservations are removed. A twentieth of a [`RESERVATION`].
const SWEEP: Duration = Duration::from_millis(250);

/// The shared table of predicted load, as one node computes it from gossip and from what it does itself.
#[derive(Clone, Debug)]
pub struct Forecast {
    own: NodeName,
    stale_after: Duration,
    /// When all nodes were last looked at, and until when no node is doubted.
    looked_at: Instant,
    waking_until: Instant,
    nodes: BTreeMap<NodeName, KnownNode>,
    /// Listeners that came to the whole mesh recently, kept or redirected: the sum over all transits.
    recent_listeners: u64,
    swept_at: Instant,
}

impl Forecast {
    /// An empty table. A peer is stale when it was not heard for `stale_after`: five gossip intervals.
    pub fn new(own: Life, stale_after: Duration, now: Instant) -> Self {
        let mut node = KnownNode::new(own.generation, History::Followed, now);
        node.state = NodeState::Alive;
        Self {
            own: own.node.clone(),
            stale_after,
            looked_at: now,
            waking_until: now,
            nodes: BTreeMap::from([(own.node, node)]),
            recent_listeners: 0,
            swept_at: now,
        }
    }

    /// Sets this node's own load, whenever a listener comes or goes, so that it is never late.
    pub fn report_own(&mut self, report: LoadReport) {
        self.own_mut().report = Some(report);
    }

    /// Begins a look at all nodes. If the last one was long ago, this node was asleep, and what it missed is no doubt
    /// about others.
    pub fn look(&mut self, now: Instant) {
        if now.saturating_duration_since(self.looked_at) > self.stale_after {
            self.waking_until = now + WAKING;
        }
        self.looked_at = now;
    }

    /// Notes what membership says of a node: its state, and when its heartbeat was last heard.
    ///
    /// A node is closed until membership has called it alive, whatever it publishes. Of this node itself
    /// only draining is believed: whatever others think of it, it can serve a listener that is here.
    pub fn witness(&mut self, life: &Life, state: NodeState, heard_at: Instant) {
        if life.node == self.own {
            self.own_mut().state = match state {
                NodeState::Draining => NodeState::Draining,
                _ => NodeState::Alive,
            };
            return;
        }
        let (stale_after, awake) = (self.stale_after, self.looked_at >= self.waking_until);
        if let Some(node) = self.admit(life, heard_at) {
            let silent_for = heard_at.saturating_duration_since(node.heard_at);
            if silent_for > stale_after && awake {
                node.steadiness.doubt(heard_at); // The node was silent between two looks at it.
            }
            match state {
                NodeState::Alive | NodeState::Unlinked => node.steadiness.hear(heard_at),
                NodeState::Suspect | NodeState::Dead if awake => node.steadiness.doubt(heard_at),
                NodeState::Suspect | NodeState::Dead => {}
                NodeState::Draining => node.steadiness.excuse(),
            }
            node.state = state;
            node.heard_at = node.heard_at.max(heard_at);
        }
    }

    /// How many listeners have ever arrived at a node because they were sent there.
    pub fn arrivals_at(&self, name: &NodeName) -> u64 {
        let inbound = self.nodes.get(name).map(|node| &node.inbound);
        let sent = inbound
            .into_iter()
            .flatten()
            .filter(|(from, _)| *from != name);
        sent.fold(0, |sum, (_, transit)| {
            transit.arrived().0.saturating_add(sum)
        })
    }

    /// Takes in what a peer has published. Older or repeated bulletins of the same life do no harm to the counters,
    /// but the report is the last one heard: gossip delivers them in order.
    pub fn hear(&mut self, from: &Life, bulletin: &Bulletin, now: Instant) {
        if from.node == self.own {
            return;
        }
        let Some(node) = self.admit(from, now) else {
            return;
        };
        node.heard_at = node.heard_at.max(now);
        node.report = Some(bulletin.report);
        let history = std::mem::replace(&mut node.history, History::Followed);
        let cut = bulletin.cut;
        let known = &bulletin.arrived;
        self.hear_arrived(&from.node, Listed { known, cut }, history, now);
        let known = &bulletin.sent;
        self.hear_sent(&from.node, Listed { known, cut }, history, now);
    }

    /// Counts a listener that was just redirected to a node, or kept, at the bitrate of its mount.
    pub fn note_sent(&mut self, to: &NodeName, cost_bps: u64, now: Instant) {
        let own = self.own.clone();
        let one = Tally {
            listeners: 1,
            bps: cost_bps,
        };
        self.update(&own, to, now, |transit| {
            let total = transit.sent().0.plus(one);
            transit.hear_sent(total, History::Followed, now);
            if *to == own {
                transit.hear_arrived(total.listeners, History::Followed, now);
            }
        });
    }

    /// Counts a listener that has come here by a passthrough address made by `from`.
    pub fn note_arrived(&mut self, from: &NodeName, now: Instant) {
        let own = self.own.clone();
        let is_node = self.nodes.get(from).is_some_and(|it| it.outside.is_none());
        if *from == own || !is_node {
            return; // An address made by an unknown node, or by this one, which redirects no listener to itself.
        }
        self.update(from, &own, now, |transit| {
            let total = transit.arrived().0.saturating_add(1);
            transit.hear_arrived(total, History::Followed, now);
        });
    }

    /// Forgets a node that has left. Counters for its next life begin at zero.
    pub fn forget(&mut self, name: &NodeName, now: Instant) {
        if *name != self.own && self.nodes.remove(name).is_some() {
            self.forget_sender(name);
            self.sweep(now);
        }
    }

    /// The bulletin to publish: this node's report, and the counters that changed last, at most [`MAX_COUNTERS`] of
    /// each.
    pub fn bulletin(&self) -> Bulletin {
        let own = &self.nodes[&self.own];
        let sent = self.nodes.iter().filter_map(|(to, node)| {
            let (total, moved_at) = node.inbound.get(&self.own)?.sent();
            let (to, generation) = (to.clone(), node.generation);
            let sent = Sent {
                to,
                generation,
                total,
            };
            Some((moved_at?, sent))
        });
        let arrived = own.inbound.iter().filter_map(|(from, transit)| {
            let (listeners, moved_at) = transit.arrived();
            let generation = self.generation(from).filter(|_| *from != self.own)?;
            let from = from.clone();
            let arrived = Arrived {
                from,
                generation,
                listeners,
            };
            Some((moved_at?, arrived))
        });
        Bulletin {
            report: own.report.unwrap_or_default(),
            sent: moved_last(sent.collect()),
            arrived: moved_last(arrived.collect()),
            cut: false,
        }
    }

    /// The table of all nodes as of now.
    pub fn table(&mut self, now: Instant) -> Table<'_> {
        self.sweep_if_due(now);
        let nodes = self.nodes.iter().filter(|(_, node)| node.outside.is_none());
        let outlook = |(name, node)| self.outlook(name, node, now);
        self.tabulate(nodes.map(outlook).collect())
    }

    fn tabulate<'a>(&self, outlooks: Vec<Outlook<'a>>) -> Table<'a> {
        Table {
            outlooks,
            expected_listeners: self.recent_listeners.max(1) as f64,
            basis: Basis::Predicted,
        }
    }

    fn outlook<'a>(&self, name: &'a NodeName, node: &KnownNode, now: Instant) -> Outlook<'a> {
        let late = now.saturating_duration_since(node.heard_at) > self.stale_after;
        let is_own = *name == self.own;
        let is_steady = node.steadiness.steady_at().is_some_and(|at| now >= at);
        let standing = match (node.state, node.report) {
            (NodeState::Alive | NodeState::Unlinked, Some(_)) if late && !is_own => Standing::Stale,
            (NodeState::Alive | NodeState::Unlinked, Some(_)) if is_steady || is_own => {
                Standing::Ready
            }
            (NodeState::Alive | NodeState::Unlinked, Some(_)) => Standing::Unsteady,
            _ => Standing::Closed,
        };
        Outlook {
            node: name,
            standing,
            predicted: node.predicted(),
            reported: node.report.unwrap_or_default(),
            pending: node.pending,
            ahead: node.ahead,
            warmth: node.warmth(now),
        }
    }

    fn hear_arrived(
        &mut self,
        at: &NodeName,
        counters: Listed<'_, Arrived>,
        history: History,
        now: Instant,
    ) {
        let full = counters.may_be_longer();
        for arrived in counters.known.iter().take(MAX_COUNTERS) {
            if self.generation(&arrived.from) == Some(arrived.generation) {
                self.update(&arrived.from, at, now, |transit| {
                    let history = history.of_counter(full, transit.arrived().1);
                    transit.note_list(full);
                    transit.hear_arrived(arrived.listeners, history, now);
                    transit.give_up(now);
                });
            }
        }
        if !full && let Some(node) = self.nodes.get_mut(at) {
            // A node that is missing in a complete list has had no arrival.
            node.inbound.values_mut().for_each(|it| it.give_up(now));
        }
    }

    fn hear_sent(
        &mut self,
        by: &NodeName,
        counters: Listed<'_, Sent>,
        history: History,
        now: Instant,
    ) {
        let full = counters.may_be_longer();
        for sent in counters.known.iter().take(MAX_COUNTERS) {
            if self.generation(&sent.to) == Some(sent.generation) {
                self.update(by, &sent.to, now, |transit| {
                    let history = history.of_counter(full, transit.sent().1);
                    transit.note_list(full);
                    transit.hear_sent(sent.total, history, now);
                    if sent.to == *by {
                        // The node kept them, so they have arrived.
                        transit.hear_arrived(sent.total.listeners, history, now);
                    }
                });
            }
        }
    }

    fn own_mut(&mut self) -> &mut KnownNode {
        let own = self.nodes.get_mut(&self.own);
        own.expect("our own node is put in by `new` and never forgotten")
    }

    fn generation(&self, name: &NodeName) -> Option<Generation> {
        self.nodes.get(name).map(|node| node.generation)
    }

    /// The node, if this is its present life or a newer one, which then begins from nothing.
    fn admit(&mut self, life: &Life, now: Instant) -> Option<&mut KnownNode> {
        if is_backend(&life.node) {
            return None; // The row of an outside server, which publishes nothing itself.
        }
        let history = match self.generation(&life.node) {
            Some(known) if known > life.generation => return None,
            Some(known) if known == life.generation => return self.nodes.get_mut(&life.node),
            Some(_) => History::Followed,
            None if self.nodes.len() >= MAX_NODES => return None,
            None => History::Joined,
        };
        let mut steadiness = self.nodes.get(&life.node).map(|it| it.steadiness);
        if let Some(steadiness) = &mut steadiness {
            steadiness.doubt(now); // The last life has ended without a word, unless that was excused.
        }
        self.forget_sender(&life.node);
        let node = KnownNode {
            steadiness: steadiness.unwrap_or_default(),
            ..KnownNode::new(life.generation, history, now)
        };
        self.nodes.insert(life.node.clone(), node);
        self.sweep(now);
        self.nodes.get_mut(&life.node)
    }

    fn forget_sender(&mut self, name: &NodeName) {
        for node in self.nodes.values_mut() {
            node.inbound.remove(name);
        }
    }

    /// Changes one transit and, by the difference, the sums that it is part of. Both ends are known.
    fn update(
        &mut self,
        from: &NodeName,
        to: &NodeName,
        now: Instant,
        change: impl FnOnce(&mut Transit),
    ) {
        let Some(node) = self.nodes.get_mut(to) else {
            return;
        };
        if !node.inbound.contains_key(from) {
            node.inbound.insert(from.clone(), node.transit());
        }
        let transit = node.inbound.get_mut(from).expect("it was just put in");
        let before = transit.flow();
        change(transit);
        transit.settle(now);
        let after = transit.flow();
        node.pending = node.pending.minus(before.pending).plus(after.pending);
        node.ahead = node
            .ahead
            .saturating_sub(before.ahead)
            .saturating_add(after.ahead);
        self.recent_listeners = self
            .recent_listeners
            .saturating_sub(before.recent_listeners)
            .saturating_add(after.recent_listeners);
    }

    fn sweep_if_due(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept_at) >= SWEEP {
            self.sweep(now);
        }
    }

    /// Lets reservations expire, and adds everything up anew.
    fn sweep(&mut self, now: Instant) {
        self.swept_at = now;
        self.recent_listeners = 0;
        for (name, node) in &mut self.nodes {
            node.pending = Tally::default();
            node.ahead = 0;
            for transit in node.inbound.values_mut() {
                if *name == self.own {
                    transit.give_up(now); // An arrival here is known at once.
                }
                transit.settle(now);
                let flow = transit.flow();
                node.pending = node.pending.plus(flow.pending);
                node.ahead = node.ahead.saturating_add(flow.ahead);
                self.recent_listeners = self.recent_listeners.saturating_add(flow.recent_listeners);
            }
        }
    }
}

/// All that is known of one node, or outside server.
#[derive(Clone, Debug)]
struct KnownNode {
    generation: Generation,
    state: NodeState,
    met_at: Instant,
    heard_at: Instant,
    /// Whether the node has been heard for long enough since it was in doubt.
    steadiness: Steadiness,
    history: History,
    report: Option<LoadReport>,
    /// The listeners on their way to the node, by redirector.
    inbound: BTreeMap<NodeName, Transit>,
    /// All listeners on their way to the node: the sum over `inbound`.
    pending: Tally,
    /// Listeners in the node's report that their redirector has not told yet: the sum over `inbound`.
    ahead: u64,
    /// Further facts, if this is an outside server.
    outside: Option<OutsideFacts>,
}

impl KnownNode {
    fn new(generation: Generation, history: History, now: Instant) -> Self {
        Self {
            generation,
            state: NodeState::Suspect,
            met_at: now,
            heard_at: now,
            steadiness: Steadiness::default(),
            history,
            report: None,
            inbound: BTreeMap::new(),
            pending: Tally::default(),
            ahead: 0,
            outside: None,
        }
    }

    /// The share of the node's capacity that may be filled yet.
    fn warmth(&self, now: Instant) -> f64 {
        let since = self
            .steadiness
            .steady_at()
            .map_or(self.met_at, |at| at.max(self.met_at));
        let age = now.saturating_duration_since(since);
        (age.as_secs_f64() / SLOW_START.as_secs_f64()).clamp(COLD, 1.0)
    }

    fn predicted(&self) -> LoadReport {
        let report = self.report.unwrap_or_default();
        let pending = u32::try_from(self.pending.listeners).unwrap_or(u32::MAX);
        LoadReport {
            listeners: report.listeners.saturating_add(pending),
            egress_bps: report.egress_bps.saturating_add(self.pending.bps),
            ..report
        }
    }
}

fn moved_last<T>(mut counters: Vec<(Instant, T)>) -> Vec<T> {
    counters.sort_by_key(|(moved_at, _)| Reverse(*moved_at));
    counters.truncate(MAX_COUNTERS);
    counters.into_iter().map(|(_, counter)| counter).collect()
}

/// Counters of a bulletin, which may be more than fit into it.
#[derive(Clone, Copy)]
struct Listed<'a, T> {
    known: &'a [T],
    /// Whether the node says that it has left some out.
    cut: bool,
}

impl<T> Listed<'_, T> {
    /// Whether who is not in it may have been left out.
    fn may_be_longer(&self) -> bool {
        self.cut || self.known.len() >= MAX_COUNTERS
    }
}
