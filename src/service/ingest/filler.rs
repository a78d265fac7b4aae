//! The writer of a ring: a reader of audio, and what else the way on air needs of it.

use std::future::{pending, ready};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tracing::info;

use crate::model::mount::MountSpec;
use crate::model::seat::Epoch;
use crate::model::source::SourceOrigin;
use crate::model::source_priority::SourcePriority;
use crate::model::stream::StreamHead;
use crate::model::title::TitleInfo;
use crate::service::document::{Documents, Mounts};
use crate::service::sources::SourceProtocol;
use crate::wire::http::head::Head;
use crate::wire::icecast::source_head;

/// A stream that is offered to a mount.
#[derive(Debug)]
pub(super) struct Offer {
    /// The mount.
    pub(super) spec: MountSpec,
    /// The head of the stream. When it begins, and under which epoch, is known only once it is on air.
    pub(super) head: StreamHead,
    /// The sender.
    pub(super) origin: SourceOrigin,
    /// The stated bitrate, bits per second; 0 if none is stated.
    pub(super) stated_bps: u64,
    /// After how many bytes of audio a block with a title comes; `None` if there are none.
    pub(super) metadata_interval: Option<NonZeroUsize>,
    /// The protocol that its source speaks.
    pub(super) protocol: SourceProtocol,
    /// The order of its source among those of the mount.
    pub(super) priority: SourcePriority,
}

impl Offer {
    /// The stream that an encoder's request describes.
    pub(super) fn of(
        head: &Head,
        spec: MountSpec,
        origin: SourceOrigin,
        protocol: SourceProtocol,
        priority: SourcePriority,
    ) -> Self {
        Self {
            head: source_head::stream_head(head, spec.charset, 0, Epoch::default()),
            stated_bps: source_head::stated_bps(head),
            metadata_interval: source_head::metadata_interval(head),
            spec,
            origin,
            protocol,
            priority,
        }
    }

    /// Waits until the mount is there and takes no such source any more: an encoder or an outside relay, when it has become
    /// one that is transcoded; a transcoder, when it is so no longer.
    pub(super) async fn is_out_of_place(&self, documents: &Documents) {
        let is_own = self.protocol == SourceProtocol::Own;
        let is_out_of_place = |mounts: &Arc<Mounts>| {
            let spec = mounts.get(&self.spec.path);
            spec.is_some_and(|spec| spec.transcode.transcode_from.is_some() != is_own)
        };
        let mut mounts = documents.watch_mounts();
        if mounts.wait_for(is_out_of_place).await.is_err() {
            pending::<()>().await; // the node stops
        }
        match is_own {
            true => info!("the mount is not transcoded any more"),
            false => {
                info!("the mount is transcoded from another one now, and takes no other source")
            }
        }
    }
}

/// Whether bytes were left in the connection of a sender for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    /// All that has come was read.
    None,
    /// More was sent than was wanted.
    Some,
}

/// A reader of a stream's audio.
///
/// The reader ends where the stream does. A broken connection is such an end; an error of the reader means that what
/// was sent makes no sense.
///
/// A reader without a sender that could be talked to needs none of the methods.
pub(super) trait Filler: AsyncRead + Send + Unpin {
    /// Tells the sender that it is taken, unless it has been told so. May be dropped and called again.
    fn accept(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        ready(Ok(()))
    }

    /// The title of what is read next, once; `sounded` tells how much audio was heard before that, if the format does.
    fn take_title(&mut self, _sounded: impl FnOnce() -> Option<Duration>) -> Option<TitleInfo> {
        None
    }

    /// How many bytes of framing the sender has sent so far around what was read.
    fn framing_bytes(&self) -> u64 {
        0
    }

    /// Whether the sender is known to have left. What it had sent may still be to be read, but is not worth waiting for.
    fn has_left(&mut self) -> bool {
        false
    }

    /// Finds out whether the sender is there behind bytes that were left in its connection for some time.
    fn is_behind_backlog(&mut self) -> impl Future<Output = bool> + Send {
        ready(true)
    }

    /// Finds out whether the sender's system can be reached. A connection whose path is gone shows no sign of that by
    /// itself: both systems wait for the other one. Where there is a `backlog`, the sender is also looked for behind it.
    fn is_reachable(&mut self, _backlog: Backlog) -> impl Future<Output = bool> + Send {
        ready(true)
    }

    /// Tells the sender that its bytes are not wanted any more. What it had sent before can still be read.
    fn dismiss(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        ready(Ok(()))
    }
}
