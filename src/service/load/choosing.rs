//! The choice of a node for one listener.
//!
//! It is made by the prediction, and once more by the reports alone when that leaves nobody: those on the way may be
//! strangers who never come. Nodes of which there is a doubt are left for the last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use tokio::time::Instant;

use super::{Load, State};
use crate::logic::forecast::{Basis, Outlook, Standing, Table};
use crate::logic::policy::explain::Explanation;
use crate::logic::policy::{Choice, Chooser, Policy, Request, Scene};
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::network::Family;
use crate::model::node::NodeName;
use crate::model::outside::is_backend;

/// One listener's question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What he wants to hear.
    pub mount: &'a MountName,
    /// Where he is.
    pub place: Whereabouts,
    /// Who may serve him.
    pub among: Among,
    /// Whether he speaks HTTPS, and is therefore sent only to who does; this node he reaches in any case.
    pub https: bool,
    /// The family of the listener's address. A node whose own address is one of the other family is left for the last.
    pub family: Option<Family>,
    /// From where on a node is too full for him; 1 is full, which holds anyway.
    pub full_at: f64,
}

/// Where a listener goes, and whether he is expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Where.
    pub choice: Choice,
    /// Whether a place counts as taken by him until he arrives.
    pub reserved: bool,
}

/// Who may serve a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Our nodes and the outside servers that carry the mount.
    All,
    /// Outside servers alone: no node of ours can get the stream.
    Outside,
}

impl Load {
    /// Chooses a node for a listener, and counts the listener as sent there, unless its address or network has sent
    /// too many already.
    pub fn choose(&self, ask: &Ask<'_>, from: IpAddr) -> Chosen {
        let now = Instant::now().into_std();
        let state = &mut *self.0.lock();
        let choose =
            |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
                (chooser.choose(policy, scene, it), it.cost_bps)
            };
        let has_room = |(choice, _): &(Choice, u64)| *choice != Choice::Full;
        let (choice, cost_bps) = state.look(ask, now, choose, has_room);
        let me = state.view.me.clone();
        let to = match &choice {
            Choice::Here => Some(&me),
            Choice::Redirect(to) => Some(to),
            Choice::Full => None,
        };
        let reserved = to.is_some() && state.reservations.reserve(from, now);
        if let Some(to) = to.filter(|_| reserved) {
            state.forecast.note_sent(to, cost_bps, now);
            if *to != me {
                state.reach.note_sent(to, from, now);
            }
        }
        Chosen { choice, reserved }
    }

    /// The nodes for a listener, the best first. Nobody is counted as sent.
    pub fn rank(&self, ask: &Ask<'_>, most: usize) -> Vec<NodeName> {
        let now = Instant::now().into_std();
        let rank = |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
            chooser.rank(policy, scene, it, most)
        };
        self.0.lock().look(ask, now, rank, |it| !it.is_empty())
    }

    /// The nodes of ours for a listener, the best first, each with the listeners that it has room for. Nobody is counted
    /// as sent.
    pub fn rooms(&self, ask: &Ask<'_>) -> Vec<(NodeName, f64)> {
        let now = Instant::now().into_std();
        let rooms = |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
            let outlooks = &scene.table.outlooks;
            let ranked = chooser.rank(policy, scene, it, outlooks.len());
            let room = |name: NodeName| {
                // The table is in the order of names.
                let place = outlooks.binary_search_by(|it| it.node.cmp(&name)).ok()?;
                let outlook = &outlooks[place];
                let free = 1.0 - outlook.predicted_utilization();
                Some((name, free * f64::from(outlook.predicted.max_listeners)))
            };
            let ours = ranked.into_iter().filter(|name| !is_backend(name));
            ours.filter_map(room).collect::<Vec<_>>()
        };
        self.0.lock().look(ask, now, rooms, |it| !it.is_empty())
    }

    /// Why the next such listener would be sent where.
    pub fn explain(&self, ask: &Ask<'_>) -> Explanation {
        let now = Instant::now().into_std();
        let explain = |chooser: &mut Chooser,
                       policy: &Policy,
                       scene: Scene<'_>,
                       it: &Request<'_>| chooser.explain(policy, scene, it);
        let has_room = |it: &Explanation| it.choice != Choice::Full;
        self.0.lock().look(ask, now, explain, has_room)
    }
}

/// How nodes are looked at that may be chosen with a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// They are left out.
    Heeded,
    /// They are the last resort.
    Ignored,
}

/// The ways of looking, in the order in which they are tried.
const LOOKS: [(Doubt, Basis); 4] = [
    (Doubt::Heeded, Basis::Predicted),
    (Doubt::Heeded, Basis::Reported),
    (Doubt::Ignored, Basis::Predicted),
    (Doubt::Ignored, Basis::Reported),
];

impl State {
    /// What is found by the first way of looking that finds something good; else what was found first.
    fn look<T>(
        &mut self,
        ask: &Ask<'_>,
        now: std::time::Instant,
        find: impl Fn(&mut Chooser, &Policy, Scene<'_>, &Request<'_>) -> T,
        is_good: impl Fn(&T) -> bool,
    ) -> T {
        let [first, rest @ ..] = LOOKS;
        let found = self.with_scene(ask, (first, now), &find);
        if is_good(&found) {
            return found;
        }
        for look in rest {
            let again = self.with_scene(ask, (look, now), &find);
            if is_good(&again) {
                return again;
            }
        }
        found
    }

    /// Lets the chooser do something with all that a listener's choice is made from.
    fn with_scene<T>(
        &mut self,
        ask: &Ask<'_>,
        ((doubt, basis), now): ((Doubt, Basis), std::time::Instant),
        find: impl Fn(&mut Chooser, &Policy, Scene<'_>, &Request<'_>) -> T,
    ) -> T {
        let request = Request {
            mount: ask.mount,
            cost_bps: self.cost_bps(ask.mount),
            place: ask.place,
        };
        let mut table = self.forecast.table_of(ask.mount, now);
        for outlook in &mut table.outlooks {
            let is_served = !matches!(outlook.standing, Standing::Closed | Standing::Unsteady);
            if is_served && !self.reach.is_open(outlook.node, now) {
                outlook.standing = Standing::Unreached;
            }
        }
        if basis == Basis::Reported {
            table = table.as_reported();
        }
        if doubt == Doubt::Ignored {
            table = table.as_last_resort();
        }
        let ways = Ways {
            me: &self.view.me,
            https: &self.https,
            families: &self.families,
        };
        leave_fitting(&mut table, ask, doubt, ways);
        let scene = Scene {
            table: &table,
            facts: &self.facts,
        };
        let policy = self.policies.get(ask.mount);
        let policy = policy.unwrap_or(&self.steering.policy);
        find(&mut self.chooser, policy, scene, &request)
    }

    /// Notes by which family of addresses everybody is reached whose address is an IP address.
    pub(super) fn gather_families(&mut self) {
        let nodes = self.view.nodes.iter().map(|(name, node)| {
            let https = node.card.https_url.as_deref().and_then(family_of);
            (name.clone(), [family_of(&node.card.url), https])
        });
        let servers = self.servers.values().map(|server| {
            let family = family_of(&server.public_url);
            (server.backend(), [family, family])
        });
        let literal = nodes.chain(servers).filter(|(_, it)| *it != [None, None]);
        self.families = literal.collect();
    }
}

/// How nodes and outside servers are reached.
#[derive(Clone, Copy)]
struct Ways<'a> {
    /// This node is reached by whoever asks it.
    me: &'a NodeName,
    https: &'a BTreeSet<NodeName>,
    families: &'a BTreeMap<NodeName, [Option<Family>; 2]>,
}

/// Leaves those in the table that such a listener can be sent to.
fn leave_fitting(table: &mut Table<'_>, ask: &Ask<'_>, doubt: Doubt, ways: Ways<'_>) {
    let is_near = |node: &NodeName| {
        let its = ways
            .families
            .get(node)
            .and_then(|it| it[usize::from(ask.https)]);
        its.is_none() || its == ask.family || node == ways.me
    };
    let families_matter =
        doubt == Doubt::Heeded && ask.family.is_some() && !ways.families.is_empty();
    let fits = |it: &Outlook<'_>| {
        (ask.among == Among::All || is_backend(it.node))
            && (!ask.https || ways.https.contains(it.node))
            && it.predicted_utilization() < ask.full_at
            && (!families_matter || is_near(it.node))
    };
    if ask.among == Among::Outside || ask.https || ask.full_at.is_finite() || families_matter {
        table.outlooks.retain(fits);
    }
}

/// The family of the address in a URL; none if there is a name, which may have both.
fn family_of(url: &str) -> Option<Family> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    if authority.starts_with('[') {
        return Some(Family::V6);
    }
    let host = authority.split(':').next()?;
    host.parse::<Ipv4Addr>().ok().map(|_| Family::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ip_address_in_a_url_has_one_family_and_a_name_may_have_both() {
        for (url, family) in [
            ("http://192.0.2.7", Some(Family::V4)),
            ("http://192.0.2.7:8000/x", Some(Family::V4)),
            ("https://[2001:db8::7]:8000", Some(Family::V6)),
            ("http://radio.example:8000", None),
            ("", None),
        ] {
            assert_eq!(family_of(url), family, "{url}");
        }
    }
}
