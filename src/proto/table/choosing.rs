//! The choice of a node for one listener.
//!
//! It is made by the prediction, and once more by the reports alone when that leaves nobody: those on the way may be
//! strangers who never come. Nodes of which there is a doubt are left for the last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use super::LoadTable;
use crate::logic::forecast::{Basis, Outlook, Standing, Table};
use crate::logic::policy::explain::Explanation;
use crate::logic::policy::{Choice, Chooser, Policy, Request, Scene};
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::network::Family;
use crate::model::node::NodeName;
use crate::model::outside::is_backend;
use crate::wire::icecast::passthrough::Minted;

/// What the table is asked for one listener.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What it wants to hear.
    pub mount: &'a MountName,
    /// Where it is.
    pub place: Whereabouts,
    /// Who may serve it.
    pub among: Among,
    /// Whether it speaks HTTPS, and is therefore sent only to who does; it reaches this node in any case.
    pub https: bool,
    /// The family of its address. A node whose own address is one of the other family is left for the last.
    pub family: Option<Family>,
    /// From where on a node is too full for it; 1 is full, which holds anyway.
    pub full_at: f64,
}

/// Where a listener goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Where.
    pub choice: Choice,
    /// The tag by which it counts when it arrives; `None` if no place counts as taken by it until then.
    pub reserved: Option<Minted>,
}

/// Who may serve a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Our nodes and the outside servers that carry the mount.
    All,
    /// Outside servers alone: no node of ours can get the stream.
    Outside,
}

impl LoadTable {
    /// Chooses a node for a listener, and counts the listener as sent there, unless its address or network has sent
    /// too many already.
    pub fn choose(&mut self, ask: &Ask<'_>, from: IpAddr, now: Instant, now_unix_s: u32) -> Chosen {
        let choose =
            |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
                (chooser.choose(policy, scene, it), it.cost_bps)
            };
        let has_room = |(choice, _): &(Choice, u64)| *choice != Choice::Full;
        let (choice, cost_bps) = self.look(ask, now, choose, has_room);
        let to = match &choice {
            Choice::Here => &self.me,
            Choice::Redirect(to) => to,
            Choice::Full => {
                return Chosen {
                    choice,
                    reserved: None,
                };
            }
        };
        let is_reserved = self.reservations.reserve(from, now);
        if is_reserved {
            self.forecast.note_sent(to, cost_bps, now);
            if *to != self.me {
                self.reach.note_sent(to, from, now);
            }
        }
        let reserved = is_reserved.then(|| self.mint(now_unix_s));
        Chosen { choice, reserved }
    }

    /// Where the next such listener would go. Nothing is changed by it.
    pub fn foresee(&mut self, ask: &Ask<'_>, now: Instant) -> Choice {
        let choose =
            |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
                chooser.clone().choose(policy, scene, it)
            };
        self.look(ask, now, choose, |choice| *choice != Choice::Full)
    }

    fn mint(&mut self, unix_s: u32) -> Minted {
        let number = self.tags;
        self.tags = self.tags.wrapping_add(1);
        Minted { unix_s, number }
    }

    /// The nodes for a listener, the best first. Nobody is counted as sent.
    pub fn rank(&mut self, ask: &Ask<'_>, most: usize, now: Instant) -> Vec<NodeName> {
        let rank = |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
            chooser.rank(policy, scene, it, most)
        };
        self.look(ask, now, rank, |it| !it.is_empty())
    }

    /// The nodes of ours for a listener, the best first, each with the listeners that it has room for. Nobody is counted
    /// as sent.
    pub fn rooms(&mut self, ask: &Ask<'_>, now: Instant) -> Vec<(NodeName, f64)> {
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
        self.look(ask, now, rooms, |it| !it.is_empty())
    }

    /// Why the next such listener would be sent where.
    pub fn explain(&mut self, ask: &Ask<'_>, now: Instant) -> Explanation {
        let explain = |chooser: &mut Chooser,
                       policy: &Policy,
                       scene: Scene<'_>,
                       it: &Request<'_>| chooser.explain(policy, scene, it);
        let has_room = |it: &Explanation| it.choice != Choice::Full;
        self.look(ask, now, explain, has_room)
    }

    /// What is found by the first way of looking that finds something good; else what was found first.
    fn look<T>(
        &mut self,
        ask: &Ask<'_>,
        now: Instant,
        find: impl Fn(&mut Chooser, &Policy, Scene<'_>, &Request<'_>) -> T,
        is_good: impl Fn(&T) -> bool,
    ) -> T {
        let [first, rest @ ..] = LOOKS;
        let found = self.with_scene(ask, first, now, &find);
        if is_good(&found) {
            return found;
        }
        for look in rest {
            let again = self.with_scene(ask, look, now, &find);
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
        look: ChoosingPass,
        now: Instant,
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
        if look.basis == Basis::Reported {
            table = table.as_reported();
        }
        if look.doubt == Doubt::Ignored {
            table = table.as_last_resort();
        }
        let ways = Ways {
            me: &self.me,
            https: &self.https,
            families: &self.families,
        };
        leave_fitting(&mut table, ask, look.doubt, ways);
        let scene = Scene {
            table: &table,
            facts: &self.facts,
        };
        let policy = self.policies.get(ask.mount);
        let policy = policy.unwrap_or(&self.steering.mesh.policy);
        find(&mut self.chooser, policy, scene, &request)
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

/// One way of looking at the nodes.
#[derive(Clone, Copy, Debug)]
struct ChoosingPass {
    doubt: Doubt,
    basis: Basis,
}

/// The ways of looking, in the order in which they are tried.
const LOOKS: [ChoosingPass; 4] = [
    ChoosingPass {
        doubt: Doubt::Heeded,
        basis: Basis::Predicted,
    },
    ChoosingPass {
        doubt: Doubt::Heeded,
        basis: Basis::Reported,
    },
    ChoosingPass {
        doubt: Doubt::Ignored,
        basis: Basis::Predicted,
    },
    ChoosingPass {
        doubt: Doubt::Ignored,
        basis: Basis::Reported,
    },
];

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
