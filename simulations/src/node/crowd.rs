//! The listeners that players bring to a node: who is served here, and who is sent where. Drives production's
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
use antiphon::proto::listener::{self, Arrival, Destination, Grounds, Question, Reserve, Verdict};
use antiphon::proto::table::{Capacity, LoadTable, PUBLISH_INTERVAL, Sender};
use antiphon::proto::view::MeshView;
use antiphon::wire::gossip;
use antiphon::wire::http::forwarded::Client;
use antiphon::wire::icecast::passthrough::Minted;

use super::{Deed, Moment, Node};

/// How long a player waits for a stream that does not come; as in production.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// More than any number of listeners in a world sends: only their number is scarce.
const MAX_BANDWIDTH_BPS: u64 = 1 << 40;

/// A player of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestId(pub u64);

impl GuestId {
    /// The address of a player: one of sixteen networks, so that some of them ask too often in a rush.
    fn address(self) -> IpAddr {
        let [.., network, host] = self.0.to_be_bytes();
        [10, 0, network % 16, host % 4].into()
    }
}

/// What a player does at a node.
#[derive(Clone, Debug)]
pub enum Visit {
    /// It asks for a mount by its own address.
    Asks(MountName),
    /// It comes for a mount because this node has sent it, with the tag that it got there if it is expected here.
    Comes(MountName, NodeName, Option<Minted>),
    /// It has heard enough.
    Leaves,
}

/// What becomes of a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It listens here.
    Seated,
    /// It is sent to this node, which is in this state as far as is known here, with a tag if it is expected there.
    SentOn(NodeName, NodeState, Option<Minted>),
    /// It gets nothing, or nothing more.
    TurnedAway,
}

/// A player that listens here.
#[derive(Debug)]
struct Guest {
    mount: MountName,
    cost_bps: u64,
    /// Since when there is nothing to listen to.
    waits_since: Option<Instant>,
}

/// The listeners' part in a node.
#[derive(Debug)]
pub struct Crowd {
    table: LoadTable,
    /// The settings of a world's mesh: its operators have made none.
    steering: Steering,
    publish_at: Instant,
    guests: BTreeMap<GuestId, Guest>,
}

impl Crowd {
    /// An idle node that takes so many listeners.
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
            guests: BTreeMap::new(),
        }
    }

    /// What it reports.
    pub fn report(&self) -> LoadReport {
        self.table.report()
    }

    /// How many listeners it foresees at each node that it would send some to.
    pub fn foreseen(&self, now: Instant) -> BTreeMap<NodeName, u32> {
        let mut table = self.table.clone();
        let outlooks = table.forecast().table(now).outlooks.into_iter();
        outlooks
            .map(|outlook| (outlook.node.clone(), outlook.predicted.listeners))
            .collect()
    }

    /// The mounts that somebody here listens to.
    pub(super) fn mounts(&self) -> BTreeSet<MountName> {
        self.guests
            .values()
            .map(|guest| guest.mount.clone())
            .collect()
    }

    /// Takes in what the mesh says of itself. Operators of a world are told nothing of it.
    pub(super) fn apply_view(&mut self, view: &MeshView, now: Instant) {
        self.table.apply_view(view, now);
    }

    /// Gives a player a place, if there is one.
    fn admit(
        &mut self,
        id: GuestId,
        mount: MountName,
        sent: Option<Sender<'_>>,
        moment: Moment,
    ) -> Reception {
        let admitted = self.table.admit(&mount, sent, moment.now, unix_s(moment));
        let Some(cost_bps) = admitted else {
            return Reception::TurnedAway;
        };
        let guest = Guest {
            mount,
            cost_bps,
            waits_since: None,
        };
        self.guests.insert(id, guest);
        Reception::Seated
    }

    /// A player leaves.
    fn leave(&mut self, id: GuestId) {
        if let Some(guest) = self.guests.remove(&id) {
            self.table.leave(guest.cost_bps);
        }
    }

    /// Publishes the load when it is time, and sends those away whose stream does not come; `on_air` are the
    /// mounts that are held here.
    pub(super) fn beat(
        &mut self,
        on_air: impl Fn(&MountName) -> bool,
        now: Instant,
        out: &mut Vec<Deed>,
    ) {
        for guest in self.guests.values_mut() {
            match on_air(&guest.mount) {
                true => guest.waits_since = None,
                false => _ = guest.waits_since.get_or_insert(now),
            }
        }
        let gives_up = |guest: &Guest| {
            let since = guest.waits_since;
            since.is_some_and(|since| now.duration_since(since) > FETCH_TIMEOUT)
        };
        let gone = self.guests.extract_if(.., |_, guest| gives_up(guest));
        for (id, guest) in gone {
            self.table.leave(guest.cost_bps);
            out.push(Deed::Received(id, Reception::TurnedAway));
        }
        if now >= self.publish_at || self.table.has_jumped() {
            self.publish_at = now + PUBLISH_INTERVAL;
            let text = gossip::write(&self.table.bulletin());
            out.push(Deed::Gossip(gossip::LOAD.into(), Some(text)));
        }
    }
}

impl Node {
    /// A player comes, or leaves.
    pub(super) fn guest(&mut self, id: GuestId, visit: Visit, moment: Moment, out: &mut Vec<Deed>) {
        let view = self.mesh.view();
        let Some(crowd) = &mut self.crowd else {
            return;
        };
        let (mount, arrival, sent) = match visit {
            Visit::Leaves => return crowd.leave(id),
            Visit::Asks(mount) => (mount, Arrival::Front, None),
            Visit::Comes(mount, from, Some(tag)) => (mount, Arrival::Sent, Some((from, tag))),
            Visit::Comes(mount, _, None) => (mount, Arrival::Kept, None),
        };
        let question = Question {
            mount: &mount,
            client: Client {
                ip: id.address(),
                https: false,
            },
            place: Whereabouts::default(),
            arrival,
            looks_only: false,
            agent: "",
            query: "",
        };
        let grounds = Grounds {
            mounts: self.replica.mounts(),
            steering: &crowd.steering,
            view,
            is_held_here: self.radio.position(&mount).is_some(),
            now: moment.now,
            now_unix_s: unix_s(moment),
        };
        let verdict = listener::answer(&question, &grounds, &mut crowd.table, Reserve::Yes);
        let reception = match verdict {
            Verdict::Serve(_) => {
                let sender = sent.as_ref().map(|(from, minted)| Sender {
                    from,
                    minted: *minted,
                });
                crowd.admit(id, mount.clone(), sender, moment)
            }
            Verdict::Redirect(Destination::Row(to, tag)) => {
                let state = view.nodes.get(&to).map(|node| node.state);
                Reception::SentOn(to, state.unwrap_or(NodeState::Dead), tag)
            }
            _ => Reception::TurnedAway,
        };
        let is_seated = reception == Reception::Seated;
        out.push(Deed::Received(id, reception));
        if is_seated {
            let (radio, mut desk) = self.at_desk(moment, out);
            radio.want(&mount, &mut desk);
        }
    }
}

/// A node's clock on the wall, as tags tell the time.
fn unix_s(moment: Moment) -> u32 {
    (moment.wall_ms / 1_000) as u32
}

/// One life of a node, as the table names it.
pub(super) fn life(node: &NodeName, life: u32) -> Life {
    Life {
        node: node.clone(),
        generation: Generation(life.into()),
    }
}
