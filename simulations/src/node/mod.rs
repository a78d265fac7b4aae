//! The border between a world and its nodes: events in, actions out.
//!
//! A world knows nothing of elections, documents or streams. Each of them is a part of [`Node`], with its
//! values in gossip, its messages on links and its conversations; what they decide is production's code.

pub mod crowd;
mod mesh;
pub mod radio;
mod replica;
mod stances;
mod talks;
mod voting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon::logic::document::saved::Saved;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::seat::{Claim, Epoch, Fence, Rank, Seat};
use antiphon::model::status::NodeState;
use antiphon::proto::authority::Authority;
use antiphon::proto::seats::{Disk, Input, Scope, Seats, SeatsConfig};
use antiphon::proto::view::{MeshNode, MeshView};
use antiphon::wire::frame::Frame;
use antiphon::wire::gossip;
use antiphon::wire::gossip::TranscodingCard;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::crowd::{Crowd, PlayerId, Visit, VisitResult};
use self::mesh::Mesh;
use self::radio::{Radio, RadioNews};
use self::replica::Replica;
pub use self::replica::{Edit, Written};
use self::stances::Stances;
pub use self::stances::WorldJobs;
use self::talks::Talks;
pub use self::talks::{TalkEvent, TalkId};
use crate::encoder::{EncoderId, Spoken};

/// A message on a link that needs no answer.
#[derive(Clone, Debug)]
pub enum LinkMessage {
    /// An order of a master, without content.
    Order(Fence),
    /// A frame as on a real link.
    Frame(Frame),
}

/// A peer as gossip and links see it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The rank of the node.
    pub rank: Rank,
    /// The life of the node.
    pub life: u32,
    /// The state by gossip and links.
    pub state: NodeState,
}

/// The latest heartbeat of a node in gossip.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The node.
    pub node: NodeName,
    /// The life of the node.
    pub life: u32,
    /// The time since then.
    pub silent_for: Duration,
}

/// An event for a node.
#[derive(Clone, Debug)]
pub enum Event {
    /// The peers as gossip and links see them, with their ranks.
    Members(BTreeMap<NodeName, Member>),
    /// Gossip brought a node's value; `None` if it was withdrawn.
    Said(NodeName, Arc<str>, Option<Arc<str>>),
    /// A node has begun a new life.
    NewLife(NodeName, u32),
    /// The jobs that need a seat, from now on.
    Jobs(WorldJobs),
    /// The transcoders that it can run from now on.
    Transcoding(Option<TranscodingCard>),
    /// A look at the mesh, in which nothing has changed.
    Look,
    /// A message over a link.
    Link(NodeName, LinkMessage),
    /// An event of a conversation.
    Talk(TalkId, TalkEvent),
    /// An encoder at this node connects, sends or leaves.
    Encoder(EncoderId, Spoken),
    /// A player's request.
    Player(PlayerId, Visit),
    /// When each node was heard last.
    Heartbeats(Vec<Heartbeat>),
    /// The next beat of the streams.
    Beat,
    /// An operator changes the document here.
    Edit(Edit),
    /// The disk has written this epoch.
    Written(Epoch),
    /// The disk has failed to write this epoch.
    NotWritten(Epoch),
    /// Whether the disk works, when that has changed.
    Disk(Disk),
    /// An operator forgets a node.
    Forget(NodeName),
    /// The time for which the elections asked.
    Wake,
    /// A gossip interval has passed.
    Round,
    /// The operator asks it to step down.
    Resign,
    /// The operator asks it to stand again.
    Unresign,
    /// The operator takes it out of service.
    Drain,
    /// The operator puts it back.
    Undrain,
}

/// An action of a node.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send over the link to this node.
    Send(NodeName, LinkMessage),
    /// Send over all links.
    Broadcast(LinkMessage),
    /// Begin a conversation by a frame.
    Open(TalkId, NodeName, Frame),
    /// Send the next frame of a conversation.
    Say(TalkId, Frame),
    /// Say that no more frames will follow.
    Finish(TalkId),
    /// Abort a conversation.
    Abort(TalkId),
    /// Write this epoch to disk.
    Write(Epoch),
    /// Write the document to disk.
    Save(Box<Saved>),
    /// Gossip with this node at once.
    Greet(NodeName),
    /// Gossip this value under a key, or withdraw it.
    Gossip(String, Option<String>),
    /// Publish this claim to a seat, or withdraw it.
    Claims(Seat, Option<Claim>),
    /// Follow another holder of a seat.
    Changed(Seat, Option<Claim>),
    /// An order was carried out.
    Applied(Fence),
    /// An operator's change was made.
    Edited(Written),
    /// The answer to a player.
    Received(PlayerId, VisitResult),
    /// News of the streams, for the checkers.
    Radio(RadioNews),
}

/// The time by a node's own clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The monotonic clock.
    pub now: Instant,
    /// The time of day, unix milliseconds.
    pub wall_ms: u64,
}

/// The settings and the saved state of a node that starts.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The configuration of its elections, with the epoch on its disk.
    pub seats: SeatsConfig,
    /// The number of the node.
    pub number: usize,
    /// The number of this life.
    pub life: u32,
    /// The document on its disk.
    pub document: Option<Saved>,
    /// The mounts that have a listener here.
    pub audience: Vec<MountName>,
    /// The most listeners; `None` in a world without players.
    pub max_listeners: Option<u32>,
    /// The seed of its random numbers.
    pub dice: u64,
}

/// The size of a node's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes in all rings.
    pub ring_bytes: u64,
    /// Conversations, pulls, sources and rings.
    pub things: usize,
    /// Streams that are over.
    pub ended: usize,
    /// Records of the document.
    pub records: usize,
}

/// The logic of one life of one node.
#[derive(Debug)]
pub struct Node {
    seats: Seats,
    authority: Authority,
    mesh: Mesh,
    replica: Replica,
    radio: Radio,
    stances: Stances,
    crowd: Option<Crowd>,
    talks: Talks,
    rng: SmallRng,
}

/// The rest of the node, as its streams see it.
struct Env<'a> {
    mesh: &'a mut Mesh,
    replica: &'a Replica,
    authority: &'a mut Authority,
    talks: &'a mut Talks,
    rng: &'a mut SmallRng,
    moment: Moment,
    out: &'a mut Vec<Action>,
}

impl Node {
    /// A node that starts with the state on its disk.
    pub fn new(config: NodeConfig, moment: Moment) -> Self {
        let (name, epoch) = (config.seats.node.clone(), config.seats.max_epoch);
        let gossip_interval = config.seats.gossip_interval;
        let own = crowd::life(&name, config.life);
        let takes = config.max_listeners;
        Self {
            crowd: takes.map(|listeners| Crowd::new(own, listeners, gossip_interval, moment.now)),
            authority: Authority::new(epoch),
            mesh: Mesh::new(name.clone(), epoch, moment.now),
            replica: Replica::new(name, config.document, moment.now),
            radio: Radio::new(config.audience, moment.now),
            stances: Stances::default(),
            talks: Talks {
                opener: config.number,
                life: config.life,
                number: 0,
            },
            rng: SmallRng::seed_from_u64(config.dice),
            seats: Seats::new(config.seats, moment.now),
        }
    }

    /// The view of the mesh, for the checkers.
    pub fn view(&self) -> &MeshView {
        self.mesh.view()
    }

    /// The seats, for the checkers.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The streams, for the checkers.
    pub fn radio(&self) -> &Radio {
        &self.radio
    }

    /// The document, for the checkers.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The listeners, for the checkers.
    pub fn crowd(&self) -> Option<&Crowd> {
        self.crowd.as_ref()
    }

    /// The size of its state, for the checkers.
    pub fn size(&self) -> Size {
        let (ring_bytes, things) = self.radio.size();
        Size {
            ring_bytes,
            things,
            ended: self.mesh.ended(),
            records: self.replica.document().live().count(),
        }
    }

    /// Whether it is out of service, for the checkers.
    pub fn is_draining(&self) -> bool {
        self.mesh.is_draining()
    }

    /// The fence of the last order that it has obeyed.
    pub fn obeyed(&self) -> Option<&Fence> {
        self.authority.highest()
    }

    /// Handles one event.
    pub fn step(&mut self, event: Event, moment: Moment) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Members(members) => {
                self.mesh.apply_members(&members);
                self.update_table(moment);
                self.show_mesh(moment, &mut out);
            }
            Event::NewLife(from, life) => {
                self.mesh.new_life(&from, life);
                self.show_mesh(moment, &mut out);
            }
            Event::Jobs(jobs) => self.set_jobs(jobs, moment, &mut out),
            Event::Transcoding(card) => self.tell_tools(card.as_ref(), &mut out),
            Event::Look => self.show_mesh(moment, &mut out),
            Event::Said(from, key, value) => {
                self.mesh.apply_value(&from, &key, value.as_deref());
                if gossip::claim_seat(&key).is_some() || *key == *gossip::DISK {
                    self.show_mesh(moment, &mut out);
                }
            }
            Event::Link(from, message) => self.message(from, message, moment, &mut out),
            Event::Talk(talk, heard) => self.talk(talk, heard, moment, &mut out),
            Event::Encoder(encoder, spoken) => {
                let (radio, mut env) = self.radio_and_env(moment, &mut out);
                radio.encoder(encoder, spoken, &mut env);
            }
            Event::Player(id, visit) => self.player(id, visit, moment, &mut out),
            Event::Heartbeats(heard) => {
                self.mesh.heartbeats(heard, moment.now);
                self.update_table(moment);
            }
            Event::Beat => self.beat(moment, &mut out),
            Event::Edit(edit) if self.takes_edits() => {
                self.replica.edit(edit, moment, &mut out);
            }
            Event::Edit(_) => {}
            Event::Round => self.order(&mut out),
            Event::Written(epoch) => self.written(epoch, moment, &mut out),
            Event::NotWritten(epoch) => self.not_written(epoch, moment, &mut out),
            Event::Disk(disk) => {
                let why = (disk == Disk::Fails).then(|| "full".to_owned());
                self.mesh.apply_own(gossip::DISK, why.as_deref());
                out.push(Action::Gossip(gossip::DISK.into(), why));
                self.handle_seats(Input::Disk(disk), moment, &mut out);
            }
            Event::Forget(node) => self.forget(&node, moment, &mut out),
            Event::Wake => self.handle_seats(Input::Tick, moment, &mut out),
            Event::Resign => self.handle_seats(Input::Resign(Scope::Master), moment, &mut out),
            Event::Unresign => self.handle_seats(Input::Unresign(Scope::Master), moment, &mut out),
            Event::Drain => {
                self.mesh.set_state(NodeState::Draining);
                out.push(Action::Gossip(gossip::DRAINING.into(), Some("true".into())));
                self.handle_seats(Input::Resign(Scope::All), moment, &mut out);
            }
            Event::Undrain => {
                self.mesh.set_state(NodeState::Alive);
                out.push(Action::Gossip(gossip::DRAINING.into(), None));
                self.handle_seats(Input::Unresign(Scope::All), moment, &mut out);
            }
        }
        out
    }

    /// Whether an operator's edit is taken: only if some disk keeps it, of this node or of a peer that is asked to. That the
    /// peer's answer is awaited is left out.
    fn takes_edits(&self) -> bool {
        self.mesh.view().nodes.values().any(MeshNode::can_save)
    }

    /// Forgets a node as production's API does: not one that is up.
    fn forget(&mut self, node: &NodeName, moment: Moment, out: &mut Vec<Action>) {
        let seen = self.mesh.view().nodes.get(node);
        if !seen.is_some_and(MeshNode::is_up) && self.takes_edits() {
            let seen = seen.map(|node| node.generation);
            self.replica.forget(node, seen, moment, out);
        }
    }

    fn message(
        &mut self,
        from: NodeName,
        message: LinkMessage,
        moment: Moment,
        out: &mut Vec<Action>,
    ) {
        match message {
            LinkMessage::Order(fence) => self.obey(fence, out),
            LinkMessage::Frame(Frame::Seat { seat, message }) => {
                let heard = Input::Message {
                    from,
                    seat,
                    message,
                };
                self.handle_seats(heard, moment, out);
            }
            LinkMessage::Frame(Frame::Records(records)) => {
                self.replica.apply(records, moment, out);
            }
            LinkMessage::Frame(frame) => {
                let (radio, mut env) = self.radio_and_env(moment, out);
                radio.message(frame, &mut env);
            }
        }
    }

    fn talk(&mut self, talk: TalkId, heard: TalkEvent, moment: Moment, out: &mut Vec<Action>) {
        let about_records = matches!(&heard, TalkEvent::Began(_, Frame::Summary(_)));
        if about_records || self.replica.is_in(talk) {
            self.replica.talk(talk, heard, moment, out);
        } else {
            let (radio, mut env) = self.radio_and_env(moment, out);
            radio.talk(talk, heard, &mut env);
        }
    }

    fn beat(&mut self, moment: Moment, out: &mut Vec<Action>) {
        self.replica.beat(&self.mesh, &mut self.talks, moment, out);
        if self.mesh.apply_forgotten(self.replica.forgotten()) {
            self.show_mesh(moment, out);
        }
        let listened = self.crowd.as_ref().map(Crowd::mounts).unwrap_or_default();
        let (radio, mut env) = self.radio_and_env(moment, out);
        radio.beat(&listened, &mut env);
        let cards = radio.cards_to_publish(&mut env);
        self.mesh.publish_cards(cards, out);
        if let Some(crowd) = &mut self.crowd {
            let is_held = |mount: &MountName| self.radio.position(mount).is_some();
            crowd.beat(is_held, moment.now, out);
        }
    }

    fn update_table(&mut self, moment: Moment) {
        if let Some(crowd) = &mut self.crowd {
            crowd.apply_view(self.mesh.view(), moment.now);
        }
    }

    fn radio_and_env<'a>(
        &'a mut self,
        moment: Moment,
        out: &'a mut Vec<Action>,
    ) -> (&'a mut Radio, Env<'a>) {
        self.radio.set_clock(moment.now);
        let env = Env {
            mesh: &mut self.mesh,
            replica: &self.replica,
            authority: &mut self.authority,
            talks: &mut self.talks,
            rng: &mut self.rng,
            moment,
            out,
        };
        (&mut self.radio, env)
    }
}

impl Env<'_> {
    /// A random number from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.rng.random()
    }
}
