//! The place of a mount's source. The master grants it; without a master, each node decides by what gossip shows.
//!
//! Two nodes on two sides of a partition may both grant it. When the sides meet, the stream that began first stays.

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

/// How long the master may take to answer: a source waits no longer for its place.
const ASK_TIMEOUT: Duration = Duration::from_millis(1_000);

/// The state of the mesh and of the mount on which a decision depends.
#[derive(Clone, Copy, Debug)]
pub struct PlaceContext<'a> {
    /// The mesh.
    pub view: &'a MeshView,
    /// The mount's rule for a second source; `None`: there is no such mount.
    pub takeover: Option<Takeover>,
    /// The time.
    pub now: Instant,
}

/// A source that has to give way because another got its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Displaced {
    /// The source of this stream, connected to this node.
    Local(StreamId),
    /// A source of that node, to which this order is sent.
    Remote(NodeName, Frame),
}

/// A place that was granted.
#[derive(Clone, Debug, PartialEq)]
struct GrantedPlace {
    epoch: Epoch,
    displaced: Option<Displaced>,
}

/// The answer of this node to another node's request for a place.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceAnswer {
    /// The source that is told to give way before the answer is sent.
    pub displaced: Option<Displaced>,
    /// The answer.
    pub reply: Frame,
}

/// The places that this node has granted and gossip does not show yet, and the fence of the orders that it obeys.
#[derive(Clone, Debug)]
pub struct Authority {
    places: Places,
    gate: Gate,
}

impl Authority {
    /// A node that has granted nothing yet; `max_epoch` is the highest that an earlier life of it has seen.
    pub fn new(max_epoch: Epoch) -> Self {
        Self {
            places: Places::default(),
            gate: Gate::new(max_epoch),
        }
    }

    /// Judges an order by its fence: an order of a deposed master is refused.
    pub fn admit(&mut self, fence: &Fence) -> Admission {
        self.gate.admit(fence)
    }

    /// The greatest fence that was admitted.
    pub fn highest(&self) -> Option<&Fence> {
        self.gate.highest()
    }

    /// Answers a node that asks for a place for its source. Only the master grants one.
    pub fn answer(&mut self, asker: Asker<'_>, context: PlaceContext<'_>) -> PlaceAnswer {
        let claim = context.view.master.as_ref();
        let Some(claim) = claim.filter(|_| context.view.is_master()) else {
            return PlaceAnswer {
                displaced: None,
                reply: Frame::Denied(Denial::NotMaster),
            };
        };
        match self.grant(asker, context) {
            Ok(place) => PlaceAnswer {
                displaced: place.displaced,
                reply: Frame::Granted(claim.fence()),
            },
            Err(denial) => PlaceAnswer {
                displaced: None,
                reply: Frame::Denied(denial),
            },
        }
    }

    /// Notes that a source has gone: its place is free, even if gossip still shows the source.
    pub fn release(&mut self, mount: &MountName, stream_id: StreamId, now: Instant) {
        self.places.release(mount, stream_id, now);
    }

    /// Grants the place if it is free, and remembers it.
    fn grant(
        &mut self,
        asker: Asker<'_>,
        context: PlaceContext<'_>,
    ) -> Result<GrantedPlace, Denial> {
        let (view, mount) = (context.view, asker.mount);
        let takeover = context.takeover.ok_or(Denial::NoSuchMount)?;
        let mesh = MeshReports {
            on_air: incumbents(view, mount),
            is_up: &|node| view.nodes.get(node).is_none_or(MeshNode::is_up),
        };
        let displaced = match self.places.decide(asker, mesh, takeover, context.now) {
            Decision::Grant => None,
            Decision::Refuse => return Err(Denial::MountInUse),
            Decision::Replace(node, old) if node == view.me => Some(Displaced::Local(old)),
            Decision::Replace(node, old) => {
                let claim = view.master.as_ref().filter(|_| view.is_master());
                let claim = claim.ok_or(Denial::MountInUse)?; // only a master's order is obeyed
                let order = Frame::GiveWay {
                    mount: mount.clone(),
                    stream_id: old,
                    fence: claim.fence(),
                };
                Some(Displaced::Remote(node, order))
            }
        };
        let master = view.master.as_ref();
        let epoch = master.map_or(view.max_epoch, |claim| claim.epoch);
        Ok(GrantedPlace { epoch, displaced })
    }
}

/// The sources on air on a mount as gossip shows them, by precedence.
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

/// An event of a question.
#[derive(Clone, Debug)]
pub enum Input {
    /// The beginning.
    Begin,
    /// The answer of the node that was asked.
    Answer(Frame),
    /// The node cannot be reached, or has not answered.
    Lost,
    /// Time has passed.
    Tick,
}

/// A task of the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask the master; an answer after `until` does not count.
    Ask {
        /// The master.
        master: NodeName,
        /// The question.
        question: Frame,
        /// The deadline.
        until: Instant,
    },
    /// The master that granted the place was deposed: its answer does not count.
    Deposed(Fence),
    /// Have another source give way.
    GiveWay(Displaced),
    /// The end: the epoch under which the place is granted, or why it is denied.
    Verdict(Result<Epoch, Denial>),
}

/// One request for a place for a source of this node. The master is asked; this node decides if there is no master, or
/// if it does not answer in time.
#[derive(Clone, Debug)]
pub struct PlaceQuestion {
    mount: MountName,
    stream_id: StreamId,
    state: QuestionState,
}

/// The state of a question.
#[derive(Clone, Copy, Debug)]
enum QuestionState {
    New,
    /// The master was asked, and has until then to answer.
    Asked(Instant),
    Over,
}

impl PlaceQuestion {
    /// A question that has not been asked yet.
    pub fn new(mount: MountName, stream_id: StreamId) -> Self {
        Self {
            mount,
            stream_id,
            state: QuestionState::New,
        }
    }

    /// The stream for which the place is asked.
    pub fn stream_id(&self) -> StreamId {
        self.stream_id
    }

    /// Handles one event. There is one verdict; later events change nothing.
    pub fn handle(
        &mut self,
        input: Input,
        authority: &mut Authority,
        context: PlaceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        match (self.state, input) {
            (QuestionState::New, Input::Begin) => self.begin(authority, context, out),
            (QuestionState::Asked(until), Input::Answer(_) | Input::Lost | Input::Tick)
                if context.now >= until =>
            {
                self.decide_locally(authority, context, out);
            }
            (QuestionState::Asked(_), Input::Answer(frame)) => {
                self.take_answer(frame, authority, context, out)
            }
            (QuestionState::Asked(_), Input::Lost) => self.decide_locally(authority, context, out),
            _ => {}
        }
    }

    fn begin(
        &mut self,
        authority: &mut Authority,
        context: PlaceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let master = context.view.master.as_ref().map(|claim| &claim.node);
        let Some(master) = master.filter(|_| !context.view.is_master()) else {
            return self.decide_locally(authority, context, out);
        };
        let until = context.now + ASK_TIMEOUT;
        self.state = QuestionState::Asked(until);
        out.push(Output::Ask {
            master: master.clone(),
            question: Frame::Publish {
                mount: self.mount.clone(),
                stream_id: self.stream_id,
            },
            until,
        });
    }

    fn take_answer(
        &mut self,
        frame: Frame,
        authority: &mut Authority,
        context: PlaceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        match frame {
            Frame::Granted(fence) => match authority.admit(&fence) {
                Admission::Apply => self.end(Ok(fence.epoch), out),
                Admission::Refuse => {
                    out.push(Output::Deposed(fence));
                    self.decide_locally(authority, context, out);
                }
            },
            Frame::Denied(Denial::NotMaster) => self.decide_locally(authority, context, out),
            Frame::Denied(denial) => self.end(Err(denial), out),
            _ => self.decide_locally(authority, context, out),
        }
    }

    fn decide_locally(
        &mut self,
        authority: &mut Authority,
        context: PlaceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let asker = Asker {
            mount: &self.mount,
            stream_id: self.stream_id,
            ingest: &context.view.me,
        };
        let verdict = authority.grant(asker, context).map(|place| {
            out.extend(place.displaced.map(Output::GiveWay));
            place.epoch
        });
        self.end(verdict, out);
    }

    fn end(&mut self, verdict: Result<Epoch, Denial>, out: &mut Vec<Output>) {
        self.state = QuestionState::Over;
        out.push(Output::Verdict(verdict));
    }
}

#[cfg(test)]
mod tests;
