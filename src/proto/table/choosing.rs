//! The choice of a node for one listener.
//!
//! Made by the predicted load, and again by the reported load alone if no node has room: listeners on their way may
//! never arrive. Nodes in doubt are the last resort.

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

/// A listener, as far as the choice of its node depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The mount that it asks for.
    pub mount: &'a MountName,
    /// The listener's place on earth.
    pub place: Whereabouts,
    /// The nodes and servers that may serve it.
    pub among: Among,
    /// Whether it speaks HTTPS, and is sent only to nodes that do; this node is always one of them.
    pub https: bool,
    /// The family of its address. A node whose address is of the other family is the last resort.
    pub family: Option<Family>,
    /// The utilization from which on a node is too full for it; a node at 1 is full in any case.
    pub full_at: f64,
}

/// The node that was chosen for a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The choice.
    pub choice: Choice,
    /// The tag by which its arrival counts; `None` if no place is reserved for it.
    pub reserved: Option<Minted>,
}

/// The nodes and servers that may serve a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Nodes, and the outside servers that carry the mount.
    All,
    /// Nodes only: no outside server would ask who it is that listens.
    Nodes,
    /// Outside servers only: no node can get the stream.
    Outside,
}

impl LoadTable {
    /// Chooses a node for a listener and reserves a place there, unless its address or network has asked too often.
    pub fn choose(&mut self, ask: &Ask<'_>, from: IpAddr, now: Instant, now_unix_s: u32) -> Chosen {
        let choose =
            |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
                (chooser.choose(policy, scene, it), it.cost_bps)
            };
        let has_room = |(choice, _): &(Choice, u64)| *choice != Choice::Full;
        let (choice, cost_bps) = self.try_passes(ask, now, choose, has_room);
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

    /// The choice for the next such listener, without any effect.
    pub fn foresee(&mut self, ask: &Ask<'_>, now: Instant) -> Choice {
        let choose =
            |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
                chooser.clone().choose(policy, scene, it)
            };
        self.try_passes(ask, now, choose, |choice| *choice != Choice::Full)
    }

    fn mint(&mut self, unix_s: u32) -> Minted {
        let number = self.tags;
        self.tags = self.tags.wrapping_add(1);
        Minted { unix_s, number }
    }

    /// The nodes for a listener, the best first. No place is reserved.
    pub fn rank(&mut self, ask: &Ask<'_>, most: usize, now: Instant) -> Vec<NodeName> {
        let rank = |chooser: &mut Chooser, policy: &Policy, scene: Scene<'_>, it: &Request<'_>| {
            chooser.rank(policy, scene, it, most)
        };
        self.try_passes(ask, now, rank, |it| !it.is_empty())
    }

    /// The nodes for a listener without outside servers, the best first, each with the number of its free places. No place
    /// is reserved.
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
        self.try_passes(ask, now, rooms, |it| !it.is_empty())
    }

    /// The reasons for the choice for the next such listener.
    pub fn explain(&mut self, ask: &Ask<'_>, now: Instant) -> Explanation {
        let explain = |chooser: &mut Chooser,
                       policy: &Policy,
                       scene: Scene<'_>,
                       it: &Request<'_>| chooser.explain(policy, scene, it);
        let has_room = |it: &Explanation| it.choice != Choice::Full;
        self.try_passes(ask, now, explain, has_room)
    }

    /// The result of the first pass with a good result; else the result of the first pass.
    fn try_passes<T>(
        &mut self,
        ask: &Ask<'_>,
        now: Instant,
        find: impl Fn(&mut Chooser, &Policy, Scene<'_>, &Request<'_>) -> T,
        is_good: impl Fn(&T) -> bool,
    ) -> T {
        let [first, rest @ ..] = PASSES;
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

    /// Gives the chooser everything that a choice depends on, in one pass.
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
        let addresses = Addresses {
            me: &self.me,
            https: &self.https,
            families: &self.families,
        };
        retain_suitable(&mut table, ask, look.doubt, addresses);
        let scene = Scene {
            table: &table,
            facts: &self.facts,
        };
        let policy = self.policies.get(ask.mount);
        let policy = policy.unwrap_or(&self.steering.mesh.policy);
        find(&mut self.chooser, policy, scene, &request)
    }
}

/// The treatment of nodes in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Left out.
    Heeded,
    /// Included, as the last resort.
    Ignored,
}

/// One pass over the nodes.
#[derive(Clone, Copy, Debug)]
struct ChoosingPass {
    doubt: Doubt,
    basis: Basis,
}

/// The passes, in the order in which they are tried.
const PASSES: [ChoosingPass; 4] = [
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

/// The addresses of nodes and outside servers.
#[derive(Clone, Copy)]
struct Addresses<'a> {
    /// The node that chooses, which the listener has reached.
    me: &'a NodeName,
    https: &'a BTreeSet<NodeName>,
    families: &'a BTreeMap<NodeName, [Option<Family>; 2]>,
}

/// Removes the rows to which the listener cannot be sent.
fn retain_suitable(table: &mut Table<'_>, ask: &Ask<'_>, doubt: Doubt, addresses: Addresses<'_>) {
    let is_same_family = |node: &NodeName| {
        let its = addresses
            .families
            .get(node)
            .and_then(|it| it[usize::from(ask.https)]);
        its.is_none() || its == ask.family || node == addresses.me
    };
    let families_matter =
        doubt == Doubt::Heeded && ask.family.is_some() && !addresses.families.is_empty();
    let fits = |it: &Outlook<'_>| {
        let is_outside = is_backend(it.node);
        let is_among = match ask.among {
            Among::All => true,
            Among::Nodes => !is_outside,
            Among::Outside => is_outside,
        };
        is_among
            && (!ask.https || addresses.https.contains(it.node))
            && it.predicted_utilization() < ask.full_at
            && (!families_matter || is_same_family(it.node))
    };
    if ask.among != Among::All || ask.https || ask.full_at.is_finite() || families_matter {
        table.outlooks.retain(fits);
    }
}
