//! The mesh as one node sees it: production's [`MeshView`], filled from gossip and links as they come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use antiphon::logic::members::forgotten::Forgotten;
use antiphon::model::mount::MountName;
use antiphon::model::node::{Generation, NodeName};
use antiphon::model::seat::{Epoch, Seat};
use antiphon::model::status::NodeState;
use antiphon::model::stream::StreamId;
use antiphon::proto::ended::Ended;
use antiphon::proto::seats::Seats;
use antiphon::proto::view::{MeshNode, MeshView};
use antiphon::wire::gossip::{self, Origin, StreamCard};

use super::{Action, Heartbeat, Member};

/// The view of one node, and what it is made from.
#[derive(Debug)]
pub(super) struct Mesh {
    view: MeshView,
    /// The forgotten nodes, which are left out of the view.
    hidden: BTreeMap<NodeName, MeshNode>,
    /// Rises with each change of the view.
    version: u64,
    /// When this node's life began; stands for times that nothing depends on.
    born: Instant,
    /// The streams that are over while gossip still shows them.
    ended: Ended,
    /// The stream cards that this node gossips.
    said: BTreeMap<MountName, String>,
    /// The streams with a source at this node, as of the last look.
    sourced: BTreeSet<StreamId>,
}

impl Mesh {
    pub(super) fn new(me: NodeName, max_epoch: Epoch, now: Instant) -> Self {
        let own = MeshNode {
            state: NodeState::Alive,
            ..MeshNode::unheard(Generation(0), now)
        };
        Self {
            born: now,
            version: 0,
            hidden: BTreeMap::new(),
            view: MeshView {
                max_epoch,
                nodes: BTreeMap::from([(me.clone(), own)]),
                ..MeshView::empty(me)
            },
            ended: Ended::default(),
            said: BTreeMap::new(),
            sourced: BTreeSet::new(),
        }
    }

    pub(super) fn view(&self) -> &MeshView {
        &self.view
    }

    /// A number that changes whenever the view may have changed.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// How many ended streams are remembered.
    pub(super) fn ended(&self) -> usize {
        self.ended.count()
    }

    /// Whether this node is out of service.
    pub(super) fn is_draining(&self) -> bool {
        self.view.nodes[&self.view.me].state == NodeState::Draining
    }

    pub(super) fn set_state(&mut self, state: NodeState) {
        let me = self.view.me.clone();
        self.node(&me).state = state;
    }

    /// Applies the verdicts of gossip and links.
    pub(super) fn apply_members(&mut self, members: &BTreeMap<NodeName, Member>) {
        self.version += 1;
        for (name, member) in members {
            let node = self.node(name);
            node.state = member.state;
            node.card.rank = member.rank;
            node.generation = Generation(member.life.into());
        }
    }

    /// Leaves forgotten nodes out of the view, and shows those that are back; returns whether the view has changed.
    pub(super) fn apply_forgotten(&mut self, forgotten: &Forgotten) -> bool {
        if forgotten.is_empty() && self.hidden.is_empty() {
            return false;
        }
        let is_hidden = |name: &NodeName, node: &MeshNode| node.is_hidden(name, forgotten);
        let back = self
            .hidden
            .extract_if(.., |name, node| !is_hidden(name, node));
        let back: Vec<(NodeName, MeshNode)> = back.collect();
        let gone = self
            .view
            .nodes
            .extract_if(.., |name, node| is_hidden(name, node));
        let gone: Vec<(NodeName, MeshNode)> = gone.collect();
        let has_changed = !back.is_empty() || !gone.is_empty();
        self.view.nodes.extend(back);
        self.hidden.extend(gone);
        self.version += u64::from(has_changed);
        has_changed
    }

    /// Notes when each node was heard last, and in which life.
    pub(super) fn heartbeats(&mut self, heard: Vec<Heartbeat>, now: Instant) {
        for heartbeat in heard {
            let born = self.born;
            let node = self.node(&heartbeat.node);
            node.generation = Generation(heartbeat.life.into());
            node.heard_at = now.checked_sub(heartbeat.silent_for).unwrap_or(born);
        }
    }

    /// Notes a stream's end, even if gossip still shows its source.
    pub(super) fn note_ended(&mut self, stream: StreamId, now: Instant) {
        self.version += 1;
        self.ended.note(stream, now);
        for node in self.view.nodes.values_mut().chain(self.hidden.values_mut()) {
            node.forget_ended(|it| it == stream);
        }
    }

    /// Notes the holders of the seats.
    pub(super) fn apply_seats(&mut self, seats: &Seats) {
        let master = seats.holder(&Seat::Master);
        if self.view.master.as_ref() != master {
            self.version += 1;
            self.view.master = master.cloned();
        }
        self.view.seats = seats.others_held();
        self.view.max_epoch = seats.max_epoch();
    }

    pub(super) fn new_life(&mut self, name: &NodeName, life: u32) {
        self.version += 1;
        let born = self.born;
        let node = self.node(name);
        let (state, rank) = (node.state, node.card.rank);
        *node = unheard(Generation(life.into()), born);
        node.state = state;
        node.card.rank = rank;
    }

    /// Notes what this node gossips of itself.
    pub(super) fn apply_own(&mut self, key: &str, value: Option<&str>) {
        let me = self.view.me.clone();
        self.apply_value(&me, key, value);
    }

    /// Applies a value that a node gossips; an unknown or invalid one is skipped.
    pub(super) fn apply_value(&mut self, name: &NodeName, key: &str, value: Option<&str>) {
        self.version += 1;
        let ended = self.ended.clone();
        let node = self.node(name);
        node.hear(key, value);
        node.forget_ended(|stream| ended.contains(stream));
    }

    /// Gossips the streams that this node holds now; `None`: it is not time.
    pub(super) fn publish_cards(
        &mut self,
        cards: Option<BTreeMap<MountName, StreamCard>>,
        out: &mut Vec<Action>,
    ) {
        let Some(cards) = cards else { return };
        let gone = self.said.keys().filter(|mount| !cards.contains_key(*mount));
        out.extend(gone.map(|mount| Action::Gossip(gossip::stream_key(mount), None)));
        self.said.retain(|mount, _| cards.contains_key(mount));
        for (mount, card) in &cards {
            let text = gossip::write(card);
            if self.said.get(mount) != Some(&text) {
                out.push(Action::Gossip(
                    gossip::stream_key(mount),
                    Some(text.clone()),
                ));
                self.said.insert(mount.clone(), text);
            }
        }
        let me = self.view.me.clone();
        self.node(&me).streams = cards;
        self.greet_if_sources_changed(out);
    }

    /// Gossips at once when the sources here have changed, because relays wait for their streams.
    fn greet_if_sources_changed(&mut self, out: &mut Vec<Action>) {
        let own = &self.view.nodes[&self.view.me];
        let sourced = own.streams.values();
        let sourced = sourced.filter(|card| card.origin == Origin::Source);
        let sourced: BTreeSet<StreamId> = sourced.map(|card| card.stream_id).collect();
        if sourced != self.sourced {
            self.sourced = sourced;
            let others = self.view.nodes.iter();
            let others = others.filter(|(name, node)| **name != self.view.me && node.is_up());
            out.extend(others.map(|(name, _)| Action::Greet(name.clone())));
        }
    }

    /// A node. A new one counts as dead until the next verdict.
    fn node(&mut self, name: &NodeName) -> &mut MeshNode {
        let (nodes, born) = (&mut self.view.nodes, self.born);
        if let Some(node) = self.hidden.get_mut(name) {
            return node;
        }
        nodes.entry(name.clone()).or_insert_with(|| MeshNode {
            state: NodeState::Dead,
            ..unheard(Generation(0), born)
        })
    }
}

/// A node of this version that has gossiped nothing yet.
fn unheard(generation: Generation, born: Instant) -> MeshNode {
    let mut node = MeshNode::unheard(generation, born);
    node.card.reads_transcoders = true;
    node
}
