//! The links that exist, and the addresses that are being dialled.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::trouble::DialTrouble;
use crate::logic::backoff::Backoff;
use crate::model::node::NodeName;
use crate::wire::frame::Hello;

/// How long an address is left alone that this node cannot reach at all: only its settings can change that.
const HOPELESS_WAIT: Duration = Duration::from_secs(60);

/// Addresses that are remembered as dialled: far more than the nodes of any mesh.
const MAX_DIALS: usize = 4_096;

/// The fate of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The message waits to be sent.
    Queued,
    /// The peer takes too long: dropped.
    Full,
    /// No link to send it over: dropped.
    NoLink,
}

/// One connection that has been greeted.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) hello: Hello,
    pub(super) connection: quinn::Connection,
    /// The address that was dialled, if this side dialled.
    pub(super) dialled: Option<SocketAddr>,
    pub(super) queue: mpsc::Sender<Bytes>,
}

/// The state of dialling one address.
#[derive(Debug)]
struct Dial {
    under_way: bool,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// Why the last try failed.
    trouble: Option<DialTrouble>,
}

impl Dial {
    fn new() -> Self {
        Self {
            under_way: false,
            backoff: Backoff::for_dialling(),
            not_before: None,
            trouble: None,
        }
    }
}

/// All links and dials.
#[derive(Debug, Default)]
pub(super) struct Registry {
    links: BTreeMap<u64, Link>,
    next_id: u64,
    dials: BTreeMap<SocketAddr, Dial>,
    ourselves: BTreeSet<SocketAddr>,
}

impl Registry {
    /// Adds a link; links to an earlier life of the same node are returned, to be closed.
    pub(super) fn add(&mut self, link: Link) -> (u64, Vec<quinn::Connection>) {
        let earlier = |other: &Link| {
            other.hello.name == link.hello.name && other.hello.generation < link.hello.generation
        };
        let outdated: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, other)| earlier(other))
            .map(|(id, _)| *id)
            .collect();
        let outdated = outdated.iter().filter_map(|id| self.links.remove(id));
        let outdated = outdated.map(|link| link.connection).collect();
        let id = self.next_id;
        self.next_id += 1;
        self.links.insert(id, link);
        (id, outdated)
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.links.remove(&id);
    }

    /// Links to another life of this node than the one that presents itself.
    pub(super) fn other_lives(&self, hello: &Hello) -> Vec<(Hello, quinn::Connection)> {
        let others = self.links.values().filter(|link| {
            link.hello.name == hello.name && link.hello.generation != hello.generation
        });
        others
            .map(|link| (link.hello.clone(), link.connection.clone()))
            .collect()
    }

    /// The connections of all links.
    pub(super) fn connections(&self) -> Vec<quinn::Connection> {
        let links = self.links.values();
        links.map(|link| link.connection.clone()).collect()
    }

    /// Every node with a live link, as its latest life presents itself.
    pub(super) fn peers(&self) -> BTreeMap<NodeName, Hello> {
        let mut peers: BTreeMap<NodeName, Hello> = BTreeMap::new();
        for link in self.links.values() {
            let known = peers
                .entry(link.hello.name.clone())
                .or_insert_with(|| link.hello.clone());
            if known.generation < link.hello.generation {
                *known = link.hello.clone();
            }
        }
        peers
    }

    fn to_node<'a>(&'a self, name: &NodeName) -> impl Iterator<Item = &'a Link> {
        let name = name.clone();
        self.links
            .values()
            .filter(move |link| link.hello.name == name)
    }

    pub(super) fn connection(&self, name: &NodeName) -> Option<quinn::Connection> {
        self.to_node(name)
            .next()
            .map(|link| link.connection.clone())
    }

    pub(super) fn send(&self, to: &NodeName, bytes: Bytes) -> Delivery {
        self.to_node(to)
            .next()
            .map_or(Delivery::NoLink, |link| queue(link, bytes))
    }

    /// Sends to every node once; returns the nodes whose queue was full.
    pub(super) fn send_to_all(&self, bytes: &Bytes) -> Vec<NodeName> {
        let mut served = BTreeSet::new();
        let mut full = Vec::new();
        for link in self.links.values() {
            let first = served.insert(&link.hello.name);
            if first && queue(link, bytes.clone()) == Delivery::Full {
                full.push(link.hello.name.clone());
            }
        }
        full
    }

    pub(super) fn send_to_address(&self, to: SocketAddr, bytes: Bytes) -> Delivery {
        let link = self.links.values().find(|link| link.is_at(to));
        link.map_or(Delivery::NoLink, |link| queue(link, bytes))
    }

    /// Whether an address is to be dialled now; if so, it counts as being dialled.
    pub(super) fn begin_dial(&mut self, address: SocketAddr, now: Instant) -> bool {
        let linked = self.links.values().any(|link| link.is_at(address));
        if linked || self.ourselves.contains(&address) {
            return false;
        }
        if self.dials.len() >= MAX_DIALS {
            self.dials.retain(|_, dial| dial.under_way);
        }
        let dial = self.dials.entry(address).or_insert_with(Dial::new);
        let too_soon = dial.not_before.is_some_and(|moment| now < moment);
        if dial.under_way || too_soon {
            return false;
        }
        dial.under_way = true;
        true
    }

    /// The state of an address.
    pub(super) fn dial_state(&self, address: SocketAddr) -> DialState {
        if self.links.values().any(|link| link.is_at(address)) {
            return DialState::Linked;
        }
        if self.ourselves.contains(&address) {
            return DialState::Failed(DialTrouble::Ourselves);
        }
        let trouble = self.dials.get(&address).and_then(|dial| dial.trouble);
        trouble.map_or(DialState::Unknown, DialState::Failed)
    }

    /// Notes why a dial that is still under way has not succeeded yet.
    pub(super) fn note_trouble(&mut self, address: SocketAddr, trouble: DialTrouble) {
        if let Some(dial) = self.dials.get_mut(&address) {
            dial.trouble = Some(trouble);
        }
    }

    /// Notes how a dial ended. `random_share` is random, 0 to 1, and spreads the next tries.
    pub(super) fn end_dial(
        &mut self,
        address: SocketAddr,
        ended: DialEnd,
        random_share: f64,
        now: Instant,
    ) {
        match ended {
            DialEnd::Linked => {
                self.dials.remove(&address);
            }
            DialEnd::Ourselves => {
                self.dials.remove(&address);
                self.ourselves.insert(address);
            }
            DialEnd::Failed(trouble) => {
                let dial = self.dials.entry(address).or_insert_with(Dial::new);
                dial.under_way = false;
                let wait = match trouble.may_pass() {
                    true => dial.backoff.fail(random_share),
                    false => HOPELESS_WAIT,
                };
                dial.not_before = Some(now + wait);
                dial.trouble = Some(trouble);
            }
        }
    }
}

/// How a dial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DialEnd {
    /// A link exists now.
    Linked,
    /// The address is this node's own.
    Ourselves,
    /// No node answered, or the link was refused.
    Failed(DialTrouble),
}

/// The state of an address that was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialState {
    /// A link exists.
    Linked,
    /// No link exists yet, and nothing is known to be wrong.
    Unknown,
    /// No link exists, for this reason.
    Failed(DialTrouble),
}

impl Link {
    fn is_at(&self, address: SocketAddr) -> bool {
        self.hello.mesh_address == address || self.dialled == Some(address)
    }
}

fn queue(link: &Link, bytes: Bytes) -> Delivery {
    match link.queue.try_send(bytes) {
        Ok(()) => Delivery::Queued,
        Err(mpsc::error::TrySendError::Full(_)) => Delivery::Full,
        Err(mpsc::error::TrySendError::Closed(_)) => Delivery::NoLink,
    }
}
