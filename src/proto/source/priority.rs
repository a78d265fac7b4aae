//! The source of several that is to be heard: each has an order, and every node sees by gossip that they send.

use crate::model::mount::MountName;
use crate::model::source_priority::SourcePriority;
use crate::proto::view::MeshView;

/// Whether a source waits somewhere that sends, and is to be heard rather than one of this order.
pub fn is_outranked(mount: &MountName, priority: SourcePriority, view: &MeshView) -> bool {
    let up = view.nodes.values().filter(|node| node.is_up());
    let mut waiting = up.filter_map(|node| node.standby.get(mount));
    waiting.any(|card| card.sends && card.priority.is_before(priority))
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
