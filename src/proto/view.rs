//! The mesh as this node sees it at one moment: what everybody says, and who of them is believed to live.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use serde::de::DeserializeOwned;

use crate::logic::forecast::reach;
use crate::logic::forecast::{Bulletin, OutsideBulletin};
use crate::logic::relay::route::Precedence;
use crate::model::finding::Finding;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::{Generation, NodeName};
use crate::model::seat::{Claim, Epoch, Rank, Seat};
use crate::model::status::NodeState;
use crate::model::stream::StreamId;
use crate::wire::gossip::{self, NodeCard, Origin, ReachCard, StreamAbout, StreamCard};

/// Values of one node that are looked at. A node has a handful, and one per stream and per peer.
const MAX_VALUES: usize = 4_096;

/// One node, in its latest life.
#[derive(Clone, Debug)]
pub struct MeshNode {
    /// Which life.
    pub generation: Generation,
    /// Where its links are dialled.
    pub mesh_address: SocketAddr,
    /// How it is doing.
    pub state: NodeState,
    /// When it was last heard of, directly or through others.
    pub heard_at: Instant,
    /// What it says of itself.
    pub card: NodeCard,
    /// Its load, and whom it has sent where.
    pub bulletin: Option<Bulletin>,
    /// Its claim to the master's seat.
    pub claim: Option<Claim>,
    /// Its claims to other seats.
    pub claims: BTreeMap<Seat, Claim>,
    /// What it has found at outside servers.
    pub outside: BTreeMap<NodeName, OutsideBulletin>,
    /// The digest of its document.
    pub document: Option<String>,
    /// The time that it told last, unix milliseconds by its own clock.
    pub clock_unix_ms: Option<u64>,
    /// Why it cannot write to its disk, while it cannot.
    pub disk: Option<String>,
    /// The streams that it holds.
    pub streams: BTreeMap<MountName, StreamCard>,
    /// What the sources of some of them say.
    pub about: BTreeMap<MountName, StreamAbout>,
    /// The mounts that a source there waits for.
    pub standby: BTreeSet<MountName>,
    /// What it has found at other nodes' addresses.
    pub reach: BTreeMap<NodeName, ReachCard>,
}

impl MeshNode {
    /// A node that has said nothing yet, and of whose link nothing is known.
    pub fn unheard(generation: Generation, heard_at: Instant) -> Self {
        Self {
            generation,
            mesh_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state: NodeState::Suspect,
            heard_at,
            card: NodeCard {
                url: String::new(),
                version: String::new(),
                rank: Rank(0),
                started_unix_ms: 0,
                https_url: None,
                place: Default::default(),
                addresses: Vec::new(),
                serves_dns: false,
                takes_orders: true,
                proves: false,
            },
            bulletin: None,
            claim: None,
            claims: BTreeMap::new(),
            outside: BTreeMap::new(),
            document: None,
            clock_unix_ms: None,
            disk: None,
            streams: BTreeMap::new(),
            about: BTreeMap::new(),
            standby: BTreeSet::new(),
            reach: BTreeMap::new(),
        }
    }

    /// Takes what the node says under one key now; `None`: nothing any more. What this version does not know, or
    /// cannot read, is skipped.
    pub fn hear(&mut self, key: &str, value: Option<&str>) {
        match key {
            gossip::NODE => {
                if let Some(card) = value.and_then(gossip::read) {
                    self.card = card;
                }
            }
            gossip::LOAD => self.bulletin = value.and_then(gossip::read),
            gossip::DOCUMENT => self.document = value.map(str::to_owned),
            gossip::CLOCK => self.clock_unix_ms = value.and_then(gossip::read),
            gossip::DISK => self.disk = value.map(str::to_owned),
            _ => self.hear_of_one(key, value),
        }
    }

    /// The keys of which there is one for each stream, seat, server or node.
    fn hear_of_one(&mut self, key: &str, value: Option<&str>) {
        if let Some(mount) = gossip::stream_mount(key) {
            put(&mut self.streams, mount, value);
        } else if let Some(mount) = gossip::about_mount(key) {
            put(&mut self.about, mount, value);
        } else if let Some(mount) = gossip::standby_mount(key) {
            match value {
                Some(_) => self.standby.insert(mount),
                None => self.standby.remove(&mount),
            };
        } else if let Some(server) = gossip::outside_server(key) {
            put(&mut self.outside, server, value);
        } else if let Some(target) = gossip::reached_node(key) {
            put(&mut self.reach, target, value);
        } else if let Some(seat) = gossip::claim_seat(key) {
            match seat {
                Seat::Master => self.claim = value.and_then(gossip::read),
                _ => put(&mut self.claims, seat, value),
            }
        }
    }

    /// Takes the source from the streams that are over though the node still says otherwise.
    pub fn forget_ended(&mut self, is_over: impl Fn(StreamId) -> bool) {
        let cards = self
            .streams
            .values_mut()
            .filter(|card| card.origin == Origin::Source);
        for card in cards.filter(|card| is_over(card.stream_id)) {
            card.origin = Origin::Relay(None);
        }
    }

    /// Whether it is believed to live, if perhaps with doubts.
    pub fn is_up(&self) -> bool {
        self.state != NodeState::Dead
    }
}

/// Puts what is said of one thing where it belongs, or takes it away.
fn put<K: Ord, V: DeserializeOwned>(known: &mut BTreeMap<K, V>, key: K, value: Option<&str>) {
    match value.and_then(gossip::read) {
        Some(value) => _ = known.insert(key, value),
        None => _ = known.remove(&key),
    }
}

/// Every node that is known, and who holds the master's seat.
#[derive(Clone, Debug)]
pub struct MeshView {
    /// This node.
    pub me: NodeName,
    /// All of them, this one too.
    pub nodes: BTreeMap<NodeName, MeshNode>,
    /// The claim of the master.
    pub master: Option<Claim>,
    /// The claims to all other seats that are held.
    pub seats: BTreeMap<Seat, Claim>,
    /// The highest epoch ever seen.
    pub max_epoch: Epoch,
}

impl MeshView {
    /// A mesh of which nothing is known yet.
    pub fn empty(me: NodeName) -> Self {
        Self {
            me,
            nodes: BTreeMap::new(),
            master: None,
            seats: BTreeMap::new(),
            max_epoch: Epoch::default(),
        }
    }

    /// The nodes that hold a mount's stream and live.
    pub fn holders<'a>(
        &'a self,
        mount: &'a MountName,
    ) -> impl Iterator<Item = (&'a NodeName, &'a StreamCard)> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up());
        up.filter_map(move |(name, node)| Some((name, node.streams.get(mount)?)))
    }

    /// The node to which a mount's source is connected, and its stream: of several the one that goes on,
    /// the lowest by [`Precedence`].
    pub fn source<'a>(&'a self, mount: &'a MountName) -> Option<(&'a NodeName, &'a StreamCard)> {
        let sources = self
            .holders(mount)
            .filter(|(_, card)| card.origin == Origin::Source);
        sources.min_by_key(|(_, card)| precedence(card))
    }

    /// What the source of a mount says of its stream: told by its node, or by whoever knows while it is gone.
    pub fn about(&self, mount: &MountName) -> Option<&StreamAbout> {
        let told_by = |name: &NodeName| self.nodes.get(name)?.about.get(mount);
        let (source, mut holders) = (self.source(mount), self.holders(mount));
        let told = source.and_then(|(name, _)| told_by(name));
        told.or_else(|| holders.find_map(|(name, _)| told_by(name)))
    }

    /// The name of a mount's station: its own, else what its source says; empty if neither has one.
    pub fn station_name<'a>(&'a self, spec: &'a MountSpec) -> &'a str {
        let said = || Some(self.about(&spec.path)?.name.as_str());
        match spec.name.as_str() {
            "" => said().unwrap_or_default(),
            own => own,
        }
    }

    /// What is found at the address of each node that was asked for in its present life. One proof is enough,
    /// whoever has failed to get it.
    pub fn findings(&self) -> BTreeMap<&NodeName, &Finding> {
        let mut findings: BTreeMap<&NodeName, &Finding> = BTreeMap::new();
        let askers = self.nodes.values().filter(|node| node.is_up());
        for (target, card) in askers.flat_map(|asker| &asker.reach) {
            let node = self.nodes.get(target);
            let is_of = |it: &MeshNode| it.generation == card.generation && it.card.url == card.url;
            if node.is_some_and(is_of) && findings.get(target) != Some(&&Finding::Proven) {
                findings.insert(target, &card.finding);
            }
        }
        findings
    }

    /// Living nodes that give the same address to listeners, by that address.
    pub fn shared_addresses(&self) -> BTreeMap<String, BTreeSet<NodeName>> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up());
        reach::shared_addresses(up.map(|(name, node)| (name, node.card.url.as_str())))
    }

    /// Whether this node holds the master's seat.
    pub fn is_master(&self) -> bool {
        self.master
            .as_ref()
            .is_some_and(|claim| claim.node == self.me)
    }
}

/// What decides between two streams of one mount.
pub fn precedence(card: &StreamCard) -> Precedence {
    Precedence {
        accept_epoch: card.accept_epoch,
        started_unix_ms: card.started_unix_ms,
        stream_id: card.stream_id,
    }
}

/// A node by what it says, read key by key: nothing is read twice.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// What it says, as it was read last.
    said: BTreeMap<String, String>,
    /// Whether its card was read.
    is_presented: bool,
    node: MeshNode,
}

impl Speaker {
    /// A node in a new life, which has said nothing yet.
    pub fn new(generation: Generation, mesh_address: SocketAddr, now: Instant) -> Self {
        Self {
            said: BTreeMap::new(),
            is_presented: false,
            node: MeshNode {
                mesh_address,
                ..MeshNode::unheard(generation, now)
            },
        }
    }

    /// Whether it is in this life, at this address.
    pub fn is_life(&self, generation: Generation, mesh_address: SocketAddr) -> bool {
        (self.node.generation, self.node.mesh_address) == (generation, mesh_address)
    }

    /// Takes everything that it says now, and reads what is new in it.
    pub fn hear(&mut self, values: &BTreeMap<String, String>) {
        let gone = self.said.extract_if(.., |key, _| !values.contains_key(key));
        for (key, _) in gone {
            self.node.hear(&key, None);
            self.is_presented &= key != gossip::NODE;
        }
        for (key, value) in values.iter().take(MAX_VALUES) {
            if self.said.get(key) != Some(value) {
                self.node.hear(key, Some(value));
                if key == gossip::NODE {
                    self.is_presented = gossip::read::<NodeCard>(value).is_some();
                }
                self.said.insert(key.clone(), value.clone());
            }
        }
    }

    /// The node by what it says. `None` until its card is there, without which it has neither address nor rank.
    pub fn node(&self) -> Option<&MeshNode> {
        self.is_presented.then_some(&self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker() -> Speaker {
        let address = "127.0.0.1:1".parse().unwrap();
        Speaker::new(Generation(1), address, Instant::now())
    }

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn card() -> String {
        let unheard = MeshNode::unheard(Generation(1), Instant::now());
        gossip::write(&unheard.card)
    }

    #[test]
    fn what_a_node_says_is_read_and_what_it_garbles_is_skipped() {
        let mut speaker = speaker();
        let mut said = values(&[("stream/a", "no card"), ("load", "{}"), ("document", "00")]);
        speaker.hear(&said);
        assert!(speaker.node().is_none(), "no card yet");
        said.insert(gossip::NODE.into(), "no card".into());
        speaker.hear(&said);
        assert!(speaker.node().is_none(), "none that can be read");
        said.insert(gossip::NODE.into(), card());
        speaker.hear(&said);
        let seen = speaker.node().unwrap();
        assert!(seen.streams.is_empty() && seen.bulletin.is_none());
        assert_eq!(seen.document.as_deref(), Some("00"));
    }

    #[test]
    fn what_a_node_says_no_longer_is_forgotten() {
        let mut speaker = speaker();
        let card = card();
        let said = values(&[
            ("node", &card),
            ("document", "00"),
            ("disk", "full"),
            ("clock", "5"),
            ("standby/a.mp3", ""),
        ]);
        speaker.hear(&said);
        let seen = speaker.node().unwrap();
        assert_eq!(seen.clock_unix_ms, Some(5));
        assert_eq!(seen.standby.len(), 1, "{:?}", seen.standby);
        speaker.hear(&values(&[
            ("node", &card),
            ("clock", "a clock that is garbled"),
        ]));
        let seen = speaker.node().unwrap();
        assert!(seen.document.is_none() && seen.disk.is_none() && seen.clock_unix_ms.is_none());
        assert!(seen.standby.is_empty());
        speaker.hear(&BTreeMap::new());
        assert!(speaker.node().is_none());
    }

    #[test]
    fn a_value_that_stays_is_not_read_again() {
        let mut speaker = speaker();
        let said = values(&[("node", &card()), ("document", "00")]);
        speaker.hear(&said);
        speaker.node.document = Some("as it was left".into());
        speaker.hear(&said);
        let document = speaker.node().unwrap().document.as_deref();
        assert_eq!(document, Some("as it was left"));
    }
}
