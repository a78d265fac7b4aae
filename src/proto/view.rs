//! The mesh as this node sees it at one moment: what each node gossips, and which nodes are believed to be alive.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use serde::de::DeserializeOwned;

use crate::logic::forecast::reach;
use crate::logic::forecast::{Bulletin, OutsideBulletin};
use crate::logic::members::forgotten::Forgotten;
use crate::logic::relay::route::Precedence;
use crate::model::file_name::PlayedFile;
use crate::model::finding::Finding;
use crate::model::import::ImportReport;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::{Generation, NodeName};
use crate::model::outside_relay::OutsideRelayReport;
use crate::model::seat::{Claim, Epoch, Rank, Seat};
use crate::model::status::{EngineStatus, NodeState};
use crate::model::stream::StreamId;
use crate::model::transcoding::TranscoderReport;
use crate::wire::gossip::{
    self, ClosedCard, FileCard, NodeCard, Origin, ReachCard, RungCard, StandbyCard, StreamAbout,
    StreamCard, TranscodingCard,
};

/// One node, in its latest life.
#[derive(Clone, Debug)]
pub struct MeshNode {
    /// The number of this life.
    pub generation: Generation,
    /// The address for links.
    pub mesh_address: SocketAddr,
    /// The state: by gossip, and by the links of this node.
    pub state: NodeState,
    /// Whether the node has said goodbye: it is dead, and serves nobody.
    pub has_left: bool,
    /// When it was last heard, directly or through other nodes.
    pub heard_at: Instant,
    /// The card: version, addresses and the like.
    pub card: NodeCard,
    /// The load, and the listeners that it has sent to other nodes.
    pub bulletin: Option<Bulletin>,
    /// The claim to the master's seat.
    pub claim: Option<Claim>,
    /// The claims to other seats.
    pub claims: BTreeMap<Seat, Claim>,
    /// The reports of outside servers.
    pub outside: BTreeMap<NodeName, OutsideBulletin>,
    /// The digest of its document.
    pub document: Option<String>,
    /// The last time that it gossiped, unix milliseconds by its own clock.
    pub clock_unix_ms: Option<u64>,
    /// Why it cannot write to its disk, while it cannot.
    pub disk: Option<String>,
    /// Why it cannot write its logs of requests or titles, while it cannot.
    pub logs: Option<String>,
    /// The server that serves its listeners, if that is not the node itself.
    pub engine: Option<EngineStatus>,
    /// The streams that it holds.
    pub streams: BTreeMap<MountName, StreamCard>,
    /// The words of the sources on their streams.
    pub about: BTreeMap<MountName, StreamAbout>,
    /// The best source that waits on standby there, of each mount.
    pub standby: BTreeMap<MountName, StandbyCard>,
    /// The last sources that it has closed for what they had sent.
    pub closed: BTreeMap<MountName, ClosedCard>,
    /// The findings at other nodes' addresses.
    pub reach: BTreeMap<NodeName, ReachCard>,
    /// The transcoders that it can run, if it may run any.
    pub transcoding: Option<TranscodingCard>,
    /// The transcoders that it runs.
    pub transcoders: BTreeMap<MountName, TranscoderReport>,
    /// The mounts that somebody there wants to be made.
    pub wanted: BTreeSet<MountName>,
    /// The fallbacks that the listeners of mounts hear there.
    pub rungs: BTreeMap<MountName, RungCard>,
    /// The files that it can play, or cannot.
    pub files: BTreeMap<PlayedFile, FileCard>,
    /// The outside relays whose seats it holds.
    pub outside_relays: BTreeMap<MountName, OutsideRelayReport>,
    /// The words of the node on the lists of streams that it reads, while it holds that seat.
    pub import: Option<ImportReport>,
    /// The streams that its outside relays have on air, which yield their places to any encoder.
    pub yielding: BTreeMap<MountName, StreamId>,
}

/// A card's flag for a frame that not every version reads.
pub type FrameFlag = fn(&NodeCard) -> bool;

/// Whether a node reads a frame that not every version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSupport {
    /// The node reads it, by the card of the life to which there is a link.
    Reads,
    /// The node's version is too old, by its card.
    TooOld,
    /// The card of the life to which there is a link has not come yet.
    NoCard,
    /// The node has no link with this one.
    NoLink,
}

impl MeshNode {
    /// A node that has gossiped nothing yet, and whose link is unknown.
    pub fn unheard(generation: Generation, heard_at: Instant) -> Self {
        Self {
            generation,
            mesh_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state: NodeState::Suspect,
            has_left: false,
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
                zone: None,
                takes_orders: true,
                reads_prologues: false,
                reads_captions: false,
                reads_long_prologues: false,
                proves: false,
                lists_listeners: false,
                reads_presence: false,
                reads_midway: false,
                reads_transcoders: false,
                reads_outside_relays: false,
                reads_dismissals: false,
                reads_files: false,
                reads_imports: false,
                reads_certificates: false,
            },
            bulletin: None,
            claim: None,
            claims: BTreeMap::new(),
            outside: BTreeMap::new(),
            document: None,
            clock_unix_ms: None,
            disk: None,
            logs: None,
            engine: None,
            streams: BTreeMap::new(),
            about: BTreeMap::new(),
            standby: BTreeMap::new(),
            closed: BTreeMap::new(),
            reach: BTreeMap::new(),
            transcoding: None,
            transcoders: BTreeMap::new(),
            wanted: BTreeSet::new(),
            rungs: BTreeMap::new(),
            files: BTreeMap::new(),
            outside_relays: BTreeMap::new(),
            import: None,
            yielding: BTreeMap::new(),
        }
    }

    /// Applies the value that the node gossips under one key; `None`: the key is gone. Unknown keys are skipped. A value
    /// that cannot be read counts as gone, except for the card: the last one stays.
    pub fn hear(&mut self, key: &str, value: Option<&str>) {
        match key {
            gossip::NODE => _ = self.hear_card(value),
            gossip::LOAD => self.bulletin = value.and_then(gossip::read),
            gossip::DOCUMENT => self.document = value.map(str::to_owned),
            gossip::CLOCK => self.clock_unix_ms = value.and_then(gossip::read),
            gossip::ENGINE => self.engine = value.and_then(gossip::read),
            gossip::DISK => self.disk = value.map(str::to_owned),
            gossip::LOGS => self.logs = value.map(str::to_owned),
            gossip::IMPORT => self.import = value.and_then(gossip::read),
            gossip::TRANSCODING => self.transcoding = value.and_then(gossip::read),
            _ => self.hear_of_one(key, value),
        }
    }

    /// Applies the card, if it can be read, and says whether it can.
    pub(super) fn hear_card(&mut self, value: Option<&str>) -> bool {
        let card = value.and_then(gossip::read);
        let is_read = card.is_some();
        if let Some(card) = card {
            self.card = card;
        }
        is_read
    }

    /// The keys with one value for each stream, seat, server or node.
    fn hear_of_one(&mut self, key: &str, value: Option<&str>) {
        if let Some(mount) = gossip::stream_mount(key) {
            put(&mut self.streams, mount, value);
        } else if let Some(mount) = gossip::about_mount(key) {
            put(&mut self.about, mount, value);
        } else if let Some(mount) = gossip::closed_mount(key) {
            put(&mut self.closed, mount, value);
        } else if let Some(mount) = gossip::transcoder_mount(key) {
            put(&mut self.transcoders, mount, value);
        } else if let Some(mount) = gossip::rung_mount(key) {
            put(&mut self.rungs, mount, value);
        } else if let Some(file) = gossip::played_file(key) {
            put(&mut self.files, file, value);
        } else if let Some(mount) = gossip::outside_relay_mount(key) {
            put(&mut self.outside_relays, mount, value);
        } else if let Some(mount) = gossip::yielding_mount(key) {
            put(&mut self.yielding, mount, value);
        } else if let Some(mount) = gossip::standby_mount(key) {
            // An older version says only that one waits.
            let card = value.map(|value| gossip::read(value).unwrap_or_default());
            match card {
                Some(card) => _ = self.standby.insert(mount, card),
                None => _ = self.standby.remove(&mount),
            }
        } else if let Some(mount) = gossip::wanted_mount(key) {
            put_flag(&mut self.wanted, mount, value);
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

    /// Marks the streams that are over as streams without a source, although the node still gossips one.
    pub fn forget_ended(&mut self, is_over: impl Fn(StreamId) -> bool) {
        let cards = self
            .streams
            .values_mut()
            .filter(|card| card.origin == Origin::Source);
        for card in cards.filter(|card| is_over(card.stream_id)) {
            card.origin = Origin::Relay(None);
        }
    }

    /// Whether it is left out of the view: it is dead, and an operator has forgotten this life of it.
    pub fn is_hidden(&self, name: &NodeName, forgotten: &Forgotten) -> bool {
        !self.is_up() && forgotten.get(name) >= Some(&self.generation)
    }

    /// The listeners of a mount at the node, whichever stream they hear; `None` if it has nothing for them.
    pub fn listeners_of(&self, mount: &MountName) -> Option<u32> {
        let own = self.streams.get(mount).map(|card| card.listeners);
        own.or_else(|| Some(self.rungs.get(mount)?.listeners))
    }

    /// Whether a stream of it is an outside relay's, which yields its place to any encoder.
    pub fn is_yielding(&self, mount: &MountName, card: &StreamCard) -> bool {
        self.yielding.get(mount) == Some(&card.stream_id)
    }

    /// Whether it is believed to be alive, perhaps with a doubt.
    pub fn is_up(&self) -> bool {
        self.state != NodeState::Dead
    }

    /// Whether it is up and can write to its disk, as far as is known.
    pub fn can_save(&self) -> bool {
        self.is_up() && self.disk.is_none()
    }
}

/// Inserts the value of a key, or removes it.
fn put<K: Ord, V: DeserializeOwned>(known: &mut BTreeMap<K, V>, key: K, value: Option<&str>) {
    match value.and_then(gossip::read) {
        Some(value) => _ = known.insert(key, value),
        None => _ = known.remove(&key),
    }
}

/// Inserts a key whose presence is all that it says, or removes it.
fn put_flag<K: Ord>(known: &mut BTreeSet<K>, key: K, value: Option<&str>) {
    match value {
        Some(_) => known.insert(key),
        None => known.remove(&key),
    };
}

/// All known nodes, and the holders of the seats.
#[derive(Clone, Debug)]
pub struct MeshView {
    /// The name of this node.
    pub me: NodeName,
    /// All nodes, this one included.
    pub nodes: BTreeMap<NodeName, MeshNode>,
    /// The master's claim.
    pub master: Option<Claim>,
    /// The claims to all other seats that are held.
    pub seats: BTreeMap<Seat, Claim>,
    /// The highest epoch ever seen.
    pub max_epoch: Epoch,
}

impl MeshView {
    /// A mesh without any known node.
    pub fn empty(me: NodeName) -> Self {
        Self {
            me,
            nodes: BTreeMap::new(),
            master: None,
            seats: BTreeMap::new(),
            max_epoch: Epoch::default(),
        }
    }

    /// Whether a node reads a frame, by its card. The card is believed only in the life that is `linked`: a node may have
    /// been started again as an older version, which closes the link at a frame that it cannot read.
    pub fn frame_support(
        &self,
        name: &NodeName,
        linked: Option<Generation>,
        flag: FrameFlag,
    ) -> FrameSupport {
        let node = self.nodes.get(name);
        let has_flag = node.is_some_and(|node| flag(&node.card));
        match (linked, node.map(|node| node.generation)) {
            (Some(life), Some(of_card)) if life == of_card => match has_flag {
                true => FrameSupport::Reads,
                false => FrameSupport::TooOld,
            },
            (Some(_), _) => FrameSupport::NoCard,
            (None, Some(_)) if !has_flag => FrameSupport::TooOld,
            (None, _) => FrameSupport::NoLink,
        }
    }

    /// The live nodes that hold a mount's stream.
    pub fn holders<'a>(
        &'a self,
        mount: &'a MountName,
    ) -> impl Iterator<Item = (&'a NodeName, &'a StreamCard)> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up());
        up.filter_map(move |(name, node)| Some((name, node.streams.get(mount)?)))
    }

    /// The node to which a mount's source is connected, and its stream; of several the one that stays, the lowest by
    /// [`Precedence`], and any encoder before an outside relay.
    pub fn source<'a>(&'a self, mount: &'a MountName) -> Option<(&'a NodeName, &'a StreamCard)> {
        let sources = self
            .holders(mount)
            .filter(|(_, card)| card.origin == Origin::Source);
        sources.min_by_key(|(name, card)| {
            let yields = self.nodes[*name].is_yielding(mount, card);
            (yields, precedence(card))
        })
    }

    /// Whether anybody listens to a mount's stream, or wants to.
    pub fn is_wanted(&self, mount: &MountName) -> bool {
        let mut up = self.nodes.values().filter(|node| node.is_up());
        let has_listeners = self.holders(mount).any(|(_, card)| card.listeners > 0);
        let is_wanted_at = |node: &MeshNode| {
            let mut rungs = node.rungs.values();
            let is_heard = rungs.any(|card| card.rung.is_mount(mount) && card.listeners > 0);
            is_heard || node.wanted.contains(mount)
        };
        has_listeners || up.any(is_wanted_at)
    }

    /// The listeners of a mount at each live node that has something for them, whichever stream they hear.
    pub fn listeners<'a>(
        &'a self,
        mount: &'a MountName,
    ) -> impl Iterator<Item = (&'a NodeName, u32)> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up());
        up.filter_map(move |(name, node)| Some((name, node.listeners_of(mount)?)))
    }

    /// The words of a mount's source on its stream: as its node gossips it, or as a relay does while the source is
    /// gone.
    pub fn about(&self, mount: &MountName) -> Option<&StreamAbout> {
        let told_by = |name: &NodeName| self.nodes.get(name)?.about.get(mount);
        let (source, mut holders) = (self.source(mount), self.holders(mount));
        let told = source.and_then(|(name, _)| told_by(name));
        told.or_else(|| holders.find_map(|(name, _)| told_by(name)))
    }

    /// The station's name of a mount: as configured, else as the source says; empty if there is none.
    pub fn station_name<'a>(&'a self, spec: &'a MountSpec) -> &'a str {
        let said = || Some(self.about(&spec.path)?.name.as_str());
        match spec.name.as_str() {
            "" => said().unwrap_or_default(),
            own => own,
        }
    }

    /// The finding at the address of each node that was probed in its present life. One proof is enough, even if other
    /// nodes have failed to get one.
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

    /// The live nodes that give the same address to listeners, by that address.
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

/// The precedence of a stream among the streams of its mount.
pub fn precedence(card: &StreamCard) -> Precedence {
    Precedence {
        accept_epoch: card.accept_epoch,
        started_unix_ms: card.started_unix_ms,
        stream_id: card.stream_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_believed_only_in_the_life_that_is_linked() {
        let names = ["new", "old", "cardless"];
        let [new, old, cardless] = names.map(|name| NodeName::try_from(name).unwrap());
        let mut view = MeshView::empty("a".parse().unwrap());
        for (name, lists_listeners) in [(&new, true), (&old, false)] {
            let mut node = MeshNode::unheard(Generation(2), Instant::now());
            node.card.lists_listeners = lists_listeners;
            view.nodes.insert(name.clone(), node);
        }
        for (name, linked, support) in [
            (&new, Some(2), FrameSupport::Reads),
            (&old, Some(2), FrameSupport::TooOld),
            // The card is newer than the link, or older.
            (&new, Some(1), FrameSupport::NoCard),
            (&new, Some(3), FrameSupport::NoCard),
            (&old, Some(3), FrameSupport::NoCard),
            (&cardless, Some(2), FrameSupport::NoCard),
            (&new, None, FrameSupport::NoLink),
            (&old, None, FrameSupport::TooOld),
            (&cardless, None, FrameSupport::NoLink),
        ] {
            let linked = linked.map(Generation);
            let found = view.frame_support(name, linked, |card| card.lists_listeners);
            assert_eq!(found, support, "{name}, linked in {linked:?}");
        }
    }

    #[test]
    fn a_forgotten_node_is_hidden_until_it_lives_again() {
        let name = NodeName::try_from("gone").unwrap();
        let forgotten = Forgotten::from([(name.clone(), Generation(2))]);
        let node = |generation, state| MeshNode {
            state,
            ..MeshNode::unheard(Generation(generation), Instant::now())
        };
        assert!(node(1, NodeState::Dead).is_hidden(&name, &forgotten));
        assert!(node(2, NodeState::Dead).is_hidden(&name, &forgotten));
        assert!(!node(2, NodeState::Suspect).is_hidden(&name, &forgotten));
        assert!(!node(3, NodeState::Dead).is_hidden(&name, &forgotten));
        assert!(!node(1, NodeState::Dead).is_hidden(&name, &Forgotten::new()));
    }
}
