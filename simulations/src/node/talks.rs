//! The names of conversations, and what happens in them.

use antiphon::model::node::NodeName;
use antiphon::wire::frame::Frame;

/// Names a conversation: the node that began it, that node's life, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TalkId {
    /// The number of the node that began it.
    pub opener: usize,
    /// The life of that node.
    pub life: u32,
    /// Rises with each conversation.
    pub number: u64,
}

/// An event of a conversation.
#[derive(Clone, Debug)]
pub enum TalkEvent {
    /// A peer has begun it, with this frame.
    Began(NodeName, Frame),
    /// The next frame.
    Frame(Frame),
    /// The peer has sent its last frame.
    Finished,
    /// The conversation was cut short.
    Lost,
}

/// Numbers the conversations that a node begins.
#[derive(Debug)]
pub(super) struct Talks {
    pub(super) opener: usize,
    pub(super) life: u32,
    pub(super) number: u64,
}

impl Talks {
    pub(super) fn next(&mut self) -> TalkId {
        self.number += 1;
        TalkId {
            opener: self.opener,
            life: self.life,
            number: self.number,
        }
    }
}
