//! The mesh as this node sees it at one moment: what everybody says, and who of them is believed to live.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::io::gossip::GossipedNode;
use crate::logic::forecast::reach;
use crate::logic::forecast::{Bulletin, OutsideBulletin};
use crate::logic::relay::route::Precedence;
use crate::model::finding::Finding;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::{Generation, NodeName};
use crate::model::seat::{Claim, Epoch, Seat};
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

/// Reads what a node says. `None` until its card is there, without which it has neither address nor rank.
pub(super) fn read(node: &GossipedNode, state: NodeState, heard_at: Instant) -> Option<MeshNode> {
    let text = |key: &str| node.values.get(key).map(String::as_str);
    let card: NodeCard = gossip::read(text(gossip::NODE)?)?;
    let mut read = MeshNode {
        generation: node.generation,
        mesh_address: node.mesh_address,
        state,
        heard_at,
        card,
        bulletin: text(gossip::LOAD).and_then(gossip::read),
        claim: text(&gossip::claim_key(&Seat::Master)).and_then(gossip::read),
        claims: BTreeMap::new(),
        outside: BTreeMap::new(),
        document: text(gossip::DOCUMENT).map(str::to_owned),
        clock_unix_ms: text(gossip::CLOCK).and_then(gossip::read),
        disk: text(gossip::DISK).map(str::to_owned),
        streams: BTreeMap::new(),
        about: BTreeMap::new(),
        standby: BTreeSet::new(),
        reach: BTreeMap::new(),
    };
    for (key, value) in node.values.iter().take(MAX_VALUES) {
        if let Some(mount) = gossip::stream_mount(key) {
            read.streams
                .extend(gossip::read(value).map(|card| (mount, card)));
        }
        if let Some(mount) = gossip::about_mount(key) {
            read.about
                .extend(gossip::read(value).map(|about| (mount, about)));
        }
        read.standby.extend(gossip::standby_mount(key));
        if let Some(server) = gossip::outside_server(key) {
            let bulletin = gossip::read(value);
            read.outside
                .extend(bulletin.map(|bulletin| (server, bulletin)));
        }
        if let Some(target) = gossip::reached_node(key) {
            read.reach
                .extend(gossip::read(value).map(|card| (target, card)));
        }
        if let Some(seat) = gossip::claim_seat(key).filter(|seat| *seat != Seat::Master) {
            read.claims
                .extend(gossip::read(value).map(|claim| (seat, claim)));
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_is_read_and_what_it_garbles_is_skipped() {
        let card = NodeCard {
            url: "http://127.0.0.1:8000".into(),
            version: "1".into(),
            rank: crate::model::seat::Rank(1),
            started_unix_ms: 0,
            https_url: None,
            place: Default::default(),
            addresses: Vec::new(),
            serves_dns: false,
            takes_orders: true,
            proves: false,
        };
        let mut values = BTreeMap::from([
            ("stream/a".to_owned(), "no card".to_owned()),
            ("load".to_owned(), "{}".to_owned()),
            ("document".to_owned(), "00".to_owned()),
        ]);
        let mut node = GossipedNode {
            generation: Generation(1),
            mesh_address: "127.0.0.1:1".parse().unwrap(),
            alive: true,
            heartbeat: 0,
            values: values.clone(),
        };
        assert!(
            read(&node, NodeState::Alive, Instant::now()).is_none(),
            "no card yet"
        );
        values.insert(gossip::NODE.into(), gossip::write(&card));
        node.values = values;
        let seen = read(&node, NodeState::Alive, Instant::now()).unwrap();
        assert!(seen.streams.is_empty() && seen.bulletin.is_none());
        assert_eq!(seen.document.as_deref(), Some("00"));
    }
}
