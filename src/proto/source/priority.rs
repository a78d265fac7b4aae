//! The source of several that is to be heard: each has an order, and every node sees by gossip that they send.

use crate::model::fitness::SourceFitness;
use crate::model::mount::MountName;
use crate::model::source_priority::SourcePriority;
use crate::proto::view::MeshView;

/// The claim of a source to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The order of it among the sources of its mount.
    pub priority: SourcePriority,
    /// Whether it could be heard, or is heard, and why not.
    pub fitness: SourceFitness,
}

/// Whether a source waits somewhere that is to be heard rather than one of this standing: a better one, or any if that one cannot be
/// heard.
pub fn is_outranked(mount: &MountName, standing: Standing, view: &MeshView) -> bool {
    let up = view.nodes.values().filter(|node| node.is_up());
    let waiting = up.filter_map(|node| Some(&node.standby.get(mount)?.best));
    let mut fit = waiting.filter(|card| card.sends && card.fitness.is_fit());
    let is_fit = standing.fitness.is_fit();
    fit.any(|card| !is_fit || card.priority.is_before(standing.priority))
}

/// Whether listeners have something else to hear than a source that is not on air: another source, one that waits for that, or a
/// fallback, if one flows.
pub fn has_other(mount: &MountName, fallback_flows: bool, view: &MeshView) -> bool {
    let unknown = Standing {
        priority: SourcePriority::FIRST,
        fitness: SourceFitness::Unknown,
    };
    fallback_flows || view.source(mount).is_some() || is_outranked(mount, unknown, view)
}

/// The order of the source that is on air on a mount; `None`: there is none, or it yields to any other.
pub(super) fn on_air(mount: &MountName, view: &MeshView) -> Option<SourcePriority> {
    let _source = view.source(mount).filter(|_| !view.yields(mount))?;
    Some(
        view.about(mount)
            .map(|about| about.priority)
            .unwrap_or_default(),
    )
}
