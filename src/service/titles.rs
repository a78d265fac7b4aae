//! Titles: set on any node, and pinned to a byte on the node of the source.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tracing::info;

use super::mesh::Mesh;
use super::streams::Streams;
use crate::model::mount::MountName;
use crate::model::title::TitleInfo;
use crate::proto::view::FrameSupport;
use crate::wire::frame::{Denial, Frame};
use crate::wire::gossip::Origin;

/// How long the node of the source may take: encoders wait for the answer, and some stop sending meanwhile.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a title waits for a source that has just connected. Encoders send it at once, and the source is not on air
/// yet: its first bytes are looked at for 0.5 s, and it is granted its mount.
const ON_AIR_SOON: Duration = Duration::from_millis(1_500);

/// The title was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSet {
    /// The mount has no source.
    #[error("Source does not exist")]
    NoSource,
    /// The node of the source does not answer.
    #[error("the node of the source does not answer")]
    NoAnswer,
}

/// A cheap, cloneable handle to the titles of all mounts.
#[derive(Clone, Debug)]
pub struct Titles {
    mesh: Mesh,
    streams: Streams,
}

impl Titles {
    /// Sets titles in these streams, and in those of other nodes.
    pub fn new(mesh: Mesh, streams: Streams) -> Self {
        Self { mesh, streams }
    }

    /// Sets the title of a mount, wherever its source is connected, and as soon as it is on air.
    pub async fn set(&self, mount: &MountName, title: &TitleInfo) -> Result<(), NotSet> {
        let (mut streams, mut view) = (self.streams.watch(), self.mesh.cluster.watch());
        let soon = Instant::now() + ON_AIR_SOON;
        loop {
            streams.mark_unchanged();
            view.mark_unchanged();
            let set = self.set_now(mount, title).await;
            if set != Err(NotSet::NoSource) {
                return set;
            }
            let changed = async {
                tokio::select! { _ = streams.changed() => {}, _ = view.changed() => {} }
            };
            if timeout_at(soon, changed).await.is_err() {
                return set;
            }
        }
    }

    async fn set_now(&self, mount: &MountName, title: &TitleInfo) -> Result<(), NotSet> {
        if self.set_here(mount, title) == Frame::Done {
            return Ok(());
        }
        let view = self.mesh.cluster.view();
        let (ingest, _) = view.source(mount).ok_or(NotSet::NoSource)?;
        let support = self.mesh.frame_support(ingest, |card| card.reads_captions);
        let (mount, title) = (mount.clone(), title.clone());
        let question = match support.await {
            FrameSupport::Reads => Frame::Announce { mount, title },
            _ => Frame::Describe {
                mount,
                title: title.text,
            },
        };
        let asking = async {
            let mut exchange = self.mesh.links.open(ingest, &question).await?;
            exchange.finish();
            exchange.receive().await
        };
        match timeout(ASK_TIMEOUT, asking).await {
            Ok(Ok(Some(Frame::Done))) => Ok(()),
            Ok(Ok(Some(Frame::Denied(_)))) => Err(NotSet::NoSource),
            _ => Err(NotSet::NoAnswer),
        }
    }

    /// Sets the title if the mount's source is connected to this node, at its first byte if it is not heard yet.
    pub fn set_here(&self, mount: &MountName, title: &TitleInfo) -> Frame {
        match self.streams.get(mount) {
            Some(held) if held.origin == Origin::Source => {
                info!(%mount, title = title.text, "title");
                held.feed.set_title(held.feed.next(), title);
                Frame::Done
            }
            _ if self.streams.early_titles.keep(mount, title) => Frame::Done,
            _ => Frame::Denied(Denial::NotHere),
        }
    }
}
