//! Keeping a mount's ring filled from other nodes: what production's `service::relay::pull` does, as a machine
//! that waits for nothing. Whom to ask, and for what, is decided by production's `logic::follow`.

mod conversation;
mod round;

use std::time::Instant;

use antiphon::io::feed::Feed;
use antiphon::logic::backoff::Backoff;
use antiphon::logic::relay::follow::{FIRST_WAIT, LONGEST_WAIT};
use antiphon::logic::relay::route::Failures;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::stream::{EndReason, StreamId};
use antiphon::service::relay::LINGER;
use antiphon::service::streams::Streams;

use self::conversation::{Conversation, Stage};
use self::round::Round;
use super::super::{Deed, Desk, Heard, TalkId};
use super::Radio;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The next byte of the stream that is held; if none is held, any stream.
    Next,
    /// This other stream, which takes its place.
    Other(StreamId),
    /// Whatever is on air: what was wanted is held by nobody any more.
    OnAir,
}

/// What a pull does at the moment.
#[derive(Debug)]
enum Phase {
    /// It asks again at this time, or as soon as the view is another one than this.
    Resting(Instant, u64),
    /// It goes through the upstreams of one round.
    Round(Box<Round>),
}

/// What fills one mount.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) feed: Option<Feed>,
    failures: Failures,
    began: Instant,
    backoff: Backoff,
    phase: Phase,
}

impl Pull {
    pub(super) fn new(finished: Option<Feed>, now: Instant) -> Self {
        Self {
            feed: finished,
            failures: Failures::default(),
            began: now,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            phase: Phase::Resting(now, 0),
        }
    }

    fn conversation(&self) -> Option<&Conversation> {
        match &self.phase {
            Phase::Round(round) => round.conversation.as_ref(),
            Phase::Resting(..) => None,
        }
    }

    pub(super) fn is_in(&self, talk: TalkId) -> bool {
        self.conversation().is_some_and(|it| it.talk == talk)
    }

    /// Whom it takes bytes from.
    pub(super) fn upstream(&self) -> Option<&NodeName> {
        let taking = self.conversation();
        let taking = taking.filter(|it| matches!(it.stage, Stage::Taking(_)));
        taking.map(|it| &it.upstream)
    }

    fn position(&self) -> Option<(StreamId, u64)> {
        let feed = self.feed.as_ref();
        feed.map(|feed| (feed.stream_id(), feed.next()))
    }
}

/// A pull at work, with what it works on. What its steps return is the reason why the pull is over, if it is.
struct Work<'a, 'b> {
    mount: &'a MountName,
    pull: &'a mut Pull,
    streams: &'a Streams,
    desk: &'a mut Desk<'b>,
}

impl Radio {
    /// Begins to fill a mount unless that is under way. A stream that has just finished here is nobody's yet: a
    /// pull under way is of one before it, and ends.
    pub(super) fn pull(&mut self, mount: &MountName, finished: Option<Feed>, desk: &mut Desk<'_>) {
        if finished.is_none() && self.pulls.contains_key(mount) {
            return;
        }
        let pull = Pull::new(finished, desk.moment.now);
        if let Some(old) = self.pulls.insert(mount.clone(), pull) {
            let conversation = old.conversation();
            desk.out.extend(conversation.map(|it| Deed::Abort(it.talk)));
            if let Some(feed) = old.feed {
                feed.end(EndReason::Replaced);
            }
        }
    }

    /// Lets every pull go on.
    pub(super) fn pull_all(&mut self, desk: &mut Desk<'_>) {
        let mounts: Vec<MountName> = self.pulls.keys().cloned().collect();
        for mount in &mounts {
            self.work(mount, desk, |work| work.wait());
        }
    }

    /// Gives a pull what its upstream says.
    pub(super) fn pull_hears(&mut self, mount: &MountName, heard: Heard, desk: &mut Desk<'_>) {
        self.work(mount, desk, |work| match heard {
            Heard::Frame(frame) => work.hear(frame),
            Heard::Began(..) | Heard::Finished | Heard::Lost => work.upstream_is_over(),
        });
    }

    fn work(
        &mut self,
        mount: &MountName,
        desk: &mut Desk<'_>,
        act: impl FnOnce(&mut Work<'_, '_>) -> Option<EndReason>,
    ) {
        let Some(pull) = self.pulls.get_mut(mount) else {
            return;
        };
        let streams = &self.streams;
        let ended = act(&mut Work {
            mount,
            pull,
            streams,
            desk,
        });
        let Some(reason) = ended else { return };
        let pull = self.pulls.remove(mount).expect("it has just been there");
        if let Some(feed) = pull.feed {
            self.streams.release(mount, &feed);
            feed.end(reason);
        }
    }
}

impl Work<'_, '_> {
    fn now(&self) -> Instant {
        self.desk.moment.now
    }

    fn position(&self) -> Option<(StreamId, u64)> {
        self.pull.position()
    }

    /// Looks whether it has waited long enough.
    fn wait(&mut self) -> Option<EndReason> {
        match self.pull.phase {
            // Somebody may have it now who had not before.
            Phase::Resting(until, seen) => {
                let is_time = self.now() >= until || self.desk.mesh.version() != seen;
                is_time.then(|| self.begin_round()).flatten()
            }
            Phase::Round(_) => self.lose_patience(),
        }
    }

    /// Nobody has wanted it for a while, or something else has taken its place.
    fn is_unwanted(&self, feed: &Feed) -> bool {
        let held = self.streams.get(self.mount);
        held.is_none_or(|held| {
            let idle = held.idle_since();
            let idle = idle.is_some_and(|since| self.now().duration_since(since) > LINGER);
            idle || !held.feed.is_same(feed)
        })
    }
}
