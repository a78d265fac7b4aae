//! The life of one source at its node, from its login to its end: its place is asked for, its first audio awaited, it
//! is on air, it waits for another turn.
//!
//! The bytes do not come through here: the driver reads them, tells of the first and of the end, and puts them where
//! the source's [`Stage`] says. A question for a place has a machine of its own, [`Question`](super::authority::Question).

mod asking;
mod presence;

use std::time::{Duration, Instant};

use self::asking::{Asked, Asking};
pub use self::presence::{presence_answer, presence_question, shows_presence};
use super::view::MeshView;
use crate::logic::source::rivals::{CONFIRM, Rivals};
use crate::model::mount::{MountName, MountSpec, Takeover};
use crate::model::node::NodeName;
use crate::model::seat::Epoch;
use crate::model::stream::{EndReason, StreamId};
use crate::wire::frame::Denial;

/// How often a source that has sent nothing yet says that its place is still wanted: twice before it would be given to
/// another.
const RENEW: Duration = Duration::from_secs(2);

/// What this node holds for a source's mount.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// The stream.
    pub stream_id: StreamId,
    /// Whether its source is connected to this node.
    pub is_source: bool,
    /// When its source, or the node of it, was heard last.
    pub fed_at: Instant,
    /// Whether no byte will follow.
    pub is_finished: bool,
}

/// What is around a source: the mesh, and its node.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The mesh.
    pub view: &'a MeshView,
    /// What this node holds for the mount.
    pub here: Option<Here>,
    /// Whether the mount is still there.
    pub has_mount: bool,
    /// Whether nobody is to begin here, and nobody who has to leave the air may wait.
    pub is_draining: bool,
    /// A random id: the stream's, if one begins now.
    pub fresh: StreamId,
    /// The time.
    pub now: Instant,
}

/// Another source of the mount, which may have hung up unnoticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// It is on air here.
    Here(StreamId),
    /// It is on air at this node.
    At(NodeName, StreamId),
}

/// Why a source that has had no answer yet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such mount any more.
    NoSuchMount,
    /// The mount has a source.
    InUse,
    /// The node takes nobody.
    Stopping,
}

/// What happens to a source.
#[derive(Clone, Debug)]
pub enum Input {
    /// The verdict on the place that was asked for for this stream.
    Verdict(StreamId, Result<Epoch, Denial>),
    /// Whether the other source is there.
    Found(bool),
    /// Its first audio has come.
    Audio,
    /// No more audio comes, or it cannot be kept.
    Ended(EndReason),
    /// Another source has its place: by order of a master, or by its precedence.
    GiveWay,
    /// Its node stops.
    Stops,
    /// Time has gone by, or something around it has changed.
    Tick,
}

/// What is to be done with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask for its place for this stream, and tell the verdict.
    Request(StreamId),
    /// Look whether the other source is there, and tell; after that time nobody waits for it.
    Look(Other, Instant),
    /// Answer it, if it has had no answer yet, and wait for its audio.
    Open,
    /// Let it be heard as this stream, and let every other source here give way.
    GoOnAir(StreamId, Epoch),
    /// Read what it sends, and keep nothing of it.
    StandBy,
    /// Tell it that nobody listens any more, and take what it had sent before.
    Part,
    /// Its stream is over.
    LeaveAir(EndReason),
    /// Tell everybody that the place of this stream is free.
    GiveUp(StreamId),
    /// Tell it that it is not taken.
    Refuse(Refused),
    /// Close its connection.
    Close(EndReason),
}

/// What a source does now, which says where its bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its place is asked for: what it sends stays where it is.
    Asking,
    /// Its first audio is waited for.
    Opening,
    /// It is heard, as this stream.
    OnAir(StreamId),
    /// It waits for its turn, and is not heard.
    Standby,
    /// It was refused, or its connection is closed.
    Over,
}

/// One source with the right password.
#[derive(Clone, Debug)]
pub struct Source {
    mount: MountName,
    takeover: Takeover,
    may_wait: bool,
    turn: Turn,
}

#[derive(Clone, Debug)]
enum Turn {
    Asking(Asking),
    Opening(Opening),
    OnAir(StreamId),
    Standby(Standby),
    Over,
}

/// A source of which nothing is heard yet.
#[derive(Clone, Copy, Debug)]
struct Opening {
    stream_id: StreamId,
    /// Its place, if it has been given one already.
    place: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    epoch: Epoch,
    /// When to say that it is still wanted; `None`: that was said, and the verdict is awaited.
    renew_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Standby {
    /// It may ask from then on, once the mount has no source.
    From(Instant),
    /// It has asked, for this stream.
    Asked(StreamId),
}

impl Source {
    /// A source that has logged in. One that may take another's place asks with its first audio: until then the
    /// other is heard.
    pub fn begin(spec: &MountSpec, around: Around<'_>, out: &mut Vec<Output>) -> Self {
        let mut source = Self {
            mount: spec.path.clone(),
            takeover: spec.takeover,
            may_wait: spec.standby,
            turn: Turn::Over,
        };
        match source.takeover {
            Takeover::Takeover => source.wait_for_audio(around.fresh, None, around, out),
            Takeover::Refuse => source.ask(around.fresh, around, out),
        }
        source
    }

    /// What it does now.
    pub fn stage(&self) -> Stage {
        match self.turn {
            Turn::Asking(_) => Stage::Asking,
            Turn::Opening(_) => Stage::Opening,
            Turn::OnAir(stream_id) => Stage::OnAir(stream_id),
            Turn::Standby(_) => Stage::Standby,
            Turn::Over => Stage::Over,
        }
    }

    /// When time alone changes something. On standby it does so only once the mount has no source, too.
    pub fn wake_at(&self) -> Option<Instant> {
        match &self.turn {
            Turn::Asking(asking) => asking.wake_at(),
            Turn::Opening(opening) => opening.place?.renew_at,
            Turn::Standby(Standby::From(at)) => Some(*at),
            Turn::Standby(Standby::Asked(_)) | Turn::OnAir(_) | Turn::Over => None,
        }
    }

    /// Takes in what happens.
    pub fn handle(&mut self, input: Input, around: Around<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Verdict(stream_id, verdict) => self.judged(stream_id, verdict, around, out),
            Input::Found(is_there) => self.advance(Asked::Found(is_there), around, out),
            Input::Audio => self.hear(around, out),
            Input::Ended(reason) => self.end(reason, out),
            Input::GiveWay => self.give_way(around, out),
            Input::Stops => self.stop(out),
            Input::Tick => self.tick(around, out),
        }
    }

    /// Asks for the mount with patience: before it is refused, the other source is looked for.
    fn ask(&mut self, stream_id: StreamId, around: Around<'_>, out: &mut Vec<Output>) {
        let (mount, takeover) = (self.mount.clone(), self.takeover);
        let mut asking = Asking::new(mount, takeover, stream_id, around.now);
        asking.has_sent = matches!(self.turn, Turn::Opening(_));
        self.turn = Turn::Asking(asking);
        self.advance(Asked::Begin, around, out);
    }

    /// Lets the asking go on, and does what follows from its end.
    fn advance(&mut self, asked: Asked, around: Around<'_>, out: &mut Vec<Output>) {
        let Turn::Asking(asking) = &mut self.turn else {
            return;
        };
        let (stream_id, has_sent) = (asking.stream_id, asking.has_sent);
        match asking.handle(asked, around, out) {
            None => {}
            Some(Ok(epoch)) if has_sent => self.go_on_air(stream_id, epoch, out),
            Some(Ok(epoch)) => self.wait_for_audio(stream_id, Some(epoch), around, out),
            Some(Err(Denial::NoSuchMount)) if !has_sent => {
                self.refuse(Refused::NoSuchMount, out);
            }
            Some(Err(_)) if self.may_wait => self.stand_by(around, out),
            Some(Err(_)) if has_sent => self.close(EndReason::Replaced, out),
            Some(Err(_)) => self.refuse(Refused::InUse, out),
        }
    }

    fn judged(
        &mut self,
        stream_id: StreamId,
        verdict: Result<Epoch, Denial>,
        around: Around<'_>,
        out: &mut Vec<Output>,
    ) {
        match &mut self.turn {
            Turn::Asking(asking) if asking.stream_id == stream_id => {
                self.advance(Asked::Verdict(verdict), around, out);
            }
            Turn::Opening(opening) if opening.stream_id == stream_id => {
                let Some(place) = opening.place.as_mut() else {
                    return;
                };
                match (place.renew_at, verdict) {
                    (Some(_), _) => {} // nothing was asked
                    (None, Ok(_)) => place.renew_at = Some(around.now + RENEW),
                    (None, Err(_)) => self.end(EndReason::Replaced, out),
                }
            }
            Turn::Standby(Standby::Asked(asked)) if *asked == stream_id => match verdict {
                Ok(epoch) => self.wait_for_audio(stream_id, Some(epoch), around, out),
                // Somebody else was quicker; gossip will say so.
                Err(_) => self.turn = Turn::Standby(Standby::From(around.now + CONFIRM)),
            },
            _ => {}
        }
    }

    fn wait_for_audio(
        &mut self,
        stream_id: StreamId,
        epoch: Option<Epoch>,
        around: Around<'_>,
        out: &mut Vec<Output>,
    ) {
        let place = epoch.map(|epoch| Place {
            epoch,
            renew_at: Some(around.now + RENEW),
        });
        let has_waited = matches!(self.turn, Turn::Standby(_));
        self.turn = Turn::Opening(Opening { stream_id, place });
        let refused = match around {
            Around {
                has_mount: false, ..
            } => Some(Refused::NoSuchMount),
            Around {
                is_draining: true, ..
            } => Some(Refused::Stopping),
            _ => None,
        };
        if let Some(refused) = refused.filter(|_| !has_waited) {
            out.extend(place.map(|_| Output::GiveUp(stream_id)));
            return self.refuse(refused, out);
        }
        out.push(Output::Open);
        self.leave_if_unwanted(around, out);
    }

    /// The first audio: a source that has its place is on air from then on, and only then does another give way to it.
    fn hear(&mut self, around: Around<'_>, out: &mut Vec<Output>) {
        let Turn::Opening(opening) = self.turn else {
            return;
        };
        match opening.place {
            Some(place) => self.go_on_air(opening.stream_id, place.epoch, out),
            None => self.ask(opening.stream_id, around, out),
        }
    }

    fn go_on_air(&mut self, stream_id: StreamId, epoch: Epoch, out: &mut Vec<Output>) {
        self.turn = Turn::OnAir(stream_id);
        out.push(Output::GoOnAir(stream_id, epoch));
    }

    fn stand_by(&mut self, around: Around<'_>, out: &mut Vec<Output>) {
        self.turn = Turn::Standby(Standby::From(around.now));
        out.push(Output::StandBy);
        self.tick(around, out);
    }

    fn give_way(&mut self, around: Around<'_>, out: &mut Vec<Output>) {
        let Turn::OnAir(stream_id) = self.turn else {
            return; // it is not heard: with its place it was given nothing to take away
        };
        if !self.may_wait || around.is_draining {
            return self.send_away(EndReason::Replaced, out);
        }
        out.push(Output::LeaveAir(EndReason::Replaced));
        out.push(Output::GiveUp(stream_id));
        self.stand_by(around, out);
    }

    fn stop(&mut self, out: &mut Vec<Output>) {
        match &self.turn {
            Turn::OnAir(_) => self.send_away(EndReason::NodeStops, out),
            Turn::Asking(asking) if !asking.has_sent => {
                out.extend(asking.asked().map(Output::GiveUp));
                self.refuse(Refused::Stopping, out);
            }
            _ => self.end(EndReason::NodeStops, out),
        }
    }

    /// The end of a source that is still there.
    fn send_away(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        out.push(Output::Part);
        self.end(reason, out);
    }

    /// The end, whatever it was doing. The place that it has, or may yet be given, is free.
    fn end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        let place = match &self.turn {
            Turn::Asking(asking) => asking.asked(),
            Turn::Opening(opening) => opening.place.map(|_| opening.stream_id),
            Turn::OnAir(stream_id) => {
                out.push(Output::LeaveAir(reason));
                Some(*stream_id)
            }
            Turn::Standby(Standby::Asked(stream_id)) => Some(*stream_id),
            Turn::Standby(Standby::From(_)) => None,
            Turn::Over => return,
        };
        out.extend(place.map(Output::GiveUp));
        self.close(reason, out);
    }

    fn close(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        self.turn = Turn::Over;
        out.push(Output::Close(reason));
    }

    fn refuse(&mut self, refused: Refused, out: &mut Vec<Output>) {
        self.turn = Turn::Over;
        out.push(Output::Refuse(refused));
    }

    fn tick(&mut self, around: Around<'_>, out: &mut Vec<Output>) {
        self.leave_if_unwanted(around, out);
        match &mut self.turn {
            Turn::Asking(_) => self.advance(Asked::Tick, around, out),
            Turn::Opening(opening) => {
                let stream_id = opening.stream_id;
                let Some(place) = opening.place.as_mut() else {
                    return;
                };
                if place.renew_at.is_some_and(|at| around.now >= at) {
                    place.renew_at = None;
                    out.push(Output::Request(stream_id));
                }
            }
            Turn::Standby(Standby::From(at)) if around.now >= *at => self.take_turn(around, out),
            Turn::Standby(_) | Turn::OnAir(_) | Turn::Over => {}
        }
    }

    /// A mount that is gone has no sources; and a source that is not on air can go and wait at another node at once,
    /// when its own drains.
    fn leave_if_unwanted(&mut self, around: Around<'_>, out: &mut Vec<Output>) {
        let is_silent = matches!(self.turn, Turn::Opening(_) | Turn::Standby(_));
        if !around.has_mount && (is_silent || matches!(self.turn, Turn::OnAir(_))) {
            self.end(EndReason::MountDeleted, out);
        } else if around.is_draining && is_silent {
            self.end(EndReason::NodeStops, out);
        }
    }

    /// Asks for the mount, if it has no source.
    fn take_turn(&mut self, around: Around<'_>, out: &mut Vec<Output>) {
        if around.view.source(&self.mount).is_some() {
            return;
        }
        self.turn = Turn::Standby(match asking::hears_another(self.takeover, around) {
            true => Standby::From(around.now + CONFIRM),
            false => {
                out.push(Output::Request(around.fresh));
                Standby::Asked(around.fresh)
            }
        });
    }
}

/// The sources here that give way now to one elsewhere which has precedence, as it happens after a partition;
/// `on_air` are all that are on air here. To be called at every change of the mesh.
pub fn beaten(
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
