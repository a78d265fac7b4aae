//! Outside servers as rows of the table: they say what they carry, and nothing of who sent it.
//!
//! In a node's bulletin stands who has arrived; here the poller says in the server's stead whom it knew to have been
//! sent when it asked. So whoever was sent since is on the way, and a row fills between two questions too. Room is
//! per mount: of a server's limit and a mount's the one that leaves less.

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
        if abroad.question == question {
            return;
        }
        abroad.question = question;
        abroad.bulletin = bulletin.clone();
        row.heard_at = now;
        // An answer is what accounts for anybody: after a failure they are as much on their way as before.
        if bulletin.failure.is_none() {
            self.hear_arrived(backend, &bulletin.arrived, History::Followed, now);
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
        Some(Outlook {
            node: name,
            standing,
            predicted: self.predicted_abroad(report.server, on_air.copied().unwrap_or_default()),
            pending: self.pending,
            ahead: self.ahead,
            warmth: self.warmth(now),
        })
    }

    /// The load of whichever has less room, the server or the mount, once everybody has arrived. Those who are on
    /// the way are counted by server, so each of them may have come for this mount.
    fn predicted_abroad(&self, server: Slots, mount: Slots) -> LoadReport {
        let pending = u32::try_from(self.pending.listeners).unwrap_or(u32::MAX);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn mount(path: &str) -> MountName {
        path.parse().unwrap()
    }

    fn life(text: &str) -> Life {
        let (node, generation) = (name(text), Generation(1));
        Life { node, generation }
    }

    fn server(max_listeners: Option<u32>) -> OutsideServer {
        OutsideServer {
            name: name("r"),
            public_url: "http://r".into(),
            poll_url: "http://r".into(),
            via: crate::model::outside::Via::StatusJson,
            login: None,
            weight_percent: 100,
            country: None,
            enabled: true,
            max_listeners,
            mounts: BTreeMap::from([(mount("/a"), mount("/x")), (mount("/b"), mount("/b"))]),
        }
    }

    fn slots(listeners: u32, max_listeners: Option<u32>) -> Slots {
        Slots {
            listeners,
            max_listeners,
        }
    }

    fn found(number: u64, server: Slots, mount_a: Slots) -> OutsideBulletin {
        OutsideBulletin {
            report: OutsideReport {
                number,
                server,
                mounts: BTreeMap::from([(mount("/a"), mount_a)]),
            },
            ..OutsideBulletin::default()
        }
    }

    /// Node `me`, its peer `peer`, and the server `r`, of which nothing is known yet.
    fn forecast(now: Instant) -> Forecast {
        let mut forecast = Forecast::new(life("me"), SECOND, now);
        forecast.witness(&life("peer"), NodeState::Alive, now);
        forecast.set_outside([&server(None)], now);
        forecast
    }

    fn hear(forecast: &mut Forecast, bulletin: &OutsideBulletin, now: Instant) {
        forecast.hear_outside(&name("outside-r"), (&life("peer"), bulletin), now);
    }

    /// Standing, listeners and room for the mount.
    fn seen(forecast: &mut Forecast, path: &str, now: Instant) -> Option<(Standing, u32, u32)> {
        let table = forecast.table_of(&mount(path), now);
        let row = table
            .outlooks
            .iter()
            .find(|it| it.node.as_str() == "outside-r")?;
        let predicted = row.predicted;
        Some((row.standing, predicted.listeners, predicted.max_listeners))
    }

    #[test]
    fn a_server_is_a_row_for_the_mounts_that_it_has_on_air() {
        let now = Instant::now();
        let mut forecast = forecast(now);
        let closed = |seen: Option<(Standing, u32, u32)>| seen.unwrap().0 == Standing::Closed;
        assert!(
            closed(seen(&mut forecast, "/a", now)),
            "nobody has asked yet"
        );
        hear(
            &mut forecast,
            &found(1, slots(5, Some(50)), slots(3, None)),
            now,
        );
        let here = seen(&mut forecast, "/a", now);
        assert_eq!(here, Some((Standing::Ready, 5, 50)));
        assert!(closed(seen(&mut forecast, "/b", now)), "not on air");
        assert_eq!(seen(&mut forecast, "/c", now), None, "not carried");
        let others = forecast.table(now).outlooks;
        assert!(others.iter().all(|it| it.node.as_str() != "outside-r"));
    }

    #[test]
    fn the_lesser_room_of_server_and_mount_counts() {
        let now = Instant::now();
        for (number, server, mount, expected) in [
            (1, slots(10, Some(50)), slots(5, Some(7)), (5, 7)),
            (2, slots(49, Some(50)), slots(5, Some(7)), (49, 50)),
            (3, slots(9, None), slots(5, Some(7)), (5, 7)),
            (4, slots(9, None), slots(5, None), (9, 109)),
            (5, slots(9, Some(0)), slots(5, None), (9, 0)),
            (6, slots(0, None), slots(0, Some(0)), (0, 0)),
        ] {
            let mut forecast = forecast(now);
            hear(&mut forecast, &found(number, server, mount), now);
            let (_, listeners, most) = seen(&mut forecast, "/a", now).unwrap();
            assert_eq!((listeners, most), expected, "{number}");
        }
    }

    #[test]
    fn silence_and_failure_close_a_row() {
        let now = Instant::now();
        let mut forecast = forecast(now);
        let good = found(1, slots(5, Some(50)), slots(3, None));
        hear(&mut forecast, &good, now);
        let almost = now + FRESH - Duration::from_millis(1);
        assert_eq!(
            seen(&mut forecast, "/a", almost).unwrap().0,
            Standing::Ready
        );
        hear(&mut forecast, &good, almost);
        assert_eq!(
            seen(&mut forecast, "/a", now + FRESH).unwrap().0,
            Standing::Closed,
            "old news"
        );
        hear(
            &mut forecast,
            &found(2, slots(5, Some(50)), slots(3, None)),
            now + FRESH,
        );
        assert_eq!(
            seen(&mut forecast, "/a", now + FRESH).unwrap().0,
            Standing::Ready
        );
        let failed = OutsideBulletin {
            failure: Some("refused".into()),
            ..found(3, slots(0, None), slots(0, None))
        };
        hear(&mut forecast, &failed, now + FRESH);
        assert_eq!(
            seen(&mut forecast, "/a", now + FRESH).unwrap().0,
            Standing::Closed
        );
    }

    #[test]
    fn an_operator_closes_a_row_at_once_and_nothing_else_of_it_is_lost() {
        let now = Instant::now();
        let mut forecast = forecast(now);
        hear(
            &mut forecast,
            &found(1, slots(5, Some(50)), slots(3, None)),
            now,
        );
        for (is_enabled, weight_percent, standing) in [
            (false, 100, Standing::Closed),
            (true, 0, Standing::Closed),
            (true, 1, Standing::Ready),
        ] {
            let server = OutsideServer {
                enabled: is_enabled,
                weight_percent,
                ..server(None)
            };
            forecast.set_outside([&server], now);
            assert_eq!(seen(&mut forecast, "/a", now), Some((standing, 5, 50)));
        }
        forecast.set_outside([], now);
        assert_eq!(seen(&mut forecast, "/a", now), None);
    }

    #[test]
    fn those_sent_since_the_question_are_on_the_way_until_an_answer_accounts_for_them() {
        let (mut now, backend) = (Instant::now(), name("outside-r"));
        let mut forecast = forecast(now);
        hear(
            &mut forecast,
            &found(1, slots(0, Some(50)), slots(0, None)),
            now,
        );
        for _ in 0..4 {
            forecast.note_sent(&backend, 128_000, now);
        }
        assert_eq!(seen(&mut forecast, "/a", now).unwrap().1, 4);
        let known = |forecast: &Forecast, now| {
            let sent = forecast.sent_outside(&backend, now);
            sent.iter().map(|it| it.listeners).sum::<u64>()
        };
        assert_eq!(known(&forecast, now), 0, "they may not have followed yet");
        now += 2 * SECOND;
        let arrived = forecast.sent_outside(&backend, now);
        assert_eq!(known(&forecast, now), 4);
        forecast.note_sent(&backend, 128_000, now);
        now += 6 * SECOND;
        assert_eq!(
            seen(&mut forecast, "/a", now).unwrap().1,
            5,
            "longer than for a node"
        );
        let answer = OutsideBulletin {
            arrived,
            ..found(2, slots(4, Some(50)), slots(4, None))
        };
        hear(&mut forecast, &answer, now);
        assert_eq!(
            seen(&mut forecast, "/a", now).unwrap().1,
            5,
            "four are there, one comes"
        );
        assert_eq!(forecast.outside(now)[&backend].pending, 1);
        let much_later = now + PATIENCE;
        assert_eq!(
            seen(&mut forecast, "/a", much_later).unwrap().1,
            4,
            "he went elsewhere"
        );
    }

    #[test]
    fn those_whom_others_send_are_known_from_their_bulletins() {
        let now = Instant::now();
        let mut forecast = forecast(now);
        forecast.hear(&life("peer"), &super::super::Bulletin::default(), now);
        hear(
            &mut forecast,
            &found(1, slots(0, Some(50)), slots(0, None)),
            now,
        );
        let sent = super::super::Sent {
            to: name("outside-r"),
            generation: Generation(0),
            total: super::super::Tally {
                listeners: 3,
                bps: 384_000,
            },
        };
        let bulletin = super::super::Bulletin {
            sent: vec![sent],
            ..super::super::Bulletin::default()
        };
        forecast.hear(&life("peer"), &bulletin, now);
        assert_eq!(seen(&mut forecast, "/a", now).unwrap().1, 3);
        let published = forecast.bulletin();
        assert!(published.sent.is_empty(), "each tells of its own");
        forecast.note_sent(&name("outside-r"), 1, now);
        assert_eq!(forecast.bulletin().sent.len(), 1);
    }

    #[test]
    fn no_node_can_pass_for_an_outside_server() {
        let now = Instant::now();
        let mut forecast = forecast(now);
        forecast.witness(&life("outside-r"), NodeState::Alive, now);
        forecast.witness(&life("outside-x"), NodeState::Alive, now);
        forecast.note_arrived(&name("outside-r"), now);
        assert!(forecast.bulletin().arrived.is_empty());
        assert_eq!(forecast.table(now).outlooks.len(), 2, "me and my peer");
    }
}
