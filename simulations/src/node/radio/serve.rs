//! Feeding other nodes: drives production's service of a stream, one beat at a time.

use antiphon::model::mount::MountName;
use antiphon::model::stream::StreamId;
use antiphon::service::relay::serving::{NextStep, Serving};
use antiphon::service::streams::Held;
use antiphon::wire::frame::Frame;
use antiphon::wire::gossip::Origin;

use super::super::{Deed, Desk, TalkId};
use super::Radio;

/// How much one frame carries: a second of the stream, as production's frames do of an ordinary one.
const MAX_DATA_BYTES: usize = 1_000;

impl Radio {
    /// Answers a SUBSCRIBE.
    pub(super) fn begin_to_serve(
        &mut self,
        talk: TalkId,
        mount: &MountName,
        resume: Option<(StreamId, u64)>,
        desk: &mut Desk<'_>,
    ) {
        let mut frames = Vec::new();
        match Serving::begin(&self.streams, mount, resume, &mut frames) {
            Ok(serving) => {
                let says = frames.into_iter().map(|frame| Deed::Say(talk, frame));
                desk.out.extend(says);
                self.serves.insert(talk, serving);
            }
            Err(denial) => {
                let denied = Deed::Say(talk, Frame::Denied(denial));
                desk.out.extend([denied, Deed::Finish(talk)]);
            }
        }
    }

    /// Sends what is new to everybody who is fed from here.
    pub(super) fn serve_all(&mut self, desk: &mut Desk<'_>) {
        let mut serves = std::mem::take(&mut self.serves);
        serves.retain(|talk, serving| {
            if desk.mesh.is_draining() && self.must_move(serving.mount()) {
                desk.out.push(Deed::Finish(*talk));
                return false;
            }
            serve(*talk, serving, desk)
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

/// Whether it continues.
fn serve(talk: TalkId, serving: &mut Serving, desk: &mut Desk<'_>) -> bool {
    let (mut frames, mut next_step) = (Vec::new(), NextStep::LookAgain);
    while next_step == NextStep::LookAgain {
        next_step = serving.step(MAX_DATA_BYTES, desk.moment.now, &mut frames);
    }
    let says = frames.into_iter().map(|frame| Deed::Say(talk, frame));
    desk.out.extend(says);
    if next_step == NextStep::Finish {
        desk.out.push(Deed::Finish(talk));
    }
    next_step != NextStep::Finish
}
