//! Sources that an operator ends, at whichever node they are.

use std::time::Duration;

use tracing::info;

use super::mesh::Mesh;
use super::node_question::{NoAnswer, NodeQuestion, ask_node};
use super::sources::Sources;
use crate::model::mount::MountName;
use crate::model::stream::StreamId;
use crate::wire::frame::{Denial, Frame};

/// How long another node may take to answer: its source has a second to go.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Why a source was not ended, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum NotDismissed {
    /// The mount does not exist.
    #[error("there is no mount {0}")]
    NoMount(MountName),
    /// The mount has no source.
    #[error("{0} has no source: there is nothing to end")]
    NoSource(MountName),
    /// The stream is made by the mesh.
    #[error("{mount} is transcoded from {from}: end the source of that, or delete {mount}")]
    Transcoded {
        /// The mount.
        mount: MountName,
        /// The mount that it is made from.
        from: MountName,
    },
    /// The stream is got from outside the mesh.
    #[error(
        "{0} has no encoder, an outside relay is on air: to end that, antiphon mount set {0} relay="
    )]
    Relayed(MountName),
    /// The node of the source has not confirmed that it has ended it.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// A cheap, cloneable way to end sources.
#[derive(Clone, Debug)]
pub struct Dismissals {
    mesh: Mesh,
    sources: Sources,
}

impl Dismissals {
    /// Ends these sources, and those of other nodes.
    pub fn new(mesh: Mesh, sources: Sources) -> Self {
        Self { mesh, sources }
    }

    /// Ends the source that is on air on a mount, wherever it is connected. Its encoder may come back.
    pub async fn dismiss(&self, mount: &MountName) -> Result<(), NotDismissed> {
        let view = self.mesh.cluster.view();
        let spec = self.mesh.documents.mount(mount);
        let spec = spec.ok_or_else(|| NotDismissed::NoMount(mount.clone()))?;
        if let Some(from) = spec.transcode.transcode_from {
            let mount = mount.clone();
            return Err(NotDismissed::Transcoded { mount, from });
        }
        if view.yields(mount) {
            return Err(NotDismissed::Relayed(mount.clone()));
        }
        let here = self.sources.on_air();
        let here = here.into_iter().find(|(on_air, _)| on_air == mount);
        let is_ended = if let Some((_, stream_id)) = here {
            self.dismiss_here(mount, stream_id).await == Frame::Done
        } else if let Some((node, card)) = view.source(mount) {
            let question = NodeQuestion {
                frame: Frame::Dismiss {
                    mount: mount.clone(),
                    stream_id: card.stream_id,
                },
                limit: ANSWER_LIMIT,
                flag: |card| card.reads_dismissals,
                expects: |answer| matches!(answer, Frame::Done | Frame::Denied(Denial::NotHere)),
                confirms: "that it has ended the source",
            };
            ask_node(&self.mesh, node, question).await? == Frame::Done
        } else {
            false
        };
        match is_ended {
            true => Ok(()),
            false => Err(NotDismissed::NoSource(mount.clone())),
        }
    }

    /// Ends a source of this node: the answer to whoever asks.
    pub async fn dismiss_here(&self, mount: &MountName, stream_id: StreamId) -> Frame {
        match self.sources.dismiss(mount, stream_id).await {
            true => {
                info!(%mount, %stream_id, "an operator has ended the source");
                Frame::Done
            }
            false => Frame::Denied(Denial::NotHere),
        }
    }
}
