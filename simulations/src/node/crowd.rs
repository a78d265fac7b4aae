//! The listeners of a node: each player is served here or redirected. Drives production's [`listener`] and
//! [`LoadTable`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use antiphon::logic::forecast::Life;
use antiphon::logic::records::steering::Steering;
use antiphon::model::geo::Whereabouts;
use antiphon::model::load::LoadReport;
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::status::NodeState;
use antiphon::proto::listener::{
    self, Arrival, Destination, ListenerContext, ListenerQuestion, Reserve, Verdict,
};
use antiphon::proto::table::{Capacity, LoadTable, PUBLISH_INTERVAL, Sender};
use antiphon::proto::view::MeshView;
use antiphon::service::relay::FETCH_TIMEOUT;
use antiphon::wire::gossip;
use antiphon::wire::http::forwarded::Client;
use antiphon::wire::icecast::passthrough::Minted;

use super::{Action, Moment, Node};

/// More bandwidth than all listeners of a world need: only their number is limited.
const MAX_BANDWIDTH_BPS: u64 = 1 << 40;

/// A player of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlayerId(pub u64);

impl PlayerId {
    /// The address of a player: one of sixteen networks, so that some of them ask too often in a rush.
    fn address(self) -> IpAddr {
        let [.., network, host] = self.0.to_be_bytes();
        [10, 0, network % 16, host % 4].into()
    }
}

/// A player's request to a node.
#[derive(Clone, Debug)]
pub enum Visit {
    /// A request by the mount's own address.
    Ask(MountName),
    /// A request by the address to which this node has redirected it, with its tag if a place is reserved here.
    Follow(MountName, NodeName, Option<Minted>),
    /// The end of listening.
    Leave,
}

/// The answer to a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisitResult {
    /// The player listens here.
    Served,
    /// A redirect to this node, whose state is known here as this one; with a tag if a place is reserved there.
    Redirected(NodeName, NodeState, Option<Minted>),
    /// The player gets no stream, or is dropped.
    Refused,
}

/// A player that listens here.
#[derive(Debug)]
struct Listener {
    mount: MountName,
    cost_bps: u64,
    /// Since when there is nothing to listen to.
    waits_since: Option<Instant>,
}

/// The listeners of a node.
#[derive(Debug)]
pub struct Crowd {
    table: LoadTable,
    /// The operators' settings of the mesh: none in any world.
    steering: Steering,
    publish_at: Instant,
    listeners: BTreeMap<PlayerId, Listener>,
}

impl Crowd {
    /// An idle node with room for this many listeners.
    pub(super) fn new(
        own: Life,
        max_listeners: u32,
        gossip_interval: Duration,
        now: Instant,
    ) -> Self {
        let capacity = Capacity {
            max_listeners,
            max_bandwidth_bps: MAX_BANDWIDTH_BPS,
        };
        let dice = own.generation.0;
        Self {
            table: LoadTable::new(own, capacity, gossip_interval, dice, now),
            steering: Steering::default(),
            publish_at: now,
            listeners: BTreeMap::new(),
        }
    }

    /// The report of this node's load.
    pub fn report(&self) -> LoadReport {
        self.table.report()
    }

    /// The predicted number of listeners at each node that can be chosen.
    pub fn foreseen(&self, now: Instant) -> BTreeMap<NodeName, u32> {
        let mut table = self.table.clone();
        let outlooks = table.forecast().table(now).outlooks.into_iter();
        outlooks
            .map(|outlook| (outlook.node.clone(), outlook.predicted.listeners))
            .collect()
    }

    /// The mounts that have listeners here.
    pub(super) fn mounts(&self) -> BTreeSet<MountName> {
        self.listeners
            .values()
            .map(|listener| listener.mount.clone())
            .collect()
    }

    /// Applies the view; its news for operators are dropped.
    pub(super) fn apply_view(&mut self, view: &MeshView, now: Instant) {
        self.table.apply_view(view, now);
    }

    /// The number of listeners that a mount has here.
    fn listeners_of(&self, mount: &MountName) -> u32 {
        let all = self.listeners.values();
        u32::try_from(all.filter(|listener| listener.mount == *mount).count()).unwrap_or(u32::MAX)
    }

    /// Takes a place for a player, if there is one.
    fn admit(
        &mut self,
        id: PlayerId,
        mount: MountName,
        sent: Option<Sender<'_>>,
        moment: Moment,
    ) -> VisitResult {
        let admitted = self.table.admit(&mount, sent, moment.now, unix_s(moment));
        let Some(cost_bps) = admitted else {
            return VisitResult::Refused;
        };
        let listener = Listener {
            mount,
            cost_bps,
            waits_since: None,
        };
        self.listeners.insert(id, listener);
        VisitResult::Served
    }

    /// Frees the place of a player that leaves.
    fn leave(&mut self, id: PlayerId) {
        if let Some(listener) = self.listeners.remove(&id) {
            self.table.leave(listener.cost_bps);
        }
    }

    /// Publishes the load when it is time, and drops listeners whose stream does not come; `on_air` says which mounts
    /// are held here.
    pub(super) fn beat(
        &mut self,
        on_air: impl Fn(&MountName) -> bool,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        for listener in self.listeners.values_mut() {
            match on_air(&listener.mount) {
                true => listener.waits_since = None,
                false => _ = listener.waits_since.get_or_insert(now),
            }
        }
        let gives_up = |listener: &Listener| {
            let since = listener.waits_since;
            since.is_some_and(|since| now.duration_since(since) > FETCH_TIMEOUT)
        };
        let gone = self
            .listeners
            .extract_if(.., |_, listener| gives_up(listener));
        for (id, listener) in gone {
            self.table.leave(listener.cost_bps);
            out.push(Action::Received(id, VisitResult::Refused));
        }
        if now >= self.publish_at || self.table.has_jumped() {
            self.publish_at = now + PUBLISH_INTERVAL;
            let text = gossip::write(&self.table.bulletin());
            out.push(Action::Gossip(gossip::LOAD.into(), Some(text)));
        }
    }
}

impl Node {
    /// Handles a player's request.
    pub(super) fn player(
        &mut self,
        id: PlayerId,
        visit: Visit,
        moment: Moment,
        out: &mut Vec<Action>,
    ) {
        let view = self.mesh.view();
        let Some(crowd) = &mut self.crowd else {
            return;
        };
        let (mount, arrival, sent) = match visit {
            Visit::Leave => return crowd.leave(id),
            Visit::Ask(mount) => (mount, Arrival::Front, None),
            Visit::Follow(mount, from, Some(tag)) => (mount, Arrival::Sent, Some((from, tag))),
            Visit::Follow(mount, _, None) => (mount, Arrival::Kept, None),
        };
        let question = ListenerQuestion {
            mount: &mount,
            client: Client {
                ip: id.address(),
                https: false,
            },
            place: Whereabouts::default(),
            arrival,
            has_place: false,
            is_head: false,
            agent: "",
            query: "",
        };
        let context = ListenerContext {
            mounts: self.replica.mounts(),
            steering: &crowd.steering,
            view,
            held_here: self
                .radio
                .position(&mount)
                .map(|_| crowd.listeners_of(&mount)),
            now: moment.now,
            now_unix_s: unix_s(moment),
        };
        let verdict = listener::answer(&question, &context, &mut crowd.table, Reserve::Yes);
        let result = match verdict {
            // A full node refuses the listener, and has seen it arrive.
            Verdict::Serve(_) | Verdict::NodeFull(_) => {
                let sender = sent.as_ref().map(|(from, minted)| Sender {
                    from,
                    minted: *minted,
                });
                crowd.admit(id, mount.clone(), sender, moment)
            }
            Verdict::Redirect(Destination::Row(to, tag)) => {
                let state = view.nodes.get(&to).map(|node| node.state);
                VisitResult::Redirected(to, state.unwrap_or(NodeState::Dead), tag)
            }
            _ => VisitResult::Refused,
        };
        let is_served = result == VisitResult::Served;
        out.push(Action::Received(id, result));
        if is_served {
            let (radio, mut env) = self.radio_and_env(moment, out);
            radio.fetch(&mount, &mut env);
        }
    }
}

/// The time of day of a node, as tags contain it.
fn unix_s(moment: Moment) -> u32 {
    (moment.wall_ms / 1_000) as u32
}

/// The life of a node as the table names it.
pub(super) fn life(node: &NodeName, life: u32) -> Life {
    Life {
        node: node.clone(),
        generation: Generation(life.into()),
    }
}
