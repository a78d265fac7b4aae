//! The seam between a world and what runs in its nodes: events in, deeds out.
//!
//! A world knows nothing of elections, documents or streams. Each of them is a part of [`Node`], with its
//! values in gossip, its messages on links and its conversations; what they decide is production's code.

pub mod crowd;
mod mesh;
pub mod radio;
mod replica;
mod voting;

use std::collections::{BTreeMap, BTreeSet};
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
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::crowd::{Crowd, GuestId, Reception, Visit};
use self::mesh::Mesh;
use self::radio::{Radio, RadioNews};
use self::replica::Replica;
pub use self::replica::{Edit, Written};
use crate::encoder::{EncoderId, Spoken};

/// What travels over a link and needs no answer.
#[derive(Clone, Debug)]
pub enum LinkMessage {
    /// What a master orders, here without content.
    Order(Fence),
    /// As on a real link.
    Frame(Frame),
}

/// Names a conversation: who began it, in which of its lives, and its how manieth it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TalkId {
    /// The number of the node that began it.
    pub opener: usize,
    /// Which life of it.
    pub life: u32,
    /// Rises with each.
    pub number: u64,
}

/// What a node hears of a conversation.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A peer has begun it, with this frame.
    Began(NodeName, Frame),
    /// The next frame.
    Frame(Frame),
    /// The peer has said all.
    Finished,
    /// It was cut short.
    Lost,
}

/// A peer as gossip and links see it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its rank.
    pub rank: Rank,
    /// Which of its lives.
    pub life: u32,
    /// By the two witnesses.
    pub state: NodeState,
}

/// The last that gossip has heard of a node.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Which node.
    pub node: NodeName,
    /// Which of its lives.
    pub life: u32,
    /// How long ago.
    pub silent_for: Duration,
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Event {
    /// The peers as gossip and links see them, with their ranks.
    Members(BTreeMap<NodeName, Member>),
    /// Gossip brought a node's value; `None` if it has taken it back.
    Said(NodeName, Arc<str>, Option<Arc<str>>),
    /// A node has begun a new life.
    NewLife(NodeName, u32),
    /// From now on these are the seats beside the master's.
    Seats(BTreeSet<Seat>),
    /// The node looks at the mesh, in which nothing has changed.
    Look,
    /// A message over a link.
    Link(NodeName, LinkMessage),
    /// Something in a conversation.
    Talk(TalkId, Heard),
    /// An encoder that is connected here.
    Encoder(EncoderId, Spoken),
    /// A player that comes here, or leaves.
    Guest(GuestId, Visit),
    /// When each node was heard last.
    Heartbeats(Vec<Heartbeat>),
    /// The streams have their turn.
    Beat,
    /// An operator changes the document here.
    Edit(Edit),
    /// The disk has written this epoch.
    Written(Epoch),
    /// The disk has not.
    NotWritten(Epoch),
    /// Whether the disk works, when that has changed.
    Disk(Disk),
    /// An operator forgets a node, unless it is up as far as is known here.
    Forget(NodeName),
    /// The time that it asked for has come.
    Wake,
    /// One gossip interval has gone by.
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

/// What a node does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Send over the link to this node.
    Send(NodeName, LinkMessage),
    /// Send over all links.
    Broadcast(LinkMessage),
    /// Begin a conversation by a frame.
    Open(TalkId, NodeName, Frame),
    /// Say the next thing in one.
    Say(TalkId, Frame),
    /// Say that there is no more to say.
    Finish(TalkId),
    /// Cut one short.
    Abort(TalkId),
    /// Write this epoch to disk.
    Write(Epoch),
    /// Write the document to disk.
    Save(Box<Saved>),
    /// Gossip with this node at once.
    Greet(NodeName),
    /// Gossip this value under a key, or take it back.
    Gossip(String, Option<String>),
    /// Make this claim to a seat, or none any more.
    Claims(Seat, Option<Claim>),
    /// Follow somebody else from now on as a seat's holder.
    Changed(Seat, Option<Claim>),
    /// It has done what an order said.
    Applied(Fence),
    /// An operator's change was made.
    Edited(Written),
    /// What becomes of a player.
    Received(GuestId, Reception),
    /// Something happened to its streams.
    Radio(RadioNews),
}

/// What a node's own clocks show.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The one that only goes forward.
    pub now: Instant,
    /// The one on the wall, unix milliseconds.
    pub wall_ms: u64,
}

/// What a node is told once, at its start.
#[derive(Clone, Debug)]
pub struct Birth {
    /// The part that it takes in elections, with the epoch on its disk.
    pub seats: SeatsConfig,
    /// Its number, and which life this is.
    pub number: usize,
    /// Which life this is.
    pub life: u32,
    /// The document on its disk.
    pub document: Option<Saved>,
    /// The mounts that somebody listens to here.
    pub audience: Vec<MountName>,
    /// How many listeners it takes; `None` in a world to which no players come.
    pub max_listeners: Option<u32>,
    /// Its own dice.
    pub dice: u64,
}

/// How much a node remembers.
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
    crowd: Option<Crowd>,
    talks: Talks,
    rng: SmallRng,
}

/// Mints conversations and random numbers for the parts of a node.
#[derive(Debug)]
struct Talks {
    opener: usize,
    life: u32,
    number: u64,
}

impl Talks {
    fn next(&mut self) -> TalkId {
        self.number += 1;
        TalkId {
            opener: self.opener,
            life: self.life,
            number: self.number,
        }
    }
}

/// What a part of a node decides with.
struct Desk<'a> {
    mesh: &'a mut Mesh,
    replica: &'a Replica,
    authority: &'a mut Authority,
    talks: &'a mut Talks,
    rng: &'a mut SmallRng,
    moment: Moment,
    out: &'a mut Vec<Deed>,
}

impl Node {
    /// A node that starts with what its disk remembers.
    pub fn new(birth: Birth, moment: Moment) -> Self {
        let (name, epoch) = (birth.seats.node.clone(), birth.seats.max_epoch);
        let gossip_interval = birth.seats.gossip_interval;
        let own = crowd::life(&name, birth.life);
        let takes = birth.max_listeners;
        Self {
            crowd: takes.map(|listeners| Crowd::new(own, listeners, gossip_interval, moment.now)),
            authority: Authority::new(epoch),
            mesh: Mesh::new(name.clone(), epoch, moment.now),
            replica: Replica::new(name, birth.document, moment.now),
            radio: Radio::new(birth.audience, moment.now),
            talks: Talks {
                opener: birth.number,
                life: birth.life,
                number: 0,
            },
            rng: SmallRng::seed_from_u64(birth.dice),
            seats: Seats::new(birth.seats, moment.now),
        }
    }

    /// The mesh as it sees it, for the checkers.
    pub fn view(&self) -> &MeshView {
        self.mesh.view()
    }

    /// The seats, for the checkers.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Its streams, for the checkers.
    pub fn radio(&self) -> &Radio {
        &self.radio
    }

    /// Its document, for the checkers.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Its listeners, for the checkers.
    pub fn crowd(&self) -> Option<&Crowd> {
        self.crowd.as_ref()
    }

    /// How much it remembers, for the checkers.
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

    /// The last fence that it has obeyed.
    pub fn obeyed(&self) -> Option<&Fence> {
        self.authority.highest()
    }

    /// Takes in one event.
    pub fn step(&mut self, event: Event, moment: Moment) -> Vec<Deed> {
        let mut out = Vec::new();
        match event {
            Event::Members(members) => {
                self.mesh.look(&members);
                self.follow_load(moment);
                self.look(moment, &mut out);
            }
            Event::NewLife(from, life) => {
                self.mesh.new_life(&from, life);
                self.look(moment, &mut out);
            }
            Event::Seats(seats) => self.elect(Input::Wanted(&seats), moment, &mut out),
            Event::Look => self.look(moment, &mut out),
            Event::Said(from, key, value) => {
                self.mesh.said(&from, &key, value.as_deref());
                if gossip::claim_seat(&key).is_some() || *key == *gossip::DISK {
                    self.look(moment, &mut out);
                }
            }
            Event::Link(from, message) => self.message(from, message, moment, &mut out),
            Event::Talk(talk, heard) => self.talk(talk, heard, moment, &mut out),
            Event::Encoder(encoder, spoken) => {
                let (radio, mut desk) = self.at_desk(moment, &mut out);
                radio.encoder(encoder, spoken, &mut desk);
            }
            Event::Guest(id, visit) => self.guest(id, visit, moment, &mut out),
            Event::Heartbeats(heard) => {
                self.mesh.heartbeats(heard, moment.now);
                self.follow_load(moment);
            }
            Event::Beat => self.beat(moment, &mut out),
            Event::Edit(edit) => self.replica.edit(edit, moment, &mut out),
            Event::Round => self.order(&mut out),
            Event::Written(epoch) => self.written(epoch, moment, &mut out),
            Event::NotWritten(epoch) => self.not_written(epoch, moment, &mut out),
            Event::Disk(disk) => {
                let why = (disk == Disk::Fails).then(|| "full".to_owned());
                out.push(Deed::Gossip(gossip::DISK.into(), why));
                self.elect(Input::Disk(disk), moment, &mut out);
            }
            Event::Forget(node) => self.forget(&node, moment, &mut out),
            Event::Wake => self.elect(Input::Tick, moment, &mut out),
            Event::Resign => self.elect(Input::Resign(Scope::Master), moment, &mut out),
            Event::Unresign => self.elect(Input::Unresign(Scope::Master), moment, &mut out),
            Event::Drain => {
                self.mesh.set_state(NodeState::Draining);
                out.push(Deed::Gossip(gossip::DRAINING.into(), Some("true".into())));
                self.elect(Input::Resign(Scope::All), moment, &mut out);
            }
            Event::Undrain => {
                self.mesh.set_state(NodeState::Alive);
                out.push(Deed::Gossip(gossip::DRAINING.into(), None));
                self.elect(Input::Unresign(Scope::All), moment, &mut out);
            }
        }
        out
    }

    /// Forgets a node as production's API does.
    fn forget(&mut self, node: &NodeName, moment: Moment, out: &mut Vec<Deed>) {
        let seen = self.mesh.view().nodes.get(node);
        if !seen.is_some_and(MeshNode::is_up) {
            let seen = seen.map(|node| node.generation);
            self.replica.forget(node, seen, moment, out);
        }
    }

    fn message(
        &mut self,
        from: NodeName,
        message: LinkMessage,
        moment: Moment,
        out: &mut Vec<Deed>,
    ) {
        match message {
            LinkMessage::Order(fence) => self.obey(fence, out),
            LinkMessage::Frame(Frame::Seat { seat, message }) => {
                let heard = Input::Message {
                    from,
                    seat,
                    message,
                };
                self.elect(heard, moment, out);
            }
            LinkMessage::Frame(Frame::Records(records)) => {
                self.replica.take(records, moment, out);
            }
            LinkMessage::Frame(frame) => {
                let (radio, mut desk) = self.at_desk(moment, out);
                radio.message(frame, &mut desk);
            }
        }
    }

    fn talk(&mut self, talk: TalkId, heard: Heard, moment: Moment, out: &mut Vec<Deed>) {
        let about_records = matches!(&heard, Heard::Began(_, Frame::Summary(_)));
        if about_records || self.replica.is_in(talk) {
            self.replica.talk(talk, heard, moment, out);
        } else {
            let (radio, mut desk) = self.at_desk(moment, out);
            radio.talk(talk, heard, &mut desk);
        }
    }

    fn beat(&mut self, moment: Moment, out: &mut Vec<Deed>) {
        self.replica.beat(&self.mesh, &mut self.talks, moment, out);
        if self.mesh.apply_forgotten(self.replica.forgotten()) {
            self.look(moment, out);
        }
        let listened = self.crowd.as_ref().map(Crowd::mounts).unwrap_or_default();
        let (radio, mut desk) = self.at_desk(moment, out);
        radio.beat(&listened, &mut desk);
        let cards = radio.cards_to_say(&mut desk);
        self.mesh.say_cards(cards, out);
        if let Some(crowd) = &mut self.crowd {
            let is_held = |mount: &MountName| self.radio.position(mount).is_some();
            crowd.beat(is_held, moment.now, out);
        }
    }

    fn follow_load(&mut self, moment: Moment) {
        if let Some(crowd) = &mut self.crowd {
            crowd.apply_view(self.mesh.view(), moment.now);
        }
    }

    fn at_desk<'a>(
        &'a mut self,
        moment: Moment,
        out: &'a mut Vec<Deed>,
    ) -> (&'a mut Radio, Desk<'a>) {
        self.radio.set_clock(moment.now);
        let desk = Desk {
            mesh: &mut self.mesh,
            replica: &self.replica,
            authority: &mut self.authority,
            talks: &mut self.talks,
            rng: &mut self.rng,
            moment,
            out,
        };
        (&mut self.radio, desk)
    }
}

impl Desk<'_> {
    /// A random number from 0 to 1.
    fn luck(&mut self) -> f64 {
        self.rng.random()
    }
}
