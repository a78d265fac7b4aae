//! Who may source a mount. The master decides; without one, each node decides by what gossip says.
//!
//! Two nodes that decide at once on the two sides of a partition may both say yes. That is settled when they
//! meet: of two streams of one mount the one that began first goes on.

use std::time::{Duration, Instant};

use crate::logic::election::{Admission, Gate};
use crate::logic::source::place::{Asker, Decision, Incumbent, MeshReports, Places};
use crate::model::mount::{MountName, Takeover};
use crate::model::node::NodeName;
use crate::model::seat::{Epoch, Fence};
use crate::model::stream::StreamId;
use crate::proto::view::{MeshNode, MeshView, precedence};
use crate::wire::frame::{Denial, Frame};
use crate::wire::gossip::{Origin, StreamCard};

/// How long the master may take to answer; a source does not wait longer for its place.
const ASK_TIMEOUT: Duration = Duration::from_millis(1_000);

/// What is known of a mount and of the mesh when a place is decided.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The mesh.
    pub view: &'a MeshView,
    /// What becomes of a second source on the mount; `None`: there is no such mount.
    pub takeover: Option<Takeover>,
    /// The time.
    pub now: Instant,
}

/// A source that has to give way because another was given its place.
#[derive(Clone, Debug, PartialEq)]
pub enum GivesWay {
    /// The source of this stream, which is connected to this node.
    Here(StreamId),
    /// A source of that node, which is sent this order.
    There(NodeName, Frame),
}

/// A place that is given away.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    epoch: Epoch,
    gives_way: Option<GivesWay>,
}

/// What this node does with another node's question for a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// Told to give way before the answer goes out.
    pub gives_way: Option<GivesWay>,
    /// The answer.
    pub reply: Frame,
}

/// What one node knows of places that gossip does not say yet, and whose orders it obeys.
#[derive(Clone, Debug)]
pub struct Authority {
    places: Places,
    gate: Gate,
}

impl Authority {
    /// A node that has given nothing yet; `max_epoch` is the highest that an earlier life of it has seen.
    pub fn new(max_epoch: Epoch) -> Self {
        Self {
            places: Places::default(),
            gate: Gate::new(max_epoch),
        }
    }

    /// Judges an order by its fence: the word of a deposed master is refused.
    pub fn admit(&mut self, fence: &Fence) -> Admission {
        self.gate.admit(fence)
    }

    /// The greatest fence that was let in.
    pub fn highest(&self) -> Option<&Fence> {
        self.gate.highest()
    }

    /// Answers a node that asks for a place for its source. Only the master gives any.
    pub fn answer(&mut self, asker: Asker<'_>, case: Case<'_>) -> Ruling {
        let claim = case.view.master.as_ref();
        let Some(claim) = claim.filter(|_| case.view.is_master()) else {
            return Ruling {
                gives_way: None,
                reply: Frame::Denied(Denial::NotMaster),
            };
        };
        match self.give(asker, case) {
            Ok(place) => Ruling {
                gives_way: place.gives_way,
                reply: Frame::Granted(claim.fence()),
            },
            Err(denial) => Ruling {
                gives_way: None,
                reply: Frame::Denied(denial),
            },
        }
    }

    /// Takes note that a source has gone: its place is free again, whatever gossip still says of it.
    pub fn release(&mut self, mount: &MountName, stream_id: StreamId, now: Instant) {
        self.places.release(mount, stream_id, now);
    }

    /// Gives the place, if it is to be had, and remembers that.
    fn give(&mut self, asker: Asker<'_>, case: Case<'_>) -> Result<Place, Denial> {
        let (view, mount) = (case.view, asker.mount);
        let takeover = case.takeover.ok_or(Denial::NoSuchMount)?;
        let mesh = MeshReports {
            on_air: incumbents(view, mount),
            is_up: &|node| view.nodes.get(node).is_none_or(MeshNode::is_up),
        };
        let gives_way = match self.places.decide(asker, mesh, takeover, case.now) {
            Decision::Grant => None,
            Decision::Refuse => return Err(Denial::MountInUse),
            Decision::Replace(node, old) if node == view.me => Some(GivesWay::Here(old)),
            Decision::Replace(node, old) => {
                let claim = view.master.as_ref().filter(|_| view.is_master());
                let claim = claim.ok_or(Denial::MountInUse)?; // without a claim nobody obeys us
                let order = Frame::GiveWay {
                    mount: mount.clone(),
                    stream_id: old,
                    fence: claim.fence(),
                };
                Some(GivesWay::There(node, order))
            }
        };
        let master = view.master.as_ref();
        let epoch = master.map_or(view.max_epoch, |claim| claim.epoch);
        Ok(Place { epoch, gives_way })
    }
}

/// The sources that are on air on a mount as gossip shows them, the one with precedence first.
fn incumbents(view: &MeshView, mount: &MountName) -> Vec<Incumbent> {
    let sources = view.holders(mount);
    let sources = sources.filter(|(_, card)| card.origin == Origin::Source);
    let mut sources: Vec<(&NodeName, &StreamCard)> = sources.collect();
    sources.sort_by_key(|(_, card)| precedence(card));
    let incumbent = |(node, card): (&NodeName, &StreamCard)| Incumbent {
        node: node.clone(),
        state: view.nodes[node].state,
        stream_id: card.stream_id,
    };
    sources.into_iter().map(incumbent).collect()
}

/// What happens to a question.
#[derive(Clone, Debug)]
pub enum Input {
    /// It begins.
    Begin,
    /// The node that was asked says this.
    Answer(Frame),
    /// It cannot be asked, or says nothing.
    Lost,
    /// Time has gone by.
    Tick,
}

/// What is to be done for a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask the master; what it says after that time does not count.
    Ask {
        /// The master.
        master: NodeName,
        /// The question.
        question: Frame,
        /// Until when.
        until: Instant,
    },
    /// The master that has given the place was deposed: its word does not count.
    Deposed(Fence),
    /// Let another source give way.
    GiveWay(GivesWay),
    /// The end: the epoch under which the place is given, or why it is not.
    Verdict(Result<Epoch, Denial>),
}

/// One question for a place for a source that is connected here: asked of the master, and decided here if there is
/// none, or it does not answer in time.
#[derive(Clone, Debug)]
pub struct Question {
    mount: MountName,
    stream_id: StreamId,
    course: Course,
}

/// How far a question is.
#[derive(Clone, Copy, Debug)]
enum Course {
    New,
    /// The master was asked, and may answer until then.
    Asked(Instant),
    Over,
}

impl Question {
    /// A question that has not begun.
    pub fn new(mount: MountName, stream_id: StreamId) -> Self {
        Self {
            mount,
            stream_id,
            course: Course::New,
        }
    }

    /// The life of the source for which it is asked.
    pub fn stream_id(&self) -> StreamId {
        self.stream_id
    }

    /// Takes in what happens. There is one verdict; whatever comes after it changes nothing.
    pub fn handle(
        &mut self,
        input: Input,
        authority: &mut Authority,
        case: Case<'_>,
        out: &mut Vec<Output>,
    ) {
        match (self.course, input) {
            (Course::New, Input::Begin) => self.begin(authority, case, out),
            (Course::Asked(until), Input::Answer(_) | Input::Lost | Input::Tick)
                if case.now >= until =>
            {
                self.decide_here(authority, case, out);
            }
            (Course::Asked(_), Input::Answer(frame)) => self.hear(frame, authority, case, out),
            (Course::Asked(_), Input::Lost) => self.decide_here(authority, case, out),
            _ => {}
        }
    }

    fn begin(&mut self, authority: &mut Authority, case: Case<'_>, out: &mut Vec<Output>) {
        let master = case.view.master.as_ref().map(|claim| &claim.node);
        let Some(master) = master.filter(|_| !case.view.is_master()) else {
            return self.decide_here(authority, case, out);
        };
        let until = case.now + ASK_TIMEOUT;
        self.course = Course::Asked(until);
        out.push(Output::Ask {
            master: master.clone(),
            question: Frame::Publish {
                mount: self.mount.clone(),
                stream_id: self.stream_id,
            },
            until,
        });
    }

    fn hear(
        &mut self,
        frame: Frame,
        authority: &mut Authority,
        case: Case<'_>,
        out: &mut Vec<Output>,
    ) {
        match frame {
            Frame::Granted(fence) => match authority.admit(&fence) {
                Admission::Apply => self.end(Ok(fence.epoch), out),
                Admission::Refuse => {
                    out.push(Output::Deposed(fence));
                    self.decide_here(authority, case, out);
                }
            },
            Frame::Denied(Denial::NotMaster) => self.decide_here(authority, case, out),
            Frame::Denied(denial) => self.end(Err(denial), out),
            _ => self.decide_here(authority, case, out),
        }
    }

    fn decide_here(&mut self, authority: &mut Authority, case: Case<'_>, out: &mut Vec<Output>) {
        let asker = Asker {
            mount: &self.mount,
            stream_id: self.stream_id,
            ingest: &case.view.me,
        };
        let verdict = authority.give(asker, case).map(|place| {
            out.extend(place.gives_way.map(Output::GiveWay));
            place.epoch
        });
        self.end(verdict, out);
    }

    fn end(&mut self, verdict: Result<Epoch, Denial>, out: &mut Vec<Output>) {
        self.course = Course::Over;
        out.push(Output::Verdict(verdict));
    }
}

#[cfg(test)]
mod tests;
