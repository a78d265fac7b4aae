//! Places on mounts, asked for and given: does what production's `proto::authority` says.

use std::time::Instant;

use antiphon::logic::election::Admission;
use antiphon::logic::source::place::Asker;
use antiphon::model::mount::MountName;
use antiphon::model::seat::Fence;
use antiphon::model::stream::StreamId;
use antiphon::proto::authority::{Displaced, Input, Output, PlaceContext, Question};
use antiphon::proto::source::{self, OtherSource};
use antiphon::proto::source::{presence_answer, presence_question, shows_presence};
use antiphon::wire::frame::Frame;

use super::super::mesh::Mesh;
use super::super::replica::Replica;
use super::super::{Deed, Desk, Heard, LinkMessage, TalkId};
use super::Radio;
use crate::encoder::EncoderId;

/// What a source waits to be told by another node.
#[derive(Debug)]
pub(super) enum Errand {
    /// Whether it may have its place.
    Place(Question),
    /// Whether the other source is there.
    Presence,
}

impl Radio {
    /// Asks for a place: the master, or ourselves if there is none.
    pub(super) fn request(&mut self, encoder: EncoderId, stream_id: StreamId, desk: &mut Desk<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        let question = Question::new(mount, stream_id);
        self.begin_errand(encoder, Errand::Place(question), desk);
        self.ask_on(encoder, Input::Begin, desk);
    }

    fn begin_errand(
        &mut self,
        encoder: EncoderId,
        errand: Errand,
        desk: &mut Desk<'_>,
    ) -> Option<TalkId> {
        let talk = desk.talks.next();
        let before = self
            .sources
            .get_mut(&encoder)?
            .errand
            .replace((talk, errand));
        desk.out.extend(before.map(|(talk, _)| Deed::Abort(talk)));
        Some(talk)
    }

    fn end_errand(&mut self, encoder: EncoderId, desk: &mut Desk<'_>) {
        let connection = self.sources.get_mut(&encoder);
        let over = connection.and_then(|connection| connection.errand.take());
        desk.out.extend(over.map(|(talk, _)| Deed::Abort(talk)));
    }

    /// Lets a source's question for a place go on, if it has one.
    pub(super) fn ask_on(&mut self, encoder: EncoderId, input: Input, desk: &mut Desk<'_>) {
        let connection = self.sources.get_mut(&encoder);
        let Some((mount, errand)) = connection.map(|it| (it.mount.clone(), it.errand.as_mut()))
        else {
            return;
        };
        let Some((talk, Errand::Place(question))) = errand else {
            return;
        };
        let fence = match &input {
            Input::Answer(Frame::Granted(fence)) => Some(fence.clone()),
            _ => None,
        };
        let (talk, stream_id, mut out) = (*talk, question.stream_id(), Vec::new());
        let context = context(&mount, desk.replica, desk.mesh, desk.moment.now);
        question.handle(input, desk.authority, context, &mut out);
        let applied = fence.filter(|fence| desk.authority.highest() == Some(fence));
        desk.out.extend(applied.map(Deed::Applied));
        for output in out {
            match output {
                Output::Ask {
                    master, question, ..
                } => {
                    let asks = [Deed::Open(talk, master, question), Deed::Finish(talk)];
                    desk.out.extend(asks);
                }
                Output::Deposed(_) => {}
                Output::GiveWay(displaced) => self.order(&mount, displaced, desk),
                Output::Verdict(verdict) => {
                    self.end_errand(encoder, desk);
                    self.tell(encoder, source::Input::Verdict(stream_id, verdict), desk);
                }
            }
        }
    }

    /// Has another source looked for.
    pub(super) fn look(&mut self, encoder: EncoderId, other: OtherSource, desk: &mut Desk<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        match other {
            OtherSource::Local(stream_id) => {
                let found = source::Input::Presence(self.is_there(&mount, stream_id));
                self.tell(encoder, found, desk);
            }
            OtherSource::Remote(node, stream_id) => {
                let question = presence_question(&mount, stream_id);
                if let Some(talk) = self.begin_errand(encoder, Errand::Presence, desk) {
                    let asks = [Deed::Open(talk, node, question), Deed::Finish(talk)];
                    desk.out.extend(asks);
                }
            }
        }
    }

    /// Another node's answer to what a source here waits for.
    pub(super) fn place_hears(&mut self, talk: TalkId, heard: Heard, desk: &mut Desk<'_>) {
        let mut sources = self.sources.iter();
        let found = sources.find_map(|(encoder, connection)| {
            let (asked, errand) = connection.errand.as_ref()?;
            (*asked == talk).then_some((*encoder, matches!(errand, Errand::Presence)))
        });
        let Some((encoder, about_presence)) = found else {
            return;
        };
        let answer = match heard {
            Heard::Frame(frame) => Some(frame),
            Heard::Finished | Heard::Lost | Heard::Began(..) => None,
        };
        if about_presence {
            self.end_errand(encoder, desk);
            let is_there = shows_presence(answer.as_ref());
            self.tell(encoder, source::Input::Presence(is_there), desk);
        } else {
            let input = answer.map_or(Input::Lost, Input::Answer);
            self.ask_on(encoder, input, desk);
        }
    }

    /// Answers a node that asks for a place for its source.
    pub(super) fn answer_publish(&mut self, talk: TalkId, asker: Asker<'_>, desk: &mut Desk<'_>) {
        let context = context(asker.mount, desk.replica, desk.mesh, desk.moment.now);
        let answer = desk.authority.answer(asker, context);
        if let Some(displaced) = answer.displaced {
            self.order(asker.mount, displaced, desk);
        }
        let answer = [Deed::Say(talk, answer.reply), Deed::Finish(talk)];
        desk.out.extend(answer);
    }

    /// Tells another node whether a source is still connected here.
    pub(super) fn tell_presence(
        &mut self,
        talk: TalkId,
        mount: &MountName,
        stream_id: StreamId,
        desk: &mut Desk<'_>,
    ) {
        let answer = presence_answer(self.is_there(mount, stream_id));
        desk.out
            .extend([Deed::Say(talk, answer), Deed::Finish(talk)]);
    }

    fn is_there(&self, mount: &MountName, stream_id: StreamId) -> bool {
        let mut sources = self.sources.values();
        sources.any(|it| it.mount == *mount && it.stream() == Some(stream_id))
    }

    /// Tells a source that another has its place.
    fn order(&mut self, mount: &MountName, displaced: Displaced, desk: &mut Desk<'_>) {
        match displaced {
            Displaced::Local(old) => self.give_way(mount, old, desk),
            Displaced::Remote(node, order) => {
                desk.out.push(Deed::Send(node, LinkMessage::Frame(order)));
            }
        }
    }

    /// Obeys an order that a source here gives way, unless its master was deposed.
    pub(super) fn obey(
        &mut self,
        mount: &MountName,
        stream_id: StreamId,
        fence: &Fence,
        desk: &mut Desk<'_>,
    ) {
        if desk.authority.admit(fence) == Admission::Apply {
            desk.out.push(Deed::Applied(fence.clone()));
            self.give_way(mount, stream_id, desk);
        }
    }

    /// Takes note that a source has gone.
    pub(super) fn release(&mut self, mount: &MountName, stream_id: StreamId, desk: &mut Desk<'_>) {
        desk.mesh.note_ended(stream_id, desk.moment.now);
        desk.authority.release(mount, stream_id, desk.moment.now);
    }
}

/// What is known when a place is decided.
fn context<'a>(
    mount: &MountName,
    replica: &Replica,
    mesh: &'a Mesh,
    now: Instant,
) -> PlaceContext<'a> {
    PlaceContext {
        view: mesh.view(),
        takeover: replica.mount(mount).map(|spec| spec.takeover),
        now,
    }
}
