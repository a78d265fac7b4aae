//! Keeping a mount's ring filled from other nodes: drives production's pull, one beat at a time.

use std::time::Duration;

use antiphon::io::feed::Feed;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::stream::EndReason;
use antiphon::proto::pull::{Input, Output, PullContext, Request, UpstreamEvent};
use antiphon::service::relay::filling::Filling;
use antiphon::wire::frame::Frame;

use super::super::{Deed, Desk, Heard, TalkId};
use super::{Radio, RadioNews, show_taken};

/// What fills one mount.
#[derive(Debug)]
pub(super) struct Pull {
    mount: MountName,
    filling: Filling,
    /// The conversation with whom was asked last.
    talk: Option<(TalkId, Request)>,
    /// The view that it was told of last.
    seen: u64,
}

impl Pull {
    pub(super) fn is_in(&self, talk: TalkId) -> bool {
        self.talk.as_ref().is_some_and(|(it, _)| *it == talk)
    }

    /// Whom it takes bytes from.
    pub(super) fn upstream(&self) -> Option<&NodeName> {
        self.filling.pull().upstream()
    }

    fn is_over(&self) -> bool {
        self.filling.pull().wake_at().is_none()
    }

    /// What it fills.
    pub(super) fn feed(&self) -> Option<&Feed> {
        self.filling.feed()
    }

    /// Looks whether the mesh has changed, or it has waited long enough.
    fn beat(&mut self, desk: &mut Desk<'_>) {
        let version = desk.mesh.version();
        if std::mem::replace(&mut self.seen, version) != version {
            self.handle(Input::ViewChanged, desk);
        }
        self.handle(Input::Tick, desk);
    }

    fn hear(&mut self, heard: Heard, desk: &mut Desk<'_>) {
        let Some(id) = self.talk.as_ref().map(|(_, ask)| ask.id) else {
            return;
        };
        let answer = match heard {
            Heard::Frame(frame) => self.take(frame, desk),
            Heard::Began(..) | Heard::Finished | Heard::Lost => UpstreamEvent::Lost,
        };
        self.handle(Input::Heard(id, answer), desk);
    }

    /// Takes a frame, and shows the checkers the bytes that were new.
    fn take(&mut self, frame: Frame, desk: &mut Desk<'_>) -> UpstreamEvent {
        let before = self.feed().map(Feed::next);
        let answer = self.filling.take(frame, desk.moment.now);
        if let (Some(feed), Some(before)) = (self.feed(), before) {
            show_taken(&self.mount, feed, before, desk.out);
            if answer == UpstreamEvent::Ended {
                desk.mesh.note_ended(feed.stream_id(), desk.moment.now);
            }
        }
        answer
    }

    fn handle(&mut self, input: Input, desk: &mut Desk<'_>) {
        let spec = desk.replica.mount(&self.mount);
        let luck = desk.luck();
        let seen = PullContext {
            mesh: desk.mesh.view(),
            linger: spec.map(|spec| Duration::from_secs(spec.linger_s.into())),
            luck,
            now: desk.moment.now,
        };
        let mut out = Vec::new();
        self.filling.handle(input, seen, &mut out);
        for output in out {
            match output {
                Output::Request(ask) => self.ask(ask, desk),
                Output::Continue(upstream, opened) | Output::Open(upstream, opened) => {
                    let (stream_id, from) = (opened.stream_id, opened.offset);
                    let mount = self.mount.clone();
                    let news = RadioNews::Relaying(mount, upstream, stream_id, from);
                    desk.out.push(Deed::Radio(news));
                }
                Output::HangUp(_) => self.hang_up(desk),
                Output::Over(_) => {}
            }
        }
    }

    fn ask(&mut self, ask: Request, desk: &mut Desk<'_>) {
        let talk = desk.talks.next();
        let (mount, resume) = (self.mount.clone(), ask.resume);
        let question = Frame::Subscribe { mount, resume };
        let open = Deed::Open(talk, ask.upstream.clone(), question);
        desk.out.extend([open, Deed::Finish(talk)]);
        self.talk = Some((talk, ask));
    }

    fn hang_up(&mut self, desk: &mut Desk<'_>) {
        if let Some((talk, ask)) = self.talk.take() {
            let left = RadioNews::Left(self.mount.clone(), ask.upstream);
            desk.out.extend([Deed::Abort(talk), Deed::Radio(left)]);
        }
    }
}

impl Radio {
    /// Begins to fill a mount unless that is under way. A stream that has just finished here is nobody's yet: a
    /// pull under way is of one before it, and ends.
    pub(super) fn pull(&mut self, mount: &MountName, finished: Option<Feed>, desk: &mut Desk<'_>) {
        if finished.is_none() && self.pulls.contains_key(mount) {
            return;
        }
        let (streams, now) = (self.streams.clone(), desk.moment.now);
        let pull = Pull {
            mount: mount.clone(),
            filling: Filling::new(mount.clone(), streams, finished, now),
            talk: None,
            seen: 0,
        };
        if let Some(mut old) = self.pulls.insert(mount.clone(), pull) {
            old.hang_up(desk);
            old.filling.end(EndReason::Replaced);
        }
    }

    /// Lets every pull go on.
    pub(super) fn pull_all(&mut self, desk: &mut Desk<'_>) {
        for pull in self.pulls.values_mut() {
            pull.beat(desk);
        }
        self.pulls.retain(|_, pull| !pull.is_over());
    }

    /// Gives a pull what its upstream says.
    pub(super) fn pull_hears(&mut self, mount: &MountName, heard: Heard, desk: &mut Desk<'_>) {
        if let Some(pull) = self.pulls.get_mut(mount) {
            pull.hear(heard, desk);
            if pull.is_over() {
                self.pulls.remove(mount);
            }
        }
    }
}
