//! The life of one source at its node, from its login to its end: it asks for its place on the mount, waits for its
//! first audio, is on air, and may wait on standby.
//!
//! No byte goes through this machine: the driver reads them, reports the first and the end, and puts them where the
//! source's [`SourceStage`] says. The request for a place is a machine of its own,
//! [`PlaceQuestion`](super::authority::PlaceQuestion).

mod asking;
mod presence;
mod priority;
mod standby;

use std::time::{Duration, Instant};

use self::asking::{Asking, AskingEvent};
pub use self::presence::{presence_answer, presence_question, shows_presence};
pub use self::priority::{Standing, has_other, is_outranked};
use self::standby::Standby;
use super::view::MeshView;
use crate::logic::source::rivals::{CONFIRM, Rivals};
use crate::model::fitness::SourceFitness;
use crate::model::mount::{MountName, MountSpec, Takeover};
use crate::model::node::NodeName;
use crate::model::seat::Epoch;
use crate::model::source_priority::SourcePriority;
use crate::model::stream::{EndReason, StreamId};
use crate::wire::frame::Denial;

/// How often a source that has sent nothing yet renews its place: twice before the place expires.
const RENEW: Duration = Duration::from_secs(2);

/// The stream that this node holds for a source's mount.
#[derive(Clone, Copy, Debug)]
pub struct LocalStream {
    /// The stream.
    pub stream_id: StreamId,
    /// Whether its source is connected to this node.
    pub is_source: bool,
    /// When its source, or the node that the source is connected to, was heard last.
    pub fed_at: Instant,
    /// Whether no more bytes will follow.
    pub is_finished: bool,
}

/// The state of the mesh and of this node that a source's decisions depend on.
#[derive(Clone, Copy, Debug)]
pub struct SourceContext<'a> {
    /// The mesh.
    pub view: &'a MeshView,
    /// The stream that this node holds for the mount.
    pub local: Option<LocalStream>,
    /// Whether the mount still exists.
    pub has_mount: bool,
    /// Whether this node drains: no source begins here, and none waits on standby.
    pub is_draining: bool,
    /// Whether it could be heard, by what it sends.
    pub fitness: SourceFitness,
    /// Whether a fallback of the mount can be heard.
    pub fallback_flows: bool,
    /// A random id for the stream, if one begins now.
    pub new_stream_id: StreamId,
    /// The time.
    pub now: Instant,
}

/// Another source of the mount, whose connection may be dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherSource {
    /// On air at this node.
    Local(StreamId),
    /// On air at another node.
    Remote(NodeName, StreamId),
}

/// Why a source that has had no answer yet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The mount does not exist any more.
    NoSuchMount,
    /// The mount has another source.
    InUse,
    /// The node accepts no sources.
    Stopping,
}

/// An event in the life of a source.
#[derive(Clone, Debug)]
pub enum Input {
    /// The answer to the request for a place for this stream.
    Verdict(StreamId, Result<Epoch, Denial>),
    /// Whether the other source is still connected.
    Presence(bool),
    /// The first audio has arrived.
    Audio,
    /// No more audio will arrive, or it cannot be stored.
    Ended(EndReason),
    /// Another source gets the mount: by order of a master, or by precedence.
    GiveWay,
    /// Another source is to be heard, because this one is silent: it waits, also where sources do not.
    StepAside,
    /// An operator ends it.
    Dismissed,
    /// The node stops.
    NodeStops,
    /// Time has passed, or the context has changed.
    Tick,
}

/// A task of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask for a place for this stream, and report the verdict.
    Request(StreamId),
    /// Check whether the other source is still connected, and report it; until this time the answer is waited for.
    CheckPresence(OtherSource, Instant),
    /// Answer 200 if the source has had no answer yet, and wait for its audio.
    Accept,
    /// Put it on air as this stream, and have every other source of the mount at this node give way.
    GoOnAir(StreamId, Epoch),
    /// Read what it sends, and drop it.
    StandBy,
    /// Stop receiving from it, and store what it had sent before.
    FinishReading,
    /// End its stream.
    LeaveAir(EndReason),
    /// Tell all nodes that the place of this stream is free.
    Release(StreamId),
    /// Refuse it.
    Refuse(RefusalReason),
    /// Close its connection.
    Close(EndReason),
}

/// The stage of a source's life, which decides where its bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceStage {
    /// Asking for a place: what the source sends stays in its socket.
    Asking,
    /// Waiting for the first audio.
    Opening,
    /// On air, as this stream.
    OnAir(StreamId),
    /// Waiting for a free mount, and not heard.
    Standby,
    /// Refused, or its connection is closed.
    Over,
}

/// One source that has logged in.
#[derive(Clone, Debug)]
pub struct Source {
    mount: MountName,
    takeover: Takeover,
    may_wait: bool,
    /// The order of the source among those of its mount.
    priority: SourcePriority,
    /// From when on it gives way to a better one that waits; before, a better one has not taken the free place.
    heeds_better_from: Instant,
    state: SourceState,
}

#[derive(Clone, Debug)]
enum SourceState {
    Asking(Asking),
    Opening(Opening),
    OnAir(StreamId),
    Standby(Standby),
    Over,
}

/// A source that has sent no audio yet.
#[derive(Clone, Copy, Debug)]
struct Opening {
    stream_id: StreamId,
    /// The place, if the source has one already.
    place: Option<HeldPlace>,
}

#[derive(Clone, Copy, Debug)]
struct HeldPlace {
    epoch: Epoch,
    /// When to renew it; `None`: that was asked for, and the verdict is awaited.
    renew_at: Option<Instant>,
}

impl Source {
    /// A source that has logged in. One that may take over, or finds an outside relay on air, asks for its place with its first
    /// audio: until then the other source stays on air.
    ///
    /// One that finds a source of another order on air waits on standby, if it may: if it is the better one, the other gives
    /// way as soon as this one sends. A worse one takes over from none.
    pub fn begin(
        spec: &MountSpec,
        priority: SourcePriority,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut source = Self {
            mount: spec.path.clone(),
            takeover: spec.takeover,
            may_wait: spec.standby,
            priority,
            heeds_better_from: context.now,
            state: SourceState::Over,
        };
        let may_replace = source.takeover == Takeover::Takeover || context.view.yields(&spec.path);
        match priority::on_air(&spec.path, context.view) {
            Some(on_air) if on_air != priority && source.may_wait => source.stand_by(context, out),
            Some(on_air) if on_air.is_before(priority) && may_replace => {
                source.refuse(RefusalReason::InUse, out);
            }
            _ if may_replace => source.wait_for_audio(context.new_stream_id, None, context, out),
            _ => source.ask(context.new_stream_id, context, out),
        }
        source
    }

    /// From when on, while it is on air, a better source that waits and sends makes it give way.
    pub fn heeds_better_from(&self) -> Instant {
        self.heeds_better_from
    }

    /// The stage of its life.
    pub fn stage(&self) -> SourceStage {
        match self.state {
            SourceState::Asking(_) => SourceStage::Asking,
            SourceState::Opening(_) => SourceStage::Opening,
            SourceState::OnAir(stream_id) => SourceStage::OnAir(stream_id),
            SourceState::Standby(_) => SourceStage::Standby,
            SourceState::Over => SourceStage::Over,
        }
    }

    /// When it wants its next tick. On standby a tick before the mount is free changes nothing.
    pub fn wake_at(&self) -> Option<Instant> {
        match &self.state {
            SourceState::Asking(asking) => asking.wake_at(),
            SourceState::Opening(opening) => opening.place?.renew_at,
            SourceState::Standby(Standby::NotBefore(at) | Standby::Leaves(at)) => Some(*at),
            SourceState::Standby(Standby::Asked(_)) | SourceState::OnAir(_) | SourceState::Over => {
                None
            }
        }
    }

    /// Handles one event.
    pub fn handle(&mut self, input: Input, context: SourceContext<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Verdict(stream_id, verdict) => {
                self.take_verdict(stream_id, verdict, context, out)
            }
            Input::Presence(is_there) => {
                self.advance(AskingEvent::Presence(is_there), context, out)
            }
            Input::Audio => self.take_audio(context, out),
            Input::Ended(reason) => self.end(reason, out),
            Input::GiveWay => self.give_way(self.may_wait, context, out),
            Input::StepAside => self.give_way(true, context, out),
            Input::Dismissed => self.finish_and_end(EndReason::SourceLeft, out),
            Input::NodeStops => self.stop(out),
            Input::Tick => self.tick(context, out),
        }
    }

    /// Asks for the mount. Before the source is refused, the other one's presence is checked.
    fn ask(&mut self, stream_id: StreamId, context: SourceContext<'_>, out: &mut Vec<Output>) {
        let (mount, takeover) = (self.mount.clone(), self.takeover);
        let mut asking = Asking::new(mount, takeover, stream_id, context.now);
        asking.has_sent = matches!(self.state, SourceState::Opening(_));
        self.state = SourceState::Asking(asking);
        self.advance(AskingEvent::Begin, context, out);
    }

    /// Gives an event to the request, and acts on its result.
    fn advance(&mut self, event: AskingEvent, context: SourceContext<'_>, out: &mut Vec<Output>) {
        let SourceState::Asking(asking) = &mut self.state else {
            return;
        };
        let (stream_id, has_sent) = (asking.stream_id, asking.has_sent);
        match asking.handle(event, context, out) {
            None => {}
            Some(Ok(epoch)) if has_sent => self.go_on_air(stream_id, epoch, out),
            Some(Ok(epoch)) => self.wait_for_audio(stream_id, Some(epoch), context, out),
            Some(Err(Denial::NoSuchMount)) if !has_sent => {
                self.refuse(RefusalReason::NoSuchMount, out);
            }
            Some(Err(_)) if self.may_wait => self.stand_by(context, out),
            Some(Err(_)) if has_sent => self.close(EndReason::Replaced, out),
            Some(Err(_)) => self.refuse(RefusalReason::InUse, out),
        }
    }

    fn take_verdict(
        &mut self,
        stream_id: StreamId,
        verdict: Result<Epoch, Denial>,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        match &mut self.state {
            SourceState::Asking(asking) if asking.stream_id == stream_id => {
                self.advance(AskingEvent::Verdict(verdict), context, out);
            }
            SourceState::Opening(opening) if opening.stream_id == stream_id => {
                let Some(place) = opening.place.as_mut() else {
                    return;
                };
                match (place.renew_at, verdict) {
                    (Some(_), _) => {} // no renewal was asked for
                    (None, Ok(_)) => place.renew_at = Some(context.now + RENEW),
                    (None, Err(_)) => self.end(EndReason::Replaced, out),
                }
            }
            SourceState::Standby(Standby::Asked(asked)) if *asked == stream_id => match verdict {
                Ok(epoch) => self.wait_for_audio(stream_id, Some(epoch), context, out),
                // Another source was quicker; gossip will show it.
                Err(_) => {
                    self.state = SourceState::Standby(Standby::NotBefore(context.now + CONFIRM))
                }
            },
            _ => {}
        }
    }

    fn wait_for_audio(
        &mut self,
        stream_id: StreamId,
        epoch: Option<Epoch>,
        context: SourceContext<'_>,
        out: &mut Vec<Output>,
    ) {
        let place = epoch.map(|epoch| HeldPlace {
            epoch,
            renew_at: Some(context.now + RENEW),
        });
        let was_on_standby = matches!(self.state, SourceState::Standby(_));
        self.state = SourceState::Opening(Opening { stream_id, place });
        let refused = match context {
            SourceContext {
                has_mount: false, ..
            } => Some(RefusalReason::NoSuchMount),
            SourceContext {
                is_draining: true, ..
            } => Some(RefusalReason::Stopping),
            _ => None,
        };
        if let Some(refused) = refused.filter(|_| !was_on_standby) {
            out.extend(place.map(|_| Output::Release(stream_id)));
            return self.refuse(refused, out);
        }
        out.push(Output::Accept);
        self.end_if_unwanted(context, out);
    }

    /// The first audio has arrived: a source that has its place goes on air, and only now does another give way to it.
    fn take_audio(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) {
        let SourceState::Opening(opening) = self.state else {
            return;
        };
        match opening.place {
            Some(place) => self.go_on_air(opening.stream_id, place.epoch, out),
            None => self.ask(opening.stream_id, context, out),
        }
    }

    fn go_on_air(&mut self, stream_id: StreamId, epoch: Epoch, out: &mut Vec<Output>) {
        self.state = SourceState::OnAir(stream_id);
        out.push(Output::GoOnAir(stream_id, epoch));
    }

    fn give_way(&mut self, may_wait: bool, context: SourceContext<'_>, out: &mut Vec<Output>) {
        let SourceState::OnAir(stream_id) = self.state else {
            return; // only a source on air can give way
        };
        if context.is_draining {
            return self.finish_and_end(EndReason::NodeStops, out);
        }
        if !may_wait {
            return self.finish_and_end(EndReason::Replaced, out);
        }
        out.push(Output::LeaveAir(EndReason::Replaced));
        out.push(Output::Release(stream_id));
        self.stand_by(context, out);
    }

    fn stop(&mut self, out: &mut Vec<Output>) {
        match &self.state {
            SourceState::OnAir(_) => self.finish_and_end(EndReason::NodeStops, out),
            SourceState::Asking(asking) if !asking.has_sent => {
                out.extend(asking.asked().map(Output::Release));
                self.refuse(RefusalReason::Stopping, out);
            }
            _ => self.end(EndReason::NodeStops, out),
        }
    }

    /// Ends a source that is still connected: what it has sent is stored first.
    fn finish_and_end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        out.push(Output::FinishReading);
        self.end(reason, out);
    }

    /// Ends the life at any stage. The place that it has, or may be given later, is free.
    fn end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        let place = match &self.state {
            SourceState::Asking(asking) => asking.asked(),
            SourceState::Opening(opening) => opening.place.map(|_| opening.stream_id),
            SourceState::OnAir(stream_id) => {
                out.push(Output::LeaveAir(reason));
                Some(*stream_id)
            }
            SourceState::Standby(Standby::Asked(stream_id)) => Some(*stream_id),
            SourceState::Standby(Standby::NotBefore(_) | Standby::Leaves(_)) => None,
            SourceState::Over => return,
        };
        out.extend(place.map(Output::Release));
        self.close(reason, out);
    }

    fn close(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        self.state = SourceState::Over;
        out.push(Output::Close(reason));
    }

    fn refuse(&mut self, refused: RefusalReason, out: &mut Vec<Output>) {
        self.state = SourceState::Over;
        out.push(Output::Refuse(refused));
    }

    fn tick(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) {
        self.end_if_unwanted(context, out);
        match &mut self.state {
            SourceState::Asking(_) => self.advance(AskingEvent::Tick, context, out),
            SourceState::Opening(opening) => {
                let stream_id = opening.stream_id;
                let Some(place) = opening.place.as_mut() else {
                    return;
                };
                if place.renew_at.is_some_and(|at| context.now >= at) {
                    place.renew_at = None;
                    out.push(Output::Request(stream_id));
                }
            }
            SourceState::Standby(Standby::NotBefore(at)) if context.now >= *at => {
                self.take_turn(context, out);
            }
            SourceState::Standby(Standby::Leaves(until)) => {
                let until = *until;
                self.leave_place(until, context, out);
            }
            SourceState::Standby(_) | SourceState::OnAir(_) | SourceState::Over => {}
        }
    }

    /// Ends a source whose mount was deleted; and one that is not on air when the node drains, because it can wait at
    /// another node.
    fn end_if_unwanted(&mut self, context: SourceContext<'_>, out: &mut Vec<Output>) {
        let is_silent = matches!(
            self.state,
            SourceState::Opening(_) | SourceState::Standby(_)
        );
        if !context.has_mount && (is_silent || matches!(self.state, SourceState::OnAir(_))) {
            self.end(EndReason::MountDeleted, out);
        } else if context.is_draining && is_silent {
            self.end(EndReason::NodeStops, out);
        }
    }
}

/// The sources at this node that have to give way to another node's source with precedence, as after a partition;
/// `on_air` are all sources on air here. To be called at every change of the mesh.
pub fn superseded(
    rivals: &mut Rivals,
    on_air: Vec<(MountName, StreamId)>,
    view: &MeshView,
    now: Instant,
) -> Vec<(MountName, StreamId)> {
    let first_elsewhere = |mount: &MountName| {
        let first = view.source(mount).filter(|(node, _)| **node != view.me);
        first.map(|(_, card)| card.stream_id)
    };
    rivals.look(on_air, first_elsewhere, now)
}

#[cfg(test)]
mod tests;
