//! A world as the rules of its streams see it.

use antiphon::model::mount::MountName;
use antiphon::model::stream::StreamId;

use crate::encoder::EncoderId;
use crate::node::Size;

/// A checker's view of one node's streams; the vectors are by the number of the mount.
pub(crate) struct Station {
    pub(crate) life: u32,
    pub(crate) runs: bool,
    pub(crate) is_judged: bool,
    pub(crate) is_slow: bool,
    /// Whether the node takes no sources.
    pub(crate) is_draining: bool,
    /// The node that each stream is pulled from.
    pub(crate) upstreams: Vec<Option<usize>>,
    /// The stream that it holds, and its next byte.
    pub(crate) positions: Vec<Option<(StreamId, u64)>>,
    /// The encoder that is on air there.
    pub(crate) on_air: Vec<Option<EncoderId>>,
    /// How much it remembers.
    pub(crate) size: Size,
    /// The most keys of gossip that it keeps of one node.
    pub(crate) keys: usize,
}

/// One mount of a world.
pub(crate) struct WatchedMount {
    pub(crate) number: usize,
    pub(crate) mount: MountName,
    /// Whether an encoder wants it that is not held up by a stopped node.
    pub(crate) is_free: bool,
    /// The connections of encoders that send.
    pub(crate) senders: Vec<EncoderId>,
    /// The numbers of the encoders that want it.
    pub(crate) encoders: Vec<usize>,
    /// The mount whose stream its listeners hear while it has none.
    pub(crate) fallback: Option<Box<WatchedMount>>,
}

/// The nodes that hear each other.
#[derive(Clone, Copy)]
pub(crate) struct Reach<'a> {
    pub(crate) components: &'a [usize],
    pub(crate) is_open: &'a dyn Fn(usize, usize) -> bool,
}
