//! The choice of a node for one listener.
//!
//! It is made by the prediction, and once more by the reports alone when that leaves nobody: those on the way may be
//! strangers who never come.

use std::net::IpAddr;

use tokio::time::Instant;

use super::{Load, State};
use crate::logic::forecast::{Basis, Outlook};
use crate::logic::policy::explain::Explanation;
use crate::logic::policy::{Choice, Chooser, Policy, Request, Scene};
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
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

impl State {
    /// What is found by the prediction, or else by the reports; what was first found if neither is good.
    fn look<T>(
        &mut self,
        ask: &Ask<'_>,
        now: std::time::Instant,
        find: impl Fn(&mut Chooser, &Policy, Scene<'_>, &Request<'_>) -> T,
        is_good: impl Fn(&T) -> bool,
    ) -> T {
        let [first, rest @ ..] = Basis::ALL;
        let found = self.with_scene(ask, (first, now), &find);
        if is_good(&found) {
            return found;
        }
        let again = rest.map(|basis| self.with_scene(ask, (basis, now), &find));
        again.into_iter().find(is_good).unwrap_or(found)
    }

    /// Lets the chooser do something with all that a listener's choice is made from.
    fn with_scene<T>(
        &mut self,
        ask: &Ask<'_>,
        (basis, now): (Basis, std::time::Instant),
        find: impl Fn(&mut Chooser, &Policy, Scene<'_>, &Request<'_>) -> T,
    ) -> T {
        let request = Request {
            mount: ask.mount,
            cost_bps: self.cost_bps(ask.mount),
            place: ask.place,
        };
        let mut table = self.forecast.table_of(ask.mount, now);
        if basis == Basis::Reported {
            table = table.as_reported();
        }
        let fits = |it: &Outlook<'_>| {
            (ask.among == Among::All || is_backend(it.node))
                && (!ask.https || self.https.contains(it.node))
                && it.predicted_utilization() < ask.full_at
        };
        if ask.among == Among::Outside || ask.https || ask.full_at.is_finite() {
            table.outlooks.retain(fits);
        }
        let scene = Scene {
            table: &table,
            facts: &self.facts,
        };
        let policy = self.policies.get(ask.mount);
        let policy = policy.unwrap_or(&self.steering.policy);
        find(&mut self.chooser, policy, scene, &request)
    }
}
