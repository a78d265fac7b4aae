//! The relays of a node: drives production's pull for each, one beat at a time.

use std::time::Duration;

use antiphon::io::feed::Feed;
use antiphon::media::ring::RingLimits;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::stream::EndReason;
use antiphon::proto::pull::{Input, Output, PullContext, StreamRequest, UpstreamEvent};
use antiphon::service::relay::filling::Filling;
use antiphon::wire::frame::Frame;

use super::super::{Action, Env, TalkEvent, TalkId};
use super::{Radio, RadioNews, show_stored};

/// The pull of one mount.
#[derive(Debug)]
pub(super) struct Pull {
    mount: MountName,
    filling: Filling,
    /// The conversation with the upstream.
    talk: Option<(TalkId, StreamRequest)>,
    /// The version of the view that it knows.
    seen: u64,
}

impl Pull {
    pub(super) fn is_in(&self, talk: TalkId) -> bool {
        self.talk.as_ref().is_some_and(|(it, _)| *it == talk)
    }

    /// The node that sends the stream.
    pub(super) fn upstream(&self) -> Option<&NodeName> {
        self.filling.pull().upstream()
    }

    fn is_over(&self) -> bool {
        self.filling.pull().wake_at().is_none()
    }

    /// The ring that it fills.
    pub(super) fn feed(&self) -> Option<&Feed> {
        self.filling.feed()
    }

    /// Gives the machine its tick, and the view if that has changed.
    fn beat(&mut self, env: &mut Env<'_>) {
        let version = env.mesh.version();
        if std::mem::replace(&mut self.seen, version) != version {
            self.handle(Input::ViewChanged, env);
        }
        self.handle(Input::Tick, env);
    }

    fn hear(&mut self, heard: TalkEvent, env: &mut Env<'_>) {
        let Some(id) = self.talk.as_ref().map(|(_, ask)| ask.id) else {
            return;
        };
        let answer = match heard {
            TalkEvent::Frame(frame) => self.take(frame, env),
            TalkEvent::Began(..) | TalkEvent::Finished | TalkEvent::Lost => UpstreamEvent::Lost,
        };
        self.handle(Input::Heard(id, answer), env);
    }

    /// Stores a frame, and shows the checkers the new bytes.
    fn take(&mut self, frame: Frame, env: &mut Env<'_>) -> UpstreamEvent {
        let before = self.feed().map(Feed::next);
        let answer = self.filling.take(frame, env.moment.now);
        if let (Some(feed), Some(before)) = (self.feed(), before) {
            show_stored(&self.mount, feed, before, env.out);
            if answer == UpstreamEvent::Ended {
                env.mesh.note_ended(feed.stream_id(), env.moment.now);
            }
        }
        answer
    }

    fn handle(&mut self, input: Input, env: &mut Env<'_>) {
        let spec = env.replica.mount(&self.mount);
        if let Some(spec) = &spec {
            self.filling.set_limits(RingLimits::of(spec));
        }
        let chance = env.chance();
        let seen = PullContext {
            mesh: env.mesh.view(),
            linger: spec.map(|spec| Duration::from_secs(spec.linger_s.into())),
            chance,
            now: env.moment.now,
        };
        let mut out = Vec::new();
        self.filling.handle(input, seen, &mut out);
        for output in out {
            match output {
                Output::Request(ask) => self.ask(ask, env),
                Output::Continue(upstream, opened) | Output::Open(upstream, opened) => {
                    let (stream_id, from) = (opened.stream_id, opened.offset);
                    let mount = self.mount.clone();
                    let news = RadioNews::Relaying(mount, upstream, stream_id, from);
                    env.out.push(Action::Radio(news));
                }
                Output::HangUp(_) => self.hang_up(env),
                Output::Over(_) => {}
            }
        }
    }

    fn ask(&mut self, ask: StreamRequest, env: &mut Env<'_>) {
        let talk = env.talks.next();
        let (mount, resume) = (self.mount.clone(), ask.resume);
        let question = Frame::Subscribe { mount, resume };
        let open = Action::Open(talk, ask.upstream.clone(), question);
        env.out.extend([open, Action::Finish(talk)]);
        self.talk = Some((talk, ask));
    }

    fn hang_up(&mut self, env: &mut Env<'_>) {
        if let Some((talk, ask)) = self.talk.take() {
            let left = RadioNews::Left(self.mount.clone(), ask.upstream);
            env.out.extend([Action::Abort(talk), Action::Radio(left)]);
        }
    }
}

impl Radio {
    /// Begins to fill a mount, unless a pull is under way. A stream that has just finished here replaces the pull of an
    /// earlier one.
    pub(super) fn pull(&mut self, mount: &MountName, finished: Option<Feed>, env: &mut Env<'_>) {
        if finished.is_none() && self.pulls.contains_key(mount) {
            return;
        }
        let (streams, now) = (self.streams.clone(), env.moment.now);
        let pull = Pull {
            mount: mount.clone(),
            filling: Filling::new(mount.clone(), streams, finished, now),
            talk: None,
            seen: 0,
        };
        if let Some(mut old) = self.pulls.insert(mount.clone(), pull) {
            old.hang_up(env);
            old.filling.end(EndReason::Replaced);
        }
    }

    /// One beat of every pull.
    pub(super) fn pull_all(&mut self, env: &mut Env<'_>) {
        for pull in self.pulls.values_mut() {
            pull.beat(env);
        }
        self.pulls.retain(|_, pull| !pull.is_over());
    }

    /// Gives a pull an event of its conversation.
    pub(super) fn handle_pull(&mut self, mount: &MountName, heard: TalkEvent, env: &mut Env<'_>) {
        if let Some(pull) = self.pulls.get_mut(mount) {
            pull.hear(heard, env);
            if pull.is_over() {
                self.pulls.remove(mount);
            }
        }
    }
}
