//! The listeners that players bring to a node: who is served here, and who is sent where. What production's
//! `service::load` and `service::listen` do; what they decide is `logic::forecast` and `logic::policy`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use antiphon::logic::forecast::{Forecast, Life};
use antiphon::logic::policy::{Choice, Chooser, Facts, Policy, Request, Scene};
use antiphon::model::geo::Whereabouts;
use antiphon::model::load::LoadReport;
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::status::NodeState;
use antiphon::proto::view::MeshView;
use antiphon::wire::gossip;

use super::{Deed, Moment, Node};

/// A node that was not heard for so many gossip intervals is not chosen; as in production.
const STALE_INTERVALS: u32 = 5;
/// How often the load is published; as in production.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// A jump of this part of the capacity is published at once; as in production.
const JUMP: f64 = 0.01;
/// What a listener costs until the bitrate of its mount is known, bits per second; as in production.
const ASSUMED_BITRATE_BPS: u64 = 128_000;
/// How long a player waits for a stream that does not come; as in production.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// More than any number of listeners in a world sends: only their number is scarce.
const MAX_BANDWIDTH_BPS: u64 = 1 << 40;

/// A player of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestId(pub u64);

/// What a player does at a node.
#[derive(Clone, Debug)]
pub enum Visit {
    /// It asks for a mount by its own address.
    Asks(MountName),
    /// It comes for a mount because this node has sent it.
    Comes(MountName, NodeName),
    /// It has heard enough.
    Leaves,
}

/// What becomes of a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It listens here.
    Seated,
    /// It is sent to this node, which is in this state as far as is known here.
    SentOn(NodeName, NodeState),
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
    forecast: Forecast,
    chooser: Chooser,
    policy: Policy,
    facts: Facts,
    report: LoadReport,
    published: LoadReport,
    publish_at: Instant,
    /// The bulletins that were believed last, and of which lives they were.
    heard: BTreeMap<NodeName, (Generation, String)>,
    guests: BTreeMap<GuestId, Guest>,
}

impl Crowd {
    /// An idle node that takes so many listeners.
    pub(super) fn new(own: Life, max_listeners: u32, (interval, now): (Duration, Instant)) -> Self {
        let report = LoadReport {
            listeners: 0,
            max_listeners,
            egress_bps: 0,
            max_bandwidth_bps: MAX_BANDWIDTH_BPS,
            cpu_permille: None,
        };
        let mut forecast = Forecast::new(own.clone(), interval * STALE_INTERVALS, now);
        forecast.report_own(report);
        Self {
            forecast,
            chooser: Chooser::new(own.node, own.generation.0),
            policy: Policy::default(),
            facts: Facts::default(),
            report,
            published: report,
            publish_at: now,
            heard: BTreeMap::new(),
            guests: BTreeMap::new(),
        }
    }

    /// What it reports.
    pub fn report(&self) -> LoadReport {
        self.report
    }

    /// How many listeners it foresees at each node that it would send some to.
    pub fn foreseen(&self, now: Instant) -> BTreeMap<NodeName, u32> {
        let mut forecast = self.forecast.clone();
        let outlooks = forecast.table(now).outlooks;
        let outlooks = outlooks.into_iter();
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

    /// Takes in what the mesh says of itself.
    pub(super) fn follow(&mut self, view: &MeshView, now: Instant) {
        self.facts = facts(view);
        for (name, node) in &view.nodes {
            if node.generation == Generation::default() {
                continue; // which life it is in, the next heartbeat says
            }
            let life = Life {
                node: name.clone(),
                generation: node.generation,
            };
            self.forecast.witness(&life, node.state, node.heard_at);
            let Some(bulletin) = node.bulletin.as_ref().filter(|_| *name != view.me) else {
                continue;
            };
            let heard = (node.generation, gossip::write(bulletin));
            if self.heard.get(name) != Some(&heard) {
                self.forecast.hear(&life, bulletin, now);
                self.heard.insert(name.clone(), heard);
            }
        }
    }

    /// A player asks: whether it is served here, by the table.
    pub(super) fn choose(&mut self, mount: &MountName, view: &MeshView, now: Instant) -> Choice {
        let cost_bps = cost_bps(view, mount);
        let scene = Scene {
            table: &self.forecast.table(now),
            facts: &self.facts,
        };
        let request = Request {
            mount,
            cost_bps,
            place: Whereabouts::default(),
        };
        let choice = self.chooser.choose(&self.policy, scene, &request);
        let to = match &choice {
            Choice::Here => Some(&view.me),
            Choice::Redirect(to) => Some(to),
            Choice::Full => None,
        };
        if let Some(to) = to {
            self.forecast.note_sent(to, cost_bps, now);
        }
        choice
    }

    /// A player that was sent here has come, whether there is room or not.
    pub(super) fn arrived(&mut self, from: &NodeName, now: Instant) {
        self.forecast.note_arrived(from, now);
    }

    /// Gives a player a place, if there is one.
    pub(super) fn admit(&mut self, id: GuestId, mount: MountName, view: &MeshView) -> Reception {
        let cost_bps = cost_bps(view, &mount);
        if self.report.listeners >= self.report.max_listeners {
            return Reception::TurnedAway;
        }
        let guest = Guest {
            mount,
            cost_bps,
            waits_since: None,
        };
        self.guests.insert(id, guest);
        self.count();
        Reception::Seated
    }

    /// A player leaves.
    pub(super) fn leave(&mut self, id: GuestId) {
        self.guests.remove(&id);
        self.count();
    }

    fn count(&mut self) {
        self.report.listeners = self.guests.len() as u32;
        self.report.egress_bps = self.guests.values().map(|guest| guest.cost_bps).sum();
        self.forecast.report_own(self.report);
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
        let gone: Vec<GuestId> = gone.map(|(id, _)| id).collect();
        if !gone.is_empty() {
            self.count();
        }
        let gone = gone.into_iter();
        out.extend(gone.map(|id| Deed::Received(id, Reception::TurnedAway)));
        let jump = self.report.utilization() - self.published.utilization();
        if now >= self.publish_at || jump.abs() > JUMP {
            self.publish_at = now + PUBLISH_INTERVAL;
            self.published = self.report;
            let text = gossip::write(&self.forecast.bulletin());
            out.push(Deed::Gossip(gossip::LOAD.into(), Some(text)));
        }
    }
}

impl Node {
    /// A player comes, or leaves.
    pub(super) fn guest(&mut self, id: GuestId, visit: Visit, moment: Moment, out: &mut Vec<Deed>) {
        let (view, now) = (self.mesh.view(), moment.now);
        let Some(crowd) = &mut self.crowd else {
            return;
        };
        let (reception, mount) = match visit {
            Visit::Leaves => return crowd.leave(id),
            Visit::Comes(mount, from) => {
                crowd.arrived(&from, now);
                (crowd.admit(id, mount.clone(), view), mount)
            }
            Visit::Asks(mount) => {
                let is_held = self.radio.position(&mount).is_some();
                let is_known = is_held || view.holders(&mount).next().is_some();
                let choice = is_known.then(|| crowd.choose(&mount, view, now));
                let reception = match choice {
                    Some(Choice::Here) => crowd.admit(id, mount.clone(), view),
                    Some(Choice::Redirect(to)) => {
                        let state = view.nodes.get(&to).map(|node| node.state);
                        Reception::SentOn(to, state.unwrap_or(NodeState::Dead))
                    }
                    Some(Choice::Full) | None => Reception::TurnedAway,
                };
                (reception, mount)
            }
        };
        let is_seated = reception == Reception::Seated;
        out.push(Deed::Received(id, reception));
        if is_seated {
            let (radio, mut desk) = self.at_desk(moment, out);
            radio.want(&mount, &mut desk);
        }
    }
}

/// What a listener of a mount costs, bits per second; as in production.
fn cost_bps(view: &MeshView, mount: &MountName) -> u64 {
    let known = view.holders(mount).map(|(_, card)| card.bitrate_bps);
    let known = known.filter(|bps| *bps > 0);
    known.max().unwrap_or(ASSUMED_BITRATE_BPS)
}

/// What the mesh says of its nodes besides their load; as in production.
fn facts(view: &MeshView) -> Facts {
    let mut facts = Facts::default();
    for (name, node) in view.nodes.iter().filter(|(_, node)| node.is_up()) {
        for mount in node.streams.keys() {
            let holders = facts.holders.entry(mount.clone()).or_default();
            holders.insert(name.clone());
        }
    }
    facts
}

/// One life of a node, as the table names it.
pub(super) fn life(node: &NodeName, life: u32) -> Life {
    Life {
        node: node.clone(),
        generation: Generation(life.into()),
    }
}
