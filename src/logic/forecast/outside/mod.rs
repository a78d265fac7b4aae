//! Outside servers as rows of the table: they say what they carry, and nothing of who sent it.
//!
//! In a node's bulletin stands who has arrived; here the poller says in the server's stead whom it knew to have been
//! sent when it asked. So whoever was sent since is on the way, and a row fills between two questions too. Room is
//! per mount: of a server's limit and a mount's the one that leaves less.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bulletin::{Arrived, Life};
use super::table::{Outlook, Standing, Table};
use super::transit::{History, Transit};
use super::{Forecast, Node, moved_last};
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::{Generation, NodeName};
use crate::model::outside::{OutsideReport, OutsideServer, Slots};
use crate::model::status::NodeState;

/// How long a report counts. A question each 5 s, 3 s for the slowest answer and a second of gossip pass between two
/// of them at most; whoever is silent for longer is not chosen.
pub const FRESH: Duration = Duration::from_secs(10);

/// How long those who were sent are on the way, unless a report accounts for them: as long as the oldest report
/// counts, with the answer that it took and the [`FOLLOWING`] before it.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How long a player takes to follow a redirect. Who was sent within this time before a question is not taken to
/// be in its answer: to count somebody twice for a moment is better than to send one too many.
const FOLLOWING: Duration = Duration::from_secs(1);

/// The room of a server of which nobody says how much it has, beyond those who are there. It is what the usual
/// configuration of Icecast allows in all.
const UNTOLD_ROOM: u32 = 100;

/// What its poller gossips of an outside server after each question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideBulletin {
    /// What was found; no mounts if nothing was.
    pub report: OutsideReport,
    /// Why nothing was found, in words for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whom the poller knew to have been sent there when it asked, by redirector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrived: Vec<Arrived>,
}

/// What is known of an outside server, beside what its row has in common with a node's.
#[derive(Clone, Debug, Default)]
pub(super) struct Abroad {
    /// Whether it is asked at all.
    enabled: bool,
    /// Whether its operator lets anybody be sent there.
    open: bool,
    /// Our mounts that it is to carry.
    carries: BTreeSet<MountName>,
    /// Who asked last, and which question that was.
    question: Option<(Life, u64)>,
    bulletin: OutsideBulletin,
}

/// What is foreseen for one outside server, whatever the mount.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideOutlook {
    /// Who asked last; nobody has yet if there is none.
    pub asked_by: Option<NodeName>,
    /// How long ago that was heard.
    pub age: Duration,
    /// What was found.
    pub bulletin: OutsideBulletin,
    /// Whether anybody may be sent there now.
    pub standing: Standing,
    /// Listeners who are on their way.
    pub pending: u64,
}

impl Forecast {
    /// From now on these are the outside servers. What is known of those that stay is kept.
    pub fn set_outside<'a>(
        &mut self,
        servers: impl IntoIterator<Item = &'a OutsideServer>,
        now: Instant,
    ) {
        let servers: BTreeMap<NodeName, &OutsideServer> = servers
            .into_iter()
            .map(|server| (server.backend(), server))
            .collect();
        let rows = self.nodes.iter().filter(|(_, node)| node.abroad.is_some());
        let gone = rows.filter(|(name, _)| !servers.contains_key(*name));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.forget(&name, now);
        }
        for (name, server) in servers {
            if self.nodes.len() >= super::MAX_NODES && !self.nodes.contains_key(&name) {
                continue;
            }
            let row = self.nodes.entry(name).or_insert_with(|| row(now));
            let abroad = row.abroad.get_or_insert_default();
            if !server.enabled {
                // Once it is enabled again, what it said before is no answer.
                *abroad = Abroad::default();
            }
            abroad.enabled = server.enabled;
            abroad.open = server.enabled && server.weight_percent > 0;
            abroad.carries = server.mounts.keys().cloned().collect();
        }
    }

    /// Takes in what a poller has said. The same question again is no news.
    pub fn hear_outside(
        &mut self,
        backend: &NodeName,
        (poller, bulletin): (&Life, &OutsideBulletin),
        now: Instant,
    ) {
        let Some(row) = self.nodes.get_mut(backend) else {
            return;
        };
        let Some(abroad) = &mut row.abroad else {
            return;
        };
        let question = Some((poller.clone(), bulletin.report.number));
        if !abroad.enabled || abroad.question == question {
            return;
        }
        abroad.question = question;
        abroad.bulletin = bulletin.clone();
        row.heard_at = now;
        // An answer is what accounts for anybody: after a failure they are as much on their way as before.
        if bulletin.failure.is_none() {
            let arrived = (&bulletin.arrived[..], false);
            self.hear_arrived(backend, arrived, History::Followed, now);
        }
    }

    /// Whom we know to have been sent to an outside server, and to be there by now; for its poller, as it asks.
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

    /// The table for listeners of one mount: every node, and every outside server that is to carry it.
    pub fn table_of(&mut self, mount: &MountName, now: Instant) -> Table<'_> {
        self.sweep_if_due(now);
        let outlook = |(name, node): (_, &Node)| match &node.abroad {
            None => Some(self.outlook(name, node, now)),
            Some(abroad) => node.outlook_abroad((name, abroad), mount, now),
        };
        let outlooks = self.nodes.iter();
        self.tabulate(outlooks.filter_map(outlook).collect())
    }

    /// What is foreseen for each outside server, by the name of its row.
    pub fn outside(&mut self, now: Instant) -> BTreeMap<NodeName, OutsideOutlook> {
        self.sweep_if_due(now);
        let rows = self.nodes.iter();
        let rows = rows.filter_map(|(name, node)| Some((name, node, node.abroad.as_ref()?)));
        let outlook = |(name, node, abroad): (&NodeName, &Node, &Abroad)| {
            let outlook = OutsideOutlook {
                asked_by: abroad
                    .question
                    .as_ref()
                    .map(|(poller, _)| poller.node.clone()),
                age: now.saturating_duration_since(node.heard_at),
                bulletin: abroad.bulletin.clone(),
                standing: node.standing_abroad(abroad, now),
                pending: node.pending.listeners,
            };
            (name.clone(), outlook)
        };
        rows.map(outlook).collect()
    }
}

/// The row of a server of which nothing is known yet.
///
/// It has one life only: whatever restarts there, those who were sent are counted by the redirectors.
fn row(now: Instant) -> Node {
    let mut row = Node::new(Generation(0), History::Followed, now);
    row.state = NodeState::Alive;
    row.abroad = Some(Abroad::default());
    row
}

impl Node {
    /// The transit of a redirector who has sent nobody here yet.
    pub(super) fn transit(&self) -> Transit {
        match self.abroad {
            Some(_) => Transit::lasting(PATIENCE),
            None => Transit::default(),
        }
    }

    fn standing_abroad(&self, abroad: &Abroad, now: Instant) -> Standing {
        let is_fresh = now.saturating_duration_since(self.heard_at) < FRESH;
        let is_there = abroad.question.is_some() && abroad.bulletin.failure.is_none();
        // Never stale: a node whose load is unknown serves all the same, an outside server may be anything.
        match abroad.open && is_there && is_fresh {
            true => Standing::Ready,
            false => Standing::Closed,
        }
    }

    /// What is foreseen for listeners of a mount that is to be carried there.
    fn outlook_abroad<'a>(
        &self,
        (name, abroad): (&'a NodeName, &Abroad),
        mount: &MountName,
        now: Instant,
    ) -> Option<Outlook<'a>> {
        if !abroad.carries.contains(mount) {
            return None;
        }
        let report = &abroad.bulletin.report;
        let on_air = report.mounts.get(mount);
        let standing = match on_air {
            Some(_) => self.standing_abroad(abroad, now),
            None => Standing::Closed,
        };
        let slots = (report.server, on_air.copied().unwrap_or_default());
        let pending = u32::try_from(self.pending.listeners).unwrap_or(u32::MAX);
        Some(Outlook {
            node: name,
            standing,
            predicted: load_abroad(slots, pending),
            reported: load_abroad(slots, 0),
            pending: self.pending,
            ahead: self.ahead,
            warmth: self.warmth(now),
        })
    }
}

/// The load of whichever has less room, the server or the mount, once everybody has arrived. Those who are on the way
/// are counted by server, so each of them may have come for this mount.
fn load_abroad((server, mount): (Slots, Slots), pending: u32) -> LoadReport {
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
        max_bandwidth_bps: u64::MAX, // nobody says
        cpu_permille: None,
    }
}
