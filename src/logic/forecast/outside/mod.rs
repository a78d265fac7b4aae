//! Outside servers as rows of the table: they report what they carry, and nothing of who sent it.
//!
//! A node's bulletin lists the arrived listeners; here the poller lists, in the server's stead, those that it knew to
//! have been sent when it asked. So listeners sent since then are on the way, and a row fills between two questions
//! too. Room is per mount: the lesser of what the server's limit and the mount's limit leave.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bulletin::{Arrived, Life};
use super::table::{Outlook, Standing, Table};
use super::transit::{History, Transit};
use super::{Forecast, KnownNode, Listed, moved_last};
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::{Generation, NodeName};
use crate::model::outside::{OutsideReport, OutsideServer, Slots};
use crate::model::status::NodeState;

/// How long a report counts. Between two reports at most a question each 5 s, 3 s for the slowest answer and a second
/// of gossip pass; a server that is silent for longer is not chosen.
pub const FRESH: Duration = Duration::from_secs(10);

/// How long listeners that were sent are on the way, unless a report accounts for them: as long as the oldest report
/// counts, with the answer that it took and the [`FOLLOWING`] before it.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How long a player takes to follow a redirect. A listener that was sent within this time before a question is not
/// taken to be in its answer: to count one twice for a moment is better than to send one too many.
const FOLLOWING: Duration = Duration::from_secs(1);

/// The room of a server whose limit is unknown, beyond the listeners that are there. It is the whole limit in the
/// usual configuration of Icecast.
const UNTOLD_ROOM: u32 = 100;

/// A poller's word on its outside server, gossiped after each question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideBulletin {
    /// The report; without mounts if the server did not answer.
    pub report: OutsideReport,
    /// Why there was no answer, in words for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The listeners that the poller knew to have been sent there when it asked, by redirector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrived: Vec<Arrived>,
}

/// An outside server's facts beside those that its row has in common with a node's.
#[derive(Clone, Debug, Default)]
pub(super) struct OutsideFacts {
    /// Whether the server is asked at all.
    enabled: bool,
    /// Whether the operator lets listeners be sent there.
    open: bool,
    /// The mounts that the server carries.
    carries: BTreeSet<MountName>,
    /// The node that asked last, and the number of that question.
    question: Option<(Life, u64)>,
    bulletin: OutsideBulletin,
}

/// The forecast for one outside server, for all mounts.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideOutlook {
    /// The node that asked last; `None` if no node has asked yet.
    pub asked_by: Option<NodeName>,
    /// How long ago that was heard.
    pub age: Duration,
    /// The bulletin of that node.
    pub bulletin: OutsideBulletin,
    /// Whether listeners may be sent there now.
    pub standing: Standing,
    /// Listeners on their way.
    pub pending: u64,
}

impl Forecast {
    /// Sets the outside servers. What is known of those that stay is kept.
    pub fn set_outside<'a>(
        &mut self,
        servers: impl IntoIterator<Item = &'a OutsideServer>,
        now: Instant,
    ) {
        let servers: BTreeMap<NodeName, &OutsideServer> = servers
            .into_iter()
            .map(|server| (server.backend(), server))
            .collect();
        let rows = self.nodes.iter().filter(|(_, node)| node.outside.is_some());
        let gone = rows.filter(|(name, _)| !servers.contains_key(*name));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.forget(&name, now);
        }
        for (name, server) in servers {
            if self.nodes.len() >= super::MAX_NODES && !self.nodes.contains_key(&name) {
                continue;
            }
            let row = self.nodes.entry(name).or_insert_with(|| row(now));
            let facts = row.outside.get_or_insert_default();
            if !server.enabled {
                // When it is enabled again, an old report no longer counts.
                *facts = OutsideFacts::default();
            }
            facts.enabled = server.enabled;
            facts.open = server.enabled && server.weight_percent > 0;
            facts.carries = server.mounts.keys().cloned().collect();
        }
    }

    /// Takes in what a poller has said. The same question again is not news.
    pub fn hear_outside(
        &mut self,
        backend: &NodeName,
        poller: &Life,
        bulletin: &OutsideBulletin,
        now: Instant,
    ) {
        let Some(row) = self.nodes.get_mut(backend) else {
            return;
        };
        let Some(facts) = &mut row.outside else {
            return;
        };
        let question = Some((poller.clone(), bulletin.report.number));
        if !facts.enabled || facts.question == question {
            return;
        }
        facts.question = question;
        facts.bulletin = bulletin.clone();
        row.heard_at = now;
        // Only an answer accounts for listeners: after a failure they are as much on their way as before.
        if bulletin.failure.is_none() {
            let arrived = Listed {
                known: &bulletin.arrived,
                cut: false,
            };
            self.hear_arrived(backend, arrived, History::Followed, now);
        }
    }

    /// The listeners that are known to have been sent to an outside server and to be there by now; for its poller.
    pub fn sent_outside(&self, backend: &NodeName, now: Instant) -> Vec<Arrived> {
        let inbound = self.nodes.get(backend).map(|row| &row.inbound);
        let counters = inbound.into_iter().flatten().filter_map(|(from, transit)| {
            let arrived = Arrived {
                from: from.clone(),
                generation: self.generation(from)?,
                listeners: transit.sent_before(FOLLOWING, now).listeners,
            };
            Some((transit.sent().1?, arrived))
        });
        moved_last(counters.collect())
    }

    /// The table for listeners of one mount: every node, and every outside server that carries the mount.
    pub fn table_of(&mut self, mount: &MountName, now: Instant) -> Table<'_> {
        self.sweep_if_due(now);
        let outlook = |(name, node): (_, &KnownNode)| match &node.outside {
            None => Some(self.outlook(name, node, now)),
            Some(facts) => node.outlook_outside(name, facts, mount, now),
        };
        let outlooks = self.nodes.iter();
        self.tabulate(outlooks.filter_map(outlook).collect())
    }

    /// The forecast for each outside server, by the name of its row.
    pub fn outside(&mut self, now: Instant) -> BTreeMap<NodeName, OutsideOutlook> {
        self.sweep_if_due(now);
        let rows = self.nodes.iter();
        let rows = rows.filter_map(|(name, node)| Some((name, node, node.outside.as_ref()?)));
        let outlook = |(name, node, facts): (&NodeName, &KnownNode, &OutsideFacts)| {
            let outlook = OutsideOutlook {
                asked_by: facts
                    .question
                    .as_ref()
                    .map(|(poller, _)| poller.node.clone()),
                age: now.saturating_duration_since(node.heard_at),
                bulletin: facts.bulletin.clone(),
                standing: node.standing_outside(facts, now),
                pending: node.pending.listeners,
            };
            (name.clone(), outlook)
        };
        rows.map(outlook).collect()
    }
}

/// The row of a server of which nothing is known yet.
///
/// The row has one life only: whatever restarts there, the listeners sent are counted by the redirectors.
fn row(now: Instant) -> KnownNode {
    let mut row = KnownNode::new(Generation(0), History::Followed, now);
    row.state = NodeState::Alive;
    row.outside = Some(OutsideFacts::default());
    row
}

impl KnownNode {
    /// The transit of a redirector that has sent no listener here yet.
    pub(super) fn transit(&self) -> Transit {
        match self.outside {
            Some(_) => Transit::lasting(PATIENCE),
            None => Transit::default(),
        }
    }

    fn standing_outside(&self, facts: &OutsideFacts, now: Instant) -> Standing {
        let is_fresh = now.saturating_duration_since(self.heard_at) < FRESH;
        let is_there = facts.question.is_some() && facts.bulletin.failure.is_none();
        // Never stale: a node of unknown load serves all the same, but an outside server of unknown load may be full.
        match facts.open && is_there && is_fresh {
            true => Standing::Ready,
            false => Standing::Closed,
        }
    }

    /// The forecast for listeners of a mount that the server carries.
    fn outlook_outside<'a>(
        &self,
        name: &'a NodeName,
        facts: &OutsideFacts,
        mount: &MountName,
        now: Instant,
    ) -> Option<Outlook<'a>> {
        if !facts.carries.contains(mount) {
            return None;
        }
        let report = &facts.bulletin.report;
        let on_air = report.mounts.get(mount);
        let standing = match on_air {
            Some(_) => self.standing_outside(facts, now),
            None => Standing::Closed,
        };
        let (server, mount) = (report.server, on_air.copied().unwrap_or_default());
        let pending = u32::try_from(self.pending.listeners).unwrap_or(u32::MAX);
        Some(Outlook {
            node: name,
            standing,
            predicted: load_outside(server, mount, pending),
            reported: load_outside(server, mount, 0),
            pending: self.pending,
            ahead: self.ahead,
            warmth: self.warmth(now),
        })
    }
}

/// The load of the server or the mount, whichever has less room, once all listeners have arrived. Listeners on the way
/// are counted by server, so each of them may have come for this mount.
fn load_outside(server: Slots, mount: Slots, pending: u32) -> LoadReport {
    let all = Slots {
        listeners: server.listeners.max(mount.listeners),
        ..server
    };
    let told = [all, mount]
        .into_iter()
        .filter(|it| it.max_listeners.is_some());
    let tighter = told.min_by_key(Slots::free).unwrap_or(Slots {
        max_listeners: Some(all.listeners.saturating_add(UNTOLD_ROOM)),
        ..all
    });
    LoadReport {
        listeners: tighter.listeners.saturating_add(pending),
        max_listeners: tighter.max_listeners.unwrap_or(u32::MAX),
        egress_bps: 0,
        max_bandwidth_bps: u64::MAX, // No limit is known.
        cpu_permille: None,
    }
}
