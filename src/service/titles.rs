//! Titles: set on any node, and pinned to a byte on the node of the source.

use std::time::Duration;

use tokio::time::timeout;
use tracing::info;

use super::mesh::Mesh;
use super::streams::Streams;
use crate::model::mount::MountName;
use crate::wire::frame::{Denial, Frame};
use crate::wire::gossip::Origin;

/// How long the node of the source may take: encoders wait for the answer, and some stop sending meanwhile.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

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

    /// Sets the title of a mount, wherever its source is connected.
    pub async fn set(&self, mount: &MountName, title: &str) -> Result<(), NotSet> {
        if self.set_here(mount, title) == Frame::Done {
            return Ok(());
        }
        let view = self.mesh.cluster.view();
        let (ingest, _) = view.source(mount).ok_or(NotSet::NoSource)?;
        let question = Frame::Describe {
            mount: mount.clone(),
            title: title.to_owned(),
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

    /// Sets the title if the mount's source is connected to this node.
    pub fn set_here(&self, mount: &MountName, title: &str) -> Frame {
        match self.streams.get(mount) {
            Some(held) if held.origin == Origin::Source => {
                info!(%mount, title, "title");
                held.feed.set_title(held.feed.next(), title);
                Frame::Done
            }
            _ => Frame::Denied(Denial::NotHere),
        }
    }
}
