//! The streams that are served to other nodes: drives production's `serve`, one beat at a time.

use antiphon::model::mount::MountName;
use antiphon::model::stream::StreamId;
use antiphon::proto::prologue::PrologueSupport;
use antiphon::proto::serve::Reads;
use antiphon::service::relay::serving::{NextStep, Serving, Subscription};
use antiphon::service::streams::Held;
use antiphon::wire::frame::Frame;
use antiphon::wire::gossip::Origin;

use super::super::{Action, Env, TalkId};
use super::Radio;

/// The most of a stream in one frame: a second of it. Production's 16 KiB are a second of 128 kbit/s; encoders here send
/// 1,000 bytes a second, so that all that a relay is behind would come in one frame, whole or not at all.
const MAX_DATA_BYTES: usize = 1_000;

impl Radio {
    /// Answers a SUBSCRIBE.
    pub(super) fn begin_to_serve(
        &mut self,
        talk: TalkId,
        mount: &MountName,
        resume: Option<(StreamId, u64)>,
        env: &mut Env<'_>,
    ) {
        let mut frames = Vec::new();
        let subscription = Subscription {
            mount: mount.clone(),
            resume,
            reads: Reads {
                prologues: PrologueSupport::Long,
                captions: true,
                midway: true,
            },
        };
        match Serving::begin(&self.streams, subscription, env.moment.now, &mut frames) {
            Ok(serving) => {
                let says = frames.into_iter().map(|frame| Action::Say(talk, frame));
                env.out.extend(says);
                self.serves.insert(talk, serving);
            }
            Err(denial) => {
                let denied = Action::Say(talk, Frame::Denied(denial));
                env.out.extend([denied, Action::Finish(talk)]);
            }
        }
    }

    /// Sends the new bytes to every relay.
    pub(super) fn serve_all(&mut self, env: &mut Env<'_>) {
        let mut serves = std::mem::take(&mut self.serves);
        serves.retain(|talk, serving| {
            if env.mesh.is_draining() && self.must_move(serving.mount()) {
                env.out.push(Action::Finish(*talk));
                return false;
            }
            serve(*talk, serving, env)
        });
        self.serves = serves;
    }

    /// Whether relays of a mount have to go elsewhere when this node drains, as production's switchboard decides it.
    fn must_move(&self, mount: &MountName) -> bool {
        let ends_here =
            |held: Held| held.origin == Origin::Source || held.feed.finished().is_some();
        !self.streams.get(mount).is_some_and(ends_here)
    }
}

/// Sends the new bytes to one relay; returns whether the conversation continues.
fn serve(talk: TalkId, serving: &mut Serving, env: &mut Env<'_>) -> bool {
    let (mut frames, mut next_step) = (Vec::new(), NextStep::LookAgain);
    while next_step == NextStep::LookAgain {
        next_step = serving.step(MAX_DATA_BYTES, env.moment.now, &mut frames);
    }
    let says = frames.into_iter().map(|frame| Action::Say(talk, frame));
    env.out.extend(says);
    if next_step == NextStep::Finish {
        env.out.push(Action::Finish(talk));
    }
    next_step != NextStep::Finish
}
