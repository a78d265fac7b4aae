//! Places on mounts: drives production's `proto::authority`, which asks for them and grants them.

use std::time::Instant;

use antiphon::logic::election::Admission;
use antiphon::logic::source::place::Asker;
use antiphon::model::mount::MountName;
use antiphon::model::seat::Fence;
use antiphon::model::stream::StreamId;
use antiphon::proto::authority::{Displaced, Input, Output, PlaceContext, PlaceQuestion};
use antiphon::proto::source::{self, OtherSource};
use antiphon::proto::source::{presence_answer, presence_question, shows_presence};
use antiphon::wire::frame::Frame;

use super::super::mesh::Mesh;
use super::super::replica::Replica;
use super::super::{Action, Env, LinkMessage, TalkEvent, TalkId};
use super::Radio;
use crate::encoder::EncoderId;

/// The answer of another node that a source waits for.
#[derive(Debug)]
pub(super) enum Inquiry {
    /// Whether the source gets its place.
    Place(PlaceQuestion),
    /// Whether the other source is still connected.
    Presence,
}

impl Radio {
    /// Asks for a place: the master, or this node if there is none.
    pub(super) fn request(&mut self, encoder: EncoderId, stream_id: StreamId, env: &mut Env<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        let question = PlaceQuestion::new(mount, stream_id);
        self.begin_inquiry(encoder, Inquiry::Place(question), env);
        self.handle_question(encoder, Input::Begin, env);
    }

    fn begin_inquiry(
        &mut self,
        encoder: EncoderId,
        inquiry: Inquiry,
        env: &mut Env<'_>,
    ) -> Option<TalkId> {
        let talk = env.talks.next();
        let before = self
            .sources
            .get_mut(&encoder)?
            .inquiry
            .replace((talk, inquiry));
        env.out.extend(before.map(|(talk, _)| Action::Abort(talk)));
        Some(talk)
    }

    fn end_inquiry(&mut self, encoder: EncoderId, env: &mut Env<'_>) {
        let connection = self.sources.get_mut(&encoder);
        let over = connection.and_then(|connection| connection.inquiry.take());
        env.out.extend(over.map(|(talk, _)| Action::Abort(talk)));
    }

    /// Gives an event to a source's request for a place, if it has one.
    pub(super) fn handle_question(&mut self, encoder: EncoderId, input: Input, env: &mut Env<'_>) {
        let connection = self.sources.get_mut(&encoder);
        let Some((mount, inquiry)) = connection.map(|it| (it.mount.clone(), it.inquiry.as_mut()))
        else {
            return;
        };
        let Some((talk, Inquiry::Place(question))) = inquiry else {
            return;
        };
        let fence = match &input {
            Input::Answer(Frame::Granted(fence)) => Some(fence.clone()),
            _ => None,
        };
        let (talk, stream_id, mut out) = (*talk, question.stream_id(), Vec::new());
        let context = context(&mount, env.replica, env.mesh, env.moment.now);
        question.handle(input, env.authority, context, &mut out);
        let applied = fence.filter(|fence| env.authority.highest() == Some(fence));
        env.out.extend(applied.map(Action::Applied));
        for output in out {
            match output {
                Output::Ask {
                    master, question, ..
                } => {
                    let asks = [Action::Open(talk, master, question), Action::Finish(talk)];
                    env.out.extend(asks);
                }
                Output::Deposed(_) => {}
                Output::GiveWay(displaced) => self.order(&mount, displaced, env),
                Output::Verdict(verdict) => {
                    self.end_inquiry(encoder, env);
                    self.handle_source(encoder, source::Input::Verdict(stream_id, verdict), env);
                }
            }
        }
    }

    /// Checks whether another source is still connected.
    pub(super) fn check_presence(
        &mut self,
        encoder: EncoderId,
        other: OtherSource,
        env: &mut Env<'_>,
    ) {
        let mount = self.sources[&encoder].mount.clone();
        match other {
            OtherSource::Local(stream_id) => {
                let found = source::Input::Presence(self.is_there(&mount, stream_id));
                self.handle_source(encoder, found, env);
            }
            OtherSource::Remote(node, stream_id) => {
                let question = presence_question(&mount, stream_id, None);
                if let Some(talk) = self.begin_inquiry(encoder, Inquiry::Presence, env) {
                    let asks = [Action::Open(talk, node, question), Action::Finish(talk)];
                    env.out.extend(asks);
                }
            }
        }
    }

    /// Handles another node's answer for a source of this node.
    pub(super) fn handle_answer(&mut self, talk: TalkId, heard: TalkEvent, env: &mut Env<'_>) {
        let mut sources = self.sources.iter();
        let found = sources.find_map(|(encoder, connection)| {
            let (asked, inquiry) = connection.inquiry.as_ref()?;
            (*asked == talk).then_some((*encoder, matches!(inquiry, Inquiry::Presence)))
        });
        let Some((encoder, about_presence)) = found else {
            return;
        };
        let answer = match heard {
            TalkEvent::Frame(frame) => Some(frame),
            TalkEvent::Finished | TalkEvent::Lost | TalkEvent::Began(..) => None,
        };
        if about_presence {
            self.end_inquiry(encoder, env);
            let is_there = shows_presence(answer.as_ref());
            self.handle_source(encoder, source::Input::Presence(is_there), env);
        } else {
            let input = answer.map_or(Input::Lost, Input::Answer);
            self.handle_question(encoder, input, env);
        }
    }

    /// Answers a node that asks for a place for its source.
    pub(super) fn answer_publish(&mut self, talk: TalkId, asker: Asker<'_>, env: &mut Env<'_>) {
        let context = context(asker.mount, env.replica, env.mesh, env.moment.now);
        let answer = env.authority.answer(asker, context);
        if let Some(displaced) = answer.displaced {
            self.order(asker.mount, displaced, env);
        }
        let answer = [Action::Say(talk, answer.reply), Action::Finish(talk)];
        env.out.extend(answer);
    }

    /// Answers another node whether a source is still connected to this one.
    pub(super) fn tell_presence(
        &mut self,
        talk: TalkId,
        mount: &MountName,
        stream_id: StreamId,
        env: &mut Env<'_>,
    ) {
        let answer = presence_answer(self.is_there(mount, stream_id));
        env.out
            .extend([Action::Say(talk, answer), Action::Finish(talk)]);
    }

    fn is_there(&self, mount: &MountName, stream_id: StreamId) -> bool {
        let mut sources = self.sources.values();
        sources.any(|it| it.mount == *mount && it.stream() == Some(stream_id))
    }

    /// Has a source give way because another got its place.
    fn order(&mut self, mount: &MountName, displaced: Displaced, env: &mut Env<'_>) {
        match displaced {
            Displaced::Local(old) => self.give_way(mount, old, env),
            Displaced::Remote(node, order) => {
                env.out.push(Action::Send(node, LinkMessage::Frame(order)));
            }
        }
    }

    /// Obeys an order that a source of this node gives way, unless its master was deposed.
    pub(super) fn obey(
        &mut self,
        mount: &MountName,
        stream_id: StreamId,
        fence: &Fence,
        env: &mut Env<'_>,
    ) {
        if env.authority.admit(fence) == Admission::Apply {
            env.out.push(Action::Applied(fence.clone()));
            self.give_way(mount, stream_id, env);
        }
    }

    /// Notes that a source has gone.
    pub(super) fn release(&mut self, mount: &MountName, stream_id: StreamId, env: &mut Env<'_>) {
        env.mesh.note_ended(stream_id, env.moment.now);
        env.authority.release(mount, stream_id, env.moment.now);
    }
}

/// The context of a decision about a place.
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
