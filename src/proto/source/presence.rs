//! How nodes ask each other whether a source is still connected: by PRESENCE, or by a subscription to a byte that no
//! stream has.

use crate::model::mount::MountName;
use crate::model::source::SourceOrigin;
use crate::model::stream::StreamId;
use crate::wire::frame::{Denial, Frame, NO_BYTE};

/// The question to the node of a source, for another source that wants its place. The `claimant` is that one's origin;
/// `None` for a node that does not read PRESENCE.
pub fn presence_question(
    mount: &MountName,
    stream_id: StreamId,
    claimant: Option<&SourceOrigin>,
) -> Frame {
    let mount = mount.clone();
    match claimant {
        Some(claimant) => Frame::Presence {
            mount,
            stream_id,
            claimant: claimant.clone(),
        },
        None => Frame::Subscribe {
            mount,
            resume: Some((stream_id, NO_BYTE)),
        },
    }
}

/// The answer to a [`presence_question`].
pub fn presence_answer(is_there: bool) -> Frame {
    match is_there {
        true => Frame::Done,
        false => Frame::Denied(Denial::NotHere),
    }
}

/// Whether an answer says that the source is connected. No answer, or any other, says that it is not.
pub fn shows_presence(answer: Option<&Frame>) -> bool {
    answer == Some(&Frame::Done)
}
